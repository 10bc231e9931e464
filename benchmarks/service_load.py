"""A scoring service under 50 clients: codes, latency, memory, and throughput against batch scoring.

    python benchmarks/service_load.py --minutes 5

Clips of 5-10 s (filtered noise, 16 to 48 kHz) are written once. A process of its own scores them
all, again and again, by `HumanCLAP.score_pairs`, before and after the service's run, for a fifth of
its time each; their clips per second, by the clock and by the CPU seconds that the process used,
are what the service is held against. In between `humanclap serve` (mini, fp32, no cache) is asked
by 50 clients in a closed loop from two other processes on the same machine; each sends one of
these files with its text, waits for the score, and asks for the next. Meanwhile hostile requests
are sent. A clip's score must be that of `score_pairs` within 1e-6. CPU seconds of the service are
its own account (/metrics). Writes benchmarks/results/service_load.json.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import soundfile
from prometheus_client.parser import text_string_to_metric_families

from humanclap.audio.decode import SoundBytes
from humanclap.records import Pair
from humanclap.serving.packed import MEDIA_TYPE, packed

HERE = Path(__file__).parent
RATES = (16_000, 24_000, 32_000, 44_100, 48_000)
CLIENT_PROCESSES = 2
WARM_UP_S = 20.0
SAMPLE_S = 2.0


def pairs_of(folder: Path, count: int) -> list[Pair]:
    """The clips, which are written where they are not there, and a text for each."""
    rng = np.random.default_rng(0)
    pairs = []
    for number in range(count):
        rate, seconds = RATES[number % len(RATES)], float(rng.uniform(5, 10))
        path = folder / f"{number}.wav"
        noise = np.convolve(rng.standard_normal(round(seconds * rate)), np.ones(1 + number % 9))
        if not path.exists():
            soundfile.write(path, 0.1 * noise / noise.std(), rate, subtype="PCM_16")
        pairs.append(Pair(audio=path.name, text=f"noise number {number % 40}"))
    return pairs


def batch(folder: Path, count: int, seconds: float) -> dict[str, Any]:
    """Score all clips again and again for so long; in a process that does nothing else."""
    from humanclap.scoring.scorer import HumanCLAP
    from humanclap.scoring.settings import ScoringSettings

    pairs = pairs_of(folder, count)
    scorer = HumanCLAP.from_pretrained("mini", settings=ScoringSettings(cache=False), offline=True)
    scores = {row.audio: row.score for row in scorer.score_pairs(pairs, audio_root=folder)}
    begin, cpu, clips = time.perf_counter(), time.process_time(), 0
    while (took := time.perf_counter() - begin) < seconds:
        clips += len(list(scorer.score_pairs(pairs, audio_root=folder)))
    return {"clips": clips, "wall_s": took, "cpu_s": time.process_time() - cpu, "scores": scores}


def batch_apart(folder: Path, count: int, seconds: float) -> dict[str, Any]:
    """`batch` in a process of its own."""
    command = [sys.executable, __file__, "--batch", str(folder), "--clips", str(count)]
    done = subprocess.run(
        [*command, "--seconds", str(seconds)], stdout=subprocess.PIPE, check=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def client(url: str, bodies: list[bytes], start: int, until: float) -> list[tuple[float, ...]]:
    """One client in a closed loop: (end, latency, code, clip, score) of each request."""
    found: list[tuple[float, ...]] = []
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    place = start
    while time.time() < until:
        place = (place + 1) % len(bodies)
        begin = time.perf_counter()
        connection.request("POST", "/v1/score", bodies[place], {"Content-Type": MEDIA_TYPE})
        response = connection.getresponse()
        reply = json.loads(response.read())
        score = reply["pairs"][0]["score"] if response.status == 200 else float("nan")
        took = time.perf_counter() - begin
        found.append((time.time(), took, response.status, place, score))
        if response.status == 429:
            time.sleep(float(response.headers["retry-after"]))
    connection.close()
    return found


def clients(
    url: str, folder: Path, count: int, starts: list[int], until: float
) -> tuple[list[tuple[float, ...]], float]:
    """Several clients in threads; what they saw, and the CPU seconds that took."""
    bodies = [
        packed(
            [SoundBytes(data=(folder / pair.audio).read_bytes(), name=pair.audio)],
            [pair.text],
            one=(False, True),
        )
        for pair in pairs_of(folder, count)
    ]
    before = time.process_time()
    with ThreadPoolExecutor(len(starts)) as pool:
        seen = list(pool.map(lambda start: client(url, bodies, start, until), starts))
    return [one for of_client in seen for one in of_client], time.process_time() - before


def hostile() -> dict[str, tuple[dict[str, str], bytes]]:
    """Requests to be refused: headers and body."""
    samples = base64.b64encode(np.full(16_000, 0.1, np.float32).tobytes()).decode()
    nan = base64.b64encode(np.full(16_000, np.nan, np.float32).tobytes()).decode()

    def said(**changes: object) -> bytes:
        clip = {"samples": samples, "sample_rate": 16_000, **changes}
        return json.dumps({"clips": clip, "texts": "rain"}).encode()

    with tempfile.NamedTemporaryFile(suffix=".flac") as file:
        soundfile.write(file.name, np.zeros(8000 * 7200, np.int16), 8000)
        bomb_bytes = Path(file.name).read_bytes()
    json_type = {"Content-Type": "application/json"}
    form = {"Content-Type": "multipart/form-data; boundary=xx"}
    part = b'--xx\r\nContent-Disposition: form-data; name="text"\r\n\r\na\r\n'
    flac = base64.b64encode(bomb_bytes).decode()
    return {
        "wrong JSON": (json_type, b"{"),
        "deep nesting": (json_type, b"[" * 100_000),
        "a path for a clip": (json_type, b'{"clips": "/etc/passwd", "texts": "a"}'),
        "an address for a clip": (json_type, b'{"clips": {"url": "http://x"}, "texts": "a"}'),
        "NaN samples": (json_type, said(samples=nan)),
        "a negative rate": (json_type, said(sample_rate=-1)),
        "a rate of 2 GHz": (json_type, said(sample_rate=2**31 - 1)),
        "no samples": (json_type, said(samples="")),
        "half a character": (json_type, b'{"clips": {}, "texts": "\\ud800"}'),
        "a FLAC of two hours": (
            json_type, json.dumps({"clips": {"file": flac}, "texts": "rain"}).encode()
        ),
        "gzip": ({**json_type, "Content-Encoding": "gzip"}, b"x"),
        "another type": ({"Content-Type": "text/plain"}, b"x"),
        "thousands of parts": (form, part * 5000 + b"--xx--\r\n"),
        "a header of 2 GB": ({"Content-Type": MEDIA_TYPE}, b"\0\0\0\x80\0\0\0\0{}"),
    }  # fmt: skip


def attack(url: str, stop: threading.Event, seen: dict[str, Counter[int]]) -> None:
    """Send the hostile requests over and over; count their codes."""
    requests = hostile()
    while not stop.is_set():
        for name, (headers, body) in requests.items():
            connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
            connection.request("POST", "/v1/score", body, headers)
            response = connection.getresponse()
            response.read()
            connection.close()
            seen.setdefault(name, Counter())[response.status] += 1
            if stop.wait(1.0):
                return


def metrics(url: str) -> dict[str, float]:
    """Samples without labels."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    families = text_string_to_metric_families(text)
    return {s.name: s.value for family in families for s in family.samples if not s.labels}


def watch(url: str, stop: threading.Event, seen: list[tuple[float, float]]) -> None:
    """Resident megabytes of the service by time."""
    while not stop.wait(SAMPLE_S):
        seen.append((time.time(), metrics(url)["process_resident_memory_bytes"] / 1e6))


def serve(folder: Path, settings: argparse.Namespace) -> dict[str, Any]:
    """The service's run."""
    command = [sys.executable, "-m", "humanclap", "serve", "--port", "0", "--offline"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    url = process.stderr.readline().rpartition(" on ")[2].strip()
    begin = time.time() + WARM_UP_S
    until = begin + 60 * settings.minutes
    stop = threading.Event()
    memory: list[tuple[float, float]] = []
    refused: dict[str, Counter[int]] = {}
    others = [
        threading.Thread(target=watch, args=(url, stop, memory)),
        threading.Thread(target=attack, args=(url, stop, refused)),
    ]
    numbers = list(range(settings.clients))
    with ProcessPoolExecutor(CLIENT_PROCESSES) as pool:
        shares = [numbers[part::CLIENT_PROCESSES] for part in range(CLIENT_PROCESSES)]
        starts = [[7 * number % settings.clips for number in share] for share in shares]
        running = [
            pool.submit(clients, url, folder, settings.clips, share, until) for share in starts
        ]
        for thread in others:
            thread.start()
        time.sleep(max(0.0, begin - time.time()))
        first = metrics(url)
        time.sleep(max(0.0, until - time.time()))
        last = metrics(url)
        found = [future.result() for future in running]
    stop.set()
    for thread in others:
        thread.join()
    process.terminate()
    return {
        "seen": [one for seen, _ in found for one in seen if begin <= one[0] <= until],
        "client_cpu_s": sum(cpu for _, cpu in found),
        "cpu_s": last["process_cpu_seconds_total"] - first["process_cpu_seconds_total"],
        "windows": last["humanclap_batch_windows_sum"] - first["humanclap_batch_windows_sum"],
        "batches": last["humanclap_batch_windows_count"] - first["humanclap_batch_windows_count"],
        "memory": [(at - begin, mb) for at, mb in memory if at >= begin],
        "refused": {name: {str(k): n for k, n in c.items()} for name, c in refused.items()},
        "exit_code": process.wait(60),
    }


def summary(
    settings: argparse.Namespace, runs: list[dict[str, Any]], served: dict[str, Any]
) -> dict[str, Any]:
    """What is written."""
    seen = served["seen"]
    good = [one for one in seen if one[2] == 200]
    latencies = np.array([one[1] for one in good])
    names = [f"{number}.wav" for number in range(settings.clips)]
    drift = max(abs(score - runs[0]["scores"][names[int(at)]]) for *_, at, score in good)
    clips, wall_s = sum(r["clips"] for r in runs), sum(r["wall_s"] for r in runs)
    per_cpu_s = clips / sum(r["cpu_s"] for r in runs)
    at, mb = np.array(served["memory"]).T
    half = at > at[-1] / 2
    return {
        "clients": settings.clients,
        "minutes": settings.minutes,
        "clips": settings.clips,
        "requests": len(seen),
        "codes": dict(Counter(str(int(one[2])) for one in seen)),
        "latency_s": {f"p{p}": float(np.percentile(latencies, p)) for p in (50, 95, 99, 100)},
        "greatest_difference": drift,
        "clips_per_s": {
            "service": len(good) / (60 * settings.minutes),
            "batch": clips / wall_s,
            "batch_runs": [r["clips"] / r["wall_s"] for r in runs],
        },
        "clips_per_cpu_s": {
            "service": len(good) / served["cpu_s"],
            "batch": per_cpu_s,
            "batch_runs": [r["clips"] / r["cpu_s"] for r in runs],
        },
        "cpu_s": {"service": served["cpu_s"], "clients": served["client_cpu_s"]},
        "windows_a_batch": served["windows"] / served["batches"],
        "memory_mb": {
            "first_half": float(mb[~half].mean()),
            "second_half": float(mb[half].mean()),
            "most": float(mb.max()),
        },
        "hostile": served["refused"],
        "exit_code": served["exit_code"],
        "processors": len(os.sched_getaffinity(0)),
        "load": os.getloadavg(),
        "max_rss_of_children_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "service_load.json")
    parser.add_argument("--batch", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=0.0, help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.batch is not None:
        print(json.dumps(batch(settings.batch, settings.clips, settings.seconds)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pairs_of(folder, settings.clips)
        share_s = 60 * settings.minutes / 5
        before = batch_apart(folder, settings.clips, share_s)
        served = serve(folder, settings)
        after = batch_apart(folder, settings.clips, share_s)
    result = summary(settings, [before, after], served)
    settings.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
