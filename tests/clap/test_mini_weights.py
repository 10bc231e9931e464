"""The weights inside the package: size, speed of loading, and that they know a few sounds."""

import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import soxr
import torch

from humanclap.audio import fill_window
from humanclap.clap.mini import MiniCLAP, MiniMN04CLAP
from humanclap.clap.mini.storage import packaged

SHARED = Path(__file__).resolve().parents[3] / "shared"
MN04_FILE = SHARED / "models/mn04/mn04_as_mAP_432.pt"
ESC = SHARED / "data/esc/audio"
needs_shared = pytest.mark.skipif(not MN04_FILE.exists(), reason="shared/ is absent")
CLIPS = {"rooster": "4-164021-A.ogg", "crying baby": "4-167077-A.ogg", "sneezing": "4-156843-A.ogg"}


@pytest.fixture(scope="module")
def mini() -> MiniCLAP:
    return MiniCLAP.from_pretrained()


@pytest.fixture(scope="module")
def noise() -> torch.Tensor:
    return 0.2 * torch.randn(3, 320_000, generator=torch.Generator().manual_seed(0))


def _clips() -> torch.Tensor:
    rows = []
    for name in CLIPS.values():
        samples, rate = soundfile.read(ESC / name, dtype="float32")
        rows.append(fill_window(soxr.resample(samples, rate, 32_000)[:320_000], 320_000, "wrap"))
    return torch.stack([torch.from_numpy(row) for row in rows])


def test_the_packaged_files_are_small():
    files = [path for name in ("mini", "mini-mn04") for path in packaged(name).iterdir()]
    assert {path.name for path in files} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "README.md",
        "humanclap.json",
    }
    assert sum(path.stat().st_size for path in files) < 20e6


def test_parameters_are_about_one_and_five_million(mini):
    audio, text = (
        sum(parameter.numel() for parameter in encoder.parameters())
        for encoder in (mini.audio_encoder, mini.text_encoder)
    )
    assert 0.8e6 < audio < 1.3e6
    assert 4e6 < text < 6e6


def test_packaged_embeddings_are_unit_length_and_alone_equal_together(mini, noise):
    with torch.inference_mode():
        audio, text = mini.embed_audio(noise), mini.embed_text(["rain", "a dog barks, then rain"])
        torch.testing.assert_close(audio.norm(dim=1), torch.ones(3))
        torch.testing.assert_close(text.norm(dim=1), torch.ones(2))
        alone = torch.cat([mini.embed_audio(waveform[None]) for waveform in noise])
        first = mini.embed_text(["rain"])
    torch.testing.assert_close(alone, audio, rtol=0, atol=1e-6)
    torch.testing.assert_close(first, text[:1], rtol=0, atol=1e-6)


def test_packaged_text_knows_which_words_are_close(mini):
    with torch.inference_mode():
        dog, puppy, engine = mini.embed_text(["a dog barking", "a puppy barks", "an engine idles"])
    assert dog @ puppy > dog @ engine + 0.2


def test_packaged_weights_survive_saving(mini, noise, tmp_path):
    mini.save_pretrained(tmp_path)
    assert MiniCLAP.from_pretrained(tmp_path).fingerprint() == mini.fingerprint()


def test_loading_mini_does_not_import_transformers():
    code = (
        "import sys; from humanclap.clap.mini import MiniCLAP; MiniCLAP.from_pretrained(); "
        "sys.exit('transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@needs_shared
@pytest.mark.parametrize("name", ["mini", "mini-mn04"])
def test_held_out_clips_are_named_right(mini, name):
    model = mini if name == "mini" else MiniMN04CLAP.from_pretrained(mn04=MN04_FILE)
    with torch.inference_mode():
        scores = model.embed_audio(_clips()) @ model.embed_text(list(CLIPS)).T
    assert scores.argmax(1).tolist() == [0, 1, 2]
