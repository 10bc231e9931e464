"""How long work tells its caller how far it is; the command line draws it."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, note), `note` a few words such as a loss; may be empty.

progress(0, 0, note) measures nothing: it announces what the user should know at once, such as a
download.
"""


def silent(done: int, total: int, note: str = "") -> None:
    """A Progress that does nothing."""
