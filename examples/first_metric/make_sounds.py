"""Make the sounds of the tutorial: clips of four invented systems, and what bots hear in them.

    python make_sounds.py

`clips/` holds a clip of 4 s of each system for each of 48 texts. `pairs.csv` names the clips of 24
texts with their text and system; they are for the listening test. `truth.csv` says how much of the
text each of these clips holds, from 0 to 1; bots that rehearse the test answer by it. `ratings.csv`
holds SIMULATED ratings of the same clips, 8 each. `nightly.csv` names the clips of two systems for
the other 24 texts. No person heard any of these sounds.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from humanclap.demo.panel import make_pairs, simulate_ratings
from humanclap.ratings.plain import write_plain
from humanclap.tables import write_rows

TEXTS = 24
COLUMNS = ("audio", "text", "system")
NIGHTLY = {"middling": "release", "careful": "nightly"}
"""Invented system -> what it is called in the table of the gate."""


def main(folder: Path) -> None:
    """Write clips and tables below `folder`; always the same."""
    generator = np.random.default_rng(0)
    made = make_pairs(folder / "clips", n_scenes=2 * TEXTS, generator=generator)
    pairs = [one.pair for one in made]
    heard = len(pairs) // 2
    rows = [{"audio": pair.audio, "text": pair.text, "system": pair.system} for pair in pairs]
    write_rows(folder / "pairs.csv", COLUMNS, rows[:heard])
    truth = [
        {"audio": one.pair.audio, "text": one.pair.text, "relevance": round(one.relevance, 3)}
        for one in made[:heard]
    ]
    write_rows(folder / "truth.csv", ("audio", "text", "relevance"), truth)
    ratings = simulate_ratings(made[:heard], ratings_per_pair=8, generator=generator)
    write_plain(folder / "ratings.csv", ratings)
    nightly = [row | {"system": NIGHTLY[row["system"]]} for row in rows[heard:]
               if row["system"] in NIGHTLY]  # fmt: skip
    write_rows(folder / "nightly.csv", COLUMNS, nightly)


if __name__ == "__main__":
    main(Path())
