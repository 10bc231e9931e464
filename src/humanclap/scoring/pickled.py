"""Pickling of a scorer: a packaged model travels by its name, and is loaded where it arrives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from humanclap.errors import CheckpointError
from humanclap.scoring.settings import ScoringSettings


@dataclass(frozen=True, slots=True)
class Origin:
    """How a packaged model was loaded, and the fingerprint it had."""

    model: str
    fingerprint: str
    mn04: str | Path | None = None
    offline: bool = False


def reloaded(kind: Any, origin: Origin, settings: ScoringSettings) -> Any:
    """A scorer of a class (`HumanCLAP`), loaded again; CheckpointError for another model."""
    scorer = kind.from_pretrained(
        origin.model, settings=settings, mn04=origin.mn04, offline=origin.offline
    )
    found = scorer.backbone.fingerprint()
    if found != origin.fingerprint:
        raise CheckpointError(
            f"pickled with {origin.model}@{origin.fingerprint}, and this humanclap has "
            f"{origin.model}@{found}; install the same version in both places"
        )
    return scorer
