"""Routes that survive a crowd or a restart of the database: they try again, then answer 503."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any

from anyio.to_thread import current_default_thread_limiter
from fastapi import HTTPException, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from sqlalchemy.exc import SQLAlchemyError

from humanclap.listening.study.postgres import failure_of, reason

_WAITS_S = (0.05, 0.2, 0.5, 1.0)
"""Seconds before each further try; others take their turn meanwhile."""
RETRY_AFTER_S = 5
_REPORT_S = 10.0
MOST_WAITING = 200
"""Requests of a process that wait for a thread. Further ones are refused and come back later: if
they waited, browsers would give up and ask again while the server still works on the first."""

_log = logging.getLogger("uvicorn.error")
_reported_at = -_REPORT_S


class DatabaseRoute(APIRoute):
    """Repeats a request that the database undid, or for which it was away for a moment.

    The whole request is done again. An undone transaction leaves nothing, and a listener's request
    may be repeated without harm, as the browser chose the ids of answers and sessions.
    """

    again_after = frozenset({"undone", "away"})

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of the route, in a loop."""
        handle = super().get_route_handler()

        async def steady(request: Request) -> Response:
            if current_default_thread_limiter().statistics().tasks_waiting >= MOST_WAITING:
                raise unavailable(request)
            for wait_s in (*_WAITS_S, None):
                try:
                    return await handle(request)
                except SQLAlchemyError as error:
                    failure = failure_of(error)
                    if failure is None:
                        raise
                    if wait_s is None or failure not in self.again_after:
                        _report(error)
                        break
                await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))
            raise unavailable(request)

        return steady


class ActionRoute(DatabaseRoute):
    """A DatabaseRoute for actions that would count twice.

    Where the connection was lost, the action may have been done, so it is not tried again.
    """

    again_after = frozenset({"undone"})


def unavailable(request: Request) -> HTTPException:
    """503; a page that was asked for is loaded again by the browser."""
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    if request.method == "GET":
        headers["Refresh"] = str(RETRY_AFTER_S)
    return HTTPException(503, headers=headers)


def _report(error: SQLAlchemyError) -> None:
    """Say it in the log, not a hundred times a second."""
    global _reported_at
    if time.monotonic() - _reported_at > _REPORT_S:
        _reported_at = time.monotonic()
        _log.error("the study's database is away, requests are answered 503: %s", reason(error))
