"""Features of frozen encoders out of the user's cache."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from humanclap.clap.cache import EmbeddingCache
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.errors import InputError
from humanclap.training.model.features import TEXTS_PER_BATCH, FeatureCache
from humanclap.training.model.towers import FrozenTextTower, FrozenTower

TEXTS = [f"a dog barks {'and rain falls ' * (number % 5)}{number}" for number in range(40)]


@pytest.fixture
def mini():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return MiniCLAP(MiniConfig.tiny()).eval().freeze_encoders()


@pytest.fixture
def files(mini, tmp_path):
    cache = EmbeddingCache(tmp_path / "cache.sqlite", max_bytes=10**8)
    return lambda: FeatureCache(cache, mini, mini.fingerprint())


@pytest.fixture
def examples(tmp_path):
    """Clips of 0.5, 3 and 24 s."""
    found = []
    for number, seconds in enumerate((0.5, 3.0, 24.0)):
        wave = np.random.default_rng(number).uniform(-0.3, 0.3, round(seconds * 32_000))
        soundfile.write(tmp_path / f"{number}.wav", wave, 32_000)
        found.append(SimpleNamespace(path=tmp_path / f"{number}.wav", where=f"t.csv:{number + 2}"))
    return found


@pytest.fixture
def counted(mini, monkeypatch):
    found = Counter()
    for name in ("encode_audio", "encode_text"):
        plain = getattr(mini, name)

        def counting(batch, plain=plain, name=name):
            found[name] += len(batch)
            return plain(batch)

        monkeypatch.setattr(mini, name, counting)
    return found


def test_clips_come_to_the_bit_as_they_are_encoded_and_are_not_encoded_again(
    mini, files, examples, counted
):
    plain = FrozenTower(mini, examples).load(examples, [0.0] * 3)
    for _ in range(2):
        kept = FrozenTower(mini, examples, files=files()).load(examples, [0.0] * 3)
        assert torch.equal(kept.windows, plain.windows)
        assert torch.equal(kept.weights, plain.weights)
        assert kept.counts == plain.counts == (1, 1, 3)
    assert counted["encode_audio"] == 2 * (1 + 1 + 3)


def test_clips_that_some_other_run_left_change_no_digit(mini, files, examples):
    FrozenTower(mini, examples[2:], files=files())
    mixed = FrozenTower(mini, examples, files=files()).load(examples, [0.0] * 3)
    plain = FrozenTower(mini, examples).load(examples, [0.0] * 3)
    assert torch.equal(mixed.windows, plain.windows)


def test_texts_come_to_the_bit_whatever_other_runs_left(mini, files, counted):
    assert len(TEXTS) > 2 * TEXTS_PER_BATCH
    with torch.no_grad():
        plain = FrozenTextTower(mini, TEXTS).embed(TEXTS)
        FrozenTextTower(mini, TEXTS[::3], files=files())
        FrozenTextTower(mini, TEXTS[5:], files=files())
        assert torch.equal(FrozenTextTower(mini, TEXTS, files=files()).embed(TEXTS), plain)
        counted.clear()
        assert torch.equal(FrozenTextTower(mini, TEXTS, files=files()).embed(TEXTS), plain)
    assert counted["encode_text"] == 0


def test_another_clip_of_the_same_name_is_encoded_and_a_bad_one_refused(
    mini, files, examples, counted
):
    FrozenTower(mini, examples, files=files())
    path: Path = examples[0].path
    path.write_bytes(examples[1].path.read_bytes())
    counted.clear()
    again = FrozenTower(mini, examples, files=files())
    assert counted["encode_audio"] == 0  # these bytes are known, under another name
    rows = again.load(examples[:2], [0.0] * 2).windows
    assert torch.equal(rows[0], rows[1])
    path.write_bytes(b"RIFF")
    with pytest.raises(InputError, match=r"^t\.csv:2: .*0\.wav"):
        FrozenTower(mini, examples, files=files())


def test_other_weights_find_no_features(mini, files, examples, counted):
    FrozenTower(mini, examples, files=files())
    counted.clear()
    with torch.no_grad():
        next(iter(mini.audio_encoder.parameters())).mul_(1.5)
    FrozenTower(mini, examples, files=files())
    assert counted["encode_audio"] == 5
