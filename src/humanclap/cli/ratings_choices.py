"""What `humanclap ratings` does with tables of choices and votes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from humanclap.cli.console import emit, text_table
from humanclap.cli.ratings_options import (
    Asked,
    print_counts,
    print_records,
    tell_split,
    undefined_lines,
)
from humanclap.json_values import to_json

if TYPE_CHECKING:
    from humanclap.ratings.choice_screening import ScreenedChoices
    from humanclap.ratings.choice_summary import ChoiceSummary, VoteEstimate
    from humanclap.records import Choice, Votes

COLUMNS = ("split", "kind", "questions", "votes", "listeners", "decided", "equal")
AGREEMENT = ("one judge", "95 %", "of", "alpha", "95 %")
HABITS = ("split", "kind", "for a side", "first shown", "95 %", "p", "repeats", "same", "95 %")


def _tables(asked: Asked) -> tuple[list[Choice], list[Votes]]:
    """All answers of listeners, or all votes of tables that name no listeners."""
    from humanclap.ratings.choices import read_choice_tables
    from humanclap.records import Choice, Votes

    read = read_choice_tables(asked.files)
    answers = [one for one in read if isinstance(one, Choice)]
    return answers, [one for one in read if isinstance(one, Votes)]


def _table(asked: Asked) -> Path | None:
    """The file that line numbers belong to, where there is only one."""
    return asked.files[0] if len(asked.files) == 1 else None


def _screened(answers: Sequence[Choice], asked: Asked) -> ScreenedChoices:
    """What the rules keep and exclude; raises UsageError where the tables hold votes."""
    from humanclap.ratings.choice_screening import screen_choices

    if not answers:
        raise click.UsageError(f"{asked.files[0]} holds votes; there are no listeners to screen")
    return screen_choices(answers, asked.rules)


def _chosen(asked: Asked) -> tuple[list[Choice], list[Votes]]:
    """The answers that the rules keep, or the votes, of the splits and kinds asked for."""
    answers, votes = _tables(asked)
    if not answers and not set(asked.rules) - {"none"}:
        return [], asked.chosen_of(votes, what="question")
    screened = _screened(answers, asked)
    for rule, count in Counter(one.rule for one in screened.exclusions).items():
        asked.remark(f"{rule}: {count} of {len(answers)} choices excluded")
    return asked.chosen_of(screened.kept, what="choice"), []


def summary(asked: Asked, *, output: Path | None, as_json: bool, listeners: Path | None) -> None:
    """Print counts, agreement, order effect and repeats; write how each listener chose."""
    from humanclap.ratings.choice_summary import (
        ChoosingListener,
        summarise_choices,
        summarise_listeners,
    )
    from humanclap.tables import write_records

    answers, votes = _chosen(asked)
    _tell_checks([*answers, *votes], asked)
    groups = summarise_choices(answers or votes, path=_table(asked))
    if listeners is not None:
        if not answers:
            raise click.UsageError(f"{asked.files[0]} holds votes; it names no listeners")
        write_records(listeners, summarise_listeners(answers), record_type=ChoosingListener)
    if as_json:
        emit(to_json([asdict(group) for group in groups]), output=output)
        return
    parts = [text_table((*COLUMNS, *AGREEMENT), [_agreement_row(group) for group in groups])]
    if any(group.shown_first.n or group.repeats.n for group in groups):
        parts += ["", text_table(HABITS, [_habit_row(group) for group in groups])]
    undefined = undefined_lines(_undefined(groups, by_listener=bool(answers)))
    emit("\n".join([*parts, *undefined]), output=output)


def _tell_checks(records: Sequence[Choice | Votes], asked: Asked) -> None:
    checks = sum(one.is_check for one in records)
    if checks:
        asked.remark(f"{checks} attention checks left out")


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


def _undefined(
    groups: Sequence[ChoiceSummary], *, by_listener: bool
) -> Iterator[tuple[str, str, str]]:
    """by_listener: the tables name listeners; else nothing is known of order and repeats."""
    for group in groups:
        found = {"one judge": group.one_judge, "alpha": group.alpha_ordinal}
        if by_listener:
            found |= {"first shown": group.shown_first, "same": group.repeats}
        for name, figure in found.items():
            if figure.reason:
                yield f"{group.split} {group.kind}", name, figure.reason


def screen(asked: Asked, output: Path, *, exclusions: Path | None, as_json: bool) -> None:
    """Write the choices that rules keep, and what they exclude; print the counts."""
    from humanclap.choices import write_choices
    from humanclap.ratings.choice_screening import ChoiceExclusion, count_screened_choices
    from humanclap.tables import write_records

    answers, _ = _tables(asked)
    screened = _screened(answers, asked)
    write_choices(output, asked.chosen_of(screened.kept, what="choice"))
    if exclusions is not None:
        write_records(exclusions, screened.exclusions, record_type=ChoiceExclusion)
    columns = ("", "choices", "checks", "questions", "listeners")
    print_records(count_screened_choices(answers, screened), columns, as_json=as_json)


def aggregate(asked: Asked, output: Path, *, include_anchors: bool, as_json: bool) -> None:
    """Write the votes on each question; print the counts."""
    from humanclap.errors import InputError
    from humanclap.ratings.choices import write_aggregate
    from humanclap.votes import votes_of

    answers, votes = _chosen(asked)
    every: list[Choice | Votes] = [*answers, *votes]
    left_out = [one for one in every if not one.is_asked(include_anchors=include_anchors)]
    _tell_checks(left_out, asked)
    answers = [one for one in answers if one.is_asked(include_anchors=include_anchors)]
    votes = [one for one in votes if one.is_asked(include_anchors=include_anchors)]
    votes = votes or votes_of(answers, include_anchors=True, path=_table(asked))
    repeats = len(answers) - sum(one.n for one in votes)
    if repeats > 0:
        asked.remark(f"{repeats} repeats have no second vote")
    if not votes:
        raise InputError("there are only attention checks; nothing is left to aggregate")
    write_aggregate(output, votes)
    print_counts(votes, as_json)


def split(
    asked: Asked, output: Path, shares: Mapping[str, float], seed: int, *, as_json: bool
) -> None:
    """Write the choices or votes with splits that share no clip and no caption."""
    from humanclap.choices import write_choices
    from humanclap.ratings.choices import write_aggregate
    from humanclap.ratings.split import assign_splits

    answers, votes = _tables(asked)
    if answers:
        answers = assign_splits(answers, shares, seed)
        write_choices(output, answers)
        tell_split(answers, shares, as_json=as_json, asked=asked)
    else:
        votes = assign_splits(votes, shares, seed)
        write_aggregate(output, votes)
        tell_split(votes, shares, as_json=as_json, asked=asked)
