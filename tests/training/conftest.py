"""A small deterministic backbone and a small rated set of tones."""

import csv
import math

import numpy as np
import pytest
import soundfile
import torch
from torch import nn
from torch.nn import functional as F

from humanclap.training.data.choices import read_choice_examples
from humanclap.training.data.clips import ClipStore
from humanclap.training.data.dataset import read_examples
from humanclap.training.data.splits import ChoiceRows, make_splits
from humanclap.training.settings import TrainingSettings

WORDS = ("low", "middle", "high", "tone", "hum", "whistle", "noise")
PITCHES_HZ = {"low": 40.0, "middle": 150.0, "high": 400.0}
SAMPLE_RATE = 1000


class ToneCLAP(nn.Module):
    """Spectrum and bag of words, each behind a linear encoder and a linear projection."""

    kind, name, fill = "tone", "tone", "zero"
    sample_rate, window_s, embedding_dim = SAMPLE_RATE, 0.2, 8

    def __init__(self, seed=0, dropout=0.1):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.audio_encoder = nn.Linear(101, 16)
            self.audio_projection = nn.Linear(16, 8)
            self.text_encoder = nn.Linear(len(WORDS), 16)
            self.text_projection = nn.Linear(16, 8)
        self.dropout = nn.Dropout(dropout)
        self.logit_scale_log = nn.Parameter(torch.tensor(math.log(10.0)))

    def embed_audio(self, waveforms):
        spectrum = torch.fft.rfft(waveforms).abs() / 20  # (batch, 101)
        hidden = self.dropout(torch.tanh(self.audio_encoder(spectrum)))
        return F.normalize(self.audio_projection(hidden), dim=1)

    def embed_text(self, texts):
        bags = torch.tensor([[float(word in text.split()) for word in WORDS] for text in texts])
        hidden = self.dropout(torch.tanh(self.text_encoder(bags)))
        return F.normalize(self.text_projection(hidden), dim=1)

    @property
    def logit_scale(self):
        return self.logit_scale_log.exp()

    def trainable_parameters(self):
        yield from self.parameters()

    def fingerprint(self):
        return "00000000"

    def module(self):
        return self


@pytest.fixture
def tone_clap():
    return ToneCLAP


@pytest.fixture(scope="session")
def tones(tmp_path_factory):
    """targets.csv with 24 training and 8 validation pairs, half of them well matched."""
    folder = tmp_path_factory.mktemp("tones")
    generator = np.random.default_rng(0)
    rows = []
    kinds = ("tone", "hum", "whistle", "noise")
    for number in range(32):
        split = "train" if number < 24 else "validation"
        pitch = list(PITCHES_HZ)[number % 3]
        said = pitch if (number // 3) % 2 else list(PITCHES_HZ)[(number + 1) % 3]
        seconds = 0.15 if number % 4 else 0.5
        time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
        wave = 0.5 * np.sin(2 * np.pi * PITCHES_HZ[pitch] * time)
        wave += 0.02 * generator.standard_normal(len(time))
        soundfile.write(folder / f"{number:02}.wav", wave, SAMPLE_RATE)
        rating = 8.0 + generator.uniform(-1, 1) if said == pitch else generator.uniform(0, 3)
        text = f"{said} {kinds[number % 4]} {split} {number}"
        rows.append([f"{number:02}.wav", text, rating / 10, rating, 4, split])
    with open(folder / "targets.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "text", "target", "mos", "n", "split"])
        writer.writerows(rows)
    return folder / "targets.csv"


@pytest.fixture(scope="session")
def tone_choices(tones):
    """40 choices, 28 to train: of two texts of a clip and, in turn, of two clips of a text.

    Three of four people choose what matches. Clips are others than those of the ratings.
    """
    generator = np.random.default_rng(1)
    rows = []
    for number in range(40):
        split = "train" if number < 28 else "validation"
        pitch = list(PITCHES_HZ)[number % 3]
        other = list(PITCHES_HZ)[(number + 1) % 3]
        clips = []
        for name, one in ((f"c{number:02}a.wav", pitch), (f"c{number:02}b.wav", other)):
            time = np.arange(round((0.15 if number % 4 else 0.5) * SAMPLE_RATE)) / SAMPLE_RATE
            wave = 0.5 * np.sin(2 * np.pi * PITCHES_HZ[one] * time)
            wave += 0.02 * generator.standard_normal(len(time))
            soundfile.write(tones.parent / name, wave, SAMPLE_RATE)
            clips.append(name)
        text = f"{pitch} tone chosen {split} {number}"
        if number % 2:
            sides = [clips[0], text, clips[0], text.replace(pitch, other)]
        else:
            sides = [clips[0], text, clips[1], text]
        votes = [3, 1, 0]
        if number % 5 == 0:
            sides, votes = [*sides[2:], *sides[:2]], [1, 3, 0]
        rows.append([*sides, *votes, split])
    with open(tones.parent / "votes.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["audio_a", "text_a", "audio_b", "text_b", "n_first", "n_second", "n_equal", "split"]
        )
        writer.writerows(rows)
    return tones.parent / "votes.csv"


@pytest.fixture
def prepared(tones, tone_choices):
    """Settings -> (splits, clips) of the tones, and of the choices where these are learned from."""

    def prepare(settings=None, *, rated=True):
        settings = settings or TrainingSettings()
        splits = splits_of(tones if rated else None, tone_choices, settings)
        clips = ClipStore(SAMPLE_RATE, memory_bytes=1e9)
        clips.decode_all((*splits.trained, *splits.validated))
        return splits, clips

    return prepare


def splits_of(targets, choices, settings):
    """Splits of the tables; choices only where the objective learns from them."""
    rows = ChoiceRows()
    if settings.learns_choices:
        rows = ChoiceRows(examples=read_choice_examples(choices), table=choices)
    examples = [] if targets is None else read_examples(targets)
    return make_splits(examples, settings, table=targets or choices, choices=rows)
