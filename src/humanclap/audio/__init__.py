"""Audio files and arrays to float32 mono, whole or in windows."""

from humanclap.audio.load import (
    SilentAudioWarning,
    Source,
    Waveform,
    audio_blocks,
    load_audio,
)
from humanclap.audio.window import Fill, Window, fill_window, windows

__all__ = [
    "Fill",
    "SilentAudioWarning",
    "Source",
    "Waveform",
    "Window",
    "audio_blocks",
    "fill_window",
    "load_audio",
    "windows",
]
