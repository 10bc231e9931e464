"""How RESULTS.md writes tables and intervals."""

from __future__ import annotations

from collections.abc import Sequence

Span = Sequence[float | None]
"""value, low, high; None where undefined."""


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return [*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)]


def span(values: Span | None, form: str = ".3f") -> str:
    """value [low, high]; a dash where there is no value, no brackets where there is no interval.

    >>> span([0.5, 0.25, 0.75]), span([0.5, None, None]), span(None)
    ('0.500 [0.250, 0.750]', '0.500', '–')
    """
    if values is None or values[0] is None:
        return "–"
    value, low, high = values
    if low is None or high is None:
        return f"{value:{form}}"
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"
