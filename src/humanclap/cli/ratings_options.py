"""What the commands of `humanclap ratings` share: options, choosing rows, printing counts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from humanclap.cli.console import emit, json_option, keeps_inputs, options, remark, text_table
from humanclap.json_values import to_json
from humanclap.scale import UNSTATED, RatingScale

if TYPE_CHECKING:
    from humanclap.ratings.split import Splittable
    from humanclap.records import Choice, Rating, Target, Votes

    Labelled = TypeVar("Labelled", Rating, Choice, Votes)

RULES = ("none", "relate", "published", "spo", "attention", "one-side", "fast")
FILE = click.Path(path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The tables that a command reads, and which of their rows it takes."""

    files: tuple[Path, ...]
    question: str | None
    scale: str | None
    quiet: bool
    rules: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def rating_scale(self) -> RatingScale:
        """The scale that was stated, else `UNSTATED`."""
        return UNSTATED if self.scale is None else RatingScale.parse(self.scale)

    def remark(self, message: str) -> None:
        """Say something on stderr unless --quiet."""
        remark(message, quiet=self.quiet)

    def hold_choices(self, **for_ratings: object) -> bool:
        """Whether the tables hold choices; raises UsageError for options that only ratings have."""
        from humanclap.ratings.choices import hold_choices

        if not hold_choices(self.files):
            return False
        for name, value in {"question": self.question, "scale": self.scale, **for_ratings}.items():
            if value:
                raise click.UsageError(f"--{name} is for ratings; {self.files[0]} holds choices")
        return True

    def chosen_of(self, kept: Sequence[Labelled], *, what: str = "rating") -> list[Labelled]:
        """The records of the splits asked for, all where none is named, and not of these kinds."""
        from humanclap.errors import InputError

        for name, given in (("split", self.splits), ("kind", self.without)):
            there = {str(getattr(one, name)) for one in kept}
            if unknown := set(given) - there:
                raise InputError(
                    f"no {what} has {name} {', '.join(sorted(unknown))}; there are: "
                    f"{', '.join(sorted(there))}"
                )
        chosen = [one for one in kept if not self.splits or one.split in self.splits]
        if len(chosen) < len(kept):
            self.remark(f"{len(kept) - len(chosen)} {what}s are of other splits")
        left = [one for one in chosen if one.kind not in self.without]
        if len(left) < len(chosen):
            self.remark(
                f"{len(chosen) - len(left)} {what}s of kind {', '.join(self.without)} left out"
            )
        return left


class ScreeningRule(click.Choice[str]):
    """The name of a rule; rules for choices that have a limit may take one, as `fast=1.5`."""

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


def reading_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add FILES, --question and --scale; give the command its `Asked`, with --quiet in it.

    The command cannot write over what it reads.
    """

    @functools.wraps(command)
    def reading(**given: Any) -> Any:
        asked = [field.name for field in fields(Asked) if field.name in given]
        return command(Asked(**{name: given.pop(name) for name in asked}), **given)

    return _READING(keeps_inputs(reading))


_READING = options(
    click.argument("files", nargs=-1, required=True, type=FILE),
    click.option(
        "--question",
        type=click.Choice(["REL", "IS", "OS"]),
        help="Take only this question. A table that names none is taken to answer it.",
    ),
    click.option(
        "--scale",
        help="Range of the ratings, as low..high; aggregate asks for it where all of them lie "
        "in 1..5 or in 0..1.  [default: 0..10]",
    ),
)

screening_options = options(
    click.option(
        "--screen",
        "rules",
        multiple=True,
        type=ScreeningRule(RULES),
        help="Screening rule; repeat it to apply several in turn. For choices, fast=SECONDS "
        "and one-side=P set the limit.  [default: none]",
    ),
    click.option("--split", "splits", multiple=True, help="Take only this split; repeatable."),
    click.option(
        "--without-kind",
        "without",
        multiple=True,
        help="Leave this kind out, such as FENSE's HI; repeatable.",
    ),
)

table_output_options = options(
    json_option,
    click.option("-q", "--quiet", is_flag=True, help="No remarks on stderr."),
    click.option("-o", "--output", required=True, type=FILE, help="Table to write."),
)


def undefined_lines(found: Iterable[tuple[str, str, str]]) -> list[str]:
    """`ICC, LOO undefined (REL test tango): why`: one line for each reason, with its places.

    found: place, name of the figure, reason.
    """
    names_at: dict[tuple[str, str], list[str]] = {}
    for place, name, why in found:
        names_at.setdefault((place, why), []).append(name)
    places: dict[tuple[str, str], list[str]] = {}
    for (place, why), names in names_at.items():
        places.setdefault((", ".join(names), why), []).append(place)
    return [
        f"{names} undefined ({', '.join(where)}): {why}" for (names, why), where in places.items()
    ]


def print_records(records: Sequence[Any], columns: Sequence[str], *, as_json: bool) -> None:
    """Print dataclasses as JSON, or as a table with a column for each field."""
    rows = [asdict(one) for one in records]
    emit(to_json(rows) if as_json else text_table(columns, [[*row.values()] for row in rows]))


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
    emit(to_json(as_dicts) if as_json else text_table(columns, rows))


def tell_split(
    records: Sequence[Splittable], shares: Mapping[str, float], *, as_json: bool, asked: Asked
) -> None:
    """Print what each split holds, and remark where that is not the share asked for."""
    from humanclap.ratings.split import split_shares, unmet_shares

    print_counts(records, as_json, shares=split_shares(records))
    for sentence in unmet_shares(records, shares):
        asked.remark(sentence)
