"""CLAPs of other packages: the example, installed as its pyproject.toml says, and broken ones."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from humanclap import HumanCLAP
from humanclap.clap.backbone import Backbone
from humanclap.clap.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from humanclap.clap.embedding import ClipEncoder
from humanclap.clap.plugin import PLUGIN_GROUP, PluginCLAP, load_plugin, plugin_names
from humanclap.cli.main import run
from humanclap.errors import CheckpointError

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "humanclap-toy"


def install(site: Path, package: str, entries: dict[str, str], **modules: str) -> None:
    """What an installer leaves: modules, and a .dist-info that names the entry points."""
    info = site / f"{package.replace('-', '_')}-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1.0\n")
    lines = [f"{name} = {value}" for name, value in entries.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{PLUGIN_GROUP}]", *lines]) + "\n")
    for name, text in modules.items():
        (site / f"{name}.py").write_text(text)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """An empty folder of installed packages, of this test alone."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def toy(site):
    """The example package, as its own pyproject.toml says."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    source = (EXAMPLE / "humanclap_toy.py").read_text()
    install(site, project["name"], project["entry-points"][PLUGIN_GROUP], humanclap_toy=source)
    return "toy-clap"


def noise(seed: int, seconds: float, rate: int = 44_100) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))


def test_the_examples_class_is_as_short_as_the_documents_say():
    whole = (EXAMPLE / "humanclap_toy.py").read_text()
    assert len(whole.partition("class ToyCLAP")[2].strip().splitlines()) <= 30


def test_an_installed_model_is_found_by_its_name_and_is_a_backbone(toy):
    assert toy in plugin_names()
    model = load_checkpoint(toy).backbone
    assert isinstance(model, Backbone)
    assert not model.module().training


def test_it_scores_tables_from_the_command_line_with_its_name_in_the_signature(
    toy, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", noise(1, 7), 44_100)
    Path("pairs.csv").write_text("audio,text\na.wav,a dog barks\na.wav,rain\n")
    assert run(["score", "pairs.csv", "-m", toy, "-o", "scores.csv"]) == 0
    assert "|model:toy-clap@" in Path("scores.csv").read_text()
    assert "rate:16000|window:5s" in capsys.readouterr().err


def test_its_embeddings_have_unit_length_and_do_not_depend_on_neighbours(toy):
    scorer = HumanCLAP.from_pretrained(toy)
    clips = [noise(seed, seconds) for seed, seconds in ((1, 3), (2, 12), (3, 5))]
    together = scorer.embed_audio(clips, sample_rate=44_100)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    for clip, row in zip(clips, together, strict=True):
        alone = scorer.embed_audio([clip], sample_rate=44_100)[0]
        np.testing.assert_allclose(alone, row, atol=1e-6)


def test_a_folder_of_its_name_does_not_hide_it(toy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / toy).mkdir()
    assert load_checkpoint(toy).name == toy
    with pytest.raises(CheckpointError, match="neither"):
        load_checkpoint(f"./{toy}")


def test_it_is_trained_saved_and_loaded_like_ours(toy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = ["audio,text,target,mos,n,split"]
    for number in range(12):
        soundfile.write(f"{number}.wav", noise(number, 1, 16_000), 16_000)
        split = "train" if number < 8 else "validation"
        word, rating = ("good", 9) if number % 2 else ("bad", 1)
        rows.append(f"{number}.wav,{word} {number},0.{rating},{rating},3,{split}")
    Path("targets.csv").write_text("\n".join(rows))
    settings = ["--objective", "mse", "--epochs", "3", "--learning-rate", "0.01", "-q"]
    assert run(["train", "targets.csv", "-m", toy, "-o", "run", *settings]) == 0
    capsys.readouterr()
    trained = load_checkpoint("run")
    assert trained.backbone.kind == toy
    assert trained.backbone.fingerprint() != load_checkpoint(toy).backbone.fingerprint()
    assert run(["score", "0.wav", "good 0", "-m", "run"]) == 0
    assert "predicted rating" in capsys.readouterr().out


def test_a_saved_checkpoint_has_the_same_embeddings(toy, tmp_path):
    model = load_checkpoint(toy).backbone
    with torch.no_grad():
        model.hear.weight.add_(0.1)
    save_checkpoint(Checkpoint(model), tmp_path / "saved")
    again = load_checkpoint(tmp_path / "saved").backbone
    assert again.fingerprint() == model.fingerprint()
    clip = tmp_path / "a.wav"
    soundfile.write(clip, noise(1, 3), 44_100)
    np.testing.assert_array_equal(*(next(ClipEncoder(one).embed([clip])) for one in (model, again)))


def test_a_checkpoint_of_a_plug_in_that_is_not_installed_names_it(toy, tmp_path, monkeypatch):
    save_checkpoint(load_checkpoint(toy), tmp_path / "saved")
    monkeypatch.setattr("humanclap.clap.plugin.entry_points", lambda **_: _NoEntries())
    with pytest.raises(CheckpointError, match="'toy-clap' is not known to this version, and no"):
        load_checkpoint(tmp_path / "saved")


class _NoEntries:
    names: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import not_there", r"plug-in of other cannot load it \(ModuleNotFoundError"),
        ("class Model:\n    pass", r"cannot load it \(AttributeError"),
        (
            "class Model:\n"
            "    @classmethod\n"
            "    def from_pretrained(cls, folder, *, offline):\n"
            "        return cls()",
            "gives is no model; it lacks embed_audio, embed_text, embedding_dim, fill",
        ),
    ],
)
def test_a_plug_in_that_does_not_work_is_named_with_the_reason(site, source, reason):
    install(site, "other", {"other": "broken_plugin:Model"}, broken_plugin=source)
    with pytest.raises(CheckpointError, match=reason):
        load_checkpoint("other")
    __import__("sys").modules.pop("broken_plugin", None)


def test_a_model_of_another_kind_than_its_entry_point_is_refused(toy, site):
    install(site, "other", {"other": "humanclap_toy:ToyCLAP"})
    with pytest.raises(CheckpointError, match="calls its kind 'toy-clap'"):
        load_plugin("other")


def test_two_packages_with_one_name_are_refused(toy, site):
    install(site, "other", {"toy-clap": "humanclap_toy:ToyCLAP"})
    with pytest.raises(CheckpointError, match="offered by humanclap-toy, other; uninstall all but"):
        load_plugin(toy)


def test_a_packaged_name_is_never_a_plug_in(toy, site):
    install(site, "other", {"mini": "humanclap_toy:ToyCLAP"})
    assert load_checkpoint("mini").backbone.kind == "mini"


class Words(PluginCLAP):
    kind, sample_rate, window_s, embedding_dim = "words", 16_000, 5.0, 4


def test_the_fingerprint_follows_weights_and_settings():
    one, other = Words(), Words()
    assert one.fingerprint() == other.fingerprint()
    with torch.no_grad():
        other.log_logit_scale.add_(1)
    assert one.fingerprint() != other.fingerprint()
    other = type("Words", (Words,), {"settings": lambda self: {"words": 2}})()
    assert one.fingerprint() != other.fingerprint()


def test_what_was_saved_comes_back_from_the_hub(toy, tmp_path, monkeypatch):
    pytest.importorskip("huggingface_hub")
    from stand_in_hub import running_hub, use_hub

    from humanclap.clap.publish import push_to_hub

    model = load_checkpoint(toy).backbone
    with torch.no_grad():
        model.log_logit_scale.add_(0.5)
    save_checkpoint(Checkpoint(model, training={"seed": 4}, name="toy-own"), tmp_path / "own")
    with running_hub() as hub:
        use_hub(monkeypatch, hub.url, tmp_path / "cache")
        push_to_hub(tmp_path / "own", "someone/toy", endpoint=hub.url, token="hf_none")
        loaded = load_checkpoint("someone/toy")
    assert (loaded.name, loaded.training) == ("toy-own", {"seed": 4})
    assert loaded.backbone.fingerprint() == model.fingerprint()
    use_hub(monkeypatch, "http://127.0.0.1:9", tmp_path / "cache")
    assert load_checkpoint("someone/toy").backbone.fingerprint() == model.fingerprint()


def test_it_is_listed_and_has_neither_revision_nor_processor(toy, capsys):
    assert run(["models"]) == 0
    assert f"{toy}  humanclap-toy  yes" in capsys.readouterr().out
    with pytest.raises(CheckpointError, match="is not of the hub and has no revisions"):
        load_checkpoint(toy, revision="main")
    with pytest.raises(CheckpointError, match="brings its own tokenizer and front end"):
        load_checkpoint(toy, processor="laion/clap-htsat-fused")
