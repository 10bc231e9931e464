"""Which clips are scored together, and what becomes of the others where one fails or is given up.

The model is a stand-in that can be held up, and knows no sound.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from humanclap.audio.decode import SoundBytes
from humanclap.scoring.staged import CutClip
from humanclap.serving.batching import Batcher, BusyError, Job
from humanclap.serving.counters import Metrics
from humanclap.serving.settings import ServiceSettings


class StandIn:
    """Every clip has one window; `bad` ones make the model raise; a batch waits for its turn."""

    def __init__(self) -> None:
        self.turns = threading.Semaphore(0)
        self.batches: list[list[str]] = []
        self.decoded: list[str] = []

    def decode(self, clip: SoundBytes, *, told: Callable[[object, float], None]) -> CutClip:
        self.decoded.append(clip.name)
        told(clip, 1.0)
        return CutClip(name=clip.name, windows=(None,), seconds=1.0)

    def score_decoded(self, clips, texts):
        assert self.turns.acquire(timeout=20)
        self.batches.append([clip.name for clip in clips])
        if any(clip.name.startswith("bad") for clip in clips):
            raise RuntimeError("this clip is too much")
        return [[SimpleNamespace(error=None, audio=clip.name)] for clip in clips]


@pytest.fixture
def model() -> StandIn:
    return StandIn()


@pytest.fixture
def batcher(model: StandIn) -> Iterator[Batcher]:
    settings = ServiceSettings(batch_windows=4, waiting_clips=40, pairs=40, decoders=2)
    made = Batcher(model, settings, Metrics())
    yield made
    model.turns.release(1000)
    made.stop()
    assert (made._waiting, made._undecoded, made._ready_windows) == (0, 0, 0)


def job(name: str, count: int = 1) -> Job:
    clips = [SoundBytes(data=b"", name=f"{name}{n}") for n in range(count)]
    return Job(clips=clips, texts=[["rain"]] * count)


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def scored(one: Job) -> list[str]:
    return [answer.score.audio for (answer,) in one.done.result(20)]


def test_a_clip_that_the_model_cannot_take_fails_its_own_request_alone(model, batcher) -> None:
    first, bad, neighbour = job("first", 3), job("bad", 2), job("neighbour", 2)
    batcher.submit(first)
    until(lambda: batcher._undecoded == 0 and batcher._ready_windows < 3)  # the model is busy
    batcher.submit(bad)
    batcher.submit(neighbour)
    until(lambda: batcher._undecoded == 0)
    model.turns.release(1000)
    with pytest.raises(RuntimeError, match="too much"):
        bad.done.result(20)
    assert scored(first) == ["first0", "first1", "first2"]
    assert scored(neighbour) == ["neighbour0", "neighbour1"]
    assert any(set(batch) & {"bad0", "bad1"} and len(batch) > 1 for batch in model.batches)


def test_a_small_request_does_not_wait_for_the_whole_of_a_large_one(model, batcher) -> None:
    """Of 30 clips 4 are with the model and 16 ready when the small request comes."""
    large, small = job("large", 30), job("small", 2)
    batcher.submit(large)
    until(lambda: batcher._ready_windows >= 16)
    batcher.submit(small)
    model.turns.release()
    until(lambda: small.begun and batcher._ready_windows >= 16)
    model.turns.release(1000)
    assert scored(small) == ["small0", "small1"]
    assert scored(large) == [f"large{n}" for n in range(30)]
    names = [name for batch in model.batches for name in batch]
    assert names.index("small0") < 16
    first, second = (model.decoded.index(name) for name in ("small0", "small1"))
    assert second - first <= 3  # a large one, or two where both decoders took one at once


def test_what_is_given_up_leaves_at_once_and_is_not_computed(model, batcher) -> None:
    """The model is busy all the time: neither the queue's room nor its clips wait for it."""
    gone, stays = job("gone", 36), job("stays", 4)
    batcher.submit(gone)
    until(lambda: batcher._ready_windows >= 16)
    with pytest.raises(BusyError):
        batcher.submit(job("more", 5))
    batcher.give_up(gone)
    until(lambda: batcher._waiting <= 4)  # what the model has in its hands
    batcher.submit(stays)
    model.turns.release(1000)
    assert scored(stays) == [f"stays{n}" for n in range(4)]
    names = [name for batch in model.batches for name in batch]
    assert sum(name.startswith("gone") for name in names) <= 4
    assert len(model.decoded) < 30
