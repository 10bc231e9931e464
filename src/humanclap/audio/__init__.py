"""Audio files to float32 mono windows."""
