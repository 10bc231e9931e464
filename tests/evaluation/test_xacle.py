import math

import numpy as np
import pytest
from scipy import stats

from humanclap.errors import InputError
from humanclap.evaluation.xacle import evaluate_submission


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
        (lambda rows: [*rows[:-1], "0.wav,11"], r"submission.csv:31: rating 11 is outside 0\.\.10"),
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


def test_averages_with_two_texts_of_one_file_are_refused(files):
    submission, averages, *_ = files
    edit(averages, lambda rows: [*rows, "29.wav,another text,5"])
    with pytest.raises(InputError, match=r"averages\.csv:32: file '29\.wav' is already on line 31"):
        evaluate_submission(submission, averages, replicates=50)
