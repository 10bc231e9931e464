"""Does the gate err as seldom as it says, and what does it find? Simulated, with a known truth.

    python benchmarks/gate_simulation.py --demos SHARED/data/tta-demos    # a few minutes

--demos: scores the demo pages' clips with mini and keeps, in the results file, how the differences
of two systems are spread over prompts; without it those that are kept there are used. --scores: a
table that `humanclap score` made of the pages' pairs.csv, instead of scoring them.

A comparison is n differences new - old, one a prompt, drawn around 0; a true loss moves them all,
so one set of drawn bounds serves every loss. Designs: normal; drawn from the differences on the
pages (of all comparisons, in both directions; and of the most skewed one, in the direction of its
loss); Student's t with 3 degrees of freedom; a tenth of the prompts that lose three standard
deviations of the others; a log-normal loss (sigma 0.8); and clips one by one, as many a prompt and
system as is said. Bounds: the gate's own (studentised bootstrap), and for comparison Student's t,
and the percentile and BCa bootstrap, widened as in `metrics.bootstrap`. Writes
benchmarks/results/gate_simulation.json; intervals of rates are Wilson's.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from humanclap.grouping import caption_key
from humanclap.metrics.bootstrap import draws, expanded_tail
from humanclap.metrics.one_sided import clusters_needed, studentised_bounds
from humanclap.tables import Table, read_table

REPLICATES = 2000
AT_ONCE = 500
LEVEL = 0.05
MARGIN = 0.02
PROMPTS = (10, 20, 50, 200)
LOSSES = (0.0, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12)
PLANNED = (20, 50, 100, 200, 500, 1000)
MANY = 18
"""Shared prompts of two systems whose differences are used."""
METHODS = ("studentised", "t", "percentile", "bca")

Floats = NDArray[np.float64]
Bounds = tuple[Floats, Floats]
Draw = Callable[[np.random.Generator, int, int], Floats]
"""(rng, comparisons, prompts) -> differences around a true 0, (comparisons, prompts)."""


# -- what real differences look like ----------------------------------------------------------


def measured(table: Table, values: Floats) -> dict[str, Any]:
    """Differences of every two systems of a page over the prompts that they share."""
    clips: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row, value in zip(table.rows, values, strict=True):
        key = row.text("source"), row.text("system")
        clips.setdefault(key, {}).setdefault(caption_key(row.text("text")), []).append(value)
    found = []
    for one, other in combinations(clips, 2):
        shared = sorted(clips[one].keys() & clips[other].keys())
        if one[0] == other[0] and len(shared) >= MANY:
            differences = [np.mean(clips[one][k]) - np.mean(clips[other][k]) for k in shared]
            named = {"page": one[0], "new": one[1], "old": other[1]}
            found.append(named | {"differences": [round(float(d), 4) for d in differences]})
    return {"comparisons": found, **clip_share(clips)}


def clip_share(clips: dict[tuple[str, str], dict[str, list[float]]]) -> dict[str, Any]:
    """What share of the variance of a difference of single clips is the clips' own luck?

    From the page whose systems have three clips of each of ten prompts: sigma^2 within a system's
    prompt, and tau^2 of the differences of prompts, by analysis of variance.
    """
    page = {k: v for k, v in clips.items() if len(v) == 10 and {len(x) for x in v.values()} == {3}}
    of_luck, of_prompts = [], []
    for one, other in combinations(page, 2):
        shared = sorted(page[one].keys() & page[other].keys())
        sides = [np.array([page[side][key] for key in shared]) for side in (one, other)]
        luck = float(sum(side.var(axis=1, ddof=1).mean() for side in sides))
        between = float((sides[0].mean(axis=1) - sides[1].mean(axis=1)).var(ddof=1))
        of_luck.append(luck)
        of_prompts.append(max(0.0, between - luck / 3))
    share = float(np.mean(of_luck) / (np.mean(of_luck) + np.mean(of_prompts)))
    return {"luck_share": round(share, 3), "luck_comparisons": len(of_luck)}


def standardised(differences: list[float]) -> Floats:
    """Of mean 0 and standard deviation 1 as a distribution to draw from."""
    values = np.array(differences)
    found: Floats = (values - values.mean()) / values.std()
    return found


def designs(real: dict[str, Any]) -> dict[str, Draw]:
    """Differences of unit standard deviation, but for the tails' own scale, around a true 0."""
    pages = [standardised(item["differences"]) for item in real["comparisons"]]
    pool = np.concatenate([*pages, *(-page for page in pages)])
    skewed = max(pages, key=lambda page: abs(float(stats.skew(page))))
    skewed = -skewed * np.sign(stats.skew(skewed))
    share = real["luck_share"]

    def of_clips(least: int, most: int) -> Draw:
        def draw(rng: np.random.Generator, runs: int, prompts: int) -> Floats:
            count = rng.integers(least, most + 1, size=(2, runs, prompts))
            luck = (rng.normal(size=count.shape) / np.sqrt(count)).sum(axis=0)
            own = rng.normal(size=(runs, prompts))
            found: Floats = math.sqrt(1 - share) * own + math.sqrt(share / 2) * luck
            return found

        return draw

    return {
        "normal": lambda rng, *size: rng.normal(size=size),
        "pages": lambda rng, *size: rng.choice(pool, size=size),
        "most skewed page, losing": lambda rng, *size: rng.choice(skewed, size=size),
        "heavy tails (t3)": lambda rng, *size: rng.standard_t(3, size=size),
        "a tenth lose 3 sd": lambda rng, *size: (
            rng.normal(size=size) - 3 * (rng.random(size) < 0.1) + 0.3
        ),
        "log-normal loss": lambda rng, *size: math.exp(0.32) - rng.lognormal(0, 0.8, size=size),
        "4 clips": of_clips(4, 4),
        "1 to 8 clips": of_clips(1, 8),
    }


# -- bounds of many comparisons at once -------------------------------------------------------


def all_bounds(values: Floats, level: float = LEVEL) -> dict[str, Bounds]:
    """Lower and upper bounds of each comparison's mean by every method: (comparisons,) each."""
    count = values.shape[1]
    mean, spread = values.mean(axis=1), values.std(axis=1, ddof=1)
    step = spread / math.sqrt(count)
    quantile = float(stats.t.ppf(1 - level, count - 1))
    centred = (values - mean[:, None]) / spread[:, None]
    times = np.concatenate(list(draws(count, REPLICATES, np.random.default_rng(0))))
    ends = {name: np.empty((2, len(values))) for name in METHODS if name != "t"}
    tail = expanded_tail(1 - 2 * level, count)
    for start in range(0, len(values), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        means = centred[part] @ times.T / count
        squares = np.maximum((centred[part] ** 2) @ times.T / count - means**2, 1e-300)
        t = means * math.sqrt(count - 1) / np.sqrt(squares)
        ends["studentised"][:, part] = (
            -np.quantile(t, 1 - level, axis=1, method="higher") / math.sqrt(count),
            -np.quantile(t, level, axis=1, method="lower") / math.sqrt(count),
        )
        means.sort(axis=1)
        ends["percentile"][:, part] = np.quantile(means, [tail, 1 - tail], axis=1)
        ends["bca"][:, part] = bca(means, centred[part], tail)
    found = {
        name: (mean + low * spread, mean + high * spread) for name, (low, high) in ends.items()
    }
    return found | {"t": (mean - quantile * step, mean + quantile * step)}


def bca(means: Floats, centred: Floats, tail: float) -> Floats:
    """Ends by Efron 1987 of sorted replicates of a mean of 0: (comparisons, replicates)."""
    below = ((means < 0).mean(axis=1) + (means <= 0).mean(axis=1)) / 2
    bias = stats.norm.ppf(below.clip(1e-6, 1 - 1e-6))
    acceleration = (centred**3).sum(axis=1) / (6 * (centred**2).sum(axis=1) ** 1.5)
    found = np.empty((2, len(means)))
    for side, z in enumerate(stats.norm.ppf([tail, 1 - tail])):
        shifted = bias + z
        share = stats.norm.cdf(bias + shifted / np.maximum(1 - acceleration * shifted, 1e-6))
        place = np.round(share * (means.shape[1] - 1)).astype(int)
        found[side] = np.take_along_axis(means, place[:, None], axis=1)[:, 0]
    return found


def check_same(values: Floats, found: Bounds) -> None:
    """Stop where the bounds here are not those of the command."""
    for run in range(3):
        own = studentised_bounds(values[run], rng=np.random.default_rng(0), replicates=REPLICATES)
        np.testing.assert_allclose([side[run] for side in found], own, rtol=1e-6, atol=1e-9)


def rate(hits: NDArray[np.bool_]) -> list[float]:
    """Share in per cent with its 95 % Wilson interval."""
    found = stats.binomtest(int(hits.sum()), hits.size).proportion_ci(method="wilson")
    return [round(100 * float(x), 2) for x in (hits.mean(), found.low, found.high)]


# -- what is asked ----------------------------------------------------------------------------


def at_the_boundary(draw: Draw, prompts: int, runs: int, seed: list[int]) -> dict[str, Any]:
    """Wrong passes and wrong fails at a true loss of exactly the margin, by method.

    Equality with a margin of 0 is the same case moved.
    """
    values = draw(np.random.default_rng(seed), runs, prompts)
    found = all_bounds(values)
    if prompts > 10:
        check_same(values, found["studentised"])
    return {
        name: {"wrong_pass": rate(low > 0), "wrong_fail": rate(high < 0)}
        for name, (low, high) in found.items()
    }


def power(draw: Draw, spread: float, runs: int, seed: int) -> list[dict[str, Any]]:
    """Verdicts by true loss and prompts, margin MARGIN, differences of this standard deviation."""
    found = []
    for prompts in PLANNED:
        values = spread * draw(np.random.default_rng([seed, prompts]), runs, prompts)
        low, high = all_bounds(values)["studentised"]
        for loss in LOSSES:
            passes, fails = low - loss > -MARGIN, high - loss < -MARGIN
            found.append(
                {"prompts": prompts, "loss": loss, "pass": rate(passes), "fail": rate(fails)}
            )
    return found


def planned(draw: Draw, spread: float, runs: int, seed: int) -> list[dict[str, Any]]:
    """Does the number of prompts that is told reach its power? New and old equal."""
    found = []
    for margin in (0.02, 0.03, 0.05, 0.1):
        prompts = int(clusters_needed(spread, margin))
        values = spread * draw(np.random.default_rng([seed, prompts]), runs, prompts)
        low, _ = all_bounds(values)["studentised"]
        found.append({"margin": margin, "prompts": prompts, "pass": rate(low > -margin)})
    return found


def several(draw: Draw, runs: int, systems: int = 3, prompts: int = 50) -> dict[str, Any]:
    """Several systems in one gate, all at a loss of exactly the margin."""
    values = draw(np.random.default_rng(31), runs * systems, prompts)
    low = all_bounds(values)["studentised"][0].reshape(systems, runs)
    high = all_bounds(values, LEVEL / systems)["studentised"][1].reshape(systems, runs)
    return {
        "systems": systems,
        "prompts": prompts,
        "wrong_pass": rate((low > 0).all(axis=0)),
        "wrong_fail": rate((high < 0).any(axis=0)),
    }


def ratings(draw: Draw, runs: int, map_error: float = 0.5) -> list[dict[str, Any]]:
    """The limit of a mean rating, whose map is wrong by a normal error common to all clips."""
    found = []
    z = float(stats.norm.ppf(1 - LEVEL))
    for prompts in PROMPTS[1:]:
        rng = np.random.default_rng([41, prompts])
        values = 1.5 * draw(rng, runs, prompts) + map_error * rng.normal(size=(runs, 1))
        low, high = all_bounds(values)["studentised"]
        mean = values.mean(axis=1)
        found.append(
            {
                "prompts": prompts,
                "wrong_pass": rate(mean - np.hypot(mean - low, z * map_error) > 0),
                "wrong_fail": rate(mean + np.hypot(high - mean, z * map_error) < 0),
                "wrong_pass_without_map_error": rate(low > 0),
            }
        )
    return found


def scores_of(arguments: argparse.Namespace, kept: dict[str, Any]) -> dict[str, Any]:
    """What real differences look like: measured anew, or as kept."""
    if arguments.scores:
        table = read_table(arguments.scores)
        return measured(table, np.array([row.number("score") for row in table.rows]))
    if arguments.demos is None:
        found: dict[str, Any] = kept["measured"]
        return found
    from humanclap.scoring.run import score_table
    from humanclap.scoring.scorer import HumanCLAP
    from humanclap.tables import read_pairs

    path = arguments.demos / "pairs.csv"
    scores = score_table(
        HumanCLAP.from_pretrained("mini"), read_pairs(path), audio_root=arguments.demos
    )
    return measured(read_table(path), np.array([score.score for score in scores]))


def simulate(real: dict[str, Any], runs: int) -> dict[str, Any]:
    """Everything but the measured differences."""
    drawn = designs(real)
    spreads = [float(np.std(item["differences"], ddof=1)) for item in real["comparisons"]]
    spread = round(float(np.median(spreads)), 3)
    several_clips = spread * math.sqrt(1 - real["luck_share"] + real["luck_share"] / 4)
    boundary = [
        {"design": name, "prompts": prompts}
        | at_the_boundary(draw, prompts, runs, [prompts, number])
        for number, (name, draw) in enumerate(drawn.items())
        for prompts in PROMPTS
    ]
    return {
        "sd": spread,
        "sd_range": [round(float(x), 3) for x in np.quantile(spreads, [0, 0.25, 0.75, 1])],
        "sd_4_clips": round(several_clips, 3),
        "boundary": boundary,
        "power": power(drawn["pages"], spread, runs, 21),
        "power_4_clips": power(drawn["normal"], several_clips, runs, 22),
        "planned": planned(drawn["pages"], spread, runs, 23),
        "several_systems": several(drawn["pages"], runs),
        "ratings": ratings(drawn["normal"], runs),
    }


def compact(text: str) -> str:
    """JSON with every list of numbers on one line."""
    numbers = re.compile(r"\[\s+([-+\d.e,\s]+?)\s+\]")
    return numbers.sub(lambda found: f"[{' '.join(found[1].split())}]", text)


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--demos", type=Path)
    parser.add_argument("--scores", type=Path)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    results = Path(__file__).parent / "results" / "gate_simulation.json"
    kept = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    real, start = scores_of(arguments, kept), time.process_time()
    result = {
        "command": "python benchmarks/gate_simulation.py --demos SHARED/data/tta-demos",
        "runs": arguments.runs,
        "replicates": REPLICATES,
        "margin": MARGIN,
        **simulate(real, arguments.runs),
        "cpu_seconds": round(time.process_time() - start),
        "measured": real,
    }
    path = arguments.output or results
    path.write_text(compact(json.dumps(result, indent=1)) + "\n", encoding="utf-8")
    print(f"wrote {path}, {result['cpu_seconds']} s of CPU time")


if __name__ == "__main__":
    main()
