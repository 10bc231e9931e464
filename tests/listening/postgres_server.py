"""A PostgreSQL server of one's own, in a temporary folder, for tests and benchmarks."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


class NoServerError(Exception):
    """PostgreSQL is not installed, or cannot be started here."""


class PostgresServer:
    """A server on a socket in `folder`; nothing of it is reached by network."""

    def __init__(self, binaries: Path, folder: Path, settings: str) -> None:
        self._binaries, self._folder = binaries, folder
        self._options = f"-c listen_addresses= -c unix_socket_directories={folder} {settings}"

    def url(self, database: str = "postgres") -> str:
        """Address of a database of it."""
        return f"postgresql://postgres@/{database}?host={self._folder}"

    def initialise(self) -> None:
        """Make an empty cluster."""
        self._run("initdb", "-D", self._data, "-A", "trust", "-U", "postgres", "-N")

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        self._run("pg_ctl", "-D", self._data, "-w", "-o", self._options, "-l",
                  self._folder / "log", "start")  # fmt: skip

    def stop(self, mode: str = "fast") -> None:
        """Stop; `immediate` is a crash."""
        self._run("pg_ctl", "-D", self._data, "-m", mode, "stop")

    def new_database(self) -> str:
        """Make an empty database; its URL."""
        name = f"study_{secrets.token_hex(6)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def processes(self) -> list[int]:
        """All processes of the server."""
        first = (self._data / "postmaster.pid").read_text().split("\n", 1)[0]
        words = ["ps", "--ppid", first, "-o", "pid="]
        found = subprocess.run(words, check=False, capture_output=True, text=True).stdout
        return [int(first), *map(int, found.split())]

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _run(self, program: str, *arguments: object) -> None:
        """PostgreSQL does not run as root: then as the user its package made."""
        words = [str(self._binaries / program), *map(str, arguments)]
        if os.geteuid() == 0:
            words = ["runuser", "-u", "postgres", "--", *words]
        subprocess.run(words, check=True, capture_output=True, cwd="/")


def server_processes(supervisor: int) -> list[int]:
    """The server processes of `listen serve --workers N`, which has this process id."""
    words = ["ps", "-ww", "--ppid", str(supervisor), "-o", "pid=,args="]
    found = subprocess.run(words, check=False, capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in found.splitlines() if "spawn_main" in line]


@contextmanager
def postgres_server(settings: str = "") -> Iterator[PostgresServer]:
    """A running server, gone at the end; settings: `-c name=value ...`. Raises NoServerError."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    binaries = next((place for place in reversed(places) if (place / "initdb").exists()), None)
    if binaries is None:
        raise NoServerError("PostgreSQL is not installed (Debian: apt install postgresql)")
    with tempfile.TemporaryDirectory(prefix="humanclap-pg-") as name:
        Path(name).chmod(0o777)
        server = PostgresServer(binaries, Path(name), settings)
        try:
            server.initialise()
        except (subprocess.CalledProcessError, OSError) as error:
            raise NoServerError(f"PostgreSQL cannot be started here: {error}") from error
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
