from __future__ import annotations

import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest

from humanclap.cluster.embedding import LoadModel
from humanclap.cluster.run import ClusterSettings, scored_manifest
from humanclap.errors import CheckpointError, InputError, SettingsError
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
                within = 1e-6 if column == "score" else 1e-5
                assert math.isclose(float(mine), float(theirs), rel_tol=0, abs_tol=within)
            else:
                assert mine == theirs, (column, one.cells["audio"])


def test_rows_and_scores_are_those_of_the_local_runner(
    manifest: Path, scorer: HumanCLAP, load: LoadModel, tmp_path: Path
) -> None:
    expected = locally(manifest, tmp_path / "local.csv", scorer)
    said = {row.cells["note"] for row in expected.rows if row.cells["note"]}
    assert any("silent" in one for one in said)
    assert any("cancel" in one for one in said)
    assert sum(bool(row.cells["error"]) for row in expected.rows) == 4  # missing and broken, twice
    outcome, _ = on_ray(manifest, tmp_path / "ray.csv", scorer, load)
    assert_same(read_table(tmp_path / "ray.csv"), expected)
    assert (outcome.rows, outcome.failed, outcome.scored_now) == (34, 4, 34)
    assert not (tmp_path / "ray.csv.parts").exists()
    on_ray(manifest, tmp_path / "ray.parquet", scorer, load)
    assert_same(read_table(tmp_path / "ray.parquet"), expected)


def test_a_folder_keeps_parts_which_a_later_run_takes_over(
    manifest: Path, scorer: HumanCLAP, load: LoadModel, tmp_path: Path
) -> None:
    output = tmp_path / "scores"
    on_ray(manifest, output, scorer, load)
    told = json.loads((output / "_SUCCESS.json").read_text())
    assert (told["rows"], told["failed"], told["shards"]) == (34, 4, 4)
    assert told["signature"] == scorer.signature
    assert json.loads((output / "_metrics.json").read_text())["scored"] == 34
    rows = parquet.read_table(output).to_pylist()
    assert [row["audio"] for row in rows] == [p.audio for p in read_manifest(manifest)[0]]
    before = {path.name: path.read_bytes() for path in output.glob("part-*")}
    (output / "part-000001.parquet").unlink()
    (output / "part-000002.parquet").write_bytes(b"half of a par")
    outcome, _ = on_ray(manifest, output, scorer, load)
    assert (outcome.scored_now, outcome.failed) == (20, 4)
    again = parquet.read_table(output).to_pylist()
    assert [row["pair_id"] for row in again] == [row["pair_id"] for row in rows]
    assert (output / "part-000000.parquet").read_bytes() == before["part-000000.parquet"]
    assert on_ray(manifest, output, scorer, load)[0].scored_now == 0


def test_another_manifest_or_other_shards_are_refused_until_restart(
    manifest: Path, scorer: HumanCLAP, load: LoadModel, tmp_path: Path
) -> None:
    output = tmp_path / "scores"
    on_ray(manifest, output, scorer, load)
    other = manifest.with_name("other.csv")
    other.write_text("audio,text\nclip0.wav,rain\n")
    with pytest.raises(InputError, match="another manifest.*--restart"):
        on_ray(other, output, scorer, load)
    with pytest.raises(InputError, match="another --shard-rows or manifest"):
        on_ray(manifest, output, scorer, load, settings=ClusterSettings(workers=1, shard_rows=9))
    on_ray(other, output, scorer, load, restart=True)
    assert [row["text"] for row in parquet.read_table(output).to_pylist()] == ["rain"]


def test_a_worker_killed_while_it_scores_costs_no_row(
    manifest: Path, scorer: HumanCLAP, load: LoadModel, tmp_path: Path
) -> None:
    def dying() -> HumanCLAP:
        return _Dying(load, tmp_path, "clip7.wav", times=2)()

    outcome, _ = on_ray(manifest, tmp_path / "ray.csv", scorer, dying)
    assert outcome.deaths >= 2
    assert_same(read_table(tmp_path / "ray.csv"), locally(manifest, tmp_path / "l.csv", scorer))


def test_a_clip_that_kills_every_worker_becomes_a_row_with_an_error(
    manifest: Path, scorer: HumanCLAP, load: LoadModel, tmp_path: Path
) -> None:
    def dying() -> HumanCLAP:
        return _Dying(load, tmp_path, "clip7.wav", times=99)()

    few = ClusterSettings(workers=1, shard_rows=40, tries=2)
    outcome, parts = on_ray(manifest, tmp_path / "scores", scorer, dying, settings=few)
    failed = {score.audio: score.error for score in parts.scores() if score.error}
    assert outcome.failed == 6
    assert failed["clip7.wav"].startswith("2 workers died on this clip")
    assert set(failed) == {"clip7.wav", "missing.wav", "broken.wav"}


class _Dying:
    """Loads a model whose process is killed at a clip, the first times that it hears it."""

    def __init__(self, load: LoadModel, folder: Path, audio: str, *, times: int) -> None:
        self.load, self.folder, self.audio, self.times = load, folder, audio, times

    def __call__(self) -> HumanCLAP:
        scorer = self.load()
        whole = scorer._embed_clips

        def embed(sources: Any, listen: Any = None, remark: Any = None) -> Any:
            def watched() -> Any:
                for source in sources:
                    if source.name == self.audio:
                        deaths = len(list(self.folder.glob("death-*")))
                        if deaths < self.times and source.error is None:
                            (self.folder / f"death-{deaths}").touch()
                            os.kill(os.getpid(), signal.SIGKILL)
                    yield source

            return whole((_named(source) for source in watched()), listen, remark)

        scorer._embed_clips = embed  # type: ignore[method-assign]
        return scorer


def _named(source: Any) -> Any:
    return source


def test_a_worker_without_the_checkpoint_says_where_it_looked(
    manifest: Path, scorer: HumanCLAP, load: LoadModel, tmp_path: Path
) -> None:
    gone = LoadModel(model=str(tmp_path / "nowhere"), settings=load.settings)
    with pytest.raises(CheckpointError, match="a worker on .* each machine of a cluster needs"):
        on_ray(manifest, tmp_path / "scores", scorer, gone)


def test_a_worker_of_another_model_is_refused(
    manifest: Path, scorer: HumanCLAP, tmp_path: Path, load: LoadModel
) -> None:
    other = LoadModel(model="mini", settings=load.settings)
    with pytest.raises(SettingsError, match="scores as .*mini@.*, the driver as"):
        on_ray(manifest, tmp_path / "scores", scorer, other)


def test_two_drivers_do_not_write_to_one_output(
    manifest: Path, scorer: HumanCLAP, load: LoadModel, tmp_path: Path
) -> None:
    with (
        scored_manifest(str(manifest), str(tmp_path / "s"), scorer=scorer, load=load,
                        settings=SMALL),
        pytest.raises(InputError, match="another run writes there"),
    ):  # fmt: skip
        on_ray(manifest, tmp_path / "s", scorer, load)
