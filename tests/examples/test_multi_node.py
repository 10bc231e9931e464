"""The launcher for a Ray cluster trains on two of its nodes, here two raylets of one machine.

Slow: pytest -m slow tests/examples/test_multi_node.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

LAUNCHER = Path(__file__).resolve().parents[2] / "examples" / "multi_node" / "on_ray.py"


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_two_nodes_of_a_ray_cluster_train_together(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    clusters = pytest.importorskip("ray.cluster_utils")
    from humanclap.clap.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
    from humanclap.clap.mini import MiniCLAP, MiniConfig

    torch.manual_seed(0)
    save_checkpoint(Checkpoint(MiniCLAP(MiniConfig.tiny())), tmp_path / "model")
    rows = ["audio,text,target,mos,n,split"]
    for number in range(16):
        wave = 0.3 * np.sin(np.arange(16_000) * (0.02 + 0.01 * number))
        soundfile.write(tmp_path / f"{number}.wav", wave, 32_000)
        split = "train" if number < 8 else "validation"
        rows.append(f"{number}.wav,tone {number},{number / 20},{number / 2},3,{split}")
    (tmp_path / "targets.csv").write_text("\n".join(rows) + "\n")
    cluster = clusters.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        command = [
            *(sys.executable, str(LAUNCHER), "--nodes", "2", "--"),
            *(str(tmp_path / "targets.csv"), "-o", str(tmp_path / "run")),
            *("-m", str(tmp_path / "model"), "--epochs", "1"),
        ]
        environment = {**os.environ, "RAY_ADDRESS": cluster.address, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        failing = subprocess.run(command, env=environment, capture_output=True, text=True)
    finally:
        cluster.shutdown()
    assert "the first node, which writes, is" in done.stdout
    assert load_checkpoint(tmp_path / "run").training["epochs"] == 1
    assert failing.returncode != 0
    assert "holds a training run; go on with --resume" in failing.stdout + failing.stderr
