"""Reading checkpoint files of LAION's CLAP, and writing them as folders of a ClapModel."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from laion_weights import BASE, SMALL, TINY, laion_weights
from tiny_hf import CAPTIONS, write_extractor, write_tokenizer

transformers = pytest.importorskip("transformers")

from humanclap import HumanCLAP  # noqa: E402
from humanclap.clap.checkpoint import load_checkpoint  # noqa: E402
from humanclap.clap.convert import convert_laion  # noqa: E402
from humanclap.clap.hf import HFCLAP  # noqa: E402
from humanclap.clap.laion import configuration, load_laion, read_state  # noqa: E402
from humanclap.cli.main import run  # noqa: E402
from humanclap.errors import CheckpointError  # noqa: E402


def weights_of(*, size=SMALL, fused=False, seed=1) -> dict[str, torch.Tensor]:
    made = laion_weights(size, fused=fused, seed=seed)
    return {name: torch.from_numpy(np.array(one)) for name, one in made.items()}


def write(folder: Path, weights: dict[str, torch.Tensor], *, fused=False, name="a.pt") -> Path:
    """A file as LAION's training wrote them, and the processor's files beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder)
    write_extractor(folder, fused=fused)
    state = {f"module.{key}": tensor for key, tensor in weights.items()}
    torch.save({"epoch": 3, "name": "a run", "state_dict": state}, folder / name)
    return folder / name


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "laion", weights_of())


def refused(file: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_laion(file, offline=True)
    return str(caught.value)


def noise(clap: HFCLAP) -> torch.Tensor:
    return 0.1 * torch.randn(1, clap.window_samples, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("size", "width", "depths"), [(TINY, 768, [2, 2, 6, 2]), (BASE, 1024, [2, 2, 12, 2])]
)
@pytest.mark.parametrize("fused", [False, True])
def test_the_sizes_of_published_models_are_read_off_their_weights(size, width, depths, fused):
    # HTSAT-tiny.json and HTSAT-base.json of laion_clap 1.1.7: embed_dim; roberta-base: 12 heads
    shapes = {
        name: torch.empty(one.shape, device="meta")
        for name, one in weights_of(size=size, fused=fused).items()
    }
    found = configuration(shapes, file=Path("a.pt"))
    audio, text = found["audio_config"], found["text_config"]
    assert (audio["hidden_size"], audio["depths"]) == (width, depths)
    assert audio["num_attention_heads"] == [4, 8, 16, 32]
    assert (audio["window_size"], audio["patch_size"], audio["num_mel_bins"]) == (8, 4, 64)
    assert (audio["mlp_ratio"], audio["enable_fusion"]) == (4, fused)
    assert (text["hidden_size"], text["num_attention_heads"]) == (768, 12)
    assert found["projection_dim"] == 512


def test_a_model_is_named_as_its_file_and_found_by_its_path(file):
    scorer = HumanCLAP.from_pretrained(file)
    assert "|model:a@" in scorer.signature
    assert -1 <= scorer.score(np.ones(48_000, np.float32) * 0.1, "a dog", sample_rate=48_000) <= 1


@pytest.mark.parametrize("change", ["no module.", "bare", "half", "position_ids", "numpy numbers"])
def test_files_are_read_in_every_form_they_come_in(file, tmp_path, change):
    weights = weights_of()
    content: object = {"state_dict": weights}
    if change == "bare":
        content = weights
    if change == "half":
        content = {"state_dict": {k: v.half() if v.ndim else v for k, v in weights.items()}}
    if change == "position_ids":
        weights["text_branch.embeddings.position_ids"] = torch.arange(66)[None]
    if change == "numpy numbers":
        content = {"best": np.float64(0.5), "loss": np.float32(1), "state_dict": weights}
    torch.save(content, file.with_name("b.pt"))
    one, other = load_laion(file, offline=True), load_laion(file.with_name("b.pt"), offline=True)
    with torch.no_grad():
        cosine = (one.embed_audio(noise(one)) * other.embed_audio(noise(one))).sum()
    assert cosine == pytest.approx(1, abs=1e-4 if change == "half" else 1e-6)
    assert next(other.module().parameters()).dtype == torch.float32


def test_files_of_the_old_format_without_zip_are_read(file):
    old = file.with_name("old.pt")
    torch.save({"state_dict": weights_of()}, old, _use_new_zipfile_serialization=False)
    ours = load_laion(file, offline=True).fingerprint()
    assert load_laion(old, offline=True).fingerprint() == ours


class Code:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_code_in_a_file_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": weights_of(), "more": Code()}, "bad.pt")
    assert "bad.pt: cannot be read as a file of weights" in refused(Path("bad.pt"))
    assert not Path("ran").exists()


def test_a_cut_file_is_refused(file):
    file.write_bytes(file.read_bytes()[:-1000])
    assert "complete and undamaged" in refused(file)


def test_a_missing_file_is_said_to_be_missing_without_asking_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"models/630k\.pt: no such file"):
        load_checkpoint("models/630k.pt")


def without(weights, part):
    return {name: one for name, one in weights.items() if part not in name}


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ({"conv.weight": torch.ones(1)}, "such as conv.weight"),
        (without(weights_of(), "patch_embed"), "its audio branch is no HTSAT"),
        (without(weights_of(), "word_embeddings"), "its text branch is no RoBERTa"),
        (
            weights_of()
            | {"text_branch.embeddings.token_type_embeddings.weight": torch.ones(2, 64)},
            "its text branch is BERT",
        ),
        (
            weights_of()
            | {"audio_branch.patch_embed.fusion_model.local_att2.0.bias": torch.ones(4)},
            "not aff_2d",
        ),
        (without(weights_of(), "audio_projection.0"), "for example audio_projection.0.bias"),
        (without(weights_of(), "blocks.1.mlp.fc2.bias"), "1 weights are missing"),
        (weights_of() | {"a.new": torch.ones(1)}, "weight a.new is of no known part"),
        (weights_of() | {"text_branch.more.bias": torch.ones(1)}, "1 weights have no place"),
        ({}, "holds no weights"),
    ],
)
def test_other_models_and_incomplete_ones_are_refused_with_the_reason(tmp_path, weights, reason):
    assert reason in refused(write(tmp_path, weights))


@pytest.mark.parametrize("change", [{"frequency_max": 12_000}, {"fft_window_size": 1536}])
def test_a_processor_with_other_mel_bands_than_those_stored_is_refused(file, change):
    weights = weights_of()
    stored = load_laion(file, offline=True).frontend.filters
    weights["audio_branch.logmel_extractor.melW"] = stored.clone()
    write(file.parent, weights)
    load_laion(file, offline=True)
    write_extractor(file.parent, fused=False, **change)
    assert "its mel bands are not those of the processor" in refused(file)


def test_a_processor_can_be_named(file, tmp_path):
    bare = tmp_path / "bare" / "a.pt"
    bare.parent.mkdir()
    bare.write_bytes(file.read_bytes())
    found = load_laion(bare, processor=file.parent, offline=True)
    assert found.fingerprint() == load_laion(file, offline=True).fingerprint()


@pytest.mark.parametrize("fused", [False, True])
def test_a_converted_folder_loads_here_and_in_transformers_with_the_same_embeddings(
    tmp_path, fused
):
    file = write(tmp_path / "laion", weights_of(fused=fused), fused=fused)
    clap = load_laion(file, offline=True)
    convert_laion(file, tmp_path / "folder", offline=True)
    again = load_checkpoint(tmp_path / "folder")
    assert again.name == "a"
    assert again.backbone.fingerprint() == clap.fingerprint()
    model = transformers.ClapModel.from_pretrained(tmp_path / "folder").eval()
    processor = transformers.ClapProcessor.from_pretrained(tmp_path / "folder")
    inputs = processor(text=CAPTIONS, return_tensors="pt", padding=True)
    with torch.no_grad():
        theirs = model.text_projection(model.text_model(**inputs).pooler_output)
        theirs = torch.nn.functional.normalize(theirs, dim=-1)
        torch.testing.assert_close(clap.embed_text(CAPTIONS), theirs, rtol=0, atol=1e-6)
        sounds = [m.embed_audio(noise(clap)) for m in (clap, again.backbone)]
    torch.testing.assert_close(*sounds, rtol=0, atol=1e-6)


def test_convert_tells_the_folder_and_keeps_what_it_knows_of_the_file(file, tmp_path, capsys):
    assert run(["convert", str(file), "-o", str(tmp_path / "out"), "--offline"]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{tmp_path / 'out'}\n"
    assert "million parameters" in shown.err
    card = (tmp_path / "out" / "README.md").read_text()
    assert "a.pt" in card
    assert "sha256" in card


def test_convert_writes_over_no_folder_of_something_else(file, tmp_path, capsys):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "todo.txt").write_text("x")
    assert run(["convert", str(file), "-o", str(tmp_path / "notes"), "-q", "--offline"]) == 2
    assert "is no humanclap checkpoint; not replaced" in capsys.readouterr().err
    assert (tmp_path / "notes" / "todo.txt").read_text() == "x"


def test_the_optimisers_state_is_left_out(file):
    torch.save({"state_dict": weights_of(), "optimizer": {"state": {0: torch.ones(9)}}}, file)
    assert set(read_state(file)) == set(weights_of())
