"""The trial page, and what its script asks for: answers in, clips out."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, Response
from sqlalchemy import Connection

from humanclap.errors import AudioError, InputError
from humanclap.listening.design import headphones
from humanclap.listening.design.clips import FORMS, MEDIA_TYPES
from humanclap.listening.design.comparisons import EQUAL, A, B
from humanclap.listening.design.design import StudyDesign
from humanclap.listening.study.answers import Answer, last_answer, store_answer
from humanclap.listening.study.database import row, rows
from humanclap.listening.study.failed_clips import report_failure
from humanclap.listening.study.loudness import reference_levels
from humanclap.listening.study.session_trials import skip_trial
from humanclap.listening.study.sessions import Session
from humanclap.listening.web.context import Context
from humanclap.listening.web.listener import try_seed
from humanclap.listening.web.routes import DatabaseRoute

CLIPS_AHEAD = 14
"""Clips the page loads before their turn, so that a lost connection does not stop a listener."""
CSRF_HEADER = "x-csrf-token"
_STATUS = {"stored": 201, "revised": 201, "repeated": 200, "conflict": 409, "unknown": 404}
_FIELDS: dict[str, tuple[type, ...]] = {
    "answer_id": (str,),
    "trial_id": (str,),
    "values": (dict,),
    "play_count": (int,),
    "heard_to_end": (bool,),
    "trial_s": (int, float),
    "waited_s": (int, float),
}
_OPTIONAL: dict[str, tuple[type, ...]] = {"revises": (str,), "play_count_second": (int,)}


def parse_answer(body: bytes) -> Answer:
    """The answer in a request's body.

    Raises 400 where it is not a JSON object, 422 where a field is missing, unknown or wrong.
    """
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "not JSON") from error
    if not isinstance(given, dict):
        raise HTTPException(400, "not a JSON object")
    if given.keys() - _OPTIONAL.keys() != _FIELDS.keys():
        raise HTTPException(
            422,
            f"expected {', '.join(_FIELDS)}; to revise, revises; of two sounds, play_count_second",
        )
    for name, kinds in (_FIELDS | _OPTIONAL).items():
        if name in given and type(given[name]) not in kinds:
            raise HTTPException(422, f"{name} is of the wrong type")
    values: dict[str, Any] = given["values"]
    if any(type(value) not in (int, float, str) for value in values.values()):
        raise HTTPException(422, "a value is neither a number nor a text")
    if not all(map(_storable, (*values, *values.values()))):
        raise HTTPException(422, "a text holds what is no character")
    try:
        return Answer(**given)
    except InputError as error:
        raise HTTPException(422, str(error)) from error


def _storable(value: object) -> bool:
    """Whether a text can be kept by every database: no null character, no half of a pair."""
    return not isinstance(value, str) or not re.search("[\0\ud800-\udfff]", value)


class TrialPages:
    """Routes of the trial page and of its script."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._study = context.study
        self._lock = threading.Lock()
        self._noise: bytes | None = None

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(route_class=DatabaseRoute)
        router.add_api_route("/trial", self.trial, methods=["GET"])
        router.add_api_route("/answers", self.answers, methods=["POST"])
        router.add_api_route("/clip/{name}", self.clip, methods=["GET"])
        router.add_api_route("/check/noise.wav", self.noise, methods=["GET"])
        router.add_api_route("/check/{number}-{place}.wav", self.tone, methods=["GET"])
        return router

    def trial(self, request: Request) -> Response:
        """The page of all trials still open; the script shows one at a time."""
        session = self._context.session(request)
        if session is None:
            return self._context.redirect("/")
        if session.excluded:
            return self._context.last_message("ended", request, session)
        state = self._study.state()
        if state != "open":
            return self._context.last_message(state, request, session)
        with self._study.database.read() as connection:
            found = rows(
                connection,
                "SELECT trial_id, kind, text, text_b, swapped, state FROM trials "
                "WHERE session_id = :id AND state <> 'released' ORDER BY number",
                id=session.session_id,
            )
            last = _last_given(connection, session.session_id)
        if session.state != "active" or not any(item["state"] == "open" for item in found):
            return self._context.redirect("/go")
        return self._context.page("trial.html", plan=self._plan(request, session, found, last))

    def _plan(
        self,
        request: Request,
        session: Session,
        found: list[dict[str, Any]],
        last: dict[str, Any] | None,
    ) -> dict[str, Any]:
        """What the page's script needs. It learns of a trial's kind only whether it is practice.

        last: the answer that may still be revised, as `_last_given` reads it.
        """
        design = self._study.design
        trials = {
            item["trial_id"]: _shown_trial(item, number, design)
            for number, item in enumerate(found, start=1)
        }
        return {
            "queue": self._context.queue(session),
            "csrf": self._context.session_csrf(request),
            "answers_url": self._context.url("/answers"),
            "clip_url": self._context.url("/clip/"),
            "next_url": self._context.url("/go"),
            "noise_url": self._context.url("/check/noise.wav"),
            "total": len(found),
            "must_play_to_end": design.session.must_play_to_end,
            "clips_ahead": CLIPS_AHEAD * design.n_sounds,
            "keys": _answer_keys(design),
            "questions": [
                {"id": q.id, "rated": q.rated, "required": q.required} for q in design.questions
            ],
            "wording": {name: design.wording[name] for name in _SCRIPT_WORDING},
            "trials": [trials[item["trial_id"]] for item in found if item["state"] == "open"],
            "last": last and {**last, **trials[last["trial_id"]]},
        }

    async def answers(self, request: Request) -> Response:
        """Store or revise one answer; 201 stored now, 200 before, 409 another answer stands."""
        body = await request.body()
        return await run_in_threadpool(self._store, request, body)

    def _store(self, request: Request, body: bytes) -> Response:
        session = self._context.required_session(request)
        self._context.check_session_csrf(request, request.headers.get(CSRF_HEADER, ""))
        answer = parse_answer(body)
        try:
            outcome = store_answer(self._study, session, answer)
        except InputError as error:
            raise HTTPException(422, str(error)) from error
        content = {"outcome": outcome, "over": session.excluded}
        return JSONResponse(content, status_code=_STATUS[outcome])

    def clip(self, request: Request, name: str) -> Response:
        """A sound of one of the session's own trials, as FLAC or WAV.

        Where a trial has two clips, `TRIAL.a.flac` is the one at A and `TRIAL.b.flac` the one at B.
        410 where the clip cannot be given: it cannot be decoded (this is reported, and the trial
        given back), or its listener was excluded. The page then goes on to the next sound.
        """
        sound, _, form = name.rpartition(".")
        trial_id, _, place = sound.partition(".")
        if form not in FORMS:
            raise HTTPException(404)
        session = self._context.required_session(request)
        if session.excluded:
            raise HTTPException(410, "this session has ended")
        audio = self._audio(session, trial_id, place)
        try:
            path = self._context.clips.path(audio, form)  # type: ignore[arg-type]
        except AudioError as error:
            report_failure(self._study, audio, error.reason)
            with self._study.database.write() as connection:
                skip_trial(connection, session, trial_id)
            raise HTTPException(410, "the sound cannot be played and is left out") from error
        return _sound_file(path, MEDIA_TYPES[form], f"{trial_id}{place}")

    def _audio(self, session: Session, trial_id: str, place: str) -> str:
        """The clip at a place of a trial; raises 404 where the session has none there."""
        with self._study.database.read() as connection:
            found = row(
                connection,
                "SELECT p.audio, p.audio_b, t.swapped FROM trials t "
                "JOIN stimuli p ON p.stimulus_id = t.stimulus_id "
                "WHERE t.trial_id = :trial AND t.session_id = :session",
                trial=trial_id,
                session=session.session_id,
            )
        places = ("a", "b") if self._study.design.n_sounds == 2 else ("",)
        if found is None or place not in places:
            raise HTTPException(404)
        second = (place == "b") != bool(found["swapped"]) and place != ""
        return str(found["audio_b" if second else "audio"])

    def noise(self, request: Request) -> Response:
        """The noise that the volume is set by, as loud as the study's sounds are."""
        self._context.required_session(request)
        with self._lock:
            if self._noise is None:
                levels = reference_levels(self._study)
                self._noise = headphones.volume_noise(levels)
        return Response(self._noise, media_type="audio/wav")

    def tone(self, request: Request, number: int, place: int) -> Response:
        """One tone of the headphone check, by its row and place in the session's present try."""
        order = headphones.rows_of(try_seed(self._context.required_session(request)))
        if not (0 <= number < len(order) and 0 <= place < len(order[0])):
            raise HTTPException(404)
        return Response(headphones.tone(order[number][place]), media_type="audio/wav")


_SCRIPT_WORDING = (
    "play", "play_again", "play_on", "pause", "playing", "loading", "sound_failed",
    "listen_first", "rate_now", "trial_of", "saved", "saving", "offline", "sending_rest",
    "refused", "answer_all", "next", "finish", "last_final", "not_heard", "not_answered",
    "answers_missing", "position_at", "seek_heard", "volume_noise",
)  # fmt: skip


def _shown_trial(item: Mapping[str, Any], number: int, design: StudyDesign) -> dict[str, Any]:
    """A trial as its page shows it: addresses of its sounds and its texts, in the order drawn."""
    trial_id, texts = item["trial_id"], [item["text"]]
    if design.between == "texts":
        texts.append(item["text_b"])
        texts = texts[::-1] if item["swapped"] else texts
    places = (".a", ".b") if design.n_sounds == 2 else ("",)
    return {
        "trial_id": trial_id,
        "number": number,
        "texts": texts,
        "sounds": [f"{trial_id}{place}" for place in places],
        "practice": item["kind"] == "practice",
    }


def _answer_keys(design: StudyDesign) -> dict[str, str]:
    """Keys that answer, beside digits: key -> value of its button."""
    if design.between is None:
        return {}
    keys = {"a": A, "b": B, "=": EQUAL}
    return {key: f"{value:g}" for key, value in keys.items() if value in design.scale.choices}


def _last_given(connection: Connection, session_id: str) -> dict[str, Any] | None:
    """The answer a listener may go back to, with its values; None where there is none."""
    last = last_answer(connection, session_id)
    if last is None:
        return None
    values = rows(
        connection,
        "SELECT question, score, comment FROM given_values WHERE answer_id = :id",
        id=last["answer_id"],
    )
    answers = {v["question"]: v["comment"] if v["score"] is None else v["score"] for v in values}
    return {**last, "values": answers}


def _sound_file(path: Path, media_type: str, trial_id: str) -> FileResponse:
    """A file, in parts where asked; nothing in its headers tells when or what it was."""
    return FileResponse(
        path,
        media_type=media_type,
        headers={
            "etag": f'"{trial_id}"',
            "last-modified": "Thu, 01 Jan 1970 00:00:00 GMT",
            "cache-control": "private, max-age=86400",
        },
    )
