from __future__ import annotations

import os
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
    pairs, further = pairs_of_folder(folder, table)
    names = [further[pair.pair_id]["name"] for pair in pairs]
    assert names == ["ünïcode 猫", "sub/a", "b.wav", "a.flac"]
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
    match = match_folder(folder, texts(tmp_path, "ghost,boo", "b,bee"))
    assert [pair.audio for pair in match.pairs] == ["b.wav"]
    assert match.no_clip == ("ghost",)
    assert match.no_text == ("a.flac", "sub/a.wav", "sub/ünïcode 猫.OGG")


def test_refuses_a_repeated_name_and_a_folder_without_audio(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"texts\.csv:3: name 'b' is already on line 2"):
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


def test_a_name_meets_its_clip_whichever_way_unicode_writes_it(tmp_path: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    for stored, asked in ((composed, decomposed), (decomposed, composed)):
        root = tmp_path / f"clips {len(stored)}"
        root.mkdir()
        (root / f"{stored}.wav").touch()
        ((pair,), _) = pairs_of_folder(root, texts(tmp_path, f"{asked},a café"))
        assert (root / pair.audio).is_file()


def test_where_both_ways_exist_each_name_means_its_own(tmp_path: Path) -> None:
    root = tmp_path / "clips"
    root.mkdir()
    for name in ("caf\u00e9.wav", "cafe\u0301.wav"):
        (root / name).touch()
    (pair,) = match_folder(root, texts(tmp_path, "cafe\u0301,x")).pairs
    assert pair.audio == "cafe\u0301.wav"


def test_two_names_that_are_one_in_unicode_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="is already on line 2"):
        match_folder(folder, texts(tmp_path, "caf\u00e9,x", "cafe\u0301,y"))


def test_a_sound_that_cannot_be_decoded_is_paired_so_that_its_row_says_why(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("speech.m4a", "b.m4a", "film.webm"):
        (folder / name).touch()
    table = texts(tmp_path, "speech,a voice", "b,bee")
    assert [p.audio for p in pairs_of_folder(folder, table, allow_unmatched=True)[0]] == [
        "speech.m4a",
        "b.wav",
    ]
    assert "2 sounds are of a format that cannot be read: b.m4a, film.webm" in caplog.text
    assert "ffmpeg -i b.m4a b.wav" in caplog.text


def test_hidden_clips_are_passed_over_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "clips"
    for name in ("dog.wav", "._dog.wav", "__MACOSX/dog.wav", ".trash/old.wav", ".DS_Store"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    ((pair,), _) = pairs_of_folder(root, texts(tmp_path, "dog,a dog"))
    assert pair.audio == "dog.wav"
    assert "3 hidden sounds passed over: ._dog.wav, .trash/old.wav, __MACOSX/dog.wav" in caplog.text


def test_a_clip_whose_name_is_not_utf8_is_named_and_left_out(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    try:
        (folder / os.fsdecode(b"caf\xe9.wav")).touch()
    except OSError:
        pytest.skip("this file system holds UTF-8 names only")
    table = texts(tmp_path, "b,bee")
    assert len(pairs_of_folder(folder, table, allow_unmatched=True)[0]) == 1
    assert r"1 names are not UTF-8, so that no table can name them: caf\xe9.wav" in caplog.text
    with pytest.raises(InputError, match=r"clips without a text .*caf\\xe9\.wav"):
        pairs_of_folder(folder, table)


def test_further_columns_of_the_texts_come_along_and_the_system_is_known(folder, tmp_path):
    table = tmp_path / "texts.csv"
    table.write_text("pair_id,name,text,system,audio,prompt_id\nx1,b,bee,tango,old/b.ogg,p7\n")
    pairs, further = pairs_of_folder(folder, table, allow_unmatched=True)
    assert [(p.text, p.system, p.pair_id) for p in pairs] == [("bee", "tango", "x1")]
    assert further == {"x1": {"name": "b", "audio": "old/b.ogg", "prompt_id": "p7"}}


def test_one_clip_and_text_under_two_names_are_told_by_line(folder, tmp_path):
    with pytest.raises(TableError, match=r"texts.csv:3: pair .* is already on line 2"):
        pairs_of_folder(folder, texts(tmp_path, "b,bee", "b.wav,bee"), allow_unmatched=True)
