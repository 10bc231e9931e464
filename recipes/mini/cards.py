"""Put the measured figures into the packaged models' cards, between their marks.

A card's block between `<!-- NAME -->` and `<!-- end -->` is replaced; nothing else is touched.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
WEIGHTS = ROOT / "src" / "humanclap" / "clap" / "weights"
YARDSTICK = "training_free_mn04_minilm"


def span(values: list[float]) -> str:
    """value [low, high]."""
    return "{:.3f} [{:.3f}, {:.3f}]".format(*values)


def quality(result: dict[str, Any], name: str) -> str:
    """What the model hears of clips that trained nothing, beside the training-free yardstick."""
    ours, theirs = result["models"][name], result["models"][YARDSTICK]
    rows = ["| | " + name + " | training-free: mn04 top-10 labels × MiniLM |", "|---|---|---|"]
    for title, key in (
        ("ESC-10 fold 4, 10-way", "esc10_fold4"),
        ("ESC test clips, 50-way", "esc50_test"),
    ):
        shares = " | ".join(f"{100 * model[key]['accuracy']:.1f} %" for model in (ours, theirs))
        rows.append(f"| {title} (n = {ours[key]['n']}) | {shares} |")
    tta = "tta_held_out_prompts"
    shares = " | ".join(f"{100 * m[tta]['recall_at_1']:.1f} %" for m in (ours, theirs))
    rows.append(f"| held-out prompts, 1 of 19 (n = {ours[tta]['n']}) | {shares} |")
    for kind, found in ours["scenes"].items():
        shares = " | ".join(f"{100 * m['scenes'][kind]['correct']:.1f} %" for m in (ours, theirs))
        rows.append(f"| scenes: true above wrong {kind} (n = {found['n']}) | {shares} |")
    return "\n".join(rows)


def likeness(result: dict[str, Any]) -> str:
    """How like the students are to their teachers, and the speed."""
    student = result["audio_student_on_held_out_segments"]
    texts = ", ".join(
        f"{name} {found['mean']:.3f} (n = {found['n']})"
        for name, found in result["text_cosine_with_teacher"].items()
    )
    speed = result["speed"]
    return (
        f"Likeness to the teachers on held-out material: audio, cosine of standardised features "
        f"{student['cosine']:.3f}, same top label {100 * student['top_label']:.1f} % "
        f"(n = {student['n']}); text, mean cosine: {texts}. One core, 10 s clip: "
        f"{speed['mini_audio_ms']:.1f} ms (HTSAT-tiny without its front end in the same run: "
        f"{speed['htsat_tiny_without_front_end_ms']:.0f} ms); one caption "
        f"{speed['caption_ms']:.1f} ms; loading {speed['load_mini_ms']:.0f} ms."
    )


def relate(result: dict[str, Any], name: str) -> str:
    """Agreement of an unaligned model with RELATE's listeners."""
    found = [
        f"SRCC {span(row['srcc'])} on the {row['n']} {row['pairs']} pairs"
        for row in result["rows"]
        if row["model"] == name
    ]
    return "; ".join(found) + "."


def alignment(result: dict[str, Any], name: str) -> str:
    """Before, prior alone and after; what was chosen; the calibration."""
    found = result["relate"][name]
    rows = ["| pairs | n | before | prior alone | after | gain |", "|---|---|---|---|---|---|"]
    for title, key in (("screened", "screened"), ("all rated, with anchors", "all_rated")):
        item = found[key]
        cells = " | ".join(span(item[k]) for k in ("before", "prior_alone", "after", "gain"))
        rows.append(f"| {title} | {item['n']} | {cells} |")
    calibration = found["calibration"]
    held = ", ".join(f"{float(k):.0%} {v:.1%}" for k, v in calibration["coverage"].items())
    manifest = json.loads((WEIGHTS / name / "humanclap.json").read_text())
    settings = manifest["training"]["settings"]
    return "\n".join(
        [
            *rows,
            "",
            f"Predicted ratings of pairs not met miss the observed means by "
            f"{calibration['mean_absolute_error']:.2f} on average; median standard error "
            f"{calibration['median_standard_error']:.2f}; intervals of the levels hold the "
            f"observed mean: {held} (n = {calibration['n']}).",
            "",
            f"Shipped: the setting that folds over all 86 pairs choose, weight of RELATE's answers "
            f"{settings['relate']:g}, of ESC's {settings['esc']:g}, of the prior "
            f"{settings['prior']:g} (cosine per standard deviation); seed "
            f"{manifest['training']['seed']}.",
        ]
    )


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
    """Read the results, fill the four cards."""
    found = {
        name: json.loads((RESULTS / f"{name}.json").read_text())
        for name in ("mini_quality", "mini_alignment", "relate_validation")
    }
    for name in ("mini-clap", "mini-mn04-clap"):
        blocks = {
            "quality": quality(found["mini_quality"], name),
            "relate": relate(found["relate_validation"], name),
        }
        if name == "mini-clap":
            blocks["likeness"] = likeness(found["mini_quality"])
        fill(name, blocks)
    for name in ("mini", "mini-mn04"):
        fill(name, {"alignment": alignment(found["mini_alignment"], name)})


if __name__ == "__main__":
    main()
