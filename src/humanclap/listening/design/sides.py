"""Which side of a comparison stands first on the page: drawn by the seed, and balanced. Pure."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from humanclap.listening.design.assignment import Stimulus, Trial
from humanclap.listening.design.comparisons import score_of

Shown = Mapping[tuple[str, bool], int]
"""(stimulus_id, swapped) -> trials that show it so."""


def draw_sides(
    trials: Sequence[Trial],
    stimuli: Sequence[Stimulus],
    held: Shown,
    ever: Shown,
    generator: random.Random,
) -> list[Trial]:
    """The trials of a session, each with its side and the button that is right.

    held: trials answered or promised; ever: also those that were given back. In trials that count,
    the side comes first that has come first less often: in the held trials of the comparison, then
    in all its trials ever. Among equals, it is the side of the system that has come first less
    often among its pair of systems; then chance decides. Anchors, checks and practice alternate
    within the session. A repeat has its sides swapped.
    """
    balance = _Balance(stimuli, held, ever)
    swapped: dict[str, bool] = {}
    drawn = []
    turn: dict[str, bool] = {}
    for trial in trials:
        stimulus = trial.stimulus
        if trial.kind == "rating":
            swap = balance.draw(stimulus, generator)
            swapped[stimulus.stimulus_id] = swap
        elif trial.kind == "repeat":
            swap = not swapped[stimulus.stimulus_id]
        else:
            swap = turn.setdefault(trial.kind, generator.random() < 0.5)
            turn[trial.kind] = not swap
        expected = trial.expected
        if trial.kind == "anchor" and stimulus.expected is not None:
            expected = score_of(stimulus.expected, swapped=swap)
        drawn.append(replace(trial, swapped=swap, expected=expected))
    return drawn


class _Balance:
    """How often each side of each comparison, and each system of a pair, has stood first."""

    def __init__(self, stimuli: Sequence[Stimulus], held: Shown, ever: Shown) -> None:
        self._held, self._ever = Counter(dict(held)), Counter(dict(ever))
        self._leads: Counter[str | None] = Counter()
        known = {stimulus.stimulus_id: stimulus for stimulus in stimuli}
        for (stimulus_id, swap), n in held.items():
            if stimulus_id in known:
                self._count_system(known[stimulus_id], swap, n)

    def draw(self, stimulus: Stimulus, generator: random.Random) -> bool:
        """Whether to swap the sides; counted at once."""
        key = stimulus.stimulus_id
        leaning = (
            self._held[key, True] - self._held[key, False]
            or self._ever[key, True] - self._ever[key, False]
            or _sign(stimulus, swap=True) * self._leads[stimulus.group]
        )
        swap = leaning < 0 if leaning else generator.random() < 0.5
        self._held[key, swap] += 1
        self._ever[key, swap] += 1
        self._count_system(stimulus, swap, 1)
        return swap

    def _count_system(self, stimulus: Stimulus, swap: bool, n: int) -> None:
        self._leads[stimulus.group] += n * _sign(stimulus, swap=swap)


def _sign(stimulus: Stimulus, *, swap: bool) -> int:
    """1 where the pair's first system by name would stand first on the page, else -1."""
    in_order = (stimulus.system or "") <= (stimulus.system_b or "")
    return 1 if in_order != swap else -1
