"""How long work tells its caller how far it is; drawing is the command line's business."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, note), `note` a few words such as a loss; may be empty.

progress(0, 0, note) has no measure: it announces what the user should know of at once, such as the
use of the network.
"""


def silent(done: int, total: int, note: str = "") -> None:
    """A Progress that does nothing."""
