"""What the site is built from: links, pages of commands, the reference; and the whole of it.

`make docs` builds the site in CI, where a dead link is an error; here it is built only where
zensical is installed.
"""

from __future__ import annotations

import importlib
import re
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import click
import pytest

import humanclap
from humanclap.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch):
    """Imports one of docs/site by its name."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "site"))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


def test_a_link_between_files_becomes_a_link_between_pages(module, tmp_path: Path) -> None:
    for name in ("docs/a.md", "docs/deep/b.md", "benchmarks/RESULTS.md", "src/x.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text", encoding="utf-8")
    repository = module("repository").Repository(tmp_path)
    text = (
        "[a](../a.md#top) [r](../../benchmarks/RESULTS.md) [x](../../src/x.py) [w](https://w.org)"
    )
    assert repository.with_links_of_the_site(f"{text} `[c](../a.md)`", "deep/b.md") == (
        "[a](../a.md#top) [r](../results.md) [x](../repository/src/x.py.md) [w](https://w.org) "
        "`[c](../a.md)`"
    )
    picture = '<img alt="" src="docs/a.md">'
    assert repository.with_links_of_the_site(picture, "readme.md") == '<img alt="" src="a.md">'
    assert repository.linked(text, "docs/deep/b.md") == [
        "docs/a.md",
        "benchmarks/RESULTS.md",
        "src/x.py",
    ]
    with pytest.raises(SystemExit, match=re.escape("docs/a.md links to what is not")):
        repository.linked("[gone](../src/gone.py)", "docs/a.md")


def test_every_command_and_every_option_has_its_place(module) -> None:
    pages = dict(module("commands").command_pages())
    assert set(pages) == {"commands/index.md", *(f"commands/{name}.md" for name in COMMANDS)}
    assert "## humanclap listen serve\n" in pages["commands/listen.md"]
    assert "`--objective TEXT`\n:   Sum of terms" in pages["commands/train.md"]
    assert "humanclap train targets.csv" in pages["commands/train.md"]


def test_help_means_nothing_to_markdown(module) -> None:
    commands = module("commands")
    assert commands.plain("a_b [c] <d> `e_f`") == r"a\_b \[c\] &lt;d&gt; `e_f`"
    option = click.Option(["--x"], help="Take *all*.")
    command = click.Command("demo", params=[option], help="One.\n\n\b\ntwo  three")
    page = commands.section(command, click.Context(command, info_name="humanclap demo"))
    assert "# humanclap demo\n\nOne.\n\n```text\ntwo  three\n```" in page
    assert "`--x TEXT`\n:   Take \\*all\\*." in page


def test_the_reference_has_every_public_name_and_every_formula(module) -> None:
    pages = dict(module("reference").reference_pages(ROOT))
    for name in humanclap.__all__:
        if name != "__version__":
            assert f"::: humanclap.{name}\n" in pages["api/humanclap.md"]
    assert "api/humanclap.metrics.bootstrap.md" in pages
    assert (
        "::: humanclap.ratings.aggregate.aggregate" in pages["api/humanclap.ratings.aggregate.md"]
    )


def test_formulas_become_mathml(module) -> None:
    pytest.importorskip("latex2mathml")
    page = module("build").with_mathml("of $x$\n\n$$\n\\frac{1}{2}\n$$\n")
    assert page.count("<math") == 2
    assert "<mfrac>" in page
    assert "$" not in page


@pytest.mark.slow
@pytest.mark.skipif(find_spec("zensical") is None, reason="zensical is not installed: make docs")
def test_the_site_builds_without_a_warning(module) -> None:
    assert module("build").main() == 0
    assert (ROOT / "site" / "index.html").is_file()
