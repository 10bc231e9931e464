from __future__ import annotations

from pathlib import Path

import pytest

from humanclap.errors import InputError, TableError
from humanclap.scoring.manifest import match_folder, pairs_of_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "clips"
    for name in ("b.wav", "a.flac", "sub/a.wav", "sub/ünïcode 猫.OGG", "notes.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def texts(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "texts.csv"
    path.write_text("\n".join(["name,text", *rows]) + "\n", encoding="utf-8")
    return path


def test_pairs_by_name_whatever_the_order(folder: Path, tmp_path: Path) -> None:
    table = texts(tmp_path, "ünïcode 猫,cat", "sub/a,in sub", "b.wav,bee", "a.flac,top")
    pairs = pairs_of_folder(folder, table)
    assert [(pair.audio, pair.text) for pair in pairs] == [
        ("sub/ünïcode 猫.OGG", "cat"),
        ("sub/a.wav", "in sub"),
        ("b.wav", "bee"),
        ("a.flac", "top"),
    ]


def test_refuses_a_name_that_fits_several_clips(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"texts\.csv:2: name 'a' fits several clips"):
        pairs_of_folder(folder, texts(tmp_path, "a,which?"))


def test_refuses_texts_without_a_clip_and_clips_without_a_text(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"1 texts without a clip in .*: ghost"):
        pairs_of_folder(folder, texts(tmp_path, "ghost,boo", "b,bee"))
    with pytest.raises(InputError, match=r"3 clips without a text in .*: a\.flac, sub/a\.wav"):
        pairs_of_folder(folder, texts(tmp_path, "b,bee"))


def test_unmatched_are_named_when_allowed(folder: Path, tmp_path: Path) -> None:
    pairs, no_clip, no_text = match_folder(folder, texts(tmp_path, "ghost,boo", "b,bee"))
    assert [pair.audio for pair in pairs] == ["b.wav"]
    assert no_clip == ["ghost"]
    assert no_text == ["a.flac", "sub/a.wav", "sub/ünïcode 猫.OGG"]


def test_refuses_a_repeated_name_and_a_folder_without_audio(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"texts\.csv:3: name 'b' stands already on line 2"):
        pairs_of_folder(folder, texts(tmp_path, "b,bee", "b,bzz"))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="holds no audio"):
        pairs_of_folder(empty, texts(tmp_path, "b,bee"))
    with pytest.raises(InputError, match="no name fits a clip"):
        pairs_of_folder(folder, texts(tmp_path, "ghost,boo"), allow_unmatched=True)


def test_what_is_left_out_is_named_in_a_warning(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pairs_of_folder(folder, texts(tmp_path, "ghost,boo", "b,bee"), allow_unmatched=True)
    assert "1 texts without a clip" in caplog.text
    assert "ghost; left out" in caplog.text
    assert "3 clips without a text" in caplog.text
