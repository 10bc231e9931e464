"""`humanclap ratings`: read, screen, summarise, aggregate and split ratings and choices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from humanclap.cli.console import emit, output_options, remark, text_table
from humanclap.cli.ratings_options import (
    FILE,
    chosen_of,
    print_counts,
    reading_options,
    screening_options,
    table_output_options,
    tell_split,
)
from humanclap.json_values import to_json
from humanclap.scale import UNSTATED, RatingScale, ask_for_scale

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

    Tables may be RELATE's (REL, IS, OS), XACLE's or the plain long form: audio, text, score,
    listener_id [, question, kind, system, subset, split, expected]; told apart by their columns.

    Choices: audio, text_a, text_b, choice, listener_id, or text, audio_a, audio_b, choice,
    listener_id [, kind, system_a, system_b, split, expected, shown_first, duration_s, repeat], with
    first, second or equal as the choice; or votes: n_first, n_second, n_equal, or judge1, judge2,
    ..., or FENSE's JSON.
    """


def _are_choices(files: Sequence[Path], **for_ratings: object) -> bool:
    """Whether the files hold choices; raises UsageError for options that only ratings have."""
    from humanclap.ratings.choices import hold_choices

    if not hold_choices(files):
        return False
    for name, value in for_ratings.items():
        if value:
            raise click.UsageError(f"--{name} is for ratings; {files[0]} holds choices")
    return True


def _read(
    files: Sequence[Path], question: str | None, scale: str | None, quiet: bool
) -> list[Rating]:
    from humanclap.ratings.read import read_ratings

    read = read_ratings(*files, question=question, scale=_on_scale(scale))
    kept = [rating for rating in read if question in (None, rating.question)]
    if len(kept) < len(read):
        remark(f"{len(read) - len(kept)} ratings answer another question", quiet=quiet)
    return kept


def _on_scale(scale: str | None) -> RatingScale:
    return UNSTATED if scale is None else RatingScale.parse(scale)


def _screened(read: Sequence[Rating], rules: Sequence[str], quiet: bool) -> ScreenedRatings:
    from humanclap.ratings.screening import screen

    screened = screen(read, rules)
    for rule, count in Counter(exclusion.rule for exclusion in screened.exclusions).items():
        remark(f"{rule}: {count} of {len(read)} ratings excluded", quiet=quiet)
    return screened


def _tell_left_out(kept: Sequence[Rating], kinds: set[str], quiet: bool) -> None:
    for kind, count in Counter(rating.kind for rating in kept).items():
        if kind not in kinds:
            remark(f"{count} ratings of kind {kind} left out", quiet=quiet)


@ratings.command(epilog="Example: humanclap ratings summary REL.csv --screen relate")
@reading_options
@screening_options
@output_options
@click.option("--listeners", type=FILE, help="Choices: table of how each listener chose.")
def summary(
    files: tuple[Path, ...],
    question: str | None,
    scale: str | None,
    rules: tuple[str, ...],
    splits: tuple[str, ...],
    without: tuple[str, ...],
    output: Path | None,
    quiet: bool,
    as_json: bool,
    listeners: Path | None,
) -> None:
    """Ratings, pairs, listeners, means and reliability, per split and system.

    mean: of all ratings; MOS: mean over pairs of the pair's mean; ICC: ICC(1), one way; LOO: SRCC
    of one rating against the mean of the others on its pair; half: split-half SRCC; SB: the same
    stepped up to all listeners (Spearman-Brown), undefined where the halves disagree. A dash is
    undefined; the reason stands below the table.

    Of choices: one judge against the rest, Krippendorff's alpha, what stood first, repeats.
    """
    from humanclap.ratings.summary import summarise

    if _are_choices(files, question=question, scale=scale):
        from humanclap.cli import ratings_choices as choices

        found = choices.Read(files, rules, splits, without, quiet=quiet)
        choices.summary(found, output=output, as_json=as_json, listeners=listeners)
        return
    if listeners is not None:
        raise click.UsageError("--listeners is for choices")
    kept = _screened(_read(files, question, scale, quiet), rules, quiet).kept
    chosen = chosen_of(kept, splits, without, quiet)
    _tell_left_out(chosen, {"rating"}, quiet)
    groups = summarise(chosen)
    if as_json:
        emit(to_json([asdict(group) for group in groups]), output=output)
        return
    table = text_table(SUMMARY_COLUMNS, [_summary_row(group) for group in groups])
    emit("\n".join([table, *_undefined(groups)]), output=output)


_RELIABILITY = {
    "icc": "ICC",
    "leave_one_out_srcc": "LOO",
    "split_half_srcc": "half",
    "spearman_brown": "SB",
}


def _undefined(groups: Sequence[GroupSummary]) -> list[str]:
    """`ICC, LOO undefined (REL test tango): why`, a line for each reason and where it holds."""
    by_place: dict[tuple[str, str], list[str]] = {}
    for group in groups:
        place = " ".join((group.question, group.split, group.system))
        for name, why in group.reliability.undefined.items():
            by_place.setdefault((place, why), []).append(_RELIABILITY[name])
    places: dict[tuple[str, str], list[str]] = {}
    for (place, why), names in by_place.items():
        places.setdefault((", ".join(names), why), []).append(place)
    return [
        f"{names} undefined ({', '.join(where)}): {why}" for (names, why), where in places.items()
    ]


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
def screen(
    files: tuple[Path, ...],
    question: str | None,
    scale: str | None,
    rules: tuple[str, ...],
    splits: tuple[str, ...],
    without: tuple[str, ...],
    output: Path,
    quiet: bool,
    as_json: bool,
    exclusions: Path | None,
) -> None:
    """Write the ratings a rule keeps, as a plain table, and what it excludes.

    Rules: relate (a listener's three anchors), published (the publisher's own column), spo
    (another answer within 5), attention (no failed check). Of choices: attention, one-side (p of
    a listener's sides at least 0.001; one-side=0.01 sets another limit), fast (median time at least
    2 s; fast=1.5 sets another).
    """
    from humanclap.ratings.plain import write_plain
    from humanclap.ratings.screening import Exclusion, count_screened
    from humanclap.tables import write_records

    if _are_choices(files, question=question, scale=scale):
        from humanclap.cli import ratings_choices as choices

        found = choices.Read(files, rules, splits, without, quiet=quiet)
        choices.screen(found, output, exclusions=exclusions, as_json=as_json)
        return
    read = _read(files, question, scale, quiet)
    screened = _screened(read, rules, quiet=True)
    chosen = chosen_of(screened.kept, splits, without, quiet)
    write_plain(output, chosen)
    if exclusions is not None:
        write_records(exclusions, screened.exclusions, record_type=Exclusion)
    counts = count_screened(screened)
    if as_json:
        emit(to_json([asdict(count) for count in counts]), output=None)
        return
    rows = [(c.outcome, c.n_ratings, c.n_anchors, c.n_pairs, c.n_listeners) for c in counts]
    emit(text_table(("", "ratings", "anchors", "pairs", "listeners"), rows), output=None)


@ratings.command(
    epilog="Example: humanclap ratings aggregate REL.csv --screen relate --split train "
    "-o targets.csv"
)
@reading_options
@screening_options
@table_output_options
@click.option("--include-anchors", is_flag=True, help="Make targets of anchors too (kind anchor).")
@click.option("--standardise", is_flag=True, help="Take each listener's mean and spread out first.")
def aggregate(
    files: tuple[Path, ...],
    question: str | None,
    scale: str | None,
    rules: tuple[str, ...],
    splits: tuple[str, ...],
    without: tuple[str, ...],
    output: Path,
    quiet: bool,
    as_json: bool,
    include_anchors: bool,
    standardise: bool,
) -> None:
    """Write one target a pair: mean rating, n, standard error, and the mean in 0..1.

    A single table of XACLE averages is taken as it is (4 listeners a pair). Of choices: the votes
    on a question a row, the share of the side a, and its interval.
    """
    from humanclap.ratings.read import table_kind
    from humanclap.records import Target
    from humanclap.tables import write_records
    from humanclap.xacle import read_averages

    if _are_choices(files, question=question, scale=scale, standardise=standardise):
        from humanclap.cli import ratings_choices as choices

        found = choices.Read(files, rules, splits, without, quiet=quiet)
        choices.aggregate(found, output, include_anchors=include_anchors, as_json=as_json)
        return
    on_scale = _on_scale(scale)
    if len(files) == 1 and table_kind(files[0]) == "averages":
        if rules or splits or without or include_anchors or standardise:
            raise click.UsageError("a table of averages has no listeners to screen or standardise")
        targets = read_averages(files[0], scale=on_scale)
    else:
        read = _read(files, question, scale, quiet)
        scores = [rating.score for rating in read]
        ask_for_scale(scores, on_scale, where=str(files[0]), option="--scale")
        kept = _standardised(_screened(read, rules, quiet).kept, on_scale, standardise, quiet)
        chosen = chosen_of(kept, splits, without, quiet)
        targets = _targets(chosen, on_scale, include_anchors, quiet)
    write_records(output, targets, record_type=Target)
    print_counts(targets, as_json)


def _standardised(
    kept: Sequence[Rating], scale: RatingScale, asked: bool, quiet: bool
) -> Sequence[Rating]:
    from humanclap.ratings.standardise import standardise_on_scale

    if not asked:
        return kept
    standardised, n_clipped = standardise_on_scale(kept, scale)
    remark(f"{n_clipped} standardised ratings set to an end of the scale", quiet=quiet)
    return standardised


def _targets(
    chosen: Sequence[Rating], scale: RatingScale, include_anchors: bool, quiet: bool
) -> list[Target]:
    from humanclap.ratings.aggregate import aggregate

    _tell_left_out(chosen, {"rating", "anchor"} if include_anchors else {"rating"}, quiet)
    # The whole table has left no doubt of its scale; a part of it need not ask again.
    stated = RatingScale(low=scale.low, high=scale.high)
    return aggregate(chosen, scale=stated, include_anchors=include_anchors)


@ratings.command(epilog="Example: humanclap ratings split targets.csv --seed 1 -o split.csv")
@reading_options
@table_output_options
@click.option(
    "--fractions",
    default="train=0.8,validation=0.1,test=0.1",
    show_default=True,
    help="Share of each split.",
)
@click.option(
    "--seed", default=0, show_default=True, help="Seed of the split: another seed, another split."
)
def split(
    files: tuple[Path, ...],
    question: str | None,
    scale: str | None,
    output: Path,
    quiet: bool,
    as_json: bool,
    fractions: str,
    seed: int,
) -> None:
    """Assign splits anew so that no clip and no caption is in two of them.

    Takes ratings of any form (written as a plain table), one table of targets, or choices. Ratings
    and anchors are divided alike, as far as pairs that share a clip or a caption allow; the counts
    say what each split holds, `share` being its share of the kind's pairs.
    """
    from humanclap.ratings.plain import write_plain
    from humanclap.ratings.read import table_kind
    from humanclap.ratings.split import assign_splits, parse_fractions
    from humanclap.records import Target
    from humanclap.tables import read_targets, write_records

    shares = parse_fractions(fractions)
    if _are_choices(files, question=question, scale=scale):
        from humanclap.cli import ratings_choices as choices

        choices.split(choices.Read(files, quiet=quiet), output, shares, seed, as_json=as_json)
    elif len(files) == 1 and table_kind(files[0]) == "targets":
        targets = assign_splits(read_targets(files[0]), shares, seed)
        write_records(output, targets, record_type=Target)
        tell_split(targets, shares, as_json=as_json, quiet=quiet)
    else:
        split_ratings = assign_splits(_read(files, question, scale, quiet), shares, seed)
        write_plain(output, split_ratings)
        tell_split(split_ratings, shares, as_json=as_json, quiet=quiet)
