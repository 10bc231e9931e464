"""`humanclap train` on two hosts without a common disk.

The hosts are two network namespaces, with a cable, names, homes and copies of the data of their
own; where the user may not make these, two stores at 127.0.0.1 (`Hosts.kind`). All tests but one
are slow: pytest -m slow tests/training/test_two_hosts.py
"""

import csv
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from humanclap.clap.checkpoint import Checkpoint, save_checkpoint
from humanclap.clap.mini import MiniCLAP, MiniConfig

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
RATE = 32_000
TRAIN = ("targets.csv", "-m", "model", "--patience", "0", "--json", "-q")
LEARN = (*TRAIN, "--train", "all", "--epochs", "2", "--batch-size", "5")
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A model, a table and its clips; 14 training pairs make ragged batches of 5, 5 and 4."""
    folder = tmp_path_factory.mktemp("data")
    torch.manual_seed(0)
    config = MiniConfig.tiny()
    save_checkpoint(Checkpoint(MiniCLAP(config)), folder / "model")
    still = replace(config, projection_dropout=0.0)
    save_checkpoint(Checkpoint(MiniCLAP(still)), folder / "without-dropout")
    rows = ["audio,text,target,mos,n,split"]
    for number in range(22):
        wave = 0.3 * np.sin(np.arange(RATE // 2) * (0.02 + 0.01 * number))
        soundfile.write(folder / f"{number}.wav", wave, RATE)
        split = "train" if number < 14 else "validation"
        target = (7 * number % 22) / 22
        rows.append(f"{number}.wav,tone {number},{target},{10 * target},3,{split}")
    (folder / "targets.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def hosts(monkeypatch, data):
    pytest.importorskip("accelerate")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import hosts as module

    with module.Hosts() as two:
        two.give(data)
        print(two.kind)
        yield two
    sys.modules.pop("hosts")


def ended(running, timeout_s=240):
    """(exit code, stdout, stderr) of each host."""
    told = [process.communicate(timeout=timeout_s) for process in running]
    return [(one.returncode, *said) for one, said in zip(running, told, strict=True)]


def weights_of(run):
    return load_file(run / "checkpoint" / "model.safetensors")


def log_of(run):
    with open(run / "log.csv", newline="") as file:
        return [
            {k: float(v or "nan") for k, v in row.items() if k != "seconds"}
            for row in csv.DictReader(file)
        ]


def furthest(first, second):
    """The largest difference of two runs, over weights and logs."""
    ours, theirs = weights_of(first), weights_of(second)
    assert ours.keys() == theirs.keys()
    found = [
        float((ours[k].double() - theirs[k].double()).abs().max()) for k in ours if ours[k].numel()
    ]
    for mine, other in zip(log_of(first), log_of(second), strict=True):
        found += [abs(mine[k] - other[k]) for k in mine if mine[k] == mine[k]]
    return max(found)


def alone(hosts, *arguments):
    """The same training in one process on the first host."""
    command = [sys.executable, "-m", "humanclap", "train", *arguments]
    ((code, _, errors),) = ended([hosts.start(0, command)])
    assert code == 0, errors


def test_two_hosts_train_together_and_only_the_first_writes(hosts):
    (code, printed, errors), second = ended(hosts.train([*TRAIN, "--epochs", "1"]))
    assert code == 0, errors
    assert second[0] == 0, second[2]
    assert '"epochs": 1' in printed
    assert second[1] == ""
    assert (hosts.folders[0] / "run" / "checkpoint" / "model.safetensors").is_file()
    assert not (hosts.folders[1] / "run").exists()


@slow
@pytest.mark.parametrize("more", [(), ("--precision", "bf16"), ("--train", "default")])
def test_two_hosts_give_what_two_processes_and_one_give(hosts, more):
    import hosts as module

    arguments = [*LEARN, "-m", "without-dropout", *more]
    assert [one[0] for one in ended(hosts.train(arguments, outputs=("two", "two")))] == [0, 0]
    here = module.launch("torchrun", 0, 1, 2, "127.0.0.1", module.free_port())
    command = [*here, "-m", "humanclap", "train", *arguments, "-o", "one"]
    assert [one[0] for one in ended([hosts.start(0, command)])] == [0]
    alone(hosts, *arguments, "-o", "alone")
    folder = hosts.folders[0]
    assert furthest(folder / "two", folder / "one") < 1e-6
    tolerance = 0.02 if "bf16" in more else 1e-4
    assert furthest(folder / "two", folder / "alone") < tolerance


@slow
def test_two_hosts_train_by_accelerate_launch_with_several_processes_each(hosts):
    arguments = [*LEARN, "-m", "without-dropout"]
    found = ended(hosts.train(arguments, launcher="accelerate", per_host=2))
    assert [one[0] for one in found] == [0, 0], found
    alone(hosts, *arguments, "-o", "alone")
    assert furthest(hosts.folders[0] / "run", hosts.folders[0] / "alone") < 1e-4


@slow
def test_a_host_that_is_killed_ends_the_other_and_resuming_gives_the_unbroken_result(hosts):
    arguments = [*LEARN, "--epochs", "12"]
    assert [one[0] for one in ended(hosts.train(arguments, outputs=("whole", "whole")))] == [0, 0]
    first, second = hosts.train(arguments)
    log = hosts.folders[0] / "run" / "log.csv"
    while not log.is_file() or len(log.read_text().splitlines()) < 4:
        assert first.poll() is None
        time.sleep(0.05)
    hosts.kill(second)
    code, printed, errors = ended([first])[0]
    assert code != 0
    assert printed == ""
    assert "rank 1 (" in errors
    assert "is gone without a word" in errors
    assert not (hosts.folders[0] / "run" / "checkpoint").exists()
    found = ended(hosts.train([*arguments, "--resume"]))
    assert [one[0] for one in found] == [0, 0], found
    assert furthest(hosts.folders[0] / "whole", hosts.folders[0] / "run") == 0.0


@slow
def test_a_host_whose_cable_is_pulled_ends_both(hosts):
    if "namespaces" not in hosts.kind:
        pytest.skip("needs two network namespaces")
    first, second = hosts.train([*LEARN, "--epochs", "3000"], HUMANCLAP_LOST_S="10")
    log = hosts.folders[0] / "run" / "log.csv"
    while not log.is_file() or len(log.read_text().splitlines()) < 3:
        assert first.poll() is None
        time.sleep(0.05)
    hosts.cut()
    cut = time.monotonic()
    # the launchers wait for each other longer than the workers do: their words count
    errors = [process.stderr.readline() for process in (first, second)]
    while not errors[0].startswith("error: ") or not errors[1].startswith("error: "):
        assert time.monotonic() - cut < 120
        for number, process in enumerate((first, second)):
            if not errors[number].startswith("error: "):
                errors[number] = process.stderr.readline()
    assert "rank 1 (host-b) is gone without a word" in errors[0]
    assert "has not answered" in errors[1]


def spoil_table(folder):
    table = folder / "targets.csv"
    table.write_text(table.read_text().replace("tone 3,", "another tone,"))


def spoil_clip(folder):
    soundfile.write(folder / "4.wav", np.zeros(RATE), RATE)


def lose_clip(folder):
    (folder / "4.wav").unlink()


@slow
@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (spoil_table, ["would not train the same: targets is", "14 + 8 pairs of targets.csv"]),
        (spoil_clip, ["1 of 22 clips are other files on the hosts of rank 0", "4.wav"]),
        (lose_clip, ["rank 1", "4.wav", "stopped"]),
    ],
)
def test_what_is_another_on_the_second_host_is_refused_on_both(hosts, spoil, told):
    spoil(hosts.folders[1])
    found = ended(hosts.train(TRAIN))
    assert all(code != 0 for code, _, _ in found)
    for words in told:
        assert words in found[0][2]
    assert "4.wav" in found[1][2] or "would not train the same" in found[1][2]
    assert not (hosts.folders[0] / "run").exists()


@slow
def test_a_run_that_lies_with_another_rank_is_not_begun_anew(hosts):
    (hosts.folders[1] / "run").mkdir()
    (hosts.folders[1] / "run" / "run.json").write_text("{}")
    found = ended(hosts.train([*TRAIN, "--resume"]))
    assert all(code != 0 for code, _, _ in found)
    for _, _, errors in found:
        assert "the run to resume lies with rank 1" in errors
    assert not (hosts.folders[0] / "run").exists()


@slow
def test_a_host_that_never_comes_is_named(hosts):
    port = {"MASTER_ADDR": hosts.address, "MASTER_PORT": "29555"}
    variables = {**port, "WORLD_SIZE": "2", "RANK": "0", "HUMANCLAP_JOIN_S": "4"}
    command = [sys.executable, "-m", "humanclap", "train", *TRAIN, "-o", "run"]
    ((code, _, errors),) = ended([hosts.start(0, command, **variables)])
    assert code == 2
    assert "did not come to" in errors
    assert "within 4 s" in errors
