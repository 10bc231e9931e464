"""The weights inside the package: size, speed of loading, and that they know a few sounds."""

import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import soxr
import torch

from humanclap.audio import fill_window
from humanclap.clap.checkpoint import load_checkpoint
from humanclap.clap.checkpoint_files import packaged_folder, packaged_names
from humanclap.clap.mini import MiniCLAP

SHARED = Path(__file__).resolve().parents[3] / "shared"
MN04_FILE = SHARED / "models/mn04/mn04_as_mAP_432.pt"
ESC = SHARED / "data/esc/audio"
needs_shared = pytest.mark.skipif(not MN04_FILE.exists(), reason="shared/ is absent")
CLIPS = {"rooster": "4-164021-A.ogg", "crying baby": "4-167077-A.ogg", "sneezing": "4-156843-A.ogg"}
"""Of ESC's fold 4; of roosters and sneezes no clip trained anything."""


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


NAMES = ["mini", "mini-mn04"]


def test_the_packaged_models_are_small_and_store_once_what_they_share():
    assert packaged_names() == NAMES
    files = {name: {path.name: path for path in packaged_folder(name).iterdir()} for name in NAMES}
    size = sum(path.stat().st_size for found in files.values() for path in found.values())
    assert size < 16.5e6
    own = {"config.json", "README.md", "humanclap.json"}
    assert own | {"model.safetensors", "tokenizer.json"} <= set(files["mini"])
    assert own <= set(files["mini-mn04"])
    assert "model.safetensors" not in files["mini-mn04"]


@needs_shared
def test_both_models_say_the_same_of_a_text(mini):
    other = load_checkpoint("mini-mn04", mn04=MN04_FILE).backbone
    texts = ["a dog barks", "rain, then thunder"]
    with torch.inference_mode():
        assert torch.equal(mini.embed_text(texts), other.embed_text(texts))


@needs_shared
def test_the_student_hears_nearly_what_its_teacher_hears(mini):
    other = load_checkpoint("mini-mn04", mn04=MN04_FILE).backbone
    with torch.inference_mode():
        cosines = (mini.embed_audio(_clips()) * other.embed_audio(_clips())).sum(1)
    assert cosines.min() > 0.7


def test_mini_predicts_ratings_with_an_error():
    calibration = load_checkpoint("mini").calibration
    assert calibration is not None
    ratings = [calibration.rating(score) for score in (-0.2, 0.2, 0.5, 0.9)]
    assert ratings == sorted(ratings)
    assert 0 <= ratings[0] < 3
    assert ratings[-1] > 6
    assert 0.3 < calibration.standard_error(0.4) < 3


def test_parameters_are_about_one_and_a_half_and_five_million(mini):
    audio, text = (
        sum(parameter.numel() for parameter in encoder.parameters())
        for encoder in (mini.audio_encoder, mini.text_encoder)
    )
    assert 1.3e6 < audio < 1.6e6
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
@pytest.mark.parametrize("name", NAMES)
def test_held_out_clips_are_named_right(name):
    model = load_checkpoint(name, mn04=MN04_FILE).backbone
    with torch.inference_mode():
        scores = model.embed_audio(_clips()) @ model.embed_text(list(CLIPS)).T
    assert scores.argmax(1).tolist() == [0, 1, 2]


def test_loading_draws_no_random_numbers_and_leaves_none_in_the_model():
    torch.manual_seed(5)
    first = MiniCLAP.from_pretrained()
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), drawn)
    assert MiniCLAP.from_pretrained().fingerprint() == first.fingerprint()
    assert MiniCLAP(first.config).text_encoder.state_dict().keys()  # random ones can still be made
