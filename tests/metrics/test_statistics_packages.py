"""Equal to pingouin and statsmodels; the answers were written by reference/make_statistics.py."""

import json
from pathlib import Path

import numpy as np
import pytest

from humanclap.metrics.levels import PartialOfSystems
from humanclap.metrics.permutation import holm
from humanclap.metrics.reliability import icc1


@pytest.fixture(scope="module")
def reference():
    path = Path(__file__).parent / "reference" / "statistics.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_icc1_is_pingouins(reference):
    case = reference["icc"]
    ratings = np.array(case["ratings"])
    pairs = np.repeat(np.arange(len(ratings)), ratings.shape[1])
    assert icc1(ratings.ravel(), pairs) == pytest.approx(case["icc1"], abs=1e-9)


def test_the_partial_correlations_given_the_system_are_pingouins(reference):
    case = reference["partial"]
    systems = np.array(case["systems"])
    engine = PartialOfSystems(
        np.array(case["metric"]), np.array(case["human"]), systems, np.arange(systems.size)
    )
    found = engine(np.ones((1, systems.size)))
    assert found["srcc"][0] == pytest.approx(case["spearman"], abs=1e-9)
    assert found["lcc"][0] == pytest.approx(case["pearson"], abs=1e-9)


def test_holm_is_that_of_statsmodels(reference):
    case = reference["holm"]
    assert holm(case["p"]) == pytest.approx(case["adjusted"])
