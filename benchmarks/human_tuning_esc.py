"""Human-tuning on real human answers: which sound is this? (ESC-10 and ESC-50 listening tests).

    python benchmarks/human_tuning_esc.py PATH/TO/esc [--mn04 PATH] [--model NAME_OR_FOLDER ...]

The folder holds clips.csv, human_answers.csv and audio/. A pair is a clip and a label; its text is
the label as the listeners saw it, in lower case; its target is the share of the clip's listeners
who chose it. Trained on folds 1, 2, 3 and 5 of the ten-way test, of which a fifth of the clips
chooses learning rate and epoch; judged once on fold 4, on fold 4 of the fifty-way test, whose
labels are worded otherwise, and on that test's other classes, to see what is lost. The ten labels
stand on both sides by design (allow_shared_captions).

Prints a Markdown table and writes benchmarks/results/human_tuning_esc.json.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from humanclap.clap.backbone import Backbone
from humanclap.clap.checkpoint import load_checkpoint
from humanclap.cli.console import format_number
from humanclap.files import atomic_writer
from humanclap.json_values import to_json
from humanclap.metrics.agreement import lcc, srcc
from humanclap.metrics.bootstrap import Statistics, cluster_bootstrap, paired_difference
from humanclap.metrics.weighted import WeightedAgreement
from humanclap.records import Target
from humanclap.tables import read_table, write_records
from humanclap.training.data.dataset import Example, read_examples
from humanclap.training.data.splits import Splits, make_splits
from humanclap.training.loop.loop import train
from humanclap.training.loop.validation import cosines
from humanclap.training.model.towers import AudioTower, audio_tower
from humanclap.training.settings import TrainingSettings

RESULT = Path(__file__).parent / "results" / "human_tuning_esc.json"
TEN_WAY, FIFTY_WAY = "ESC-10 (10-way)", "ESC-50 (50-way)"
TEST_FOLD = "4"
SEEDS = (0, 1, 2)
LEARNING_RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
LEAST_LISTENERS = {TEN_WAY: 3, FIFTY_WAY: 2}
BALANCE_SEED = 0
SETTINGS = TrainingSettings(
    objective="wsce+mae",
    train="projections",
    epochs=40,
    batch_size=64,
    patience=10,
    allow_shared_captions=True,
)


def phrase(label: str) -> str:
    """The label as a text: `Door - wood creaks` -> `door wood creaks`."""
    return " ".join(label.replace("-", " ").lower().split())


def targets_of(folder: Path, study: str) -> tuple[list[Target], dict[str, Any]]:
    """A target for every (clip, label) of one study, split by fold; and what was left out.

    A listener counts once per clip, with the first answer. The labels are those that stand as an
    answer or as a clip's true class anywhere in the study.
    """
    clips = {row.text("clip"): row for row in read_table(folder / "clips.csv").rows}
    rows = [
        row for row in read_table(folder / "human_answers.csv").rows if row.text("study") == study
    ]
    labels = sorted({row.text(column) for row in rows for column in ("answer", "truth")})
    answers: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        answers[row.text("clip")].setdefault(row.text("worker"), row.text("answer"))
    targets = []
    few = 0
    for clip, given in sorted(answers.items()):
        if len(given) < LEAST_LISTENERS[study]:
            few += 1
            continue
        chosen = Counter(given.values())
        for label in labels:
            share = chosen[label] / len(given)
            targets.append(
                Target(
                    audio=clips[clip].text("audio"),
                    text=phrase(label),
                    target=share,
                    mos=10 * share,
                    n=len(given),
                    split="test" if clips[clip].text("fold") == TEST_FOLD else "train",
                )
            )
    counts = {
        "answers": len(rows),
        "answers_repeated_by_a_listener": len(rows) - sum(map(len, answers.values())),
        "clips_with_too_few_listeners": few,
        "labels": len(labels),
    }
    return targets, counts


def examples_of(folder: Path, study: str) -> tuple[list[Example], dict[str, Any]]:
    """The study's targets through a table, as a user would give them."""
    targets, counts = targets_of(folder, study)
    with tempfile.TemporaryDirectory() as temporary:
        table = Path(temporary) / "targets.csv"
        write_records(table, targets, record_type=Target)
        examples = read_examples(table, audio_root=_audio_root(folder, targets))
    return examples, counts


def _audio_root(folder: Path, targets: Sequence[Target]) -> Path:
    return folder if (folder / targets[0].audio).is_file() else folder / "audio"


def balanced(examples: Sequence[Example]) -> tuple[Example, ...]:
    """The labels somebody chose, and per clip as many others drawn at random."""
    generator = np.random.default_rng(BALANCE_SEED)
    keep = np.array([item.relevance > 0 for item in examples])
    by_clip: dict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(examples):
        by_clip[item.audio].append(place)
    for places in by_clip.values():
        unchosen = [place for place in places if not keep[place]]
        wanted = min(len(places) - len(unchosen), len(unchosen))
        keep[generator.choice(unchosen, size=wanted, replace=False)] = True
    return tuple(item for item, kept in zip(examples, keep, strict=True) if kept)


def tie_ceiling(human: NDArray[np.float64]) -> float:
    """Highest SRCC of a metric without ties against `human` (n,), whose ties it must order.

    sqrt(1 - sum(t^3 - t) / (n^3 - n)) over the tied groups of size t, as the metric's ranks within
    a group are spread about the group's mean rank.
    """
    n = len(human)
    ties = np.unique(human, return_counts=True)[1].astype(np.float64)
    return math.sqrt(1 - float(((ties**3 - ties).sum()) / (float(n) ** 3 - n)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One set of pairs on which models are compared.

    trivial: what a predictor that hears nothing says of each pair, where there is one.
    """

    name: str
    examples: tuple[Example, ...]
    trivial: tuple[float, ...] | None = None

    @property
    def human(self) -> NDArray[np.float64]:
        """Targets, (n,)."""
        return np.array([item.relevance for item in self.examples])

    def describe(self) -> dict[str, Any]:
        """Counts and the tie ceiling."""
        return {
            "pairs": len(self.examples),
            "clips": len({item.audio for item in self.examples}),
            "texts": len({item.text for item in self.examples}),
            "pairs_somebody_chose": int((self.human > 0).sum()),
            "srcc_ceiling_from_ties": round(tie_ceiling(self.human), 4),
            "srcc_of_the_label_alone": self.trivial and srcc(self.trivial, self.human),
        }


def judged_sets(folder: Path, ten: Sequence[Example], fifty: Sequence[Example]) -> list[Judged]:
    """Four sets of fold 4, and the classes outside ESC-10, of which fold 4 has no clip here.

    Fold 4: all ten labels; as many unchosen as chosen; the clip's true label alone (which clips do
    people fail to recognise?); as many unchosen as chosen of the fifty-way test. For the true
    label, the label alone predicts its mean share over the training clips of its class.
    """
    rows = read_table(folder / "clips.csv").rows
    other_classes = {row.text("audio") for row in rows if row.text("esc10") == "False"}
    truth = {
        (row.text("clip"), phrase(row.text("truth")))
        for row in read_table(folder / "human_answers.csv").rows
        if row.text("study") == TEN_WAY
    }
    true = [item for item in ten if (Path(item.audio).stem, item.text) in truth]
    shares: dict[str, list[float]] = defaultdict(list)
    for item in true:
        if item.split == "train":
            shares[item.text].append(item.relevance)
    true_test = tuple(item for item in true if item.split == "test")
    ten_test = [item for item in ten if item.split == "test"]
    fifty_test = [item for item in fifty if item.split == "test"]
    others = [item for item in fifty if item.audio in other_classes]
    return [
        Judged(name="10-way, fold 4, all labels", examples=tuple(ten_test)),
        Judged(name="10-way, fold 4, balanced", examples=balanced(ten_test)),
        Judged(
            name="10-way, fold 4, true label",
            examples=true_test,
            trivial=tuple(float(np.mean(shares[item.text])) for item in true_test),
        ),
        Judged(name="50-way, fold 4, balanced", examples=balanced(fifty_test)),
        Judged(name="50-way, other classes, balanced", examples=balanced(others)),
    ]


def mean_over(statistics: Sequence[Statistics]) -> Statistics:
    """The mean of each statistic over several models, in the same replicates."""

    def mean(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        each = [one(weights) for one in statistics]
        return {name: np.mean([found[name] for found in each], axis=0) for name in ("srcc", "lcc")}

    return mean


def compare(
    judged: Judged, before: NDArray[np.float64], after: Sequence[NDArray[np.float64]]
) -> dict[str, Any]:
    """SRCC and LCC before and after, with 95 % intervals clustered by clip (1000 replicates)."""
    human, clips = judged.human, [item.audio for item in judged.examples]
    base = WeightedAgreement(before, human)
    tuned = mean_over([WeightedAgreement(scores, human) for scores in after])

    def interval(statistics: Statistics) -> dict[str, list[float]]:
        found = cluster_bootstrap(statistics, clips, rng=np.random.default_rng(0))
        return {name: [found[name].low, found[name].high] for name in ("srcc", "lcc")}

    values = [srcc(scores, human) for scores in after]
    return {
        **judged.describe(),
        "before": {"srcc": srcc(before, human), "lcc": lcc(before, human)},
        "before_interval": interval(base),
        "after": {
            "srcc": float(np.mean(values)),
            "srcc_by_seed": values,
            "srcc_standard_deviation": float(np.std(values, ddof=1)),
            "lcc": float(np.mean([lcc(scores, human) for scores in after])),
        },
        "after_interval": interval(tuned),
        "gain_interval": interval(paired_difference(base, tuned)),
    }


class Bench:
    """One model, trained again and again from where it began, over features kept once."""

    def __init__(self, backbone: Backbone, splits: Splits, judged: Sequence[Judged]) -> None:
        self.backbone, self.splits, self.judged = backbone, splits, judged
        self.start = {k: v.clone() for k, v in backbone.module().state_dict().items()}
        everything = [*splits.train, *splits.validation, *(e for j in judged for e in j.examples)]
        self.tower: AudioTower = audio_tower(backbone, SETTINGS, everything)

    def scores(self) -> list[NDArray[np.float64]]:
        """Cosines on each judged set, of the weights as they are."""
        self.backbone.module().eval()
        return [cosines(self.backbone, judged.examples, self.tower) for judged in self.judged]

    def fit(self, settings: TrainingSettings) -> dict[str, Any]:
        """Train from the start; returns the summary of the run."""
        self.backbone.module().load_state_dict(self.start)
        outcome = train(self.backbone, self.splits, settings, tower=self.tower)
        return {
            "learning_rate": settings.learning_rate,
            "seed": settings.seed,
            "best_epoch": outcome.best_epoch,
            "epochs": outcome.epochs,
            "validation_srcc_before": outcome.before["validation_srcc"],
            "validation_srcc": outcome.after["validation_srcc"],
        }

    def run(self) -> dict[str, Any]:
        """Choose the learning rate on the validation pairs, then train every seed and judge."""
        before = self.scores()
        tried = [
            self.fit(replace(SETTINGS, learning_rate=rate, seed=SEEDS[0]))
            for rate in LEARNING_RATES
        ]
        chosen = max(tried, key=lambda summary: float(summary["validation_srcc"]))
        runs, after = [], []
        for seed in SEEDS:
            settings = replace(SETTINGS, learning_rate=chosen["learning_rate"], seed=seed)
            runs.append(self.fit(settings))
            after.append(self.scores())
        return {
            "learning_rates_tried": tried,
            "runs": runs,
            "test": {
                judged.name: compare(judged, before[place], [scores[place] for scores in after])
                for place, judged in enumerate(self.judged)
            },
        }


def markdown(results: dict[str, Any]) -> str:
    """One row per model and judged set."""
    lines = [
        "| model | answers | pairs (clips) | tie ceiling | label alone | SRCC before | SRCC after "
        f"(mean of {len(SEEDS)} seeds ± sd) | gain | LCC before, after |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for model, result in results["models"].items():
        for name, row in result["test"].items():
            gain = row["after"]["srcc"] - row["before"]["srcc"]
            lines.append(
                f"| {model} | {name} | {row['pairs']} ({row['clips']}) "
                f"| {row['srcc_ceiling_from_ties']:.3f} "
                f"| {format_number(row['srcc_of_the_label_alone'] or math.nan)} "
                f"| {row['before']['srcc']:.3f} {_span(row['before_interval'])} "
                f"| {row['after']['srcc']:.3f} ± {row['after']['srcc_standard_deviation']:.3f} "
                f"{_span(row['after_interval'])} | {gain:+.3f} {_span(row['gain_interval'])} "
                f"| {row['before']['lcc']:.3f}, {row['after']['lcc']:.3f} |"
            )
    return "\n".join(lines)


def _span(interval: dict[str, list[float]]) -> str:
    low, high = interval["srcc"]
    return f"[{low:.3f}, {high:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("esc", type=Path)
    parser.add_argument("--model", action="append", help="default: mini; mini-mn04 with --mn04")
    parser.add_argument("--mn04", type=Path, help="the mn04_as checkpoint")
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    models = options.model or ["mini", *(["mini-mn04"] if options.mn04 else [])]
    torch.set_num_threads(1)
    ten, ten_counts = examples_of(options.esc, TEN_WAY)
    fifty, fifty_counts = examples_of(options.esc, FIFTY_WAY)
    splits = make_splits(ten, SETTINGS, table="ten-way answers", validation_fraction=0.2)
    judged = judged_sets(options.esc, ten, fifty)
    results: dict[str, Any] = {
        "data": {TEN_WAY: ten_counts, FIFTY_WAY: fifty_counts},
        "train": {"pairs": len(splits.train), "clips": len({e.audio for e in splits.train})},
        "validation": {
            "pairs": len(splits.validation),
            "clips": len({e.audio for e in splits.validation}),
        },
        "settings": asdict(SETTINGS),
        "models": {},
    }
    for name in models:
        start = time.monotonic()
        backbone = load_checkpoint(name, mn04=options.mn04).backbone
        fingerprint = backbone.fingerprint()
        print(f"{name}@{fingerprint}", file=sys.stderr)
        found = {"fingerprint": fingerprint, **Bench(backbone, splits, judged).run()}
        found["seconds"] = round(time.monotonic() - start, 1)
        results["models"][Path(name).name] = found
    with atomic_writer(options.output) as file:
        file.write(to_json(results) + "\n")
    print(markdown(results))


if __name__ == "__main__":
    main()
