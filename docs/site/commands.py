"""A page for every command of humanclap: what `--help` says, as the click commands hold it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from html import escape

import click

from humanclap.cli.main import COMMANDS, humanclap

PARAGRAPH_AS_IS = "\b"
"""With this character click marks a paragraph whose lines are not to be joined."""


def command_pages() -> Iterator[tuple[str, str]]:
    """(address, Markdown) of the list of commands and of each command."""
    yield "commands/index.md", overview()
    context = click.Context(humanclap, info_name="humanclap")
    for name in humanclap.list_commands(context):
        command = humanclap.get_command(context, name)
        assert command is not None
        sections = with_subcommands(command, name, context)
        yield f"commands/{name}.md", "\n\n".join(sections) + "\n"


def overview() -> str:
    """Every command in the order of the work, with its short help."""
    rows = [f"| [`{name}`]({name}.md) | {text} |" for name, (_, text) in COMMANDS.items()]
    head = (
        "# Commands\n\nThese pages hold what `humanclap COMMAND --help` prints. They are made from "
        "the commands when the site is built.\n\n| command | what it does |\n|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def with_subcommands(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    """The section of a command, then those of the commands below it."""
    context = click.Context(command, info_name=name, parent=parent)
    yield section(command, context)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            sub = command.get_command(context, below)
            assert sub is not None
            yield from with_subcommands(sub, below, context)


def section(command: click.Command, context: click.Context) -> str:
    """Heading, usage, help, options and examples of one command."""
    level = "#" * (context.command_path.count(" "))
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"{level} {context.command_path}", prose(command.help), f"```text\n{usage}\n```"]
    records = [
        record
        for option in command.get_params(context)
        if (record := option.get_help_record(context)) is not None and record[1]
    ]
    if records:
        parts.append("\n\n".join(entry(name, text) for name, text in records))
    if command.epilog:
        parts.append(
            f"```text\n{inspect.cleandoc(command.epilog.replace(PARAGRAPH_AS_IS, ''))}\n```"
        )
    return "\n\n".join(part for part in parts if part)


def prose(text: str | None) -> str:
    """Help text as paragraphs; those that click prints as they are stand in a block of code."""
    shown = []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text or "")):
        if paragraph.startswith(PARAGRAPH_AS_IS):
            shown.append(f"```text\n{paragraph.removeprefix(PARAGRAPH_AS_IS).strip(chr(10))}\n```")
        else:
            shown.append(plain(" ".join(paragraph.split())))
    return "\n\n".join(shown)


def entry(name: str, text: str) -> str:
    """An option and its explanation, as an entry of a definition list."""
    return f"`{name}`\n:   {plain(' '.join(text.split()))}"


def plain(text: str) -> str:
    """Text without meaning to Markdown, with `code` left as it is."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(
        piece
        if piece.startswith("`")
        else re.sub(r"([*_\[\]|])", r"\\\1", escape(piece, quote=False))
        for piece in pieces
    )
