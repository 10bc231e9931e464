"""Write benchmarks/RESULTS.md from the files in benchmarks/results/.

    python benchmarks/make_results.py [--check]

No figure is written by hand: each section renders one results file, which a script beside this one
made; its command stands with it. --check: exit 1 where RESULTS.md is not what would be written.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TARGET = HERE / "RESULTS.md"
Result = dict[str, Any]
Renderer = Callable[[Result], list[str]]

HEAD = """\
# Results

Written by `python benchmarks/make_results.py`; no figure here is typed by hand. Each section names
the command that makes its numbers, its data and n. Intervals are 95 %. SHARED stands for a folder
with the reference data, which this project may not pass on."""


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return [*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)]


def span(values: Sequence[float]) -> str:
    """value [low, high]."""
    value, low, high = values
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def relate_validation(result: Result) -> list[str]:
    """Agreement of the models with RELATE's listeners."""
    rows = [
        [row["pairs"], row["model"], row["n"], row["captions"]]
        + [span(row[name]) for name in ("srcc", "lcc", "ktau")]
        for row in result["rows"]
    ]
    return [
        "RELATE's ratings (REL, 0–10) of 39 natural AudioCaps clips of its validation split. "
        "*Screened*: the pairs and answers RELATE's own screening kept. *All rated, with "
        "anchors*: every pair with every answer, deliberately mismatched pairs included. No model "
        "saw a human rating, a clip or a caption of this set. Yardstick, the training-free mn04 "
        "labels × MiniLM (measured elsewhere): SRCC 0.35 screened, 0.64 with anchors. Bootstrap "
        f"clustered by caption, {result['replicates']:,} replicates.",
        "",
        *table(["pairs", "model", "n", "captions", "SRCC", "LCC", "KTAU"], rows),
        "",
        "Models: " + ", ".join(sorted({f"`{row['signature']}`" for row in result["rows"]})),
    ]


def human_tuning_esc(result: Result) -> list[str]:
    """Human-tuning on ESC's crowd answers, rendered by its own script."""
    sys.path.insert(0, str(HERE))
    from human_tuning_esc import markdown

    return [
        "Targets: the share of a clip's listeners who chose a label, for chosen and not-chosen "
        f"labels. Objective {result['settings']['objective']}, projections only; trained on "
        f"{result['train']['pairs']:,} pairs ({result['train']['clips']} clips) of folds 1, 2, 3 "
        f"and 5, learning rate and epoch chosen on {result['validation']['pairs']} other pairs "
        f"({result['validation']['clips']} clips) of those folds, judged on fold 4. Three seeds; "
        "intervals by bootstrap clustered by clip, without the variance of the seeds. *Tie "
        "ceiling*: the SRCC of a perfect score that has no ties, since most shares are exactly 0 "
        "or 1. *Label alone*: the SRCC of a label's mean share in training, which hears nothing.",
        "",
        markdown(result),
    ]


def mini_quality(result: Result) -> list[str]:
    """Zero-shot and retrieval of the packaged models."""
    models = ("mini", "mini-mn04", "training_free_mn04_minilm")
    rows = []
    for name, found in result["mini"].items():
        for key in found:
            if key not in ("n", "classes", "prompts"):
                values = [f"{result[model][name][key]:.3f}" for model in models]
                rows.append([name, key, found["n"], *values])
    likeness = result["text_cosine_with_teacher"]
    texts = ", ".join(
        f"{name} {item['mean']:.3f} (n = {item['n']})" for name, item in likeness.items()
    )
    speed = result["speed"]
    return [
        *table(["set", "measure", "n", "mini", "mini-mn04", "training-free mn04 × MiniLM"], rows),
        "",
        f"Mean cosine of the text tower with its teacher on held-out texts: {texts}.",
        "",
        f"One core: a 10 s clip {speed['mini_audio_ms']:.1f} ms with `mini`, "
        f"{speed['mini_mn04_audio_ms']:.1f} ms with `mini-mn04`, "
        f"{speed['htsat_tiny_without_front_end_ms']:.0f} ms with HTSAT-tiny (random weights, "
        f"without its front end) in the same run; a caption {speed['caption_ms']:.1f} ms.",
    ]


def relate_tables(result: Result) -> list[str]:
    """RELATE's own tables, reproduced."""
    found = result["REL"]
    rows = [
        [
            split,
            *(f"{item[key]:,}" for key in ("ratings", "pairs", "listeners")),
            f"{item['mean_rating']:.2f}",
        ]
        for split, item in found["splits"].items()
    ]
    systems = [
        [name, f"{item['pairs']:,}", f"{item['mean_mos']:.2f}", f"{item['icc1']:.3f}"]
        for name, item in found["test_by_system"].items()
    ]
    screening = found["screening"]
    return [
        f"Screening: {screening['mismatches']} mismatches with the published column over "
        f"{screening['rows_compared']:,} rows.",
        "",
        *table(["split", "ratings", "pairs", "listeners", "mean rating"], rows),
        "",
        *table(["system (test)", "pairs", "mean of pair means", "ICC(1)"], systems),
    ]


def hf_frontend(result: Result) -> list[str]:
    """Our front end against transformers' extractor."""
    rows = [
        [threads, scale, f"{item['max_difference_db']:.1e}", item["ratio"], item["median_ratio"]]
        for threads, by_scale in result["threads"].items()
        for scale, item in by_scale.items()
        if isinstance(item, dict)
    ]
    return [
        f"{result['clips']} clips of {result['seconds_each']} s; time of ours / time of "
        "`ClapFeatureExtractor`, both in one run "
        f"(load average at the start {result['load_average_before']}).",
        "",
        *table(["threads", "mel scale", "largest difference, dB", "best round", "median"], rows),
    ]


def listening_load(result: Result) -> list[str]:
    """A listening test under load."""
    per_pair = ", ".join(
        f"{count:,} pairs × {ratings}" for ratings, count in result["ratings_per_pair"].items()
    )
    times = [
        [name, *(f"{result[key][f'p{share}_ms']:.0f}" for share in (50, 95, 99))]
        for name, key in (
            ("acknowledgement of an answer", "acknowledgement"),
            (
                "with waiting for a killed server",
                "acknowledgement_with_waiting_for_a_killed_server",
            ),
        )
    ]
    return [
        f"{result['listeners']} simulated listeners at once on {result['machine']} (load average "
        f"before: {result['load_average_before']}), {result['kills']} kills of the server. "
        f"{result['answers_acknowledged']:,} answers acknowledged, "
        f"{result['answers_in_database']:,} in the database, "
        f"{result['acknowledged_but_lost']} lost, {result['doubled']} doubled; ratings per pair: "
        f"{per_pair}.",
        "",
        *table(["ms", "p50", "p95", "p99"], times),
    ]


def startup(result: Result) -> list[str]:
    """Start-up times."""
    rows = [[f"`{name}`", f"{seconds:.3f}"] for name, seconds in result["median_s"].items()]
    return [f"Median of {result['runs']} fresh processes, seconds.", "", *table(["", "s"], rows)]


def judging(name: str) -> Renderer:
    """A section of judging_results.py."""

    def renderer(result: Result) -> list[str]:
        sys.path.insert(0, str(HERE))
        import judging_results

        lines: list[str] = getattr(judging_results, name)(result)
        return lines

    return renderer


def of_training(name: str) -> Renderer:
    """A section that training_results.py renders."""

    def render_section(result: Result) -> list[str]:
        sys.path.insert(0, str(HERE))
        import training_results

        lines: list[str] = getattr(training_results, name)(result)
        return lines

    return render_section


SECTIONS: tuple[tuple[str, str, str, Renderer], ...] = (
    (
        "Agreement with people: RELATE validation",
        "relate_validation",
        "python benchmarks/relate_validation.py SHARED/data/relate-validation --mn04 MN04",
        relate_validation,
    ),
    (
        "Ceiling, floor and the models between them: RELATE",
        "judging_relate",
        "python benchmarks/judging_relate.py SHARED/data --mn04 MN04",
        judging("judging_relate"),
    ),
    (
        "Human-tuning on real answers: ESC",
        "human_tuning_esc",
        "python benchmarks/human_tuning_esc.py SHARED/data/esc --mn04 MN04",
        human_tuning_esc,
    ),
    (
        "The packaged models on sounds they did not hear",
        "mini_quality",
        "python recipes/mini/measure.py --shared SHARED --work WORK --output OUTPUT",
        mini_quality,
    ),
    (
        "Objectives on real answers: ESC-10",
        "objectives_esc",
        "python benchmarks/objectives_esc.py SHARED/data/esc",
        of_training("objectives_esc"),
    ),
    (
        "How many answers to buy: ESC-10",
        "efficiency_esc",
        "python benchmarks/efficiency_esc.py SHARED/data/esc",
        of_training("efficiency_esc"),
    ),
    (
        "Objectives and cleaning where the truth is known (simulated)",
        "simulated_grid",
        "python benchmarks/simulated_grid.py --worlds 6",
        of_training("simulated_grid"),
    ),
    (
        "Training a full-size CLAP: memory and time",
        "full_size_steps",
        "python benchmarks/full_size_steps.py",
        of_training("full_size_steps"),
    ),
    (
        "kill -9 and resume",
        "kill_and_resume",
        "python benchmarks/kill_and_resume.py",
        of_training("kill_and_resume"),
    ),
    (
        "RELATE's tables from its public CSVs",
        "relate_tables",
        "python benchmarks/relate_tables.py SHARED/data/relate/scores",
        relate_tables,
    ),
    (
        "Intervals and tests in simulation",
        "interval_simulation",
        "python benchmarks/interval_simulation.py",
        judging("interval_simulation"),
    ),
    (
        "Speed of the bootstrap",
        "bootstrap_speed",
        "python benchmarks/bootstrap_speed.py",
        judging("bootstrap_speed"),
    ),
    (
        "A leaderboard over demo pages",
        "tta_leaderboard",
        "python benchmarks/tta_leaderboard.py SHARED/data/tta-demos --mn04 MN04",
        judging("tta_leaderboard"),
    ),
    (
        "Front end of transformers' CLAPs",
        "hf_frontend",
        "python benchmarks/hf_frontend.py",
        hf_frontend,
    ),
    (
        "A listening test under load (simulated listeners)",
        "listening_load",
        "python benchmarks/listening_load.py",
        listening_load,
    ),
    ("Start-up", "startup", "python benchmarks/startup.py", startup),
)


def render() -> str:
    """The whole document; a section whose results file is absent says so."""
    parts = [HEAD]
    for title, name, command, renderer in SECTIONS:
        path = HERE / "results" / f"{name}.json"
        body = (
            renderer(json.loads(path.read_text(encoding="utf-8")))
            if path.exists()
            else ["Not measured yet."]
        )
        parts.append("\n".join([f"## {title}", "", f"    {command}", "", *body]))
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write, or check."""
    parser = argparse.ArgumentParser(description="Write benchmarks/RESULTS.md.")
    parser.add_argument("--check", action="store_true")
    text = render()
    if not parser.parse_args().check:
        TARGET.write_text(text, encoding="utf-8")
    elif TARGET.read_text(encoding="utf-8") != text:
        sys.exit("benchmarks/RESULTS.md is stale; run: python benchmarks/make_results.py")


if __name__ == "__main__":
    main()
