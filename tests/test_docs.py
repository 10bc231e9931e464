"""The examples of the documents run, and every public name has one."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import humanclap
from humanclap import HumanCLAP

DOCS = Path(__file__).resolve().parents[1] / "docs"
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_no_document_holds_what_a_merge_left_open() -> None:
    pages = [*DOCS.rglob("*.md"), *DOCS.parent.glob("*.md"), *DOCS.parent.glob("examples/**/*.md")]
    assert DOCS.parent / "README.md" in pages
    open_merge = re.compile(r"^(<{7} |>{7} )", re.MULTILINE)
    assert [p.name for p in pages if open_merge.search(p.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("name", ["python.md", "training-loop.md", "how-many-ratings.md"])
def test_the_examples_of_a_page_run_from_top_to_bottom(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = DOCS / name
    text = page.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    found = []
    for block in PYTHON.finditer(text):
        line = text[: block.start(1)].count("\n")
        example = doctest.DocTestParser().get_doctest(block[1], names, page.name, page.name, line)
        said: list[str] = []
        runner = doctest.DocTestRunner(optionflags=FLAGS)
        runner.run(example, out=said.append, clear_globs=False)
        names.update(example.globs)
        found += said
    assert not found, "".join(found)


@pytest.mark.parametrize("name", [name for name in humanclap.__all__ if name != "__version__"])
def test_every_public_name_has_an_example(name: str) -> None:
    examples = "\n".join(PYTHON.findall((DOCS / "python.md").read_text(encoding="utf-8")))
    assert re.search(rf"\b{name}\b", examples)


@pytest.mark.parametrize("name", [name for name in dir(HumanCLAP) if not name.startswith("_")])
def test_every_method_of_the_model_is_told(name: str) -> None:
    assert re.search(rf"`[^`]*\b{name}\b", (DOCS / "python.md").read_text(encoding="utf-8"))
