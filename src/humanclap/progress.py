"""How long work tells its caller how far it is; drawing is the command line's business."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, note), `note` a few words such as a loss; may be empty."""


def silent(done: int, total: int, note: str = "") -> None:
    """A Progress that does nothing."""
