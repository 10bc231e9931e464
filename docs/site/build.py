"""Build the site: collect its pages from the repository, then let zensical render them.

    python docs/site/build.py            # or: make docs; writes site/index.html

Pages come from docs/, from other documents of the repository, from the commands and from the
docstrings. A warning, a dead link or a dead anchor ends the build with an error. Nothing in the
site comes from another host: it can be read from the disk, and searched there.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import commands
import reference
from latex2mathml.converter import convert
from repository import IMAGES, PLACES, Repository

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".cache" / "site"
DISPLAYED = re.compile(r"^\$\$\n(.*?)\n\$\$$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<![\\$`\w])\$([^$\n`]+?)\$(?![\w$])")
WITH_FORMULAS = "method.md"
ADDRESS = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=[\"']?(?:https?:)?//", re.I)

WORKER_OF_ANOTHER_HOST = re.compile(r"https://unpkg\.com/iframe-worker/shim")
"""With this script the theme searches pages from the disk; ours does so without network."""


def main() -> int:
    """Exit code: 0, or 1 where zensical warns or a page would load something of another host."""
    shutil.rmtree(WORK, ignore_errors=True)
    pages, files = collected(Repository(ROOT))
    for address, text in pages.items():
        write(WORK / "pages" / address, text)
    for address, file in files.items():
        (WORK / "pages" / address).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, WORK / "pages" / address)
    shutil.copyfile(ROOT / "docs/site/doctests.py", WORK / "doctests.py")
    shutil.copyfile(ROOT / "docs/site/search-from-disk.js", WORK / "pages/search-from-disk.js")
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    write(WORK / "mkdocs.yml", with_folders(config, pages))
    zensical = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    if subprocess.run([*zensical, "--config-file", "mkdocs.yml"], cwd=WORK).returncode:
        return 1
    for page in (WORK / "site").rglob("*.html"):
        served = "../" * len(page.relative_to(WORK / "site").parts[1:]) + "search-from-disk.js"
        page.write_text(WORKER_OF_ANOTHER_HOST.sub(served, page.read_text("utf-8")), "utf-8")
    foreign = [
        str(p) for p in (WORK / "site").rglob("*.html") if ADDRESS.search(p.read_text("utf-8"))
    ]
    if foreign:
        print("these pages load something from another host:", *foreign, sep="\n", file=sys.stderr)
        return 1
    shutil.rmtree(ROOT / "site", ignore_errors=True)
    shutil.move(WORK / "site", ROOT / "site")
    return 0


def collected(repository: Repository) -> tuple[dict[str, str], dict[str, Path]]:
    """(address -> Markdown, address -> file to copy) of everything the site holds."""
    docs = ROOT / "docs"
    files = {
        path.relative_to(docs).as_posix(): path
        for path in docs.rglob("*")
        if path.suffix in (*IMAGES, ".css")
    }
    sources = {
        path.relative_to(docs).as_posix(): path.read_text("utf-8") for path in docs.rglob("*.md")
    }
    sources |= {page: repository.content(file) for file, page in PLACES.items()}
    waiting = list(sources)
    while waiting:
        page = waiting.pop()
        for file in repository.linked(sources[page], repository.source(page)):
            address = repository.page(file)
            if address in sources or address in files:
                continue
            repository.file_of[address] = file
            if address.endswith(IMAGES):
                files[address] = ROOT / file
            else:
                sources[address] = repository.content(file)
                waiting.append(address)
    pages = {page: repository.with_links_of_the_site(text, page) for page, text in sources.items()}
    pages[WITH_FORMULAS] = with_mathml(pages[WITH_FORMULAS])
    return pages | dict(commands.command_pages()) | dict(reference.reference_pages(ROOT)), files


def with_mathml(text: str) -> str:
    """Formulas between dollars, as GitHub shows them, in MathML, which needs no script."""
    text = DISPLAYED.sub(lambda found: convert(found[1], display="block"), text)
    return INLINE.sub(lambda found: f"<span>{convert(found[1])}</span>", text)


def with_folders(config: str, pages: Iterable[str]) -> str:
    """The settings with each entry `TITLE: FOLDER/` of the navigation replaced by its pages."""

    def listed(entry: re.Match[str]) -> str:
        inside = [
            page for page in pages if page.startswith(entry[2]) and not page.endswith("index.md")
        ]
        names = [(page.removeprefix(entry[2]).removesuffix(".md"), page) for page in inside]
        lines = [
            f"      - {entry[2]}index.md",
            *(f"      - {name}: {page}" for name, page in names),
        ]
        return "\n".join([f"  - {entry[1]}:", *lines])

    return re.sub(r"^  - ([\w ]+): (\w+/)$", listed, config, flags=re.MULTILINE)


def write(path: Path, text: str) -> None:
    """Write a page, in a folder that is made for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
