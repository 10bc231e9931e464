"""SRCC against the number of human answers that were bought, on real ones (ESC-10, 10-way).

    python benchmarks/efficiency_esc.py PATH/TO/esc [--work FOLDER]

Pairs and targets as in objectives_esc.py. Trained on 10, 30, 100, 300 and all pairs of folds 1, 2,
3 and 5, of which those of fold 5 choose the epoch (a number counts both); judged on fold 4, whose
clips the packaged base has not met. Five seeds, which also draw the pairs.

Prints the tables and writes benchmarks/results/efficiency_esc.json and .svg.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from objectives_esc import targets_of, tie_ceiling

from humanclap.cli.console import progress_bar
from humanclap.experiments.run import run_experiment
from humanclap.files import atomic_writer
from humanclap.json_values import to_json
from humanclap.records import Target
from humanclap.tables import write_records

RESULT = Path(__file__).parent / "results" / "efficiency_esc.json"
RECIPE = Path(__file__).parents[1] / "recipes" / "esc-efficiency.toml"
SPLITS = {"4": "test", "5": "validation"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("esc", type=Path)
    parser.add_argument("--work", type=Path, help="keep the runs here")
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    targets, counts = targets_of(options.esc)
    divided = [replace(one, split=SPLITS.get(str(one.split), "train")) for one in targets]
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        write_records(work / "targets.csv", divided, record_type=Target)
        with progress_bar("efficiency", quiet=False) as progress:
            found = run_experiment(
                RECIPE,
                output=work / "grid",
                data_folder=work,
                audio_root=options.esc,
                progress=progress,
            )
        table = json.loads((work / "grid" / "table.json").read_text(encoding="utf-8"))
        run = json.loads(next((work / "grid").rglob("run.json")).read_text(encoding="utf-8"))
        plot = (work / "grid" / "efficiency.svg").read_text(encoding="utf-8")
    ceiling = tie_ceiling([item.mos for item in found.parts[0].test])
    result = {
        "data": counts,
        "model": run["base_model"],
        "srcc_ceiling_from_ties": ceiling,
        **table,
    }
    with atomic_writer(options.output) as file:
        file.write(to_json(result) + "\n")
    with atomic_writer(options.output.with_suffix(".svg")) as file:
        file.write(plot)
    print(found.text)


if __name__ == "__main__":
    main()
