"""Checkpoint files of LAION against the embeddings that `laion_clap` 1.1.7 itself makes of them.

Weights and sounds are made from seeds in both places; reference/make_laion_clap.py made the
embeddings, in an environment of its own.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from laion_weights import BASE, TEXTS, TINY, laion_weights, sounds
from tiny_hf import write_extractor, write_tokenizer

pytest.importorskip("transformers")

from humanclap.audio.load import Waveform
from humanclap.clap.embedding import ClipEncoder, embed_texts
from humanclap.clap.laion import load_laion

REFERENCE = Path(__file__).parent / "reference" / "laion_clap.npz"
MODELS = {"tiny": (TINY, False, 11), "tiny fused": (TINY, True, 12), "base": (BASE, False, 13)}
TONAL = "chord"
"""Between its partials there is nothing but what rounding adds."""


@pytest.fixture(scope="module", params=MODELS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def reference():
    with np.load(REFERENCE) as file:
        return dict(file)


@pytest.fixture(scope="module")
def clap(kind, tmp_path_factory):
    """The model read from its file, with a processor beside it."""
    size, fused, seed = MODELS[kind]
    folder = tmp_path_factory.mktemp("laion")
    write_tokenizer(folder)
    write_extractor(folder, fused=fused)
    weights = laion_weights(size, fused=fused, seed=seed)
    state = {f"module.{name}": torch.from_numpy(np.array(one)) for name, one in weights.items()}
    torch.save({"epoch": 1, "state_dict": state}, folder / "file.pt")
    return load_laion(folder / "file.pt", offline=True)


def rounded(samples: np.ndarray) -> np.ndarray:
    """What laion_clap makes of decoded samples: steps of 1 / 32767, cut towards 0."""
    return np.float32(np.int16(samples / 32_768 * 32_767) / 32_767)


def cosines_with(theirs: np.ndarray, clap, sources) -> dict[str, float]:
    ours = np.stack(list(ClipEncoder(clap).embed(sources)))
    return dict(zip(sounds(), (ours * theirs).sum(axis=1), strict=True))


def test_rounded_sounds_are_heard_as_laion_clap_hears_them(kind, clap, reference):
    sources = [Waveform(samples=rounded(one), sample_rate=48_000) for one in sounds().values()]
    cosines = cosines_with(reference[f"{kind}: sounds"], clap, sources)
    assert cosines == pytest.approx(dict.fromkeys(sounds(), 1.0), abs=1e-6)


def test_files_are_heard_as_laion_clap_hears_them_but_for_its_rounding(
    kind, clap, reference, tmp_path
):
    files = [tmp_path / f"{number}.wav" for number in range(len(sounds()))]
    for file, samples in zip(files, sounds().values(), strict=True):
        soundfile.write(file, samples, 48_000, subtype="PCM_16")
    cosines = cosines_with(reference[f"{kind}: sounds"], clap, files)
    assert cosines.pop(TONAL) >= 0.9998
    assert min(cosines.values()) >= 0.9999


def test_texts_are_read_as_laion_clap_reads_them(kind, clap, reference):
    tokens = clap.processor.tokenizer(list(TEXTS))["input_ids"]
    assert tokens == json.loads(str(reference["tokens"]))
    cosines = (embed_texts(clap, TEXTS) * reference[f"{kind}: texts"]).sum(axis=1)
    np.testing.assert_allclose(cosines, 1, atol=1e-6)


def test_the_references_tell_sounds_and_texts_apart(kind, reference):
    for name in ("sounds", "texts"):
        rows = reference[f"{kind}: {name}"]
        assert (rows @ rows.T).min(axis=1).max() < 0.8
