from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
from filelock import FileLock

from humanclap.clap.embedding import ClipEncoder
from humanclap.cluster.run import ClusterSettings, scored_manifest
from humanclap.cluster.scoring import LoadModel
from humanclap.errors import CheckpointError, InputError
from humanclap.scoring.run import score_table
from humanclap.scoring.scorer import HumanCLAP
from humanclap.tables import Table, read_manifest, read_table

pytestmark = pytest.mark.usefixtures("running")
SMALL = ClusterSettings(workers=1, shard_rows=10)


def on_ray(manifest: str | Path, output: str | Path, scorer: HumanCLAP, load: Any, **given: Any):
    given = {"settings": SMALL, **given}
    with scored_manifest(str(manifest), str(output), scorer=scorer, load=load, **given) as found:
        return found


def locally(manifest: Path, output: Path, scorer: HumanCLAP) -> Table:
    pairs, further = read_manifest(manifest)
    score_table(scorer, pairs, audio_root=manifest.parent, output=output, further=further)
    return read_table(output)


def assert_same(found: Table, expected: Table) -> None:
    """Equal cells; numbers to 1e-6 (ratings, on 0..10, to 1e-5)."""
    assert found.columns == expected.columns
    assert len(found.rows) == len(expected.rows)
    for one, other in zip(found.rows, expected.rows, strict=True):
        for column in expected.columns:
            mine, theirs = one.cells[column], other.cells[column]
            if column in ("score", "rating", "rating_error") and theirs:
                assert_near(mine, theirs, 1e-6 if column == "score" else 1e-5)
            else:
                assert mine == theirs, (column, one.cells["audio"])


def assert_near(one: str, other: str, within: float) -> None:
    """Both empty, or numbers no further apart."""
    assert bool(one) == bool(other)
    if one:
        assert math.isclose(float(one), float(other), rel_tol=0, abs_tol=within)


def test_scores_are_those_of_the_local_runner_and_a_later_run_takes_over_the_parts(
    manifest: Path, scorer: HumanCLAP, load: LoadModel, tmp_path: Path
) -> None:
    expected = locally(manifest, tmp_path / "local.csv", scorer)
    said = {row.cells["note"] for row in expected.rows if row.cells["note"]}
    assert any("silent" in one for one in said)
    assert any("cancel" in one for one in said)
    assert sum(bool(row.cells["error"]) for row in expected.rows) == 4  # missing and broken, twice
    output = tmp_path / "scores"
    given = {"scorer": scorer, "load": load, "settings": SMALL}
    with scored_manifest(str(manifest), str(output), **given) as (outcome, parts):
        for name in ("ray.csv", "ray.parquet"):
            parts.assemble(str(tmp_path / name))
            assert_same(read_table(tmp_path / name), expected)
        assert [score.pair_id for score in parts.scores()] == [
            row.cells["pair_id"] for row in expected.rows
        ]
        assert {name: (one.clips, one.failed) for name, one in parts.counts().items()} == {
            "s0": (16, 2),
            "s1": (14, 2),
        }
    assert (outcome.rows, outcome.failed, outcome.scored_now) == (34, 4, 34)
    told = json.loads((output / "_SUCCESS.json").read_text())
    assert (told["rows"], told["failed"], told["shards"]) == (34, 4, 4)
    assert told["signature"] == scorer.signature
    assert json.loads((output / "_metrics.json").read_text())["scored"] == 34
    rows = parquet.read_table(output).to_pylist()
    before = (output / "part-000000.parquet").read_bytes()
    (output / "part-000001.parquet").unlink()
    (output / "part-000002.parquet").write_bytes(b"half of a par")
    outcome, _ = on_ray(manifest, output, scorer, load)
    assert (outcome.scored_now, outcome.failed) == (20, 4)
    again = parquet.read_table(output).to_pylist()
    assert [row["pair_id"] for row in again] == [row["pair_id"] for row in rows]
    assert (output / "part-000000.parquet").read_bytes() == before
    assert on_ray(manifest, output, scorer, load)[0].scored_now == 0

    other = manifest.with_name("other.csv")
    other.write_text("audio,text\nclip0.wav,rain\n")
    with pytest.raises(InputError, match=r"another manifest.*--restart"):
        on_ray(other, output, scorer, load)
    with pytest.raises(InputError, match="another --shard-rows or manifest"):
        on_ray(manifest, output, scorer, load, settings=ClusterSettings(workers=1, shard_rows=9))
    on_ray(other, output, scorer, load, restart=True)
    assert [row["text"] for row in parquet.read_table(output).to_pylist()] == ["rain"]


def test_killed_workers_cost_no_row_and_a_clip_that_kills_them_all_gets_an_error(
    manifest: Path, scorer: HumanCLAP, load: LoadModel, tmp_path: Path
) -> None:
    deaths = {"clip5.wav": 1, "clip7.wav": 99}

    def dying() -> HumanCLAP:
        return killed_at(deaths, tmp_path, load())

    few = ClusterSettings(workers=1, shard_rows=40, tries=1)
    with scored_manifest(str(manifest), str(tmp_path / "ray.csv"), scorer=scorer, load=dying,
                         settings=few) as (outcome, _):  # fmt: skip
        pass
    assert outcome.deaths == 2  # of the first clip, among others, and of the other one alone
    assert outcome.failed == 6
    assert not (tmp_path / "ray.csv.parts").exists()
    found = read_table(tmp_path / "ray.csv")
    expected = locally(manifest, tmp_path / "local.csv", scorer)
    for one, other in zip(found.rows, expected.rows, strict=True):
        if one.cells["audio"] == "clip7.wav":
            assert one.cells["error"].startswith("1 workers died on this clip")
        else:
            assert one.cells["error"] == other.cells["error"]
            assert_near(one.cells["score"], other.cells["score"], 1e-6)


def killed_at(deaths: dict[str, int], folder: Path, scorer: HumanCLAP) -> HumanCLAP:
    """The scorer, whose process is killed at a clip, as often as `deaths` says."""

    class Watched(ClipEncoder):
        def windows(self, source: Any, **told: Any) -> Any:
            died = len(list(folder.glob(f"{source.name}-*")))
            if not getattr(source, "error", None) and died < deaths.get(source.name, 0):
                (folder / f"{source.name}-{died}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().windows(source, **told)

    whole = scorer._clip_encoder()
    scorer._clip_encoder = lambda: Watched(whole.backbone)  # type: ignore[method-assign]
    return scorer


def test_a_worker_without_the_checkpoint_says_where_it_looked(
    manifest: Path, scorer: HumanCLAP, load: LoadModel, tmp_path: Path
) -> None:
    gone = LoadModel(model=str(tmp_path / "nowhere"), settings=load.settings)
    with pytest.raises(CheckpointError, match=r"a worker on .* each machine of a cluster needs"):
        on_ray(manifest, tmp_path / "scores", scorer, gone)


def test_two_drivers_do_not_write_to_one_output(
    manifest: Path, scorer: HumanCLAP, load: LoadModel, tmp_path: Path
) -> None:
    (tmp_path / "scores").mkdir()
    with (
        FileLock(tmp_path / "scores" / ".lock"),
        pytest.raises(InputError, match="another run writes there"),
    ):
        on_ray(manifest, tmp_path / "scores", scorer, load)


def test_a_manifest_and_an_output_in_a_store(
    store: Any, clips: Path, scorer: HumanCLAP, load: LoadModel, tmp_path: Path
) -> None:
    for name in ("clip0.wav", "clip1.wav", "broken.wav", "long.wav"):
        store.system.put_file(str(clips / name), f"study/clips/{name}")
    rows = [("clip0.wav", "ein Hund"), ("clip1.wav", "rain"), ("broken.wav", "rain"),
            ("clip0.wav", "rain"), ("gone.wav", "rain"), ("long.wav", "rain")]  # fmt: skip
    lines = [json.dumps({"audio": audio, "text": text, "take": 3}) for audio, text in rows]
    local = clips / "store.jsonl"
    local.write_text("\n".join(lines), encoding="utf-8")
    store.system.put_file(str(local), "study/pairs/a.jsonl")
    given = {"scorer": scorer, "load": load, "audio_root": f"{store.bucket}/clips"}
    given["settings"] = ClusterSettings(workers=1, shard_rows=4)
    output = f"{store.bucket}/out"
    with scored_manifest(f"{store.bucket}/pairs/*.jsonl", output, **given) as (outcome, parts):
        scores = list(parts.scores())
        parts.assemble(f"{store.bucket}/scores.csv")
    expected = locally(local, tmp_path / "local.csv", scorer)
    for score, row in zip(scores, expected.rows, strict=True):
        assert (score.audio, score.text) == (row.cells["audio"], row.cells["text"])
        assert bool(score.error) == bool(row.cells["error"])
        if not score.error:
            assert_near(str(score.score), row.cells["score"], 1e-6)
    assert scores[4].error == "no such file, folder or bucket"
    assert outcome.failed == 2
    assert {name.rpartition("/")[2] for name in store.system.ls("study/out", refresh=True)} == {
        "_SUCCESS.json", "_metrics.json", "_run.json", "part-000000.parquet", "part-000001.parquet"
    }  # fmt: skip
    store.system.get_file("study/scores.csv", str(tmp_path / "scores.csv"))
    table = read_table(tmp_path / "scores.csv")
    assert [row.cells["take"] for row in table.rows] == ["3"] * 6
    with scored_manifest(f"{store.bucket}/pairs/", output, **given) as (outcome, _):
        assert outcome.scored_now == 0


def test_a_killed_driver_is_gone_on_from_by_the_same_command(
    manifest: Path, scorer: HumanCLAP, load: LoadModel, model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "scores"
    command = [sys.executable, "-m", "humanclap", "score", str(manifest), "--runner", "ray"]
    command += ["-m", str(model), "-o", str(output), "--shard-rows", "1", "--workers", "1"]
    process = subprocess.Popen([*command, "--device", "cpu", "--no-cache", "--quiet"])
    deadline = time.monotonic() + 300
    while len(list(output.glob("part-*.parquet"))) < 2 and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    there = {path.name: path.read_bytes() for path in output.glob("part-*.parquet")}
    assert 2 <= len(there) < 34
    one_row = ClusterSettings(workers=1, shard_rows=1)
    outcome, _ = on_ray(manifest, output, scorer, load, settings=one_row)
    assert outcome.scored_now == 34 - len(there)
    for name, data in there.items():
        assert (output / name).read_bytes() == data
    expected = locally(manifest, tmp_path / "local.csv", scorer)
    rows = parquet.read_table(output).to_pylist()
    assert [row["pair_id"] for row in rows] == [row.cells["pair_id"] for row in expected.rows]
