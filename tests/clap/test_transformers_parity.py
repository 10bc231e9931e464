"""Files through our whole line against the documented pipeline of transformers.

Theirs: decode, average the channels, resample by soxr's HQ (what librosa.load does), then
ClapProcessor and ClapModel. Two places in it draw random numbers, and are given a value here: which
clip of a batch a fused extractor marks as longer (none), and where a clip longer than 10 s is cut
(every 10 s, as ours). The weights are random, of HTSAT-tiny and two layers of RoBERTa.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
import torch
from laion_weights import TINY, laion_weights
from tiny_hf import write_extractor, write_tokenizer

transformers = pytest.importorskip("transformers")

from humanclap.clap.convert import convert_laion  # noqa: E402
from humanclap.clap.embedding import ClipEncoder  # noqa: E402
from humanclap.clap.hf import HFCLAP, features_of  # noqa: E402

RATE = 48_000
WINDOW = 10 * RATE
SAME = 0.99999
LENGTHS_S = {"short": 3.3, "exact": 10.0, "just longer": 10.012, "long": 24.7}


class Theirs:
    """ClapProcessor and ClapModel, on one clip at a time."""

    def __init__(self, folder: Path, *, fused: bool) -> None:
        self.model = transformers.ClapModel.from_pretrained(folder).eval()
        self.extractor = transformers.ClapProcessor.from_pretrained(folder).feature_extractor
        self.fused = fused

    def embed(self, samples: np.ndarray, *, marked: bool = False) -> torch.Tensor:
        """(samples,) at 48 kHz -> (dim,), unit length; marked: as longer, where theirs says so."""
        inputs = self.extractor(samples, sampling_rate=RATE, return_tensors="pt")
        if self.fused and not marked:
            inputs["is_longer"] = torch.zeros(1, 1, dtype=torch.bool)
        with torch.no_grad():
            features = features_of(self.model.get_audio_features(**inputs))
        return torch.nn.functional.normalize(features, dim=-1)[0]


@pytest.fixture(scope="module", params=["unfused", "fused"])
def both(request, tmp_path_factory):
    """One checkpoint, in our hands and in theirs."""
    fused = request.param == "fused"
    folder = tmp_path_factory.mktemp("parity")
    write_tokenizer(folder)
    write_extractor(folder, fused=fused)
    weights = laion_weights(TINY, fused=fused, seed=21 + fused)
    torch.save({k: torch.from_numpy(np.array(v)) for k, v in weights.items()}, folder / "a.pt")
    convert_laion(folder / "a.pt", folder / "clap", offline=True)
    return HFCLAP.from_pretrained(folder / "clap"), Theirs(folder / "clap", fused=fused)


def write(path: Path, *, seconds: float, rate: int = RATE, subtype="PCM_16", channels=1) -> Path:
    """Noise that swells, below a gliding tone: no two parts alike."""
    time = np.arange(round(seconds * rate)) / rate
    rng = np.random.default_rng(channels)
    tone = 0.3 * np.sin(2 * np.pi * (200 * time + 40 * time**2))
    sides = [
        tone * (1 - side) + 0.2 * (0.2 + time / time[-1]) * rng.uniform(-1, 1, len(time))
        for side in range(channels)
    ]
    soundfile.write(path, np.stack(sides, axis=1), rate, subtype=subtype)
    return path


def loaded(path: Path) -> np.ndarray:
    """What librosa.load(path, sr=48000) gives."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(axis=1), rate, RATE, quality="HQ")


def cosine(both, path: Path, theirs: torch.Tensor) -> float:
    (ours,) = ClipEncoder(both[0]).embed([path])
    assert not isinstance(ours, Exception), ours
    return float(torch.from_numpy(ours) @ theirs)


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("length", ["short", "exact"])
def test_clips_of_a_window_and_less_at_every_rate(both, tmp_path, rate, length):
    path = write(tmp_path / "a.wav", seconds=LENGTHS_S[length], rate=rate)
    assert cosine(both, path, both[1].embed(loaded(path))) >= SAME


@pytest.mark.parametrize(
    ("subtype", "channels"),
    [("PCM_16", 2), ("PCM_24", 1), ("PCM_24", 2), ("PCM_32", 2), ("FLOAT", 1)],
)
def test_bit_depths_and_stereo(both, tmp_path, subtype, channels):
    path = write(tmp_path / "a.wav", seconds=4.1, rate=44_100, subtype=subtype, channels=channels)
    assert cosine(both, path, both[1].embed(loaded(path))) >= SAME


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("length", ["just longer", "long"])
def test_longer_clips_are_the_mean_of_what_transformers_makes_of_their_windows(
    both, tmp_path, rate, length
):
    path = write(tmp_path / "a.wav", seconds=LENGTHS_S[length], rate=rate)
    samples = loaded(path)
    parts = [samples[start : start + WINDOW] for start in range(0, len(samples), WINDOW)]
    assert len(parts) == math.ceil(LENGTHS_S[length] / 10)
    mean = sum(len(part) / WINDOW * both[1].embed(part) for part in parts)
    theirs = torch.nn.functional.normalize(mean, dim=0)
    assert cosine(both, path, theirs) >= SAME


def test_a_rest_under_ten_milliseconds_is_not_heard(both, tmp_path):
    path = write(tmp_path / "a.wav", seconds=10.006)
    assert cosine(both, path, both[1].embed(loaded(path)[:WINDOW])) >= SAME


def test_longer_clips_have_several_embeddings_in_transformers_and_one_here(both, tmp_path):
    path = write(tmp_path / "a.wav", seconds=LENGTHS_S["long"])
    ours, theirs = [], []
    for seed in range(5):
        np.random.seed(seed)
        theirs.append(both[1].embed(loaded(path), marked=True))
        ours.extend(ClipEncoder(both[0]).embed([path]))
    assert all(np.array_equal(one, ours[0]) for one in ours)
    assert min(float(one @ theirs[0]) for one in theirs) < SAME


def test_the_comparison_tells_other_sounds_apart(both, tmp_path):
    path = write(tmp_path / "a.wav", seconds=4.1)
    other = write(tmp_path / "b.wav", seconds=4.1, rate=16_000)  # the same, without its highs
    assert cosine(both, path, both[1].embed(loaded(other))) < 0.99
