"""Ray on this machine, quick, quiet and small; or a cluster that runs already."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from humanclap.audio.ahead import usable_cpus
from humanclap.errors import HumanCLAPError, InputError
from humanclap.extras import require

OBJECT_STORE_BYTES = 384 << 20
"""Shared memory of a local Ray; what is decoded waits in it."""
_STARTS = 3
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_SCHEDULER_EVENTS": "0",
    # else a process that decodes ends a second after its shard, and the next one begins anew
    "RAY_idle_worker_killing_time_threshold_ms": "600000",
}


@contextmanager
def ray_running(address: str | None, *, cpus: int | None) -> Iterator[Any]:
    """Ray's module, connected: to `address`, or to one started here, which ends with the block.

    cpus: of one started here, None: as many as this process may use. A connection that is there
    already is used and left. Raises MissingExtraError, and InputError where nothing answers.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    if address is not None and address.startswith("ray://"):
        raise InputError(
            f"--ray-address {address}: Ray Data needs its driver in the cluster; run the command "
            "on a node of it with --ray-address auto, or submit it (docs/cluster.md)"
        )
    ray: Any = require("ray", extra="ray")
    require("ray.data", extra="ray")
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if ray.is_initialized():
        yield ray
        return
    own = _own_token(ray) if address is None else nullcontext()
    with _logs() as folder, _descriptor_into(folder / "stderr.txt"), own:
        try:
            if address is None:
                _start(ray, cpus, folder)
            else:
                _connect(ray, address)
            yield ray
        finally:
            ray.shutdown()


@contextmanager
def _logs() -> Iterator[Path]:
    """A folder for what Ray writes of its own doings; kept, and named, where Ray fails.

    A driver that is killed or crashes leaves it too. Ray's sockets lie in it, so its path is short.
    """
    short = os.environ.get("RAY_TMPDIR") or ("/tmp" if os.name == "posix" else None)
    folder = Path(tempfile.mkdtemp(prefix="humanclap-ray-", dir=short))
    kept = False
    try:
        yield folder
    except Exception as error:
        kept = str(folder) in str(error) or not isinstance(error, HumanCLAPError)
        error.add_note(f"What Ray wrote about it lies in {folder}")
        raise
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _own_token(ray: Any) -> Iterator[None]:
    """A token for a Ray of one run: others on this machine or network cannot give it work.

    It is in the environment alone, so Ray writes none to ~/.ray. What the user has set stays.
    """
    loader = getattr(ray._raylet, "AuthenticationTokenLoader", None)
    names = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    if loader is None or any(name in os.environ for name in names):
        yield
        return
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # Ray itself turns to tokens then
    loader.instance().reset_cache()
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)
        loader.instance().reset_cache()


@contextmanager
def _descriptor_into(log: Path) -> Iterator[None]:
    """Send what Ray's C++ writes to descriptor 2 into a file; Python's stderr goes on."""
    sys.stderr.flush()
    before, kept = os.dup(2), sys.stderr
    own = _descriptor_of(kept) == 2
    with open(log, "a") as file:
        os.dup2(file.fileno(), 2)
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


def _start(ray: Any, cpus: int | None, folder: Path) -> None:
    given = {
        "address": "local",
        "num_cpus": cpus or usable_cpus(),
        "include_dashboard": False,
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "object_store_memory": OBJECT_STORE_BYTES,
        "_temp_dir": str(folder),
    }
    for left in reversed(range(_STARTS)):
        try:
            ray.init(**given)
            return
        except Exception as error:
            ray.shutdown()
            if not left:
                raise HumanCLAPError(
                    f"Ray did not start on this machine ({error}); it gives its own processes 30 "
                    f"s, which a busy machine may not keep: try again, or look into {folder}"
                ) from error


def _connect(ray: Any, address: str) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(
            f"--ray-address {address}: no Ray cluster answers there ({error}); start one (ray "
            "start --head), set RAY_AUTH_MODE=token where the cluster asks for one, or leave the "
            "option away for Ray on this machine"
        ) from error
