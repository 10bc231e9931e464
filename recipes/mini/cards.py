"""Put the measured figures into the packaged models' cards, between their marks.

A card's block between `<!-- NAME -->` and `<!-- end -->` is replaced; nothing else is touched.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
WEIGHTS = ROOT / "src" / "humanclap" / "clap" / "weights"
MODELS = ("mini", "mini-mn04")
YARDSTICK = "training_free_mn04_minilm"

sys.path.insert(0, str(ROOT / "benchmarks"))
from people_results import MEASURES  # noqa: E402
from results_text import span, table  # noqa: E402


def quality(result: dict[str, Any]) -> str:
    """What the models hear of clips that trained nothing, beside the training-free yardstick."""
    found = [result["models"][name] for name in (*MODELS, YARDSTICK)]
    rows = []
    for title, key in (
        ("ESC-10 fold 4, 10-way", "esc10_fold4"),
        ("ESC test clips, 50-way", "esc50_test"),
    ):
        shares = (f"{100 * model[key]['accuracy']:.1f} %" for model in found)
        rows.append([title, found[0][key]["n"], *shares])
    tta = "tta_held_out_prompts"
    shares = (f"{100 * model[tta]['recall_at_1']:.1f} %" for model in found)
    rows.append([f"held-out prompts, 1 of {found[0][tta]['prompts']}", found[0][tta]["n"], *shares])
    for kind, scene in found[0]["scenes"].items():
        shares = (f"{100 * model['scenes'][kind]['correct']:.1f} %" for model in found)
        rows.append([f"scenes: true above wrong {kind}", scene["n"], *shares])
    heads = ["", "n", *MODELS, "training-free: mn04 top-10 labels × MiniLM"]
    return "\n".join(table(heads, rows))


def likeness(result: dict[str, Any]) -> str:
    """How like the students are to their teachers, and the speed."""
    student = result["audio_student_on_held_out_segments"]
    texts = "; ".join(
        f"{name} {found['sentence']:.3f} and {found['profile']:.3f} (n = {found['n']})"
        for name, found in result["text_likeness_with_teacher"].items()
    )
    speed = result["speed"]
    return (
        f"Likeness to the teachers on held-out material. Audio: cosine of standardised features "
        f"{student['cosine']:.3f}, same top label {100 * student['top_label']:.1f} % "
        f"(n = {student['n']}). Text, mean cosine of sentence and profile: {texts}. One core, 10 s "
        f"clip: {speed['mini_audio_ms']:.1f} ms (HTSAT-tiny without its front end in the same run: "
        f"{speed['htsat_tiny_without_front_end_ms']:.0f} ms); one caption "
        f"{speed['caption_ms']:.1f} ms; loading {speed['load_mini_ms']:.0f} ms."
    )


def people() -> str:
    """Agreement with people, as in RESULTS at a glance."""
    rows = []
    for measure in MEASURES:
        result = json.loads((RESULTS / f"{measure.file}.json").read_text())
        cells = (span(measure.of(result, name)) for name in MODELS)
        rows.append([measure.title, measure.n(result), *cells, measure.people(result)])
    return "\n".join(table(["measure", "n", *MODELS, "people"], rows))


def ratings(result: dict[str, Any], name: str) -> str:
    """How often predicted ratings held on pairs their map had not met."""
    rows = [
        [
            group,
            found["n"],
            "{:+.2f}".format(found["bias"][0]),
            f"{found['error']:.2f}",
            " / ".join(f"{100 * spread[0]:.0f}" for spread in found["coverage"].values()),
        ]
        for group, found in result["models"][name]["groups"].items()
    ]
    heads = ["pairs", "n", "bias", "error", "50 / 80 / 95 % intervals hold, %"]
    return "\n".join(table(heads, rows))


def fill(name: str, blocks: dict[str, str]) -> None:
    """Replace the marked blocks of one card; SystemExit where one is absent."""
    path = WEIGHTS / name / "README.md"
    text = path.read_text(encoding="utf-8")
    for mark, content in blocks.items():
        pattern = rf"<!-- {mark} -->\n.*?<!-- end -->"
        replacement = f"<!-- {mark} -->\n{content}\n<!-- end -->"
        text, count = re.subn(pattern, lambda _, r=replacement: r, text, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"{path}: {count} blocks marked {mark}, expected 1")
    path.write_text(text, encoding="utf-8")


def main() -> None:
    """Read the results, fill both cards."""
    made = json.loads((RESULTS / "mini_quality.json").read_text())
    coverage = json.loads((RESULTS / "rating_coverage.json").read_text())
    fill("mini", {"quality": quality(made), "likeness": likeness(made), "people": people()})
    for name in MODELS:
        fill(name, {"ratings": ratings(coverage, name)})


if __name__ == "__main__":
    main()
