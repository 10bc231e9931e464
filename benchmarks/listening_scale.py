"""A study in PostgreSQL, served by several processes, taken by 1,000 simulated listeners at once.

    python benchmarks/listening_scale.py                        # the whole: 50,000 answers
    python benchmarks/listening_scale.py --listeners 100 --session 10   # small

Three parts, each with a PostgreSQL server of its own in a temporary folder, real HTTP, and bots,
server processes and database on the same machine:

1. pace: all listeners at once; a bot thinks 10 s on average (exponential) between two answers, as a
   person does who hears a clip of some seconds. On the way server processes get SIGKILL, the whole
   service is killed and started again, and the database is restarted and crashed. Each bot closes
   its browser once in the middle and comes back.
2. size: with the answers of part 1 in the database, how long each page, the export and the
   slowest statements take.
3. rate: fewer bots that do not wait, with 1, 2, ... server processes: answers a second, and the
   processor's time that server processes and database spend on an answer, all pages included.

Afterwards every acknowledged answer is looked for in the database. Writes
benchmarks/results/listening_scale.json.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "listening"))

from listening_load import Server, make_study, percentiles, taken
from postgres_server import PostgresServer, postgres_server, server_processes

from humanclap.listening.rehearsal import bots
from humanclap.listening.rehearsal.bots import BotTiming
from humanclap.listening.results.export import export_study
from humanclap.listening.results.monitor import overview
from humanclap.listening.study.database import Database, rows
from humanclap.listening.study.study import open_study

OUTPUT = Path(__file__).parent / "results" / "listening_scale.json"
bots.RETRIES = 300  # twenty minutes, as a page that stays open
RATE_LISTENERS = 48
"""Bots that do not wait, at once: more would only wait for each other."""


class Workers(Server):
    """`humanclap listen serve URL --workers N`, whose processes can be killed one by one."""

    def __init__(self, study: str, workers: int) -> None:
        super().__init__(study)
        self._command += ["--workers", str(workers)]

    def processes(self) -> list[int]:
        """The server processes below the supervisor; one alone has none."""
        assert self._process is not None
        return server_processes(self._process.pid) or [self._process.pid]

    def kill(self) -> None:
        """SIGKILL to the supervisor and every server process."""
        processes = self.processes()
        super().kill()
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        while any(Path(f"/proc/{process}").exists() for process in processes):
            time.sleep(0.01)

    def kill_one(self) -> None:
        """SIGKILL to one server process; its supervisor starts another."""
        os.kill(self.processes()[0], signal.SIGKILL)


class Disturber(threading.Thread):
    """Does one harm after the other, each when another share of the answers is there."""

    def __init__(
        self, server: Workers, postgres: PostgresServer, study: str, total: int, harms: list[str]
    ) -> None:
        super().__init__(daemon=True)
        self._server, self._postgres, self._study, self._total = server, postgres, study, total
        self._harms = harms
        self.stop = threading.Event()
        self.done: list[str] = []

    def run(self) -> None:
        """One after the other."""
        for number, harm in enumerate(self._harms, start=1):
            while self._answers() < self._total * number / (len(self._harms) + 1):
                if self.stop.wait(0.5):
                    return
            getattr(self, f"_{harm}")()
            self.done.append(harm)

    def _answers(self) -> int:
        return int(ask(self._study, "SELECT COUNT(*) FROM answers")[0][0])

    def _worker(self) -> None:
        self._server.kill_one()

    def _service(self) -> None:
        self._server.kill()
        self._server.start()

    def _restart(self) -> None:
        self._postgres.stop("fast")
        self._postgres.start()

    def _crash(self) -> None:
        self._postgres.stop("immediate")
        self._postgres.start()


def ask(study: str, query: str) -> list[tuple[Any, ...]]:
    """Rows of a query."""
    with psycopg.connect(study) as connection:
        return connection.execute(query).fetchall()


def verdict(study: str, acknowledged: list[str], ratings: int) -> dict[str, object]:
    """What the database holds, against what the bots were told."""
    stored = {key for (key,) in ask(study, "SELECT answer_id FROM answers")}
    per_trial = ask(study, "SELECT COUNT(DISTINCT trial_id) FROM answers")[0][0]
    per_pair = ask(
        study,
        "SELECT COUNT(a.answer_id) FROM stimuli p LEFT JOIN trials t USING (stimulus_id) "
        "LEFT JOIN answers a USING (trial_id) WHERE p.kind = 'pair' GROUP BY p.stimulus_id",
    )
    sessions = ask(study, "SELECT state, COUNT(*) FROM sessions GROUP BY state ORDER BY state")
    return {
        "answers_acknowledged": len(acknowledged),
        "answers_in_database": len(stored),
        "acknowledged_but_lost": len(set(acknowledged) - stored),
        "stored_but_never_acknowledged": len(stored - set(acknowledged)),
        "doubled": len(stored) - per_trial,
        "ratings_per_pair": {str(n): k for n, k in sorted(Counter(n for (n,) in per_pair).items())},
        "quotas_exact": {n for (n,) in per_pair} == {ratings},
        "sessions": {state: int(n) for state, n in sessions},
    }


def answered(timings: list[BotTiming], lasted_s: float) -> dict[str, object]:
    """How fast answers were acknowledged."""
    return {
        "lasted_s": round(lasted_s, 1),
        "answers_per_s": round(len(timings) / lasted_s, 1),
        "acknowledgement": percentiles([t.exchange_s for t in timings]),
        "acknowledgement_with_waiting": percentiles([t.seconds for t in timings]),
    }


def pace(
    server: Workers, postgres: PostgresServer, study: str, settings: argparse.Namespace
) -> dict[str, object]:
    """Part 1: all listeners at once, and harm on the way."""
    total = settings.listeners * settings.session
    disturber = Disturber(server, postgres, study, total, settings.harms)
    disturber.start()
    spread_s = max(10.0, 2 * settings.think_s)
    timings, lasted_s = taken(
        server.url, settings.listeners, settings.think_s, spread_s, leave=settings.session - 1
    )
    disturber.stop.set()
    disturber.join()
    return {
        "listeners": settings.listeners,
        "workers": settings.workers,
        "think_s": settings.think_s,
        "harms": dict(Counter(disturber.done)),
        **answered(timings, lasted_s),
        **verdict(study, [t.answer_id for t in timings], settings.ratings),
    }


def timed(work: Callable[[], object]) -> float:
    """Milliseconds of the median of three."""
    spent = []
    for _ in range(3):
        begin = time.perf_counter()
        work()
        spent.append(1000 * (time.perf_counter() - begin))
    return round(sorted(spent)[1], 1)


def size(study: str, folder: Path) -> dict[str, object]:
    """Part 2: the researcher's view and the export at this size."""
    opened = open_study(study)
    try:
        view = timed(lambda: overview(opened, simulated=True))
        export = timed(lambda: export_study(opened, folder / "export", simulated=True))
    finally:
        opened.close()
    return {"overview_ms": view, "export_ms": export, "statements_ms": statements(study)}


def statements(study: str) -> dict[str, float]:
    """The slowest kinds of statements of the run so far: mean milliseconds, and how many."""
    database = Database(study)
    try:
        with database.read() as connection:
            found = rows(
                connection,
                "SELECT left(regexp_replace(query, '\\s+', ' ', 'g'), 100) AS query, calls, "
                "mean_exec_time AS ms FROM pg_stat_statements WHERE calls > 20 "
                "ORDER BY mean_exec_time DESC LIMIT 8",
            )
    finally:
        database.close()
    return {item["query"]: round(item["ms"], 2) for item in found}


def processor_s(processes: list[int]) -> float:
    """Seconds of processor that processes and their ended children have used so far."""
    ticks = 0
    for process in processes:
        with suppress(OSError):
            after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2]
            ticks += sum(map(int, after_name.split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def rate(settings: argparse.Namespace) -> list[dict[str, object]]:
    """Part 3: answers a second with more and more server processes."""
    found = []
    for workers in settings.rates:
        with tempfile.TemporaryDirectory() as name, postgres_server() as postgres:
            small = argparse.Namespace(**vars(settings))
            small.pairs = RATE_LISTENERS * settings.session // 4
            small.ratings = 4
            study = postgres.new_database()
            make_study(Path(name), small, where=study)
            server = Workers(study, workers)
            server.start()
            begin = processor_s(server.processes()), processor_s(postgres.processes())
            try:
                timings, lasted_s = taken(
                    server.url, RATE_LISTENERS, 0.0, 0.0, leave=settings.session - 1
                )
                end = processor_s(server.processes()), processor_s(postgres.processes())
            finally:
                server.stop()
            told = [t.answer_id for t in timings]
            found.append(
                {
                    "workers": workers,
                    "listeners": RATE_LISTENERS,
                    **answered(timings, lasted_s),
                    "processor_ms_per_answer": {
                        name: round(1000 * (after - before) / len(timings), 2)
                        for name, before, after in zip(
                            ("server", "postgresql"), begin, end, strict=True
                        )
                    },
                    "quotas_exact": verdict(study, told, 4)["quotas_exact"],
                }
            )
    return found


def measure(settings: argparse.Namespace) -> dict[str, object]:
    """All parts; the figures."""
    with (
        tempfile.TemporaryDirectory(prefix="humanclap-scale-") as name,
        postgres_server("-c shared_preload_libraries=pg_stat_statements") as postgres,
    ):
        study = postgres.new_database()
        make_study(Path(name), settings, where=study)
        with psycopg.connect(study) as connection:
            connection.execute("CREATE EXTENSION pg_stat_statements")
        server = Workers(study, settings.workers)
        start_s = server.start()
        try:
            paced = pace(server, postgres, study, settings)
        finally:
            server.stop()
        sized = size(study, Path(name))
    return {
        "pairs": settings.pairs,
        "ratings": settings.ratings,
        "session": settings.session,
        "server_start_s": round(start_s, 2),
        "pace": paced,
        "size": sized,
        "rate": rate(settings),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listeners", type=int, default=1000)
    parser.add_argument("--session", type=int, default=50, help="sounds of a session")
    parser.add_argument("--ratings", type=int, default=20, help="of each pair")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--think-s", type=float, default=10.0)
    parser.add_argument(
        "--harms", nargs="*", default=["worker", "restart", "service", "crash", "worker"],
        choices=["worker", "service", "restart", "crash"],
    )  # fmt: skip
    parser.add_argument("--rates", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--output", type=Path, default=OUTPUT)
    settings = parser.parse_args()
    settings.trial = "rating"
    settings.pairs = settings.listeners * settings.session // settings.ratings
    load_before = os.getloadavg()[0]
    result = {
        "command": " ".join(["python", "benchmarks/listening_scale.py", *sys.argv[1:]]),
        "machine": f"{os.cpu_count()} CPU cores; bots, server processes and PostgreSQL on it",
        "load_average_before": round(load_before, 2),
        **measure(settings),
    }
    settings.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
