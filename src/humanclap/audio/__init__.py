"""Audio files and arrays to float32 mono, whole or in windows."""

from humanclap.audio.check import ClipCheck, check_clip
from humanclap.audio.decode import SoundBytes
from humanclap.audio.load import (
    CancellingChannelsWarning,
    SilentAudioWarning,
    Source,
    Waveform,
    audio_blocks,
    load_audio,
)
from humanclap.audio.window import Fill, Window, fill_window, windows

__all__ = [
    "CancellingChannelsWarning",
    "ClipCheck",
    "Fill",
    "SilentAudioWarning",
    "SoundBytes",
    "Source",
    "Waveform",
    "Window",
    "audio_blocks",
    "check_clip",
    "fill_window",
    "load_audio",
    "windows",
]
