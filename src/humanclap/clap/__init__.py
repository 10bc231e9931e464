"""Backbones: text and audio in one space."""
