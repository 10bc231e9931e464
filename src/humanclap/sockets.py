"""Sockets that servers of this package listen on."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from humanclap.errors import InputError

_START_S = 20.0
"""How long a server may take to start, and to end."""


def bound(host: str, port: int, *, remedy: str) -> socket.socket:
    """A TCP socket at an address; port 0 takes a free one.

    Raises InputError with `remedy` where the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle off only where the protocol is named: 40 ms an answer otherwise
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise InputError(f"{host}:{port}: {error.strerror}; {remedy}") from error
    return listener


@contextmanager
def in_background(server: Any, listener: socket.socket) -> Iterator[None]:
    """Run a uvicorn server on a bound socket in a thread; it ends with the block.

    Raises InputError where it does not start.
    """
    run: Any = {"target": server.run, "kwargs": {"sockets": [listener]}}
    thread = threading.Thread(**run, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + _START_S
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise InputError("the server did not start")
            time.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=_START_S)
