"""Sockets that servers of this package listen on."""

from __future__ import annotations

import socket

from humanclap.errors import InputError


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
