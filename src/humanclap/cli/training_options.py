"""Options of the commands that train: `train`, `experiment` and `reproduce`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from humanclap.cli.console import options
from humanclap.training.settings import TrainingSettings

Command = TypeVar("Command", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)

simulated_option = click.option(
    "--simulated", is_flag=True, help="The ratings are simulated; every page says so."
)


def output_folder(help_text: str) -> Callable[[Command], Command]:
    """Add -o, --output: the folder that the command fills."""
    return click.option("-o", "--output", type=PATH, required=True, help=help_text)


_HEADINGS = ("The ten settings that matter", "Advanced settings (all others: docs/training.md)")


class SectionOption(click.Option):
    """An option that `SectionedCommand` lists under a heading of its own."""

    def __init__(self, *arguments: Any, section: str, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.section = section


class SectionedCommand(click.Command):
    """A command whose `--help` lists its options in sections: settings, options, advanced."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of each section in the order in which they were declared."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and not isinstance(parameter, click.Argument):
                section = getattr(parameter, "section", "Options")
                sections.setdefault(section, []).append(record)
        for title in sorted(sections, key=(_HEADINGS[0], "Options", _HEADINGS[1]).index):
            with formatter.section(title):
                formatter.write_dl(sections[title])


SETTINGS = [item for item in fields(TrainingSettings) if item.metadata.get("option")]
"""The training settings that have an option of their own."""


def _option_of(place: int) -> Callable[[Any], Any]:
    item = SETTINGS[place]
    flag = item.default is False
    shown = "" if flag else f"  [default: {item.default}]"
    return click.option(
        f"--{item.name.replace('_', '-')}",
        cls=SectionOption,
        section=_HEADINGS[place >= 10],
        type=bool if flag else type(item.default),
        is_flag=flag,
        default=None,
        help=item.metadata["option"] + shown,
    )


settings_options = options(*map(_option_of, range(len(SETTINGS))))
"""Add an option for each of `SETTINGS`; it is None where it is not given."""
