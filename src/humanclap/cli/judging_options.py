"""What `evaluate`, `compare`, `gate` and `rerank` share: options, and the forms of a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from humanclap.cli.console import emit, options, output_options, remark
from humanclap.cli.paper import (
    check_figures,
    figures_option,
    is_flag,
    paper_format,
    report_options,
    written,
)

if TYPE_CHECKING:
    from humanclap.typeset import Format, PaperTable

Command = TypeVar("Command", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)

force_option = click.option("--force", is_flag=True, help="Accept scores made in unlike ways.")
power_option = click.option(
    "--power",
    default=0.8,
    show_default=True,
    help="Power for which the report states the number of prompts needed.",
)
refuse_trained_on_option = partial(click.option, "--refuse-trained-on", is_flag=True)


def replicates_option(default: int, further: str = "") -> Callable[[Command], Command]:
    """--replicates; further: what else its help says."""
    told = f"Number of bootstrap replicates.{further}"
    return click.option("--replicates", default=default, show_default=True, help=told)


def seed_option(of: str = "the bootstrap") -> Callable[[Command], Command]:
    """--seed."""
    return click.option("--seed", default=0, show_default=True, help=f"Seed of {of}.")


def systems_option(verb: str) -> Callable[[Command], Command]:
    """--system, which may be repeated."""
    told = f"{verb} only this system and others named so; may be repeated.  [default: all]"
    return click.option("--system", "systems", multiple=True, help=told)


def shared_only_option(whose: str) -> Callable[[Command], Command]:
    """--shared-only."""
    told = f"Leave out prompts that {whose} lacks."
    return click.option("--shared-only", is_flag=True, help=told)


result_options = options(
    click.option("--html", type=FILE, help="Write a self-contained HTML report."),
    click.option(
        "--audio-root",
        type=PATH,
        help="Where relative audio paths start: adds players to the HTML report.",
    ),
    click.option("--link-audio", is_flag=True, help="Link the clips instead of embedding them."),
    report_options,
    figures_option,
    click.option(
        "--note",
        "notes",
        multiple=True,
        help="Sentence to show above every report; may be repeated.",
    ),
    output_options,
)
"""Adds the options that `Results` holds, and --note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forms:
    """How a result is written in each form; only what is asked for is made."""

    page: Callable[[], str]
    markdown: Callable[[], str]
    json: Callable[[], str]
    text: Callable[[], str]
    tables: Callable[[], Sequence[PaperTable]]
    draw: Callable[[Path], Sequence[Path]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Where a result goes, as `result_options` say."""

    html: Path | None
    audio_root: Path | None
    link_audio: bool
    latex: bool
    markdown: Path | None
    figures: Path | None
    as_json: bool
    quiet: bool
    output: Path | None

    @classmethod
    def of(cls, given: dict[str, Any]) -> Results:
        """Take the options out of all of a command's.

        Raises UsageError where two formats are asked for, and as `check_figures`.
        """
        found = cls(**{field.name: given.pop(field.name) for field in fields(cls)})
        found.paper()
        check_figures(found.figures)
        return found

    def paper(self) -> Format | None:
        """The format of tables for a paper, None where the result is something else."""
        markdown = is_flag(self.markdown)
        return paper_format(self.output, latex=self.latex, markdown=markdown, as_json=self.as_json)

    @property
    def sound(self) -> dict[str, Path | None]:
        """Where a page finds the clips, and from where it links them."""
        linked = self.link_audio and self.html is not None
        return {
            "audio_root": None if self.audio_root is None else self.audio_root.resolve(),
            "link_from": self.html.resolve().parent if linked and self.html else None,
        }

    def write(self, forms: Forms, *further: Path | None) -> None:
        """Write and print the result, draw it, and say which files, `further` too, were written."""
        from humanclap.evaluation.report.document import write_whole
        from humanclap.typeset import typeset

        report = None if is_flag(self.markdown) else self.markdown
        write_whole(((self.html, forms.page), (report, forms.markdown)))
        if paper := self.paper():
            text = typeset(forms.tables(), paper)
        else:
            text = forms.json().rstrip() if self.as_json else forms.text()
        emit(text, output=self.output)
        drawn = [] if self.figures is None else forms.draw(self.figures)
        for path in filter(written, (self.html, report, *further, self.output, *drawn)):
            remark(f"wrote {path}", quiet=self.quiet)
