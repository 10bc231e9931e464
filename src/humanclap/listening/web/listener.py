"""The listener's pages but the trials: welcome, about you, sound check, thanks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from humanclap.errors import InputError
from humanclap.listening.design import headphones
from humanclap.listening.study.database import row
from humanclap.listening.study.failed_clips import forget_mended
from humanclap.listening.study.rate_limits import SharedLimit
from humanclap.listening.study.session_length import SessionLength, session_length
from humanclap.listening.study.session_start import (
    Recruit,
    SessionElsewhereError,
    start_session,
    submission_of,
)
from humanclap.listening.study.session_trials import (
    StudyFullError,
    begin_session,
    has_room,
    return_to_session,
)
from humanclap.listening.study.sessions import (
    MAX_HEADPHONE_TRIES,
    Session,
    attributes_of,
    open_trials,
    record_headphones,
    store_attributes,
)
from humanclap.listening.web.context import FORM_COOKIE, SESSION_COOKIE, Context, read_form
from humanclap.listening.web.guard import client_of
from humanclap.listening.web.recruits import MTURK_PREVIEW, recruit_of, site_fields
from humanclap.listening.web.routes import DatabaseRoute

_LENGTH_S = 60.0
"""How long the first page repeats what it says of the session's length."""
SIMULATED_HEADER = "x-humanclap-simulated"


class ListenerPages:
    """Routes of the listener; one object a served study."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._study = context.study
        starts = context.settings.starts_per_minute
        self._starts = SharedLimit(study=self._study, name="start", size=starts)
        keeps = self._study.design.session.first_answer_minutes
        self._begins = SharedLimit(
            study=self._study, name="begin", size=starts, minutes=max(keeps, 1.0)
        )
        self._length: tuple[float, SessionLength] | None = None

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(route_class=DatabaseRoute)
        get: dict[str, Any] = {"methods": ["GET"]}
        post: dict[str, Any] = {"methods": ["POST"]}
        router.add_api_route("/", self.welcome, **get)
        router.add_api_route("/start", self.start, **post)
        router.add_api_route("/go", self.go, **get)
        for path in ("/about", "/after"):
            router.add_api_route(path, self.questions, **get)
            router.add_api_route(path, self.store_questions, **post)
        router.add_api_route("/sound", self.sound, **get)
        router.add_api_route("/sound", self.store_sound, **post)
        router.add_api_route("/done", self.done, **get)
        return router

    # -- in ---------------------------------------------------------------------------------

    def welcome(self, request: Request) -> Response:
        """Title, what to expect, consent; a listener with a session goes on where they were."""
        recruit = recruit_of(request.query_params)
        if self._goes_on(request, recruit):
            return self._context.redirect("/go")
        state = self._study.state()
        if state != "open":
            return self._context.message(state)
        if not self._has_room(simulated=SIMULATED_HEADER in request.headers):
            return self._context.message("full")
        fields = site_fields(request.query_params)
        cookie = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(24)
        response = self._context.page(
            "welcome.html",
            csrf=self._study.sign("form", cookie),
            fields=fields,
            preview=fields.get("assignmentId") == MTURK_PREVIEW,
            facts=self._facts(),
        )
        self._context.set_cookie(response, FORM_COOKIE, cookie, strict=False)
        return response

    def _facts(self) -> list[tuple[str, str]]:
        """What a listener must know before agreeing: label and text of each."""
        design, length = self._study.design, self._session_length()
        t = design.wording
        sounds = t["sounds_practice" if length.practice else "sounds"]
        facts = [
            ("first_sounds", sounds.format(sounds=length.sounds, practice=length.practice)),
            ("first_minutes", t["minutes"].format(minutes=length.minutes)),
            ("first_pay", design.pay),
            ("first_contact", design.contact),
        ]
        if design.session.headphone_check == "require":
            facts.insert(2, ("first_needs", t["needs_headphones"]))
        return [(t[label], text) for label, text in facts if text]

    def _session_length(self) -> SessionLength:
        if self._length is None or time.monotonic() - self._length[0] > _LENGTH_S:
            with self._study.database.read() as connection:
                length = session_length(connection, self._study.design)
            self._length = (time.monotonic(), length)
        return self._length[1]

    def _has_room(self, *, simulated: bool) -> bool:
        def room() -> bool:
            with self._study.database.read() as connection:
                return has_room(connection, simulated=simulated)

        return room() or (forget_mended(self._study) > 0 and room())

    def _goes_on(self, request: Request, recruit: Recruit | None) -> bool:
        """Whether the browser's session is the one these parameters ask for."""
        session = self._context.session(request)
        if session is None or recruit is None:
            return session is not None
        with self._study.database.read() as connection:
            found = row(
                connection,
                "SELECT site, worker FROM recruitment WHERE listener_id = :id",
                id=session.listener_id,
            )
            submission = submission_of(connection, session.session_id)
        if found != {"site": recruit.site, "worker": recruit.worker}:
            return False
        another = recruit.submission not in ("", submission)
        several = self._study.design.session.per_listener > 1
        return not (several and another and session.state == "finished")

    async def start(self, request: Request) -> Response:
        """Consent given: make the session."""
        form = await read_form(request)
        cookie = request.cookies.get(FORM_COOKIE, "")
        if not cookie or not self._context.signed(form.get("csrf", ""), "form", cookie):
            raise HTTPException(403, "this form is not from this page")
        if form.get("agree") != "yes":
            raise HTTPException(422, "consent is needed")
        simulated = SIMULATED_HEADER in request.headers
        if simulated and not self._context.settings.allow_simulated:
            raise HTTPException(403, "this server does not take simulated listeners")
        recruit = recruit_of(form)
        return await run_in_threadpool(self._start, request, recruit, simulated)

    def _start(self, request: Request, recruit: Recruit | None, simulated: bool) -> Response:
        if self._goes_on(request, recruit):
            return self._context.redirect("/go")
        self._check_limit(self._starts, request)
        try:
            token, _ = start_session(
                self._study,
                recruit=recruit,
                simulated=simulated,
                token=self._token(request, recruit),
            )
        except StudyFullError:
            return self._context.message("full")
        except SessionElsewhereError:
            return self._context.message("elsewhere")
        except InputError:
            state = self._study.state()
            return self._context.message("ended" if state == "open" else state)
        response = self._context.redirect("/go")
        self._context.set_cookie(response, SESSION_COOKIE, token, strict=False)
        return response

    def _token(self, request: Request, recruit: Recruit | None) -> str:
        """The browser's token: consent given twice in it, by whatever tab, is one session.

        Another worker, or another submission of the same, in the same browser has another token.
        """
        who = () if recruit is None else (recruit.site, recruit.worker, recruit.submission)
        return self._study.sign("session", request.cookies[FORM_COOKIE], *who)

    def _check_limit(self, limit: SharedLimit, request: Request) -> None:
        if not limit.allows(client_of(request.scope)):
            raise HTTPException(
                429,
                "too many listeners at once from this address; please reload in a minute",
                {"Retry-After": "60"},
            )

    def go(self, request: Request) -> Response:
        """On to whatever comes next for this session."""
        session = self._context.session(request)
        if session is None:
            return self._context.redirect("/")
        if session.excluded:
            return self._context.last_message("ended", request, session)
        try:
            place = self._next(request, session)
        except StudyFullError:
            return self._context.last_message("full", request, session)
        return self._context.message("unheard") if place is None else self._context.redirect(place)

    def _next(self, request: Request, session: Session) -> str | None:
        """The address of the next page; None where no sound of the session can be played."""
        if session.state == "preparing":
            if self._unanswered(session, "before"):
                return "/about"
            design = self._study.design.session
            if design.volume_check or design.headphone_check != "off":
                return "/sound"
            session = self._begin(request, session)
        elif session.state == "expired":
            self._check_begins(request, session)
        session = return_to_session(self._study, session)
        if session.state == "active":
            with self._study.database.read() as connection:
                return "/trial" if open_trials(connection, session.session_id) else None
        return "/after" if self._asks_after(session) else "/done"

    def _begin(self, request: Request, session: Session) -> Session:
        self._check_begins(request, session)
        return begin_session(self._study, session)

    def _check_begins(self, request: Request, session: Session) -> None:
        """An address may have pairs promised to so many sessions; bots take no people's pairs."""
        if not session.simulated:
            self._check_limit(self._begins, request)

    def _asks_after(self, session: Session) -> bool:
        return session.state == "finished" and self._unanswered(session, "after")

    def _unanswered(self, session: Session, when: str) -> bool:
        with self._study.database.read() as connection:
            given = attributes_of(connection, session.listener_id)
        return any(question.id not in given for question in self._study.design.asked(when))

    # -- questions about the listener -------------------------------------------------------

    def questions(self, request: Request) -> Response:
        """Questions before the first sound (/about) or after the last one (/after)."""
        session, when = self._context.required_session(request), _when(request)
        if session.excluded:
            return self._context.last_message("ended", request, session)
        return self._context.page(
            "about.html",
            when=when,
            questions=self._study.design.asked(when),
            csrf=self._context.session_csrf(request),
        )

    async def store_questions(self, request: Request) -> RedirectResponse:
        """Keep the answers to them."""
        form, when = await read_form(request), _when(request)
        self._context.check_session_csrf(request, form.pop("csrf", ""))
        asked = {question.id: question for question in self._study.design.asked(when)}
        if form.keys() - asked.keys():
            raise HTTPException(422, "the study does not ask this")
        for question in asked.values():
            if not question.accepts(form.get(question.id, "").strip()):
                raise HTTPException(422, f"please answer: {question.prompt}")
        given = {name: form.get(name, "").strip() for name in asked}
        await run_in_threadpool(self._keep, request, given)
        return self._context.redirect("/go")

    def _keep(self, request: Request, given: Mapping[str, str]) -> None:
        session = self._context.required_session(request)
        with self._study.database.write() as connection:
            store_attributes(connection, session.listener_id, given)

    # -- sound ------------------------------------------------------------------------------

    def sound(self, request: Request) -> Response:
        """Volume check and headphone check."""
        session = self._context.required_session(request)
        if session.state != "preparing" or session.excluded:
            return self._context.redirect("/go")
        return self._sound_page(request, session)

    def _sound_page(self, request: Request, session: Session) -> HTMLResponse:
        check = self._study.design.session.headphone_check != "off"
        return self._context.page(
            "sound.html",
            csrf=self._context.session_csrf(request),
            rows=headphones.ROWS if check else 0,
            failed=session.headphone_tries > 0,
            number=session.headphone_tries,
        )

    async def store_sound(self, request: Request) -> Response:
        """The sound is checked: give the session its trials."""
        form = await read_form(request)
        self._context.check_session_csrf(request, form.get("csrf", ""))
        return await run_in_threadpool(self._store_sound, request, form)

    def _store_sound(self, request: Request, form: Mapping[str, str]) -> Response:
        session = self._context.required_session(request)
        if session.excluded:
            return self._context.redirect("/go")
        design = self._study.design.session
        if design.volume_check and form.get("volume") != "yes":
            raise HTTPException(422, "please play the noise and set the volume")
        if session.state == "preparing" and design.headphone_check != "off":
            if form.get("try", str(session.headphone_tries)) != str(session.headphone_tries):
                return self._sound_page(request, session)  # a double click: that try is over
            n = headphones.n_right(try_seed(session), _row_answers(form))
            passed = n >= headphones.PASS_AT
            session = record_headphones(self._study, session, n, passed=passed)
            again = session.headphone_tries < MAX_HEADPHONE_TRIES
            if not passed and design.headphone_check == "require" and again:
                return self._sound_page(request, session)
        if session.state == "preparing":
            try:
                self._begin(request, session)
            except StudyFullError:
                return self._context.message("full")
        return self._context.redirect("/go")

    def done(self, request: Request) -> Response:
        """Thanks and the completion code, once everything is answered."""
        session = self._context.session(request)
        if session is None:
            return self._context.redirect("/")
        if session.excluded:
            return self._context.last_message("ended", request, session)
        if session.state == "screened_out":
            t = self._study.design.wording
            return self._context.page(
                "message.html", title=t["ended_title"], text=t["headphone_out"]
            )
        if session.state != "finished" or self._asks_after(session):
            return self._context.redirect("/go")
        link = self._study.design.completion.url.replace("{code}", session.completion_code)
        waiting = self._context.flush(request, session)
        return self._context.page(
            "done.html", code=session.completion_code, link=link, flush=waiting
        )


def _when(request: Request) -> Literal["before", "after"]:
    return "after" if request.url.path.endswith("/after") else "before"


def try_seed(session: Session) -> str:
    """The seed of a headphone check: each try has its tones in another order."""
    return f"{session.seed}:{session.headphone_tries}"


def _row_answers(form: Mapping[str, str]) -> list[int]:
    answers = [form.get(f"row{number}", "") for number in range(headphones.ROWS)]
    if any(answer not in ("0", "1", "2") for answer in answers):
        raise HTTPException(422, "every row of the headphone check needs an answer")
    return [int(answer) for answer in answers]
