import itertools

import choix
import numpy as np
import pytest
from scipy.optimize import minimize

from humanclap.errors import InputError
from humanclap.metrics.bradley_terry import (
    compared_groups,
    fit_bradley_terry,
    unbeaten_groups,
)

TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
BASEBALL = [
    [0, 7, 9, 7, 7, 9, 11],
    [6, 0, 7, 5, 11, 9, 9],
    [4, 6, 0, 7, 7, 8, 12],
    [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12],
    [4, 4, 5, 6, 6, 0, 6],
    [2, 4, 1, 3, 1, 7, 0],
]
"""Wins of the American League's eastern division in 1987, row over column: Agresti 2002, p. 438."""


def drawn(rng, strengths, count, tie=0.0):
    """Wins and ties of so many votes on each pair."""
    size = len(strengths)
    wins, ties = np.zeros((2, size, size))
    for a, b in itertools.combinations(range(size), 2):
        parts = np.exp([strengths[a], strengths[b], (strengths[a] + strengths[b]) / 2])
        parts[2] *= tie
        wins[a, b], wins[b, a], ties[a, b] = rng.multinomial(count, parts / parts.sum())
    return wins, ties + ties.T


def test_strengths_of_the_baseball_teams_are_those_published():
    """Firth & Turner 2012, BradleyTerry2, section 2: abilities against Baltimore."""
    found = fit_bradley_terry(BASEBALL).log_strengths
    published = {"Boston": 1.1077, "Cleveland": 0.6839, "Detroit": 1.4364, "Milwaukee": 1.5814,
                 "New York": 1.2476, "Toronto": 1.2945, "Baltimore": 0.0}  # fmt: skip
    ours = dict(zip(TEAMS, found - found[-1], strict=True))
    assert ours == pytest.approx(published, abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_strengths_without_ties_are_those_of_choix(seed):
    wins, _ = drawn(np.random.default_rng(seed), [1.5, 0.5, 0.0, -0.2, -1.8], 40)
    data = [(a, b) for a, b in np.argwhere(wins > 0).tolist() for _ in range(int(wins[a, b]))]
    theirs = choix.ilsr_pairwise(5, data, alpha=0.0, tol=1e-10)
    ours = fit_bradley_terry(wins)
    assert not ours.regularised
    assert ours.log_strengths == pytest.approx(theirs - theirs.mean(), abs=1e-6)


def test_strengths_with_ties_are_at_the_maximum_of_davidsons_likelihood():
    wins, ties = drawn(np.random.default_rng(0), [1.0, 0.0, -0.3, -0.7], 50, tie=0.8)

    def loss(point):
        a = np.exp(point[:-1])
        total = 0.0
        for i, j in itertools.combinations(range(4), 2):
            middle = np.exp(point[-1]) * np.sqrt(a[i] * a[j])
            whole = a[i] + a[j] + middle
            total -= wins[i, j] * np.log(a[i] / whole) + wins[j, i] * np.log(a[j] / whole)
            total -= ties[i, j] * np.log(middle / whole)
        return total + point[:-1].sum() ** 2

    found = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-7}).x
    ours = fit_bradley_terry(wins, ties)
    assert ours.log_strengths == pytest.approx(found[:-1], abs=1e-5)
    assert float(ours.tie) == pytest.approx(np.exp(found[-1]), abs=1e-5)


def test_two_systems_have_the_closed_form():
    found = fit_bradley_terry([[0, 30], [10, 0]], [[0, 6], [6, 0]])
    assert np.ptp(found.log_strengths) == pytest.approx(np.log(30 / 10))
    assert float(found.tie) == pytest.approx(6 / np.sqrt(300))
    chosen, equal = found.chances()
    assert chosen[0, 1] == pytest.approx(30 / 46)
    assert equal[0, 1] == pytest.approx(6 / 46)


def test_many_studies_at_once_are_each_of_them_alone():
    rng = np.random.default_rng(1)
    both = [drawn(rng, [0.8, 0.0, -0.8], 20, tie=0.5) for _ in range(6)]
    both[3] = (both[3][0], np.zeros((3, 3)))  # one study without ties among others
    together = fit_bradley_terry(*(np.stack(side) for side in zip(*both, strict=True)))
    for i, (wins, ties) in enumerate(both):
        alone = fit_bradley_terry(wins, ties)
        assert together.log_strengths[i] == pytest.approx(alone.log_strengths, abs=1e-9)
        assert together.tie[i] == pytest.approx(float(alone.tie), abs=1e-9)
    assert together.tie[3] == 0


def test_order_and_names_of_systems_do_not_matter():
    turned = np.array(BASEBALL)[::-1, ::-1]
    assert fit_bradley_terry(turned).log_strengths[::-1] == pytest.approx(
        fit_bradley_terry(BASEBALL).log_strengths
    )


def test_a_system_that_nobody_beats_gets_half_a_loss_and_is_told():
    wins = np.array([[0, 20, 20], [0, 0, 12], [0, 8, 0]])
    found = fit_bradley_terry(wins)
    assert found.regularised
    assert np.isfinite(found.log_strengths).all()
    half = fit_bradley_terry(wins + 0.5 * (1 - np.eye(3)))
    assert found.log_strengths == pytest.approx(half.log_strengths)
    assert unbeaten_groups(wins) == [[0]]
    assert np.ptp(fit_bradley_terry([[0, 30], [0, 0]]).log_strengths) == pytest.approx(np.log(61))


def test_a_group_that_nobody_outside_beats_is_found_whole():
    wins = np.zeros((4, 4))
    wins[0, 1] = wins[1, 0] = wins[2, 3] = wins[3, 2] = 5
    wins[1, 2] = 1
    assert unbeaten_groups(wins) == [[0, 1]]
    assert unbeaten_groups(BASEBALL) == [list(range(7))]
    assert unbeaten_groups(np.zeros((2, 2))) == [[0], [1]]


def test_systems_that_were_never_compared_have_no_strengths():
    wins = np.zeros((4, 4))
    wins[0, 1] = wins[1, 0] = 5
    found = fit_bradley_terry(wins, np.diag([1.0], 3) + np.diag([1.0], -3))
    assert np.isnan(found.log_strengths).all()
    assert np.isnan(found.tie)
    assert compared_groups(wins) == [[0, 1], [2], [3]]
    assert compared_groups(wins, np.eye(4)[[0, 1, 3, 2]]) == [[0, 1], [2, 3]]


def test_ties_alone_make_equal_systems():
    found = fit_bradley_terry(np.zeros((2, 2)), [[0, 9], [9, 0]])
    assert found.regularised
    assert found.log_strengths.tolist() == [0, 0]


def test_a_lopsided_study_converges():
    found = fit_bradley_terry([[0, 1e6], [1, 0]])
    assert np.ptp(found.log_strengths) == pytest.approx(np.log(1e6))


@pytest.mark.parametrize(
    ("wins", "ties", "message"),
    [
        ([[0, 1]], None, "expected .* both"),
        ([[0]], None, "one system"),
        ([[0, -1], [2, 0]], None, "negative or not finite"),
        ([[0, np.nan], [2, 0]], None, "negative or not finite"),
        ([[0, 1], [2, 0]], [[0, 1], [2, 0]], "not symmetric"),
        ([[0, 1], [2, 0]], [[0]], "expected .* both"),
    ],
)
def test_counts_that_cannot_be_are_refused(wins, ties, message):
    with pytest.raises(InputError, match=message):
        fit_bradley_terry(wins, ties)
