"""One listener's walk through a listening test, from the first page to the code, in pictures.

    python benchmarks/listening_walk.py                  # renews docs/listening/*.webp
    python benchmarks/listening_walk.py --all walk/      # every page, both sizes, both schemes
    python benchmarks/listening_walk.py --trial clips texts      # of the A/B studies alone

Headless Chromium takes a study of synthesised sounds on a desktop (1280 x 800) and on a phone
(390 x 844), in light and in dark colours, and keeps what it sees. The listeners on the last
picture, the researcher's page, are simulated. Two A/B studies follow, one between two clips and
one between two texts. Needs chromium, chromium-driver, selenium and
pillow.
"""

from __future__ import annotations

import argparse
import base64
import io
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "listening"))

from browser import TOKEN, Listener, chromium, serve  # noqa: E402

from humanclap.demo.panel import make_pairs  # noqa: E402
from humanclap.listening.design.comparisons import ABComparison  # noqa: E402
from humanclap.listening.rehearsal.raters import RaterModel  # noqa: E402
from humanclap.listening.rehearsal.simulate import rehearse  # noqa: E402
from humanclap.records import Pair  # noqa: E402

DESIGN = """
title = "Does the sound match the text?"
seed = 1
contact = "The listening lab, lab@example.org"
pay = "2.00 GBP"
[quota]
ratings_per_pair = 8
[session]
pairs = 4
anchors = 1
attention_checks = 1
practice = 1
[listener]
preset = "basic"
[completion]
code = "C0FFEE"
url = "https://example.org/complete?cc={code}"
"""
CHOICES = """
title = "Which {what} matches the {other} better?"
trial = "{trial}"
seed = 1
[quota]
choices_per_comparison = 6
[session]
pairs = 4
anchors = 1
attention_checks = 0
practice = 0
repeats = 1
volume_check = false
"""
COMPARED = {
    "clips": CHOICES.format(trial="clips", what="sound", other="text"),
    "texts": CHOICES.format(trial="texts", what="text", other="sound"),
}
N_SCENES = 12
N_BOTS = 40
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
SCHEMES = ("light", "dark")
COLOURS = 64
"""Of a picture: pages have few, and so a picture of them is small without loss."""
TALLEST = 1400
"""Pixels; the researcher's page is longer."""
KEPT = {
    "desktop-light": (
        "01-first-page", "02-about-you", "03-sound-check", "04-not-heard", "05-rated", "06-changed",
        "07-offline", "08-last-sound", "09-last-questions", "10-code", "11-researcher",
    ),
    "desktop-dark": ("01-first-page", "04-not-heard", "05-rated"),
    "phone-light": (
        "01-first-page", "02-about-you", "03-sound-check", "04-not-heard", "05-rated", "06-changed",
        "08-last-sound", "09-last-questions", "10-code",
    ),
    "phone-dark": ("01-first-page", "05-rated", "10-code"),
}  # fmt: skip
"""The pictures that docs/listening.md shows."""
KEPT_OF_CHOICES = ("12-two-clips", "13-two-clips-chosen", "14-two-texts", "15-two-texts-chosen")
"""Kept in every view; the researcher's page of the A/B study in one."""

Keep = Callable[[str], None]


def keeper(listener: Listener, folder: Path, view: str, *, everything: bool) -> Keep:
    """What writes a picture of the whole page, as WebP, where it is wanted."""
    more = ("16-researcher-choices",) if view == "desktop-light" else ()

    def keep(step: str) -> None:
        if not everything and step not in (*KEPT[view], *KEPT_OF_CHOICES, *more):
            return
        listener.driver.execute_script("window.scrollTo(0, 0)")
        wide = "return document.documentElement.scrollWidth - window.innerWidth"
        if listener.driver.execute_script(wide) > 0:
            raise SystemExit(f"{step}, {view}: the page is wider than its window")
        size = listener.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        height = min(size["height"], TALLEST)
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1}
        shot = listener.driver.execute_cdp_cmd(
            "Page.captureScreenshot",
            {"format": "png", "captureBeyondViewport": True, "clip": clip},
        )
        picture = Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")
        few = picture.quantize(COLOURS, dither=Image.Dither.NONE).convert("RGB")
        few.save(folder / f"{step}-{view}.webp", lossless=True, method=6)

    return keep


def look_through(listener: Listener, view: str) -> None:
    """Make the browser's window that of a desktop or a phone, in light or dark colours."""
    size, scheme = view.split("-")
    width, height = SIZES[size]
    listener.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {
            "width": width,
            "height": height,
            "deviceScaleFactor": 1,
            "mobile": size == "phone",
        },
    )
    listener.colours(scheme)


def walk(listener: Listener, worker: str, keep: Keep) -> None:
    """From the first page to the code."""
    listener.open(f"/?PROLIFIC_PID={worker}&STUDY_ID=s1&SESSION_ID=x1")
    keep("01-first-page")
    listener.agree()
    listener.at("/about")
    keep("02-about-you")
    listener.answer_questions()
    listener.at("/sound")
    keep("03-sound-check")
    listener.check_volume()
    listener.at("/trial")
    sounds(listener, keep)
    listener.at("/after")
    keep("09-last-questions")
    listener.answer_questions()
    listener.at("/done")
    keep("10-code")


def sounds(listener: Listener, keep: Keep) -> None:
    """Every sound; the second answer is changed, the fourth is given without a network."""
    n_sounds = int(listener.heading().rpartition(" ")[2])
    for number in range(1, n_sounds + 1):
        listener.ready()
        if number == 2:
            keep("04-not-heard")
        listener.play()
        listener.rate("7")
        if number == 2:
            keep("05-rated")
        if number == n_sounds:
            keep("08-last-sound")
        if number == 4:
            listener.cut_network(off=True)
        listener.next()
        if number == 2:
            change(listener, keep)
        if number == 4:
            listener.wait(lambda d: "until it is back" in listener.text("#network"))
            listener.ready()
            keep("07-offline")
            listener.cut_network(off=False)


def change(listener: Listener, keep: Keep) -> None:
    """Back to the answer given last, another one, and on."""
    listener.ready()
    listener.click("#back")
    listener.ready()
    listener.rate("4")
    keep("06-changed")
    listener.next()


def choose(listener: Listener, first: str, second: str, keep: Keep) -> None:
    """Two trials of an A/B study; the second is kept before its answer and with it."""
    listener.open("/")
    listener.agree()
    listener.at("/trial")
    listener.play()
    listener.rate("1")
    listener.next()
    listener.ready()
    keep(first)
    listener.play()
    listener.rate("-1")
    keep(second)


def comparisons(pairs: Sequence[Pair], between: str) -> list[ABComparison]:
    """The synthesised clips against each other: of one text, or with another clip's text."""
    made = []
    by_text: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_text.setdefault(pair.text, []).append(pair)
    texts = list(by_text)
    for number, text in enumerate(texts):
        for first, second in combinations(by_text[text], 2):
            if between == "texts":
                other = texts[(number + 1) % len(texts)]
                second = Pair(audio=first.audio, text=f"{text}, then {other[0].lower()}{other[1:]}")
                first = Pair(audio=first.audio, text=text)
            made.append(ABComparison(first=first, second=second))
    distinct = {item.key: item for item in made}
    return list(distinct.values())


def researcher(listener: Listener, keep: Keep, step: str = "11-researcher") -> None:
    """The page of whoever runs the study, of its simulated listeners."""
    listener.open("/admin")
    listener.find("#token").send_keys(TOKEN)
    listener.click("button[type=submit]")
    listener.at("/admin")
    listener.open("/admin?simulated=1")
    listener.wait(lambda d: listener.all(".figures"))
    keep(step)


def main() -> None:
    """Walk, in every view."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--all", type=Path, help="folder for every picture of every view")
    parser.add_argument(
        "--trial", nargs="+", choices=("rating", *COMPARED), default=("rating", *COMPARED)
    )
    arguments = parser.parse_args()
    everything = arguments.all
    folder = everything or ROOT / "docs" / "listening"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, chromium() as driver:
        clips = Path(name) / "clips"
        made = make_pairs(clips, n_scenes=N_SCENES, generator=np.random.default_rng(0))
        pairs = [item.pair for item in made]
        for trial in arguments.trial:
            place = Path(name) / f"study-{trial}"
            place.mkdir()
            items = pairs if trial == "rating" else comparisons(pairs, trial)
            with serve(COMPARED.get(trial, DESIGN), place, (clips, items)) as (study, url):
                rehearse(study, n_listeners=N_BOTS, model=RaterModel(seed=1), cache=place / "cache")
                for view in [f"{size}-{scheme}" for size in SIZES for scheme in SCHEMES]:
                    listener = Listener(driver, url)
                    listener.fresh()
                    look_through(listener, view)
                    keep = keeper(listener, folder, view, everything=bool(everything))
                    if trial == "rating":
                        walk(listener, view, keep)
                        researcher(listener, keep)
                    elif trial == "clips":
                        choose(listener, "12-two-clips", "13-two-clips-chosen", keep)
                        researcher(listener, keep, "16-researcher-choices")
                    else:
                        choose(listener, "14-two-texts", "15-two-texts-chosen", keep)
    written = sorted(folder.glob("*.webp"))
    size_kb = sum(path.stat().st_size for path in written) / 1000
    print(f"{len(written)} pictures, {size_kb:.0f} kB, in {folder}")


if __name__ == "__main__":
    main()
