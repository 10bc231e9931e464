"""Many listeners at once, and a server that is killed: nothing lost, nothing doubled, quotas exact.

    python benchmarks/listening_load.py
    python benchmarks/listening_load.py --trial clips      # an A/B study, 100 bots, two kills

200 bots take a study of 1,000 pairs x 20 ratings through real HTTP, 100 sounds each. Between two
answers a bot fetches the clip and thinks for 3 s on average (exponential): some four times as fast
as people who hear ten seconds. The server process gets SIGKILL five times on the way and is
started again at once; the bots try again, as the trial page does. Afterwards every acknowledged
answer is looked for in the database. Writes benchmarks/results/listening_load.json.

With --trial clips it is an A/B study of five systems: 500 comparisons x 8 choices by 100 bots, 40
each, two kills; the sides that stood first are counted too. Writes listening_load_choices.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import numpy as np
import soundfile

from humanclap.listening.design.comparisons import ABComparison
from humanclap.listening.rehearsal.bots import BotTiming, Browser, HeardByBot, bot_session
from humanclap.listening.study.study import create_study
from humanclap.records import Pair

CLIENT_PROCESSES = 2
LIMIT_MS = 100.0
DESIGN = """
title = "Load"
seed = 1
[quota]
ratings_per_pair = {ratings}
[session]
pairs = {session}
anchors = 0
attention_checks = 0
practice = 0
volume_check = false
"""

COMPARED = DESIGN.replace("seed = 1", 'seed = 1\ntrial = "clips"').replace(
    "ratings_per_pair", "choices_per_comparison"
)
SYSTEMS = 5
USUAL = {
    "rating": {"listeners": 200, "pairs": 1000, "ratings": 20, "session": 100, "kills": 5},
    "clips": {"listeners": 100, "pairs": 500, "ratings": 8, "session": 40, "kills": 2},
}
"""Settings by kind of trial, where none are given."""
RESULTS = {"rating": "listening_load.json", "clips": "listening_load_choices.json"}


def make_study(folder: Path, settings: argparse.Namespace, where: str = "") -> Path:
    """A study whose clips are a tenth of a second of noise; where: a database's URL, or a file."""
    if settings.trial == "clips":
        return make_comparisons(folder, settings)
    generator = np.random.default_rng(0)
    pairs = []
    for number in range(settings.pairs):
        name = f"{number}.wav"
        soundfile.write(folder / name, 0.1 * generator.standard_normal(800), 8000)
        pairs.append(Pair(audio=name, text=f"caption {number}", system=f"system {number % 5}"))
    path = folder / "study.sqlite"
    design = DESIGN.format(ratings=settings.ratings, session=settings.session)
    create_study(where or str(path), design_text=design, pairs=pairs, audio_root=folder)
    return path


def make_comparisons(folder: Path, settings: argparse.Namespace) -> Path:
    """An A/B study: each two of five systems against each other, for one text after the other."""
    generator = np.random.default_rng(0)
    items: list[ABComparison] = []
    number = 0
    while len(items) < settings.pairs:
        sides = []
        for system in range(SYSTEMS):
            name = f"{number}-{system}.wav"
            soundfile.write(folder / name, 0.1 * generator.standard_normal(800), 8000)
            text, made_by = f"caption {number}", f"system {system}"
            sides.append(Pair(audio=name, text=text, system=made_by))
        items += [ABComparison(first=one, second=other) for one, other in combinations(sides, 2)]
        number += 1
    path = folder / "study.sqlite"
    design = COMPARED.format(ratings=settings.ratings, session=settings.session)
    create_study(str(path), design_text=design, pairs=items[: settings.pairs], audio_root=folder)
    return path


class Server:
    """`humanclap listen serve` in a process that can be killed."""

    def __init__(self, study: Path | str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [
            sys.executable, "-m", "humanclap", "listen", "serve", str(study), "--quiet",
            "--port", str(self.port), "--allow-simulated", "--starts-per-minute", "100000",
            "--requests-per-minute", "10000000",
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start and wait until it answers; seconds that took."""
        begin = time.perf_counter()
        environment = {**os.environ, "HUMANCLAP_ADMIN_TOKEN": "a-token-for-the-load-run"}
        self._process = subprocess.Popen(self._command, env=environment)
        browser = Browser(self.url)
        while browser.request("GET", "/health").status != 200:
            time.sleep(0.05)
        browser.close()
        return time.perf_counter() - begin

    def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is flushed."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """End as an operator does."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


def answer_of(generator: random.Random, heard: HeardByBot) -> dict[str, float]:
    """Any button of the study's question."""
    if len(heard.clips) == 2:
        return {"CHOICE": float(generator.choice((-1, 0, 1)))}
    return {"REL": float(generator.randint(0, 10))}


def take_part(
    url: str, number: int, think_s: float, spread_s: float, leave: int
) -> list[BotTiming]:
    """One bot, from the welcome page to the completion code.

    spread_s: it comes within so many seconds; leave: it closes its browser once and comes back
    after 1 to so many answers (0: never).
    """
    generator = random.Random(number)
    time.sleep(generator.uniform(0, spread_s))
    timings = bot_session(
        url,
        rate=lambda heard: answer_of(generator, heard),
        think=lambda: generator.expovariate(1 / think_s) if think_s else 0.0,
        leave_after=generator.randint(1, leave) if leave else 0,
    )
    return list(timings)


def crowd(
    url: str, numbers: list[int], think_s: float, spread_s: float, leave: int
) -> list[BotTiming]:
    """Several bots at once in one process. Any error of a bot ends the run."""
    with ThreadPoolExecutor(len(numbers)) as pool:
        done = [pool.submit(take_part, url, n, think_s, spread_s, leave) for n in numbers]
        return [timing for future in done for timing in future.result()]


def taken(
    url: str, listeners: int, think_s: float, spread_s: float, leave: int = 0
) -> tuple[list[BotTiming], float]:
    """All bots, in CLIENT_PROCESSES processes: their timings, and seconds that it lasted."""
    begin = time.perf_counter()
    shares = [list(range(i, listeners, CLIENT_PROCESSES)) for i in range(CLIENT_PROCESSES)]
    context = multiprocessing.get_context("spawn")  # a fork would copy the threads
    with ProcessPoolExecutor(CLIENT_PROCESSES, mp_context=context) as pool:
        futures = [pool.submit(crowd, url, s, think_s, spread_s, leave) for s in shares if s]
        timings = [timing for future in futures for timing in future.result()]
    return timings, time.perf_counter() - begin


def stored(study: Path) -> int:
    """How many answers are in the database now."""
    connection = sqlite3.connect(f"file:{study}?mode=ro", uri=True, timeout=30)
    try:
        return int(connection.execute("SELECT COUNT(*) FROM answers").fetchone()[0])
    finally:
        connection.close()


def killer(
    server: Server,
    study: Path,
    total: int,
    kills: int,
    starts_s: list[float],
    stop: threading.Event,
) -> None:
    """Kill the server each time another share of the answers is there."""
    for number in range(1, kills + 1):
        while stored(study) < total * number / (kills + 1):
            if stop.wait(0.5):
                return
        server.kill()
        starts_s.append(server.start())


def percentiles(values_s: list[float]) -> dict[str, float]:
    """Of seconds, in milliseconds."""
    return {
        f"p{p}_ms": round(1000 * float(np.percentile(values_s, p)), 1) for p in (50, 95, 99, 100)
    }


def verdict(
    study: Path, acknowledged: list[str], settings: argparse.Namespace
) -> dict[str, object]:
    """What the database holds, against what the bots were told."""
    connection = sqlite3.connect(study)
    in_database = [key for (key,) in connection.execute("SELECT answer_id FROM answers")]
    per_pair = [
        n
        for (n,) in connection.execute(
            "SELECT (SELECT COUNT(*) FROM trials t JOIN answers a ON a.trial_id = t.trial_id "
            "WHERE t.stimulus_id = p.stimulus_id) FROM stimuli p WHERE p.kind = 'pair'"
        )
    ]
    per_trial = connection.execute("SELECT COUNT(DISTINCT trial_id) FROM answers").fetchone()[0]
    healthy = connection.execute("PRAGMA integrity_check").fetchone()[0]
    connection.close()
    return {
        "answers_acknowledged": len(acknowledged),
        "answers_in_database": len(in_database),
        "acknowledged_but_lost": len(set(acknowledged) - set(in_database)),
        "stored_but_never_acknowledged": len(set(in_database) - set(acknowledged)),
        "doubled": len(in_database) - per_trial,
        "ratings_per_pair": {str(n): k for n, k in sorted(Counter(per_pair).items())},
        "quotas_exact": set(per_pair) == {settings.ratings},
        "database_integrity": healthy,
        **(sides(study, settings.ratings) if settings.trial == "clips" else {}),
    }


def sides(study: Path, choices: int) -> dict[str, object]:
    """Which side stood first, by comparison and by pair of systems; and choices by the latter.

    Balanced: for every comparison of that many choices each side as often, or once more.
    """
    connection = sqlite3.connect(study)
    found = connection.execute(
        "SELECT p.stimulus_id, p.system, p.system_b, t.swapped FROM trials t "
        "JOIN answers a ON a.trial_id = t.trial_id JOIN stimuli p ON p.stimulus_id = t.stimulus_id"
    ).fetchall()
    connection.close()
    leaning: Counter[str] = Counter()
    first: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for stimulus_id, system, system_b, swapped in found:
        leaning[stimulus_id] += -1 if swapped else 1
        group = f"{system} vs {system_b}"
        first[group] += not swapped
        total[group] += 1
    return {
        "choices_per_pair_of_systems": dict(sorted(total.items())),
        "first_named_stood_first": {group: first[group] for group in sorted(total)},
        "comparisons_by_lead_of_a_side": {
            str(n): k for n, k in sorted(Counter(abs(n) for n in leaning.values()).items())
        },
        "sides_balanced": max(map(abs, leaning.values())) <= choices % 2,
    }


def measure(settings: argparse.Namespace) -> dict[str, object]:
    """One run; the figures."""
    total = settings.pairs * settings.ratings
    with tempfile.TemporaryDirectory(prefix="humanclap-load-") as name:
        study = make_study(Path(name), settings)
        server, starts_s, stop = Server(study), [], threading.Event()
        first_start_s = server.start()
        arguments = (server, study, total, settings.kills, starts_s, stop)
        thread = threading.Thread(target=killer, args=arguments)
        thread.start()
        timings, lasted_s = taken(
            server.url, settings.listeners, settings.think_s, spread_s=settings.think_s
        )
        stop.set()
        thread.join()
        server.kill()
        undisturbed = [t.exchange_s for t in timings]
        p95_ms = 1000 * float(np.percentile(undisturbed, 95))
        return {
            "listeners": settings.listeners,
            "trial": settings.trial,
            "pairs": settings.pairs,
            "think_s": settings.think_s,
            "kills": len(starts_s),
            "lasted_s": round(lasted_s, 1),
            "answers_per_s": round(len(timings) / lasted_s, 1),
            "acknowledgement": percentiles(undisturbed),
            "acknowledgement_with_waiting_for_a_killed_server": percentiles(
                [t.seconds for t in timings]
            ),
            "p95_under_100_ms": p95_ms < LIMIT_MS,
            "server_start_s": round(statistics.median([first_start_s, *starts_s]), 2),
            **verdict(study, [t.answer_id for t in timings], settings),
        }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trial", choices=tuple(USUAL), default="rating")
    for name in USUAL["rating"]:
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--think-s", type=float, default=3.0)
    parser.add_argument("--output", type=Path)
    settings = parser.parse_args()
    for name, usual in USUAL[settings.trial].items():
        if getattr(settings, name) is None:
            setattr(settings, name, usual)
    settings.output = settings.output or (
        Path(__file__).parent / "results" / RESULTS[settings.trial]
    )
    load_before = os.getloadavg()[0]
    result = {
        "command": " ".join(["python", "benchmarks/listening_load.py", *sys.argv[1:]]),
        "machine": f"{os.cpu_count()} CPU cores, bots and server on the same machine",
        "load_average_before": round(load_before, 2),
        **measure(settings),
    }
    settings.output.parent.mkdir(parents=True, exist_ok=True)
    settings.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
