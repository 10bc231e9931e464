"""The noise ceiling of the judged pairs, from the very ratings their targets were made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from humanclap.errors import InputError
from humanclap.evaluation.agreement.members import Members
from humanclap.evaluation.agreement.result import WITHIN
from humanclap.metrics.agreement import MIN_PAIRS
from humanclap.metrics.ceiling import (
    LARGE_SIMULATIONS,
    SIMULATIONS,
    CeilingValue,
    NoiseCeiling,
    noise_ceiling,
)
from humanclap.metrics.influence import by_influence
from humanclap.records import Rating, Target, pair_id_of


def ratings_of(
    ratings: Sequence[Rating], targets: Sequence[Target], where: str
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Ratings of the judged pairs, (m,), and for each the place of its target, (m,).

    Raises InputError where a target has other ratings than it says: another number, another mean.
    """
    place = {(pair_id_of(t.audio, t.text), t.kind): i for i, t in enumerate(targets)}
    scores: list[float] = []
    places: list[int] = []
    for rating in ratings:
        at = place.get((rating.pair_id, rating.kind))
        if at is not None:
            scores.append(rating.score)
            places.append(at)
    x, pair = np.array(scores, dtype=np.float64), np.array(places, dtype=np.int64)
    count = np.bincount(pair, minlength=len(targets))
    total = np.bincount(pair, x, minlength=len(targets))
    for i, target in enumerate(targets):
        mean = total[i] / count[i] if count[i] else math.nan
        if count[i] != target.n or not math.isclose(mean, target.mos, abs_tol=1e-6):
            raise InputError(
                f"{where}: pair {target.pair_id!r} has {count[i]} ratings of mean {mean:.3f}, "
                f"its target says {target.n} of mean {target.mos:.3f}; give the ratings the "
                "targets were made of (screened alike, not standardised: humanclap ratings screen)"
            )
    return x, pair


def ceilings(
    ratings: Sequence[Rating] | None,
    targets: Sequence[Target],
    members: Members,
    where: str,
    *,
    seed: int,
) -> dict[str, NoiseCeiling]:
    """Noise ceiling of each group, fitted to the group by itself, by the group's label; none
    without ratings.

    `within systems, averaged` has the mean over systems, weighted by their pairs; where a system
    has no ceiling there is no such mean, and the reason names the system.
    """
    if ratings is None:
        return {}
    x, pair = ratings_of(ratings, targets, where)
    found: dict[str, NoiseCeiling] = {}
    of_systems: dict[str, NoiseCeiling] = {}
    for (level, name), index in members.items():
        member = np.zeros(len(targets), dtype=bool)
        member[index] = True
        inside = member[pair]
        large = by_influence(index.size, of=len(targets))
        found[f"{level} {name}".rstrip()] = noise_ceiling(
            x[inside],
            pair[inside],
            simulations=LARGE_SIMULATIONS if large else SIMULATIONS,
            seed=seed,
        )
        if level == "system" and index.size >= MIN_PAIRS:  # as those that count for the metrics
            of_systems[name] = found[f"{level} {name}"]
    if of_systems:
        found[WITHIN] = _mean(of_systems)
    return found


def _mean(of_systems: Mapping[str, NoiseCeiling]) -> NoiseCeiling:
    """The mean over systems; a value that one system lacks is NaN, and the reason names it."""
    parts = list(of_systems.values())
    weights = [part.n_pairs for part in parts]
    reasons = [f"{name}: {part.reason}" for name, part in of_systems.items() if part.reason]
    undefined = {
        field: f"{name}: {why}"
        for name, part in of_systems.items()
        for field, why in part.undefined.items()
        if field == "one_listener_srcc"
    }

    def mean(values: Sequence[float]) -> float:
        return float(np.average(values, weights=weights))

    means: dict[str, Any] = {
        name: CeilingValue(value=mean([getattr(part, name).value for part in parts]))
        for name in ("srcc", "lcc", "ktau")
    }
    for name in ("icc", "latent_icc", "one_listener_srcc", "simulated_one_listener_srcc"):
        means[name] = mean([getattr(part, name) for part in parts])
    return NoiseCeiling(
        **means,
        n_pairs=sum(weights),
        n_ratings=sum(part.n_ratings for part in parts),
        simulations=max(part.simulations for part in parts),
        reason="; ".join(reasons) or None,
        undefined=undefined,
    )
