"""`humanclap ratings`: read, screen, summarise, aggregate and split ratings and choices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from humanclap.cli.console import emit, output_options, text_table
from humanclap.cli.ratings_options import (
    FILE,
    Asked,
    print_counts,
    print_records,
    reading_options,
    screening_options,
    table_output_options,
    tell_split,
    undefined_lines,
)
from humanclap.json_values import to_json
from humanclap.scale import RatingScale, ask_for_scale

if TYPE_CHECKING:
    from humanclap.ratings.screening import ScreenedRatings
    from humanclap.ratings.summary import GroupSummary
    from humanclap.records import Rating, Target

SUMMARY_COLUMNS = (
    *("question", "split", "system", "ratings", "pairs", "listeners", "mean", "MOS"),
    *("ICC", "LOO", "half", "SB"),
)


@click.group(epilog="Example: humanclap ratings summary REL.csv --screen relate")
def ratings() -> None:
    """Read, screen, summarise and aggregate what people said: ratings and choices.

    The columns tell what a table holds. Ratings are in RELATE's form (REL, IS, OS), in XACLE's, or
    in the plain one: audio, text, score, listener_id [, question, kind, system, subset, split,
    expected].

    Choices have audio, text_a, text_b, choice, listener_id, or text, audio_a, audio_b, choice,
    listener_id [, kind, system_a, system_b, split, expected, shown_first, duration_s, repeat]; the
    choice is first, second or equal. Votes have n_first, n_second, n_equal, or judge1, judge2, ...,
    in place of choice and listener_id; FENSE's JSON is read too.
    """


def _read(asked: Asked) -> list[Rating]:
    from humanclap.ratings.read import read_ratings

    read = read_ratings(*asked.files, question=asked.question, scale=asked.rating_scale)
    kept = [rating for rating in read if asked.question in (None, rating.question)]
    if len(kept) < len(read):
        asked.remark(f"{len(read) - len(kept)} ratings answer another question")
    return kept


def _screened(read: Sequence[Rating], asked: Asked) -> ScreenedRatings:
    from humanclap.ratings.screening import screen

    screened = screen(read, asked.rules)
    for rule, count in Counter(exclusion.rule for exclusion in screened.exclusions).items():
        asked.remark(f"{rule}: {count} of {len(read)} ratings excluded")
    return screened


def _tell_left_out(kept: Sequence[Rating], kinds: set[str], asked: Asked) -> None:
    for kind, count in Counter(rating.kind for rating in kept).items():
        if kind not in kinds:
            asked.remark(f"{count} ratings of kind {kind} left out")


@ratings.command(epilog="Example: humanclap ratings summary REL.csv --screen relate")
@reading_options
@screening_options
@output_options
@click.option("--listeners", type=FILE, help="Choices: table of how each listener chose.")
def summary(asked: Asked, output: Path | None, as_json: bool, listeners: Path | None) -> None:
    """Count ratings, and say how far listeners agree.

    One row for each split and system. mean: of all ratings; MOS: mean over pairs of each pair's
    mean; ICC: ICC(1), one way; LOO: SRCC of one rating against the mean of the others on its pair;
    half: split-half SRCC; SB: the same stepped up to all listeners (Spearman-Brown), undefined
    where the halves disagree. A dash means undefined; the reason is below the table.

    For choices: how far single votes and the rest agree, Krippendorff's alpha, how often people
    chose the side shown first, and how often they repeat their answer.
    """
    from humanclap.ratings.summary import summarise

    if asked.hold_choices():
        from humanclap.cli import ratings_choices as choices

        choices.summary(asked, output=output, as_json=as_json, listeners=listeners)
        return
    if listeners is not None:
        raise click.UsageError("--listeners is for choices")
    chosen = asked.chosen_of(_screened(_read(asked), asked).kept)
    _tell_left_out(chosen, {"rating"}, asked)
    groups = summarise(chosen)
    if as_json:
        emit(to_json([asdict(group) for group in groups]), output=output)
        return
    table = text_table(SUMMARY_COLUMNS, [_summary_row(group) for group in groups])
    emit("\n".join([table, *undefined_lines(_undefined(groups))]), output=output)


_RELIABILITY = {
    "icc": "ICC",
    "leave_one_out_srcc": "LOO",
    "split_half_srcc": "half",
    "spearman_brown": "SB",
}


def _undefined(groups: Sequence[GroupSummary]) -> Iterator[tuple[str, str, str]]:
    for group in groups:
        place = " ".join((group.question, group.split, group.system))
        for name, why in group.reliability.undefined.items():
            yield place, _RELIABILITY[name], why


def _summary_row(group: GroupSummary) -> list[object]:
    agreed = group.reliability
    return [
        group.question,
        group.split,
        group.system,
        agreed.n_ratings,
        agreed.n_pairs,
        group.n_listeners,
        f"{group.mean_rating:.2f}",
        f"{group.mean_mos:.2f}",
        agreed.icc,
        agreed.leave_one_out_srcc,
        agreed.split_half_srcc,
        agreed.spearman_brown,
    ]


@ratings.command(
    epilog="Example: humanclap ratings screen REL.csv --screen relate -o kept.csv "
    "--exclusions excluded.csv"
)
@reading_options
@screening_options
@table_output_options
@click.option("--exclusions", type=FILE, help="Table of what was excluded, by which rule and why.")
def screen(asked: Asked, output: Path, as_json: bool, exclusions: Path | None) -> None:
    """Write the ratings that screening rules keep.

    They are written as a plain table; --exclusions gets what the rules exclude.

    Rules: relate (a listener's three anchors), published (the publisher's own column), spo
    (another answer within 5), attention (no failed check). For choices: attention, one-side (the p
    of a listener's sides is at least 0.001; one-side=0.01 sets another limit), fast (the median
    time is at least 2 s; fast=1.5 sets another).
    """
    from humanclap.ratings.plain import write_plain
    from humanclap.ratings.screening import Exclusion, count_screened, screen
    from humanclap.tables import write_records

    if asked.hold_choices():
        from humanclap.cli import ratings_choices as choices

        choices.screen(asked, output, exclusions=exclusions, as_json=as_json)
        return
    screened = screen(_read(asked), asked.rules)
    write_plain(output, asked.chosen_of(screened.kept))
    if exclusions is not None:
        write_records(exclusions, screened.exclusions, record_type=Exclusion)
    columns = ("", "ratings", "anchors", "pairs", "listeners")
    print_records(count_screened(screened), columns, as_json=as_json)


@ratings.command(
    epilog="Example: humanclap ratings aggregate REL.csv --screen relate --split train "
    "-o targets.csv"
)
@reading_options
@screening_options
@table_output_options
@click.option("--include-anchors", is_flag=True, help="Make targets of anchors too (kind anchor).")
@click.option(
    "--standardise",
    is_flag=True,
    help="First take out how each listener uses the scale: mean and spread.",
)
def aggregate(
    asked: Asked, output: Path, as_json: bool, include_anchors: bool, standardise: bool
) -> None:
    """Write a target for each pair: its mean rating.

    A target has the mean rating, n, its standard error, and the mean mapped to 0..1.

    A single table of XACLE averages is taken as it is (4 listeners a pair). For choices, each row
    has the votes on a question, the share of the side a, and its interval.
    """
    from humanclap.ratings.read import table_kind
    from humanclap.records import Target
    from humanclap.tables import write_records
    from humanclap.xacle import read_averages

    if asked.hold_choices(standardise=standardise):
        from humanclap.cli import ratings_choices as choices

        choices.aggregate(asked, output, include_anchors=include_anchors, as_json=as_json)
        return
    if len(asked.files) == 1 and table_kind(asked.files[0]) == "averages":
        if asked.rules or asked.splits or asked.without or include_anchors or standardise:
            raise click.UsageError("a table of averages has no listeners to screen or standardise")
        targets = read_averages(asked.files[0], scale=asked.rating_scale)
    else:
        targets = _targets(asked, include_anchors=include_anchors, standardise=standardise)
    write_records(output, targets, record_type=Target)
    print_counts(targets, as_json)


def _targets(asked: Asked, *, include_anchors: bool, standardise: bool) -> list[Target]:
    from humanclap.ratings.aggregate import aggregate
    from humanclap.ratings.standardise import standardise_on_scale

    read, scale = _read(asked), asked.rating_scale
    where = str(asked.files[0])
    ask_for_scale([rating.score for rating in read], scale, where=where, option="--scale")
    kept: Sequence[Rating] = _screened(read, asked).kept
    if standardise:
        kept, n_clipped = standardise_on_scale(kept, scale)
        asked.remark(f"{n_clipped} standardised ratings set to an end of the scale")
    chosen = asked.chosen_of(kept)
    _tell_left_out(chosen, {"rating", "anchor"} if include_anchors else {"rating"}, asked)
    # The whole table has left no doubt about its scale; a part of it need not ask again.
    stated = RatingScale(low=scale.low, high=scale.high)
    return aggregate(chosen, scale=stated, include_anchors=include_anchors)


@ratings.command(epilog="Example: humanclap ratings split targets.csv --seed 1 -o split.csv")
@reading_options
@table_output_options
@click.option(
    "--fractions", default="train=0.8,validation=0.1,test=0.1", help="Share of each split."
)
@click.option("--seed", default=0, help="Seed of the split: another seed, another split.")
def split(asked: Asked, output: Path, as_json: bool, fractions: str, seed: int) -> None:
    """Give pairs new splits that share no clip or caption.

    Takes ratings of any form (and writes a plain table), one table of targets, or choices. Each
    split gets its share of the ratings and of the anchors, as far as pairs that share a clip or a
    caption allow. The counts say what each split holds; `share` is its share of the kind's pairs.
    """
    from humanclap.ratings.plain import write_plain
    from humanclap.ratings.read import table_kind
    from humanclap.ratings.split import assign_splits, parse_fractions
    from humanclap.records import Target
    from humanclap.tables import read_targets, write_records

    shares = parse_fractions(fractions)
    if asked.hold_choices():
        from humanclap.cli import ratings_choices as choices

        choices.split(asked, output, shares, seed, as_json=as_json)
    elif len(asked.files) == 1 and table_kind(asked.files[0]) == "targets":
        targets = assign_splits(read_targets(asked.files[0]), shares, seed)
        write_records(output, targets, record_type=Target)
        tell_split(targets, shares, as_json=as_json, asked=asked)
    else:
        split_ratings = assign_splits(_read(asked), shares, seed)
        write_plain(output, split_ratings)
        tell_split(split_ratings, shares, as_json=as_json, asked=asked)
