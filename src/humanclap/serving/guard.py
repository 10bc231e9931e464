"""Checks before any route: framing, origin and token. Every answer is counted."""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from humanclap.serving.counters import Metrics
from humanclap.serving.settings import ServiceSettings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SCORE, MODEL, METRICS = "/v1/score", "/v1/model", "/metrics"
LIVE, READY, OPENAPI = "/health/live", "/health/ready", "/openapi.json"
OPEN = frozenset({LIVE, READY, OPENAPI})
"""Paths without a token."""
_PATHS = OPEN | {SCORE, MODEL, METRICS}
MAX_ADDRESS = 512
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'"),
]
_Refusal = tuple[int, str, tuple[tuple[bytes, bytes], ...]]


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: App, settings: ServiceSettings, metrics: Metrics) -> None:
        self._app = app
        self._token = None if settings.token is None else f"Bearer {settings.token}".encode()
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] != "http":
            return
        begin = time.perf_counter()
        path = scope["path"] if scope["path"] in _PATHS else "other"

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
                self._metrics.requests.labels(path, str(message["status"])).inc()
                if path == SCORE:
                    self._metrics.latency_s.observe(time.perf_counter() - begin)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, counted)
        else:
            await _refuse(refusal, counted)

    def _refusal(self, scope: Scope) -> _Refusal | None:
        if len(scope["path"]) + len(scope["query_string"]) > MAX_ADDRESS:
            return 414, f"the address is longer than {MAX_ADDRESS} characters", ()
        headers = scope["headers"]
        lengths = [value for name, value in headers if name == b"content-length"]
        codings = [value for name, value in headers if name == b"transfer-encoding"]
        if len(lengths) > 1 or (lengths and codings):
            return (
                400,
                "the length of the body is given twice (Content-Length, Transfer-Encoding)",
                (),
            )
        given = dict(headers)
        if b"origin" in given or given.get(b"sec-fetch-site", b"none") != b"none":
            return 403, "this service is not for pages in a browser", ()
        if self._token is None or scope["path"] in OPEN:
            return None
        if not hmac.compare_digest(given.get(b"authorization", b""), self._token):
            said = "a token is needed: Authorization: Bearer TOKEN"
            return 401, said, ((b"www-authenticate", b"Bearer"),)
        return None


async def _refuse(refusal: _Refusal, send: Send) -> None:
    """Answer at once, and close the connection, so that the rest of the request is not read."""
    status, said, more = refusal
    body = json.dumps({"detail": said}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
