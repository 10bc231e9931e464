"""Which torch device a setting means."""

from __future__ import annotations

import torch

from humanclap.errors import SettingsError


def resolve_device(device: str) -> str:
    """`auto` is CUDA where there is one, else the CPU; another name is tried and returned.

    Raises SettingsError where it cannot be used here.

    >>> resolve_device("cpu")
    'cpu'
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        first_line = str(error).splitlines()[0]
        raise SettingsError(f"device {device!r} cannot be used here: {first_line}") from error
    return device


def use_threads(threads: int) -> None:
    """Let torch use this many CPU threads in this process; a small model is quickest with one."""
    torch.set_num_threads(threads)
