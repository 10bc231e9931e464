from __future__ import annotations

import math

import numpy as np
import pytest

from humanclap.records import Score, Target

SIGNATURE = (
    "humanclap:0.1.0|model:mini@3f9a1c2d|rate:32000|window:10s|hop:10s|"
    "fill:repeat|pool:mean|precision:fp32"
)


@pytest.fixture
def targets():
    """24 rated pairs of 12 captions: a natural clip and one of two systems for each."""
    rng = np.random.default_rng(0)
    found = []
    for i in range(24):
        system = "natural" if i % 2 == 0 else ("tango" if i % 4 == 1 else "audioldm")
        mos = round(float(rng.uniform(0, 10)), 1)
        found.append(
            Target(
                audio=f"{system}/{i}.wav",
                text=f"sound {i // 2}",
                target=mos / 10,
                mos=mos,
                n=4,
                standard_error=0.5,
                system=system,
                subset="natural" if system == "natural" else "synthetic",
            )
        )
    return found


@pytest.fixture
def anchors():
    """Six deliberately mismatched pairs."""
    return [
        Target(audio=f"anchor/{i}.wav", text=f"sound {i}", target=0.05, mos=0.5, n=4, kind="anchor")
        for i in range(6)
    ]


@pytest.fixture
def scores_of():
    """Scores near the human side of given targets, in reverse order."""

    def make(targets, *, noise=0.2, seed=1, rating=False, signature=SIGNATURE):
        rng = np.random.default_rng(seed)
        found = []
        for target in targets:
            score = float(np.clip(target.target / 2 + noise * rng.normal(), -1, 1))
            found.append(
                Score(
                    audio=target.audio,
                    text=target.text,
                    score=score,
                    rating=max(0.0, 10 * score) if rating else math.nan,
                    signature=signature,
                )
            )
        return found[::-1]

    return make


@pytest.fixture(autouse=True)
def fixed_date(monkeypatch):
    """Reports of one date, however long a test takes."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
