"""What `humanclap ratings` does with tables of choices and votes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from humanclap.cli.console import emit, remark, text_table
from humanclap.cli.ratings_options import chosen_of, print_counts, tell_split
from humanclap.json_values import to_json

if TYPE_CHECKING:
    from humanclap.ratings.choice_screening import ScreenedChoices
    from humanclap.ratings.choice_summary import ChoiceSummary, VoteEstimate
    from humanclap.records import Choice, Votes

COLUMNS = ("split", "kind", "questions", "votes", "listeners", "decided", "equal")
AGREEMENT = ("one judge", "95 %", "of", "alpha", "95 %")
HABITS = ("split", "kind", "for a side", "first shown", "95 %", "p", "repeats", "same", "95 %")


@dataclass(frozen=True, slots=True)
class Read:
    """The tables and what to take of them."""

    files: tuple[Path, ...]
    rules: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    quiet: bool = False

    @property
    def path(self) -> Path | None:
        """The file that a line number is of, where there is one file."""
        return self.files[0] if len(self.files) == 1 else None

    def tables(self) -> tuple[list[Choice], list[Votes]]:
        """All answers of listeners, or all votes of tables that name no listeners."""
        from humanclap.ratings.choices import read_choice_tables
        from humanclap.records import Choice, Votes

        read = read_choice_tables(self.files)
        answers = [one for one in read if isinstance(one, Choice)]
        return answers, [one for one in read if isinstance(one, Votes)]

    def screened(self, answers: Sequence[Choice]) -> ScreenedChoices:
        """The answers as the rules part them; raises UsageError where there are none."""
        from humanclap.ratings.choice_screening import screen_choices

        if not answers:
            raise click.UsageError(f"{self.files[0]} holds votes; there are no listeners to screen")
        return screen_choices(answers, self.rules)

    def chosen(self) -> tuple[list[Choice], list[Votes]]:
        """The answers that the rules keep, or the votes, of these splits and kinds."""
        answers, votes = self.tables()
        if answers or set(self.rules) - {"none"}:
            screened = self.screened(answers)
            for rule, count in Counter(one.rule for one in screened.exclusions).items():
                remark(f"{rule}: {count} of {len(answers)} choices excluded", quiet=self.quiet)
            kept = screened.kept
            return chosen_of(kept, self.splits, self.without, self.quiet, what="choice"), []
        return [], chosen_of(votes, self.splits, self.without, self.quiet, what="question")


def summary(read: Read, *, output: Path | None, as_json: bool, listeners: Path | None) -> None:
    """Print counts, agreement, order effect and repeats; write how each listener chose."""
    from humanclap.ratings.choice_summary import (
        ChoosingListener,
        summarise_choices,
        summarise_listeners,
    )
    from humanclap.tables import write_records

    answers, votes = read.chosen()
    _tell_checks([*answers, *votes], read.quiet)
    groups = summarise_choices(answers or votes, path=read.path)
    if listeners is not None:
        if not answers:
            raise click.UsageError(f"{read.files[0]} holds votes; it names no listeners")
        write_records(listeners, summarise_listeners(answers), record_type=ChoosingListener)
    if as_json:
        emit(to_json([asdict(group) for group in groups]), output=output)
        return
    parts = [text_table((*COLUMNS, *AGREEMENT), [_agreement_row(group) for group in groups])]
    if any(group.shown_first.n or group.repeats.n for group in groups):
        parts += ["", text_table(HABITS, [_habit_row(group) for group in groups])]
    emit("\n".join([*parts, *_undefined(groups, by_listener=bool(answers))]), output=output)


def _tell_checks(records: Sequence[Choice | Votes], quiet: bool) -> None:
    checks = sum(one.is_check for one in records)
    if checks:
        remark(f"{checks} attention checks left out", quiet=quiet)


def _agreement_row(group: ChoiceSummary) -> list[object]:
    return [
        group.split,
        group.kind,
        group.n_questions,
        group.n_votes,
        group.n_listeners or "–",
        group.n_decided,
        group.share_equal,
        *_with_ends(group.one_judge),
        group.one_judge.n,
        *_with_ends(group.alpha_ordinal),
    ]


def _habit_row(group: ChoiceSummary) -> list[object]:
    return [
        group.split,
        group.kind,
        group.shown_first.n,
        *_with_ends(group.shown_first),
        f"{group.p_order:.2g}" if group.shown_first.n else "–",
        group.repeats.n,
        *_with_ends(group.repeats),
    ]


def _with_ends(found: VoteEstimate) -> tuple[object, str]:
    """A value and its interval in words."""
    ends = "–" if found.low != found.low else f"{found.low:.3f}..{found.high:.3f}"
    return found.value, ends


def _undefined(groups: Sequence[ChoiceSummary], *, by_listener: bool) -> list[str]:
    """`alpha undefined (– all): why`, a line for each reason and where it holds.

    by_listener: without listeners nobody can be shown a side first, or answer twice.
    """
    places: dict[tuple[str, str], list[str]] = {}
    for group in groups:
        for name, found in (
            ("one judge", group.one_judge),
            ("alpha", group.alpha_ordinal),
            ("first shown", group.shown_first),
            ("same", group.repeats),
        ):
            if found.reason and (by_listener or name in ("one judge", "alpha")):
                places.setdefault((name, found.reason), []).append(f"{group.split} {group.kind}")
    return [f"{name} undefined ({', '.join(at)}): {why}" for (name, why), at in places.items()]


def screen(read: Read, output: Path, *, exclusions: Path | None, as_json: bool) -> None:
    """Write the choices that rules keep, and what they exclude; print the counts."""
    from humanclap.choices import write_choices
    from humanclap.ratings.choice_screening import ChoiceExclusion, count_screened_choices
    from humanclap.tables import write_records

    answers, _ = read.tables()
    screened = read.screened(answers)
    kept = chosen_of(screened.kept, read.splits, read.without, read.quiet, what="choice")
    write_choices(output, kept)
    if exclusions is not None:
        write_records(exclusions, screened.exclusions, record_type=ChoiceExclusion)
    counts = count_screened_choices(answers, screened)
    if as_json:
        emit(to_json([asdict(count) for count in counts]), output=None)
        return
    rows = [(c.outcome, c.n_choices, c.n_checks, c.n_questions, c.n_listeners) for c in counts]
    emit(text_table(("", "choices", "checks", "questions", "listeners"), rows), output=None)


def aggregate(read: Read, output: Path, *, include_anchors: bool, as_json: bool) -> None:
    """Write the votes on each question; print the counts."""
    from humanclap.errors import InputError
    from humanclap.ratings.choices import write_aggregate
    from humanclap.votes import votes_of

    answers, votes = read.chosen()
    every: list[Choice | Votes] = [*answers, *votes]
    left_out = [one for one in every if not one.is_asked(include_anchors=include_anchors)]
    _tell_checks(left_out, read.quiet)
    answers = [one for one in answers if one.is_asked(include_anchors=include_anchors)]
    votes = [one for one in votes if one.is_asked(include_anchors=include_anchors)]
    votes = votes or votes_of(answers, include_anchors=True, path=read.path)
    repeats = len(answers) - sum(one.n for one in votes)
    if repeats > 0:
        remark(f"{repeats} repeats have no second vote", quiet=read.quiet)
    if not votes:
        raise InputError("there are only attention checks; nothing is left to aggregate")
    write_aggregate(output, votes)
    print_counts(votes, as_json)


def split(
    read: Read,
    output: Path,
    shares: Mapping[str, float],
    seed: int,
    *,
    as_json: bool,
) -> None:
    """Write the choices or votes with splits that share no clip and no caption."""
    from humanclap.choices import write_choices
    from humanclap.ratings.choices import write_aggregate
    from humanclap.ratings.split import assign_splits

    answers, votes = read.tables()
    if answers:
        answers = assign_splits(answers, shares, seed)
        write_choices(output, answers)
        tell_split(answers, shares, as_json=as_json, quiet=read.quiet)
    else:
        votes = assign_splits(votes, shares, seed)
        write_aggregate(output, votes)
        tell_split(votes, shares, as_json=as_json, quiet=read.quiet)
