"""Score pairs of audio and text."""
