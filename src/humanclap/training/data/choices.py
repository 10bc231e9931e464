"""People's choices with their files: which of two texts fits a clip, which of two clips a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from humanclap.choices import read_votes
from humanclap.metrics.choice_accuracy import credit
from humanclap.records import Votes, pair_id_of
from humanclap.training.data.dataset import audio_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two pairs of a choice; audio: as the table writes it, path: the file itself."""

    audio: str
    text: str
    path: Path
    where: str

    @property
    def pair_id(self) -> str:
        """Name of the pair, as of a rated one."""
        return pair_id_of(self.audio, self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceExample:
    """A question that people answered, all of them together, and where its clips lie.

    share: of the votes for the first side, an equal one counting half, in [0, 1]; votes: how many
    there are; where: table and question, for errors; systems: what made the sides, where named.
    """

    first: Side
    second: Side
    share: float
    votes: int
    where: str
    split: str | None = None
    kind: str | None = None
    systems: tuple[str, ...] = ()

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both, the first first."""
        return self.first, self.second

    @property
    def clips(self) -> tuple[Side, ...]:
        """A side for each clip that is heard: one, where the sides differ in their texts."""
        return self.sides[:1] if self.between == "texts" else self.sides

    @property
    def between(self) -> str:
        """What the choice is between: `texts` of one clip, or `clips` of one text."""
        return "texts" if self.first.path == self.second.path else "clips"

    @property
    def cluster(self) -> str:
        """What both sides have in common: the clip, or the text."""
        return str(self.first.path) if self.between == "texts" else self.first.text

    @property
    def decided(self) -> bool:
        """Whether more people chose one side than the other, and the sides differ."""
        return self.share != 0.5 and self.first != self.second


def read_choice_examples(
    table: str | Path, *, audio_root: str | Path | None = None
) -> list[ChoiceExample]:
    """Read choices or votes in any form of `choices.read_votes`; paths as in `read_examples`.

    Files are not looked for yet. Raises TableError, InputError.
    """
    root = audio_folder(table, audio_root)
    return [choice_example_of(votes, root=root, table=table) for votes in read_votes(table)]


def choice_example_of(votes: Votes, *, root: Path, table: str | Path) -> ChoiceExample:
    """Votes as training takes them; relative clips start at `root`."""
    where = f"{table} ({_question_of(votes)})"

    def side(audio: str, text: str) -> Side:
        return Side(audio=audio, text=text, path=root / audio, where=where)

    audio_b = votes.audio_a if votes.between == "texts" else votes.audio_b  # however it is written

    return ChoiceExample(
        first=side(votes.audio_a, votes.text_a),
        second=side(audio_b, votes.text_b),
        share=votes.share,
        votes=votes.n,
        where=where,
        split=votes.split,
        kind=votes.kind,
        systems=tuple(filter(None, (votes.system_a, votes.system_b))),
    )


def _question_of(votes: Votes) -> str:
    if votes.between == "texts":
        return f"{votes.audio_a}: {votes.text_a!r} or {votes.text_b!r}"
    return f"{votes.text_a!r}: {votes.audio_a} or {votes.audio_b}"


def sides_of(choices: Sequence[ChoiceExample]) -> tuple[Side, ...]:
    """Both sides of every choice, in order."""
    return tuple(side for choice in choices for side in choice.sides)


def credits(
    gaps: NDArray[np.float64], choices: Sequence[ChoiceExample]
) -> tuple[NDArray[np.float64], list[str]]:
    """Of the decided choices: 1 where the model sides with most people, 0.5 where it calls both
    equal, 0 where it does not; and the clip or text that the sides of each share.

    gaps: score of the first less that of the second side, (n,).
    """
    shares = np.array([choice.share for choice in choices], dtype=np.float64)
    decided = np.array([choice.decided for choice in choices], dtype=bool)
    earned = credit(gaps[decided], shares[decided] - 0.5)
    return earned, [choice.cluster for choice in choices if choice.decided]


def accuracy(gaps: NDArray[np.float64], choices: Sequence[ChoiceExample]) -> float:
    """Mean of `credits`; NaN where no choice is decided or a gap is not finite."""
    earned, _ = credits(gaps, choices)
    return float(earned.mean()) if len(earned) else float("nan")
