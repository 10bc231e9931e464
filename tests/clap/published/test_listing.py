"""`humanclap models`: everything with a name, what is at hand, and where each figure is from."""

from __future__ import annotations

import json

import pytest
from stand_in_hub import running_hub, use_hub
from tiny_hf import write_clap

from humanclap.clap.checkpoint import load_checkpoint
from humanclap.clap.checkpoint_files import packaged_names
from humanclap.clap.mini.mn04_file import MN04_FILE
from humanclap.clap.published import listing, registry
from humanclap.clap.published.listing import card_agreement, listed_models
from humanclap.clap.published.registry import KNOWN, KnownModel
from humanclap.cli.main import run


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """Empty caches, and nobody who answers."""
    pytest.importorskip("transformers")
    use_hub(monkeypatch, "http://127.0.0.1:9", tmp_path / "hub")
    monkeypatch.setenv("HUMANCLAP_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_every_name_has_a_row(empty) -> None:
    rows = listed_models()
    names = [row.name for row in rows if row.kind != "plug-in"]
    assert names == [*packaged_names(), *(one.name for one in KNOWN)]
    by_name = {row.name: row for row in rows}
    assert by_name["clap"].revision == "8fa0f1c6d0433df6e97c127f64b2a1d6c0dcda8a"
    assert by_name["human-clap-mse"].revision == "main"
    assert by_name["mini"].usable == "yes"
    assert by_name["clap"].usable == by_name["mini-mn04"].usable == "once fetched"
    for row in rows:
        assert bool(row.agreement) == bool(row.agreement_source), row.name


def test_the_packaged_models_count_their_own_parameters(empty) -> None:
    mini = next(row for row in listed_models() if row.name == "mini")
    model = load_checkpoint("mini").backbone
    assert mini.sample_rate == model.sample_rate
    counted = sum(p.numel() for p in model.module().parameters() if p.any())
    buffers = sum(b.numel() for b in model.module().buffers())
    assert mini.parameters is not None
    assert counted <= mini.parameters <= counted + buffers


def test_what_is_cached_is_told(empty, monkeypatch) -> None:
    with running_hub() as hub:
        commit = hub.upload("someone/clap", write_clap(empty / "model"))
        known = KnownModel(
            name="one", source="someone/clap", revision=commit, revision_source="a page"
        )
        floating = KnownModel(name="other", source="someone/else")
        monkeypatch.setattr(registry, "KNOWN", (known, floating))
        monkeypatch.setattr(listing, "KNOWN", (known, floating))
        use_hub(monkeypatch, hub.url, empty / "hub")
        load_checkpoint("one")
    found = {row.name: (row.cached, row.usable) for row in listed_models()}
    assert found["one"] == (True, "yes")
    assert found["other"] == (False, "once fetched")
    (empty / "cache").mkdir()
    (empty / "cache" / MN04_FILE).touch()
    assert next(row.cached for row in listed_models() if row.name == "mini-mn04")


def test_without_transformers_the_hub_s_models_say_what_they_need(empty, monkeypatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = {row.name: row.usable for row in listed_models()}
    assert found["clap"] == "needs humanclap[hf]"
    assert found["mini"] == "yes"


def test_a_card_says_how_far_people_agree_or_nothing(tmp_path) -> None:
    card = tmp_path / "README.md"
    card.write_text(
        "| measure | n | mini | other | people |\n|---|---|---|---|---|\n"
        "| RELATE validation, screened: SRCC | 81 pairs | 0.3 [0.1, 0.5] | 0.2 [0.0, 0.4] | – |\n"
    )
    assert card_agreement(card, "mini") == "SRCC 0.3 [0.1, 0.5], n = 81"
    assert card_agreement(card, "other") == "SRCC 0.2 [0.0, 0.4], n = 81"
    assert card_agreement(card, "third") == ""
    card.write_text("# mini\n")
    assert card_agreement(card, "mini") == ""


def test_the_command_prints_a_table_with_sources_or_json(empty, capsys) -> None:
    assert run(["models"]) == 0
    shown = capsys.readouterr().out
    assert "clap  " in shown
    assert "https://arxiv.org/abs/2506.23553" in shown
    assert run(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in rows} >= {"mini", "clap", "human-clap", "630k-audioset-best"}
