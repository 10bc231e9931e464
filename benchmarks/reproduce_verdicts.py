"""Does the report of `humanclap reproduce` say "replicates" when there is a gain, and only then?

    python benchmarks/reproduce_verdicts.py [--runs 20]

Simulated ratings of a known truth, in RELATE's form, of generated sounds; two worlds. *Gain*: the
simulated listeners' opinion of a clip is a hidden direction of the embedding of `mini`, which
training can learn and the cosine does not know, the cosine, and noise. *No gain*: noise stands in
the place of the first, and nothing can learn that. In each run 600 pairs train and 600 others
judge; `reproduce` trains SCE and wSCE+MAE from `mini` (projections only, 10 epochs, learning rate
1e-3, one seed) and writes its report. Counted are the verdicts on all judged pairs. Sounds
and captions are the same in all runs, opinions and answers are drawn anew.

Prints and writes benchmarks/results/reproduce_verdicts.json.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "reproduce")]

from small_relate import COLUMNS, WORDS, tone, wav  # noqa: E402

from humanclap.clap.device import use_threads  # noqa: E402
from humanclap.files import atomic_writer  # noqa: E402
from humanclap.reproduce import grids  # noqa: E402
from humanclap.reproduce import request as requests  # noqa: E402
from humanclap.reproduce.human_clap import reproduce_human_clap  # noqa: E402
from humanclap.reproduce.request import Request  # noqa: E402
from humanclap.reproduce.stages import StageLog  # noqa: E402
from humanclap.reproduce.verdict import PUBLISHED_GAINS, judge_gain  # noqa: E402
from humanclap.scoring.scorer import HumanCLAP  # noqa: E402
from humanclap.training.settings import build_settings  # noqa: E402

RESULT = Path(__file__).parent / "results" / "reproduce_verdicts.json"
TRAIN, VALIDATION, TEST = 600, 300, 300
SECONDS, ANSWERS, ANSWER_NOISE = 1.0, 3, 1.0
COSINE_SHARE, HIDDEN_SHARE, NOISE_SHARE = 0.35, 0.6, 0.8
WORLDS = ("gain", "no gain")
Floats = NDArray[np.float64]


def write_clips(folder: Path) -> tuple[list[str], list[str]]:
    """Names and captions; one system, so that no system is left out."""
    splits = ["train"] * TRAIN + ["test"] * (VALIDATION + TEST)
    names = [f"audiocaps/{split}/{number}.wav" for number, split in enumerate(splits)]
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(wav(np.clip(tone(number, SECONDS), -1, 1)))
    rng = np.random.default_rng(0)
    words = [" and a ".join(rng.choice(WORDS, 2, replace=False)) for _ in names]
    captions = [f"a {pair}, number {number}" for number, pair in enumerate(words)]
    return names, captions


def opinions(world: str, seed: int, audio: Floats, text: Floats) -> Floats:
    """What listeners truly think of each pair, on 0..10 by rank: (n,)."""
    rng = np.random.default_rng([seed, WORLDS.index(world)])
    cosine = (audio * text).sum(axis=1)
    hidden = audio @ rng.standard_normal(audio.shape[1])
    if world == "no gain":
        hidden = rng.standard_normal(len(audio))
    noise = rng.standard_normal(len(audio))
    cosine, hidden = _standard(cosine), _standard(hidden)
    hidden -= cosine * float(np.mean(cosine * hidden))  # nothing of it is known before training
    mixed = COSINE_SHARE * cosine + HIDDEN_SHARE * _standard(hidden)
    mixed += NOISE_SHARE * noise
    return 10 * mixed.argsort().argsort() / (len(mixed) - 1)


def _standard(values: Floats) -> Floats:
    return (values - values.mean()) / values.std()


def write_scores(
    path: Path, names: list[str], captions: list[str], truth: Floats, seed: int
) -> str:
    """RELATE's table of simulated answers; gives its SHA-256."""
    rng = np.random.default_rng([seed, 7])
    path.parent.mkdir(parents=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, (name, caption) in enumerate(zip(names, captions, strict=True)):
            if number < TRAIN:
                split = "train"
            else:
                split = "validation" if number < TRAIN + VALIDATION else "test"
            for who in range(ANSWERS):
                score = int(np.clip(round(truth[number] + rng.normal(0, ANSWER_NOISE)), 0, 10))
                listener = f"{split}-{(number + who) % 40}"
                folder = name.split("/")[1]
                row = [f"/{name}", caption, score, listener, "natural", False, split, folder]
                writer.writerow(row)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def quick_settings(request: Request) -> Any:
    """Projections only, and quick to learn: in place of the paper's training of everything."""
    given = {"train": "projections", "epochs": 10, "batch_size": 32, "learning_rate": 1e-3}
    return build_settings({**given, "device": request.device}, where="")


def one_run(
    world: str,
    seed: int,
    folder: Path,
    clips: Path,
    pairs: tuple[list[str], list[str]],
    rows: tuple[Floats, Floats],
) -> dict[str, Any]:
    """One reproduction from simulated answers to its verdict; rows: embeddings of both sides."""
    names, captions = pairs
    output = folder / f"{world.replace(' ', '-')}-{seed}"
    truth = opinions(world, seed, *rows)
    made = folder / f"data-{world}-{seed}"
    digest = write_scores(made / "scores" / "REL.csv", names, captions, truth, seed)
    request = Request(
        seeds=(seed,),
        objectives=("SCE",),
        base="mini",
        plain=(),
        released=(),
        precision="fp32",
        scores_sha256=digest,
        simulated=True,
    )
    StageLog(output, request.as_dict(), resume=False)  # a reproduction begins in an empty folder
    made.rename(output / "data")
    (output / "data" / "RELATE_wave").symlink_to(clips)
    (folder / "features").mkdir(exist_ok=True)
    (output / "features").symlink_to(folder / "features")
    found = reproduce_human_clap(request, output, resume=True).findings
    gain = found.main.gain["all judged"]
    return {
        "world": world,
        "seed": seed,
        "base": found.base.srcc["all judged"].value,
        "trained": found.main.srcc["all judged"].value,
        "gain": [gain.value, gain.low, gain.high],
        "verdict": judge_gain(gain, PUBLISHED_GAINS["all judged"]).word,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--output", type=Path, default=RESULT)
    options = parser.parse_args()
    use_threads(1)
    grids.settings_of = quick_settings
    requests.NUMBERS_OF_PAIRS = ()
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        clips = folder / "clips"
        pairs = write_clips(clips)
        (clips / "complete.json").write_text(json.dumps({"clips": len(pairs[0]), "sha256": ""}))
        model = HumanCLAP.from_pretrained("mini")
        audio = model.embed_audio([clips / name for name in pairs[0]]).astype(np.float64)
        rows = audio, model.embed_text(pairs[1]).astype(np.float64)
        for world in WORLDS:
            for seed in range(options.runs):
                found.append(one_run(world, seed, folder, clips, pairs, rows))
                print(found[-1], file=sys.stderr, flush=True)
    result = {
        "command": "python benchmarks/reproduce_verdicts.py",
        "simulated": True,
        "runs": options.runs,
        "train": TRAIN,
        "judged": VALIDATION + TEST,
        "answers": ANSWERS,
        "published_gain": PUBLISHED_GAINS["all judged"],
        "verdicts": {
            world: Counter(one["verdict"] for one in found if one["world"] == world)
            for world in WORLDS
        },
        "each": found,
    }
    with atomic_writer(options.output) as file:
        file.write(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["verdicts"], indent=2))


if __name__ == "__main__":
    main()
