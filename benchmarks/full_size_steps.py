"""Three optimiser steps of a full-size CLAP (HTSAT + RoBERTa, random weights): memory and time.

    python benchmarks/full_size_steps.py [--batch 4]

A ClapModel of the size of laion/clap-htsat-unfused, with random weights (nothing is downloaded),
is trained by `humanclap.training` on clips of 10 s of noise at 48 kHz: objective wsce+mae, AdamW,
clipping, three steps of one batch each, each way in a process of its own with one thread. Time is
the CPU time of a step, which other work on the machine hardly moves, and beside it the time on the
clock; memory is the process's peak resident set (before training and in all).

Prints and writes benchmarks/results/full_size_steps.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from tokenizers import ByteLevelBPETokenizer

from humanclap.files import atomic_writer

RESULT = Path(__file__).parent / "results" / "full_size_steps.json"
STEPS, VALIDATION = 3, 3
WAYS = {
    "all, fp32": {"train": "all", "precision": "fp32"},
    "all, bf16": {"train": "all", "precision": "bf16"},
    "LoRA, bf16": {"train": "lora", "precision": "bf16"},
    "last layer, bf16": {"train": "last", "precision": "bf16"},
}
CAPTION = "a dog barks while birds sing in the park and a man speaks, number {}"
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def write_model(folder: Path) -> None:
    """A random ClapModel with a byte-level tokenizer of RoBERTa's kind."""
    from transformers import ClapConfig, ClapModel

    folder.mkdir()
    trained = ByteLevelBPETokenizer()
    captions = [CAPTION.format(number) for number in range(100)]
    trained.train_from_iterator(captions, vocab_size=600, special_tokens=SPECIALS)
    trained.save_model(str(folder))
    names = ["bos_token", "pad_token", "eos_token", "unk_token", "mask_token"]
    special = dict(zip(names, SPECIALS, strict=True)) | {"cls_token": "<s>", "sep_token": "</s>"}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    settings = {"tokenizer_class": "RobertaTokenizer", "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    extractor = {
        "feature_extractor_type": "ClapFeatureExtractor",
        "feature_size": 64,
        "sampling_rate": 48000,
        "hop_length": 480,
        "max_length_s": 10,
        "fft_window_size": 1024,
        "frequency_min": 50,
        "frequency_max": 14000,
        "padding": "repeatpad",
        "truncation": "rand_trunc",
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor))
    torch.manual_seed(0)
    ClapModel(ClapConfig()).save_pretrained(folder)


def write_data(folder: Path, pairs: int) -> None:
    """Noise with random targets."""
    rng = np.random.default_rng(0)
    with open(folder / "targets.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "text", "target", "mos", "n", "split"])
        for number in range(pairs + VALIDATION):
            soundfile.write(folder / f"{number}.wav", rng.uniform(-0.3, 0.3, 480_000), 48_000)
            target = float(rng.uniform())
            split = "train" if number < pairs else "validation"
            row = [f"{number}.wav", CAPTION.format(number), target, 10 * target, 3, split]
            writer.writerow(row)


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def measure(folder: Path, way: str, batch: int) -> dict[str, Any]:
    """One way, in this process."""
    torch.set_num_threads(1)
    from humanclap.clap.checkpoint import load_checkpoint
    from humanclap.training.data.dataset import read_examples
    from humanclap.training.data.splits import make_splits
    from humanclap.training.loop.loop import train
    from humanclap.training.model.towers import audio_tower, text_tower
    from humanclap.training.settings import TrainingSettings

    settings = replace(
        TrainingSettings(epochs=1, batch_size=batch, learning_rate=1e-5, patience=0, device="cpu"),
        **WAYS[way],
    )
    table = folder / "targets.csv"
    splits = make_splits(read_examples(table), settings, table=table)
    backbone = load_checkpoint(folder / "model").backbone
    pairs = (*splits.train, *splits.validation)
    tower, texts = audio_tower(backbone, settings, pairs), text_tower(backbone, settings, pairs)
    before, ends = peak_gb(), [(0.0, 0.0)]

    def progress(done: int, total: int, note: str) -> None:
        ends.append((time.monotonic(), time.process_time()))

    # The first step begins when the loop leaves validation and turns to training mode.
    plain = type(backbone).train

    def turn(self: Any, mode: bool = True) -> Any:
        if mode and len(ends) == 1:
            ends[0] = (time.monotonic(), time.process_time())
        return plain(self, mode)

    type(backbone).train = turn  # type: ignore[method-assign]
    outcome = train(backbone, splits, settings, tower=tower, embed_text=texts, progress=progress)
    clock, steps = np.diff(np.array(ends), axis=0).T  # (steps,) each, seconds
    return {
        "way": way,
        "parameters": sum(p.numel() for p in backbone.module().parameters()),
        "batch": batch,
        "losses": [row["loss"] for row in outcome.log[1:]],
        "step_cpu_s": [round(float(one), 3) for one in steps],
        "step_clock_s": [round(float(one), 3) for one in clock],
        "pair_cpu_s": round(float(np.median(steps)) / batch, 3),
        "peak_before_training_gb": round(before, 2),
        "peak_gb": round(peak_gb(), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--output", type=Path, default=RESULT)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.folder, options.way, options.batch)))
        return
    load = os.getloadavg()[0]
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_model(folder / "model")
        write_data(folder, STEPS * options.batch)
        for way in WAYS:
            command = [sys.executable, __file__, "--way", way, "--folder", str(folder)]
            command += ["--batch", str(options.batch)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
            print(found[-1], file=sys.stderr)
    result = {
        "command": "python benchmarks/full_size_steps.py",
        "steps": STEPS,
        "threads": 1,
        "torch": torch.__version__,
        "machine": platform.machine(),
        "load_average_before": round(load, 1),
        "ways": found,
    }
    with atomic_writer(options.output) as file:
        file.write(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
