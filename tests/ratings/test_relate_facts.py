"""RELATE's published counts and column, and the figures computed from its tables."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from humanclap.ratings.aggregate import aggregate
from humanclap.ratings.read import read_ratings
from humanclap.ratings.screening import screen_published, screen_relate
from humanclap.ratings.standardise import standardise
from humanclap.ratings.summary import summarise
from humanclap.records import Rating


@pytest.fixture(scope="module")
def scores(shared) -> Path:
    folder = shared / "data" / "relate" / "scores"
    if not folder.is_dir():
        pytest.skip("RELATE's tables are not in shared/data/relate")
    return folder


@pytest.fixture(scope="module")
def rel(scores) -> list[Rating]:
    return read_ratings(scores / "REL.csv")


@pytest.fixture(scope="module")
def kept(rel) -> list[Rating]:
    return [r for r in screen_relate(rel).kept if r.kind == "rating"]


def test_the_table_has_1370_listeners_of_18_ratings_and_3_anchors(rel):
    assert Counter(r.kind for r in rel) == {"rating": 24_660, "anchor": 4_110}
    assert set(Counter((r.listener_id, r.kind) for r in rel).values()) == {18, 3}


def test_screening_equals_the_published_column_on_every_row(rel, kept):
    lines = {r.line for r in kept}
    judged = [r for r in rel if r.kind == "rating"]
    assert len(judged) == 24_660
    assert sum(r.excluded is (r.line in lines) for r in judged) == 0
    assert [r for r in screen_published(rel).kept if r.kind == "rating"] == kept


@pytest.mark.parametrize(
    ("split", "n_ratings", "n_pairs", "n_listeners", "mean"),
    [
        ("train", 9_963, 2_862, 1_085, 6.83),
        ("validation", 3_897, 1_287, 712, 6.72),
        ("test", 3_900, 1_311, 726, 6.75),
    ],
)
def test_screened_counts_equal_the_published_ones(
    kept, split, n_ratings, n_pairs, n_listeners, mean
):
    (group, *_) = summarise([r for r in kept if r.split == split])
    assert (group.reliability.n_ratings, group.reliability.n_pairs) == (n_ratings, n_pairs)
    assert group.n_listeners == n_listeners
    assert group.mean_rating == pytest.approx(mean, abs=0.005)


def test_mean_pair_scores_and_reliability_of_the_test_split(kept):
    everything, *systems = summarise([r for r in kept if r.split == "test"])
    assert {g.system: round(g.mean_mos, 2) for g in systems} == {
        "natural": 7.71,
        "audioldm": 5.36,
        "audioldm2": 5.44,
        "tango": 6.29,
        "tango2": 7.94,
    }
    agreed = everything.reliability
    assert agreed.icc == pytest.approx(0.424, abs=0.0005)
    assert agreed.leave_one_out_srcc == pytest.approx(0.514, abs=0.0005)
    assert agreed.split_half_srcc == pytest.approx(0.520, abs=0.01)
    assert agreed.spearman_brown == pytest.approx(0.684, abs=0.01)


def test_z_scores_lift_the_agreement_of_listeners(kept):
    everything, *_ = summarise([r for r in standardise(kept) if r.split == "test"])
    assert everything.reliability.leave_one_out_srcc == pytest.approx(0.568, abs=0.0005)


def test_the_inclusion_table_screens_to_its_published_counts(scores):
    kept = [r for r in screen_relate(read_ratings(scores / "IS.csv")).kept if r.kind == "rating"]
    _, train, test = [g for g in summarise(kept) if g.system == "all"]
    assert (train.reliability.n_ratings, train.reliability.n_pairs) == (7_641, 2_649)
    assert (test.reliability.n_ratings, test.reliability.n_pairs) == (5_865, 2_334)
    assert (train.n_listeners, test.n_listeners) == (864, 635)


def test_the_rated_validation_clips_join_their_files(shared):
    folder = shared / "data" / "relate-validation"
    if not folder.is_dir():
        pytest.skip("the rated clips are not in shared/data/relate-validation")
    ratings = read_ratings(folder / "ratings_REL.csv")
    assert all((folder / "audio" / r.audio).is_file() for r in ratings)
    assert len(aggregate(screen_published(ratings).kept)) == 81
    assert Counter(t.kind for t in aggregate(ratings, include_anchors=True)) == Counter(
        r.kind for r in {(r.audio, r.text): r for r in ratings}.values()
    )
