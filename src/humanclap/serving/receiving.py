"""Bodies of requests: received within their limits of size, time and room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import Request

from humanclap.serving.bodies import FORMS
from humanclap.serving.counters import Metrics
from humanclap.serving.settings import ServiceSettings


class RefusedError(Exception):
    """A request that is not served: status code, and a sentence that says why.

    retry_s: as in BusyError. unread: more of the body may come, so the connection must be closed.
    """

    def __init__(self, status: int, said: str, *, retry_s: int | None = None) -> None:
        self.status, self.said, self.retry_s = status, said, retry_s
        self.unread = status in (408, 413)
        super().__init__(said)


class GoneError(Exception):
    """The client went away."""


class Held:
    """Counts the bytes of all bodies without an answer; used in the thread of the event loop."""

    def __init__(self, most: int, metrics: Metrics) -> None:
        self._most = most
        self._bytes = 0
        self._metrics = metrics

    def has_room(self, count: int) -> bool:
        """Whether so many bytes more may come."""
        return self._bytes + count <= self._most

    def add(self, count: int) -> None:
        """So many came (or, below 0, left)."""
        self._bytes += count
        self._metrics.waiting_bytes.set(self._bytes)


async def received(
    request: Request, settings: ServiceSettings, held: Held, retry_s: int
) -> tuple[bytes, str]:
    """The body of a request and its content type; the caller gives its bytes back to `held`.

    Raises RefusedError and GoneError. A refused body is read and dropped, up to twice the limit,
    because a client that is still sending would not get the answer.
    """
    kind = request.headers.get("content-type", "")
    length = request.headers.get("content-length")
    announced = int(length) if length is not None and length.isdigit() else 0
    refusal = _refusal(request, kind, announced, settings)
    if refusal is None and not held.has_room(announced):
        refusal = _no_room(retry_s)
    if refusal is not None and "expect" in request.headers:  # the client waits before it sends
        refusal.unread = True
        raise refusal
    size = 0
    chunks: list[bytes] = []
    try:
        async for chunk in _chunks(request, settings):
            size += len(chunk)
            if refusal is not None:
                if size > 2 * settings.most_body:
                    break
                continue
            chunks.append(chunk)
            held.add(len(chunk))
            if size > settings.most_body:
                refusal = _too_large(settings)
            elif not held.has_room(0):
                refusal = _no_room(retry_s)
            if refusal is not None:
                _drop(chunks, held)
    except BaseException:
        _drop(chunks, held)
        raise
    if refusal is not None:
        raise refusal
    return b"".join(chunks), kind


def _drop(chunks: list[bytes], held: Held) -> None:
    held.add(-sum(map(len, chunks)))
    chunks.clear()


async def _chunks(request: Request, settings: ServiceSettings) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    end = loop.time() + settings.timeout_s
    more = True
    while more:
        try:
            async with asyncio.timeout_at(min(end, loop.time() + settings.stall_s)):
                message = await request.receive()
        except TimeoutError as error:
            raise RefusedError(
                408,
                f"the body did not come: nothing for {settings.stall_s:g} s, or not all of it "
                f"within {settings.timeout_s:g} s",
            ) from error
        if message["type"] == "http.disconnect":
            raise GoneError
        more = message.get("more_body", False)
        yield message.get("body", b"")


def _refusal(
    request: Request, kind: str, announced: int, settings: ServiceSettings
) -> RefusedError | None:
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        return RefusedError(
            415, "the body is compressed; send it as it is, without Content-Encoding"
        )
    if kind.partition(";")[0].strip().lower() not in FORMS:
        return RefusedError(
            415, f"the body is {kind or 'of no type'!r:.80}; expected {', '.join(FORMS)}"
        )
    return _too_large(settings) if announced > settings.most_body else None


def _too_large(settings: ServiceSettings) -> RefusedError:
    return RefusedError(413, f"the body is larger than the {settings.body_mb:g} MB that are taken")


def _no_room(retry_s: int) -> RefusedError:
    return RefusedError(
        429, f"too many requests are waiting; try again in {retry_s} s", retry_s=retry_s
    )
