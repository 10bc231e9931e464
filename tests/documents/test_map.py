"""The map of the house in CONTRIBUTING, the pages of docs/contributing, and README's figures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAP = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| ([^|]+) \| \[`([^`]+)`\]\(([^)]+)\) \| ([^|]+) \|$", re.MULTILINE)
ANSWERS = [(found[1], found[2], found[4]) for found in ROW.finditer(MAP)]
PAGES = sorted((ROOT / "docs" / "contributing").glob("*.md"))
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def test_the_five_questions_have_an_answer() -> None:
    assert [question for question, _, _ in ANSWERS] == [
        "the weight in wSCE",
        "the width of an interval",
        "a button's colour",
        "the front end's mel scale",
        "a message about a missing file",
    ]


@pytest.mark.parametrize(("question", "file", "names"), ANSWERS)
def test_the_answer_to_a_question_is_there(question: str, file: str, names: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    found = re.findall(r"`([^`]+)`", names)
    assert found
    assert [name for name in found if name not in text] == [], question


def test_every_room_has_its_paragraph_and_every_paragraph_its_room() -> None:
    rooms = {path.parent.name for path in (ROOT / "src/humanclap").glob("*/__init__.py")}
    assert set(re.findall(r"^- \*\*`(\w+)`\*\*", MAP, re.MULTILINE)) == rooms


def test_the_single_modules_of_the_map_exist() -> None:
    modules = re.compile(r"^Several rooms use the single modules.*?\n\n", re.MULTILINE | re.DOTALL)
    [sentence] = modules.findall(MAP)
    for name in re.findall(r"`(\w+)`", sentence):
        assert (ROOT / f"src/humanclap/{name}.py").is_file(), name


@pytest.mark.parametrize("page", [ROOT / "CONTRIBUTING.md", *PAGES], ids=lambda path: path.name)
def test_what_the_map_links_to_exists(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_how_to_add_something_takes_less_than_30_lines_and_shows_a_test(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 30
    assert "../tests/" in text or "../../tests/" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_what_a_step_names_is_in_a_file_that_it_links_to(page: Path) -> None:
    for step in re.findall(r"^\d\. .*?(?=^\d\. |\n\n)", page.read_text(), re.MULTILINE | re.DOTALL):
        files = [page.parent / link for link in LINK.findall(step)]
        text = "".join(file.read_text(encoding="utf-8") for file in files if file.is_file())
        names = re.findall(r"(?<!\[)`(\w+)`", step)
        assert [name for name in names if name not in text] == [], step


def test_there_is_a_page_for_each_thing_to_add() -> None:
    assert {page.stem for page in PAGES} == {"objective", "metric", "backbone", "trial"}


def test_the_targets_of_make_in_the_map_exist() -> None:
    targets = re.findall(r"^([\w-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"^    make ([\w-]+)", MAP, re.MULTILINE)) <= set(targets)


def test_the_figures_of_readme_are_those_of_the_results() -> None:
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    figures = re.findall(r"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]", readme)
    assert len(figures) >= 10
    assert [figure for figure in figures if figure not in results] == []
    assert len(readme.splitlines()) <= 150


def test_the_measured_figures_of_how_many_ratings_are_those_of_the_results() -> None:
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "how-many-ratings.md").read_text(encoding="utf-8")
    figures = re.findall(r"\d\.\d{3}(?: \[[^]]*\]| ± \d\.\d{3})", page)
    assert len(figures) == 3
    assert [figure for figure in figures if figure not in results] == []
