"""What the commands of `humanclap ratings` share: options, choosing of rows, counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from humanclap.cli.console import Command, emit, keeps_inputs, remark, text_table
from humanclap.json_values import to_json

if TYPE_CHECKING:
    from humanclap.ratings.split import Splittable
    from humanclap.records import Choice, Rating, Target, Votes

    Labelled = TypeVar("Labelled", Rating, Choice, Votes)

RULES = ("none", "relate", "published", "spo", "attention", "one-side", "fast")
FILE = click.Path(path_type=Path)


class ScreeningRule(click.Choice[str]):
    """A rule by name; the rules for choices that have a limit take one, as `fast=1.5`."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The rule as it was given; refuses an unknown one, and a limit that it cannot have."""
        from humanclap.errors import SettingsError
        from humanclap.ratings.choice_screening import choice_rule

        name, given, _ = value.partition("=")
        super().convert(name, param, ctx)
        if given:
            try:
                choice_rule(value)
            except SettingsError as error:
                self.fail(str(error), param, ctx)
        return value


def reading_options(command: Command) -> Command:
    """Add FILES, --question and --scale."""
    for option in (
        click.option(
            "--scale",
            help="Range of the ratings, as low..high; aggregate asks for it where none of them "
            "leaves 1..5 or 0..1.  [default: 0..10]",
        ),
        click.option(
            "--question",
            type=click.Choice(["REL", "IS", "OS"]),
            help="Which question to take; names it where a table does not.",
        ),
        click.argument("files", nargs=-1, required=True, type=FILE),
    ):
        command = option(command)
    return command


def screening_options(command: Command) -> Command:
    """Add --screen, --split and --without-kind."""
    for option in (
        click.option(
            "--without-kind",
            "without",
            multiple=True,
            help="Leave this kind out, such as FENSE's HI; repeatable.",
        ),
        click.option("--split", "splits", multiple=True, help="Only this split; repeatable."),
        click.option(
            "--screen",
            "rules",
            multiple=True,
            type=ScreeningRule(RULES),
            help="Screening rule; repeat it to apply several in turn. Of choices, fast=SECONDS and "
            "one-side=P set the limit.  [default: none]",
        ),
    ):
        command = option(command)
    return command


def table_output_options(command: Command) -> Command:
    """Add --output (a table, needed), --json and --quiet."""
    command = keeps_inputs(command)
    for option in (
        click.option("-o", "--output", required=True, type=FILE, help="Table to write."),
        click.option("-q", "--quiet", is_flag=True, help="No remarks on stderr."),
        click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON."),
    ):
        command = option(command)
    return command


def chosen_of(
    kept: Sequence[Labelled],
    splits: Sequence[str],
    without: Sequence[str],
    quiet: bool,
    *,
    what: str = "rating",
) -> list[Labelled]:
    """The records of these splits, all where none is named, and not of these kinds."""
    from humanclap.errors import InputError

    for name, given in (("split", splits), ("kind", without)):
        there = {str(getattr(one, name)) for one in kept}
        unknown = set(given) - there
        if unknown:
            raise InputError(
                f"no {what} has {name} {', '.join(sorted(unknown))}; there are: "
                f"{', '.join(sorted(there))}"
            )
    chosen = [one for one in kept if not splits or one.split in splits]
    if len(chosen) < len(kept):
        remark(f"{len(kept) - len(chosen)} {what}s are of other splits", quiet=quiet)
    left = [one for one in chosen if one.kind not in without]
    if len(left) < len(chosen):
        left_out = f"{len(chosen) - len(left)} {what}s of kind {', '.join(without)} left out"
        remark(left_out, quiet=quiet)
    return left


def print_counts(
    records: Sequence[Rating | Target | Choice | Votes],
    as_json: bool,
    *,
    shares: Mapping[tuple[str, str], float] | None = None,
) -> None:
    """Rows, pairs (of choices, questions), clips and captions per split and kind, and its share."""
    from humanclap.ratings.split import item_of, kind_of, pairs_of
    from humanclap.records import Choice, Votes

    groups: dict[tuple[str, str], list[Any]] = {}
    for record in records:
        groups.setdefault((record.split or "–", kind_of(record)), []).append(record)
    items = "questions" if isinstance(records[0], (Choice, Votes)) else "pairs"
    columns: tuple[str, ...] = ("split", "kind", "rows", items, "clips", "captions")
    rows: list[tuple[object, ...]] = []
    for key, group in sorted(groups.items()):
        pairs = [pair for record in group for pair in pairs_of(record)]
        clips, captions = {pair.audio for pair in pairs}, {pair.text for pair in pairs}
        rows.append((*key, len(group), len(set(map(item_of, group))), len(clips), len(captions)))
    if shares is not None:
        columns = (*columns, "share")
        rows = [(*row, shares[str(row[0]), str(row[1])]) for row in rows]
    as_dicts = [dict(zip(columns, row, strict=True)) for row in rows]
    emit(to_json(as_dicts) if as_json else text_table(columns, rows), output=None)


def tell_split(
    records: Sequence[Splittable], shares: Mapping[str, float], *, as_json: bool, quiet: bool
) -> None:
    """Print what each split holds, and remark where that is not the share asked for."""
    from humanclap.ratings.split import split_shares, unmet_shares

    print_counts(records, as_json, shares=split_shares(records))
    for sentence in unmet_shares(records, shares):
        remark(sentence, quiet=quiet)
