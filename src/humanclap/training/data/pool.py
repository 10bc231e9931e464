"""Rated pairs and choices that are divided together, and what they are compared by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from humanclap.errors import InputError
from humanclap.grouping import grouped_split
from humanclap.training.data.choices import ChoiceExample, Side, sides_of
from humanclap.training.data.dataset import Example

CHOICE_STRATUM = "choice"
"""What sides of choices are when pairs are divided; rated pairs are of their own kind."""
Item = TypeVar("Item", Example, Side)


@dataclass(frozen=True, slots=True)
class Pool:
    """Rated pairs and choices."""

    rated: tuple[Example, ...] = ()
    choices: tuple[ChoiceExample, ...] = ()

    def where(self, wanted: Callable[[Example | ChoiceExample], bool]) -> Pool:
        """Those of both that are wanted."""
        return Pool(tuple(filter(wanted, self.rated)), tuple(filter(wanted, self.choices)))

    def of(self, *splits: str | None) -> Pool:
        """Those of these splits."""
        return self.where(lambda item: item.split in splits)

    def without(self, others: Pool) -> Pool:
        """Those that are not among the others."""
        known = {id(item) for item in (*others.rated, *others.choices)}
        return self.where(lambda item: id(item) not in known)

    def identities(self, *, captions: bool) -> list[Example | Side]:
        """Rated pairs, then both sides of every choice, as compared between splits: by the clip's
        full path and, with `captions`, by the caption.
        """
        rated = [identity_of(item, caption=captions) for item in self.rated]
        sides = [identity_of(side, caption=captions) for side in sides_of(self.choices)]
        return [*rated, *sides]

    def joined(self, *, captions: bool) -> list[Example | Side]:
        """As `identities`, but such that `grouping` keeps both sides of a choice together.

        Without captions they share a name of the question's own, so that only their clips tie them
        to others.
        """
        found = self.identities(captions=captions)
        if not captions:
            for place, side in enumerate(found[len(self.rated) :]):
                of_choice = replace(side, text=f"sides of the choice {place // 2}")
                found[len(self.rated) + place] = of_choice
        return found

    def having(self, values: Sequence[object], wanted: object) -> Pool:
        """Those of this value; values: one for each of `joined`."""
        count = len(self.rated)
        rated = zip(self.rated, values[:count], strict=True)
        choices = zip(self.choices, values[count::2], strict=True)
        return Pool(
            tuple(item for item, value in rated if value == wanted),
            tuple(item for item, value in choices if value == wanted),
        )

    def divided(self, fraction: float, *, captions: bool, by_kind: bool) -> tuple[Pool, Pool]:
        """Training and validation, by whole groups that share no clip (and no caption).

        fraction: of both for validation; by_kind: of each kind of rated pair too. Raises
        InputError for a fraction outside (0, 1).
        """
        if not 0 < fraction < 1:
            raise InputError(f"validation fraction is {fraction:g}; expected between 0 and 1")
        known = self.joined(captions=captions)
        strata = [item.kind if by_kind else "" for item in self.rated]
        strata += [CHOICE_STRATUM] * (2 * len(self.choices))
        shares = {"train": 1 - fraction, "validation": fraction}
        split_of = grouped_split(known, shares, strata=strata)
        found = [split_of[item.pair_id] for item in known]
        return self.having(found, "train"), self.having(found, "validation")


def identity_of(item: Item, *, caption: bool) -> Item:
    """The item under its file's full path; without its caption it can share only its clip."""
    clip = str(item.path.resolve())
    return replace(item, audio=clip, text=item.text if caption else f"of {clip}")
