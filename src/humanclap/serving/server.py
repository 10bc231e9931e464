"""The server that runs the application: sockets, slow clients, signals."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from humanclap.scoring.staged import StagedCLAP
from humanclap.serving.app import Service
from humanclap.serving.settings import ServiceSettings
from humanclap.sockets import bound, in_background

_MOST_HEAD_BYTES = 16 * 1024
_KEEP_ALIVE_S = 75
_BACKLOG = 2048
_LAST_S = 5.0
"""Time for sending the last answers, beyond the timeout of a request."""


class _Protocol(H11Protocol):
    """HTTP that limits the number of clients, and their time for heads and answers."""

    settings: ServiceSettings
    head_timer: asyncio.TimerHandle | None = None
    answer_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.settings.connections:
            self._end(429, "too many connections; try again in 1 s", "retry-after: 1\r\n")
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        late = self.transport.abort
        self.answer_timer = self.loop.call_later(self.settings.timeout_s, late)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.answer_timer is not None:
            self.answer_timer.cancel()
            self.answer_timer = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE:
            self._expect_head()
        else:
            self._head_came()

    def send_400_response(self, msg: str) -> None:
        self._end(400, "this cannot be read as an HTTP request")

    def _expect_head(self) -> None:
        if self.head_timer is None:
            self.head_timer = self.loop.call_later(self.settings.stall_s, self._late)

    def _head_came(self) -> None:
        if self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None

    def _late(self) -> None:
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            return
        if self.cycle is None:
            self._end(408, f"no request came within {self.settings.stall_s:g} s")
        else:  # a client that is about to ask again would take words for a reply
            self.transport.close()

    def _end(self, status: int, said: str, headers: str = "") -> None:
        """Answer without a request, and close the connection."""
        body = json.dumps({"detail": said})
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE, h11.ERROR):
            phrase = {400: "Bad Request", 408: "Request Timeout", 429: "Too Many Requests"}
            head = (
                f"HTTP/1.1 {status} {phrase[status]}\r\ncontent-type: application/json\r\n"
                f"{headers}content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write((head + body).encode())
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()


class _Server(uvicorn.Server):
    """Stops at the first signal once all is answered, with exit code 0; at the second at once."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            os._exit(128 + sig)
        self.should_exit = True


def _server(service: Service, settings: ServiceSettings) -> _Server:
    config = uvicorn.Config(
        service.app,
        http=type("Protocol", (_Protocol,), {"settings": settings}),
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,  # the handlers of the process stay as they are; uvicorn would close them
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=_MOST_HEAD_BYTES,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(settings.timeout_s + _LAST_S),
    )
    return _Server(config)


def _bound(settings: ServiceSettings) -> socket.socket:
    listener = bound(settings.host, settings.port, remedy="choose another --host or --port")
    listener.listen(_BACKLOG)
    return listener


def serve(scorer: StagedCLAP, settings: ServiceSettings, *, started: Any = None) -> None:
    """Serve until SIGTERM or an interrupt, and then until all that was taken is answered.

    started: called with the address when the socket is bound.
    """
    with _bound(settings) as listener:
        service = Service(scorer, settings)
        try:
            if started is not None:
                started(_url(settings, listener))
            _server(service, settings).run(sockets=[listener])
        finally:
            service.stop()


@contextmanager
def serving(scorer: StagedCLAP, settings: ServiceSettings) -> Iterator[str]:
    """Serve in the background; gives the address. Port 0 takes a free one."""
    with _bound(settings) as listener:
        service = Service(scorer, settings)
        server = _server(service, settings)
        try:
            with in_background(server, listener):
                yield _url(settings, listener)
        finally:
            service.stop()


def _url(settings: ServiceSettings, listener: socket.socket) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{listener.getsockname()[1]}"
