from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from humanclap.errors import InputError
from humanclap.metrics.choice_accuracy import credit, one_judge
from humanclap.metrics.vote_agreement import KrippendorffAlpha, exact_share, ratio, wilson

KRIPPENDORFF = """
A 1 2 3 3 2 1 4 1 2 . . .
B 1 2 3 3 2 2 4 1 2 5 . 3
C . 3 3 3 2 3 4 2 2 5 1 .
D 1 2 3 3 2 4 4 1 2 5 1 .
"""
"""The example of Krippendorff 2011 with missing data: four observers, twelve units, five values."""


def published_counts():
    lines = [line.split()[1:] for line in KRIPPENDORFF.strip().splitlines()]
    return [[column.count(value) for value in "12345"] for column in zip(*lines, strict=True)]


def alpha(counts, level, **given):
    return KrippendorffAlpha(counts, level, **given)(np.ones((1, len(counts))))["alpha"][0]


@pytest.mark.parametrize(("level", "value"), [("nominal", 0.743), ("ordinal", 0.815)])
def test_alpha_is_that_of_krippendorffs_example(level, value):
    assert round(alpha(published_counts(), level), 3) == value


@pytest.mark.parametrize("level", ["nominal", "ordinal"])
def test_weights_stand_for_repeated_questions(level):
    counts = np.random.default_rng(0).integers(0, 4, (9, 3))
    weights = np.random.default_rng(1).integers(0, 3, (2, 9))
    found = KrippendorffAlpha(counts, level)(weights)["alpha"]
    written = [alpha(np.repeat(counts, row, axis=0), level) for row in weights]
    assert found == pytest.approx(written)


def test_alpha_in_both_orders_does_not_rest_on_which_side_is_called_first():
    counts = np.random.default_rng(2).integers(0, 4, (30, 3))
    turned = np.where(np.arange(30)[:, None] % 2, counts, counts[:, ::-1])
    for level in ("nominal", "ordinal"):
        assert alpha(counts, level, both_orders=True) == pytest.approx(
            alpha(turned, level, both_orders=True)
        )
        assert alpha(counts, level) != pytest.approx(alpha(turned, level))
        doubled = np.concatenate([counts, counts[:, ::-1]])
        assert alpha(counts, level, both_orders=True) == pytest.approx(alpha(doubled, level))


def test_of_two_values_nominal_and_ordinal_are_one():
    counts = np.random.default_rng(3).integers(0, 4, (12, 2))
    assert alpha(counts, "nominal") == pytest.approx(alpha(counts, "ordinal"))


def test_alpha_without_pairs_or_without_unlike_votes_is_undefined():
    assert np.isnan(alpha([[1, 0], [0, 1]], "nominal"))
    assert np.isnan(alpha([[3, 0], [2, 0]], "ordinal"))
    with pytest.raises(InputError, match="counts must have shape"):
        KrippendorffAlpha([[1, -1]])
    with pytest.raises(InputError, match="level is 'interval'"):
        KrippendorffAlpha([[1, 1]], "interval")


def test_wilsons_interval_is_scipys():
    for k, n in ((0, 5), (3, 10), (10, 10), (499, 1000)):
        ends = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
        assert [float(end) for end in wilson(k, n)] == pytest.approx([ends.low, ends.high])
    low, high = wilson([2.5, 0], [4, 0])
    assert low[0] < 0.625 < high[0]
    assert np.isnan([low[1], high[1]]).all()
    with pytest.raises(InputError, match=r"0\.\.n"):
        wilson(3, 2)


def test_an_exact_share_is_worked_by_hand():
    """P(8 or more, or 0 of 8) = 2 / 256."""
    found = exact_share(8, 8)
    assert found.p_value == pytest.approx(2 / 256)
    assert found.low == pytest.approx(0.025 ** (1 / 8))
    assert found.high == 1.0
    assert np.isnan(exact_share(0, 0).p_value)


def test_a_ratio_of_nothing_is_undefined():
    assert np.isnan(ratio([0.0], [0.0])(np.ones((1, 1)))["ratio"][0])


def test_one_judge_counted_vote_by_vote():
    """Each vote against the sign of the sum of the others, written out."""
    votes = np.random.default_rng(4).integers(-1, 2, (40, 5))
    agree = counted = 0
    for row in votes:
        for place, vote in enumerate(row):
            rest = row.sum() - row[place]
            counted += vote != 0 and rest != 0
            agree += vote != 0 and np.sign(rest) == vote
    found = one_judge((votes == 1).sum(axis=1), (votes == -1).sum(axis=1))
    assert [part.sum() for part in found] == [agree, counted]


def test_a_question_without_a_decision_has_no_right_choice():
    with pytest.raises(InputError, match="leave it out"):
        credit([0.1], [0])
