"""Ray on this machine, quick, quiet and small; or a cluster that runs already."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

from humanclap.errors import InputError
from humanclap.extras import require

OBJECT_STORE_BYTES = 384 << 20
"""Shared memory of a local Ray; what is decoded waits in it."""
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_SCHEDULER_EVENTS": "0",
}


@contextmanager
def ray_running(address: str | None, *, cpus: int | None) -> Iterator[Any]:
    """Ray's module, connected: to `address`, or to one started here, which ends with the block.

    cpus: of one started here, None: as many as this process may use. A connection that is there
    already is used and left. Raises MissingExtraError, and InputError where nothing answers.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    ray: Any = require("ray", extra="ray")
    require("ray.data", extra="ray")
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if ray.is_initialized():
        yield ray
        return
    with _descriptor_silenced():
        try:
            if address is None:
                _start(ray, cpus)
            else:
                _connect(ray, address)
            yield ray
        finally:
            ray.shutdown()


@contextmanager
def _descriptor_silenced() -> Iterator[None]:
    """Drop what Ray's C++ writes to descriptor 2, of its own doings; Python's stderr goes on."""
    sys.stderr.flush()
    before, kept = os.dup(2), sys.stderr
    own = _descriptor_of(kept) == 2
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
    if own:
        sys.stderr = os.fdopen(os.dup(before), "w", buffering=1, encoding=kept.encoding,
                               errors=kept.errors)  # fmt: skip
    try:
        with redirect_stdout(sys.stderr):  # Ray tells there of workers that died
            yield
    finally:
        if own:
            sys.stderr.close()
            sys.stderr = kept
        os.dup2(before, 2)
        os.close(before)


def _descriptor_of(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError):  # a test's, or a notebook's
        return None


def _start(ray: Any, cpus: int | None) -> None:
    given = {
        "address": "local",
        "num_cpus": cpus or usable_cpus(),
        "include_dashboard": False,
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "object_store_memory": OBJECT_STORE_BYTES,
    }
    try:
        ray.init(**given)
    except Exception:  # Ray gives its own processes 30 s, which a busy machine may not keep
        ray.shutdown()
        ray.init(**given)


def _connect(ray: Any, address: str) -> None:
    if address.startswith("ray://"):
        raise InputError(
            f"--ray-address {address}: Ray Data needs its driver in the cluster; run the command "
            "on a node of it with --ray-address auto, or submit it (docs/cluster.md)"
        )
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(
            f"--ray-address {address}: no Ray cluster answers there ({error}); start one (ray "
            "start --head), set RAY_AUTH_MODE=token where the cluster asks for one, or leave the "
            "option away for Ray on this machine"
        ) from error


def usable_cpus() -> int:
    """Processors that this process may use."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable is not None else os.cpu_count() or 1
