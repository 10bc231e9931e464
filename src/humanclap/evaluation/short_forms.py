"""Numbers as every report writes them: decimals, intervals, signs, counts and p-values."""

from __future__ import annotations

import math

from humanclap.evaluation.statistic import PairedTest, Statistic

UNDEFINED = "–"


def number(value: float) -> str:
    """Three decimals; a dash where undefined.

    >>> number(0.34567), number(-0.0001), number(float("nan"))
    ('0.346', '0.000', '–')
    """
    return UNDEFINED if math.isnan(value) else f"{value:.3f}".replace("-0.000", "0.000")


def spread(low: float, high: float) -> str:
    """`[low, high]`, or nothing where there is no interval."""
    return "" if math.isnan(low) else f"[{number(low)}, {number(high)}]"


def between(value: float, low: float, high: float) -> str:
    """`value [low, high]`, or the value alone where there is no interval."""
    return f"{number(value)} {spread(low, high)}".rstrip()


def with_interval(statistic: Statistic) -> str:
    """`value [low, high]` of a statistic."""
    return between(statistic.value, statistic.low, statistic.high)


def signed(statistic: Statistic) -> str:
    """A difference with its sign and interval."""
    return ("+" if statistic.value > 0 else "") + with_interval(statistic)


def percent(share: float) -> str:
    """`62 %`, a dash where undefined.

    >>> percent(0.618), percent(-0.003), percent(math.nan)
    ('62 %', '0 %', '–')
    """
    return UNDEFINED if math.isnan(share) else f"{round(100 * share) + 0} %"


def counted(count: int, noun: str) -> str:
    """`1 pair`, `1,287 pairs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def p_value(test: PairedTest) -> str:
    """`p = 0.012 (Holm 0.024)`."""
    if math.isnan(test.p):
        return "undefined"
    return f"p = {number(test.p)} (Holm {number(test.p_holm)})"


def p_cell(p: float) -> str:
    """A p-value in a table: `< 0.001`, else three decimals."""
    return "< 0.001" if p < 0.001 else number(p)
