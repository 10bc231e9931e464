"""What a clip costs, what a million or a billion pairs take, and a simulated farm of 1,000 workers.

    python benchmarks/cluster_plan.py                    # measure, plan, simulate: 10 minutes
    python benchmarks/cluster_plan.py --core-hour 0.03   # plan again with another price

1. Unit costs are measured here, in processor time on one core: decode a clip, hear it, read its
   text, load the model; and of Ray: what its driver and its head spend on a chunk of clips.
2. The plan is arithmetic on them. Prices are assumptions. No GPU was measured: of a GPU the plan
   says only how many cores must decode for it at a given rate.
3. The farm is a discrete-event simulation (simpy) of `humanclap score --runner ray`: workers take
   chunks from a driver that serves one request at a time, some are slow, nodes die and come back,
   the driver dies once. Its times are the measured unit costs, its failures are assumptions.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import simpy
import soundfile
from ray_scoring import tree

from humanclap.demo.sounds import EVENTS, SAMPLE_RATE, synthesise

RESULT = Path(__file__).parent / "results" / "cluster_plan.json"
CLIP_S = 10.0
CLIPS = 60
CORES = 16
"""Of a node of the plan and of the farm."""
SIZES = (10**6, 10**9)
NODES = (1, 10, 100, 1000)
GPU_RATES = (100, 1000, 5000)
"""Clips a second that a GPU might hear: assumed, to see how many cores must decode for it."""


def spent(work: Callable[[], object]) -> float:
    """Seconds of processor time of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def make_clips(folder: Path, n: int, seconds: float) -> list[Path]:
    """Distinct synthesised clips, FLAC at 32 kHz."""
    generator = np.random.default_rng(0)
    names = list(EVENTS)
    paths = [folder / f"{number:05d}.flac" for number in range(n)]
    for number, path in enumerate(paths):
        samples = synthesise(names[number % len(names)], seconds, generator)
        soundfile.write(path, samples, SAMPLE_RATE)
    return paths


def model_costs(folder: Path) -> dict[str, float]:
    """Seconds of one core for each step of one clip and its text by `mini`; medians over clips."""
    from humanclap import HumanCLAP
    from humanclap.audio.load import decode
    from humanclap.clap.device import use_threads
    from humanclap.records import Pair
    from humanclap.scoring.settings import ScoringSettings

    use_threads(1)
    paths = make_clips(folder, CLIPS, CLIP_S)
    texts = [f"sound number {number} of a long list of sounds" for number in range(CLIPS)]
    model = HumanCLAP.from_pretrained("mini", settings=ScoringSettings(cache=False))
    rate = model.backbone.sample_rate
    heard = [decode(path, sample_rate=rate, most_s=60.0) for path in paths]
    decoding = [spent(lambda p=path: decode(p, sample_rate=rate, most_s=60.0)) for path in paths]
    reading = [spent(lambda t=text: model.embed_text(t)) for text in texts]
    scoring = []
    for path, text, found in zip(paths, texts, heard, strict=True):
        pair = Pair(audio=str(path), text=text)
        scoring.append(
            spent(lambda p=pair, f=found: list(model.score_pairs([p], source_of=lambda _: f)))
        )
    return {
        "decode_s": median(decoding),
        "read_text_s": median(reading),
        "score_s": median(scoring),
        "score_sd_log": float(np.std(np.log(scoring))),
        "flac_bytes": median(path.stat().st_size for path in paths),
        "wav_bytes": CLIP_S * SAMPLE_RATE * 2,
        "load_s": start_s(),
    }


def start_s() -> float:
    """Seconds from an empty process to the first score; the median of three."""
    code = (
        "import numpy; from humanclap import HumanCLAP;"
        "HumanCLAP.from_pretrained('mini').score(numpy.ones(32000), 'a', sample_rate=32000)"
    )
    took = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        took.append(time.perf_counter() - start)
    return median(took)


def head_seconds(driver: int) -> dict[str, float]:
    """Processor time so far of the driver and of Ray's own processes below it, by kind."""
    found = {"driver": 0.0, "head": 0.0}
    ticks = os.sysconf("SC_CLK_TCK")
    for process in tree(driver):
        try:
            begin, _, rest = Path(f"/proc/{process}/stat").read_text().rpartition(")")
        except OSError:
            continue
        name, fields = begin.partition("(")[2], rest.split()
        seconds = (int(fields[11]) + int(fields[12])) / ticks
        if process == driver:
            found["driver"] = seconds
        elif name in ("gcs_server", "raylet"):
            found["head"] += seconds
    return found


def ray_costs(folder: Path, pairs: tuple[int, int] = (280, 1680)) -> dict[str, float]:
    """What driver and head spend on a chunk: the slope between a short and a longer manifest.

    Reading the manifest, waiting, writing parts and the table at the end are shared in it.
    """
    from humanclap.cluster.decoding import CHUNK_CLIPS

    clips = make_clips(folder, 140, CLIP_S)
    found = []
    for n in pairs:
        manifest = folder / f"{n}.csv"
        rows = [f"{clips[row % 140].name},text {row}" for row in range(n)]
        manifest.write_text("audio,text\n" + "\n".join(rows) + "\n")
        command = [sys.executable, "-m", "humanclap", "score", str(manifest), "--runner", "ray",
                   "--no-cache", "-q", "-o", str(folder / f"{n}.parquet"),
                   "--shard-rows", "140"]  # fmt: skip
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            last = {"driver": 0.0, "head": 0.0}
            while process.poll() is None:
                now = head_seconds(process.pid)
                last = {kind: max(last[kind], now[kind]) for kind in last}
                time.sleep(0.2)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
        found.append(last)
    chunks = (pairs[1] - pairs[0]) / CHUNK_CLIPS  # as long as Ray does not join some
    return {
        "driver_s_a_chunk": (found[1]["driver"] - found[0]["driver"]) / chunks,
        "head_s_a_chunk": (found[1]["head"] - found[0]["head"]) / chunks,
        "chunk_clips": CHUNK_CLIPS,
        "measured_chunks": chunks,
    }


def sheet(costs: dict[str, float], core_hour: float) -> dict[str, Any]:
    """Time, money and bytes of SIZES pairs, each a clip of CLIP_S and a text of its own."""
    a_pair = costs["decode_s"] + costs["score_s"]
    plans = [
        {
            "pairs": pairs,
            "nodes": nodes,
            "hours": pairs * a_pair / (nodes * CORES) / 3600,
            "core_hours": pairs * a_pair / 3600,
            "price": pairs * a_pair / 3600 * core_hour,
            "wav_tb": pairs * costs["wav_bytes"] / 1e12,
            "node_mb_s": CORES / a_pair * costs["wav_bytes"] / 1e6,
        }
        for pairs in SIZES
        for nodes in NODES
    ]
    shares = {
        "decode": costs["decode_s"] / a_pair,
        "text": costs["read_text_s"] / a_pair,
        "hear": (costs["score_s"] - costs["read_text_s"]) / a_pair,
    }
    return {
        "core_hour": core_hour,
        "plans": plans,
        "shares": shares,
        "cores_for_a_gpu": {str(rate): rate * costs["decode_s"] for rate in GPU_RATES},
    }


@dataclass(frozen=True, kw_only=True)
class Farm:
    """One simulated run, in seconds. slow_share of the cores take slow_times as long.

    drivers: they share pairs and workers, each on a node with its workers, and dies with it.
    """

    pairs: int
    workers: int
    shard_rows: int
    chunk_clips: int
    clip_s: float
    clip_sd_log: float
    driver_s: float
    start_s: float
    slow_share: float = 0.0
    slow_times: float = 3.0
    node_deaths_an_hour: float = 0.0
    node_back_s: float = 180.0
    driver_dies: bool = False
    driver_back_s: float = 120.0
    drivers: int = 1
    seed: int = 0


class Run:
    """Chunks in, shards out: who works on what, what is lost, and what is written."""

    def __init__(self, farm: Farm) -> None:
        self.farm = farm
        self.random = np.random.default_rng(farm.seed)
        self.env = simpy.Environment()
        self.driver = simpy.Resource(self.env)
        a_shard = math.ceil(farm.shard_rows / farm.chunk_clips)
        self.shards = math.ceil(farm.pairs / farm.shard_rows)
        self.a_shard = a_shard
        self.pending = deque(range(self.shards * a_shard))
        self.kept: list[set[int]] = [set() for _ in range(self.shards)]
        self.written = [0] * self.shards
        self.left = self.shards
        self.life = 0
        self.busy = self.wasted = 0.0
        self.deaths = 0
        self.done = self.env.event()
        self.more = self.env.event()
        self.workers = [self.env.process(self.work(number)) for number in range(farm.workers)]
        if farm.node_deaths_an_hour:
            for node in range(farm.workers // CORES):
                self.env.process(self.die(node))

    def give_back(self, chunks: Iterator[int]) -> None:
        """Chunks that are to be scored again, before the others."""
        self.pending.extendleft(chunks)
        self.more.succeed()
        self.more = self.env.event()

    def work(self, number: int) -> Generator[Any, Any, None]:
        """A worker: take a chunk by the driver, score it, hand it in; begin again after a death."""
        farm = self.farm
        slow = farm.slow_times if self.random.random() < farm.slow_share else 1.0
        back_s = farm.start_s
        chunk: int | None = None
        start = 0.0
        while self.left:
            try:
                yield self.env.timeout(back_s)
                back_s = 0.0
                while self.left:
                    while not self.pending and self.left:
                        yield self.more | self.done
                    if not self.left:
                        return
                    chunk = self.pending.popleft()
                    yield from self.ask_driver()
                    start = self.env.now
                    noise = math.exp(self.random.normal(0, farm.clip_sd_log / 2))
                    yield self.env.timeout(farm.chunk_clips * farm.clip_s * slow * noise)
                    self.busy += self.env.now - start
                    start, life = 0.0, self.life
                    yield from self.ask_driver()
                    if life == self.life:
                        self.hand_in(chunk)
                    chunk = None
            except simpy.Interrupt as death:
                if start:
                    self.wasted += self.env.now - start
                if chunk is not None and not death.cause["driver"]:
                    self.give_back(iter([chunk]))
                chunk, start, back_s = None, 0.0, death.cause["back_s"] + farm.start_s

    def ask_driver(self) -> Generator[Any, Any, None]:
        """Half of what the driver spends on a chunk: it serves one worker at a time."""
        with self.driver.request() as turn:
            yield turn
            yield self.env.timeout(self.farm.driver_s / 2)

    def hand_in(self, chunk: int) -> None:
        """A chunk's scores; a shard whose chunks are all there is written."""
        shard = chunk // self.a_shard
        self.kept[shard].add(chunk)
        if len(self.kept[shard]) == self.a_shard:
            self.written[shard] += 1
            self.left -= 1
            if not self.left:
                self.done.succeed()
            elif self.farm.driver_dies and not self.life and self.left <= self.shards // 2:
                self.env.process(self.fall(self.farm.driver_back_s))

    def fall(self, back_s: float) -> Generator[Any, Any, None]:
        """The driver dies: workers begin again, and so do the shards that are not written."""
        self.life += 1
        yield self.env.timeout(0)
        lost = [s for s in range(self.shards) if not self.written[s]]
        a_chunk = self.farm.chunk_clips * self.farm.clip_s
        self.wasted += sum(len(self.kept[shard]) for shard in lost) * a_chunk
        self.pending = deque()
        for shard in lost:
            self.kept[shard] = set()
            self.pending.extend(range(shard * self.a_shard, (shard + 1) * self.a_shard))
        for worker in self.workers:
            if worker.is_alive:
                worker.interrupt({"driver": True, "back_s": back_s})
        self.more.succeed()
        self.more = self.env.event()

    def die(self, node: int) -> Generator[Any, Any, None]:
        """A node dies from time to time, with all its workers."""
        mean = 3600 / self.farm.node_deaths_an_hour
        while self.left:
            yield self.env.timeout(self.random.exponential(mean)) | self.done
            if not self.left:
                return
            self.deaths += 1
            if self.farm.drivers > 1:
                yield self.env.process(self.fall(self.farm.node_back_s))
                continue
            for worker in self.workers[node * CORES : (node + 1) * CORES]:
                if worker.is_alive:
                    worker.interrupt({"driver": False, "back_s": self.farm.node_back_s})

    def until_all_is_written(self) -> float:
        """Run it: how many seconds it takes."""
        self.env.run(self.done)
        if any(written != 1 for written in self.written):
            raise AssertionError("a shard was written twice")
        return float(self.env.now)


def simulated(farm: Farm) -> dict[str, float]:
    """Run a farm. efficiency: of what all workers could have scored in the time that it took."""
    n = farm.drivers
    each = replace(farm, pairs=farm.pairs // n, workers=farm.workers // n)
    runs = [Run(replace(each, seed=farm.seed + number)) for number in range(n)]
    took = max(run.until_all_is_written() for run in runs)
    return {
        "hours": took / 3600,
        "pairs_a_second": farm.pairs / took,
        "efficiency": farm.pairs * farm.clip_s / farm.workers / took,
        "wasted": sum(run.wasted for run in runs) / (took * farm.workers),
        "node_deaths": sum(run.deaths for run in runs),
        "shards_written_once": sum(sum(run.written) for run in runs),
    }


def farms(costs: dict[str, float]) -> list[tuple[str, Farm]]:
    """What is simulated: a plain farm, then one trouble after the other, then other sizes."""
    plain = Farm(
        pairs=5_000_000,
        workers=1000,
        shard_rows=500,
        chunk_clips=int(costs["chunk_clips"]),
        clip_s=costs["decode_s"] + costs["score_s"],
        clip_sd_log=costs["score_sd_log"],
        driver_s=costs["driver_s_a_chunk"],
        start_s=costs["load_s"],
    )
    slow = replace(plain, slow_share=0.02)
    dying = replace(slow, node_deaths_an_hour=0.5)
    last = replace(dying, driver_dies=True)
    nodes = {"workers": 1008, "drivers": 63, "pairs": 63 * 240_000, "driver_dies": False}
    return [
        ("one driver, no trouble", plain),
        ("one driver, chunks of four times as many clips",
         replace(plain, chunk_clips=4 * plain.chunk_clips)),
        ("one driver and 32 workers, no trouble",
         replace(plain, workers=32, pairs=160_000)),
        ("a driver on each node, no trouble", replace(plain, **nodes)),
        ("... and 2 % of the cores take three times as long", replace(slow, **nodes)),
        ("... and each node dies every two hours, and is back after 3 minutes",
         replace(dying, **nodes)),
        ("... with shards of 5,000 rows", replace(dying, **nodes | {"shard_rows": 5000})),
        ("one driver, all of that, and the driver dies in the middle", last),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--core-hour", type=float, default=0.04, help="price; an assumption")
    parser.add_argument("--measure", action="store_true", help="measure again what is stored")
    options = parser.parse_args()
    stored = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    costs = stored.get("costs")
    if costs is None or options.measure:
        with tempfile.TemporaryDirectory() as folder:
            costs = model_costs(Path(folder))
        with tempfile.TemporaryDirectory() as folder:
            costs |= ray_costs(Path(folder))
    farm = [{"name": name, "farm": asdict(one), **simulated(one)} for name, one in farms(costs)]
    found = {"costs": costs, "sheet": sheet(costs, options.core_hour), "farm": farm}
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
