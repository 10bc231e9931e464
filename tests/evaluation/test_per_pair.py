from __future__ import annotations

import csv

import pytest

from humanclap.evaluation import EvaluationSettings, ScoreTable, compare
from humanclap.evaluation.agreement.per_pair import pair_rows
from humanclap.tables import read_targets


@pytest.fixture
def files(tmp_path):
    """Five pairs; both tables have further columns, `note` and `page` in both."""
    targets, scores = tmp_path / "targets.csv", tmp_path / "scores.csv"
    with open(targets, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["audio", "text", "target", "mos", "n", "study", "note", "page"])
        for i in range(5):
            rows.writerow([f"{i}.wav", f"sound {i}", i / 10, i, 3, "june", "", f"p{i}"])
    with open(scores, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["page", "audio", "text", "score", "prompt_id", "note", "kind"])
        for i in reversed(range(5)):
            note = "clip is silent" if i == 2 else ""
            rows.writerow([f"p{i}", f"clips/{i}.wav", f"sound {i}", i / 7, f"q{i}", note, "a"])
    return scores, targets


def test_every_column_of_both_tables_is_kept(files):
    scores, targets = files
    settings = EvaluationSettings(replicates=40, permutations=0, key="audio-name+text")
    judged = compare([ScoreTable.read(scores)], read_targets(targets), settings).evaluations[0]
    columns, rows = pair_rows(judged.per_pair, scores, targets, "audio-name+text")
    by_audio = {row["audio"]: row for row in rows}
    two = by_audio["2.wav"]
    assert two["score"] == 2 / 7
    assert two["human"] == 2.0
    assert (two["study"], two["prompt_id"], two["page"]) == ("june", "q2", "p2")
    assert two["note"] == "clip is silent"
    assert two["note_of_target"] == ""
    assert two["audio_before"] == "clips/2.wav"  # the score's own; audio is the target's
    assert two["kind_before"] == "a"
    assert two["target"] == "0.2"
    assert len(columns) == len(set(columns))
    for said in ("mos", "score_before", "text_before", "n_before"):
        assert said not in columns
