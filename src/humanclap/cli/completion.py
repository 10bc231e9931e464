"""`humanclap completion`: the shell's completion script."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command(epilog="Example: humanclap completion bash >> ~/.bashrc")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for SHELL; load it from the shell's start-up file."""
    from humanclap.cli.main import humanclap

    script_class = get_completion_class(shell)
    assert script_class is not None  # click ships all three
    click.echo(script_class(humanclap, {}, "humanclap", "_HUMANCLAP_COMPLETE").source())
