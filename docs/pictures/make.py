"""The pictures of README and of the tutorial, as headless Chromium shows the reports.

    python docs/pictures/make.py              # all; or name some: report tutorial-report

Every rating in them is SIMULATED. Needs what docs/reports/screenshots.py needs. The tutorial's
report is made by the tutorial's own commands, which takes a minute or two.
"""

from __future__ import annotations

import os
import runpy
import sys
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from humanclap.cli.main import run

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WIDTH, HEIGHT = 1100, 830
"""CSS pixels: the summary, the picture and the warnings of a report."""
sys.path[:0] = [str(ROOT / "docs/reports"), str(ROOT / "tests/documents")]


def report(folder: Path, screenshots: Any) -> Path:
    """The report of one metric on simulated ratings of six systems."""
    return Path(screenshots.make_reports(folder, ("evaluate",))["evaluate"])


def tutorial_report(folder: Path, screenshots: Any) -> Path:
    """The report at the end of docs/tutorial.md."""
    import shell_blocks

    with chdir(folder):
        runpy.run_path(str(ROOT / "examples/first_metric/make_sounds.py"), run_name="__main__")
        for command in shell_blocks.commands_of(ROOT / "docs/tutorial.md"):
            program, *words = command.words
            if program == "humanclap" and words[0] in ("ratings", "train", "score", "evaluate"):
                given = words if words[0] == "ratings" else [*words, "-q"]
                if run(given):
                    raise SystemExit(f"{command} failed")
    return folder / "report.html"


def main() -> None:
    """Make each picture, light; README's also dark."""
    import screenshots

    os.environ["SOURCE_DATE_EPOCH"] = screenshots.DATE
    wanted = sys.argv[1:] or ["report", "tutorial-report"]
    with screenshots.chromium() as driver:
        for name in wanted:
            make = {"report": report, "tutorial-report": tutorial_report}[name]
            with TemporaryDirectory() as folder:
                page = make(Path(folder), screenshots)
                for scheme in ("light", "dark") if name == "report" else ("light",):
                    look = screenshots.Look(name, WIDTH, scheme, height=HEIGHT)
                    path = HERE / (f"{name}-{scheme}.webp" if name == "report" else f"{name}.webp")
                    screenshots.picture(driver, page, look, path)


if __name__ == "__main__":
    main()
