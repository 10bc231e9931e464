"""Human alignment: from `mini-clap` to `mini`, on every answer that a listener really gave.

`cv` measures it on RELATE validation, five folds grouped by clip and caption, three seeds; what is
tried is chosen inside each fold, by folds of its own: by the mean SRCC of RELATE's screened pairs
and of all. `train` makes the shipped model: the same choice and the same fit, on all of it. Three
kinds of answers may take part:

- RELATE validation: matched pairs (screened answers) and mismatched anchors, 0-10;
- ESC: the share of listeners who chose a label for a clip (never fold 4, nor other test clips);
- RELATE's other ratings, without their sound: the caption's prior (`prior.py`).

The contrastive loss on the bank's clips goes on beside them; the order columns stay as they are.
Each source has its own rising line from cosine to rating, learned along; a pair counts by the
certainty of its mean rating.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from bank import normalise, read_esc, read_rows
from features import cached_features
from prior import Prior, learn_prior
from projections import Batches, Data, encode_texts, loss_of, optimise
from torch import Tensor, nn
from torch.nn import functional as F

from humanclap.clap.checkpoint import Calibration, Checkpoint, load_checkpoint, write_manifest
from humanclap.clap.mini import MiniCLAP
from humanclap.grouping import connected_groups, grouped_folds
from humanclap.metrics.agreement import srcc
from humanclap.metrics.rating_map import fit_rating_map, rating_variance
from humanclap.ratings.aggregate import aggregate
from humanclap.ratings.read import read_ratings
from humanclap.ratings.screening import screen_published
from humanclap.records import Target

FOLDS, INNER_FOLDS = 5, 3
SEEDS = (1, 2, 3)
NOISE = {"relate": 1.36, "esc": 0.5}
"""Variance of one answer about a pair's mean, over the variance of the means. RELATE: from ICC(1)
.424 of its test split; ESC: a share's p(1 - p) at its mean, over the variance of the shares."""
PRIOR_SCALE = 0.2  # of the prior in the text embedding, per standard deviation
LEAST_LISTENERS = {"ESC-10 (10-way)": 3, "ESC-50 (50-way)": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One way of aligning. relate, esc: weights of their losses; prior: cosine a deviation.

    Without steps only the prior and the calibration come in.
    """

    relate: float = 1.0
    esc: float = 0.3
    prior: float = 0.1
    steps: int = 100
    rate: float = 3e-4
    batch: int = 48
    text_rate: float = 0.3


LEARNED = (
    Settings(relate=0.0, esc=0.0, steps=0),
    Settings(relate=1.0, esc=0.0, steps=30),
    Settings(relate=1.0, esc=0.3, steps=30),
    Settings(relate=1.0, esc=0.3, steps=100, rate=1e-4),
)
GRID = [replace(one, prior=prior) for one in LEARNED for prior in (0.0, 0.06, 0.12, 0.2)]


class Rated:
    """Rated pairs with their encoder outputs: audio (n, features), text (n, 768)."""

    def __init__(
        self,
        model: MiniCLAP,
        paths: Sequence[Path],
        targets: Sequence[Target],
        cache: Path,
        noise: float,
    ) -> None:
        self.targets = list(targets)
        features = cached_features(model.audio_encoder, paths, cache)
        self.features = torch.from_numpy(features)
        self.text = encode_texts(model, [target.text for target in targets])
        self.rating = torch.tensor([target.target for target in targets])
        count = torch.tensor([float(target.n) for target in targets])
        self.certainty = count / (count + noise)
        self.clip = np.unique([target.audio for target in targets], return_inverse=True)[1]
        captions = [normalise(target.text) for target in targets]
        self.caption = np.unique(captions, return_inverse=True)[1]

    def __len__(self) -> int:
        return len(self.targets)


def relate_pairs(model: MiniCLAP, shared: Path, cache: Path) -> Rated:
    """The 86 rated pairs of RELATE validation: screened answers where there are any, else all."""
    folder = shared / "data/relate-validation"
    ratings = read_ratings(folder / "ratings_REL.csv")
    screened = {target.pair_id: target for target in aggregate(screen_published(ratings).kept)}
    everyone = aggregate(ratings, include_anchors=True)
    targets = [screened.get(target.pair_id, target) for target in everyone]
    paths = [folder / "audio" / target.audio for target in targets]
    rated = Rated(model, paths, targets, cache, NOISE["relate"])
    rated.screened = np.array([target.pair_id in screened for target in targets])
    rated.everyone = np.array([target.mos for target in everyone])
    return rated


def esc_pairs(model: MiniCLAP, shared: Path, cache: Path, seed: int = 0) -> Rated:
    """Labels somebody chose for a clip, and as many others, with the share who chose them."""
    random = np.random.default_rng(seed)
    clips = {clip.path.stem: clip for clip in read_esc(shared) if not clip.test}
    answers: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    rows = read_rows(shared / "data/esc/human_answers.csv")
    for row in rows:
        if row["clip"] in clips:
            answers[row["study"], row["clip"]].setdefault(row["worker"], row["answer"])
    labels = {
        study: sorted(
            {row[column] for row in rows if row["study"] == study for column in ("answer", "truth")}
        )
        for study in LEAST_LISTENERS
    }
    targets, paths = [], []
    for (study, clip), given in sorted(answers.items()):
        if len(given) < LEAST_LISTENERS[study]:
            continue
        chosen = Counter(given.values())
        others = [label for label in labels[study] if label not in chosen]
        size = min(len(chosen), len(others))
        drawn = random.choice(others, size=size, replace=False).tolist()
        for label in (*chosen, *drawn):
            share = chosen[label] / len(given)
            text = " ".join(label.replace("-", " ").lower().split())
            targets.append(
                Target(audio=clip, text=text, target=share, mos=10 * share, n=len(given))
            )
            paths.append(clips[clip].path)
    return Rated(model, paths, targets, cache, NOISE["esc"])


class RisingLine(nn.Module):
    """Cosine -> rating in 0..1, by a straight line whose slope stays above 0."""

    def __init__(self) -> None:
        super().__init__()
        self.intercept = nn.Parameter(torch.tensor(0.0))
        self.log_slope = nn.Parameter(torch.tensor(0.0))

    def forward(self, cosine: Tensor) -> Tensor:
        """As the class says; any shape."""
        return self.intercept + self.log_slope.exp() * cosine


def rated_loss(model: MiniCLAP, rated: Rated, rows: np.ndarray, line: RisingLine) -> Tensor:
    """wSCE + MAE of some rated pairs, each counting by its certainty.

    Pairs that share the clip or the caption are no negatives of each other.
    """
    audio = F.normalize(model.audio_projection(rated.features[rows]), dim=1)
    text = F.normalize(model.text_projection(rated.text[rows]), dim=1)
    cosine = audio @ text.T  # (batch, batch), row = audio
    clip, caption = rated.clip[rows], rated.caption[rows]
    same = (clip[:, None] == clip[None, :]) | (caption[:, None] == caption[None, :])
    mask = torch.from_numpy(same & ~np.eye(len(rows), dtype=bool))
    logits = (model.logit_scale * cosine).masked_fill(mask, -1e4)
    own = torch.arange(len(rows))
    each = F.cross_entropy(logits, own, reduction="none")
    each = (each + F.cross_entropy(logits.T, own, reduction="none")) / 2  # (batch,)
    certainty, rating = rated.certainty[rows], rated.rating[rows]
    total = certainty.sum()
    wsce = (certainty * rating * each).sum() / total
    mae = (certainty * (line(cosine.diagonal()) - rating).abs()).sum() / total
    return wsce + mae


class Aligner:
    """One base model, aligned again and again from where it began."""

    def __init__(
        self, model: MiniCLAP, data: Data, relate: Rated, esc: Rated, prior: Prior
    ) -> None:
        self.model, self.data, self.relate, self.esc = model, data, relate, esc
        self.base = copy.deepcopy(model.state_dict())
        self.prior = prior
        given = [not clip.held_out and clip.source != "more" for clip in data.clips]
        self.bank = np.flatnonzero(given)

    def fit(self, settings: Settings, rows: np.ndarray, seed: int) -> None:
        """Align the base on these rows of RELATE's pairs (and on ESC's and the bank)."""
        model = self.model
        model.load_state_dict(self.base)
        self._learn(settings, rows, seed)
        self.prior.put_into(model, PRIOR_SCALE)
        model.audio_projection.prior_weight.fill_(settings.prior / PRIOR_SCALE)
        model.eval()

    def _learn(self, settings: Settings, rows: np.ndarray, seed: int) -> None:
        torch.manual_seed(seed)
        random = np.random.default_rng(seed)
        model, lines = self.model, {"relate": RisingLine(), "esc": RisingLine()}
        audio = [*model.audio_projection.residual.parameters(), model.log_scale]
        text = list(model.text_projection.residual.parameters())
        groups = [
            {"params": audio, "lr": settings.rate},
            {"params": text, "lr": settings.rate * settings.text_rate},
            {"params": [p for line in lines.values() for p in line.parameters()], "lr": 0.03},
        ]
        sources = {"relate": (self.relate, rows), "esc": (self.esc, np.arange(len(self.esc)))}
        batches = {
            name: (rated, Batches(chosen, min(settings.batch, len(chosen)), random))
            for name, (rated, chosen) in sources.items()
            if getattr(settings, name)
        }
        clips = Batches(self.bank, 64, random)
        nothing = np.array([], dtype=int)

        def next_loss() -> Tensor:
            loss = loss_of(model, self.data, clips.next(), nothing, 0.0, random)
            for name, (rated, chosen) in batches.items():
                weight = getattr(settings, name)
                loss = loss + weight * rated_loss(model, rated, chosen.next(), lines[name])
            return loss

        optimise(model, groups, 0.01, settings.steps, next_loss)

    @torch.inference_mode()
    def scores(self, rated: Rated, rows: np.ndarray) -> np.ndarray:
        """Cosines of some pairs, by the model as it is."""
        audio = F.normalize(self.model.audio_projection(rated.features[rows]), dim=1)
        text = F.normalize(self.model.text_projection(rated.text[rows]), dim=1)
        return (audio * text).sum(1).double().numpy()

    def with_prior(self, weight: float) -> None:
        """Another weight of the prior: nothing needs to be learned again."""
        self.model.audio_projection.prior_weight.fill_(weight / PRIOR_SCALE)

    def prior_alone(self, rated: Rated) -> np.ndarray:
        """What the captions say by themselves, in standard deviations."""
        inputs = rated.text.double().numpy()
        return inputs @ self.prior.weight + self.prior.bias

    def choose(self, rows: np.ndarray, seed: int) -> tuple[Settings, list[dict[str, object]]]:
        """The best of GRID by folds inside `rows`, and what each reached."""
        theirs = [self.relate.targets[row] for row in rows]
        folds = np.array(grouped_folds(theirs, INNER_FOLDS, seed))
        tried = {settings: np.zeros(len(rows)) for settings in GRID}
        for fold in range(INNER_FOLDS):
            inside, outside = rows[folds != fold], rows[folds == fold]
            for settings in LEARNED:
                self.fit(settings, inside, seed)
                for one in GRID:
                    if replace(one, prior=settings.prior) == settings:
                        self.with_prior(one.prior)
                        tried[one][folds == fold] = self.scores(self.relate, outside)
        table = []
        for one in GRID:
            found = agreement(self.relate, rows, tried[one])
            mean = float(np.mean(list(found.values())))
            named = {name: getattr(one, name) for name in ("relate", "esc", "steps", "prior")}
            table.append({**named, **{k: round(v, 4) for k, v in found.items()}, "mean": mean})
        best = max(range(len(GRID)), key=lambda place: table[place]["mean"])
        return GRID[best], table


def agreement(relate: Rated, rows: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """SRCC on the screened pairs and on all, each by its own mean ratings."""
    screened = relate.screened[rows]
    rating = 10 * relate.rating.numpy()[rows]
    return {
        "screened": srcc(scores[screened], rating[screened]),
        "all": srcc(scores, relate.everyone[rows]),
    }


def cross_validate(aligner: Aligner) -> dict[str, object]:
    """Scores of every pair by models that met neither its clip nor its caption, for each seed."""
    relate = aligner.relate
    before = aligner.scores(relate, np.arange(len(relate)))
    runs = []
    for seed in SEEDS:
        folds = np.array(grouped_folds(relate.targets, FOLDS, seed))
        scores, chosen = np.zeros(len(relate)), []
        for fold in range(FOLDS):
            inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            settings, table = aligner.choose(inside, seed)
            aligner.fit(settings, inside, seed)
            scores[outside] = aligner.scores(relate, outside)
            chosen.append({"settings": asdict(settings), "tried": table})
            print(f"seed {seed}, fold {fold}: {settings}", flush=True)
        found = agreement(relate, np.arange(len(relate)), scores)
        print(f"seed {seed}: {found}", flush=True)
        runs.append(
            {
                "seed": seed,
                "folds": folds.tolist(),
                "chosen": chosen,
                "scores": scores.tolist(),
                **found,
            }
        )
    return {
        "pairs": describe(relate, before, aligner.prior_alone(relate)),
        "before": agreement(relate, np.arange(len(relate)), before),
        "runs": runs,
    }


def describe(relate: Rated, before: np.ndarray, prior: np.ndarray) -> list[dict[str, object]]:
    """What a report needs of each pair; no caption and no recording is passed on.

    group: of pairs that share a clip or a caption; mos: mean of all answers; screened_mos: of those
    RELATE's screening kept, None where it kept none; prior: what the caption alone says.
    """
    groups = connected_groups([(target.audio, target.text) for target in relate.targets])
    return [
        {
            "group": groups[row],
            "n": target.n,
            "standard_error": target.standard_error if target.n > 1 else None,
            "mos": float(relate.everyone[row]),
            "screened_mos": target.mos if relate.screened[row] else None,
            "before": float(before[row]),
            "prior": float(prior[row]),
        }
        for row, target in enumerate(relate.targets)
    ]


def calibration(cv: Path) -> Calibration:
    """From cosine to rating, with its error, on the scores of models that had not met the pair."""
    report = json.loads(cv.read_text())
    pairs = report["pairs"]
    count = [pair["n"] for pair in pairs]
    observed = [
        pair["mos"] if pair["screened_mos"] is None else pair["screened_mos"] for pair in pairs
    ]
    spread = [pair["standard_error"] or math.nan for pair in pairs]
    scores = np.mean([run["scores"] for run in report["runs"]], axis=0)
    found = fit_rating_map(scores, observed, count, rating_variance(count, spread))
    return Calibration(
        **asdict(found),
        fitted_on="RELATE validation, scores of models cross-validated by clip and caption",
        n=len(pairs),
    )


def main() -> None:
    """Parse; gather the answers; cross-validate or train."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("stage", choices=["cv", "train"])
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--more", type=Path, required=True, help="folder of bank_more.py")
    parser.add_argument("--base", required=True, help="model before: mini-clap or mini-mn04-clap")
    parser.add_argument("--features", type=Path, required=True, help="begin of the caches' names")
    parser.add_argument("--mn04", type=Path)
    parser.add_argument("--name", help="train: the model's name")
    parser.add_argument("--cv", type=Path, help="train: the JSON of cv, for the calibration")
    parser.add_argument("--output", type=Path, required=True, help="cv: a JSON file; train: folder")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_checkpoint(arguments.base, mn04=arguments.mn04).backbone
    fingerprint = model.fingerprint()
    shared, cache = arguments.shared, arguments.features
    data = Data(model, shared, arguments.more, cache)
    relate = relate_pairs(model, shared, cache.with_name(f"{cache.name}-relate.npz"))
    esc = esc_pairs(model, shared, cache.with_name(f"{cache.name}-clips.npz"))
    prior = learn_prior(model, shared)
    aligner = Aligner(model, data, relate, esc, prior)
    rows = np.arange(len(relate))
    report = {
        "base": f"{arguments.base}@{fingerprint}",
        "prior": prior.report,
        "esc_pairs": len(esc),
    }
    if arguments.stage == "cv":
        report |= cross_validate(aligner)
        arguments.output.write_text(json.dumps(report, indent=1) + "\n")
        return
    settings, table = aligner.choose(rows, SEEDS[0])
    print(json.dumps(table), settings, flush=True)
    aligner.fit(settings, rows, SEEDS[0])
    model.config, model.name = replace(model.config, name=arguments.name), arguments.name
    model.save_shared(arguments.output, "mini-clap")
    training = {**report, "settings": asdict(settings), "seed": SEEDS[0], "pairs": len(relate)}
    write_manifest(Checkpoint(model, calibration(arguments.cv), training), arguments.output)


if __name__ == "__main__":
    main()
