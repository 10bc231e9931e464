"""The noise ceiling of a comparison: by group, with the reason of what is undefined."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from humanclap.evaluation import EvaluationSettings, ScoreTable, compare
from humanclap.evaluation.report.agreement_words import reasons
from humanclap.evaluation.report.files import json_report, markdown_report
from humanclap.evaluation.report.overview import overview
from humanclap.ratings.aggregate import aggregate
from humanclap.records import Rating, Score

QUICK = EvaluationSettings(replicates=40, permutations=0, by=("system",))
WITHIN = "within systems, averaged"


def study(score, pairs=30, listeners=4):
    """Ratings of two systems in turn; score: (pair, listener) -> rating."""
    return [
        Rating(
            audio=f"{pair}.wav",
            text=f"text {pair}",
            listener_id=f"l{listener}",
            score=score(pair, listener),
            system="ab"[pair % 2],
        )
        for pair in range(pairs)
        for listener in range(listeners)
    ]


def judged(ratings):
    targets = aggregate(ratings)
    noise = np.random.default_rng(0).random(len(targets))
    scores = [
        Score(audio=t.audio, text=t.text, score=float(s))
        for t, s in zip(targets, noise, strict=True)
    ]
    return compare([ScoreTable(name="ours", scores=scores)], targets, QUICK, ratings=ratings)


@pytest.fixture(scope="module")
def nearly_all_tens():
    return judged(study(lambda pair, listener: 9 if pair in (2, 6) and listener < 2 else 10))


def test_nearly_constant_ratings_have_a_ceiling_and_say_what_was_left_out(nearly_all_tens):
    found = nearly_all_tens.ceilings["overall"]
    assert 0 < found.srcc_low <= found.srcc.value <= found.srcc_high < 1
    assert found.constant > 0
    told = (
        f"noise ceiling (overall): {found.constant} of 400 simulated studies left out, as all "
        "mean ratings are equal there"
    )
    assert told in reasons(nearly_all_tens)
    assert told in markdown_report(nearly_all_tens)


def test_a_group_without_a_ceiling_says_why_and_so_does_the_mean_over_systems(nearly_all_tens):
    found = nearly_all_tens.ceilings
    assert found["system b"].reason == "the ratings are constant"
    assert math.isnan(found[WITHIN].srcc.value)
    assert found[WITHIN].reason == "b: the ratings are constant"
    assert found[WITHIN].n_pairs == 30
    told = reasons(nearly_all_tens)
    assert "noise ceiling (system b): the ratings are constant" in told
    assert f"noise ceiling ({WITHIN}): b: the ratings are constant" in told
    assert "one listener, against the rest (system b): the ratings are constant" in told
    plain = json.loads(json_report(nearly_all_tens))["ceilings"]
    assert plain[WITHIN]["srcc"]["value"] is None
    assert plain[WITHIN]["reason"] == "b: the ratings are constant"
    heads, rows = overview(nearly_all_tens).rows
    assert rows[0][heads.index("within systems")] == "–"


def test_a_mean_over_systems_says_of_how_many_pairs_it_is(nearly_all_tens):
    ours = nearly_all_tens.metrics[0]
    within = ours.at(WITHIN)
    assert (within.n, within.statistics["srcc"].n, within.statistics["accuracy"].n) == (30, 15, 30)
    assert (
        "SRCC, LCC, KTAU (within systems, averaged): 15 of 30 pairs count, those of systems in "
        "which it is defined"
    ) in reasons(nearly_all_tens)


def test_a_system_of_two_pairs_counts_for_no_mean_over_systems():
    rng = np.random.default_rng(1)
    ratings = study(lambda pair, _: float(np.clip(pair % 11 + rng.integers(-2, 3), 0, 10)))
    few = [
        Rating(audio=f"c{p}.wav", text=f"c {p}", listener_id=f"l{n}", score=p, system="c")
        for p in range(2)
        for n in range(4)
    ]
    found = judged([*ratings, *few]).ceilings
    assert "fewer than 3" in found["system c"].reason
    of_two = [found[f"system {name}"].srcc.value for name in "ab"]
    assert found[WITHIN].srcc.value == pytest.approx(np.mean(of_two))
    assert found[WITHIN].reason is None
