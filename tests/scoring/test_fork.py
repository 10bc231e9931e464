from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

POOL = """
import multiprocessing, sys
import torch
from humanclap.clap.checkpoint import Checkpoint
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.scoring.scorer import HumanCLAP
torch.manual_seed(0)
torch.set_num_threads(2)  # a pool of threads in the parent, which a fork does not copy
scorer = HumanCLAP(Checkpoint(MiniCLAP(MiniConfig.tiny())))
scorer.embed_text(["rain"] * 3)
torch.randn(600, 600) @ torch.randn(600, 600)
own = scorer.score(sys.argv[1], "a dog barks")

def score(text):
    torch.randn(600, 600) @ torch.randn(600, 600)
    return torch.get_num_threads(), scorer.score(sys.argv[1], text)

def workers(_):
    with Encoders(scorer.backbone) as encoders:
        return encoders.workers

with multiprocessing.get_context("fork").Pool(2) as pool:
    found = pool.map_async(score, ["a dog barks"] * 4).get(timeout=60)
assert {threads for threads, _ in found} == {1}, found
assert all(abs(value - own) < 1e-6 for _, value in found), (own, found)
assert torch.get_num_threads() == 2

from humanclap.clap.encoders import Encoders
with Encoders(scorer.backbone), multiprocessing.get_context("fork").Pool(1) as pool:
    found = pool.map_async(workers, [0]).get(timeout=60)  # as if a thread here were scoring
assert found == [1], found
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_loaded_model_scores_in_forked_processes(tmp_path: Path) -> None:
    clip = tmp_path / "dog.wav"
    soundfile.write(clip, 0.1 * np.random.default_rng(0).standard_normal(320_000), 32_000)
    done = subprocess.run(
        [sys.executable, "-c", POOL, str(clip)],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
