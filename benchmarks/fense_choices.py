"""People's choice between two captions of one clip: FENSE's AudioCaps-Eval.

    python benchmarks/fense_choices.py --shared SHARED --mn04 MN04

SHARED/data/fense/pairs.csv: pairs of captions of AudioCaps test clips, four judges each (1: the
first fits better, -1: the second, 0: equal). A pair is decided where the sum is not 0. Accuracy:
the share of decided pairs in which the caption with the higher score is the people's; equal scores
count half. Beside it: the longer and the shorter text (characters), which hear nothing, and one
judge against the sign of the other three's sum, ties left out. Kinds: HC two human captions of the
clip, HI its own against another clip's, HM human against machine, MM two machines'. Intervals:
95 %, bootstrap clustered by clip. Source of the judgements: Zhou et al. 2022 (FENSE). Writes
benchmarks/results/fense_choices.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from judging_models import (
    Floats,
    arguments_of,
    differences,
    load_models,
    means,
    paired,
    spans,
    write,
)
from numpy.typing import ArrayLike, NDArray

from humanclap.errors import InputError
from humanclap.scoring.scorer import HumanCLAP
from humanclap.tables import Row, read_table

JUDGES = ("judge1", "judge2", "judge3", "judge4")
GROUPS: dict[str, tuple[str, ...]] = {
    "overall": ("HC", "HI", "HM", "MM"),
    "without HI": ("HC", "HM", "MM"),
    "HC": ("HC",),
    "HI": ("HI",),
    "HM": ("HM",),
    "MM": ("MM",),
}
LONGER, SHORTER = "longer text", "shorter text"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionPair:
    """Two captions of one clip and what each judge said: 1 the first, -1 the second, 0 equal."""

    audio: str
    clip: str
    kind: str
    first: str
    second: str
    votes: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.votes) != len(JUDGES) or not set(self.votes) <= {-1, 0, 1}:
            raise InputError(f"votes are {self.votes}; expected four of -1, 0 and 1")
        if self.kind not in GROUPS["overall"]:
            raise InputError(f"kind is {self.kind!r}; expected one of {GROUPS['overall']}")


def read_pairs(path: Path) -> list[CaptionPair]:
    """The pairs of FENSE's table; raises TableError where a row's sum is not that of its votes."""
    return [row.make(partial(_pair, row)) for row in read_table(path).rows]


def _pair(row: Row) -> CaptionPair:
    votes = tuple(int(row.number(judge)) for judge in JUDGES)
    if sum(votes) != row.number("sum"):
        raise row.error(f"sum is {row.text('sum')}, the votes {votes} make {sum(votes)}")
    return CaptionPair(
        audio=row.text("audio"),
        clip=row.text("clip"),
        kind=row.text("kind"),
        first=row.text("text_a"),
        second=row.text("text_b"),
        votes=votes,
    )


def credit(first: ArrayLike, second: ArrayLike, people: ArrayLike) -> Floats:
    """1 where the higher score is on the people's side, 0 where on the other, 0.5 for equal ones.

    first, second: scores of the two captions, shape (n,); people: sums of votes, none 0, (n,).

    >>> credit([0.9, 0.9, 0.5], [0.1, 0.1, 0.5], [4, -1, 2])
    array([1. , 0. , 0.5])
    """
    gap = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    sides = np.sign(np.asarray(people, np.float64))
    if not sides.all():
        raise InputError("a pair without a decision has no right choice; leave it out")
    result: Floats = (1 + np.sign(gap) * sides) / 2
    return result


def one_against_the_rest(votes: ArrayLike) -> tuple[Floats, NDArray[np.intp]]:
    """Whether a judge sides with the sum of the other judges, and the pair of each vote counted.

    votes: shape (n, judges). Equal votes and votes against a sum of 0 are left out.

    >>> agrees, row = one_against_the_rest([[1, 1, 1, -1], [1, -1, 0, 0]])
    >>> agrees.tolist(), row.tolist()
    ([1.0, 1.0, 1.0, 0.0, 0.0, 0.0], [0, 0, 0, 0, 1, 1])
    """
    given = np.asarray(votes, dtype=np.float64)
    rest = given.sum(axis=1, keepdims=True) - given
    counted = (given != 0) & (rest != 0)
    agrees = (np.sign(given) == np.sign(rest))[counted].astype(np.float64)
    return agrees, np.nonzero(counted)[0]


def judges(pairs: Sequence[CaptionPair]) -> dict[str, Any]:
    """One judge against the other three, over all pairs given, decided or not."""
    agrees, row = one_against_the_rest([pair.votes for pair in pairs])
    clips = [pairs[place].clip for place in row]
    return {
        "votes": len(agrees),
        "clips": len(set(clips)),
        "accuracy": spans(means({"judge": agrees}), clips)["judge"],
    }


def choices(
    scores: Mapping[str, tuple[Floats, Floats]], pairs: Sequence[CaptionPair]
) -> list[dict[str, Any]]:
    """Accuracy of each way to choose and differences, by group of pairs.

    scores: a model -> its scores of the first and of the second captions, shape (pairs,) each.
    """
    people = np.array([sum(pair.votes) for pair in pairs])
    first, second = (np.array([len(t) for t in texts], np.float64) for texts in _texts(pairs))
    ways = {**scores, LONGER: (first, second), SHORTER: (-first, -second)}
    compared = [*paired(list(scores)), *product(scores, (LONGER, SHORTER))]
    groups = []
    for name, kinds in GROUPS.items():
        inside = np.array([pair.kind in kinds for pair in pairs])
        decided = np.flatnonzero(inside & (people != 0)).tolist()
        clips = [pairs[place].clip for place in decided]
        columns = {
            way: credit(a[decided], b[decided], people[decided]) for way, (a, b) in ways.items()
        }
        groups.append(
            {
                "pairs": name,
                "all": int(inside.sum()),
                "n": len(decided),
                "clips": len(set(clips)),
                "accuracy": spans(means(columns), clips),
                "differences": differences(columns, compared, clips),
                "one_judge": judges([pair for pair in pairs if pair.kind in kinds]),
            }
        )
    return groups


def _texts(pairs: Sequence[CaptionPair]) -> tuple[list[str], list[str]]:
    return [pair.first for pair in pairs], [pair.second for pair in pairs]


def score(model: HumanCLAP, pairs: Sequence[CaptionPair], folder: Path) -> tuple[Floats, Floats]:
    """Cosines of each clip with its first and with its second caption, shape (pairs,) each."""
    clips = sorted({pair.audio for pair in pairs})
    heard = dict(zip(clips, model.embed_audio([folder / clip for clip in clips]), strict=True))
    audio = np.stack([heard[pair.audio] for pair in pairs]).astype(np.float64)
    first, second = (model.embed_text(texts).astype(np.float64) for texts in _texts(pairs))
    return (audio * first).sum(axis=1), (audio * second).sum(axis=1)


def main() -> None:
    """Score, judge, print and write."""
    arguments = arguments_of(__doc__, "fense_choices").parse_args()
    folder = arguments.shared / "data" / "fense"
    pairs = read_pairs(folder / "pairs.csv")
    models = load_models(arguments.models, arguments.mn04)
    groups = choices({name: score(model, pairs, folder) for name, model in models.items()}, pairs)
    found = {
        "data": "FENSE AudioCaps-Eval, the pairs whose sound is at hand",
        "n": len(pairs),
        "clips": len({pair.clip for pair in pairs}),
        "cluster": "clip",
        "groups": groups,
    }
    write(arguments, __file__, models, found)
    for group in groups:
        print(f"{group['pairs']:<12}n={group['n']:<5}", group["accuracy"], group["one_judge"])


if __name__ == "__main__":
    main()
