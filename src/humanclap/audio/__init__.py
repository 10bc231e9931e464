"""Audio files and arrays become float32 mono, whole or in windows. No torch.

In: paths, bytes, open files or arrays (`Source`). Out: blocks or windows of samples in [-1, 1] at
the rate that is asked for, and remarks (silent, channels cancel). Begin with `load.load_audio`;
`decode` opens files, `window` cuts, `clip_codes` says which known recording a clip was made of.
"""

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
