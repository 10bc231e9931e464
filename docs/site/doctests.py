"""An extension of griffe: the examples of a docstring become blocks of code on the page."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)


class Doctests(Extension):
    """Fences every example that begins with `>>>`, up to the next empty line."""

    def on_object(self, *, obj: Object, **more: Any) -> None:
        """Called for every object that has been read."""
        if obj.docstring is not None:
            obj.docstring.value = EXAMPLE.sub(
                lambda example: f"\n```pycon\n{example[0]}\n```\n", obj.docstring.value
            )
