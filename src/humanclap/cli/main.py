"""The `humanclap` command: finds the subcommand, and turns errors into messages and exit codes."""

from __future__ import annotations

import errno
import importlib
import logging
import os
import shlex
import sys
import warnings
from pathlib import Path
from typing import Any

import click

from humanclap.cli.console import COMMAND_LINE
from humanclap.errors import HumanCLAPError
from humanclap.version import __version__

EXIT_SOME_FAILED = 1
"""The run ended, but some rows failed."""
EXIT_BAD_INPUT = 2
"""Nothing useful could be done with this input."""
EXIT_INTERRUPTED = 130

COMMANDS = {
    "data": ("data", "Download data sets from their publishers."),
    "listen": ("listen", "Run listening tests: collect the ratings of people."),
    "ratings": ("ratings", "Read, screen, summarise and aggregate human ratings."),
    "train": ("train", "Train a CLAP on human ratings."),
    "experiment": ("experiment", "Train and judge a grid of objectives, models and seeds."),
    "reproduce": ("reproduce", "Reproduce a paper: fetch, train, judge and report."),
    "models": ("models", "List the known models, and which of them are on this machine."),
    "score": ("score", "Score how well audio matches text."),
    "serve": ("serve", "Serve scores over HTTP, for generator training and other programs."),
    "evaluate": ("evaluate", "How well do scores agree with people?"),
    "compare": ("compare", "Which text-to-audio system follows its prompts best?"),
    "gate": ("gate", "For CI: is a new system no worse than the old one?"),
    "rerank": ("rerank", "Keep the best of N clips for each prompt."),
    "xacle": ("xacle", "Predict and judge in the formats of the XACLE challenge."),
    "convert": ("convert", "Write a LAION .pt file as a folder of a transformers model."),
    "bench": ("bench", "How fast does each engine score your clips here?"),
    "cache": ("cache", "Show or clear what is kept of clips and texts scored before."),
    "push": ("push", "Upload a trained model to the Hugging Face hub."),
    "demo": ("demo", "Run every step on synthesised sounds and simulated listeners."),
    "completion": ("completion", "Print the shell completion script."),
}
"""Subcommand -> (module in humanclap.cli, short help); modules load on use, so --help is quick."""


class LazyGroup(click.Group):
    """A click group whose subcommands are imported when asked for."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """As click does, and keep what was typed for the reports (`console.made_here`)."""
        typed = shlex.join(["humanclap", *args])
        context = super().make_context(info_name, args, parent, **extra)
        context.meta[COMMAND_LINE] = typed
        return context

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import humanclap.cli.<module> and take its attribute of the same name."""
        if cmd_name not in COMMANDS:
            return None
        module_name, _ = COMMANDS[cmd_name]
        module = importlib.import_module(f"humanclap.cli.{module_name}")
        command: click.Command = getattr(module, module_name)
        say_defaults(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, and name the likely command for a slip of the pen."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from humanclap.settings import hint

            message = f"{error.message}{hint(args[0], COMMANDS)}"
            raise click.UsageError(message, ctx=error.ctx) from error


def say_defaults(command: click.Command) -> None:
    """Let the help of every option that takes a value say its default."""
    for option in command.params:
        if not isinstance(option, click.Option) or option.is_flag or option.required:
            continue
        if isinstance(option.default, (str, int, float, Path)) and option.default != "":
            option.show_default = True
        elif "[default: " not in (option.help or ""):
            option.help = f"{option.help or ''}  [default: none]"
    for sub in getattr(command, "commands", {}).values():
        say_defaults(sub)


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog='Example: humanclap score dog.wav "a dog barks"',
)
@click.version_option(__version__, prog_name="humanclap")
@click.option("-v", "--verbose", is_flag=True, help="Log what the library does, on stderr.")
def humanclap(verbose: bool) -> None:
    """Does a sound match its text, as people hear it?"""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(levelname)s %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("huggingface_hub").propagate = False  # it prints its messages itself


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 some rows failed, 2 bad input, 130 interrupted."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    with warnings.catch_warnings():
        warnings.showwarning = _say_warning
        return _run(arguments)


def _say_warning(message: Warning | str, *where: object, **more: object) -> None:
    """Print a warning without the place in the source, which its reader does not need."""
    click.echo(f"warning: {message}", err=True)


def _own_rank() -> str:
    """`rank 1 (host): ` where a launcher started several processes, else nothing."""
    import socket

    if os.environ.get("WORLD_SIZE", "1") == "1":
        return ""
    return f"rank {os.environ.get('RANK', '0')} ({socket.gethostname()}): "


def _run(arguments: list[str] | None) -> int:
    try:
        result: Any = humanclap.main(arguments, prog_name="humanclap", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except HumanCLAPError as error:
        click.echo(f"error: {_own_rank()}{error}", err=True)
        return EXIT_BAD_INPUT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "; make room there, or write elsewhere" if full else ""
        click.echo(f"error: {_own_rank()}{where}{error.strerror or error}{remedy}", err=True)
        return EXIT_BAD_INPUT
    return result if isinstance(result, int) else 0
