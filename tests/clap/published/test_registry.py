"""Short names: where each leads, what is pinned, and that weights are what was pinned."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from stand_in_hub import running_hub, use_hub
from tiny_hf import write_clap

from humanclap.clap.checkpoint import load_checkpoint
from humanclap.clap.checkpoint_files import packaged_names
from humanclap.clap.hub import hub_id
from humanclap.clap.published import registry
from humanclap.clap.published.registry import KNOWN, KnownModel, known_model
from humanclap.errors import CheckpointError


def test_names_lead_to_the_repositories_of_the_papers_at_their_revisions() -> None:
    assert hub_id("clap") == (
        "laion/clap-htsat-unfused",
        "8fa0f1c6d0433df6e97c127f64b2a1d6c0dcda8a",
    )
    human = "06788887d254df15db5c0ca9d54da39d46188063"
    assert hub_id("human-clap") == ("sarulab-speech/human-clap-wsce-mae", human)
    assert hub_id("human-clap-wsce-mae") == hub_id("human-clap")
    assert hub_id("human-clap-mse") == ("sarulab-speech/human-clap-mse", None)
    assert hub_id("clap", "main") == hub_id("clap@main") == ("laion/clap-htsat-unfused", "main")
    assert hub_id("someone/clap@v1") == ("someone/clap", "v1")


def test_every_name_is_there_once_and_no_packaged_one() -> None:
    names = [name for one in KNOWN for name in (one.name, *one.aliases)] + packaged_names()
    assert len(names) == len(set(names))
    sources = [one.source for one in KNOWN]
    assert len(sources) == len(set(sources))


def test_every_published_objective_has_a_name() -> None:
    terms = ("wsce", "mse", "mae")
    objectives = ["-".join(t for i, t in enumerate(terms) if bits >> i & 1) for bits in range(1, 8)]
    for objective in objectives:
        known = known_model(f"human-clap-{objective}")
        assert known is not None
        assert known.source == f"sarulab-speech/human-clap-{objective}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"revision": "main", "revision_source": "x"}, "is no commit"),
        ({"revision": "0" * 40}, "a revision and its source belong together"),
        ({"agreement": "SRCC 1"}, "an agreement and its source belong together"),
    ],
)
def test_what_no_source_states_is_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        KnownModel(name="x", source="a/b", **given)  # type: ignore[arg-type]


def test_a_weights_file_is_told_where_it_is() -> None:
    with pytest.raises(CheckpointError, match=r"laion_clap/resolve/main/630k-audioset-best\.pt"):
        load_checkpoint("630k-audioset-best")


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A known model on the stand-in hub, which has gone on since it was pinned."""
    pytest.importorskip("transformers")
    folder = write_clap(tmp_path / "pinned", fused=True)
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    with running_hub() as hub:
        commit = hub.upload("someone/published", folder)
        hub.upload("someone/published", write_clap(tmp_path / "newer"))
        known = KnownModel(
            name="published",
            source="someone/published",
            revision=commit,
            revision_source="a page",
            sha256=digest,
        )
        monkeypatch.setattr(registry, "KNOWN", (known,))
        use_hub(monkeypatch, hub.url, tmp_path / "cache")
        yield known


def test_a_short_name_loads_the_pinned_revision_and_an_id_the_newest(published, tmp_path) -> None:
    pinned = load_checkpoint("published")
    assert (pinned.name, pinned.revision) == (published.source, published.revision)
    own = load_checkpoint(tmp_path / "pinned").backbone.fingerprint()
    assert pinned.backbone.fingerprint() == own
    newest = load_checkpoint("published", revision="main")
    assert newest.revision == load_checkpoint(published.source).revision != published.revision
    assert newest.backbone.fingerprint() != own


def test_a_name_that_was_never_fetched_is_not_taken_for_a_path(published, tmp_path, monkeypatch):
    use_hub(monkeypatch, "http://127.0.0.1:9", tmp_path / "other")
    with pytest.raises(CheckpointError, match="not fetched before, and the hub cannot be reached"):
        load_checkpoint("published")


def test_other_weights_than_the_pinned_ones_are_refused(published, monkeypatch) -> None:
    other = replace(published, sha256="0" * 64)
    monkeypatch.setattr(registry, "KNOWN", (other,))
    with pytest.raises(CheckpointError, match=r"its sha256 is .*, that of someone/published is 00"):
        load_checkpoint("published")
    assert load_checkpoint("published", revision="main").name == published.source


def test_a_folder_of_a_published_name_does_not_stand_in_its_way(
    published, tmp_path, monkeypatch, caplog
) -> None:
    (tmp_path / "here" / "published" / "checkpoint").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert load_checkpoint("published").revision == published.revision
    assert "published is someone/published of the hub; the folder of that name is" in caplog.text
