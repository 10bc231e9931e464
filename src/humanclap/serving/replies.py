"""What the service answers, as its OpenAPI has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel

from humanclap.scoring.rows import row_of
from humanclap.scoring.scorer import HumanCLAP
from humanclap.serving.batching import BatchReply
from humanclap.serving.bodies import FORMS
from humanclap.serving.packed import FIELDS
from humanclap.serving.settings import ServiceSettings
from humanclap.version import __version__


class PairReply(BaseModel):
    """One pair: the fields of a row that `humanclap score` writes; null where undefined.

    fault: what of the pair its `error` is about.
    """

    audio: str
    text: str
    score: float | None
    rating: float | None
    rating_error: float | None
    rating_covers: str | None
    met: str | None
    text_cut: int | None
    text_unread: float | None
    note: str | None
    error: str | None
    fault: Literal["audio", "text"] | None


class ScoreReply(BaseModel):
    """The pairs in their order; detail: why none of them has a score."""

    signature: str
    pairs: list[PairReply]
    detail: str | None = None


class Refused(BaseModel):
    """Why a request is not served."""

    detail: str


class ModelReply(BaseModel):
    """What scores are made of, and what the service takes."""

    signature: str
    version: str
    sample_rate: int
    window_s: float
    calibration: dict[str, Any] | None
    forms: list[str]
    limits: dict[str, float]


_LIMITS = ("pairs", "audio_s", "clip_s", "text_characters", "timeout_s")


def score_reply(signature: str, answers: Sequence[BatchReply]) -> tuple[int, dict[str, Any]]:
    """Status and `ScoreReply`, ready for JSON: 422 where no pair has a score."""
    rows = [row_of(answer.score) | {"fault": answer.fault} for answer in answers]
    pairs = [{name: row[name] for name in (*FIELDS, "fault")} for row in rows]
    reply: dict[str, Any] = {"signature": signature, "pairs": pairs}
    first = answers[0].score
    if all(answer.score.error is not None for answer in answers):
        return 422, {**reply, "detail": f"{first.audio} | {first.text:.80}: {first.error}"}
    return 200, reply


def model_reply(scorer: HumanCLAP, settings: ServiceSettings) -> dict[str, Any]:
    """A `ModelReply`, ready for JSON."""
    fitted = scorer.calibration
    return {
        "signature": scorer.signature,
        "version": __version__,
        "sample_rate": scorer.backbone.sample_rate,
        "window_s": scorer.backbone.window_s,
        "calibration": fitted
        and {
            "low": fitted.low,
            "high": fitted.high,
            "fitted_on": fitted.fitted_on,
            "n": fitted.n,
            "covers": list(fitted.covers),
            "guess": fitted.guess,
        },
        "forms": list(FORMS),
        "limits": {
            "body_bytes": settings.most_body,
            **{name: getattr(settings, name) for name in _LIMITS},
        },
    }
