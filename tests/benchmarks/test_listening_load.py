"""A small run of the load benchmark: listeners at once, and a server that is killed."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra listen)")

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_a_killed_server_loses_and_doubles_no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from listening_load import measure

    settings = argparse.Namespace(
        trial="clips", listeners=8, pairs=20, ratings=4, session=10, kills=1, think_s=0.05
    )
    seen = measure(settings)
    assert seen["kills"] == 1
    assert seen["answers_in_database"] == seen["answers_acknowledged"] == 80
    assert (seen["acknowledged_but_lost"], seen["doubled"]) == (0, 0)
    assert seen["quotas_exact"]
    assert seen["sides_balanced"]
    assert seen["database_integrity"] == "ok"
