"""SIMULATED: what each objective and each cleaning step recovers of a truth that is known.

    python benchmarks/simulated_grid.py [--worlds 5] [--quick]

Nobody listened to anything here: embeddings, pairs, listeners and ratings are drawn at random. A
world has RELATE's size (2,862 / 1,287 / 1,311 pairs, five systems of its mean qualities) and its
reliability (ICC(1) 0.42 after screening): three ratings a pair, listeners of 18 ratings and three
anchors, each with a bias, a scale and noise of their own, 10 % of them careless (any answer, as
likely as any other). The model is a pair of linear projections over frozen features that hold the
truth, a signature of the generating system and noise; it begins as a projection that agrees with
the ratings about as well as an ordinary CLAP.

Learning rates are chosen on the validation pairs of a world that is not reported. In each reported
world every run is judged on the same test pairs: against the mean ratings of screened listeners, as
a study could, and against the truth, as only a simulation can. Intervals are t intervals over
worlds; differences from `sce` and between cleaning steps are paired by world.

Prints Markdown tables and writes benchmarks/results/simulated_grid.json.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F

from humanclap.files import atomic_writer
from humanclap.json_values import to_json
from humanclap.metrics.agreement import ktau, lcc, srcc
from humanclap.metrics.reliability import icc1
from humanclap.ratings.aggregate import aggregate
from humanclap.ratings.screening import screen
from humanclap.ratings.standardise import standardise_on_scale
from humanclap.records import Rating
from humanclap.scale import RatingScale
from humanclap.training.data.dataset import Example
from humanclap.training.data.splits import Splits
from humanclap.training.loop.loop import train
from humanclap.training.loop.validation import cosines
from humanclap.training.settings import TrainingSettings

RESULT = Path(__file__).parent / "results" / "simulated_grid.json"
SIZES = {"train": 2862, "validation": 1287, "test": 1311}
SYSTEMS = {"natural": 7.71, "audioldm": 5.36, "audioldm2": 5.44, "tango": 6.29, "tango2": 7.94}
RATINGS_PER_PAIR, PER_LISTENER, ANCHORS, CARELESS = 3, 18, 3, 0.10
ICC = 0.42
LATENT, FEATURES, EMBEDDING = 16, 96, 32
BASE_NOISE = 1.0
TUNING_WORLD = 1000
RATES = (1e-3, 3e-3, 1e-2)
SPO = {"objective": "mse+0.5*difference", "standardise_targets": True}
OBJECTIVES: dict[str, dict[str, Any]] = {
    "SCE": {"objective": "sce"},
    "wSCE": {"objective": "wsce"},
    "wSCE, by weight": {"objective": "wsce", "wsce_normalise": "weight"},
    "wSCE, squared": {"objective": "wsce", "wsce_power": 2.0},
    "MSE": {"objective": "mse"},
    "MAE": {"objective": "mae"},
    "Huber": {"objective": "huber"},
    "wSCE+MSE": {"objective": "wsce+mse"},
    "wSCE+MAE": {"objective": "wsce+mae"},
    "MSE+MAE": {"objective": "mse+mae"},
    "wSCE+MSE+MAE": {"objective": "wsce+mse+mae"},
    "margin": {"objective": "margin"},
    "Bradley-Terry": {"objective": "bradley-terry"},
    "ListNet": {"objective": "listnet"},
    "SPO loss": SPO,
    "listeners": {"objective": "listener"},
    "MSE, certainty": {"objective": "mse", "certainty_weights": True},
    "wSCE+MAE, certainty": {"objective": "wsce+mae", "certainty_weights": True},
    "wSCE+margin": {"objective": "wsce+margin"},
    "wSCE+Bradley-Terry": {"objective": "wsce+bradley-terry"},
    "wSCE+ListNet": {"objective": "wsce+listnet"},
    "wSCE+SPO loss": {"objective": "wsce+mse+0.5*difference", "standardise_targets": True},
    "wSCE+listeners": {"objective": "wsce+listener"},
}
CLEANING: dict[str, tuple[tuple[str, ...], bool]] = {
    "none": ((), False),
    "anchors (relate)": (("relate",), False),
    "agreement (spo)": (("spo",), False),
    "z-scores": ((), True),
    "anchors, z-scores": (("relate",), True),
    "anchors, agreement, z-scores": (("relate", "spo"), True),
}
CLEANED = ("wSCE+MAE", "MSE", "SPO loss", "wSCE+listeners")
USUAL = "anchors (relate)"
SETTINGS = TrainingSettings(epochs=25, batch_size=64, patience=5, train="all", weight_decay=0.0)


@dataclass(frozen=True)
class World:
    """pairs: rows are pairs in order of the splits; ratings: all that listeners gave."""

    captions: NDArray[np.float32]  # (n, FEATURES)
    clips: NDArray[np.float32]  # (n, FEATURES)
    truth: NDArray[np.float64]  # (n,), mean rating of an unbiased listener on 0..10
    systems: list[str]
    splits: list[str]
    ratings: list[Rating]
    ideal: tuple[NDArray[np.float64], NDArray[np.float64]]

    def places(self, split: str) -> list[int]:
        return [place for place, name in enumerate(self.splits) if name == split]


def make_world(seed: int) -> World:
    rng = np.random.default_rng([7, seed])
    n = sum(SIZES.values())
    systems = [str(name) for name in rng.choice(list(SYSTEMS), size=n)]
    quality = np.array([SYSTEMS[name] for name in systems])
    truth = np.clip(quality + 1.9 * rng.standard_normal(n), 0.0, 10.0)
    text = _unit(rng.standard_normal((n, LATENT)))
    aside = rng.standard_normal((n, LATENT))
    aside = _unit(aside - (aside * text).sum(1, keepdims=True) * text)
    cosine = (truth / 10)[:, None]
    audio = cosine * text + np.sqrt(1 - cosine**2) * aside
    of_system = {name: rng.standard_normal(FEATURES - LATENT) for name in SYSTEMS}
    nuisance = np.stack([of_system[name] for name in systems])
    captions, mix_text = _features(text, np.zeros_like(nuisance), rng)
    clips, mix_audio = _features(audio, 0.7 * nuisance, rng)
    splits = [name for name, size in SIZES.items() for _ in range(size)]
    world = World(captions, clips, truth, systems, splits, [], (mix_audio, mix_text))
    return replace(world, ratings=_ratings_at_icc(world, seed))


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _features(
    latent: NDArray[np.float64], nuisance: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Latent and nuisance under a rotation, with noise; and the map back to the latent."""
    rotation, _ = np.linalg.qr(rng.standard_normal((FEATURES, FEATURES)))
    held = np.concatenate([latent, 0.25 * nuisance], axis=1)
    noise = np.concatenate(
        [0.10 * rng.standard_normal(latent.shape), 0.25 * rng.standard_normal(nuisance.shape)], 1
    )
    return ((held + noise) @ rotation).astype(np.float32), rotation[:LATENT]


def _ratings_at_icc(world: World, seed: int) -> list[Rating]:
    """Ratings whose noise is such that ICC(1) after screening on test is ICC."""
    low, high = 0.5, 6.0
    ratings: list[Rating] = []
    for _ in range(12):
        middle = (low + high) / 2
        ratings = _draw_ratings(world, middle, np.random.default_rng([8, seed]))
        kept = [r for r in screen(ratings, ("relate",)).kept if r.kind == "rating"]
        test = [r for r in kept if r.split == "test"]
        found = icc1([r.score for r in test], [int(r.audio) for r in test])
        low, high = (middle, high) if found > ICC else (low, middle)
    return ratings


def _draw_ratings(world: World, noise: float, rng: np.random.Generator) -> list[Rating]:
    trials = np.concatenate([rng.permutation(len(world.truth)) for _ in range(RATINGS_PER_PAIR)])
    ratings = []
    for number, start in enumerate(range(0, len(trials), PER_LISTENER)):
        careless = rng.random() < CARELESS
        bias, scale = 0.8 * rng.standard_normal(), math.exp(0.25 * rng.standard_normal())

        def answer(
            truth: float, bias: float = bias, scale: float = scale, careless: bool = careless
        ) -> float:
            if careless:
                return float(rng.integers(0, 11))
            heard = 6.0 + bias + scale * (truth - 6.0) + noise * rng.standard_normal()
            return float(np.clip(np.round(heard), 0, 10))

        for pair in trials[start : start + PER_LISTENER]:
            ratings.append(_rating(world, number, int(pair), answer(world.truth[pair])))
        for anchor in range(ANCHORS):
            said = answer(0.0) if careless else float(rng.choice([0, 0, 0, 0, 1, 2]))
            where = Rating(
                audio=f"anchor {number} {anchor}",
                text="mismatched",
                listener_id=f"L{number}",
                score=said,
                kind="anchor",
                split="train",
            )
            ratings.append(where)
    return ratings


def _rating(world: World, listener: int, pair: int, score: float) -> Rating:
    system = world.systems[pair]
    return Rating(
        audio=str(pair),
        text=f"caption {pair}",
        listener_id=f"L{listener}",
        score=score,
        system=system,
        subset="natural" if system == "natural" else "synthetic",
        split=world.splits[pair],
    )


def examples_of(world: World, cleaning: str) -> list[Example]:
    """Every pair with what is left of its ratings, by the project's own cleaning functions."""
    rules, standardised = CLEANING[cleaning]
    ratings = list(screen(world.ratings, rules).kept)
    scale = RatingScale()
    if standardised:
        ratings, _ = standardise_on_scale(ratings, scale)
    answers: dict[str, list[tuple[str, float]]] = {}
    for rating in ratings:
        if rating.kind == "rating":
            unit = scale.to_unit(rating.score)
            answers.setdefault(rating.audio, []).append((rating.listener_id, unit))
    return [
        Example(
            audio=target.audio,
            text=target.text,
            pair_id=target.pair_id,
            path=Path(target.audio),
            relevance=target.target,
            mos=target.mos,
            where=f"simulated:{target.audio}",
            split=target.split,
            n=target.n,
            standard_error=target.standard_error,
            system=target.system,
            subset=target.subset,
            answers=tuple(answers[target.audio]),
        )
        for target in aggregate(ratings)
    ]


class LinearCLAP(nn.Module):
    """Two linear projections over features, begun near the truth with much noise."""

    kind = name = "simulated"
    sample_rate, window_s, fill, embedding_dim = 1, 1.0, "zero", EMBEDDING

    def __init__(self, world: World, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        common = torch.randn(EMBEDDING, LATENT, generator=generator) / math.sqrt(EMBEDDING)
        for side, mix in zip(("audio", "text"), world.ideal, strict=True):
            layer = nn.Linear(FEATURES, EMBEDDING, bias=False)
            noise = torch.randn(EMBEDDING, FEATURES, generator=generator) / math.sqrt(EMBEDDING)
            ideal = common @ torch.tensor(mix, dtype=torch.float32)
            layer.weight.data = ideal + BASE_NOISE * noise / math.sqrt(FEATURES / LATENT)
            setattr(self, f"{side}_projection", layer)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.captions = torch.from_numpy(world.captions)
        self.clips = torch.from_numpy(world.clips)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        rows = [int(text.removeprefix("caption ")) for text in texts]
        return F.normalize(self.text_projection(self.captions[rows]), dim=1)

    def embed_audio(self, waveforms: Tensor) -> Tensor:
        return F.normalize(self.audio_projection(waveforms), dim=1)

    @property
    def logit_scale(self) -> Tensor:
        return self.log_scale.clamp(max=math.log(100.0)).exp()

    def module(self) -> nn.Module:
        return self

    def trainable_parameters(self) -> Any:
        return self.parameters()

    def load(self, examples: Sequence[Example], places: Sequence[float]) -> Tensor:
        return self.clips[[int(item.audio) for item in examples]]

    def embed(self, inputs: Tensor) -> Tensor:
        return self.embed_audio(inputs)

    def embed_clip(self, path: Path) -> Tensor:
        return self.embed_audio(self.clips[int(str(path))][None])[0]


@dataclass(frozen=True)
class Judge:
    """The test pairs of one world: mean ratings of screened listeners, and the truth."""

    examples: list[Example]
    truth: NDArray[np.float64]

    def figures(self, scores: NDArray[np.float64]) -> dict[str, float]:
        mos = np.array([item.mos for item in self.examples])
        natural = np.array([item.subset == "natural" for item in self.examples])
        systems = np.array([item.system for item in self.examples])
        within = [srcc(scores[systems == s], mos[systems == s]) for s in SYSTEMS]
        return {
            "srcc": srcc(scores, mos),
            "lcc": lcc(scores, mos),
            "ktau": ktau(scores, mos),
            "srcc_natural": srcc(scores[natural], mos[natural]),
            "srcc_synthetic": srcc(scores[~natural], mos[~natural]),
            "srcc_within_system": float(np.mean(within)),
            "srcc_truth": srcc(scores, self.truth),
        }


class Bench:
    """One world, in which models are trained again and again."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.world = make_world(seed)
        self.cleaned = {name: examples_of(self.world, name) for name in CLEANING}
        test = [item for item in self.cleaned[USUAL] if item.split == "test"]
        self.judge = Judge(test, self.world.truth[[int(item.audio) for item in test]])

    def base(self) -> LinearCLAP:
        return LinearCLAP(self.world, self.seed)

    def scores(self, model: LinearCLAP) -> NDArray[np.float64]:
        return cosines(model, self.judge.examples, model)  # type: ignore[arg-type]

    def fit(self, objective: str, cleaning: str, rate: float) -> tuple[LinearCLAP, float]:
        """The trained model and its validation SRCC."""
        examples = self.cleaned[cleaning]
        splits = Splits(
            train=tuple(item for item in examples if item.split == "train"),
            validation=tuple(item for item in examples if item.split == "validation"),
            validation_name="simulated",
        )
        settings = replace(SETTINGS, learning_rate=rate, seed=self.seed, **OBJECTIVES[objective])
        model = self.base()
        outcome = train(model, splits, settings, tower=model)  # type: ignore[arg-type]
        return model, float(outcome.after["validation_srcc"])

    def describe(self) -> dict[str, Any]:
        kept = screen(self.world.ratings, ("relate",)).kept
        test = [r for r in kept if r.split == "test" and r.kind == "rating"]
        return {
            "ratings": sum(r.kind == "rating" for r in self.world.ratings),
            "listeners": len({r.listener_id for r in self.world.ratings}),
            "test_pairs_judged": len(self.judge.examples),
            "icc_test": icc1([r.score for r in test], [int(r.audio) for r in test]),
            "noise_ceiling": self.judge.figures(self.judge.truth),
            "base": self.judge.figures(self.scores(self.base())),
        }


def interval(values: Sequence[float]) -> dict[str, Any]:
    """Mean, half width of its 95 % t interval, and the values."""
    several = np.array(values)
    half = math.nan
    if several.size > 1:
        error = several.std(ddof=1) / math.sqrt(several.size)
        half = float(stats.t.ppf(0.975, several.size - 1) * error)
    return {"mean": float(several.mean()), "half_width": half, "n": several.size, "values": values}


def summary(runs: Sequence[dict[str, float]], base: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Each figure over the worlds, and the paired difference of SRCC."""
    found = {name: interval([run[name] for run in runs]) for name in runs[0]}
    gain = [run["srcc"] - other["srcc"] for run, other in zip(runs, base, strict=True)]
    return {**found, "srcc_gain": interval(gain)}


def run(worlds: int, objectives: Sequence[str]) -> dict[str, Any]:
    tuning = Bench(TUNING_WORLD)
    rate_of = {}
    for name in objectives:
        tried = {rate: tuning.fit(name, USUAL, rate)[1] for rate in RATES}
        rate_of[name] = max(tried, key=lambda rate: tried[rate])
        print(f"tuning world, {name}: {tried}", flush=True)
    benches = [Bench(seed) for seed in range(worlds)]
    described = [bench.describe() for bench in benches]
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for cleaning in CLEANING:
        for name in objectives:
            if cleaning == USUAL or name in CLEANED:
                found[name, cleaning] = [
                    bench.judge.figures(bench.scores(bench.fit(name, cleaning, rate_of[name])[0]))
                    for bench in benches
                ]
                mean = np.mean([figures["srcc"] for figures in found[name, cleaning]])
                print(f"{cleaning}, {name}: {mean:.3f}", flush=True)
    first = objectives[0]
    return {
        "simulated": True,
        "worlds": described,
        "learning_rates": rate_of,
        "settings": SETTINGS.as_dict(),
        "ceiling": summary([w["noise_ceiling"] for w in described], found[first, USUAL]),
        "base": summary([w["base"] for w in described], found[first, USUAL]),
        "objectives": {
            name: summary(found[name, USUAL], found[first, USUAL]) for name in objectives
        },
        "cleaning": {
            name: {
                cleaning: summary(found[name, cleaning], found[name, "none"])
                for cleaning in CLEANING
            }
            for name in CLEANED
            if name in objectives
        },
    }


def markdown(results: dict[str, Any]) -> str:
    ceiling = results["ceiling"]["srcc"]["mean"]
    heads = ("SRCC", "of ceiling", "natural", "synthetic", "within system", "truth", "against SCE")
    lines = [f"SIMULATED, {results['base']['srcc']['n']} worlds; mean ± 95 % t interval", ""]
    lines += ["| objective | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    rows = {"a perfect metric": results["ceiling"], "before training": results["base"]}
    for name, row in {**rows, **results["objectives"]}.items():
        lines.append(f"| {name} | {_cells(row, ceiling)} |")
    for name, steps in results["cleaning"].items():
        lines += ["", f"Cleaning of the training and validation ratings, {name}:", ""]
        lines += ["| cleaning | " + " | ".join([*heads[:-1], "against none"]) + " |"]
        lines += ["|---" * (len(heads) + 1) + "|"]
        lines += [f"| {step} | {_cells(row, ceiling)} |" for step, row in steps.items()]
    return "\n".join(lines)


def _cells(row: dict[str, Any], ceiling: float) -> str:
    def cell(name: str, sign: str = "") -> str:
        return f"{row[name]['mean']:{sign}.3f} ± {row[name]['half_width']:.3f}"

    names = ("srcc_natural", "srcc_synthetic", "srcc_within_system", "srcc_truth")
    parts = [cell("srcc"), f"{row['srcc']['mean'] / ceiling:.0%}", *map(cell, names)]
    return " | ".join([*parts, cell("srcc_gain", "+")])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--worlds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="two objectives, for a trial")
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.monotonic()
    names = ["SCE", "wSCE+MAE"] if options.quick else list(OBJECTIVES)
    results = run(options.worlds, names)
    results["seconds"] = round(time.monotonic() - start, 1)
    with atomic_writer(options.output) as file:
        file.write(to_json(results) + "\n")
    print(markdown(results))


if __name__ == "__main__":
    main()
