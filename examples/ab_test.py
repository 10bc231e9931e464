"""Make up what an A/B test of three generators needs: clips, comparisons, and what bots hear.

    python examples/ab_test.py ab/

Three invented systems make mistakes, some more than others: they replace a sound that the prompt
names, exchange two sounds, or add noise. Each makes a clip of 4 s for each of 100 prompts.
`ab/clips/` holds the clips, `ab/comparisons.csv` every two of them for one prompt, and
`ab/pairs.csv` every clip with its prompt. `ab/truth.csv` says how strongly a simulated listener
prefers a clip (natural logarithm of the odds). No person heard any of it.
"""

from __future__ import annotations

import sys
from itertools import combinations, groupby
from pathlib import Path

import numpy as np

from humanclap.demo.panel import MadePair, make_pairs
from humanclap.tables import write_rows

PROMPTS, STEEPNESS = 100, 3.0
"""Prompts; log odds of a clip that holds all of its prompt against one that holds none of it."""


def comparisons(made: list[MadePair]) -> list[dict[str, str | None]]:
    """Every two systems' clips for each prompt; `made` stands prompt by prompt."""
    return [
        {
            "text": text,
            "audio_a": a.pair.audio,
            "audio_b": b.pair.audio,
            "system_a": a.pair.system,
            "system_b": b.pair.system,
        }
        for text, of_prompt in groupby(made, key=lambda one: one.pair.text)
        for a, b in combinations(of_prompt, 2)
    ]


def main(folder: Path) -> None:
    """Write clips and tables below `folder`; always the same."""
    every = make_pairs(folder / "clips", n_scenes=PROMPTS, generator=np.random.default_rng(0))
    made = [one for one in every if one.pair.system != "reference"]
    questions = comparisons(made)
    write_rows(folder / "comparisons.csv", list(questions[0]), questions)
    write_rows(
        folder / "pairs.csv",
        ("audio", "text", "system"),
        (
            {"audio": one.pair.audio, "text": one.pair.text, "system": one.pair.system}
            for one in made
        ),
    )
    write_rows(
        folder / "truth.csv",
        ("audio", "text", "strength"),
        (
            {
                "audio": one.pair.audio,
                "text": one.pair.text,
                "strength": round(STEEPNESS * one.relevance, 3),
            }
            for one in made
        ),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
