"""The researcher's page, behind a token."""

from __future__ import annotations

import hmac
import io
import secrets
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from humanclap.errors import InputError
from humanclap.listening.study import admin_actions
from humanclap.listening.study.failed_clips import forget_mended
from humanclap.listening.study.rate_limits import SharedLimit
from humanclap.listening.study.session_trials import expire_idle
from humanclap.listening.web.context import Context, read_form
from humanclap.listening.web.guard import client_of
from humanclap.listening.web.interval_chart import SHARES, interval_chart
from humanclap.listening.web.routes import ActionRoute

if TYPE_CHECKING:
    from humanclap.listening.results.monitor import StudyOverview

ADMIN_COOKIE = "humanclap_admin"
LOGIN_HOURS = 12
PAIRS_SHOWN = 50
_OVERVIEW_S = 3.0
_OVERVIEW_SHARE = 10.0
"""A view is shown again for 3 s, or for ten times as long as it took to make if that is longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A view, when it was made, its last action, and until when (monotonic) it is shown again."""

    action: str
    at: str
    fresh_until: float
    view: StudyOverview


class AdminPages:
    """Routes of the researcher; one object a served study."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._study = context.study
        self._logins = SharedLimit(
            study=self._study, name="login", size=context.settings.logins_per_minute
        )
        self._lock = threading.Lock()
        self._seen: dict[bool, _Seen] = {}

    def router(self) -> APIRouter:
        """The routes."""
        router = APIRouter(prefix="/admin", route_class=ActionRoute)
        router.add_api_route("", self.page, methods=["GET"])
        router.add_api_route("/live", self.live, methods=["GET"])
        router.add_api_route("/export.zip", self.export, methods=["GET"])
        router.add_api_route("/login", self.login, methods=["POST"])
        for name in ("logout", "state", "exclude", "reinstate", "top-up"):
            router.add_api_route(f"/{name}", self.act, methods=["POST"], name=name)
        return router

    # -- who --------------------------------------------------------------------------------

    async def login(self, request: Request) -> Response:
        """Exchange the token for a cookie."""
        form = await read_form(request)
        if not await run_in_threadpool(self._logins.allows, client_of(request.scope)):
            raise HTTPException(429, "too many tries; wait a minute")
        token = self._context.settings.admin_token
        if not hmac.compare_digest(form.get("token", "").encode(), token.encode()):
            return self._context.page("admin_login.html", status=401, failed=True)
        until, salt = str(int(time.time() + LOGIN_HOURS * 3600)), secrets.token_hex(8)
        response = self._context.redirect("/admin")
        cookie = f"{until}.{salt}.{self._study.sign('admin', token, until, salt)}"
        self._context.set_cookie(response, ADMIN_COOKIE, cookie, strict=True)
        return response

    def _is_admin(self, request: Request) -> bool:
        until, _, rest = request.cookies.get(ADMIN_COOKIE, "").partition(".")
        salt, _, signature = rest.partition(".")
        token = self._context.settings.admin_token
        digits = until.isascii() and until.isdigit() and len(until) < 12
        fresh = digits and int(until) > time.time()
        return fresh and self._context.signed(signature, "admin", token, until, salt)

    def _check_admin(self, request: Request) -> None:
        if not self._is_admin(request):
            raise HTTPException(401, "log in first")

    def _csrf(self, request: Request) -> str:
        return self._study.sign("admin-csrf", request.cookies.get(ADMIN_COOKIE, ""))

    # -- see --------------------------------------------------------------------------------

    def page(self, request: Request) -> Response:
        """Everything at a glance, or the login."""
        if not self._is_admin(request):
            return self._context.page("admin_login.html", failed=False)
        return self._context.page("admin.html", csrf=self._csrf(request), **self._values(request))

    def live(self, request: Request) -> Response:
        """The part of the page that changes."""
        self._check_admin(request)
        values = self._values(request)
        return self._context.page("admin_live.html", csrf=self._csrf(request), **values)

    def _values(self, request: Request) -> dict[str, Any]:
        simulated = request.query_params.get("simulated") == "1"
        seen = self._overview(simulated=simulated)
        view = seen.view
        pairs = sorted(view.pairs, key=lambda pair: (pair.answered, pair.promised))
        most = max((system.mos.n_ratings for system in view.systems), default=1)
        design = self._study.design
        scale = design.scale if design.between is None else SHARES
        return {
            "view": view,
            "pairs": pairs[:PAIRS_SHOWN],
            "charts": {
                system.system: interval_chart(system, scale, max(most, 1))
                for system in view.systems
            },
            "at": seen.at,
        }

    def _overview(self, *, simulated: bool) -> _Seen:
        """The view; computed at most once in a few seconds for all who ask, and after each action.

        While one is being made, others see the one before it.
        """
        with self._study.database.read() as connection:
            action = admin_actions.last_event(connection)
        seen = self._seen.get(simulated)
        if seen is not None and seen.action == action and time.monotonic() < seen.fresh_until:
            return seen
        if not self._lock.acquire(blocking=seen is None or seen.action != action):
            return seen  # type: ignore[return-value]
        try:
            return self._computed(simulated=simulated, action=action)
        finally:
            self._lock.release()

    def _computed(self, *, simulated: bool, action: str) -> _Seen:
        from humanclap.listening.results.monitor import overview  # scipy: a second of start-up

        start, at = time.monotonic(), time.strftime("%H:%M:%S UTC", time.gmtime())
        seen = self._seen.get(simulated)
        if seen is not None and seen.action == action and start < seen.fresh_until:
            return seen  # made while this request waited
        forget_mended(self._study)
        with self._study.database.write() as connection:
            expire_idle(connection, self._study)
        view = overview(self._study, simulated=simulated)
        end = time.monotonic()
        keep_s = max(_OVERVIEW_S, _OVERVIEW_SHARE * (end - start))
        self._seen[simulated] = _Seen(action=action, at=at, fresh_until=end + keep_s, view=view)
        return self._seen[simulated]

    def export(self, request: Request) -> Response:
        """Every file of the export in one archive."""
        from humanclap.listening.results.export import export_study

        self._check_admin(request)
        simulated = request.query_params.get("simulated") == "1"
        finished = request.query_params.get("finished") == "1"
        archive = io.BytesIO()
        with tempfile.TemporaryDirectory() as folder:
            try:
                done = export_study(
                    self._study, Path(folder), simulated=simulated, finished_only=finished
                )
            except InputError as error:
                raise HTTPException(409, str(error)) from error
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
                for name in done.files:
                    file.write(Path(folder) / name, name)
        name = "simulated-export.zip" if simulated else "export.zip"
        return Response(
            archive.getvalue(),
            media_type="application/zip",
            headers={"content-disposition": f'attachment; filename="{name}"'},
        )

    # -- do ---------------------------------------------------------------------------------

    async def act(self, request: Request) -> Response:
        """Pause, open, close, exclude, reinstate, top up, log out."""
        form = await read_form(request)
        self._check_admin(request)
        if not self._context.signed(
            form.get("csrf", ""), "admin-csrf", request.cookies.get(ADMIN_COOKIE, "")
        ):
            raise HTTPException(403, "this form is not from this page")
        action = request.url.path.rpartition("/")[2]
        if action == "logout":
            response = self._context.redirect("/admin")
            response.delete_cookie(ADMIN_COOKIE, path=self._context.settings.prefix or "/")
            return response
        try:
            await run_in_threadpool(self._act, action, form)
        except InputError as error:
            raise HTTPException(422, str(error)) from error
        return self._context.redirect("/admin")

    def _act(self, action: str, form: dict[str, str]) -> None:
        listener = form.get("listener_id", "")
        if action == "state":
            admin_actions.change_state(self._study, form.get("state", ""))
        elif action == "exclude":
            admin_actions.exclude_listener(self._study, listener, form.get("reason", ""))
        elif action == "reinstate":
            admin_actions.reinstate_listener(self._study, listener)
        else:
            n = form.get("n", "")
            if not (n.isascii() and n.isdigit() and len(n) < 6):
                raise InputError("the number of further ratings is not a whole number")
            admin_actions.top_up(self._study, int(n), system=form.get("system") or None)
