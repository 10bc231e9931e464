"""The version, on its own so that every room can name it without the package's public names."""

__version__ = "0.1.0"
