"""What an A/B study compares: two clips for one text, or two texts for one clip.

On the page the sides are A and B. Which of the two comes at A is drawn for every trial. An answer
is stored as it was given on the page (A, B or equal), and read together with what was drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from humanclap.choices import SIDES
from humanclap.errors import InputError, TableError
from humanclap.pairs import same_clip
from humanclap.records import ANCHOR, Answer, Between, Pair
from humanclap.tables import Row, check_distinct, optional_columns, read_pairs, read_table

A, EQUAL, B = -1.0, 0.0, 1.0
"""What the page's buttons send, as the numbers of a scale from A to B."""


def choice_of(score: float, *, swapped: bool) -> Answer:
    """What was chosen; `first` is the comparison's own first side, at A or at B.

    >>> choice_of(A, swapped=False), choice_of(A, swapped=True), choice_of(EQUAL, swapped=True)
    ('first', 'second', 'equal')
    """
    if score == EQUAL:
        return "equal"
    return "first" if (score == A) != swapped else "second"


def score_of(choice: Answer, *, swapped: bool) -> float:
    """The button of a choice: the inverse of `choice_of`."""
    if choice == "equal":
        return EQUAL
    return A if (choice == "first") != swapped else B


def group_of(system: str | None, system_b: str | None) -> str | None:
    """The name of a pair of systems, the same in both orders; a single system keeps its name.

    >>> group_of("beta", "alpha"), group_of("beta", None), group_of(None, None)
    ('alpha vs beta', 'beta', None)
    """
    names = sorted(name for name in (system, system_b) if name is not None)
    return " vs ".join(names) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class ABComparison:
    """Two pairs that share their clip or their text; `first` and `second` name the sides.

    kind: a free label of the comparison; expected: the side that fits, in an anchor.
    """

    first: Pair
    second: Pair
    kind: str | None = None
    split: str | None = None
    expected: Literal["first", "second"] | None = None

    def __post_init__(self) -> None:
        same_audio = self.between == "texts"
        if same_audio == (self.first.text == self.second.text):
            what = "are the same" if same_audio else "share neither clip nor text"
            raise InputError(f"the two sides {what}; they must share either the clip or the text")
        if (self.first.system is None) != (self.second.system is None):
            raise InputError("only one of system_a and system_b is given; give both or neither")
        if self.expected not in (None, "first", "second"):
            raise InputError(f"expected is {self.expected!r}; expected one of first, second")

    @property
    def between(self) -> Between:
        """What is compared: `clips` for one text, or `texts` for one clip."""
        return "texts" if same_clip(self.first.audio, self.second.audio) else "clips"

    @property
    def key(self) -> str:
        """Names the comparison; it is the same with the sides swapped."""
        return "-".join(sorted((self.first.pair_id, self.second.pair_id)))

    @property
    def group(self) -> str | None:
        """The pair of systems."""
        return group_of(self.first.system, self.second.system)


def read_comparisons(
    path: str | Path, between: Between, *, anchors: bool = False
) -> list[ABComparison]:
    """Read `text,audio_a,audio_b` (clips) or `audio,text_a,text_b` (texts).

    Further columns: `system_a`, `system_b`, `kind`, `split`; anchors need `expected` (first or
    second: the side that fits). Raises TableError for a missing column, for a comparison that
    appears twice (also with its sides swapped), and for a row that `ABComparison` refuses.
    """
    table = read_table(path)
    table.require(*SIDES[between], *(("expected",) if anchors else ()))
    made = [row.make(lambda row=row: _comparison(row, between, anchors)) for row in table.rows]  # type: ignore[misc]
    check_distinct((item.key for item in made), table.rows, what="comparison")
    return made


def read_items(
    path: str | Path, between: Between | None, *, anchors: bool = False
) -> list[Pair] | list[ABComparison]:
    """The table of a study: pairs to be rated (None), or comparisons.

    Raises TableError as `read_pairs` and `read_comparisons`, and where the table is of the other
    kind than the design.
    """
    held = _compared_in(path)
    if held is not None and held != between:
        raise TableError(
            path,
            f"holds comparisons ({', '.join(SIDES[held])}), but the design says trial = "
            f"{between or 'rating'!r}; write trial = {held!r} into it (humanclap listen new "
            f"--trial {held} makes one)",
            1,
        )
    return read_pairs(path) if between is None else read_comparisons(path, between, anchors=anchors)


def _compared_in(path: str | Path) -> Between | None:
    """What a table compares; None for pairs."""
    columns = set(read_table(path).columns)
    return next((kind for kind in get_args(Between) if columns.issuperset(SIDES[kind])), None)


def _comparison(row: Row, between: Between, anchors: bool) -> ABComparison:
    shared, *sides = SIDES[between]
    other = sides[0].removesuffix("_a")
    first, second = (
        Pair(
            **{shared: row.text(shared), other: row.text(side)},
            system=row.optional(f"system_{side[-1]}"),
        )
        for side in sides
    )
    further = optional_columns(row, "kind", "split")
    if anchors:
        further |= {"kind": ANCHOR, "expected": row.text("expected")}
    elif further["kind"] == ANCHOR:
        raise InputError("kind is 'anchor'; anchors have a table of their own (--anchors)")
    return ABComparison(first=first, second=second, **further)


def sides_of(items: Iterable[Pair | ABComparison]) -> list[Pair]:
    """Every pair of clip and text that a study holds, those of comparisons one by one."""
    pairs: list[Pair] = []
    for item in items:
        pairs += [item] if isinstance(item, Pair) else [item.first, item.second]
    return pairs
