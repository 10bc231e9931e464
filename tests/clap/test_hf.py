"""HFCLAP against transformers' own ClapModel and ClapProcessor, on small random checkpoints."""

from __future__ import annotations

import shutil
from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_hf import CAPTIONS, write_clap, write_extractor

from humanclap.audio import Waveform, windows
from humanclap.clap.backbone import Backbone

transformers = pytest.importorskip("transformers")

from humanclap.clap.hf import HFCLAP, features_of  # noqa: E402
from humanclap.errors import InputError  # noqa: E402

KINDS = ["unfused", "fused"]


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("clap")
    return {kind: write_clap(root / kind, fused=kind == "fused") for kind in KINDS}


@pytest.fixture(scope="session", params=KINDS)
def folder(request, folders):
    return folders[request.param]


@pytest.fixture(scope="session")
def clap(folder):
    return HFCLAP.from_pretrained(folder, offline=True)


@pytest.fixture
def fresh(folders):
    """An unfused model of its own, to be changed."""
    return HFCLAP.from_pretrained(folders["unfused"], offline=True)


@cache
def clips(rate: int = 48000) -> dict[str, np.ndarray]:
    """Signals that show a front end's faults, among them tones and near-silence."""
    time = np.arange(10 * rate) / rate
    noise = np.random.default_rng(0).standard_normal(10 * rate)
    signals = {
        "noise": 0.1 * noise,
        "quiet": 1e-4 * noise,
        "tone": 0.9 * np.sin(2 * np.pi * 93.7 * time),
        "sweep": 0.9 * np.sin(2 * np.pi * (20 * time + 1000 * time**2)),
        "click": np.eye(1, len(time), 1000)[0],
        "half silent": np.where(time < 5, 0.1 * noise, 0),
        "silent": 0 * time,
        "9.99 s": 0.1 * noise[: 999 * rate // 100],
        "5.001 s": 0.1 * noise[: 5001 * rate // 1000],
        "3.3 s": 0.1 * noise[: 33 * rate // 10],
        "10 ms": 0.1 * noise[: rate // 100],
    }
    return {name: signal.astype(np.float32) for name, signal in signals.items()}


UNLIKE = ["noise", "sweep", "3.3 s", "10 ms"]


def only_window(clap: HFCLAP, samples: np.ndarray) -> np.ndarray:
    (window,) = windows(
        Waveform(samples=samples, sample_rate=clap.sample_rate),
        sample_rate=clap.sample_rate,
        window_s=clap.window_s,
        hop_s=clap.window_s,
        fill=clap.fill,
    )
    return window.waveform


def batch_of(clap: HFCLAP) -> torch.Tensor:
    return torch.from_numpy(np.stack([only_window(clap, clips()[name]) for name in UNLIKE]))


def embed(clap: HFCLAP, waveforms: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return clap.embed_audio(waveforms)


def test_it_is_a_backbone(clap, folder):
    assert isinstance(clap, Backbone)
    assert clap.kind == "hf"
    assert clap.name == folder.name
    assert (clap.sample_rate, clap.window_s, clap.fill) == (48000, 10.0, "repeat")
    assert clap.embedding_dim == 12
    assert not clap.training
    assert clap.module() is clap


@pytest.mark.filterwarnings("ignore:.*silent from start to end")
@pytest.mark.parametrize("name", list(clips()))
def test_the_front_end_equals_transformers_within_a_thousandth_of_a_decibel(clap, name):
    clip = clips()[name]
    extractor = clap.processor.feature_extractor
    expected = extractor(clip, sampling_rate=48000, return_tensors="np")["input_features"][0]
    mels = clap.frontend(torch.from_numpy(only_window(clap, clip))[None]).numpy()
    for channel in expected:  # one, or four alike
        np.testing.assert_allclose(mels[0], channel, rtol=0, atol=1e-3)


def test_audio_embeddings_equal_those_of_transformers(clap, folder):
    model = transformers.ClapModel.from_pretrained(folder).eval()
    extractor = transformers.ClapProcessor.from_pretrained(folder).feature_extractor
    chosen = [clips()[name] for name in UNLIKE]
    inputs = extractor(chosen, sampling_rate=48000, return_tensors="pt")
    inputs["is_longer"] = torch.zeros(len(chosen), 1, dtype=torch.bool)
    with torch.no_grad():
        expected = features_of(model.get_audio_features(**inputs))
    embeddings = embed(clap, batch_of(clap))
    torch.testing.assert_close(embeddings, expected, rtol=0, atol=1e-5)
    assert (embeddings @ embeddings.T).min() < 0.9999  # the clips are told apart


def test_text_embeddings_equal_those_of_transformers(clap, folder):
    model = transformers.ClapModel.from_pretrained(folder).eval()
    processor = transformers.ClapProcessor.from_pretrained(folder)
    inputs = processor(text=CAPTIONS, return_tensors="pt", padding=True)
    with torch.no_grad():
        expected = features_of(model.get_text_features(**inputs))
        embeddings = clap.embed_text(CAPTIONS)
    torch.testing.assert_close(embeddings, expected, rtol=0, atol=1e-6)


def test_cosines_are_the_logits_of_transformers(clap, folder):
    model = transformers.ClapModel.from_pretrained(folder).eval()
    processor = transformers.ClapProcessor.from_pretrained(folder)
    waveforms = batch_of(clap)[:3]
    inputs = processor.feature_extractor(
        list(waveforms.numpy()), sampling_rate=48000, return_tensors="pt"
    )
    inputs |= processor.tokenizer(CAPTIONS, return_tensors="pt", padding=True)
    inputs["is_longer"] = torch.zeros(3, 1, dtype=torch.bool)
    with torch.no_grad():
        expected = model(**inputs).logits_per_audio
        logits = clap.logit_scale * clap.embed_audio(waveforms) @ clap.embed_text(CAPTIONS).T
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4)


def test_embeddings_have_unit_length(clap):
    with torch.no_grad():
        for embeddings in (clap.embed_audio(batch_of(clap)), clap.embed_text(CAPTIONS)):
            torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(len(embeddings)))


def test_a_text_has_one_embedding_whatever_its_neighbours(clap):
    with torch.no_grad():
        together = clap.embed_text(["x", *CAPTIONS])
        for text, embedding in zip(["x", *CAPTIONS], together, strict=True):
            torch.testing.assert_close(clap.embed_text([text])[0], embedding, rtol=0, atol=1e-6)


def test_a_clip_has_one_embedding_whatever_its_neighbours_and_any_seed(clap):
    waveforms = batch_of(clap)[:3]
    np.random.seed(1)
    torch.manual_seed(1)
    together = embed(clap, waveforms)
    for seed, waveform in enumerate(waveforms):
        np.random.seed(seed)
        torch.manual_seed(seed)
        alone = embed(clap, waveform[None])[0]
        torch.testing.assert_close(alone, together[seed], rtol=0, atol=1e-6)


def test_embedding_draws_no_random_number(clap):
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    embed(clap, batch_of(clap)[:2])
    clap.embed_text(CAPTIONS)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_a_text_longer_than_the_model_is_cut_at_its_last_position(clap):
    with torch.no_grad():
        long = clap.embed_text(["a dog barks " * 50, "a dog barks " * 60])
    torch.testing.assert_close(long[0], long[1])


def test_no_text_gives_no_embedding(clap):
    assert clap.embed_text([]).shape == (0, 12)


@pytest.mark.parametrize("shape", [(480000,), (2, 479999), (1, 1, 480000)])
def test_refuses_waveforms_that_are_not_one_window(clap, shape):
    with pytest.raises(InputError, match=r"expected \(batch, 480000\), 10 s at 48000 Hz"):
        clap.embed_audio(torch.zeros(shape))


def test_features_are_found_in_a_tensor_and_in_an_output_object():
    tensor = torch.ones(2, 3)
    output = transformers.modeling_outputs.BaseModelOutputWithPooling(pooler_output=tensor)
    assert features_of(tensor) is tensor  # transformers 4
    assert features_of(output) is tensor  # transformers 5


def test_the_logit_scale_is_that_of_the_audio_side_and_learns(fresh):
    with torch.no_grad():
        fresh.model.logit_scale_a.fill_(2.0)
        fresh.model.logit_scale_t.fill_(5.0)
    assert fresh.logit_scale.item() == pytest.approx(np.exp(2.0))
    fresh.logit_scale.backward()
    assert fresh.model.logit_scale_a.grad.item() == pytest.approx(np.exp(2.0))


def test_every_trainable_parameter_learns_but_those_of_fusion(fresh):
    loss = (fresh.embed_audio(batch_of(fresh)[:2]) * fresh.embed_text(CAPTIONS[:2])).sum()
    (loss + fresh.logit_scale).backward()
    trainable = {id(parameter) for parameter in fresh.trainable_parameters()}
    named = dict(fresh.model.named_parameters())
    assert {n for n, p in named.items() if p.grad is None} == {"logit_scale_t"}
    assert {n for n, p in named.items() if id(p) not in trainable} == {"logit_scale_t"}


def test_frozen_parameters_are_not_trainable(fresh):
    fresh.model.audio_model.requires_grad_(False)
    trainable = {id(parameter) for parameter in fresh.trainable_parameters()}
    assert not trainable & {id(parameter) for parameter in fresh.model.audio_model.parameters()}
    assert trainable


def test_bfloat16_autocast_is_honoured(clap):
    waveforms = batch_of(clap)[:3]
    expected = embed(clap, waveforms)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        embeddings = clap.embed_audio(waveforms)
        texts = clap.embed_text(CAPTIONS)
    assert embeddings.dtype == texts.dtype == torch.float32
    assert (embeddings * expected).sum(dim=1).min() > 0.999
    assert not torch.equal(embeddings, expected)


def test_what_is_saved_loads_here_and_in_transformers(clap, tmp_path):
    clap.save_pretrained(tmp_path / "saved")
    assert not list((tmp_path / "saved").glob("*.bin"))
    again = HFCLAP.from_pretrained(tmp_path / "saved", offline=True)
    assert again.fingerprint() == clap.fingerprint()
    model = transformers.ClapModel.from_pretrained(tmp_path / "saved").eval()
    processor = transformers.ClapProcessor.from_pretrained(tmp_path / "saved")
    inputs = processor(text=CAPTIONS, return_tensors="pt", padding=True)
    with torch.no_grad():
        expected = features_of(model.get_text_features(**inputs))
        torch.testing.assert_close(clap.embed_text(CAPTIONS), expected, rtol=0, atol=1e-6)
        assert torch.equal(embed(again, batch_of(clap)), embed(clap, batch_of(clap)))


def test_weights_saved_in_half_precision_are_used_in_single(folders, tmp_path):
    model = transformers.ClapModel.from_pretrained(folders["unfused"])
    shutil.copytree(folders["unfused"], tmp_path / "half")
    model.half().save_pretrained(tmp_path / "half")
    assert load_file(tmp_path / "half" / "model.safetensors")["logit_scale_a"].dtype == torch.half
    clap = HFCLAP.from_pretrained(tmp_path / "half", offline=True)
    assert {p.dtype for p in clap.trainable_parameters()} == {torch.float32}


def test_a_copy_has_the_same_fingerprint_and_another_name(folder, clap, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    copy = HFCLAP.from_pretrained(tmp_path / "copy", offline=True)
    assert copy.name == "copy"
    assert copy.fingerprint() == clap.fingerprint()
    assert len(copy.fingerprint()) == 8


def test_embedding_and_training_mode_leave_the_fingerprint_alone(fresh):
    before = fresh.fingerprint()
    fresh.embed_text(CAPTIONS)
    assert fresh.train().fingerprint() == before
    fresh._fingerprint = None
    assert fresh.fingerprint() == before


def test_the_fingerprint_follows_weights_and_statistics(fresh):
    seen = {fresh.fingerprint()}
    optimizer = torch.optim.SGD(fresh.trainable_parameters(), lr=0.1)
    fresh.embed_text(CAPTIONS).sum().backward()
    optimizer.step()
    seen.add(fresh.fingerprint())
    fresh.train().embed_audio(batch_of(fresh)[:2])  # batch normalisation counts along
    seen.add(fresh.fingerprint())
    assert len(seen) == 3


def test_the_fingerprint_follows_weights_made_and_changed_in_inference_mode(folders):
    with torch.inference_mode():
        clap = HFCLAP.from_pretrained(folders["unfused"], offline=True)
        before = clap.fingerprint()
        clap.model.text_projection.linear1.bias.add_(1.0)
        assert clap.fingerprint() != before


@pytest.mark.parametrize(
    "change", [{"frequency_max": 12000}, {"padding": "pad"}, {"hop_length": 500}]
)
def test_the_fingerprint_follows_the_front_end(folders, tmp_path, change):
    shutil.copytree(folders["unfused"], tmp_path / "other")
    write_extractor(tmp_path / "other", fused=False, **change)
    other = HFCLAP.from_pretrained(tmp_path / "other", offline=True)
    original = HFCLAP.from_pretrained(folders["unfused"], offline=True)
    assert other.fingerprint() != original.fingerprint()


def test_the_fingerprint_follows_the_tokenizer(fresh, folders, tmp_path):
    shutil.copytree(folders["unfused"], tmp_path / "other")
    merges = (tmp_path / "other" / "merges.txt").read_text().splitlines()
    (tmp_path / "other" / "merges.txt").write_text("\n".join(merges[:2]) + "\n")
    other = HFCLAP.from_pretrained(tmp_path / "other", offline=True)
    assert other.fingerprint() != fresh.fingerprint()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_full_size_equals_transformers(tmp_path, kind):
    folder = write_clap(tmp_path / kind, fused=kind == "fused", full_size=True)
    clap = HFCLAP.from_pretrained(folder, offline=True)
    encoder = sum(p.numel() for p in clap.model.audio_model.parameters())
    assert 27e6 < encoder < 30e6
    test_audio_embeddings_equal_those_of_transformers(clap, folder)
    test_text_embeddings_equal_those_of_transformers(clap, folder)
