"""What every page needs: the study, the templates, tokens against forgery."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from fastapi import HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from humanclap.listening.design.clips import ClipCache
from humanclap.listening.study.sessions import Session, find_session
from humanclap.listening.study.study import Study
from humanclap.listening.web.settings import ServeSettings

HERE = Path(__file__).resolve().parent
SESSION_COOKIE = "humanclap_session"
FORM_COOKIE = "humanclap_form"
COOKIE_DAYS = 60
MAX_TOKEN_CHARACTERS = 100
MESSAGES = {
    "full": 409, "elsewhere": 409, "closed": 410, "ended": 410, "away": 503, "paused": 503,
    "unheard": 503,
}  # fmt: skip
"""Pages that say one thing (`[wording]` has their words) -> their HTTP status."""


class Context:
    """The study being served, and how pages are made and tokens checked."""

    def __init__(self, study: Study, settings: ServeSettings, clips: ClipCache) -> None:
        self.study = study
        self.settings = settings
        self.clips = clips
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def url(self, path: str) -> str:
        """An address of ours, prefix included."""
        return self.settings.prefix + path

    def page(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A page from its template, with the study's wording."""
        design = self.study.design
        text = self._environment.get_template(template).render(
            t=design.wording, design=design, url=self.url, **values
        )
        return HTMLResponse(text, status_code=status)

    def message(self, name: str, **values: Any) -> HTMLResponse:
        """A page that says one thing, by its name in MESSAGES."""
        t = self.study.design.wording
        title, text, status = t[f"{name}_title"], t[name], MESSAGES[name]
        return self.page("message.html", status=status, title=title, text=text, **values)

    def last_message(self, name: str, request: Request, session: Session) -> HTMLResponse:
        """A message to a listener who hears no more; the page sends what waits in the browser."""
        return self.message(name, flush=self.flush(request, session))

    def redirect(self, path: str) -> RedirectResponse:
        """On to another page of ours, by GET."""
        return RedirectResponse(self.url(path), status_code=303)

    def signed(self, token: str, *parts: str) -> bool:
        """Whether a token is the one of these parts."""
        return hmac.compare_digest(token.encode(), self.study.sign(*parts).encode())

    def set_cookie(
        self, response: HTMLResponse | RedirectResponse, name: str, value: str, *, strict: bool
    ) -> None:
        """Set a cookie that no script can read; a strict one lives as long as the browser."""
        response.set_cookie(
            name,
            value,
            max_age=None if strict else COOKIE_DAYS * 86_400,
            path=self.settings.prefix or "/",
            secure=self.settings.secure,
            httponly=True,
            samesite="strict" if strict else "lax",
        )

    def session(self, request: Request) -> Session | None:
        """The session of the request's cookie."""
        token = request.cookies.get(SESSION_COOKIE, "")
        if not token or len(token) > MAX_TOKEN_CHARACTERS:
            return None
        with self.study.database.read() as connection:
            return find_session(connection, token)

    def required_session(self, request: Request) -> Session:
        """As `session`; raises 401 where there is none."""
        session = self.session(request)
        if session is None:
            raise HTTPException(401, "no session; open the study's first page")
        return session

    def session_csrf(self, request: Request) -> str:
        """The token that posts of this session carry."""
        return self.study.sign("csrf", request.cookies.get(SESSION_COOKIE, ""))

    def queue(self, session: Session) -> str:
        """Name under which a browser keeps this listener's answers: the same in every session."""
        return self.study.sign("queue", session.listener_id)[:32]

    def flush(self, request: Request, session: Session) -> dict[str, str]:
        """What a page without sounds needs to send the answers that wait in the browser."""
        csrf = self.session_csrf(request)
        return {"queue": self.queue(session), "url": self.url("/answers"), "csrf": csrf}

    def check_session_csrf(self, request: Request, token: str) -> None:
        """Raise 403 where a post does not come from our own page."""
        if not self.signed(token, "csrf", request.cookies.get(SESSION_COOKIE, "")):
            raise HTTPException(403, "this form is not from this page")


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a posted form.

    Raises 400 where it is malformed or repeats a field, 422 where a field holds a null character,
    which databases keep differently.
    """
    body = await request.body()
    try:
        pairs = parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, strict_parsing=True, max_num_fields=200
        )
    except ValueError as error:
        raise HTTPException(400, "malformed form") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise HTTPException(400, "a field is given twice")
    if any("\0" in text for pair in pairs for text in pair):
        raise HTTPException(422, "a field holds a null character")
    return form
