"""Pictures of every kind of report, of SIMULATED figures, as headless Chromium shows them.

    python docs/reports/screenshots.py                      # writes docs/reports/*.webp
    python docs/reports/screenshots.py --all looked-at/     # every report, width and colour as PNG

Needs chromium and chromedriver (Debian: apt install chromium chromium-driver) and selenium. The
tables are drawn from a seed: no person gave these ratings. Run it again after a change to a
report's page, and look at each picture.
"""

from __future__ import annotations

import argparse
import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from humanclap.choices import write_choices
from humanclap.cli.main import run
from humanclap.experiments.agreement import figures
from humanclap.experiments.data import make_parts, read_data
from humanclap.experiments.grid import BEFORE, Done, Run
from humanclap.experiments.page import html_experiment
from humanclap.experiments.recipe import read_recipe
from humanclap.experiments.summary import summarise
from humanclap.provenance import provenance_now
from humanclap.records import Choice, Rating, Score, Target
from humanclap.scale import RatingScale
from humanclap.tables import write_records

HERE = Path(__file__).resolve().parent
NOTE = "SIMULATED: no person gave these ratings."
DATE = "1767225600"
"""SOURCE_DATE_EPOCH of the reports: 1 January 2026."""
SYSTEMS = {
    "recordings": 7.4,
    "tango2_full_finetuned": 7.0,
    "ezaudio_xl": 6.4,
    "demo_mar_large_ACWC_wav": 6.2,
    "audioldm2-full-large-1150k": 4.8,
    "demo_magnet_small_10secs_wav": 4.3,
}
"""System -> mean rating; names as long as people give them."""
SOUNDS = ("a dog barks", "rain on a tin roof", "a door closes", "birds sing in a forest",
          "a crowd cheers", "an engine idles", "a phone rings", "glass breaks")  # fmt: skip
ENDS = ("", " and a child laughs", " followed by footsteps", " while a man speaks in a large hall")
WIDTHS = (390, 768, 1280)
PRINT_WIDTH = 688
"""CSS pixels between the margins of A4."""
MADE_BY = "humanclap:0.1.0|model:{}|rate:{}|window:10s|hop:10s|fill:{}|pool:mean|precision:fp32"
OURS = MADE_BY.format("my-clap@9f3e01c7", 32000, "wrap")
PLAIN = MADE_BY.format("laion/clap-htsat-unfused@3f9a1c2d", 48000, "repeatpad")
RECIPE = """
title = "Objectives on simulated ratings"
baseline = "SCE"
seeds = [0, 1, 2]
replicates = 300
simulated = true

[data]
tables = { "experiment.csv" = "" }
audio_root = "clips"

[objectives]
"SCE" = "sce"
"wSCE" = "wsce"
"MAE" = "mae"
"wSCE + MAE" = "wsce+mae"

[objectives."MSE + 0.5 pairwise difference, standardised targets"]
objective = "mse+0.5*difference"
standardise_targets = true
"""
COMMANDS = {
    "evaluate": "evaluate my-clap.csv --targets targets.csv --audio-root clips --include-anchors",
    "overview": "evaluate clapscore.csv my-clap.csv --targets targets.csv --ceiling ratings.csv "
    "--floor train.csv",
    "compare": "compare my-clap.csv --shared-only --audio-root clips",
    "choices": "evaluate my-clap.csv clapscore.csv --choices choices.csv",
    "people": "compare my-clap.csv --choices choices.csv",
    "experiment": "experiment recipe.toml -o grid",
}
"""Report -> the command that makes it; the last trains nothing here: its scores are drawn."""
GAINS = {"SCE": 0.5, "wSCE": 0.42, "MAE": 0.3, "wSCE + MAE": 0.25}
"""Objective -> noise of its models' scores, half the scale where none is given."""


# -- the tables -----------------------------------------------------------------------------


def write_tables(folder: Path) -> None:
    """Everything the commands read: ratings, targets, scores of two models, clips, a recipe."""
    rng = np.random.default_rng(0)
    ratings, targets = rated(rng, "clip", [s + e for s in SOUNDS for e in ENDS])
    train = rated(rng, "train", [f"{s}{e} far away" for s in SOUNDS for e in ENDS])[1]
    write_records(folder / "ratings.csv", ratings, record_type=Rating)
    write_records(folder / "targets.csv", targets, record_type=Target)
    write_records(folder / "train.csv", train, record_type=Target)
    for name, signature, noise in (("my-clap", OURS, 0.14), ("clapscore", PLAIN, 0.4)):
        scores = [scored(rng, target, signature, noise) for target in targets]
        write_records(folder / f"{name}.csv", scores, record_type=Score)
    write_choices(folder / "choices.csv", chosen(np.random.default_rng(7), targets))
    for target in targets:
        write_clip(folder / "clips" / target.audio, rng)
    splits = ("train", "validation", "test", "test")
    rows = [
        replace(target, split=splits[next(i for i, s in enumerate(SOUNDS) if s in target.text) % 4])
        for target in targets
    ]
    write_records(folder / "experiment.csv", rows, record_type=Target)
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")


def rated(
    rng: np.random.Generator, kind: str, texts: list[str]
) -> tuple[list[Rating], list[Target]]:
    """Four ratings of each system's clip for each text, and their means."""
    ratings, targets = [], []
    for number, text in enumerate(texts):
        for system, level in SYSTEMS.items():
            quality = rng.normal(level, 1.6)
            given = np.clip(np.round(rng.normal(quality, 1.5, 4)), 0, 10)
            audio = f"{system}/{kind}_{number:03}_{text.split()[1]}.wav"
            subset = "natural" if system == "recordings" else "synthetic"
            ratings += [
                Rating(audio=audio, text=text, score=float(score), listener_id=f"L{place}",
                       system=system, subset=subset)
                for place, score in zip(rng.permutation(40)[:4], given, strict=True)
            ]  # fmt: skip
            mos = float(given.mean())
            error = float(given.std(ddof=1) / 2)
            targets.append(
                Target(audio=audio, text=text, target=mos / 10, mos=mos, n=4, system=system,
                       standard_error=error, subset=subset)
            )  # fmt: skip
    return ratings, targets


def chosen(rng: np.random.Generator, targets: list[Target]) -> list[Choice]:
    """Two listeners' choices between the clips of every two systems for a text, by their means."""
    found = []
    for text in dict.fromkeys(target.text for target in targets):
        for a, b in combinations([target for target in targets if target.text == text], 2):
            parts = np.exp([(a.mos - b.mos) / 3, (b.mos - a.mos) / 3, -0.7])
            for listener in rng.permutation(40)[:2]:
                answer = ("first", "second", "equal")[rng.choice(3, p=parts / parts.sum())]
                found.append(
                    Choice(audio_a=a.audio, audio_b=b.audio, text_a=text, text_b=text,
                           choice=answer, listener_id=f"L{listener}", system_a=a.system,
                           system_b=b.system,
                           kind="speech" if "man speaks" in text else "no speech")
                )  # fmt: skip
    return found


def scored(rng: np.random.Generator, target: Target, signature: str, noise: float) -> Score:
    """What a model of so much noise would say."""
    score = float(np.clip(0.05 + 0.6 * target.target + noise * rng.normal(), -1, 1))
    ours = signature == OURS
    return Score(
        audio=target.audio,
        text=target.text,
        score=score,
        rating=float(np.clip(1 + 12 * score, 0, 10)) if ours else float("nan"),
        rating_error=1.4 if ours else float("nan"),
        rating_covers="natural" if ours else None,
        met="caption:tuned" if ours and target.text.startswith("a dog") else "nothing",
        system=target.system,
        subset=target.subset,
        signature=signature,
    )


def write_clip(path: Path, rng: np.random.Generator) -> None:
    """Two seconds of tones and noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(32_000) / 16_000
    wave = 0.3 * np.sin(2 * np.pi * rng.uniform(200, 4000) * time * (1 + 0.2 * time))
    soundfile.write(path, wave + 0.03 * rng.normal(size=time.size), 16_000)


# -- the pictures ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """How a page is looked at. height: of the picture in CSS pixels, None for the whole page."""

    report: str
    width: int
    scheme: str = "light"
    media: str = "screen"
    height: int | None = None

    @property
    def name(self) -> str:
        """Of the picture's file."""
        how = "print" if self.media == "print" else f"{self.width}-{self.scheme}"
        return f"{self.report}-{how}"


EVERY = tuple(
    look
    for report in COMMANDS
    for look in (
        *(Look(report, width, scheme) for width in WIDTHS for scheme in ("light", "dark")),
        Look(report, PRINT_WIDTH, media="print"),
    )
)
KEPT = (
    Look("evaluate", 1280, height=1400),
    Look("evaluate", 390, "dark", height=1500),
    Look("overview", 768, height=1500),
    Look("overview", 390, height=1700),
    Look("compare", 1280, "dark", height=1500),
    Look("compare", 390, height=1700),
    Look("experiment", 768, height=1100),
    Look("experiment", PRINT_WIDTH, media="print", height=970),
)
"""Those in the repository."""


@contextmanager
def chromium() -> Iterator[Chrome]:
    """A headless browser without scroll bars."""
    with TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        options = ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                     "--disable-dev-shm-usage", "--disable-background-networking",
                     f"--user-data-dir={profile}"):  # fmt: skip
            options.add_argument(flag)
        driver = Chrome(options=options, service=Service(str(shutil.which("chromedriver"))))
        try:
            yield driver
        finally:
            driver.quit()


def show(driver: Chrome, page: Path, look: Look) -> tuple[int, int]:
    """Open a page that way; width and height of all of it in CSS pixels."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": look.width, "height": 900, "deviceScaleFactor": 1, "mobile": look.width < 500},
    )
    scheme = [{"name": "prefers-color-scheme", "value": look.scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": look.media, "features": scheme})
    driver.get(page.as_uri())
    wide, high = driver.execute_script(
        "const page = document.documentElement; return [page.scrollWidth, page.scrollHeight];"
    )
    return int(wide), int(high)


def picture(driver: Chrome, page: Path, look: Look, path: Path) -> None:
    """One picture, as WebP or PNG by the ending of `path`."""
    wide, high = show(driver, page, look)
    if wide > look.width:
        raise SystemExit(f"{look.name}: the page is {wide} px wide, wider than its screen")
    asked = {"format": "png"} if path.suffix == ".png" else {"format": "webp", "quality": 25}
    clip = {"x": 0, "y": 0, "width": look.width, "height": min(high, look.height or high)}
    found = driver.execute_cdp_cmd(
        "Page.captureScreenshot",
        {**asked, "captureBeyondViewport": True, "clip": {**clip, "scale": 1}},
    )
    path.write_bytes(base64.b64decode(found["data"]))


def make_reports(folder: Path, only: tuple[str, ...]) -> dict[str, Path]:
    """Report -> its page."""
    write_tables(folder)
    with chdir(folder):
        for name in only:
            page, command = Path(f"{name}.html"), COMMANDS[name]
            if name == "experiment":
                write_experiment(page, f"humanclap {command}")
                continue
            given = [*command.split(), "--note", NOTE, "--html", str(page)]
            if run([*given, "-q", "-o", f"{name}.txt"]):
                raise SystemExit(f"humanclap {command} failed")
    return {name: folder / f"{name}.html" for name in only}


def write_experiment(page: Path, command: str) -> None:
    """The page of a grid whose models' scores are drawn, not made by training."""
    recipe = read_recipe("recipe.toml")
    scale, root = RatingScale(), Path("clips")
    (part,) = make_parts(
        read_data(recipe.data, Path(), root, scale), recipe.data, shared_captions=False
    )
    rng = np.random.default_rng(1)
    human = np.array([item.mos for item in part.test])
    done = []
    for objective in [BEFORE, *recipe.objectives]:
        for seed in recipe.seeds:
            scores = human / 10 + GAINS.get(objective, 0.5) * rng.normal(size=human.size)
            own = Run(model="mini", objective=objective, systems="all", pairs=0, part=part,
                      seed=seed, settings=recipe.objectives.get(objective))  # fmt: skip
            found = figures(part.test, scores, np.clip(10 * scores, 0, 10))
            done.append(Done(run=own, scores=scores, found=found, best_epoch=1, ratings=144))
    rows = summarise(done, baseline=recipe.baseline, replicates=recipe.replicates)
    notes = [NOTE, f"Judged on {len(part.test)} pairs, none met in training."]
    page.write_text(
        html_experiment(recipe, rows, notes, made=provenance_now(command)), encoding="utf-8"
    )


def main() -> None:
    """Make the reports and look at them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", choices=list(COMMANDS), action="append")
    parser.add_argument("--all", type=Path, help="Folder for every report, width and colour.")
    given = parser.parse_args()
    wanted, only = given.all, tuple(given.only or COMMANDS)
    os.environ["SOURCE_DATE_EPOCH"] = DATE
    with TemporaryDirectory() as folder, chromium() as driver:
        pages = make_reports(Path(folder), only)
        if wanted is not None:
            wanted.mkdir(parents=True, exist_ok=True)
            for page in pages.values():
                shutil.copy(page, wanted)
        for look in (look for look in (KEPT if wanted is None else EVERY) if look.report in only):
            path = HERE / f"{look.name}.webp" if wanted is None else wanted / f"{look.name}.png"
            picture(driver, pages[look.report], look, path)


if __name__ == "__main__":
    main()
