"""Every objective on real human answers: which sound is this? (the ESC-10 listening test).

    python benchmarks/objectives_esc.py PATH/TO/esc [--work FOLDER]

A pair is a clip and a label; its target is the share of the clip's listeners who chose the label,
and its rating ten times that. Kept are the labels somebody chose and as many others a clip, drawn
at random. ESC's own five folds, which keep recordings together: each clip is judged once, by models
tuned on answers about the other folds. Three seeds; a fifth of the training clips chooses the
epoch; one learning rate for all objectives, the same as in recipes/projections-only.toml and not
tuned here. The ten labels stand on both sides by design, so nothing is said of unseen captions.
The packaged base itself was made with clips and labels (no answers) of folds 1, 2, 3 and 5: fold 4,
which it has not met, is also told apart.

With --work the runs are kept there, and a broken one is resumed. Prints the table and writes
benchmarks/results/objectives_esc.json.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from humanclap.cli.console import progress_bar
from humanclap.experiments.run import run_experiment
from humanclap.experiments.summary import summarise
from humanclap.experiments.tables import as_json
from humanclap.files import atomic_writer
from humanclap.json_values import to_json
from humanclap.records import Target
from humanclap.tables import read_table, write_records

RESULT = Path(__file__).parent / "results" / "objectives_esc.json"
RECIPE = Path(__file__).parents[1] / "recipes" / "esc-objectives.toml"
STUDY = "ESC-10 (10-way)"
LEAST_LISTENERS = 3
BALANCE_SEED = 0
UNMET = "fold 4"


def targets_of(folder: Path) -> tuple[list[Target], dict[str, Any]]:
    """A target for each kept (clip, label), and counts. A listener counts once a clip."""
    clips = {row.text("clip"): row for row in read_table(folder / "clips.csv").rows}
    rows = [
        row for row in read_table(folder / "human_answers.csv").rows if row.text("study") == STUDY
    ]
    labels = sorted({row.text(column) for row in rows for column in ("answer", "truth")})
    answers: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        answers[row.text("clip")].setdefault(row.text("worker"), row.text("answer"))
    kept = {clip: given for clip, given in answers.items() if len(given) >= LEAST_LISTENERS}
    rng = np.random.default_rng(BALANCE_SEED)
    targets = []
    for clip, given in sorted(kept.items()):
        chosen = Counter(given.values())
        others = [label for label in labels if label not in chosen]
        drawn = rng.choice(others, size=min(len(chosen), len(others)), replace=False)
        targets += [
            _target(
                clips[clip].text("audio"),
                str(label),
                chosen[str(label)],
                len(given),
                clips[clip].text("fold"),
            )
            for label in (*sorted(chosen), *drawn)
        ]
    counts = {
        "answers": len(rows),
        "clips": len(kept),
        "clips_with_too_few_listeners": len(answers) - len(kept),
        "labels": len(labels),
        "pairs": len(targets),
        "answers_a_clip": float(np.mean([len(given) for given in kept.values()])),
    }
    return targets, counts


def tie_ceiling(human: Sequence[float]) -> float:
    """Highest SRCC of a score without ties against `human`, whose ties it must order.

    sqrt(1 - sum(t^3 - t) / (n^3 - n)) over the tied groups of size t.
    """
    n = len(human)
    return math.sqrt(1 - sum(t**3 - t for t in Counter(human).values()) / (n**3 - n))


def _target(audio: str, label: str, votes: int, listeners: int, fold: str) -> Target:
    share = votes / listeners
    return Target(
        audio=audio,
        text=" ".join(label.replace("-", " ").lower().split()),
        target=share,
        mos=10 * share,
        n=listeners,
        split=fold,
        standard_error=10 * (share * (1 - share) / (listeners - 1)) ** 0.5,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("esc", type=Path)
    parser.add_argument("--work", type=Path, help="keep the runs here")
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    targets, counts = targets_of(options.esc)
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        write_records(work / "targets.csv", targets, record_type=Target)
        with progress_bar("objectives", quiet=False) as progress:
            found = run_experiment(
                RECIPE,
                output=work / "grid",
                data_folder=work,
                audio_root=options.esc,
                progress=progress,
            )
        run = json.loads(next((work / "grid").rglob("run.json")).read_text(encoding="utf-8"))
        table = json.loads((work / "grid" / "table.json").read_text(encoding="utf-8"))
    result: dict[str, Any] = {
        "command": "python benchmarks/objectives_esc.py PATH/TO/esc",
        "data": counts,
        "model": run["base_model"],
        **table,
    }
    unmet = [one for one in found.done if one.run.part.name == UNMET]
    rows = summarise(unmet, baseline=found.recipe.baseline, by_clip=True)
    ceilings = {part.name: tie_ceiling([i.mos for i in part.test]) for part in found.parts}
    result["srcc_ceiling_from_ties"] = {**ceilings, "mean": float(np.mean(list(ceilings.values())))}
    result["rows_of_unmet_fold"] = as_json(found.recipe, rows, {})["rows"]
    with atomic_writer(options.output) as file:
        file.write(to_json(result) + "\n")
    print(found.text)


if __name__ == "__main__":
    main()
