"""RELATE's noise ceiling and trivial predictors, against the figures computed beforehand."""

from __future__ import annotations

from pathlib import Path

import pytest

from humanclap.evaluation import EvaluationSettings, compare
from humanclap.evaluation.agreement.result import Comparison
from humanclap.ratings.aggregate import aggregate
from humanclap.ratings.read import read_ratings
from humanclap.ratings.screening import screen_relate


@pytest.fixture(scope="module")
def judged(shared: Path) -> Comparison:
    path = shared / "data" / "relate" / "scores" / "REL.csv"
    if not path.is_file():
        pytest.skip("RELATE's tables are not in shared/data/relate")
    kept = [r for r in screen_relate(read_ratings(path)).kept if r.kind == "rating"]
    test = [r for r in kept if r.split == "test"]
    train = aggregate([r for r in kept if r.split == "train"])
    settings = EvaluationSettings(
        replicates=40, permutations=0, by=("subset",), allow_shared_captions=True
    )
    return compare([], aggregate(test), settings, ratings=test, train=train)


@pytest.mark.parametrize(
    ("label", "srcc"),
    [("overall", 0.776), ("subset natural", 0.743), ("subset synthetic", 0.766)],
)
def test_the_ordinal_model_gives_the_known_noise_ceilings(judged, label, srcc):
    assert judged.ceilings[label].srcc.value == pytest.approx(srcc, abs=0.01)


def test_one_listener_agrees_with_the_rest_as_known(judged):
    overall = judged.ceilings["overall"]
    assert overall.one_listener_srcc == pytest.approx(0.514, abs=0.0005)
    assert overall.simulated_one_listener_srcc == pytest.approx(0.514, abs=0.01)


@pytest.mark.parametrize(
    ("name", "srcc"),
    [
        ("system mean", 0.378),
        ("caption length", 0.217),
        ("caption words", 0.161),
        ("caption words + system", 0.424),
    ],
)
def test_trivial_predictors_reach_what_is_known(judged, name, srcc):
    found = next(e for e in judged.trivial if e.name == name)
    assert found.overall.statistics["srcc"].value == pytest.approx(srcc, abs=0.01)
