"""The application: routes, guard, error pages; and the server that runs it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import connection as waiting
from multiprocessing import parent_process
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from uvicorn.supervisors import Multiprocess

from humanclap.listening.design.clips import ClipCache
from humanclap.listening.study.failed_clips import examine_failed
from humanclap.listening.study.study import Study
from humanclap.listening.web.admin import AdminPages
from humanclap.listening.web.context import HERE, Context
from humanclap.listening.web.guard import App, Guard
from humanclap.listening.web.listener import ListenerPages
from humanclap.listening.web.settings import ServeSettings
from humanclap.listening.web.trials import TrialPages
from humanclap.sockets import bound, in_background

_HUNG_S = 60
"""A server process that does not answer its supervisor for so many seconds is replaced."""


def create_app(study: Study, settings: ServeSettings, *, cache: Path) -> App:
    """The ASGI application of one study. cache: folder of the clips' copies."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    context = Context(study, settings, ClipCache(study.audio_root, cache))
    app.include_router(ListenerPages(context).router())
    app.include_router(TrialPages(context).router())
    app.include_router(AdminPages(context).router())
    app.add_api_route("/health", _health, methods=["GET"])
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")

    # async, like /health, so that it answers while every thread waits for the database
    async def refuse(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            error = HTTPException(422, "not as expected")
        status, detail, headers = error.status_code, str(error.detail), dict(error.headers or {})
        if request.url.path.endswith("/answers"):
            return JSONResponse({"detail": detail}, status_code=status, headers=headers)
        if status == 503:
            page = context.message("away")
        else:
            title = study.design.wording["error_title"]
            page = context.page("message.html", status=status, title=title, text=detail)
        page.headers.update(headers)
        return page

    app.add_exception_handler(HTTPException, refuse)
    app.add_exception_handler(RequestValidationError, refuse)
    return Guard(app, settings)


async def _health() -> Response:
    return PlainTextResponse("ok")


def _config(study: Study, settings: ServeSettings, cache: Path) -> uvicorn.Config:
    """Of one server process, or of several, each of which makes the application anew."""
    several = settings.workers > 1
    # one process keeps its own log handlers, which uvicorn would close
    return uvicorn.Config(
        partial(_app_of_process, study, settings, cache=cache),
        factory=True,
        workers=settings.workers,
        timeout_worker_healthcheck=_HUNG_S,
        timeout_graceful_shutdown=10,
        host=settings.host,
        port=settings.port,
        log_config=uvicorn.config.LOGGING_CONFIG if several else None,
        log_level="info" if several else "warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=settings.proxies or None,
        timeout_keep_alive=75,
        lifespan="off",
    )


def _app_of_process(study: Study, settings: ServeSettings, *, cache: Path) -> App:
    """The application in this process, which ends when its supervisor is gone."""
    if (supervisor := parent_process()) is not None:

        def follow() -> None:
            waiting.wait([supervisor.sentinel])
            os.kill(os.getpid(), signal.SIGTERM)  # else it would keep the port

        threading.Thread(target=follow, daemon=True).start()
    return create_app(study, settings, cache=cache)


def serve(study: Study, settings: ServeSettings, *, cache: Path) -> None:
    """Serve until interrupted, with settings.workers processes on one port.

    A process that dies is replaced. Raises InputError where the study's database cannot be shared
    by so many, or the port is taken.
    """
    study.database.check_workers(settings.workers)
    examine_failed(study)
    listener = bound(settings.host, settings.port, remedy="choose another --port")
    config = _config(study, settings, cache)
    try:
        if settings.workers == 1:
            uvicorn.Server(config).run(sockets=[listener])
        else:
            Multiprocess(config, sockets=[listener]).run()
    finally:
        listener.close()


@contextmanager
def serving(study: Study, settings: ServeSettings, *, cache: Path) -> Iterator[str]:
    """Serve in the background; gives the address. Port 0 takes a free one."""
    examine_failed(study)
    listener = bound(settings.host, settings.port, remedy="choose another --port")
    port = listener.getsockname()[1]
    server = uvicorn.Server(_config(study, settings, cache))
    try:
        with in_background(server, listener):
            yield f"http://{settings.host}:{port}"
    finally:
        listener.close()
