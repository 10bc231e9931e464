import math

import numpy as np
import pytest
from scipy import stats

from humanclap.errors import InputError, TableError
from humanclap.evaluation.xacle import evaluate_submission, read_list, write_submission
from humanclap.records import Score


@pytest.fixture
def files(tmp_path):
    """(submission, averages) of 30 files, ten captions."""
    rng = np.random.default_rng(0)
    human = rng.integers(0, 41, size=30) / 4
    predicted = np.clip(human + 2 * rng.normal(size=30), 0, 10).round(3)
    averages, submission = tmp_path / "averages.csv", tmp_path / "submission.csv"
    averages.write_text(
        "wav_file_name,text,average_score\n"
        + "".join(f"{i}.wav,sound {i // 3},{v}\n" for i, v in enumerate(human))
    )
    submission.write_text(
        "wav_file_name,pred_score\n"
        + "".join(f"{i}.wav,{predicted[i]}\n" for i in reversed(range(30)))
    )
    return submission, averages, predicted, human


def test_the_figures_are_those_of_the_challenges_definition(files):
    submission, averages, x, y = files
    found = evaluate_submission(submission, averages, replicates=50)
    assert found.n == 30
    assert found.srcc == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found.lcc == pytest.approx(stats.pearsonr(x, y).statistic)
    assert found.ktau == pytest.approx(stats.kendalltau(x, y, variant="b").statistic)
    assert found.mse == pytest.approx(np.mean((x - y) ** 2))
    assert found.intervals["srcc"].clusters == 10
    assert found.intervals["srcc"].low < found.srcc < found.intervals["srcc"].high


def edit(path, change):
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:-2], "2 files have no prediction: 0.wav, 1.wav"),
        (lambda rows: [*rows, "x.wav,5"], "1 files are not in the averages: x.wav"),
        (lambda rows: [*rows, rows[1]], "submission.csv:32: file '29.wav' is already"),
        (lambda rows: [*rows[:-1], "0.wav,nan"], "submission.csv:31: .* finite number"),
        (lambda rows: [*rows[:-1], "0.wav,"], "submission.csv:31: column 'pred_score' is empty"),
        (lambda rows: [*rows[:-1], "0.wav,11"], r"submission.csv:31: score 11 is outside 0\.\.10"),
        (lambda rows: ["wav_file_name,score", *rows[1:]], "missing column 'pred_score'"),
    ],
)
def test_incomplete_submissions_are_refused_by_name(files, change, message):
    submission, averages, *_ = files
    edit(submission, change)
    with pytest.raises(InputError, match=message):
        evaluate_submission(submission, averages, replicates=50)


def test_a_constant_prediction_is_undefined_and_not_zero(files):
    submission, averages, *_ = files
    edit(submission, lambda rows: [rows[0], *(f"{r.split(',')[0]},5" for r in rows[1:])])
    found = evaluate_submission(submission, averages, replicates=50)
    assert math.isnan(found.srcc)
    assert found.reason == "the metric is constant"
    assert math.isfinite(found.mse)


def test_a_list_names_each_file_once(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("wav_file_name,text,extra\na.wav,rain,1\nb.wav,dog,2\n")
    assert [(p.audio, p.text) for p in read_list(path)] == [("a.wav", "rain"), ("b.wav", "dog")]
    path.write_text("wav_file_name,text\na.wav,rain\na.wav,dog\n")
    with pytest.raises(TableError, match=r"list\.csv:3: file 'a\.wav' is already on line 2"):
        read_list(path)


def test_a_submission_has_the_rating_or_ten_times_the_cosine(tmp_path):
    path = tmp_path / "sub.csv"
    plain = [Score(audio=f"{i}.wav", text="x", score=v) for i, v in enumerate((0.25, -0.1))]
    write_submission(path, plain)
    assert path.read_text().splitlines() == ["wav_file_name,pred_score", "0.wav,2.5", "1.wav,0.0"]
    rated = [Score(audio=f"{i}.wav", text="x", score=0.1, rating=7.5) for i in range(2)]
    write_submission(path, rated)
    assert path.read_text().splitlines()[1] == "0.wav,7.5"
    with pytest.raises(InputError, match="1 of 2 scores have a rating"):
        write_submission(path, [plain[0], rated[1]])


def test_a_submission_with_a_failed_clip_is_not_written(tmp_path):
    failed = [Score(audio="a.wav", text="x", score=math.nan, error="no such file")]
    with pytest.raises(InputError, match=r"a\.wav \(no such file\)"):
        write_submission(tmp_path / "sub.csv", failed)
    assert not (tmp_path / "sub.csv").exists()
