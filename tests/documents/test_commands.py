"""Every command in README, CONTRIBUTING, docs and examples: its options exist, and it runs.

What is not run here is named in NOT_RUN with the reason. A command that is neither run nor named
fails, and so does a line of NOT_RUN that no command meets.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import click
import pytest
from shell_blocks import ROOT, Command, commands_of, pages
from workspace import make_workspace

from humanclap.cli.main import humanclap, run

TRAINS = "trains for a minute or more; the tutorial trains"
ON = "goes on until it is stopped; tests of listening and serving start it"
CLUSTER = "starts Ray or needs a cluster; tests/cluster runs on Ray"
HOSTS = "needs several hosts"
NETWORK = "fetches a model or data, or uploads"
BOTS = "80 bots take minutes; the tutorial rehearses with 4"
EXAMPLE = "tests/examples runs it"
NOT_RUN = {
    "docs/tutorial.md: *": "test_tutorial.py runs it and compares what it prints",
    "*: pip install *": "installs from an index of packages",
    "*: make *": "a whole job of the repository, run by CI",
    "*: python examples/*": EXAMPLE,
    "*: python benchmarks/*": "a benchmark",
    "*: humanclap train *": TRAINS,
    "*: humanclap listen serve *": ON,
    "*: humanclap serve*": ON,
    "*: curl *": ON,
    "*: torchrun *": HOSTS,
    "*: accelerate *": HOSTS,
    "*: sbatch *": HOSTS,
    "*: srun *": HOSTS,
    "*: ray *": CLUSTER,
    "*: * --runner ray *": CLUSTER,
    "docs/cluster.md: split *": "prepares files for a cluster",
    "docs/compare.md: humanclap rerank * --targets *": "needs several rated clips of each system",
    "docs/choices.md: humanclap listen *": BOTS,
    "docs/listening.md: humanclap listen simulate *": BOTS,
    "docs/listening.md: humanclap listen new ab.toml --pairs *": "a study of clips; see choices.md",
    "*: humanclap listen export *": "needs the answers of people",
    "docs/listening.md: * --database *": "needs a PostgreSQL server",
    "docs/listening.md: export *": "needs a PostgreSQL server",
    "docs/listening.md: pg_*": "needs a PostgreSQL server",
    "docs/listening.md: humanclap ratings *": "needs the answers of people",
    "docs/choices.md: humanclap ratings * made-choices.csv*": "tests/cli/test_ratings_choices.py",
    "docs/choices.md: humanclap ratings summary pairs.csv": "needs FENSE's judgements",
    "docs/choices.md: * --model reward *": "needs the model trained above it",
    "*: humanclap xacle predict *": "needs a trained model; tests of the command run it",
    "docs/training.md: humanclap score *": "needs the model trained above it",
    "docs/experiments.md: *": NETWORK,
    "docs/reproduce.md: *": NETWORK,
    "docs/hf.md: * --model *": NETWORK,
    "docs/laion.md: *": NETWORK,
    "docs/mini-mn04.md: *": NETWORK,
    "docs/speed.md: *": NETWORK,
    "docs/why-scores-differ.md: * --model clap": NETWORK,
    "*: humanclap score dog.wav * --model toy-clap": "needs a package; tests of plugins load it",
    "docs/service.md: openssl *": "another program",
    "docs/service.md: docker *": "builds a container",
    "docs/report-a-score.md: humanclap demo *": "takes a minute; tests/cli/test_demo.py runs it",
    "docs/report-a-score.md: * demo/targets.csv *": "needs the demo's files",
    "docs/cache.md: humanclap cache clear*": "would clear the cache that later commands use",
}
MAY_EXIT_WITH = {"humanclap gate": (0, 1, 3)}
"""A gate answers by its exit code; every other command must end with 0."""
KEEPS_FILES = ("README.md", "docs/choices.md", "docs/evaluation.md", "docs/ratings.md")
"""Pages on which a command reads what one above it wrote; on others each finds its files anew."""
COMMANDS = [command for path in pages() for command in commands_of(path)]
OPERATORS = re.compile(r"^(?:\d?>>?|\||&|&&|\|\||;|\)|done)$")


def reasons(command: Command) -> list[str]:
    """The lines of NOT_RUN that a command meets."""
    named = f"{command.page}: {' '.join(command.words)}"
    return [pattern for pattern in NOT_RUN if fnmatchcase(named, pattern)]


TO_RUN = [command for command in COMMANDS if not reasons(command)]


def own_words(words: list[str]) -> Iterator[list[str]]:
    """The words after each `humanclap` of a command line, up to the shell's next operator."""
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        if word == "humanclap" and (not before or before == "-m" or OPERATORS.match(before)):
            rest = words[place + 1 :]
            end = next((i for i, one in enumerate(rest) if OPERATORS.match(one)), len(rest))
            yield rest[:end]


def parse(words: list[str]) -> None:
    """Let click read a command's words without running it.

    Raises click.UsageError for an unknown command or option, a value of the wrong kind, or an
    argument too many or too few.
    """
    command: click.Command = humanclap
    context = click.Context(command, info_name="humanclap")
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, click.Context(found, info_name=name, parent=context)
        if words[:1] in (["--help"], ["-h"]):
            return
    given, left, _ = command.make_parser(context).parse_args(list(words))
    if left:
        raise click.UsageError(f"unexpected argument {left[0]!r}", ctx=context)
    for parameter in command.params:
        value = given.get(parameter.name or "")
        if isinstance(parameter.type, (click.Path, click.File)) or not isinstance(value, str):
            continue
        if isinstance(parameter, click.Option) and parameter.is_flag:
            continue
        parameter.type_cast_value(context, value)


def test_the_parser_of_pages_finds_commands_in_every_kind_of_block(tmp_path: Path) -> None:
    page = ROOT / "docs" / "tutorial.md"
    assert any(command.text.startswith("humanclap train") for command in commands_of(page))
    texts = [command.text for command in COMMANDS if command.page == "docs/choices.md"]
    assert any(text.endswith("-o kept.csv --exclusions excluded.csv") for text in texts)
    assert len(COMMANDS) > 150


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_has_only_what_click_knows(command: Command) -> None:
    for words in own_words(command.words):
        parse(words)


@pytest.mark.parametrize(
    "line", ["score a.csv --nope", "gone", "train t.csv --epochs many -o run", "compare --top x"]
)
def test_what_click_does_not_know_is_found(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(line.split())


@pytest.mark.parametrize("pattern", NOT_RUN)
def test_every_reason_not_to_run_meets_a_command(pattern: str) -> None:
    assert any(pattern in reasons(command) for command in COMMANDS)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    make_workspace(folder)
    return folder


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", sorted({command.page for command in TO_RUN}))
def test_the_commands_of_a_page_run(
    page: str, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "work"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HUMANCLAP_CACHE", str(prepared.parent / "cache"))
    monkeypatch.setenv("HUMANCLAP_CACHE_MB", "500")
    for command in (command for command in TO_RUN if command.page == page):
        if page not in KEEPS_FILES:
            shutil.copytree(prepared, folder, dirs_exist_ok=True)
        for words in own_words(command.words):
            if words[0] == "score" and "-o" in words:  # pages write one name again and again
                Path(words[words.index("-o") + 1]).unlink(missing_ok=True)
            expected = MAY_EXIT_WITH.get(f"humanclap {words[0]}", (0,))
            assert run(words) in expected, command
