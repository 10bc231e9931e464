"""What the commands of `humanclap listen` share: options, the next command, the clips' folder."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
TABLE = click.Path(path_type=Path)
URL_VARIABLE = "HUMANCLAP_STUDY"

study_argument = click.argument("study", envvar=URL_VARIABLE)
audio_root_option = click.option(
    "--audio-root",
    type=FOLDER,
    help="Where relative audio paths start.  [default: as the study was made]",
)


def next_command(command: str, study: str, *options: str) -> str:
    """A command on a study, fit to be pasted. A database URL may hold a password: it is left out.

    >>> next_command("serve", "my study.sqlite")
    "humanclap listen serve 'my study.sqlite'"
    """
    if "://" in study:
        words = shlex.join(["humanclap", "listen", command, *options])
        return f"{words}  (with the database's URL in {URL_VARIABLE})"
    return shlex.join(["humanclap", "listen", command, study, *options])


@contextmanager
def cache_of(study: str, given: Path | None = None) -> Iterator[Path]:
    """The folder given, or one beside the study's file; for a URL, one removed at the end."""
    if given is None and "://" in study:
        with tempfile.TemporaryDirectory(prefix="humanclap-clips-") as folder:
            yield Path(folder)
    else:
        yield given or Path(study).with_suffix(".clips")
