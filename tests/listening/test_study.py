"""What `listen new` refuses, what it says, and what it may replace."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from humanclap.errors import InputError
from humanclap.listening.rehearsal.raters import RaterModel
from humanclap.listening.rehearsal.simulate import rehearse
from humanclap.listening.study.admin_actions import change_state
from humanclap.listening.study.answers import store_answer
from humanclap.listening.study.database import rows
from humanclap.listening.study.study import Created, create_study, open_study, stimuli_of
from humanclap.records import Pair

from .conftest import DESIGN
from .test_answers import answer, begun, trials

RATE_HZ = 8000


@pytest.fixture
def folder(tmp_path: Path, clips: tuple[Path, list[Pair]]) -> Path:
    shutil.copytree(clips[0], tmp_path / "clips")
    return tmp_path / "clips"


def make(folder: Path, pairs: list[Pair], design: str = DESIGN, **options: object) -> Created:
    where = str(folder.parent / "study.sqlite")
    given = {"design_text": design, "pairs": pairs, "audio_root": folder, **options}
    return create_study(where, **given)


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3])


def noise(n: int = RATE_HZ) -> np.ndarray:
    return 0.1 * np.random.default_rng(1).standard_normal(n)


def damaged(folder: Path, kind: str) -> str:
    """A clip that opens, or nearly, and cannot be heard whole."""
    path = folder / f"bad.{'m4a' if kind == 'm4a' else 'flac' if kind == 'flac' else 'wav'}"
    if kind == "m4a":
        path.write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom" + b"\0" * 2000)
    elif kind == "nan":
        samples = noise()
        samples[100] = np.nan
        soundfile.write(path, samples, RATE_HZ, subtype="FLOAT")
    else:
        soundfile.write(path, noise(10 if kind == "short" else RATE_HZ), RATE_HZ)
        if kind != "short":
            cut(path)
    return path.name


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("flac", "truncated"),
        ("wav", "truncated"),
        ("nan", "NaN"),
        ("short", "10 ms"),
        ("m4a", "ffmpeg -i"),
    ],
)
def test_a_clip_that_score_refuses_is_named_and_no_study_made(
    folder: Path, clips, kind: str, reason: str
) -> None:
    bad = Pair(audio=damaged(folder, kind), text="A violin plays")
    with pytest.raises(InputError, match=rf"(?s)1 clips .*{bad.audio}: .*{reason}"):
        make(folder, [*clips[1], bad])
    assert not (folder.parent / "study.sqlite").exists()


def test_bad_clips_of_own_anchors_are_named_too(folder: Path, clips) -> None:
    bad = Pair(audio=damaged(folder, "flac"), text="A violin plays")
    with pytest.raises(InputError, match=r"bad\.flac"):
        make(folder, clips[1], anchors=[bad])


def test_lengths_are_those_of_what_is_heard(folder: Path) -> None:
    pairs = []
    for rate, form in ((8000, "wav"), (44100, "flac"), (48000, "mp3")):
        soundfile.write(folder / f"{rate}.{form}", noise(rate * 2), rate)
        pairs.append(Pair(audio=f"{rate}.{form}", text=f"{rate}"))
    make(folder, pairs, 'title = "T"\n[session]\nanchors = 0\n')
    study = open_study(folder.parent / "study.sqlite")
    with study.database.read() as connection:
        lengths = [s.duration_s for s in stimuli_of(connection)]
    study.close()
    assert lengths == pytest.approx([2.0, 2.0, 2.0], abs=0.06)


def test_silent_clips_are_said(folder: Path, clips) -> None:
    soundfile.write(folder / "nothing.wav", np.zeros(RATE_HZ), RATE_HZ)
    made = make(folder, [*clips[1], Pair(audio="nothing.wav", text="A violin plays")])
    [note] = made.notes
    assert note.startswith("nothing.wav: ")
    assert "silent" in note


@pytest.mark.parametrize(
    ("session", "n_pairs", "said"),
    [
        ("pairs = 18\npractice = 0", 10, ["rates 10 sounds, not 18"]),
        ("pairs = 8\npractice = 2", 10, []),
        ("pairs = 8\npractice = 3", 10, ["begins with 2 practice sounds, not 3"]),
        ("pairs = 18\npractice = 30", 24, ["begins with 6 practice sounds, not 30"]),
        ("pairs = 10\npractice = 1", 10, ["begins with 0 practice sounds, not 1"]),
        ("pairs = 8\npractice = 0\nper_listener = 2", 10, ["need 16 pairs, but the table has 10"]),
        ("pairs = 5\npractice = 0\nper_listener = 2", 10, []),
    ],
)
def test_a_table_too_small_for_the_session_is_said(
    folder: Path, clips, session: str, n_pairs: int, said: list[str]
) -> None:
    design = f'title = "T"\n[session]\nanchors = 0\nattention_checks = 0\n{session}\n'
    made = make(folder, clips[1][:n_pairs], design)
    assert len(made.notes) == len(said)
    for note, words in zip(made.notes, said, strict=True):
        assert words in note
    study = open_study(folder.parent / "study.sqlite")
    kinds = [trial["kind"] for trial in trials(study, begun(study))]
    study.close()
    for words in said:
        n = next(int(word) for word in words.split() if word.isdigit())
        if words.startswith("rates"):
            assert kinds.count("rating") == n
        elif words.startswith("begins"):
            assert kinds.count("practice") == n


def test_a_study_without_answers_is_replaced_where_that_is_wanted(folder: Path, clips) -> None:
    first = make(folder, clips[1])
    study = open_study(folder.parent / "study.sqlite")
    begun(study)
    change_state(study, "closed")
    study.close()
    with pytest.raises(InputError, match="--replace-empty"):
        make(folder, clips[1])
    design = DESIGN.replace("A small study", "Another")
    second = make(folder, clips[1][:8], design, replace_empty=True)
    assert second.fingerprint != first.fingerprint
    study = open_study(folder.parent / "study.sqlite")
    assert (study.design.title, study.state()) == ("Another", "open")
    with study.database.read() as connection:
        assert sum(s.kind == "pair" for s in stimuli_of(connection)) == 8
        for table in ("listeners", "sessions", "trials"):
            assert rows(connection, f"SELECT * FROM {table}") == []
    assert len(trials(study, begun(study))) == 9
    study.close()


def test_answers_are_never_replaced(folder: Path, clips, tmp_path: Path) -> None:
    make(folder, clips[1])
    study = open_study(folder.parent / "study.sqlite")
    rehearse(study, n_listeners=1, model=RaterModel(), cache=tmp_path / "cache")
    with pytest.raises(InputError, match="holds 9 answers of bots, and answers are never"):
        make(folder, clips[1], replace_empty=True)
    session = begun(study)
    store_answer(study, session, answer(trials(study, session)[0]))
    with pytest.raises(InputError, match="holds 1 answers of people and 9 answers of bots"):
        make(folder, clips[1], replace_empty=True)
    assert study.design.title == "A small study"
    assert len(trials(study, session)) == 9, "and nothing was touched"
    study.close()


def test_what_is_no_study_is_not_replaced(folder: Path, clips) -> None:
    path = folder.parent / "study.sqlite"
    path.write_bytes(b"notes, long enough to look like a file of something else" * 40)
    before = path.read_bytes()
    with pytest.raises(InputError, match="not a study"):
        make(folder, clips[1], replace_empty=True)
    assert path.read_bytes() == before


def test_replacing_what_is_not_there_makes_it(folder: Path, clips) -> None:
    assert make(folder, clips[1], replace_empty=True).n_pairs == 24


def test_a_replacement_that_fails_leaves_the_study_that_was_there(folder: Path, clips) -> None:
    make(folder, clips[1])
    bad = Pair(audio=damaged(folder, "flac"), text="A violin plays")
    with pytest.raises(InputError, match=r"bad\.flac"):
        make(folder, [*clips[1], bad], replace_empty=True)
    study = open_study(folder.parent / "study.sqlite")
    assert study.design.title == "A small study"
    study.close()
