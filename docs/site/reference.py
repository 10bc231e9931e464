"""The API reference: the public names of the packages, and what the documents import."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

IMPORT = re.compile(r"^(?:>>> )?from (humanclap[\w.]*) import ([\w, ]+)$", re.MULTILINE)
WHOLE = ("metrics",)
"""Packages of which every module is a page: formulas that users call one by one."""


def reference_pages(root: Path) -> Iterator[tuple[str, str]]:
    """(address, Markdown) of the pages; mkdocstrings fills in what the docstrings say."""
    source = root / "src"
    names = public_names(source / "humanclap")
    for module, imported in imported_by(root / "docs").items():
        names[module] |= imported
    pages = {module: sorted(those) for module, those in names.items() if those}
    for package in WHOLE:
        for path in sorted((source / "humanclap" / package).glob("[a-z]*.py")):
            pages[f"humanclap.{package}.{path.stem}"] = []
    yield "api/index.md", index(pages)
    for module, those in pages.items():
        body = [f"::: {module}.{name}" for name in those] or [f"::: {module}"]
        yield f"api/{module}.md", f"# {module}\n\n" + "\n\n".join(body) + "\n"


def index(pages: dict[str, list[str]]) -> str:
    """All pages, each with its names."""
    shown = {
        module: ", ".join(f"`{name}`" for name in names) or "every function"
        for module, names in sorted(pages.items())
    }
    rows = [f"| [`{module}`]({module}.md) | {names} |" for module, names in shown.items()]
    return (
        "# API reference\n\nThe public names, made from their docstrings. "
        "[From Python](../python.md) has an example of each name of `humanclap`.\n\n"
        "| import from | names |\n|---|---|\n" + "\n".join(rows) + "\n"
    )


def public_names(package: Path) -> defaultdict[str, set[str]]:
    """Module -> names in its `__all__`, of every `__init__` that has one."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted(package.rglob("__init__.py")):
        module = ".".join(path.parent.relative_to(package.parent).parts)
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
                found[module] |= {n for n in ast.literal_eval(statement.value) if n[0] != "_"}
    return found


def imported_by(docs: Path) -> dict[str, set[str]]:
    """Module -> names that an example of the documents imports."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for page in sorted(docs.rglob("*.md")):
        for module, names in IMPORT.findall(page.read_text(encoding="utf-8")):
            found[module] |= {name.split(" as ")[0].strip() for name in names.split(",")}
    return found
