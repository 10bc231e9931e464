"""Both stages without Ray: what they are handed and hand on."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from humanclap.audio.load import Decoded
from humanclap.cluster import decoding
from humanclap.cluster.decoding import CLIPS, LONGEST_S, decode_shards
from humanclap.cluster.ledger import Ledger, refused
from humanclap.cluster.manifest import all_entries
from humanclap.cluster.places import StoreError
from humanclap.cluster.scoring import LoadModel, Scoring
from humanclap.cluster.shards import ShardPlan, make_plan
from humanclap.errors import CheckpointError, InputError, SettingsError
from humanclap.records import Pair
from humanclap.scoring.scorer import HumanCLAP

pa = pytest.importorskip("pyarrow", reason="needs humanclap[ray]")


class Here:
    """A Ray actor that is none: its methods run where they are called."""

    def __init__(self, held: Any) -> None:
        self._held = held

    def __getattr__(self, name: str) -> Any:
        held = getattr(self._held, name)

        class Method:
            @staticmethod
            def remote(*arguments: Any, **given: Any) -> Any:
                return held(*arguments, **given)

        return Method


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setattr("ray.get", lambda value: value)
    monkeypatch.setattr("humanclap.cluster.ledger._metrics", dict)
    return Ledger()


@pytest.fixture
def plan(manifest: Path, tmp_path: Path) -> ShardPlan:
    files = [str(manifest)]
    return make_plan(all_entries(files, None), files, tmp_path / "plan.parquet", shard_rows=20)


def chunks_of(
    plan: ShardPlan, ledger: Ledger, numbers: list[int] | None = None, most_s: float = LONGEST_S
) -> list[Any]:
    packed = pa.Table.from_pylist(list(plan.packed(numbers or range(len(plan.shards)))))
    given = {"sample_rate": 32_000, "ledger": Here(ledger), "tries": 2, "most_s": most_s}
    return list(decode_shards(packed, **given))


def test_a_clip_travels_once_with_all_its_pairs(
    plan: ShardPlan, ledger: Ledger, clips: Path
) -> None:
    first = [row for chunk in chunks_of(plan, ledger, [0]) for row in chunk.to_pylist()]
    assert [row["audio"] for row in first].count("clip5.wav") == 1  # of 20 rows, 17 clips
    assert len(first) == 17
    by_name = {row["audio"]: row for row in first}
    assert by_name["missing.wav"]["error"].startswith("no such file")
    assert "silent" in by_name["silent.wav"]["note"]
    assert by_name["long.wav"]["where"] == str(clips / "long.wav")
    assert by_name["long.wav"]["samples"] is None
    assert ledger.status()["decoded"] == 17
    assert ledger.status()["waiting"] == 17


@pytest.mark.parametrize("most_s", [LONGEST_S, 0.0], ids=["decoded", "named"])
def test_chunks_cut_anywhere_give_the_scores_of_the_whole(
    most_s: float, plan: ShardPlan, ledger: Ledger, load: LoadModel, scorer: HumanCLAP, clips: Path
) -> None:
    table = pa.concat_tables(chunks_of(plan, ledger, most_s=most_s))
    assert plan.all_files
    assert most_s or not any(cell.is_valid for cell in table["samples"])
    scoring = Scoring(load, scorer.signature, 1, Here(ledger), 2)
    cut = [scoring(table.slice(start, 5)) for start in range(0, len(table), 5)]
    found = pa.concat_tables(cut).to_pylist()
    assert sorted(row["row"] for row in found) == list(range(34))
    assert scoring(CLIPS.empty_table()).num_rows == 0
    pairs = [Pair(**{k: row[k] for k in ("audio", "text", "pair_id", "system")}) for row in found]
    expected = {s.pair_id: s for s in scorer.score_pairs(pairs, audio_root=clips)}
    for row in found:
        score = expected[row["pair_id"]]
        assert (row["error"], row["note"], row["met"]) == (score.error, score.note, score.met)
        if score.error is None:
            assert row["score"] == pytest.approx(score.score, abs=1e-6)
    assert ledger.status() == {
        "decoded": 31, "scored": 34, "failed": 4, "heard": 31, "deaths": 0, "waiting": 0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("faults", "failed"),
    [
        ([TimeoutError("slow"), OSError(121, "503"), ConnectionError("reset")], []),
        ([PermissionError("Forbidden")], ["a.wav"]),
        ([FileNotFoundError("a.wav")], ["a.wav"]),
        ([ConnectionError("no route")] * 4, None),
        ([PermissionError("The provided token has expired.")] * 4, None),
    ],
)
def test_a_store_that_does_not_answer_is_asked_again_and_then_ends_the_run(
    faults: list[Exception], failed: list[str] | None,
    clips: Path, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    table = tmp_path / "pairs.csv"
    table.write_text("audio,text\na.wav,rain\n")
    left = list(faults)

    def cat_file(self: Any, path: str, start: Any = None, end: Any = None) -> bytes:
        if left:
            raise left.pop(0)
        return (clips / "clip0.wav").read_bytes()

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.cat_file", cat_file)
    monkeypatch.setattr("humanclap.cluster.places.WAITS_S", (0.0, 0.0, 0.0))
    files = [str(table)]
    plan = make_plan(all_entries(files, "memory://far"), files, tmp_path / "plan.parquet")
    if failed is None:
        with pytest.raises(StoreError, match=r"memory://far/a.wav.*run the same command again"):
            chunks_of(plan, ledger)
        assert "What is written stays" in str(ledger.refusal())
    else:
        rows = [row for chunk in chunks_of(plan, ledger) for row in chunk.to_pylist()]
        assert [row["audio"] for row in rows if row["error"]] == failed


def test_a_shard_whose_decoder_died_is_decoded_clip_by_clip(
    plan: ShardPlan, ledger: Ledger
) -> None:
    ledger.begin("decode/0")  # and no end: the worker died
    for _ in range(2):
        ledger.begin("decode/0/3")  # twice at the fourth clip
    rows = [row for chunk in chunks_of(plan, ledger, [0]) for row in chunk.to_pylist()]
    assert len(rows) == 17
    assert rows[3]["error"].startswith("2 workers died on this clip")
    assert [row["audio"] for row in rows if row["error"]] == [
        rows[3]["audio"], "missing.wav", "broken.wav"
    ]  # fmt: skip


def test_a_worker_of_another_model_is_refused_and_the_driver_is_told(
    ledger: Ledger, load: LoadModel, scorer: HumanCLAP
) -> None:
    with pytest.raises(SettingsError, match=r"a worker on .* scores as .*mini-tiny"):
        Scoring(load, scorer.signature.replace("fp32", "bf16"), 1, Here(ledger), 2)
    refusal = ledger.refusal()
    assert refusal is not None
    assert isinstance(refused(refusal), SettingsError)
    assert "the driver as" in str(refused(refusal))


def test_refusals_keep_their_kind_where_it_says_something() -> None:
    assert type(refused(("CheckpointError", "gone"))) is CheckpointError
    assert type(refused(("TableError", "t.csv:3: x"))) is InputError


def test_a_chunk_lets_go_of_the_samples_that_it_was_made_of() -> None:
    samples = np.zeros(1000, np.float32)
    gone = weakref.ref(samples)
    found = Decoded(samples=samples, sample_rate=32_000, name="a.wav")
    clip = decoding._Clip(0, "a.wav", None, None, [{"audio": "a.wav", "row": 0}])
    [chunk] = decoding._chunks(0, iter([(clip, found)]))
    del samples, found
    gc.collect()
    assert gone() is None
    assert chunk["samples"][0].as_py() == bytes(4000)
