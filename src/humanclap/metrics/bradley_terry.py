"""Strengths of systems from choices between two of them: Bradley–Terry, ties by Davidson.

With strengths a_i > 0 and a tie parameter v >= 0, of i and j

    P(i chosen) = a_i / d,   P(j chosen) = a_j / d,   P(equal) = v sqrt(a_i a_j) / d,
    d = a_i + a_j + v sqrt(a_i a_j).

Without ties v is 0 and this is the Bradley–Terry model. Everything here takes many studies at once,
as a bootstrap needs it. Sources: Bradley & Terry 1952; Davidson 1970 (ties); Ford 1957 (when the
estimate exists).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from humanclap.errors import InputError

HALF_A_WIN = 0.5
"""Added to either side of every compared pair where the estimate would be infinite."""

_STEPS, _HALVINGS, _TOLERANCE = 100, 30, 1e-10

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strengths:
    """Estimates of one or more studies.

    log_strengths: natural logarithms, mean 0, shape (..., systems), NaN where some systems were
    never compared with the others, directly or by way of further ones; tie: v, shape (...,);
    regularised: where half a win was added to either side of each compared pair, shape (...,).
    """

    log_strengths: Floats
    tie: Floats
    regularised: Truths

    def chances(self) -> tuple[Floats, Floats]:
        """P(row's system chosen over column's) and P(equal), each (..., systems, systems)."""
        theta = self.log_strengths
        with np.errstate(divide="ignore"):
            log_tie = np.log(self.tie)
        chosen, _, equal = _chances(theta[..., :, None] - theta[..., None, :], log_tie)
        return chosen, equal


def fit_bradley_terry(wins: ArrayLike, ties: ArrayLike | None = None) -> Strengths:
    """Maximum likelihood estimates of log strengths and of the tie parameter, by Newton's method.

    wins: shape (..., systems, systems), how often the row's system was chosen over the column's,
    finite, from 0 up, fractions allowed; ties: the same of equal choices, symmetric (one tie of i
    and j is 1 at (i, j) and 1 at (j, i)). The diagonals count for nothing.
    The estimate is finite where the graph of wins is strongly connected: whatever way the systems
    are parted in two groups, each group has a win against the other. Where it is not, though all
    systems were compared, half a win is added to either side of every compared pair (Haldane 1955).
    Raises InputError for other shapes, negative or infinite counts, ties that are not symmetric, or
    fewer than 2 systems.

    >>> found = fit_bradley_terry([[0, 30], [10, 0]], [[0, 5], [5, 0]])
    >>> float(np.ptp(found.log_strengths)) - float(np.log(3)) < 1e-9   # 30 : 10
    True
    >>> round(float(found.tie), 6), round(5 / (30 * 10) ** 0.5, 6)
    (0.288675, 0.288675)
    """
    won, tied = _checked(wins, ties)
    shape = won.shape[:-2]
    won, tied = won.reshape(-1, *won.shape[-2:]), tied.reshape(-1, *tied.shape[-2:])
    compared = (won + _turned(won) + tied) > 0
    apart = np.asarray(~_reaching(compared).all(axis=(1, 2)))
    weak = np.asarray(~apart & ~_reaching(won > 0).all(axis=(1, 2)))
    won = won + HALF_A_WIN * (weak[:, None, None] & compared)
    theta, tie = _newton(won[~apart], tied[~apart])
    log_strengths = np.full((len(won), won.shape[-1]), np.nan)
    ties_found = np.full(len(won), np.nan)
    log_strengths[~apart], ties_found[~apart] = theta, tie
    return Strengths(
        log_strengths=log_strengths.reshape(*shape, -1),
        tie=ties_found.reshape(shape),
        regularised=weak.reshape(shape),
    )


def _checked(wins: ArrayLike, ties: ArrayLike | None) -> tuple[Floats, Floats]:
    won = np.array(wins, dtype=np.float64)
    tied = np.zeros_like(won) if ties is None else np.array(ties, dtype=np.float64)
    if won.ndim < 2 or won.shape[-1] != won.shape[-2] or won.shape != tied.shape:
        raise InputError(
            f"wins have shape {won.shape}, ties {tied.shape}; expected (..., systems, systems) both"
        )
    if won.shape[-1] < 2:
        raise InputError("there is one system; strengths are of two or more")
    for name, counts in (("wins", won), ("ties", tied)):
        if not np.isfinite(counts).all() or (counts < 0).any():
            raise InputError(f"{name} are counts; some are negative or not finite")
        counts[..., np.eye(won.shape[-1], dtype=bool)] = 0
    if not np.allclose(tied, _turned(tied)):
        raise InputError("ties are not symmetric; a tie of i and j stands at (i, j) and at (j, i)")
    return won, tied


def _turned(counts: Floats) -> Floats:
    """Rows and columns exchanged in each study."""
    return np.swapaxes(counts, -1, -2)


def _reaching(edges: Truths) -> Truths:
    """Whether the row's node is, or has a path to, the column's: (studies, nodes, nodes)."""
    reach = edges | np.eye(edges.shape[-1], dtype=bool)
    for _ in range(max(1, int(edges.shape[-1] - 1).bit_length())):
        reach = (reach.astype(np.float32) @ reach.astype(np.float32)) > 0
    return reach


def compared_groups(wins: ArrayLike, ties: ArrayLike | None = None) -> list[list[int]]:
    """Systems by group: two are in one where they were compared, directly or by way of others.

    wins, ties: as `fit_bradley_terry`, of one study.

    >>> compared_groups([[0, 1, 0], [0, 0, 0], [0, 0, 0]])
    [[0, 1], [2]]
    """
    won, tied = _checked(wins, ties)
    reach = _reaching(((won + _turned(won) + tied) > 0)[None])[0]
    return _classes(reach)


def unbeaten_groups(wins: ArrayLike) -> list[list[int]]:
    """The smallest groups of systems that lost no choice to a system outside of them.

    wins: shape (systems, systems). A single group of all systems where the graph of wins is
    strongly connected.

    >>> unbeaten_groups([[0, 3, 1], [2, 0, 4], [0, 0, 0]])   # the third beats nobody
    [[0, 1]]
    """
    won, _ = _checked(wins, None)
    reach = _reaching((won > 0)[None])[0]
    return [
        group
        for group in _classes(reach & reach.T)
        if not np.delete(reach[:, group[0]], group).any()
    ]


def _classes(alike: Truths) -> list[list[int]]:
    """Classes of an equivalence, by their first member."""
    rows = [tuple(np.flatnonzero(row).tolist()) for row in alike]
    return [list(row) for row in dict.fromkeys(rows)]


def _chances(gap: Floats, log_tie: Floats) -> tuple[Floats, Floats, Floats]:
    """P(chosen), P(other chosen), P(equal) at differences of log strengths (..., S, S)."""
    tie = np.broadcast_to(log_tie[..., None, None], gap.shape)
    highest = np.maximum(np.abs(gap) / 2, tie)
    parts = [np.exp(part - highest) for part in (gap / 2, -gap / 2, tie)]
    total = parts[0] + parts[1] + parts[2]
    return parts[0] / total, parts[1] / total, parts[2] / total


def _log_likelihood(theta: Floats, log_tie: Floats, won: Floats, tied: Floats) -> Floats:
    gap = theta[:, :, None] - theta[:, None, :]
    tie = np.broadcast_to(log_tie[:, None, None], gap.shape)
    spread = np.logaddexp(np.logaddexp(gap / 2, -gap / 2), tie)
    of_ties = tied * np.where(tied > 0, tie, 0.0) / 2
    found: Floats = (won * gap / 2 + of_ties - (won + tied / 2) * spread).sum(axis=(1, 2))
    return found


def _newton(won: Floats, tied: Floats) -> tuple[Floats, Floats]:
    """Log strengths (studies, S) and tie parameters (studies,) at the maximum of the likelihood."""
    total = won.sum(axis=(1, 2)) + tied.sum(axis=(1, 2)) / 2
    won, tied = won / total[:, None, None], tied / total[:, None, None]
    of_ties = tied.sum(axis=(1, 2)) / 2
    theta = np.zeros(won.shape[:2])
    with np.errstate(divide="ignore"):
        log_tie = np.log(2 * of_ties / (1 - of_ties))
    active = np.arange(len(won))
    reached = _log_likelihood(theta, log_tie, won, tied)
    for _ in range(_STEPS):
        if not active.size:
            break
        w, t = won[active], tied[active]
        step, slope = _step(theta[active], log_tie[active], w, t)
        length = np.ones(len(active))
        for _ in range(_HALVINGS):
            new_theta = theta[active] + length[:, None] * step[:, :-1]
            new_tie = log_tie[active] + length * step[:, -1]
            now = _log_likelihood(new_theta, new_tie, w, t)
            lower = now < reached[active] - 1e-13
            if not lower.any():
                break
            length = np.where(lower, length / 2, length)
        theta[active], log_tie[active], reached[active] = new_theta, new_tie, now
        active = active[slope > _TOLERANCE]
    return theta - theta.mean(axis=1, keepdims=True), np.exp(log_tie)


def _step(theta: Floats, log_tie: Floats, won: Floats, tied: Floats) -> tuple[Floats, Floats]:
    """Newton's step (studies, S + 1), the tie's logarithm last, and its squared length in the
    metric of the curvature, twice what the likelihood will rise by."""
    count = won + _turned(won) + tied
    chosen, other, equal = _chances(theta[:, :, None] - theta[:, None, :], log_tie)
    lead = (chosen - other) / 2
    spread = count * ((chosen + other) / 4 - lead**2)
    systems = theta.shape[1]
    curve = np.zeros((len(theta), systems + 1, systems + 1))
    curve[:, :-1, :-1] = -spread
    places = np.arange(systems)
    curve[:, places, places] += spread.sum(axis=2)
    curve[:, :-1, :-1] += 1 / systems  # along equal shifts of all, where nothing depends on it
    cross = -(count * lead * equal).sum(axis=2)
    curve[:, :-1, -1] = curve[:, -1, :-1] = cross
    has_ties = np.isfinite(log_tie)
    curve[:, -1, -1] = np.where(has_ties, (count * equal * (1 - equal)).sum(axis=(1, 2)) / 2, 1.0)
    rise = np.zeros((len(theta), systems + 1))
    rise[:, :-1] = ((won - _turned(won)) / 2 - count * lead).sum(axis=2)
    rise[:, -1] = np.where(has_ties, (tied - count * equal).sum(axis=(1, 2)) / 2, 0.0)
    step: Floats = np.linalg.solve(curve, rise[:, :, None])[:, :, 0]
    return step, np.einsum("ns,ns->n", step, rise)
