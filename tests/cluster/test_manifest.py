from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet
import pytest

from humanclap.cluster.manifest import all_entries, entries_of, manifest_files
from humanclap.cluster.places import files_at, joined, read_bytes
from humanclap.cluster.shards import make_plan
from humanclap.errors import InputError, MissingExtraError, TableError


def tar_of(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def plan_of(folder: Path, files: list[str], shard_rows: int = 2, root: str | None = None):
    return make_plan(
        all_entries(files, root), files, folder / "plan.parquet", shard_rows=shard_rows
    )


def test_a_folder_of_tables_is_read_by_name_and_hidden_files_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("audio,text\nx.wav,rain\n")
    (tmp_path / "a.jsonl").write_text(json.dumps({"audio": "y.wav", "text": "wind"}))
    parquet.write_table(
        pyarrow.table({"audio": ["/z.wav"], "text": ["sea"], "pair_id": ["p9"]}),
        tmp_path / "c.parquet",
    )
    (tmp_path / "_SUCCESS.json").write_text("{}")
    (tmp_path / ".lock").touch()
    (tmp_path / "notes.md").touch()
    files = manifest_files(str(tmp_path))
    assert [Path(name).name for name in files] == ["a.jsonl", "b.csv", "c.parquet"]
    entries = [entry for _, entry in all_entries(files, None)]
    assert [entry.where for entry in entries] == [
        str(tmp_path / "y.wav"), str(tmp_path / "x.wav"), "/z.wav"
    ]  # fmt: skip
    assert entries[2].pair.pair_id == "p9"
    assert manifest_files(str(tmp_path / "?.csv")) == [str(tmp_path / "b.csv")]
    rooted = [entry.where for _, entry in all_entries(files, "s3://clips/all")]
    assert rooted == ["s3://clips/all/y.wav", "s3://clips/all/x.wav", "/z.wav"]


@pytest.mark.parametrize(
    ("root", "name", "place"),
    [
        ("s3://b/c", "s3://other/x.wav", "s3://other/x.wav"),
        ("/clips", "x.wav", "/clips/x.wav"),
        ("/clips", "/data/x.wav", "/data/x.wav"),
        ("s3://b/c/", "sub/é x.wav", "s3://b/c/sub/é x.wav"),
    ],
)
def test_where_a_clip_lies(root: str, name: str, place: str) -> None:
    assert joined(root, name) == place


def test_shards_end_with_their_file_and_are_the_same_again(tmp_path: Path) -> None:
    for name, rows in (("a", 3), ("b", 2)):
        lines = [f"{name}{n}.wav,text {n},{n % 2 or ''}" for n in range(rows)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["audio,text,score", *lines]))
    files = manifest_files(str(tmp_path))
    plan = plan_of(tmp_path, files)
    assert [shard.rows for shard in plan.shards] == [2, 1, 2]
    assert plan.further == {"score": "score_before"}  # as the local runner calls it
    assert plan_of(tmp_path, files).fingerprint == plan.fingerprint
    (tmp_path / "b.csv").write_text("audio,text\nb0.wav,text 0\nb1.wav,text two\n")
    changed = plan_of(tmp_path, files)
    assert changed.fingerprint != plan.fingerprint
    assert changed.shards[0].sha256 == plan.shards[0].sha256


def test_a_webdataset_shard_gives_clips_by_their_bytes(tmp_path: Path) -> None:
    facts = {"caption": "wind", "pair_id": "p1", "system": "s", "take": 2, "tags": ["a"]}
    tar = tar_of(
        tmp_path / "set-000.tar",
        {
            "a/000.wav": b"RIFF first",
            "a/000.txt": "ein Regen fällt\n".encode(),
            "001.flac": b"fLaC second",
            "001.json": json.dumps(facts).encode(),
        },
    )
    first, second = entries_of(str(tar), None)
    assert (first.pair.audio, first.pair.text) == ("set-000.tar/a/000.wav", "ein Regen fällt")
    assert read_bytes(first.where, first.offset, first.size) == b"RIFF first"
    assert read_bytes(second.where, second.offset, second.size) == b"fLaC second"
    assert (second.pair.text, second.pair.pair_id, second.pair.system) == ("wind", "p1", "s")
    assert second.further == {"take": "2", "tags": '["a"]'}


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"0.wav": b"x"}, "sample '0' has no caption"),
        ({"0.txt": b"rain"}, "sample '0' has 0 clips"),
        ({"0.wav": b"x", "0.mp3": b"y", "0.txt": b"rain"}, "has 2 clips"),
        ({"0.wav": b"x", "0.txt": b" "}, "sample '0': text is empty"),
        ({"0.wav": b"x", "0.txt": b"\xff\xfe"}, "0.txt is not UTF-8"),
        ({"0.wav": b"x", "0.json": b"{"}, "is not JSON"),
        ({"0.wav": b"x", "0.json": b"[1]"}, "is no object"),
        ({"0.wav": b"x", "0.json": b'{"text": 5}'}, "sample '0': text is a int"),
    ],
)
def test_a_sample_that_cannot_be_used_is_named(
    members: dict[str, bytes], told: str, tmp_path: Path
) -> None:
    tar = tar_of(tmp_path / "a.tar", members)
    with pytest.raises(InputError, match=told) as raised:
        list(entries_of(str(tar), None))
    assert str(tar) in str(raised.value)


def test_manifests_that_cannot_be_used_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such file, folder or bucket"):
        manifest_files(str(tmp_path / "nowhere"))
    (tmp_path / "e").mkdir()
    with pytest.raises(InputError, match="no files are there"):
        manifest_files(str(tmp_path / "e"))
    (tmp_path / "e" / "dog.wav").touch()
    with pytest.raises(InputError, match=r"neither a table .* --runner local"):
        manifest_files(str(tmp_path / "e"))
    tar_of(tmp_path / "e" / "a.tar", {})
    with pytest.raises(InputError, match="no rows"):
        plan_of(tmp_path, manifest_files(str(tmp_path / "e")))
    (tmp_path / "e" / "t.csv").write_text("clip,text\na.wav,b\n")
    with pytest.raises(InputError, match="stand beside each other"):
        manifest_files(str(tmp_path / "e"))
    with pytest.raises(TableError, match="missing column 'audio'"):
        list(entries_of(str(tmp_path / "e" / "t.csv"), None))
    (tmp_path / "cut.tar").write_bytes(b"no tar at all")
    with pytest.raises(InputError, match=r"not a whole .tar"):
        list(entries_of(str(tmp_path / "cut.tar"), None))
    with pytest.raises((InputError, MissingExtraError), match="nosuch://"):
        files_at("nosuch://bucket/a.csv")


def test_a_pair_id_that_stands_in_two_files_is_refused(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(f"audio,text,pair_id\n{name}.wav,rain,p1\n")
    with pytest.raises(
        InputError, match=r"b.csv: pair 'p1' \(row 2 .*\) stands already in .*a.csv"
    ):
        plan_of(tmp_path, manifest_files(str(tmp_path)))


def test_a_store_names_what_is_missing(store: object) -> None:
    with pytest.raises(InputError, match=r"s3://study/nothing.csv: no such file"):
        manifest_files("s3://study/nothing.csv")
    with pytest.raises(InputError, match=r"s3://elsewhere/.*: no such file, folder or bucket"):
        manifest_files("s3://elsewhere/pairs.csv")


def test_a_table_of_a_store_is_called_by_its_address(store: object) -> None:
    store.system.pipe_file("study/bad.csv", b"audio,text\na.wav,\n")  # type: ignore[attr-defined]
    with pytest.raises(TableError, match=r"^s3://study/bad.csv:2: column 'text' is empty"):
        list(entries_of("s3://study/bad.csv", None))


def test_a_store_without_credentials_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    s3fs = pytest.importorskip("s3fs")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(InputError, match=r"s3://study/a.csv: .*are the credentials"):
        manifest_files("s3://study/a.csv")
    s3fs.S3FileSystem.clear_instance_cache()
