"""The noise ceiling: how well a perfect metric could agree with ratings as noisy as these.

A metric that knew what people hear on average would still not agree perfectly with the mean of
three or four ratings. How well it would is found by an ordinal model of the ratings: each pair has
a normal latent quality, each rating adds a normal noise, and thresholds cut the sum into the
observed categories. The thresholds reproduce how often each category was chosen; the share of the
latent variance that is the pair's reproduces the observed ICC(1). Studies with as many ratings a
pair as there were are then drawn from the model.
Sources: thresholds of a normal latent variable, Thurstone 1928 and Olsson 1979; ICC(1), Shrout &
Fleiss 1979.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from humanclap.errors import InputError
from humanclap.metrics.agreement import ktau, lcc, srcc
from humanclap.metrics.bootstrap import COUNTS_AT_ONCE
from humanclap.metrics.reliability import (
    icc1,
    leave_one_out_srcc,
    mean_of_defined,
    reliability,
)

SIMULATIONS, LARGE_SIMULATIONS = 400, 40
"""Studies drawn from the model; the mean SRCC of 1,311 pairs is then known to 0.001. Of tables of
more than 20,000 pairs fewer, which tell more."""
MAX_CATEGORIES = 200
ICC_REPLICATES = 400
_NODES = 81

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class CeilingValue:
    """Expected value of a statistic for a perfect metric, and the range of 95 % of such studies.

    Of the studies in which it is defined: a study whose means are all equal has no correlation.
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseCeiling:
    """What a perfect metric would reach; NaN throughout where `reason` says why.

    srcc, lcc, ktau: of the true mean against the observed means; srcc_low, srcc_high: 95 %
    interval of that expected SRCC, since the ICC is an estimate too (bootstrap over pairs; 0 where
    its lower end shows no agreement); icc: ICC(1) of the ratings;
    latent_icc: the pair's share of the latent variance; one_listener_srcc: one rating against the
    mean of the others on its pair, as observed; simulated_one_listener_srcc: the same under the
    model, which was not fitted to it (the two should be near); constant: of the simulated studies,
    those left out because all their means were equal; undefined: why another value is NaN, by its
    name.
    """

    srcc: CeilingValue = CeilingValue()
    lcc: CeilingValue = CeilingValue()
    ktau: CeilingValue = CeilingValue()
    srcc_low: float = math.nan
    srcc_high: float = math.nan
    icc: float
    latent_icc: float = math.nan
    one_listener_srcc: float
    simulated_one_listener_srcc: float = math.nan
    n_pairs: int
    n_ratings: int
    simulations: int = 0
    constant: int = 0
    reason: str | None = None
    undefined: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OrdinalModel:
    """values: the categories, ascending, shape (k,); thresholds: shape (k - 1,)."""

    values: Floats
    thresholds: Floats
    latent_icc: float

    def mean_rating(self, quality: Floats) -> Floats:
        """Expected rating of a pair of this latent quality (standard normal): same shape."""
        return _mean_rating(self.values, self.thresholds, self.latent_icc, quality)

    def draw(self, quality: Floats, rng: np.random.Generator) -> Floats:
        """One rating for each latent quality given: same shape."""
        noise = math.sqrt(1 - self.latent_icc) * rng.standard_normal(quality.shape)
        latent = math.sqrt(self.latent_icc) * quality + noise
        return self.values[np.searchsorted(self.thresholds, latent)]


def _mean_rating(values: Floats, thresholds: Floats, share: float, quality: Floats) -> Floats:
    distance = thresholds - math.sqrt(share) * quality[..., None]
    below = stats.norm.cdf(distance / math.sqrt(1 - share))  # (..., k - 1)
    expected: Floats = values[-1] - below @ np.diff(values)
    return expected


def fit_ordinal(ratings: ArrayLike, icc: float) -> OrdinalModel:
    """The model with these ratings' frequencies and this ICC of single ratings, 0 < icc < 1.

    Raises InputError for an ICC outside (0, 1), fewer than 2 categories or more than 200 (round
    a slider's answers first). An ICC no latent share can give is met as nearly as possible.
    """
    x = np.asarray(ratings, dtype=np.float64)
    values, counts = np.unique(x, return_counts=True)
    if not 2 <= values.size <= MAX_CATEGORIES:
        raise InputError(f"{values.size} rating categories; the model takes 2 to {MAX_CATEGORIES}")
    if not 0.0 < icc < 1.0:
        raise InputError(f"ICC is {icc:.3f}; the model takes one between 0 and 1")
    thresholds = stats.norm.ppf(np.cumsum(counts[:-1]) / counts.sum())
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()

    def excess(share: float) -> float:
        means = _mean_rating(values, thresholds, share, nodes)
        return float(weights @ means**2 - (weights @ means) ** 2) / float(x.var()) - icc

    low, high = 1e-6, 1 - 1e-4
    if excess(low) >= 0 or excess(high) <= 0:
        share = low if excess(low) >= 0 else high
    else:
        share = float(optimize.brentq(excess, low, high))
    return OrdinalModel(values, thresholds, share)


def noise_ceiling(
    ratings: ArrayLike, pairs: ArrayLike, *, simulations: int = SIMULATIONS, seed: int = 0
) -> NoiseCeiling:
    """Expected agreement of the true means with the means of these ratings.

    ratings: shape (n,); pairs: shape (n,), the index of each rating's pair. The same seed gives
    the same answer. Fit each population by itself (natural and synthetic audio differ).

    >>> rng = np.random.default_rng(0)
    >>> pairs = np.repeat(np.arange(300), 4)
    >>> latent = rng.standard_normal(300)[pairs] + rng.standard_normal(1200)
    >>> found = noise_ceiling(latent.round(), pairs, simulations=20)
    >>> abs(found.srcc.value - 0.88) < 0.02   # sqrt(1 / (1 + 1 / 4)) = 0.894 for Pearson
    True
    """
    if simulations < 1:
        raise InputError(f"simulations is {simulations}; expected at least 1")
    x = np.asarray(ratings, dtype=np.float64)
    _, inverse, count = np.unique(np.asarray(pairs), return_inverse=True, return_counts=True)
    pair, icc = inverse.reshape(-1).astype(np.int64), icc1(ratings, pairs)
    alone = reliability(x, pair, repeats=1)
    why = alone.undefined.get("leave_one_out_srcc")
    undefined = {"one_listener_srcc": why} if why else {}
    known = NoiseCeiling(
        icc=icc,
        one_listener_srcc=alone.leave_one_out_srcc,
        n_pairs=count.size,
        n_ratings=x.size,
        undefined=undefined,
    )
    if reason := _why_not(x, count, icc):
        return replace(known, reason=reason)
    model = fit_ordinal(x, icc)
    drawn = _simulate(model, pair, count, simulations, np.random.default_rng(seed))
    expected = _value(drawn["srcc"])
    if reason := _no_ceiling(drawn["srcc"], expected, icc):
        return replace(known, reason=reason)
    ends = _srcc_ends(x, pair, count, max(1, simulations // 4), seed, expected.value, undefined)
    if math.isnan(one := mean_of_defined(drawn["one"])):
        undefined["simulated_one_listener_srcc"] = "undefined in most simulated studies"
    return replace(
        known,
        srcc=expected,
        lcc=_value(drawn["lcc"]),
        ktau=_value(drawn["ktau"]),
        srcc_low=ends[0],
        srcc_high=ends[1],
        latent_icc=model.latent_icc,
        simulated_one_listener_srcc=one,
        simulations=simulations,
        constant=int(np.isnan(drawn["srcc"]).sum()),
    )


def _no_ceiling(drawn: list[float], expected: CeilingValue, icc: float) -> str | None:
    """Why the simulated studies give no ceiling, None where they do."""
    reason = _no_mean(drawn)
    if reason is None and not expected.value > 0:
        return f"listeners hardly agree (ICC {icc:.3f}): the simulated ceiling is not above 0"
    return reason


def _srcc_ends(
    x: Floats,
    pair: Integers,
    count: Integers,
    simulations: int,
    seed: int,
    expected: float,
    undefined: dict[str, str],
) -> tuple[float, float]:
    """Ends of the interval of the expected SRCC; why one is NaN goes into `undefined`."""
    found = {"srcc_low": math.nan, "srcc_high": math.nan}
    for name, icc in zip(found, _icc_interval(x, pair, seed), strict=True):
        drawn = _drawn_srcc(x, icc, pair, count, simulations, seed)
        why = "the ICC has no interval" if math.isnan(icc) else _no_mean(drawn)
        if why:
            undefined[name] = why
        else:
            found[name] = _value(drawn).value
    low, high = found.values()
    return (
        low if math.isnan(low) else max(0.0, min(low, expected)),
        high if math.isnan(high) else max(high, expected),
    )


def _why_not(x: Floats, count: Integers, icc: float) -> str | None:
    if count.size < 3:
        return f"{count.size} pairs, fewer than 3"
    if count.max() < 2:
        return "no pair has two ratings"
    if math.isnan(icc):
        return "the ratings are constant"
    if not icc > 0:
        return f"listeners do not agree beyond chance (ICC {icc:.3f})"
    if icc >= 1:
        return "listeners agree perfectly: there is no noise to model"
    categories = np.unique(x).size
    if categories > MAX_CATEGORIES:
        return f"{categories} distinct ratings, more than {MAX_CATEGORIES} categories"
    return None


def _icc_interval(x: Floats, pair: Integers, seed: int) -> tuple[float, float]:
    """95 % percentile interval of ICC(1) by a bootstrap over pairs, from each pair's sums."""
    n = np.bincount(pair).astype(np.float64)
    centred = x - x.mean()
    sums = np.bincount(pair, centred)
    between = sums**2 / n
    within = np.bincount(pair, centred**2) - between
    rng = np.random.default_rng(seed)
    block = max(1, min(ICC_REPLICATES, COUNTS_AT_ONCE // n.size))
    parts = []
    for start in range(0, ICC_REPLICATES, block):
        drawn = rng.integers(n.size, size=(min(block, ICC_REPLICATES - start), n.size))
        parts.append([column[drawn].sum(axis=1) for column in (n, n**2, sums, between, within)])
    total, squares, of_sums, of_between, of_within = np.concatenate(parts, axis=1)
    k = n.size
    mean_between = (of_between - of_sums**2 / total) / (k - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_within = of_within / (total - k)
        n0 = (total - squares / total) / (k - 1)
        icc = (mean_between - mean_within) / (mean_between + (n0 - 1) * mean_within)
    defined = icc[np.isfinite(icc)]
    if 2 * defined.size < icc.size:
        return math.nan, math.nan
    low, high = np.quantile(defined, [0.025, 0.975])
    return float(low), float(high)


def _drawn_srcc(
    x: Floats, icc: float, pair: Integers, count: Integers, simulations: int, seed: int
) -> list[float]:
    """SRCC of a perfect metric in simulated studies, were this the ICC; 0 where it is not above."""
    if not icc > 0:
        return [0.0]
    model = fit_ordinal(x, min(icc, 0.999))
    rng = np.random.default_rng(seed)
    return _simulate(model, pair, count, simulations, rng, ranks_only=True)["srcc"]


def _simulate(
    model: OrdinalModel,
    pair: Integers,
    count: Integers,
    simulations: int,
    rng: np.random.Generator,
    *,
    ranks_only: bool = False,
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"srcc": [], "lcc": [], "ktau": [], "one": []}
    for i in range(simulations):
        quality = rng.standard_normal(count.size)
        ratings = model.draw(quality[pair], rng)
        means = np.round(np.bincount(pair, ratings, count.size) / count, 9)
        found["srcc"].append(srcc(quality, means))
        if ranks_only:
            continue
        found["lcc"].append(lcc(model.mean_rating(quality), means))
        found["ktau"].append(ktau(quality, means))
        if i < 20:
            found["one"].append(leave_one_out_srcc(ratings, pair))
    return found


def _no_mean(drawn: list[float]) -> str | None:
    """Why the simulated studies have no mean SRCC; None where most of them are defined."""
    if not math.isnan(mean_of_defined(drawn)):
        return None
    constant = int(np.isnan(drawn).sum())
    return f"all mean ratings are equal in {constant} of {len(drawn)} simulated studies"


def _value(drawn: list[float]) -> CeilingValue:
    """Mean and range of the studies in which the statistic is defined; NaN where most are not."""
    mean = mean_of_defined(drawn)
    if math.isnan(mean):
        return CeilingValue()
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return CeilingValue(value=mean, low=float(low), high=float(high))
