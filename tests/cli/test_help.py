"""`--help`: a sentence and a default for every option, an example for every command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from humanclap.cli.main import humanclap

ROOT = Path(__file__).resolve().parents[2]


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command below `command`, by its full name."""
    yield " ".join(("humanclap", *path)), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from walk(below, (*path, name))


COMMANDS = dict(walk(humanclap))
OPTIONS = [
    pytest.param(name, option, id=f"{name} {option.opts[-1]}")
    for name, command in COMMANDS.items()
    for option in command.params
    if isinstance(option, click.Option)
]


def test_the_walk_reaches_the_commands_within_groups() -> None:
    assert {"humanclap score", "humanclap listen new", "humanclap ratings split"} <= set(COMMANDS)
    assert len(OPTIONS) > 100


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_and_shows_an_example_of_itself(name: str) -> None:
    command = COMMANDS[name]
    assert re.match(r"[A-Z].*[.?]", command.help or "", flags=re.S)
    example = re.search(r"Examples?:(.*)", command.epilog or "", flags=re.S)
    assert example is not None, f"{name} --help has no example"
    assert name in example[1]


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_every_option_is_explained_in_a_sentence_with_its_default(
    name: str, option: click.Option
) -> None:
    sentence, _, default = (option.help or "").partition("[default: ")
    assert re.fullmatch(r"[A-Z-].*\.", sentence.strip(), flags=re.S), option.help
    assert len(sentence.split()) >= 3, option.help
    shown = option.required or option.is_flag or default or option.show_default
    assert shown, f"{name} {option.opts[-1]} does not say its default"


DIFFERENT_BY_COMMAND = {
    *("--allow-missing", "--allow-shared-captions", "--audio-root", "--batch-size"),
    *("--batch-windows", "--choices", "--dry-run", "--engine", "--epochs", "--host"),
    *("--include-anchors", "--json", "--listeners", "--markdown", "--model", "--note"),
    *("--offline", "--output", "--pairs", "--permutations", "--precision", "--processor"),
    *("--question", "--quick", "--quiet", "--rating-scale", "--ratings", "--refuse-trained-on"),
    *("--replicates", "--resume", "--scale", "--seed", "--shared-only", "--simulated"),
    *("--system", "--targets", "--url", "--workers", "--worst"),
}
"""Options that do something of their own in some commands, and say so in other words there."""


def test_an_option_of_several_commands_is_declared_once() -> None:
    """Every option not named above has one text; only its default may differ."""
    told: dict[str, dict[str, list[str]]] = {}
    for name, command in COMMANDS.items():
        for option in command.params:
            if isinstance(option, click.Option):
                long = max(option.opts, key=len)
                sentence = (option.help or "").partition("[default: ")[0].strip()
                told.setdefault(long, {}).setdefault(sentence, []).append(name)
    several = {long: texts for long, texts in told.items() if len(texts) > 1}
    assert {long: several[long] for long in several.keys() - DIFFERENT_BY_COMMAND} == {}


@pytest.mark.parametrize("name", COMMANDS)
def test_defaults_are_printed(name: str) -> None:
    command = COMMANDS[name]
    printed = " ".join(command.get_help(click.Context(command, info_name=name)).split())
    for option in command.params:
        if isinstance(option, click.Option) and not (option.is_flag or option.required):
            start = printed.index(option.opts[-1] + " ")
            assert "default: " in printed[start:], option.opts


def test_the_defaults_that_train_prints_are_those_of_its_settings() -> None:
    from humanclap.training.settings import TrainingSettings

    settings = TrainingSettings()
    for option in COMMANDS["humanclap train"].params:
        if hasattr(settings, option.name or "") and isinstance(option, click.Option):
            said = re.search(r"\[default: (.*)\]", option.help or "")
            if said and not option.is_flag:
                assert said[1] == str(getattr(settings, option.name or "")), option.opts


def documents() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_commands_in_the_documents_have_only_options_that_exist(path: Path) -> None:
    """A command of a document: a line of code that begins with humanclap, and its continuations."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"^\s*(humanclap [^\n]*)$", text, re.M):
        words = shlex.split(line.partition("#")[0], posix=True)
        name = " ".join(words[: 3 if " ".join(words[:3]) in COMMANDS else 2])
        known = {one for option in COMMANDS.get(name, humanclap).params for one in option.opts}
        given = {word.partition("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)}
        assert given <= known | {"--help", "-h"}, line


def test_readme_and_docs_agree_on_the_base_to_train_from() -> None:
    for path in documents():
        text = path.read_text(encoding="utf-8")
        for line in re.findall(r"humanclap train [^\n`]*", text):
            base = re.search(r"(?:--model|-m) (\S+)", line.replace("-m humanclap", ""))
            assert base is None or base[1] == "mini", f"{path.name}: {line}"
    for name in ("README.md", "docs/training.md", "docs/models.md"):
        assert "Start from `mini`" in (ROOT / name).read_text(encoding="utf-8"), name
