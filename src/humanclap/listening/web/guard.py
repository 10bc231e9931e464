"""Checks hosts, sizes, origins and rates before any page, and adds security headers after it."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

from anyio.to_thread import current_default_thread_limiter

from humanclap.listening.web.settings import ServeSettings

MAX_BODY_BYTES = 64 * 1024
MAX_PATH_CHARACTERS = 512
MAX_QUERY_CHARACTERS = 2048
THREADS = 6
"""Further threads would only wait for the interpreter and for the database's one writer."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "media-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), autoplay=(self)"),
)


def client_of(scope: Scope) -> str:
    """Whom the limits count: an IPv4 address, or the 64-bit network of an IPv6 address."""
    name = str(scope["client"][0]) if scope.get("client") else "?"
    try:
        address = ip_address(name)
    except ValueError:
        return name
    if not isinstance(address, IPv6Address):
        return name
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address), 64), strict=False))


class RateLimit:
    """A bucket of `size` requests for each client, refilled evenly within `minutes`."""

    MAX_CLIENTS = 10_000

    def __init__(self, size: int, *, minutes: float = 1.0) -> None:
        self._size = float(size)
        self._refill_s = 60.0 * minutes
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def allows(self, client: str) -> bool:
        """Whether one more request of this client may pass, counting it."""
        now = time.monotonic()
        with self._lock:
            left, at = self._buckets.get(client, (self._size, now))
            left = min(self._size, left + (now - at) * self._size / self._refill_s)
            if len(self._buckets) > self.MAX_CLIENTS:
                self._buckets = {
                    k: v for k, v in self._buckets.items() if now - v[1] < self._refill_s
                }
            allowed = left >= 1.0
            self._buckets[client] = (left - allowed, now)  # a refused request costs nothing
            return allowed


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: App, settings: ServeSettings) -> None:
        self._app = app
        self._settings = settings
        self._limit = RateLimit(settings.requests_per_minute)
        extra = ((b"strict-transport-security", b"max-age=31536000"),) if settings.secure else ()
        self._headers = HEADERS + extra

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with the headers added."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(item for item in self._headers if item[0] not in given),
                ]
                if b"cache-control" not in given:
                    keep = b"no-cache" if scope["path"].startswith("/static/") else b"no-store"
                    message["headers"].append((b"cache-control", keep))
            await send(message)

        current_default_thread_limiter().total_tokens = THREADS
        refusal = self._refusal(scope)
        if refusal is None:
            if scope["method"] == "HEAD":  # answered as GET; the server sends no body
                scope = {**scope, "method": "GET"}
            await self._app(scope, receive, send_with_headers)
            return
        status, reason = refusal
        body = reason.encode()
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        headers.append((b"content-length", str(len(body)).encode()))
        if status == 429:
            headers.append((b"retry-after", b"10"))
        await send_with_headers(
            {"type": "http.response.start", "status": status, "headers": headers}
        )
        await send_with_headers({"type": "http.response.body", "body": body})

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        hosts = self._settings.hosts
        if hosts and _host_name(headers.get(b"host", b"").decode("latin-1")) not in hosts:
            return 400, "unknown host"
        path = scope["path"]
        if len(path) > MAX_PATH_CHARACTERS or len(scope["query_string"]) > MAX_QUERY_CHARACTERS:
            return 414, "address too long"
        if any(ord(character) < 32 for character in path) or ".." in path.split("/"):
            return 400, "bad path"
        if not self._limit.allows(client_of(scope)):
            return 429, "too many requests; please wait a little"
        return self._body_refusal(scope, headers) if scope["method"] == "POST" else None

    def _body_refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        length = headers.get(b"content-length", b"")
        if not length.isdigit():
            return 411, "a length is needed"
        if int(length) > MAX_BODY_BYTES:
            return 413, "too large"
        if headers.get(b"sec-fetch-site", b"same-origin") not in (b"same-origin", b"none"):
            return 403, "sent from another site"
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and not self._same_origin(origin, headers.get(b"host", b"").decode("latin-1")):
            return 403, "sent from another site"
        wanted = (
            b"application/json"
            if scope["path"].endswith("/answers")
            else b"application/x-www-form-urlencoded"
        )
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        return None if kind == wanted else (415, f"expected {wanted.decode()}")

    def _same_origin(self, origin: str, host: str) -> bool:
        """Against the public address where there is one, else against the Host header."""
        try:
            sent = urlsplit(origin)
        except ValueError:
            return False
        if self._settings.public_url:
            public = urlsplit(self._settings.public_url)
            return (sent.scheme, sent.netloc) == (public.scheme, public.netloc) or (
                sent.netloc == host and _host_name(host) in ("127.0.0.1", "localhost", "[::1]")
            )
        return sent.netloc == host


def _host_name(host: str) -> str:
    """The name in a Host header: without its port, IPv6 addresses in their brackets."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()
