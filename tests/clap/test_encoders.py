"""Batches beside each other on the CPU: the same digits on any number of threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from tiny_hf import write_clap

from humanclap.audio import Waveform
from humanclap.clap.embedding import ClipEncoder, embed_texts
from humanclap.clap.encoders import MOST_WORKERS, Encoders
from humanclap.clap.hf import HFCLAP
from humanclap.clap.mini.config import MiniConfig
from humanclap.clap.mini.model import MiniCLAP


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def mini(tmp_path=None):
    torch.manual_seed(0)
    return MiniCLAP(MiniConfig.tiny()).eval()


def clips(count):
    random = np.random.default_rng(0)
    return [
        Waveform(
            samples=random.uniform(-0.5, 0.5, random.integers(9_000, 800_000)).astype(np.float32),
            sample_rate=32_000,
        )
        for _ in range(count)
    ]


def hf(tmp_path):
    return HFCLAP.from_pretrained(write_clap(tmp_path / "clap", fused=False))


BACKBONES = {"mini": mini, "hf": hf}


@pytest.mark.parametrize("name", list(BACKBONES))
def test_the_number_of_threads_changes_no_digit_of_an_embedding(name, tmp_path):
    backbone = BACKBONES[name](tmp_path)
    sources, texts = clips(5), [f"a dog barks {'and rain falls ' * n}" for n in range(9)]
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        audio = np.stack(list(ClipEncoder(backbone, batch_windows=2).embed(sources)))
        found.append(np.concatenate([audio, embed_texts(backbone, texts, batch_texts=2)]))
        assert torch.get_num_threads() == threads
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_as_many_calls_run_at_once_as_torch_has_threads_each_on_one():
    both_here = threading.Barrier(2, timeout=30)

    def call():
        both_here.wait()  # breaks where one runs after the other
        return torch.get_num_threads()

    with Encoders(mini()) as encoders:
        assert encoders.workers == 2
        assert [future.result() for future in [encoders.submit(call) for _ in range(2)]] == [1, 1]
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_there_are_never_more_than_eight():
    torch.set_num_threads(MOST_WORKERS + 3)
    with Encoders(mini()) as encoders:
        assert encoders.workers == MOST_WORKERS
    assert torch.get_num_threads() == MOST_WORKERS + 3


def test_torchs_threads_come_back_with_the_last_of_several_users_and_after_an_error():
    first, second = Encoders(mini()), Encoders(mini())

    def fail():
        with second:
            first.__enter__()
            assert (first.workers, second.workers) == (2, 2)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert torch.get_num_threads() == 1
    first.__exit__(None, None, None)
    assert torch.get_num_threads() == 2


def test_another_packages_backbone_keeps_torchs_own_threads():
    backbone = mini()
    backbone.kind = "somebody's"
    with Encoders(backbone) as encoders:
        assert encoders.workers == 1
        assert encoders.submit(torch.get_num_threads).result() == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_what_an_encoder_raises_comes_to_who_asked(threads):
    torch.set_num_threads(threads)
    backbone = mini()

    def broken(waveforms):
        raise ValueError("no encoder")

    backbone.embed_audio = broken
    with pytest.raises(ValueError, match="no encoder"):
        list(ClipEncoder(backbone).embed(clips(3)))
    assert torch.get_num_threads() == threads


def test_embeddings_that_nobody_waits_for_end_their_threads():
    found = ClipEncoder(mini(), batch_windows=1).outputs(clips(6))
    next(found)
    found.close()
    names = {thread.name.rsplit("_", 1)[0] for thread in threading.enumerate()}
    assert not names & {"humanclap-encode", "humanclap-read-ahead"}
    assert torch.get_num_threads() == 2
