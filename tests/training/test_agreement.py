"""What several processes must have alike, and how they hear of each other's end."""

import numpy as np
import pytest
import torch.distributed as dist

from humanclap.errors import InputError, SettingsError
from humanclap.training.distributed import watch as module
from humanclap.training.distributed.processes import Processes
from humanclap.training.distributed.watch import OthersFailedError, Watch, meet
from humanclap.training.loop.same_inputs import check_alike, open_together
from humanclap.training.loop.state import RunFolder

NAMES = ("rank 0 (host-a)", "rank 1 (host-b)")


class Pair(Processes):
    """The first of two processes; the other answers what `other` makes of what this one gives."""

    count = 2
    names = NAMES

    def __init__(self, *others):
        super().__init__()
        self.others = list(others)

    def gather_things(self, thing):
        return [thing, self.others.pop(0)(thing)]


def same(thing):
    return thing


IDENTITY = {"settings": {"epochs": 2}, "targets": "0a"}


def other_epochs(thing):
    return {**thing[0], "settings.epochs": 3}, thing[1]


def other_targets(thing):
    return {**thing[0], "targets": "1b"}, "9 + 9 pairs of mine.csv"


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (other_epochs, r"settings.epochs is 2 in rank 0 \(host-a\) and 3 in rank 1 \(host-b\)"),
        (other_targets, r"targets is '0a' in .*24 \+ 8 pairs of t.csv, the latter 9 \+ 9 pairs of"),
    ],
)
def test_processes_that_would_train_otherwise_are_refused(prepared, other, told):
    splits, _ = prepared()
    with pytest.raises(SettingsError, match=told):
        check_alike(Pair(other), IDENTITY, splits, "t.csv")


def test_clips_are_compared_between_hosts_by_their_bytes(prepared):
    splits, _ = prepared()
    check_alike(Pair(same, same, same), IDENTITY, splits, "t.csv")
    check_alike(Pair(same, lambda local: 1), IDENTITY, splits, "t.csv")  # one host: no comparison

    def damaged(hashes):
        return np.where(np.arange(len(hashes)) == 3, b"0" * 16, hashes)

    with pytest.raises(InputError, match=r"1 of 32 clips are other files .* \(host-b\): 03.wav"):
        check_alike(Pair(same, same, damaged), IDENTITY, splits, "t.csv")


def test_a_run_to_resume_must_lie_with_the_first_process(tmp_path):
    folder = RunFolder(tmp_path / "run", IDENTITY)
    with pytest.raises(SettingsError, match=r"lies with rank 1 \(host-b\), and rank 0"):
        open_together(folder, Pair(lambda here: True), resume=True, overwrite=False)
    assert not folder.directory.exists()
    assert open_together(folder, Pair(same), resume=True, overwrite=False) is None
    assert folder.directory.is_dir()


class Clock:
    """Time that passes only while someone sleeps; those who live then beat once a second."""

    def __init__(self):
        self.now, self.alive = 0.0, []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        beats = int(self.now + seconds) - int(self.now)
        self.now += seconds
        for watch in beats * self.alive:
            watch._exchange()


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(module, "time", Clock())
    return module.time


@pytest.fixture
def two(monkeypatch, clock):
    """The watches of two processes, whose threads do not run: the clock moves them."""
    monkeypatch.setattr(module.threading.Thread, "start", lambda self: None)
    monkeypatch.setenv("MASTER_ADDR", "host-a")
    monkeypatch.setenv("MASTER_PORT", "1")
    store = dist.HashStore()
    clock.alive = [Watch(store, rank, NAMES, 1) for rank in range(2)]
    return list(clock.alive)


GONE = "rank 1 (host-b) is gone without a word (killed, or cut off?)"


def test_the_others_are_told_why_a_process_stopped_and_the_first_word_counts(two):
    two[1].tell("rank 1 (host-b) stopped: disk full")
    two[1].tell("something later")
    assert two[0].why(RuntimeError("closed")) == "rank 1 (host-b) stopped: disk full"


def test_what_a_process_told_is_believed_before_its_silence(two, clock):
    clock.sleep(2)
    clock.alive.pop()
    clock.sleep(10)
    two[1].tell("rank 1 (host-b) stopped: disk full")
    assert two[0].why(RuntimeError("closed")) == "rank 1 (host-b) stopped: disk full"


def test_a_process_without_beats_is_named(two, clock):
    clock.sleep(3)
    broken = two[0].why(RuntimeError("Connection closed\nby peer"))
    assert broken == "the connection to the other processes broke: Connection closed"
    clock.alive.pop()  # killed: it says nothing
    assert two[0].why(RuntimeError("closed")) == GONE
    assert two[0]._silent(60) == ""
    clock.sleep(60)
    assert two[0]._silent(60) == GONE


def test_a_process_that_comes_late_to_a_next_training_is_waited_for(two, clock):
    clock.alive.pop()
    clock.sleep(500)
    assert two[0]._silent(60) == ""
    clock.sleep(161)
    assert two[0]._silent(60) == GONE


def test_a_store_that_does_not_answer_is_named(two, clock):
    clock.alive.clear()
    clock.sleep(69)
    assert two[0]._silent(60) == "host-a:1, where the processes meet, has not answered for 60 s"


def test_a_process_that_is_done_is_not_missed(two, clock):
    two[1].end(failed=False)
    clock.alive.pop()
    clock.sleep(100)
    assert "broke" in two[0].why(RuntimeError("closed"))


def test_times_and_launchers_that_make_no_sense_are_refused(monkeypatch):
    monkeypatch.setenv("HUMANCLAP_LOST_S", "soon")
    with pytest.raises(SettingsError, match="HUMANCLAP_LOST_S is 'soon'; expected a number of sec"):
        Watch(dist.HashStore(), 0, NAMES, 1)
    monkeypatch.setenv("HUMANCLAP_JOIN_S", "0.5")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(SettingsError, match=r"MASTER_ADDR.*start the processes with torchrun"):
        meet()
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "0")
    with pytest.raises(OthersFailedError, match=r"did not come to 127.0.0.1:0 within 0.5 s"):
        meet()
