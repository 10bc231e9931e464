"""The caption's prior: how RELATE's listeners rate sounds that come with such a caption.

Learned without any sound, from the ratings of RELATE's train split and of those captions of its
validation split whose recordings are not at hand: a ridge regression of a pair's mean rating, less
its system's mean, on the text tower's output. The ridge is chosen by five folds grouped by caption;
RELATE's test split judges it. No caption of the 86 pairs that alignment is measured on is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from bank import normalise, relate_captions
from projections import encode_texts
from texts import RELATE_TABLE

from humanclap.clap.mini import MiniCLAP
from humanclap.grouping import grouped_folds
from humanclap.metrics.agreement import srcc
from humanclap.ratings.aggregate import aggregate
from humanclap.ratings.read import read_ratings
from humanclap.ratings.screening import screen_published
from humanclap.records import Target

RIDGES = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Prior:
    """Standardised over its pairs: prior = features @ weight + bias; spread: of it, in 0-10."""

    weight: np.ndarray
    bias: float
    spread: float
    report: dict[str, object]

    def put_into(self, model: MiniCLAP, scale: float) -> None:
        """As the text projection's prior, `scale` per standard deviation."""
        linear = model.text_projection.prior
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(scale * self.weight)[None])
            linear.bias.fill_(scale * self.bias)


def learn_prior(model: MiniCLAP, shared: Path) -> Prior:
    """Fit with the ridge that the folds choose, and judge on RELATE test."""
    kept = screen_published(read_ratings(shared / RELATE_TABLE)).kept
    targets = aggregate(kept)
    judged = relate_captions(shared)
    train = [
        target
        for target in targets
        if target.split in ("train", "validation") and normalise(target.text) not in judged
    ]
    test = [target for target in targets if target.split == "test"]
    inputs, residual, weight = _table(model, train)
    folds = np.array(grouped_folds(train, FOLDS))
    errors = {}
    for ridge in RIDGES:
        predicted = np.zeros(len(train))
        for fold in range(FOLDS):
            inside = folds != fold
            beta, bias = _ridge(inputs[inside], residual[inside], weight[inside], ridge)
            predicted[~inside] = inputs[~inside] @ beta + bias
        errors[ridge] = float(np.average((predicted - residual) ** 2, weights=weight))
    ridge = min(errors, key=lambda value: errors[value])
    beta, bias = _ridge(inputs, residual, weight, ridge)
    spread = float((inputs @ beta).std())
    centre = float((inputs @ beta + bias).mean())
    report = {
        "pairs": len(train),
        "ratings": int(sum(target.n for target in train)),
        "captions": len({normalise(target.text) for target in train}),
        "ridge": ridge,
        "error_by_ridge": {str(key): round(value, 4) for key, value in errors.items()},
        "error_of_no_prior": round(float(np.average(residual**2, weights=weight)), 4),
        "srcc_on_relate_test": _judge(model, test, beta),
    }
    return Prior(beta / spread, (bias - centre) / spread, spread, report)


def _table(model: MiniCLAP, targets: list[Target]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Text features (n, 768), mean rating less the system's (n,), and number of ratings (n,)."""
    inputs = encode_texts(model, [target.text for target in targets]).numpy().astype(np.float64)
    rating = np.array([target.mos for target in targets])
    weight = np.array([float(target.n) for target in targets])
    systems = np.array([str(target.system) for target in targets])
    residual = rating.copy()
    for system in set(systems):
        own = systems == system
        residual[own] -= np.average(rating[own], weights=weight[own])
    return inputs, residual, weight


def _ridge(
    inputs: np.ndarray, values: np.ndarray, weight: np.ndarray, ridge: float
) -> tuple[np.ndarray, float]:
    """Weighted ridge regression with a free constant: coefficients (features,), constant."""
    centre, level = np.average(inputs, axis=0, weights=weight), np.average(values, weights=weight)
    centred = inputs - centre
    gram = centred.T @ (centred * weight[:, None]) + ridge * np.eye(inputs.shape[1])
    beta = np.linalg.solve(gram, centred.T @ (weight * (values - level)))
    return beta, float(level - centre @ beta)


def _judge(model: MiniCLAP, targets: list[Target], beta: np.ndarray) -> dict[str, object]:
    inputs = encode_texts(model, [target.text for target in targets]).numpy()
    predicted = inputs @ beta
    rating = np.array([target.mos for target in targets])
    natural = np.array([target.subset == "natural" for target in targets])
    return {
        "all": round(srcc(predicted, rating), 4),
        "natural": round(srcc(predicted[natural], rating[natural]), 4),
        "n": len(targets),
        "n_natural": int(natural.sum()),
    }
