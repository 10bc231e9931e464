"""Which files of a folder are clips."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import soundfile

from humanclap.audio import folder as module
from humanclap.audio.folder import FORMATS, NOT_LISTED, list_clips
from humanclap.audio.names import existing, is_utf8, shown
from humanclap.errors import InputError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def names_of(paths: tuple[Path, ...]) -> list[str]:
    return [path.as_posix() for path in paths]


def test_every_format_that_is_decoded_is_listed_or_said_not_to_be() -> None:
    assert set(soundfile.available_formats()) == FORMATS.keys() | NOT_LISTED
    assert not module.SOUND_SUFFIXES & module.OTHER_SOUND_SUFFIXES


def test_the_formats_of_tables_are_seen_in_folders_too(tmp_path: Path) -> None:
    endings = ["caf", "au", "w64", "rf64", "sph", "aifc", "snd", "WAV", "opus", "mp2"]
    found = list_clips(touch(tmp_path, *(f"a.{ending}" for ending in endings), "b.txt", "c.mat"))
    assert sorted(names_of(found.clips)) == sorted(f"a.{ending}" for ending in endings)


def test_other_sounds_and_hidden_ones_are_told_apart(tmp_path: Path) -> None:
    found = list_clips(touch(tmp_path, "a.m4a", "b/._c.wav", "b/c.wav", "__MACOSX/b/c.wav"))
    assert names_of(found.clips) == ["b/c.wav"]
    assert names_of(found.other_sounds) == ["a.m4a"]
    assert names_of(found.hidden) == ["__MACOSX/b/c.wav", "b/._c.wav"]


def test_a_folder_that_lies_in_a_hidden_one_has_its_clips(tmp_path: Path) -> None:
    assert names_of(list_clips(touch(tmp_path / ".cache", "a.wav")).clips) == ["a.wav"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/rain.wav", "elsewhere/deep/hail.wav", "clips/dog.wav")
    clips = tmp_path / "clips"
    (clips / "weather").symlink_to(tmp_path / "elsewhere")
    (clips / "cat.wav").symlink_to(tmp_path / "elsewhere/rain.wav")
    (clips / "weather/deep/up").symlink_to(clips)
    (clips / "gone.wav").symlink_to(tmp_path / "nothing.wav")
    assert names_of(list_clips(clips).clips) == [
        "cat.wav",
        "dog.wav",
        "gone.wav",
        "weather/deep/hail.wav",
        "weather/rain.wav",
    ]


def test_a_store_of_git_is_not_entered(tmp_path: Path) -> None:
    found = list_clips(touch(tmp_path, "a.wav", ".git/annex/objects/x/a.wav"))
    assert names_of(found.clips) == ["a.wav"]
    assert found.hidden == ()


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="clips: cannot be listed: No such file"):
        list_clips(tmp_path / "clips")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_may_not_be_read_is_refused_and_not_forgotten(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "secret/b.wav")
    (tmp_path / "secret").chmod(0)
    with pytest.raises(InputError, match="secret: cannot be listed: Permission denied"):
        list_clips(tmp_path)
    (tmp_path / "secret").chmod(0o700)


@pytest.mark.parametrize("whole", [True, False])
def test_a_file_is_found_by_the_other_form_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    touch(tmp_path, "e\u0301t\u00e9/cafe\u0301.wav")
    monkeypatch.chdir(tmp_path)
    asked = Path("\u00e9te\u0301/caf\u00e9.wav")
    found = existing(tmp_path / asked if whole else asked)
    assert found.is_file()
    assert found.is_absolute() == whole


def test_a_name_that_fits_nothing_stays_as_it_is(tmp_path: Path) -> None:
    assert existing(tmp_path / "caf\u00e9.wav") == tmp_path / "caf\u00e9.wav"


def test_names_that_are_not_utf8_can_be_shown() -> None:
    assert shown(os.fsdecode(b"caf\xe9.wav")) == r"caf\xe9.wav"
    assert shown("\ud800.wav") == r"\ud800.wav"
    assert shown("café.wav") == "café.wav"
    assert is_utf8("café.wav")
    assert not is_utf8("\ud800.wav")
