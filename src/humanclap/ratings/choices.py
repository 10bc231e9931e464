"""Tables of choices for `humanclap ratings`: answers of listeners, or votes without listeners."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from humanclap.choices import read_choices, read_votes, write_votes
from humanclap.errors import InputError
from humanclap.metrics.vote_agreement import wilson
from humanclap.ratings.read import table_kind
from humanclap.records import Choice, Votes


def hold_choices(paths: Sequence[str | Path]) -> bool:
    """Whether the columns of these tables show choices or votes.

    Raises InputError where some are and others are not.
    """
    found = [table_kind(path) in ("choices", "votes") for path in paths]
    if any(found) and not all(found):
        choices, other = paths[found.index(True)], paths[found.index(False)]
        raise InputError(f"{choices} holds choices and {other} does not; give them in two commands")
    return all(found)


def read_choice_tables(paths: Sequence[str | Path]) -> list[Choice] | list[Votes]:
    """All tables end to end: answers of listeners, or the votes of tables that name no listeners.

    Attention checks are included. Raises InputError where tables of both sorts are given, and as
    `humanclap.choices.read_choices` and `read_votes`.
    """
    by_listener = [table_kind(path) == "choices" for path in paths]
    if all(by_listener):
        return read_choices(*paths)
    if any(by_listener):
        named, counted = paths[by_listener.index(True)], paths[by_listener.index(False)]
        raise InputError(
            f"{named} names the listeners and {counted} does not; aggregate the first alone "
            "(humanclap ratings aggregate)"
        )
    return [votes for path in paths for votes in read_votes(path, include_anchors=True)]


def write_aggregate(path: str | Path, votes: Sequence[Votes]) -> None:
    """Write votes with the share of a and its 95 % interval (`wilson`, equal votes as halves)."""
    half = np.array([one.n_first + one.n_equal / 2 for one in votes])
    low, high = wilson(half, np.array([one.n for one in votes]))
    write_votes(path, votes, {"share_low": low.tolist(), "share_high": high.tolist()})
