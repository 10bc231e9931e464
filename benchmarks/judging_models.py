"""What the benchmarks on people's judgements share: arguments, models, intervals, results files.

Each takes `--models NAME_OR_FOLDER ... --mn04 FILE --shared DIR --output JSON --note TEXT` and
judges every model on the same items; differences between models are paired: from the same draws.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from humanclap.errors import InputError
from humanclap.files import atomic_writer
from humanclap.json_values import plain
from humanclap.metrics.bootstrap import Statistics, cluster_bootstrap
from humanclap.scoring.scorer import HumanCLAP

RESULTS = Path(__file__).parent / "results"
MODELS = ("mini", "mini-mn04")
REPLICATES = 2000
Floats = NDArray[np.float64]


def arguments_of(
    description: str | None, name: str, *, data: bool = True
) -> argparse.ArgumentParser:
    """The common arguments; `name` of the results file unless --output names another.

    data: whether the reference data are needed.
    """
    parser = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    parser.add_argument("--models", nargs="+", default=list(MODELS), metavar="NAME_OR_FOLDER")
    parser.add_argument("--mn04", type=Path, help="mn04_as_mAP_432.pt (fetched where not given)")
    parser.add_argument("--shared", type=Path, required=data, help="folder of the reference data")
    parser.add_argument("--output", type=Path, default=RESULTS / f"{name}.json")
    parser.add_argument("--note", help="what a reader must know of these models")
    return parser


def label_of(model: str) -> str:
    """A model as results name it: a folder by its last part.

    >>> label_of("mini"), label_of("laion/clap-htsat-unfused")
    ('mini', 'laion/clap-htsat-unfused')
    """
    return Path(model).resolve().name if Path(model).is_dir() else model


def labels_of(models: Sequence[str]) -> list[str]:
    """Labels of all models; raises InputError where two would be one."""
    labels = [label_of(model) for model in models]
    doubled = {label for label in labels if labels.count(label) > 1}
    if doubled:
        raise InputError(f"two models are called {min(doubled)!r}; rename a folder")
    return labels


def load_models(models: Sequence[str], mn04: Path | None) -> dict[str, HumanCLAP]:
    """Models by label, in the order given."""
    labels = labels_of(models)
    return {
        label: HumanCLAP.from_pretrained(model, mn04=mn04)
        for label, model in zip(labels, models, strict=True)
    }


def means(columns: Mapping[str, ArrayLike]) -> Statistics:
    """Mean of each column, shape (n,), where item i stands weights[r, i] times.

    >>> means({"right": [1, 0, 1]})(np.array([[1, 1, 1], [2, 2, 0]]))["right"].round(3)
    array([0.667, 0.5  ])
    """
    values = {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}

    def statistics(weights: Floats) -> dict[str, Floats]:
        total = weights.sum(axis=1)
        return {name: weights @ column / total for name, column in values.items()}

    return statistics


def spans(statistics: Statistics, clusters: Sequence[Hashable]) -> dict[str, list[float]]:
    """[value, low, high] of each statistic, to four places.

    clusters: shape (n,). Intervals: 95 %, bootstrap that draws clusters whole; NaN for a single
    cluster. Raises InputError where there are no items.

    >>> spans(means({"right": [1, 1, 0, 0]}), [1, 1, 1, 1])
    {'right': [0.5, nan, nan]}
    """
    found = cluster_bootstrap(
        statistics, clusters, rng=np.random.default_rng(0), replicates=REPLICATES
    )
    observed = statistics(np.ones((1, len(clusters))))
    return {
        name: [round(float(v), 4) for v in (observed[name][0], interval.low, interval.high)]
        for name, interval in found.items()
    }


def paired(models: Sequence[str]) -> list[tuple[str, str]]:
    """Every two models, each once: (name, baseline), for the difference name - baseline.

    >>> paired(["mini", "mini-mn04", "other"])
    [('mini', 'mini-mn04'), ('mini', 'other'), ('mini-mn04', 'other')]
    """
    return list(combinations(models, 2))


def differences(
    columns: Mapping[str, ArrayLike], pairs: Sequence[tuple[str, str]], clusters: Sequence[Hashable]
) -> list[dict[str, Any]]:
    """Mean of name - baseline for each pair of columns, with the draws of `spans`."""
    of_pairs = {
        f"{place}": np.asarray(columns[name], float) - np.asarray(columns[baseline], float)
        for place, (name, baseline) in enumerate(pairs)
    }
    if not of_pairs:
        return []
    found = spans(means(of_pairs), clusters)
    return [
        {"name": name, "baseline": baseline, "difference": found[f"{place}"]}
        for place, (name, baseline) in enumerate(pairs)
    ]


def chance_within(first: int, better: int, tied: int, own: int = 1) -> float:
    """Chance that one of `own` items stands among the first so many, ties in random order.

    better: others with a higher score than the best own ones; tied: others with the same score as
    these `own` best ones.

    >>> chance_within(1, 0, 0), chance_within(1, 0, 3), chance_within(5, 5, 0)
    (1.0, 0.25, 0.0)
    """
    left = min(first - better, tied + own)
    return 0.0 if left <= 0 else 1 - comb(tied, left) / comb(tied + own, left)


def place_among(scores: ArrayLike, own: ArrayLike) -> tuple[int, int, int]:
    """How many other items lie above the best own one, how many at it, how many own ones at it.

    scores: shape (n,), higher is better; own: shape (n,), which items are right.

    >>> place_among([0.5, 0.9, 0.5, 0.1], [True, False, False, False])
    (1, 1, 1)
    """
    values, right = np.asarray(scores, np.float64), np.asarray(own, bool)
    best = values[right].max()
    level = values == best
    above = int((values > best).sum())
    return above, int((level & ~right).sum()), int((level & right).sum())


def write(
    arguments: argparse.Namespace,
    script: str,
    models: Mapping[str, HumanCLAP],
    found: Mapping[str, Any],
    *,
    options: str = "",
) -> None:
    """Write a results file: command, note, models with signatures, then what was found.

    options: of the script alone, as given on its command line.
    """
    labels = list(models)
    chosen = "" if labels == list(MODELS) else " --models " + " ".join(labels)
    given = " --shared SHARED" if arguments.shared else ""
    result = {
        "command": f"python benchmarks/{Path(script).name}{given} --mn04 MN04{chosen}{options}",
        **({"note": arguments.note} if arguments.note else {}),
        "models": {label: model.signature for label, model in models.items()},
        "replicates": REPLICATES,
        **found,
    }
    write_json(arguments.output, result)


def write_json(path: Path, result: Mapping[str, Any]) -> None:
    """Write a results file whole; undefined numbers are null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_writer(path) as file:
        file.write(json.dumps(plain(dict(result)), indent=2, ensure_ascii=False) + "\n")
