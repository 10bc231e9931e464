"""The shell commands of a Markdown page, and what the page says they print."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = frozenset(
    ("accelerate", "apt", "cd", "chmod", "curl", "docker", "env", "export", "git", "humanclap",
     "make", "mkdir", "openssl", "pg_dump", "pg_restore", "pip", "psql", "python", "python3", "ray",
     "sbatch", "split", "srun", "ssh", "torchrun", "uvicorn")
)  # fmt: skip

"""A line of code that begins with one of these is a command."""
OTHER_LANGUAGES = ("caddy", "csv", "html", "ini", "json", "markdown", "nginx", "pycon", "python",
                   "text", "toml", "yaml")  # fmt: skip
PROMPT = re.compile(r"^(?:[\w-]+)?\$ ")


@dataclass(frozen=True)
class Command:
    """page: relative to the repository. line: of the page, from 1. text: the command, in one line.

    expected: the lines that the page shows below the command, up to the next one.
    """

    page: str
    line: int
    text: str
    expected: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """As a shell splits them, without comments."""
        return shlex.split(self.text, comments=True)

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def pages() -> list[Path]:
    """Every document that shows commands."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    return sorted(found + list((ROOT / "examples").rglob("*.md")))


def commands_of(path: Path) -> list[Command]:
    """All commands of a page, from fenced blocks of a shell or without a language, and indented."""
    page = path.relative_to(ROOT).as_posix()
    found: list[Command] = []
    for block in _blocks(path.read_text(encoding="utf-8").splitlines()):
        found += _commands(page, block)
    return found


def _blocks(lines: list[str]) -> Iterator[list[tuple[int, str]]]:
    """The numbered lines of each block of code."""
    fence: str | None = None
    block: list[tuple[int, str]] = []
    for number, line in enumerate(lines, 1):
        fenced = re.match(r"^```+(\w*)", line)
        if fenced:
            if fence is None or fence not in OTHER_LANGUAGES:
                yield block
            fence, block = (fenced[1] if fence is None else None), []
        elif fence is not None:
            block.append((number, line))
        elif line.startswith("    ") or (block and not line.strip()):
            block.append((number, line[4:]))
        elif block:
            yield block
            block = []
    yield block


def _commands(page: str, block: list[tuple[int, str]]) -> Iterator[Command]:
    at, text, open_line = 0, "", False
    expected: list[str] = []
    prompted = any(PROMPT.match(line) for _, line in block)  # then other lines are output
    for number, line in block:
        bare = PROMPT.sub("", line)
        if open_line:
            text += " " + bare.strip()
        elif bare != line or (not prompted and line.partition(" ")[0] in PROGRAMS):
            if text:
                yield Command(page, at, text, tuple(expected))
            at, text, expected = number, bare.strip(), []
        elif text and line.strip():
            expected.append(line)
            continue
        else:
            continue
        open_line = text.endswith("\\")
        text = text.removesuffix("\\").strip()
    if text:
        yield Command(page, at, text, tuple(expected))
