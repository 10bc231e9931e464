"""One study in PostgreSQL, several server processes: simulated listeners, and harm on the way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="psycopg is not installed (the extra listen-postgres)")

import psycopg
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import text

from humanclap.cli.main import run as command
from humanclap.errors import InputError
from humanclap.listening.rehearsal.bots import Bot, Browser
from humanclap.listening.results.export import export_study
from humanclap.listening.results.monitor import overview
from humanclap.listening.study.database import Database, now, rows
from humanclap.listening.study.postgres import CONNECTIONS
from humanclap.listening.study.rate_limits import SharedLimit
from humanclap.listening.study.schema import MIGRATIONS, migrate
from humanclap.listening.study.session_start import start_session
from humanclap.listening.study.session_trials import begin_session, expire_idle
from humanclap.listening.study.study import Study, create_study, open_study
from humanclap.listening.web.app import serving
from humanclap.listening.web.routes import ActionRoute, DatabaseRoute
from humanclap.listening.web.settings import ServeSettings

from .conftest import DESIGN
from .postgres_server import PostgresServer, server_processes
from .test_sessions import plan_of, send, start

N_LISTENERS = 8  # 24 pairs x 2 ratings / 6 pairs a session
OpenStudy = Callable[[], Study]


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture
def open_again(url: str, clips) -> Iterator[OpenStudy]:
    """Opens one study as often as asked: as another process would, with connections of its own."""
    create_study(url, design_text=DESIGN, pairs=clips[1], audio_root=clips[0])
    opened: list[Study] = []

    def again() -> Study:
        opened.append(open_study(url))
        return opened[-1]

    yield again
    for study in opened:
        study.close()


# -- several processes ----------------------------------------------------------------------


@pytest.fixture
def served(url: str, clips, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`listen serve --workers 2` in a process of its own, and its address."""
    create_study(url, design_text=DESIGN, pairs=clips[1], audio_root=clips[0])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = tmp_path / "token"
    token.write_text("an-admin-token-of-the-tests\n")
    words = [
        *("-m", "humanclap", "listen", "serve", url, "--workers", "2", "--port", str(port)),
        *("--allow-simulated", "--starts-per-minute", "1000", "--quiet"),
        *("--admin-token-file", str(token), "--cache", str(tmp_path / "cache")),
    ]
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen([sys.executable, *words], stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(port) and len(server_processes(process.pid)) == 2)
        yield process, address
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    """Whether a server is there."""
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300  # a busy machine starts a server in minutes
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def take_part(address: str, number: int) -> list[str]:
    browser = Browser(address, headers={"X-Humanclap-Simulated": "1"})
    bot = Bot(browser, rate=lambda heard: {"REL": 5.0}, think=lambda: 0.2, leave_after=number + 1)
    try:
        return [answer.answer_id for answer in bot.take_part()]
    finally:
        browser.close()


def test_killed_processes_and_a_restarted_database_lose_nothing_and_leave_nothing(
    served: tuple[subprocess.Popen[bytes], str],
    postgres: PostgresServer,
    url: str,
    tmp_path: Path,
) -> None:
    process, address = served
    study = open_study(url)

    def stored() -> list[str]:
        with study.database.read() as connection:
            found = rows(connection, "SELECT answer_id FROM answers")
        return [item["answer_id"] for item in found]

    first = server_processes(process.pid)
    with ThreadPoolExecutor(N_LISTENERS + 1) as pool:
        told = [pool.submit(take_part, address, number) for number in range(N_LISTENERS)]
        until(lambda: len(stored()) > 5)
        os.kill(first[0], signal.SIGKILL)
        done = export_study(study, tmp_path / "meanwhile", simulated=True)
        assert 5 < done.ratings + done.set_aside.get("practice", 0) < N_LISTENERS * 9
        until(lambda: len(stored()) > 20)
        study.close()
        postgres.stop()
        postgres.start()
        acknowledged = [answer for future in told for answer in future.result()]
    assert Counter(stored()) == Counter(acknowledged)
    view = overview(study, simulated=True)
    assert {(pair.answered, pair.promised) for pair in view.pairs} == {(2, 0)}
    assert view.sessions == {"finished": N_LISTENERS}
    study.close()
    assert first[0] not in server_processes(process.pid)
    until(lambda: len(server_processes(process.pid)) == 2)  # who was killed is replaced
    last = server_processes(process.pid)
    process.kill()
    until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in last))


# -- what they share ------------------------------------------------------------------------


def test_a_limit_holds_over_all_processes_and_keeps_no_address(open_again: OpenStudy) -> None:
    first, second = (
        SharedLimit(study=open_again(), name="start", size=3, minutes=5.0) for _ in range(2)
    )
    allowed = [limit.allows("192.0.2.7") for limit in (first, second, first, second, first)]
    assert allowed == [True, True, True, False, False]
    assert second.allows("192.0.2.8")
    with first.study.database.read() as connection:
        assert "192.0.2" not in str(rows(connection, "SELECT * FROM rate_limits"))


def test_a_host_whose_clock_is_wrong_expires_nobody(
    open_again: OpenStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = open_again(), open_again()
    _, session = start_session(here)
    begin_session(here, session)
    tomorrow = time.time() + 86_400
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    with there.database.write() as connection:
        assert now(connection) < tomorrow - 80_000
        assert expire_idle(connection, there) == 0


def test_processes_that_start_at_once_make_one_schema_and_one_study(url: str, clips) -> None:
    def upgraded(_: int) -> int:
        database = Database(url)
        try:
            return database.upgrade()
        finally:
            database.close()

    def made(_: int) -> str:
        try:
            create_study(url, design_text=DESIGN, pairs=clips[1], audio_root=clips[0])
        except InputError as error:
            return str(error)
        return "made"

    old = Database(url)
    with old.write() as connection:
        migrate(connection, up_to=len(MIGRATIONS) - 1)
    old.close()
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(upgraded, range(4))) == {len(MIGRATIONS)}
        said = list(pool.map(made, range(3)))
    assert said.count("made") == 1
    assert sum("a study is there already" in text for text in said) == 2


def test_listeners_who_begin_at_once_by_several_processes_are_promised_what_is_wanted(
    open_again: OpenStudy, url: str
) -> None:
    with psycopg.connect(url) as connection:  # a server with a default of its own
        name = connection.info.dbname
        connection.execute(
            f"ALTER DATABASE {name} SET default_transaction_isolation = serializable"
        )
    studies = [open_again() for _ in range(3)]

    def begin(number: int) -> None:
        _, session = start_session(studies[number % 3])
        begin_session(studies[number % 3], session)

    with ThreadPoolExecutor(N_LISTENERS) as pool:
        list(pool.map(begin, range(N_LISTENERS)))
    assert {pair.promised for pair in overview(studies[0]).pairs} == {2}


# -- when the database fails ----------------------------------------------------------------


def test_pages_and_answers_wait_while_the_database_is_stopped(
    open_again: OpenStudy, postgres: PostgresServer, tmp_path: Path
) -> None:
    settings = ServeSettings(admin_token="an-admin-token-of-the-tests", port=0)
    with serving(open_again(), settings, cache=tmp_path) as address:
        browser = Browser(address)
        plan = plan_of(start(browser))
        trial = plan["trials"][0]["trial_id"]
        form = {"Content-Type": "application/json", "X-CSRF-Token": plan["csrf"]}
        postgres.stop()
        page = browser._once("GET", "/trial", b"", {})
        refused = browser._once("POST", "/answers", b"{}", form)
        postgres.start()
        assert (page.status, refused.status) == (503, 503)
        assert page.headers["retry-after"] == refused.headers["retry-after"] == "5"
        assert page.headers["refresh"] == "5"
        assert "your answers are safe" in page.text
        assert "refresh" not in refused.headers
        assert [send(browser, plan, trial).status for _ in range(2)] == [201, 200]
        browser.close()


def client_of(url: str, kind: type[DatabaseRoute], failing: str, times: int) -> TestClient:
    """An application whose one route runs a statement that fails, so many times, then answers."""
    database = Database(url)
    left = iter([True] * times)
    router = APIRouter(route_class=kind)

    @router.post("/deed")
    def deed() -> str:
        with database.write() as connection:
            if next(left, False):
                connection.execute(text(failing))
        return "done"

    app = FastAPI()
    app.include_router(router)
    return TestClient(app, raise_server_exceptions=False)


def raising(state: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$"


LOSE = "SELECT pg_terminate_backend(pg_backend_pid())"


@pytest.mark.parametrize(
    ("kind", "failing", "times", "status"),
    [
        (DatabaseRoute, raising("40001"), 2, 200),
        (ActionRoute, raising("40P01"), 2, 200),
        (DatabaseRoute, LOSE, 1, 200),
        (ActionRoute, LOSE, 1, 503),  # whether it was done is not known
        (DatabaseRoute, raising("53300"), 9, 503),
        (DatabaseRoute, "SELECT * FROM nowhere", 1, 500),
    ],
)
def test_what_the_database_undid_is_done_again_and_what_is_away_is_503(
    url: str, kind: type[DatabaseRoute], failing: str, times: int, status: int
) -> None:
    answer = client_of(url, kind, failing, times).post("/deed")
    assert answer.status_code == status
    assert ("retry-after" in answer.headers) == (status == 503)


def test_serve_says_what_workers_need(
    url: str, clips, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, pairs = clips
    create_study(url, design_text=DESIGN, pairs=pairs, audio_root=folder)
    assert command(["listen", "serve", url, "--workers", "13", "--port", "0"]) == 2
    said = capsys.readouterr().err
    assert f"13 workers need up to {13 * CONNECTIONS} connections" in said
    assert "PostgreSQL gives 97 (max_connections = 100, 3 of them reserved)" in said
    file = str(tmp_path / "study.sqlite")
    create_study(file, design_text=DESIGN, pairs=pairs, audio_root=folder)
    assert command(["listen", "serve", file, "--workers", "2", "--port", "0"]) == 2
    assert "several server processes need a study in PostgreSQL" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("postgresql://me:secret@127.0.0.1:1/study", "the database cannot be reached"),
        ("postgres://me:secret@127.0.0.1:1/study", "the database cannot be reached"),
        ("sqlite:///study.sqlite", "give the file of a study in SQLite"),
        ("mysql://me:secret@host/study", "not in 'mysql'"),
    ],
)
def test_a_database_that_cannot_be_had_is_told_without_its_password(
    place: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["listen", "status", place]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "secret" not in said
    assert "Traceback" not in said
