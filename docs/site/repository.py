"""Files of the repository as pages of the site, and links between files as links between pages.

A document links to files as GitHub shows them (`../benchmarks/RESULTS.md`). On the site such a
file is a page of its own: Markdown as text, anything else as a listing. A link to a file that is
not there ends the build.
"""

from __future__ import annotations

import posixpath
import re
from itertools import pairwise
from pathlib import Path

PLACES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing/index.md",
    "README.md": "readme.md",
    "benchmarks/RESULTS.md": "results.md",
    "src/humanclap/clap/weights/mini/README.md": "cards/mini.md",
    "src/humanclap/clap/weights/mini-mn04/README.md": "cards/mini-mn04.md",
}
"""File of the repository -> page of the site; other files stand below `repository/`."""
LINK = re.compile(r"""(?:(?<=\]\()|(?<=\ssrc=")|(?<=\ssrcset="))([^)\s#"]+)(#[^)\s"]*)?(?=[)"])""")
ADDRESS = re.compile(r"[a-z]+:")
FENCE = re.compile(r"^(```|~~~).*?^\1`*\s*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
IMAGES = (".webp", ".png", ".svg", ".jpg")
LANGUAGES = {".py": "python", ".toml": "toml", ".yml": "yaml", ".sh": "bash", ".json": "json",
             ".js": "javascript", ".css": "css", ".html": "html"}  # fmt: skip
NOT_SEARCHED = "---\nsearch:\n  exclude: true\n---\n"
MOST_BYTES = 400_000


class Repository:
    """Which file of the repository stands on which page.

    root: the folder of the repository. Addresses of files are relative to it, with slashes.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file_of = {page: file for file, page in PLACES.items()}

    def source(self, page: str) -> str:
        """The repository's file behind a page of the site."""
        return self.file_of.get(page, f"docs/{page}")

    def page(self, file: str) -> str:
        """The page on which a file of the repository stands; a picture stays a picture."""
        if file in PLACES:
            return PLACES[file]
        if file.startswith("docs/") and file.endswith((".md", *IMAGES)):
            return file.removeprefix("docs/")
        if (self.root / file).is_dir():
            return f"repository/{file}/index.md"
        address = (
            f"repository/{file}" if file.endswith((".md", *IMAGES)) else f"repository/{file}.md"
        )
        return re.sub(r"README\.md$", "index.md", address)

    def linked(self, text: str, file: str) -> list[str]:
        """The files that a document links to. Raises SystemExit where one does not exist."""
        if (self.root / file).is_dir():
            file += "/index"
        links = [link[1] for link in LINK.finditer(FENCE.sub("", text))]
        found = {link: self._target(link, file) for link in links if not ADDRESS.match(link)}
        dead = [link for link, target in found.items() if target is None]
        if dead:
            raise SystemExit(f"{file} links to what is not in the repository: {', '.join(dead)}")
        return [target for target in found.values() if target is not None]

    def with_links_of_the_site(self, text: str, page: str) -> str:
        """A page's Markdown whose links lead to pages of the site."""
        file = self.source(page)
        if (self.root / file).is_dir():
            file += "/index"

        def moved(link: re.Match[str]) -> str:
            target = self._target(link[1], file)
            if target is None:
                return link[0]
            there = posixpath.relpath(self.page(target), posixpath.dirname(page) or ".")
            return there + (link[2] or "")

        code = list(FENCE.finditer(text))
        edges = [0, *(edge for block in code for edge in block.span()), len(text)]
        parts = [text[a:b] for a, b in pairwise(edges)]
        return "".join(
            part if place % 2 else LINK.sub(moved, part) for place, part in enumerate(parts)
        )

    def _target(self, link: str, file: str) -> str | None:
        if ADDRESS.match(link):
            return None
        target = posixpath.normpath(posixpath.join(posixpath.dirname(file), link))
        return target if not target.startswith("..") and (self.root / target).exists() else None

    def content(self, file: str) -> str:
        """A file as Markdown: a document as it is, a folder as a list, others as a listing."""
        path = self.root / file
        if path.is_dir():
            inside = sorted(
                p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts
            )
            lines = [f"- [{p.relative_to(path)}]({p.relative_to(path)})" for p in inside]
            return f"{NOT_SEARCHED}# {file}\n\n" + "\n".join(lines) + "\n"
        text = path.read_text(encoding="utf-8")
        if file.endswith(".md"):
            return FRONT_MATTER.sub("", text)
        language = LANGUAGES.get(path.suffix, "text")
        shown = text if len(text) < MOST_BYTES else text[:MOST_BYTES] + "\n(cut here)"
        return f"{NOT_SEARCHED}# {file}\n\n`````{language}\n{shown}\n`````\n"
