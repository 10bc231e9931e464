from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from humanclap.errors import InputError
from humanclap.records import Pair, Score
from humanclap.scoring.run import renamed_columns, score_table
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings
from humanclap.tables import read_manifest, read_scores, read_table


@pytest.fixture
def pairs() -> list[Pair]:
    texts = ("rain falls", "a dog barks")
    return [
        Pair(audio=f"clip{n}.wav", text=text, system=f"s{n}") for text in texts for n in (5, 0, 2)
    ]


def test_table_keeps_the_manifests_order_and_reads_back(
    scorer: HumanCLAP, clips: Path, pairs: list[Pair], tmp_path: Path
) -> None:
    output = tmp_path / "new folder" / "scores.csv"
    scores = score_table(scorer, pairs, audio_root=clips, output=output)
    assert [score.pair_id for score in scores] == [pair.pair_id for pair in pairs]
    assert read_scores(output) == scores
    assert {score.signature for score in scores} == {scorer.signature}
    assert [path.name for path in output.parent.iterdir()] == ["scores.csv"]


class Killed(BaseException):
    """Stands for a kill: not an Exception, so nothing may tidy up after it but `finally`."""


def stop_after(scorer: HumanCLAP, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = HumanCLAP.score_pairs

    def cut(self: HumanCLAP, pairs: list[Pair], **options: Any) -> Iterator[Score]:
        for number, score in enumerate(whole(self, pairs, **options)):
            if number == n:
                raise Killed
            yield score

    monkeypatch.setattr(HumanCLAP, "score_pairs", cut)


def interrupted(scorer: HumanCLAP, clips: Path, pairs: list[Pair], output: Path, n: int) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        stop_after(scorer, n, patch)
        with pytest.raises(Killed):
            score_table(scorer, pairs, audio_root=clips, output=output)
    return output.with_name(output.name + ".partial.jsonl")


def check_same(found: list[Score], expected: list[Score]) -> None:
    """Equal but for the last digits, which neighbours in a batch may change on some processors."""
    for one, other in zip(found, expected, strict=True):
        numbers = ("score", "rating", "rating_error")
        values = [getattr(one, name) for name in numbers]
        assert values == pytest.approx([getattr(other, name) for name in numbers], abs=1e-6)
        blank = dict.fromkeys(numbers, 1.0)
        assert replace(one, **blank) == replace(other, **blank)


def test_an_interrupted_run_resumes_and_gives_the_same_table(
    scorer: HumanCLAP, clips: Path, pairs: list[Pair], tmp_path: Path
) -> None:
    expected = score_table(scorer, pairs, audio_root=clips)
    output = tmp_path / "scores.csv"
    journal = interrupted(scorer, clips, pairs, output, 4)
    assert not output.exists()
    with open(journal, "a") as file:
        file.write('{"pair_id": "torn')  # the line a kill cut short
    done: list[int] = []
    scores = score_table(
        scorer, pairs, audio_root=clips, output=output, progress=lambda n, *_: done.append(n)
    )
    assert done == [5, 6]
    check_same(scores, expected)
    assert not journal.exists()


def test_a_resumed_run_scores_again_what_changed_or_failed(
    scorer: HumanCLAP, clips: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "audio"
    folder.mkdir()
    pairs = [Pair(audio=name, text="rain falls") for name in ("bad.wav", "same.wav", "new.wav")]
    for name in ("same.wav", "new.wav"):
        (folder / name).write_bytes((clips / "clip0.wav").read_bytes())
    (folder / "bad.wav").write_bytes(b"RIFF")
    output = tmp_path / "scores.csv"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("humanclap.scoring.run.write_rows", _fail)
        with pytest.raises(OSError, match="disk is full"):
            score_table(scorer, pairs, audio_root=folder, output=output)
    for name in ("bad.wav", "new.wav"):
        (folder / name).write_bytes((clips / "clip2.wav").read_bytes())
    bad, same, new = score_table(scorer, pairs, audio_root=folder, output=output)
    assert bad.error is None
    assert bad.score == pytest.approx(scorer.score(clips / "clip2.wav", "rain falls"), abs=1e-6)
    assert new.score == pytest.approx(bad.score, abs=1e-6)
    assert same.score == pytest.approx(scorer.score(clips / "clip0.wav", "rain falls"), abs=1e-6)


def test_a_journal_row_that_lacks_the_error_of_its_rating_is_scored_again(
    scorer: HumanCLAP, clips: Path, pairs: list[Pair], tmp_path: Path
) -> None:
    output = tmp_path / "scores.csv"
    journal = interrupted(scorer, clips, pairs, output, 4)
    head, *rows = [json.loads(line) for line in journal.read_text().splitlines()]
    del rows[0]["rating_error"]
    journal.write_text("".join(json.dumps(item) + "\n" for item in (head, *rows)))
    scores = score_table(scorer, pairs, audio_root=clips, output=output)
    check_same(scores, score_table(scorer, pairs, audio_root=clips))


def test_a_run_goes_on_where_only_the_commit_of_the_model_is_another(
    scorer: HumanCLAP, clips: Path, pairs: list[Pair], tmp_path: Path
) -> None:
    output = tmp_path / "scores.csv"
    journal = interrupted(scorer, clips, pairs, output, 3)
    head, *rest = journal.read_text().splitlines(keepends=True)
    older = scorer.signature.replace("|rate:", f"|revision:{'0' * 40}|rate:")
    journal.write_text(json.dumps({**json.loads(head), "signature": older}) + "\n" + "".join(rest))
    scores = score_table(scorer, pairs, audio_root=clips, output=output)
    assert {score.signature for score in scores} == {scorer.signature}


def _fail(*_: object, **__: object) -> None:
    raise OSError(28, "the disk is full")


def test_refuses_a_journal_of_another_table_and_restarts_when_asked(
    scorer: HumanCLAP, clips: Path, pairs: list[Pair], tmp_path: Path
) -> None:
    output = tmp_path / "scores.csv"
    journal = interrupted(scorer, clips, pairs, output, 3)
    with pytest.raises(InputError, match="another table of pairs"):
        score_table(scorer, pairs[:-1], audio_root=clips, output=output)
    head, *rest = journal.read_text().splitlines(keepends=True)
    other = json.dumps({**json.loads(head), "signature": "humanclap:0|model:other@0"}) + "\n"
    journal.write_text("".join([other, *rest]))
    with pytest.raises(InputError, match="another model or settings"):
        score_table(scorer, pairs, audio_root=clips, output=output)
    assert len(score_table(scorer, pairs, audio_root=clips, output=output, restart=True)) == 6
    assert not journal.exists()


def test_refuses_a_folder_as_output(
    scorer: HumanCLAP, clips: Path, pairs: list[Pair], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="is a folder"):
        score_table(scorer, pairs, audio_root=clips, output=tmp_path)


def test_further_columns_of_the_manifest_stand_behind_the_scores(
    scorer: HumanCLAP, clips: Path, tmp_path: Path
) -> None:
    manifest, output = tmp_path / "pairs.csv", tmp_path / "scores.csv"
    manifest.write_text("prompt_id,audio,text,score\np1,clip5.wav,rain,7\np2,clip0.wav,a dog,3\n")
    pairs, further = read_manifest(manifest)
    scores = score_table(scorer, pairs, audio_root=clips, output=output, further=further)
    table = read_table(output)
    assert table.columns[-2:] == ("prompt_id", "score_before")
    assert [row.cells["prompt_id"] for row in table.rows] == ["p1", "p2"]
    assert [row.cells["score_before"] for row in table.rows] == ["7", "3"]
    assert read_scores(output) == scores
    assert renamed_columns(further) == {"score": "score_before"}


@pytest.mark.parametrize("name", ["x.xlsx", "x.txt"])
def test_a_table_that_cannot_be_written_is_refused_before_scoring(
    scorer: HumanCLAP, clips: Path, pairs: list[Pair], tmp_path: Path, name: str
) -> None:
    with pytest.raises(InputError, match="a table cannot be written as"):
        score_table(scorer, pairs, audio_root=clips, output=tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_resumed_run_keeps_notes_and_what_was_cut(
    scorer: HumanCLAP, clips: Path, tmp_path: Path
) -> None:
    texts = ("rain falls " * 60, "a dog barks")
    pairs = [Pair(audio=f"clip{n}.wav", text=text) for n in (5, 0) for text in texts]
    expected = score_table(scorer, pairs, audio_root=clips)
    output = tmp_path / "scores.csv"
    interrupted(scorer, clips, pairs, output, 3)
    check_same(score_table(scorer, pairs, audio_root=clips, output=output), expected)
    assert [bool(item.note) for item in expected] == [True, False, True, False]


def test_unlike_pairs_of_one_id_never_come_back_as_one_of_them_twice(
    scorer: HumanCLAP, clips: Path
) -> None:
    pairs = [Pair(audio="clip0.wav", text=text, pair_id="x") for text in ("rain", "a dog")]
    with pytest.raises(InputError, match="stands for two pairs"):
        score_table(scorer, pairs, audio_root=clips)


def test_how_far_a_long_clip_is_read_is_told_before_it_is_scored(tiny_checkpoint, tmp_path):
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 130 * 8000)
    soundfile.write(tmp_path / "long.wav", noise, 8000)
    soundfile.write(tmp_path / "short.wav", noise[:8000], 8000)
    scorer = HumanCLAP(tiny_checkpoint, ScoringSettings(device="cpu", cache=False))
    pairs = [Pair(audio="short.wav", text="rain"), Pair(audio="long.wav", text="rain")]
    told: list[tuple[int, int, str]] = []
    score_table(scorer, pairs, audio_root=tmp_path, progress=lambda *row: told.append(row))
    notes = [note for _, _, note in told if note]
    assert notes[0] == "1 min of long.wav read"
    assert notes[-1] == "2 min of long.wav read"
    assert told[-1] == (2, 2, "")
