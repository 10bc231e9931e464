"""mn04 in plain torch: its size, its file, what it hears in a dog."""

import csv
from pathlib import Path

import pytest
import soundfile
import soxr
import torch
from safetensors.torch import load_file

from humanclap.clap.checkpoint import Checkpoint, save_checkpoint
from humanclap.clap.mini import MiniConfig, MiniMN04CLAP
from humanclap.clap.mini.mn04 import load_mn04
from humanclap.clap.mini.tagger import Tagger, TaggerSizes
from humanclap.clap.publish import as_whole
from humanclap.errors import CheckpointError

SHARED = Path(__file__).resolve().parents[3] / "shared"
MN04_FILE = SHARED / "models/mn04/mn04_as_mAP_432.pt"
needs_mn04 = pytest.mark.skipif(not MN04_FILE.exists(), reason="shared/models/mn04 is absent")


def test_mn04_has_the_published_number_of_parameters():
    assert sum(parameter.numel() for parameter in Tagger().parameters()) == 983_599


def test_norms_folded_into_convolutions_change_nothing_but_rounding():
    torch.manual_seed(0)
    network = Tagger().train()
    waveforms = torch.rand(3, 32_000, generator=torch.Generator().manual_seed(0)) - 0.5
    network(waveforms)  # moves the statistics away from 0 and 1
    network.eval()
    folded = network.fold()
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in folded.modules())
    for before, after in zip(network(waveforms), folded(waveforms), strict=True):
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


def test_mn04_of_a_clip_does_not_depend_on_its_neighbours():
    network = Tagger().eval()
    waveforms = torch.rand(3, 32_000, generator=torch.Generator().manual_seed(0)) - 0.5
    together = network(waveforms)[1]
    alone = torch.cat([network(waveform[None])[1] for waveform in waveforms])
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-5)


def test_another_file_is_refused_by_its_hash(tmp_path):
    path = tmp_path / "mn04.pt"
    torch.save(Tagger().state_dict(), path)
    with pytest.raises(CheckpointError, match=r"sha256 is .* expected 899a8c621706"):
        load_mn04(path)
    assert isinstance(load_mn04(path, sha256=None), Tagger)


def test_a_missing_file_names_where_it_comes_from(tmp_path):
    with pytest.raises(CheckpointError, match=r"EfficientAT.*mn04_as_mAP_432"):
        load_mn04(tmp_path / "absent.pt")


def test_a_file_of_another_shape_is_refused(tmp_path):
    path = tmp_path / "other.pt"
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="does not fit mn04"):
        load_mn04(path, sha256=None)


def test_a_saved_mini_mn04_leaves_mn04_out_and_loads_identical(tmp_path):
    sizes = TaggerSizes()
    config = MiniConfig(
        name="mini-mn04",
        audio_expanded=sizes.expanded,
        audio_out=sizes.out,
        text_vocabulary=512,
        text_layers=1,
    )
    network = Tagger().eval()
    torch.save(network.state_dict(), tmp_path / "mn04.pt")
    model = MiniMN04CLAP(config, mn04=network).eval()
    model.save_pretrained(tmp_path / "saved")
    loaded = MiniMN04CLAP.from_pretrained(
        tmp_path / "saved", mn04=tmp_path / "mn04.pt", sha256=None
    )
    waveforms = torch.rand(2, 32_000, generator=torch.Generator().manual_seed(0)) - 0.5
    assert torch.equal(loaded.embed_audio(waveforms), model.embed_audio(waveforms))
    assert loaded.fingerprint() == model.fingerprint()
    size = (tmp_path / "saved/model.safetensors").stat().st_size
    text_and_projections = sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if not name.startswith("audio_encoder")
    )
    assert size < 4 * (text_and_projections + 527 * 384) + 20_000


def test_a_tuned_mini_mn04_stores_what_learned_and_neither_audio_tower(tmp_path):
    torch.save(Tagger().eval().state_dict(), tmp_path / "mn04.pt")
    given = {"mn04": tmp_path / "mn04.pt", "sha256": None}
    model = MiniMN04CLAP.from_pretrained(**given)
    with torch.no_grad():
        model.text_projection.residual.output.weight.add_(0.125)
    save_checkpoint(Checkpoint(model), tmp_path / "run", whole=False)
    name = "text_projection.residual.output.weight"
    assert list(load_file(tmp_path / "run" / "model.safetensors")) == [name]
    loaded = MiniMN04CLAP.from_pretrained(tmp_path / "run", **given)
    assert loaded.fingerprint() == model.fingerprint()
    with as_whole(tmp_path / "run") as copy:
        stored = load_file(copy / "model.safetensors")
        assert not any(name.startswith("audio_encoder.") for name in stored)
        again = MiniMN04CLAP.from_pretrained(copy, **given)
    assert again.fingerprint() == model.fingerprint()


@needs_mn04
def test_a_dog_clip_is_called_an_animal_and_a_dog():
    samples, rate = soundfile.read(SHARED / "data/esc/audio/2-114280-A.ogg", dtype="float32")
    waveform = torch.from_numpy(soxr.resample(samples, rate, 32_000))
    with torch.inference_mode():
        logits = load_mn04(MN04_FILE)(waveform[None])[1][0]
    with (SHARED / "models/mn04/class_labels_indices.csv").open(newline="") as file:
        labels = [row["display_name"] for row in csv.DictReader(file)]
    top = {labels[index] for index in logits.topk(3).indices.tolist()}
    assert {"Animal", "Dog"} <= top
