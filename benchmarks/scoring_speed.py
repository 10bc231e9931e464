"""Clips with captions to scores, against transformers' documented pipeline; memory on long work.

    python benchmarks/scoring_speed.py [--clips 200] [--rounds 5] [--many 2000] [--hours 1]
        [--only WAY]

Clips: generated FLAC of 10 s, 44.1 kHz, stereo, read from disk; 40 distinct captions. Model: a
ClapModel of the size of laion/clap-htsat-unfused with random weights (nothing is downloaded) in
every precision, and `mini`; with OpenVINO and ONNX Runtime where they are installed. Theirs, as
documented: every clip by librosa.load (where librosa is not installed, by soundfile and soxr, which
is what it does), ClapProcessor and ClapModel, batch by batch, at the quickest of several batch
sizes. Ours: `HumanCLAP.score_pairs`, the cache off. Every round runs each way once, in an order
that turns; ratios are taken within a round, of time on the clock and of processor time, which other
work on the machine hardly moves. Then, each in a process of its own with `mini`: peak memory and
time of 200 clips, of 2,000 (links to the same files, each decoded) and of one file of an hour.
Last: the audio encoder on one thread against this machine's product of matrices, and under
torch.compile.

--only: a way to measure beside theirs at fp32, to be said again for each; all where it is not said.
On a processor without bf16 arithmetic the ways in bf16 take several times as long as the others.
Writes benchmarks/results/scoring_speed.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import torch
from cache_speed import spread, timed, write_clips
from full_size_steps import write_model

from humanclap.files import atomic_writer
from humanclap.records import Pair
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings

RESULT = Path(__file__).parent / "results" / "scoring_speed.json"
BATCHES = (1, 4, 8, 16)
THEIR_HALF = "transformers, bf16"
_PRECISIONS = ("fp32", "bf16", "int8")
SYSTEMS, CAPTIONS, RATE = 5, 40, 48_000
TRIED = 16
"""Clips on which their batch size is chosen, and on which embeddings are compared."""


class Theirs:
    """The pipeline that transformers documents."""

    def __init__(self, folder: Path) -> None:
        from transformers import ClapModel, ClapProcessor

        self._model = ClapModel.from_pretrained(folder).eval()
        self._processor = ClapProcessor.from_pretrained(folder)
        try:
            import librosa
        except ImportError:
            self.loader = "soundfile and soxr"
            self._load: Callable[[Path], Any] = _load
        else:
            self.loader = f"librosa {librosa.__version__}"
            self._load = lambda path: librosa.load(path, sr=RATE)[0]

    def embed(
        self, paths: Sequence[Path], texts: Sequence[str], batch: int, *, bf16: bool = False
    ) -> tuple[Any, Any]:
        """Embeddings of clips and of texts, (n, dim) each."""
        audio, text = [], []
        arithmetic = torch.autocast("cpu", dtype=torch.bfloat16) if bf16 else nullcontext()
        with torch.inference_mode(), arithmetic:
            for start in range(0, len(paths), batch):
                inputs = self._processor(
                    text=list(texts[start : start + batch]),
                    audio=[self._load(path) for path in paths[start : start + batch]],
                    sampling_rate=RATE,
                    return_tensors="pt",
                    padding=True,
                )
                outputs = self._model(**inputs)
                audio.append(outputs.audio_embeds.float())
                text.append(outputs.text_embeds.float())
        return torch.cat(audio).numpy(), torch.cat(text).numpy()


def _load(path: Path) -> Any:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(axis=1), rate, RATE)


def quickest_batch(call: Callable[[int], Any]) -> int:
    """The batch size of least time, of two runs each."""
    times = {batch: min(timed(lambda b=batch: call(b))[0] for _ in range(2)) for batch in BATCHES}
    return min(times, key=lambda batch: times[batch])


def compare(
    model: Path, folder: Path, pairs: Sequence[Pair], rounds: int, only: Sequence[str] = ()
) -> dict[str, Any]:
    """Rounds of every way, or of those named; ratios of theirs (fp32) to each."""
    theirs = Theirs(model)
    paths, texts = [folder / pair.audio for pair in pairs], [pair.text for pair in pairs]
    every = _ours(model)
    ours = {name: every[name] for name in every if not only or name in only}
    if unknown := set(only) - {*every, THEIR_HALF}:
        raise SystemExit(f"no way {unknown.pop()!r}; there are {', '.join([*every, THEIR_HALF])}")
    few, said = paths[:TRIED], texts[:TRIED]
    plain = quickest_batch(lambda batch: theirs.embed(few, said, batch))
    half = None
    if not only or THEIR_HALF in only:
        half = quickest_batch(lambda batch: theirs.embed(few, said, batch, bf16=True))
    theirs_audio, theirs_text = theirs.embed(few, said, plain)
    cosines = {
        name: float(
            min(
                (scorer.embed_audio(few) * theirs_audio).sum(axis=1).min(),
                (scorer.embed_text(said) * theirs_text).sum(axis=1).min(),
            )
        )
        for name, scorer in ours.items()
        if not name.startswith("mini")
    }
    ways: dict[str, Callable[[], Any]] = {
        "transformers, fp32": lambda: theirs.embed(paths, texts, plain),
    }
    if half is not None:
        ways[THEIR_HALF] = lambda: theirs.embed(paths, texts, half, bf16=True)
    for name, scorer in ours.items():
        ways[name] = lambda by=scorer: list(by.score_pairs(pairs, audio_root=folder))
        _ = scorer.identities
        list(scorer.score_pairs(pairs[:2], audio_root=folder))
    names = list(ways)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    processor: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            clock, cpu, _ = timed(ways[name])
            seconds[name].append(clock)
            processor[name].append(cpu)
    return {
        "clips": len(pairs),
        "loader": theirs.loader,
        "their_batch": {"fp32": plain, "bf16": half},
        "least_cosine": cosines,
        "seconds": {name: [round(value, 3) for value in row] for name, row in seconds.items()},
        "processor_s": {name: [round(v, 3) for v in row] for name, row in processor.items()},
        "times_as_fast": _ratios(seconds),
        "processor_times_as_fast": _ratios(processor),
    }


def _ratios(times: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Theirs to each, within the rounds."""
    base = np.array(times["transformers, fp32"])
    return {name: spread(base / np.array(row)) for name, row in times.items()}


def _ours(model: Path) -> dict[str, HumanCLAP]:
    """A scorer for every engine and precision that is here."""
    found = {f"ours, {precision}": _scorer(model, precision) for precision in _PRECISIONS}
    if find_spec("openvino") is not None:
        found["ours, OpenVINO fp32"] = _scorer(model, "fp32", "openvino")
        found["ours, OpenVINO bf16"] = _scorer(model, "bf16", "openvino")
    if find_spec("onnxruntime") is not None and find_spec("onnx") is not None:
        found["ours, ONNX Runtime fp32"] = _scorer(model, "fp32", "onnxruntime")
    return found | {"mini": _scorer("mini", "fp32"), "mini, bf16": _scorer("mini", "bf16")}


def _scorer(model: Path | str, precision: Any, engine: Any = "torch") -> HumanCLAP:
    settings = ScoringSettings(device="cpu", cache=False, precision=precision, engine=engine)
    return HumanCLAP.from_pretrained(model, settings=settings)


def captions_embedded(folder: Path, pairs: Sequence[Pair]) -> dict[str, int]:
    """Texts that reach the encoder when several systems' clips have the same captions."""
    scorer = _scorer("mini", "fp32")
    seen: list[str] = []
    embed = scorer.backbone.embed_text

    def counting(texts: Sequence[str]) -> Any:
        seen.extend(texts)
        return embed(texts)

    scorer.backbone.embed_text = counting  # type: ignore[method-assign]
    captions = [pair.text for pair in pairs[:CAPTIONS]]
    clip = pairs[0].audio
    table = [Pair(audio=clip, text=text) for _ in range(SYSTEMS) for text in captions]
    table = [Pair(audio=p.audio, text=p.text, pair_id=str(n)) for n, p in enumerate(table)]
    list(scorer.score_pairs(table, audio_root=folder))
    return {"pairs": len(table), "captions": len(set(captions)), "embedded": len(seen)}


def memory(folder: Path, names: Sequence[str]) -> dict[str, float]:
    """Seconds of scoring with `mini`, and this process's peak memory in GB."""
    scorer = _scorer("mini", "fp32")
    pairs = [Pair(audio=name, text="a dog barks") for name in names]
    spent, _, scores = timed(lambda: list(scorer.score_pairs(pairs, audio_root=folder)))
    if any(score.error for score in scores):
        raise SystemExit(f"cannot be scored: {scores[0].error}")
    return {"clips": len(names), "seconds": round(spent, 2), "peak_gb": round(peak_gb(), 3)}


def peak_gb() -> float:
    """Most memory this program had resident; getrusage would begin with that of who started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024**2


def in_own_process(folder: Path, names: Sequence[str]) -> dict[str, float]:
    """`memory` in a fresh process."""
    listing = folder / "names.json"
    listing.write_text(json.dumps(list(names)), encoding="utf-8")
    command = [sys.executable, __file__, "--memory-of", str(folder)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, float] = json.loads(told.splitlines()[-1])
    return found


def long_work(folder: Path, pairs: Sequence[Pair], many: int, hours: float) -> dict[str, Any]:
    """Peak memory and time of few clips, of ten times as many, and of a long file."""
    sources = [folder / pair.audio for pair in pairs]
    links = [f"link-{number:05}.flac" for number in range(many)]
    for number, name in enumerate(links):
        (folder / name).symlink_to(sources[number % len(sources)])
    found: dict[str, Any] = {
        "few": in_own_process(folder, links[: many // 10]),
        "many": in_own_process(folder, links),
    }
    samples, rate = soundfile.read(sources[0], dtype="int16")
    with soundfile.SoundFile(folder / "long.flac", "w", rate, samples.shape[1]) as file:
        for _ in range(round(hours * 3600 * rate / len(samples))):
            file.write(samples)
    found["long_hours"] = hours
    found["long"] = in_own_process(folder, ["long.flac"])
    few, most = found["few"], found["many"]
    found["peak_ratio"] = round(most["peak_gb"] / few["peak_gb"], 3)
    found["time_ratio"] = round(most["seconds"] / few["seconds"], 2)
    return found


def of_peak(model: Path, batch: int = 4) -> dict[str, float]:
    """The audio encoder's sums and products a second on one thread, beside those of matrices."""
    from torch.utils.flop_counter import FlopCounterMode

    from humanclap.clap.checkpoint import load_checkpoint

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        backbone = load_checkpoint(model).backbone
        waveforms = torch.rand(batch, RATE * 10) - 0.5
        square = torch.rand(1024, 1024)
        with FlopCounterMode(display=False) as counter:
            backbone.embed_audio(waveforms[:1])  # with gradients: transformers' own way
        flop = counter.get_total_flops()
        with torch.inference_mode():
            product = [_cpu_s(lambda: [square @ square for _ in range(20)]) for _ in range(5)]
            encode = [_cpu_s(lambda: backbone.embed_audio(waveforms)) for _ in range(5)]
    finally:
        torch.set_num_threads(before)
    peak, rate = 20 * 2 * 1024**3 / min(product), batch * flop / min(encode)
    return {
        "encoder_gflop_a_clip": round(flop / 1e9, 2),
        "encoder_gflop_s": round(rate / 1e9, 1),
        "matrix_product_gflop_s": round(peak / 1e9, 1),
        "share": round(rate / peak, 3),
    }


def compiled(model: Path, rounds: int = 15) -> dict[str, Any]:
    """HTSAT by `torch.compile` against HTSAT as it is: one clip, one thread, processor time."""
    from transformers import ClapModel

    from humanclap.clap.checkpoint import load_checkpoint
    from humanclap.clap.htsat import HTSAT

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        parts = load_checkpoint(model).backbone.module().modules()
        clap = next(part for part in parts if isinstance(part, ClapModel)).eval()
        plain = HTSAT(clap.audio_model.audio_encoder)
        mels = torch.rand(1, 1, 1001, 64)
        made = torch.compile(plain._of_batch)
        with torch.inference_mode():
            spent = _cpu_s(lambda: made(mels))
            ratios = [_cpu_s(lambda: plain(mels)) / _cpu_s(lambda: made(mels))
                      for _ in range(rounds)]  # fmt: skip
    finally:
        torch.set_num_threads(before)
    return {"compiling_s": round(spent, 1), "times_as_fast": spread(np.array(ratios))}


def _cpu_s(call: Callable[[], Any]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", default=[], metavar="WAY")
    parser.add_argument("--many", type=int, default=2000)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--output", type=Path, default=RESULT)
    parser.add_argument("--memory-of", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        names = json.loads((arguments.memory_of / "names.json").read_text(encoding="utf-8"))
        print(json.dumps(memory(arguments.memory_of, names)))
        return
    load = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["HUMANCLAP_CACHE"] = str(folder / "cache")  # of exported networks
        write_model(folder / "model")
        pairs = write_clips(folder, arguments.clips)
        result: dict[str, Any] = {
            "command": shlex.join(["python", "benchmarks/scoring_speed.py", *sys.argv[1:]]),
            "threads": torch.get_num_threads(),
            "processors": os.cpu_count(),
            "torch": torch.__version__,
            "capability": torch.backends.cpu.get_cpu_capability(),
            "load_average_before": load,
            "rounds": arguments.rounds,
            "compared": compare(folder / "model", folder, pairs, arguments.rounds, arguments.only),
            "captions": captions_embedded(folder, pairs),
            "encoder": of_peak(folder / "model"),
            "compiled": compiled(folder / "model"),
        }
        print(json.dumps(result, indent=2), flush=True)
        result["long_work"] = long_work(folder, pairs, arguments.many, arguments.hours)
    result["load_average_after"] = round(os.getloadavg()[0], 1)
    with atomic_writer(arguments.output) as file:
        file.write(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["long_work"], indent=2))


if __name__ == "__main__":
    main()
