"""Two processes (gloo, on the CPU) against one with the same global batch."""

import dataclasses
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from humanclap.errors import SettingsError
from humanclap.training.distributed.processes import Processes, processes
from humanclap.training.loop.loop import train
from humanclap.training.model.towers import LearningTower
from humanclap.training.settings import TrainingSettings

OBJECTIVE = "sce+wsce+0.5*listnet+difference+bradley-terry+margin+huber"
SETTINGS = TrainingSettings(
    objective=OBJECTIVE,
    epochs=2,
    batch_size=9,
    gradient_accumulation=2,
    learning_rate=0.01,
    patience=0,
    weight_decay=0.0,
    certainty_weights=True,
)

WORKER = """
import dataclasses, json, sys
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
from conftest import ToneCLAP, SAMPLE_RATE, splits_of
from humanclap.training.loop import loop
from humanclap.training.data.clips import ClipStore
from humanclap.training.distributed.processes import processes
from humanclap.training.settings import TrainingSettings
from humanclap.training.model.towers import LearningTower
settings = TrainingSettings(**json.loads(sys.argv[4]))
table, output = sys.argv[2:4]
splits = splits_of(table, table.replace("targets", "votes"), settings)
clips = ClipStore(SAMPLE_RATE, memory_bytes=1e9)
clips.decode_all((*splits.trained, *splits.validated))
model = ToneCLAP(dropout=0.0)
gradients = []
plain = loop.OptimisedParameters.clip
def clip(self, limit):
    gradients.append({name: p.grad.clone() for name, p in self.parameters.items()})
    return plain(self, limit)
loop.OptimisedParameters.clip = clip
with processes("cpu") as others:
    outcome = loop.train(
        model, splits, settings, tower=LearningTower(model, clips), processes=others
    )
torch.save(
    {"count": others.count, "log": list(outcome.log), "gradients": gradients,
     "weights": model.state_dict()},
    f"{output}.{others.rank}",
)
"""

ENDING = """
import atexit, os, time, torch
def tell_threads():  # registered first, so called last
    tasks = [f"/proc/self/task/{task}/comm" for task in os.listdir("/proc/self/task")]
    print("threads:", *(open(task).read().strip() for task in tasks))
atexit.register(tell_threads)
import torch.distributed as dist
from humanclap.training.distributed.processes import processes
with processes("cpu") as others:
    torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))])
    others.gather_things(None)
    if others.rank == 0:
        time.sleep(1)
    rows = [torch.empty(3) for _ in range(2)]
    waiting = dist.all_gather(rows, torch.ones(3), async_op=others.rank == 1)
    del rows, waiting
"""

FAILING = """
import sys
from humanclap.training.distributed.processes import processes
def run():
    with processes("cpu") as others:
        others.gather_things(None)
        if others.rank == 1:
            raise OSError("disk full")
        others.gather_things(None)
try:
    run()
except OSError as error:
    print(error, flush=True)
    sys.stdin.read()  # until the other process has ended
    run()
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def environments(count):
    """Of each process, as accelerate launch sets it."""
    common = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(count),
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
    }
    return [{**common, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def start_two(script):
    """Run `script` in two processes, their streams open."""
    return [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for environment in environments(2)
    ]


def launch(count, tones, output, settings=SETTINGS):
    """Run WORKER in `count` processes, as accelerate launch does; gives what each saved."""
    import json

    command = [
        *(sys.executable, "-c", WORKER, str(Path(__file__).parent), str(tones), str(output)),
        json.dumps(dataclasses.asdict(settings)),
    ]
    ranks = environments(count) if count > 1 else [dict(os.environ)]
    running = [subprocess.Popen(command, env=environment) for environment in ranks]
    assert [process.wait(timeout=300) for process in running] == [0] * count
    return [torch.load(f"{output}.{rank}", weights_only=True) for rank in range(count)]


@pytest.mark.parametrize("objective", [OBJECTIVE, "wsce+mae+0.5*choice"])
def test_two_processes_give_the_losses_and_gradients_of_one(
    tones, tone_choices, tmp_path, objective
):
    pytest.importorskip("accelerate")
    settings = dataclasses.replace(SETTINGS, objective=objective)
    (one,) = launch(1, tones, tmp_path / "one", settings)
    two = launch(2, tones, tmp_path / "two", settings)
    assert [found["count"] for found in two] == [2, 2]
    for found in two:
        assert len(found["gradients"]) == len(one["gradients"]) == 4
        for ours, whole in zip(found["gradients"], one["gradients"], strict=True):
            for name, gradient in whole.items():
                assert torch.allclose(ours[name], gradient, atol=1e-5, rtol=0), name
        for row, expected in zip(found["log"][1:], one["log"][1:], strict=True):
            assert row["loss"] == pytest.approx(expected["loss"], abs=1e-5)
        for name, tensor in two[0]["weights"].items():
            assert torch.equal(found["weights"][name], tensor)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are read from /proc")
def test_no_thread_of_the_group_is_left_when_the_interpreter_ends():
    pytest.importorskip("accelerate")
    running = start_two(ENDING)
    told = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    for printed, _ in told:
        assert "threads: python" in printed
        assert "gloo" not in printed


def test_a_process_that_fails_does_not_keep_the_others_waiting():
    pytest.importorskip("accelerate")
    first, second = start_two(FAILING)
    assert second.stdout.readline() == "disk full\n"
    told = first.communicate(timeout=300)  # the second still runs
    assert first.returncode == 1
    assert f"rank 1 ({socket.gethostname()}) stopped: disk full" in told[1]
    told = second.communicate(timeout=300)
    assert second.returncode == 1
    assert "LeftTheOthersError: this process left the others after a failure" in told[1]


def test_a_process_alone_needs_no_launcher(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    rows = torch.ones(3, 2, requires_grad=True)
    with processes("cpu") as alone:
        assert type(alone) is Processes
        assert alone.gather_rows(rows, 3) is rows
        assert alone.gather_things("x") == ["x"]


def test_more_processes_than_pairs_in_a_batch_are_refused(prepared, tone_clap):
    class Many(Processes):
        count = 9

    settings = dataclasses.replace(SETTINGS, batch_size=8)
    splits, clips = prepared(settings)
    model = tone_clap()
    with pytest.raises(SettingsError, match="leaves some of 9 processes without a pair"):
        train(model, splits, settings, tower=LearningTower(model, clips), processes=Many())


@pytest.mark.slow
def test_the_command_trains_in_two_processes_and_the_first_writes(tmp_path):
    pytest.importorskip("accelerate")
    import numpy as np
    import soundfile

    from humanclap.clap.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
    from humanclap.clap.mini import MiniCLAP, MiniConfig

    torch.manual_seed(0)
    save_checkpoint(Checkpoint(MiniCLAP(MiniConfig.tiny())), tmp_path / "model")
    rows = ["audio,text,target,mos,n,split"]
    for number in range(20):
        wave = 0.3 * np.sin(np.arange(16_000) * (0.02 + 0.01 * number))
        soundfile.write(tmp_path / f"{number}.wav", wave, 32_000)
        split = "train" if number < 14 else "validation"
        rows.append(f"{number}.wav,tone {number},{number / 20},{number / 2},3,{split}")
    (tmp_path / "targets.csv").write_text("\n".join(rows) + "\n")
    command = [
        *(sys.executable, "-m", "humanclap", "train", str(tmp_path / "targets.csv")),
        *("-o", str(tmp_path / "run"), "-m", str(tmp_path / "model"), "--epochs", "2"),
        *("--batch-size", "7", "--train", "all", "--device", "cpu", "--quiet"),
        *("--log-to", "tensorboard"),
    ]
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        for environment in environments(2)
    ]
    assert [one.wait(timeout=300) for one in running] == [0, 0]
    assert load_checkpoint(tmp_path / "run").training["epochs"] == 2
    assert len((tmp_path / "run" / "log.csv").read_text().splitlines()) == 4
    assert list((tmp_path / "run" / "tensorboard").iterdir())
