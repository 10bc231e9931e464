"""Whether a program printed what a page shows."""

from __future__ import annotations

import re

import pytest

NUMBER = re.compile(r"-?\d+\.\d+\b(?!\.)")
AROUND = 0.05
"""By how much a decimal may differ: another processor trains and resamples a little differently."""


def check_shown(shown: tuple[str, ...], printed: str, remarks: str = "") -> None:
    """The lines of a page stand in the output, in their order; `...` stands for anything left out.

    Words and whole numbers must be equal, decimals nearly so; widths of columns do not count. A
    page may leave out remarks, what went to stderr, without saying so.
    """
    lines = [line for line in printed.splitlines() if line.strip()]
    results = len(lines)
    lines += [line for line in remarks.splitlines() if line.strip()]
    place, skipping = 0, True
    for line in shown:
        if line.strip() == "...":
            skipping = True
            continue
        found = next((i for i in range(place, len(lines)) if same(line, lines[i])), None)
        assert found is not None, f"not printed: {line!r} in\n{printed}{remarks}"
        assert skipping or found == place, f"not shown: {lines[place]!r}"
        place, skipping = found + 1, False
    assert skipping or place >= results, f"not shown: {lines[place:results]}"


def same(shown: str, printed: str) -> bool:
    """Whether a printed line is the shown one; one that ends in `...` may go on."""
    if shown.rstrip().endswith("..."):
        words = shown.rstrip().removesuffix("...").split()
        return len(printed.split()) >= len(words) and same(
            " ".join(words), " ".join(printed.split()[: len(words)])
        )
    if NUMBER.sub("#", shown).split() != NUMBER.sub("#", printed).split():
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=True)
    return all(float(a) == pytest.approx(float(b), abs=AROUND) for a, b in pairs)
