"""What several commands share: options, printing a result, warnings, a progress bar."""

from __future__ import annotations

import functools
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from humanclap.errors import InputError, naming_file
from humanclap.files import STANDARD, atomic_writer
from humanclap.formats import SHEET_SUFFIXES, TABLE_SUFFIXES, suffix_of
from humanclap.progress import Progress, silent

if TYPE_CHECKING:
    from humanclap.clap.backbone import Backbone
    from humanclap.provenance import Provenance
    from humanclap.records import Score

Command = TypeVar("Command", bound=Callable[..., Any])

SHOW_PROGRESS_AFTER_S = 2.0
LARGE_FILE_BYTES = 20_000_000
_NAMED = 5
_START = 40
"""Characters of a text that a warning shows."""
COMMAND_LINE = "humanclap.command_line"
"""The key under which the main command keeps in click's `meta` what was typed."""


def made_here() -> Provenance:
    """Command line, date and versions of what the running command makes."""
    from humanclap.provenance import provenance_now

    context = click.get_current_context(silent=True)
    return provenance_now("" if context is None else context.meta.get(COMMAND_LINE, ""))


_TABLES = ("per_pair", "exclusions", "listeners")
OUTPUTS = ("output", "html", "markdown", *_TABLES, "figures", "summary")
"""Parameters that name a file to write; paths in all others are read."""


def keeps_inputs(command: Command) -> Command:
    """Refuse to write a result over a file that the command reads, or over another result."""

    @functools.wraps(command)
    def guarded(*arguments: Any, **given: Any) -> Any:
        check_outputs(given)
        return command(*arguments, **given)

    return guarded  # type: ignore[return-value]


def check_outputs(given: Mapping[str, object]) -> None:
    """Raise InputError where an output would be written over an input or another output."""
    inputs = [
        path for name, value in given.items() if name not in OUTPUTS for path in _paths(value)
    ]
    written: list[Path] = []
    for name in OUTPUTS:
        for path in _paths(given.get(name)):
            if str(path) == STANDARD or path.is_dir():
                continue
            if any(_same_file(path, read) for read in inputs):
                raise InputError(
                    f"{path}: would be overwritten, but this command reads it; name another file"
                )
            if any(_same_file(path, other) for other in written):
                raise InputError(f"{path}: two results would go there; name another file for one")
            written.append(path)


def _named_as_it_is(command: Command) -> Command:
    """Turn --json on for an output named .json, and refuse a report under a table's name."""

    @functools.wraps(command)
    def named(*arguments: Any, **given: Any) -> Any:
        output = given.get("output")
        if isinstance(output, Path) and not given.get("as_json"):
            suffix = suffix_of(output)
            given["as_json"] = suffix in {".json", ".json.gz"}
            if not given["as_json"] and suffix in {*TABLE_SUFFIXES, *SHEET_SUFFIXES}:
                raise InputError(
                    f"{output}: the result is a report, not a table; name it .txt or .json"
                )
        return command(*arguments, **given)

    return named  # type: ignore[return-value]


def _paths(value: object) -> list[Path]:
    values = value if isinstance(value, tuple) else (value,)
    return [path for path in values if isinstance(path, Path)]


def _same_file(one: Path, other: Path) -> bool:
    """Whether two paths are one regular file, by link or by another name too."""
    if one.exists() and other.exists():
        return one.is_file() and one.samefile(other)
    return one.resolve() == other.resolve()


_FILE = click.Path(dir_okay=False, path_type=Path)


def options(*declared: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """One decorator that adds several options, which `--help` lists in this order."""

    def with_options(command: Command) -> Command:
        for option in reversed(declared):
            command = option(command)
        return command

    return with_options


json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
quiet_option = click.option(
    "-q", "--quiet", is_flag=True, help="No progress and no remarks on stderr."
)


def output_options(command: Command, *, report: bool = True, output_type: Any = _FILE) -> Command:
    """Add --json, --quiet and --output to a command, which cannot write over what it reads.

    report: the result is words, or JSON where --json or the name of the output says so; False for
    a table, whose format its name tells.
    """
    output = click.option(
        "-o",
        "--output",
        type=output_type,
        help="Write the result to this file.  [default: -, standard output]",
    )
    added = options(json_option, quiet_option, output)
    return added(keeps_inputs(_named_as_it_is(command) if report else command))


mn04_options = options(
    click.option(
        "--mn04",
        type=click.Path(path_type=Path),
        help="File of mn04_as, for mini-mn04.  [default: fetched at first use]",
    ),
    click.option("--offline", is_flag=True, help="Do not use the network."),
)
"""--mn04 and --offline, of commands that load a model."""

model_options = options(
    mn04_options,
    click.option(
        "--revision",
        help="Branch, tag or commit of a model of the hub.  [default: the pinned one of a name "
        "in `humanclap models`, else main]",
    ),
    click.option(
        "--processor",
        help="Folder or hub id of a transformers CLAP's tokenizer and feature extractor.  "
        "[default: the model's own]",
    ),
)
"""--mn04, --offline, --revision and --processor, of commands that load one model."""

MODEL_HELP = (
    "mini, a name that `humanclap models` lists, a checkpoint folder, a hub id, or a LAION .pt."
)
"""What a command takes as its model."""

device_option = click.option(
    "--device", default="auto", help="Where to compute: auto, cpu, cuda, ..."
)
audio_root_option = click.option(
    "--audio-root",
    type=click.Path(path_type=Path),
    help="Where relative audio paths start.  [default: the table's folder]",
)
cache_option = click.option(
    "--no-cache",
    "cache",
    flag_value=False,
    default=True,
    help="Compute everything anew instead of using the cache (humanclap cache).",
)
"""--no-cache, given to the command as `cache`."""


def emit(text: str, *, output: Path | None = None) -> None:
    """Print a result to stdout, or write it to `output` (whole or not at all)."""
    if output is None or str(output) == STANDARD:
        with naming_file("standard output"):
            click.echo(text.encode("utf-8", "backslashreplace").decode())
            sys.stdout.flush()
        return
    with atomic_writer(output) as file:
        file.write(text + "\n")


def remark(message: str, *, quiet: bool) -> None:
    """Say something on stderr unless --quiet."""
    if not quiet:
        click.echo(message, err=True)


def warn_of_notes(rows: Sequence[Score]) -> None:
    """Warn of scores that say little, such as those of silent clips and cut texts; quiet or not."""
    noted = [row for row in rows if row.note]
    for row in noted[:_NAMED]:
        text = row.text if len(row.text) <= _START else f"{row.text[:_START]}..."
        click.echo(f"warning: {row.audio} | {text}: {row.note}", err=True)
    if len(noted) > 1:
        click.echo(f"warning: {len(noted)} of {len(rows)} pairs have a note", err=True)


def warn_of_language(backbone: Backbone, texts: Sequence[str]) -> None:
    """Warn where the texts seem to be in a language that the model has not learned."""
    from humanclap.clap.text_account import language_doubt

    if doubt := language_doubt(backbone.text_accounts(sorted(set(texts)))):
        click.echo(f"warning: {doubt}", err=True)


def format_number(value: float, digits: int = 3) -> str:
    """A number for a table; an undefined one is a dash.

    >>> format_number(0.12345), format_number(float("nan"))
    ('0.123', '–')
    """
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def text_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Plain aligned columns: words to the left, numbers to the right."""
    cells = [[format_number(c) if isinstance(c, float) else str(c) for c in row] for row in rows]
    widths = [max([len(name), *(len(row[i]) for row in cells)]) for i, name in enumerate(columns)]
    numeric = [
        bool(rows) and all(isinstance(row[i], (int, float)) for row in rows)
        for i in range(len(columns))
    ]

    def line(row: Sequence[str]) -> str:
        parts = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        )
        return "  ".join(parts).rstrip()

    return "\n".join([line(columns), line(["-" * width for width in widths]), *map(line, cells)])


def tell_reading(paths: Sequence[Path], *, quiet: bool) -> None:
    """Say on stderr which large tables are about to be read; that takes a while."""
    for path in paths:
        if path.is_file() and path.stat().st_size > LARGE_FILE_BYTES:
            remark(f"reading {path} ({path.stat().st_size / 1e6:,.0f} MB)", quiet=quiet)


@contextmanager
def progress_bar(label: str, *, quiet: bool) -> Iterator[Progress]:
    """Give a Progress that draws a bar with ETA on stderr once the work has taken two seconds."""
    if quiet:
        yield silent
        return
    bar = _Bar(label)
    try:
        yield bar
    finally:
        bar.close()


class _Bar:
    """On a terminal a rich bar; elsewhere a line every ten seconds."""

    LINE_EVERY_S = 10.0

    def __init__(self, label: str) -> None:
        self._label = label
        self._start = time.monotonic()
        self._last_line = self._start
        self._rich: Any = None
        self._task: Any = None
        self._drawing = threading.RLock()

    def __call__(self, done: int, total: int, note: str = "") -> None:
        with self._drawing:  # threads that read tell how far they are too
            self._show(done, total, note)

    def _show(self, done: int, total: int, note: str) -> None:
        if total == 0 and note:
            self._announce(note)
            return
        now = time.monotonic()
        if now - self._start < SHOW_PROGRESS_AFTER_S:
            return
        if sys.stderr.isatty():
            self._draw(done, total, note)
        elif now - self._last_line >= self.LINE_EVERY_S:
            self._last_line = now
            left_s = (now - self._start) / max(done, 1) * (total - done)
            left = f", {left_s:.0f} s left" if done else ""
            click.echo(f"{self._label}: {done}/{total}{left} {note}".rstrip(), err=True)

    def _announce(self, note: str) -> None:
        if self._rich is None:
            click.echo(note, err=True)
        else:  # above the bar, which stays
            self._rich.console.print(note, markup=False, highlight=False, soft_wrap=True)

    def _draw(self, done: int, total: int, note: str) -> None:
        if self._rich is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
            from rich.progress import TimeRemainingColumn as Remaining

            self._rich = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                Remaining(),
                TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
            )
            self._rich.start()
            self._task = self._rich.add_task(self._label, total=total, note=note)
        self._rich.update(self._task, completed=done, total=total, note=note)

    def close(self) -> None:
        if self._rich is not None:
            self._rich.stop()
