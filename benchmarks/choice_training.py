"""Does training on people's choices help, beside ratings and alone? Cross-validated.

    python benchmarks/choice_training.py --shared SHARED

Choices: FENSE's AudioCaps-Eval, the pairs of captions whose sound is at hand (SHARED/data/fense);
ratings: RELATE validation, the pairs that its own screening kept (SHARED/data/relate-validation).
Both are of AudioCaps recordings, 23 of them the same. Five folds; no recording (by its YouTube id,
whatever the file) and no caption is in two of them, of ratings and choices together. Of the pairs
and choices outside a fold a fifth, by the same groups, chooses the epoch. Settings are those a user
gets, at two learning rates; nothing is chosen on what is judged. A model is judged on the fold that
it did not meet: accuracy on decided choices, and SRCC over all ratings, each scored by the model of
its fold. Mean over three seeds; 95 % bootstrap intervals, recordings drawn whole, differences from
the same draws; the variance of the seeds is not in them. The models are thrown away. Writes
benchmarks/results/choice_training.json.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from judging_models import REPLICATES, Floats, arguments_of, spans, write_json

from humanclap.audio.clip_codes import clip_codes
from humanclap.choices import read_votes
from humanclap.clap.checkpoint import load_checkpoint
from humanclap.grouping import grouped_folds, grouped_split
from humanclap.metrics.weighted import WeightedAgreement, cluster_codes
from humanclap.ratings.aggregate import aggregate
from humanclap.ratings.read import read_ratings
from humanclap.ratings.screening import screen_published
from humanclap.training.data.choices import ChoiceExample, choice_example_of, credits, sides_of
from humanclap.training.data.dataset import Example, example_of
from humanclap.training.data.splits import Splits
from humanclap.training.loop.loop import train
from humanclap.training.loop.validation import cosines, gaps_of
from humanclap.training.model.towers import audio_tower, text_tower
from humanclap.training.settings import TrainingSettings

Item = TypeVar("Item")
FOLDS, VALIDATION = 5, 0.2
SEEDS = (0, 1, 2)
LEARNING_RATES = (1e-4, 1e-3)
BEFORE, RATE = "before training", " (rate "
OBJECTIVES = {
    "ratings": TrainingSettings(objective="wsce+mae"),
    "choices": TrainingSettings(objective="choice"),
    "ratings + choices": TrainingSettings(objective="wsce+mae+choice"),
    "ratings + choices, epoch by accuracy": TrainingSettings(
        objective="wsce+mae+choice", best_by="accuracy"
    ),
}
GROUPS = {"overall": ("HC", "HI", "HM", "MM"), "without HI": ("HC", "HM", "MM")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A pair under the name of its recording, as folds are made of it."""

    audio: str
    text: str

    @property
    def pair_id(self) -> str:
        """Name of the pair."""
        return f"{self.audio} {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Ratings and choices with the recording of each."""

    rated: tuple[Example, ...]
    rated_of: tuple[str, ...]
    choices: tuple[ChoiceExample, ...]
    chosen_of: tuple[str, ...]

    def known(self) -> list[Known]:
        """Every rated pair, then both sides of every choice."""
        pairs = [(of, item.text) for of, item in zip(self.rated_of, self.rated, strict=True)]
        pairs += [
            (of, side.text)
            for of, choice in zip(self.chosen_of, self.choices, strict=True)
            for side in choice.sides
        ]
        return [Known(audio=audio, text=text) for audio, text in pairs]

    def divided(self, numbers: Sequence[int]) -> tuple[list[int], list[int]]:
        """A number for each of `known` -> of each rated pair, of each choice."""
        count = len(self.rated)
        return list(numbers[:count]), list(numbers[count::2])

    def of(self, chosen: Sequence[bool]) -> Data:
        """Those rated pairs and choices; chosen: for each of `known`."""
        rated, choices = self.divided([int(one) for one in chosen])
        return Data(
            rated=tuple(_kept(self.rated, rated)),
            rated_of=tuple(_kept(self.rated_of, rated)),
            choices=tuple(_kept(self.choices, choices)),
            chosen_of=tuple(_kept(self.chosen_of, choices)),
        )


def _kept(items: Sequence[Item], flags: Sequence[int]) -> list[Item]:
    return [item for item, flag in zip(items, flags, strict=True) if flag]


def read_data(shared: Path) -> Data:
    """FENSE's votes and RELATE validation's screened mean ratings, with their recordings."""
    fense, relate = shared / "data" / "fense", shared / "data" / "relate-validation"
    votes = read_votes(fense / "pairs.csv")
    ratings = screen_published(read_ratings(relate / "ratings_REL.csv")).kept
    targets = aggregate([rating for rating in ratings if rating.kind == "rating"])
    return Data(
        rated=tuple(
            example_of(target, root=relate / "audio", where=target.audio) for target in targets
        ),
        rated_of=tuple(Path(target.audio).stem for target in targets),
        choices=tuple(choice_example_of(one, root=fense, table="pairs.csv") for one in votes),
        chosen_of=tuple(Path(one.audio_a).stem for one in votes),
    )


def splits_of(data: Data) -> Splits:
    """A fifth of the groups that share neither recording nor caption validates."""
    known = data.known()
    strata = ["rating"] * len(data.rated) + ["choice"] * (2 * len(data.choices))
    shares = {"train": 1 - VALIDATION, "validation": VALIDATION}
    split_of = grouped_split(known, shares, strata=strata)
    train, validation = (
        data.of([split_of[pair.pair_id] == name for pair in known]) for name in shares
    )
    return Splits(
        train=train.rated,
        validation=validation.rated,
        validation_name="a fifth",
        train_choices=train.choices,
        validation_choices=validation.choices,
    )


def for_objective(splits: Splits, settings: TrainingSettings) -> Splits:
    """Without the table that the objective does not learn from."""
    if not settings.rating_coefficients:
        return replace(splits, train=(), validation=())
    if not settings.learns_choices:
        return replace(splits, train_choices=(), validation_choices=())
    return splits


class Bench:
    """`mini`, trained again and again from where it began, over features kept once."""

    def __init__(self, data: Data, model: str) -> None:
        self.data = data
        loaded = load_checkpoint(model)
        self.backbone, self.known = loaded.backbone, loaded.known_identities()
        self.fingerprint = self.backbone.fingerprint()
        state = self.backbone.module().state_dict()
        self._start = {name: tensor.clone() for name, tensor in state.items()}
        every = (*data.rated, *sides_of(data.choices))
        self._audio = audio_tower(self.backbone, TrainingSettings(), every)
        self._text = text_tower(self.backbone, TrainingSettings(), every)

    def scores(self) -> tuple[Floats, Floats]:
        """Cosine of every rated pair and gap of every choice, by the weights as they are."""
        rated = cosines(self.backbone, self.data.rated, self._audio, self._text)
        sides = cosines(self.backbone, sides_of(self.data.choices), self._audio, self._text)
        return rated, gaps_of(sides)

    def before(self) -> tuple[Floats, Floats]:
        """Scores of the model as it came."""
        self.backbone.module().load_state_dict(self._start)
        self.backbone.module().eval()
        return self.scores()

    def after(self, splits: Splits, settings: TrainingSettings) -> tuple[Floats, Floats, int]:
        """Scores after training, and the epoch that was kept."""
        self.backbone.module().load_state_dict(self._start)
        outcome = train(
            self.backbone,
            for_objective(splits, settings),
            settings,
            tower=self._audio,
            embed_text=self._text,
        )
        return *self.scores(), outcome.best_epoch

    def held_out(self, settings: TrainingSettings, folds: Sequence[int]) -> dict[str, Any]:
        """Scores of every rated pair and choice by the model of its fold; the epochs kept."""
        rated_fold, choice_fold = (np.array(one) for one in self.data.divided(folds))
        rated, gaps = np.zeros(len(rated_fold)), np.zeros(len(choice_fold))
        epochs = []
        for fold in range(FOLDS):
            splits = splits_of(self.data.of([one != fold for one in folds]))
            cosine, gap, epoch = self.after(splits, settings)
            rated[rated_fold == fold] = cosine[rated_fold == fold]
            gaps[choice_fold == fold] = gap[choice_fold == fold]
            epochs.append(epoch)
        return {"rated": rated, "gaps": gaps, "epochs": epochs}


def met_by_base(bench: Bench) -> dict[str, int]:
    """How many pairs, rated and sides of choices, the base met before, by what and for what."""
    every = (*bench.data.rated, *sides_of(bench.data.choices))
    by_clip: dict[Path, set[str]] = {}
    for item in every:
        by_clip.setdefault(item.path, set()).add(item.text)
    counts: Counter[str] = Counter()
    for path, texts in sorted(by_clip.items()):
        counts.update(bench.known.met(sorted(texts), clip_codes(path)))
    return dict(counts.most_common())


Scores = Mapping[str, Sequence[tuple[Floats, Floats]]]
"""Way -> for every seed the cosines of the rated pairs and the gaps of the choices."""


def accuracies(scores: Scores, data: Data, kinds: Sequence[str]) -> dict[str, Any]:
    """Accuracy of every way on the decided choices of these kinds, and differences."""
    inside = [choice.decided and choice.kind in kinds for choice in data.choices]
    choices = _kept(data.choices, [int(one) for one in inside])
    clusters = _kept(data.chosen_of, [int(one) for one in inside])
    columns = {
        way: np.mean([credits(gaps[inside], choices)[0] for _, gaps in runs], axis=0)
        for way, runs in scores.items()
    }

    def statistics(weights: Floats) -> dict[str, Floats]:
        return {way: weights @ column / weights.sum(axis=1) for way, column in columns.items()}

    found = with_differences(statistics, list(scores))
    return {
        "n": len(choices),
        "recordings": len(set(clusters)),
        "accuracy": spans(found, clusters),
    }


def correlations(scores: Scores, data: Data) -> dict[str, Any]:
    """SRCC of every way with the mean ratings, and differences."""
    human = [item.mos for item in data.rated]
    codes = cluster_codes(data.rated_of)
    engines = {
        way: [WeightedAgreement(rated, human) for rated, _ in runs] for way, runs in scores.items()
    }

    def statistics(weights: Floats) -> dict[str, Floats]:
        return {
            way: np.mean([engine(weights)["srcc"] for engine in of_way], axis=0)
            for way, of_way in engines.items()
        }

    found = with_differences(statistics, list(scores))
    return {
        "n": len(human),
        "recordings": int(codes.max()) + 1,
        "srcc": spans(found, list(data.rated_of)),
    }


def with_differences(statistics: Any, ways: Sequence[str]) -> Any:
    """The statistics, and each less that before training and less that of ratings alone."""

    def found(weights: Floats) -> dict[str, Floats]:
        values = dict(statistics(weights))
        for way in ways[1:]:
            ratings = "ratings" + way[way.index(RATE) :] if RATE in way else "ratings"
            for base in {BEFORE: None, ratings: None}:
                if base != way:
                    values[f"{way} - {base}"] = values[way] - values[base]
        return values

    return found


def trained_ways(
    bench: Bench, folds: Sequence[int]
) -> tuple[dict[str, list[tuple[Floats, Floats]]], dict[str, list[int]]]:
    """Held-out scores of every way to train, by seed, and the epochs that were kept."""
    scores: dict[str, list[tuple[Floats, Floats]]] = {BEFORE: [bench.before()]}
    epochs: dict[str, list[int]] = {}
    for rate in LEARNING_RATES:
        for name, settings in OBJECTIVES.items():
            way = name if rate == LEARNING_RATES[0] else f"{name}{RATE}{rate:g})"
            for seed in SEEDS:
                own = replace(settings, learning_rate=rate, seed=seed)
                run = bench.held_out(own, folds)
                scores.setdefault(way, []).append((run["rated"], run["gaps"]))
                epochs.setdefault(way, []).extend(run["epochs"])
            print(f"{way:<50} epochs kept {epochs[way]}", flush=True)
    return scores, epochs


def main() -> None:
    """Train, judge, print and write."""
    parser = arguments_of(__doc__, "choice_training")
    parser.set_defaults(models=["mini"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = read_data(arguments.shared)
    folds = grouped_folds(data.known(), FOLDS)
    bench = Bench(data, arguments.models[0])
    scores, epochs = trained_ways(bench, folds)
    result = {
        "command": "python benchmarks/choice_training.py --shared SHARED",
        "model": {"name": arguments.models[0], "fingerprint": bench.fingerprint},
        "data": {
            "choices": len(data.choices),
            "decided": sum(choice.decided for choice in data.choices),
            "choice_recordings": len(set(data.chosen_of)),
            "rated_pairs": len(data.rated),
            "rated_recordings": len(set(data.rated_of)),
            "recordings_in_both": len(set(data.rated_of) & set(data.chosen_of)),
        },
        "met_by_base": met_by_base(bench),
        "folds": FOLDS,
        "validation": VALIDATION,
        "seeds": list(SEEDS),
        "learning_rates": list(LEARNING_RATES),
        "replicates": REPLICATES,
        "epochs_kept": epochs,
        "choices": {name: accuracies(scores, data, kinds) for name, kinds in GROUPS.items()},
        "ratings": correlations(scores, data),
    }
    write_json(arguments.output, result)
    for title, found in (*result["choices"].items(), ("SRCC", result["ratings"])):
        for way, span in (found.get("accuracy") or found["srcc"]).items():
            print(f"{title:<12}{way:<70}{span}")


if __name__ == "__main__":
    main()
