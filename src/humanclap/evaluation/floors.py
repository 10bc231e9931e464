"""Predictors that hear nothing: what a metric must beat before it can be said to listen.

Fitted on rated pairs other than the judged ones. The ridge regression is written out here (a
sparse least-squares problem) so that judging needs no machine-learning package.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import lsqr

from humanclap.errors import InputError
from humanclap.evaluation.join import ScoreTable
from humanclap.records import Score, Target
from humanclap.scale import RatingScale

SYSTEM_MEAN, CAPTION_LENGTH = "system mean", "caption length"
WORDS, WORDS_AND_SYSTEM = "caption words", "caption words + system"
TRIVIAL = (SYSTEM_MEAN, CAPTION_LENGTH, WORDS, WORDS_AND_SYSTEM)
"""Names of the trivial predictors, as the reports write them."""

RIDGE = 3.0
"""Penalty of the regression on words; fixed, not tuned on what is judged."""

MIN_TRAINING_PAIRS = 10

Floats = NDArray[np.float64]


class WordFeatures:
    """TF-IDF of words: rows of unit length, smooth idf of the captions it is made of.

    idf = ln((1 + captions) / (1 + captions with the word)) + 1; unknown words count nothing.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        holding = Counter(word for text in texts for word in _words(text))
        self._column = {word: i for i, word in enumerate(sorted(holding))}
        counts = np.array([holding[word] for word in self._column])
        self._idf = np.log((1 + len(texts)) / (1 + counts)) + 1

    def __call__(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Features of each text: (texts, words)."""
        rows, columns, values = [], [], []
        for row, document in enumerate(map(_words, texts)):
            known = [word for word in document if word in self._column]
            weights = [document[word] * self._idf[self._column[word]] for word in known]
            length = math.sqrt(math.fsum(weight**2 for weight in weights)) or 1.0
            rows += [row] * len(known)
            columns += [self._column[word] for word in known]
            values += [weight / length for weight in weights]
        shape = (len(texts), len(self._column))
        return sparse.csr_matrix((values, (rows, columns)), shape=shape)


class WordRidge:
    """Ridge regression of ratings on the words of captions; the intercept is the mean rating."""

    def __init__(self, texts: Sequence[str], human: Floats, penalty: float = RIDGE) -> None:
        self._features = WordFeatures(texts)
        self._mean = float(human.mean())
        self._weights = ridge(self._features(texts), human - self._mean, penalty)

    def __call__(self, texts: Sequence[str]) -> Floats:
        """Predicted rating of each text, shape (n,)."""
        found: Floats = self._mean + self._features(texts) @ self._weights
        return found


def ridge(features: sparse.csr_matrix, values: Floats, penalty: float = RIDGE) -> Floats:
    """Weights of least squares with `penalty` times their squares, shape (words,)."""
    found: Floats = lsqr(features, values, damp=math.sqrt(penalty), atol=1e-10, btol=1e-10)[0]
    return found


def _words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.casefold()))


def trivial_tables(
    train: Sequence[Target],
    judged: Sequence[Target],
    *,
    scale: RatingScale,
    where: str = "the training targets",
) -> list[ScoreTable]:
    """One score table a trivial predictor, for the judged pairs.

    Ratings only (no anchors). Without two systems on both sides those that need systems are left
    out. Raises InputError for fewer than 10 training pairs, or where a judged pair is among them.
    """
    fitted = [target for target in train if target.kind == "rating"]
    if len(fitted) < MIN_TRAINING_PAIRS:
        raise InputError(
            f"{where}: {len(fitted)} rated pairs; trivial predictors need {MIN_TRAINING_PAIRS}"
        )
    shared = {t.pair_id for t in fitted} & {t.pair_id for t in judged}
    if shared:
        raise InputError(
            f"{where}: {len(shared)} of its pairs are judged too, for example "
            f"{min(shared)!r}; fit trivial predictors on other pairs (another split)"
        )
    predicted = _predictions(fitted, judged)
    return [
        ScoreTable(name=name, scores=_scores(values, judged, scale))
        for name, values in predicted.items()
    ]


def _predictions(train: Sequence[Target], judged: Sequence[Target]) -> dict[str, Floats]:
    human = np.array([target.mos for target in train])
    texts, wanted = [target.text for target in train], [target.text for target in judged]
    found: dict[str, Floats] = {CAPTION_LENGTH: _by_length(texts, human, wanted)}
    found[WORDS] = WordRidge(texts, human)(wanted)
    if len({t.system for t in train} - {None}) > 1 and len({t.system for t in judged}) > 1:
        means = _system_means(train)
        base = np.array([means[target.system] for target in train])
        rest = WordRidge(texts, human - base)(wanted)
        found[SYSTEM_MEAN] = np.array([means[target.system] for target in judged])
        found[WORDS_AND_SYSTEM] = found[SYSTEM_MEAN] + rest
    return {name: found[name] for name in TRIVIAL if name in found}


def _by_length(texts: Sequence[str], human: Floats, wanted: Sequence[str]) -> Floats:
    """Least squares on the number of characters."""
    length = np.array([len(text) for text in texts], dtype=np.float64)
    if np.ptp(length) == 0:
        return np.full(len(wanted), human.mean())
    centred = length - length.mean()
    slope = float(centred @ human / (centred @ centred))
    asked = np.array([len(text) for text in wanted], dtype=np.float64)
    predicted: Floats = human.mean() + slope * (asked - length.mean())
    return predicted


def _system_means(train: Sequence[Target]) -> defaultdict[str | None, float]:
    """Mean rating of each system; of an unknown one, the mean over all."""
    overall = fmean(target.mos for target in train)
    means: defaultdict[str | None, float] = defaultdict(lambda: overall)
    ratings: dict[str | None, list[float]] = defaultdict(list)
    for target in train:
        ratings[target.system].append(target.mos)
    means.update({system: fmean(values) for system, values in ratings.items()})
    return means


def _scores(values: Floats, judged: Sequence[Target], scale: RatingScale) -> list[Score]:
    """Predictions as scores in 0..1 of the scale, kept within it, with the rating on 0..10."""
    units = [min(max(scale.to_unit(float(value)), 0.0), 1.0) for value in values]
    return [
        Score(
            audio=target.audio,
            text=target.text,
            score=unit,
            rating=10 * unit,
            pair_id=target.pair_id,
            system=target.system,
            subset=target.subset,
            split=target.split,
        )
        for target, unit in zip(judged, units, strict=True)
    ]
