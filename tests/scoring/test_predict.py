"""`predict`, `similarity`, `rate`, `on_error`: many pairs in one call, bad ones among them."""

from __future__ import annotations

import math
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from humanclap.audio import SilentAudioWarning
from humanclap.clap.checkpoint import Checkpoint
from humanclap.errors import AudioError, InputError, SettingsError
from humanclap.records import Pair
from humanclap.scoring.scorer import HumanCLAP, NotScoredWarning, TextCutWarning
from humanclap.scoring.settings import ScoringSettings
from humanclap.tables import read_scores

RATE = 32000
UNREAD = "犬が吠えている"
TEXTS = ["a dog barks", "rain falls", "a siren wails"]


@pytest.fixture(scope="module")
def batch() -> torch.Tensor:
    """Four clips; the second holds a NaN, and nothing else is wrong with it."""
    made = 0.1 * torch.randn(4, RATE, generator=torch.Generator().manual_seed(1))
    made[1, 16000] = torch.nan
    return made


def test_one_bad_clip_of_a_batch_is_an_error_or_nan_as_asked(
    scorer: HumanCLAP, batch: torch.Tensor
) -> None:
    with pytest.raises(AudioError, match=r"audio\[1\]: sample 16000 \(at 0.500 s\) is NaN"):
        scorer.score_many(batch, "rain", sample_rate=RATE)
    alone = [scorer.score(batch[n], "rain", sample_rate=RATE) for n in (0, 2, 3)]
    with pytest.warns(NotScoredWarning, match=r"1 of 4 clips cannot be used: audio\[1\]: sample"):
        found = scorer.score_many(batch, "rain", sample_rate=RATE, on_error="nan")
    assert np.isnan(found).tolist() == [False, True, False, False]
    assert found[[0, 2, 3]].tolist() == pytest.approx(alone, abs=1e-6)


def test_every_method_takes_on_error(scorer: HumanCLAP, batch: torch.Tensor) -> None:
    bad = batch[1]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert math.isnan(scorer.score(bad, "rain", sample_rate=RATE, on_error="nan"))
        rated = scorer.rate(bad, "rain", sample_rate=RATE, on_error="nan")
        assert isinstance(rated, float)
        assert math.isnan(rated)
        assert np.isnan(scorer.embed_audio(bad, sample_rate=RATE, on_error="nan")).all()
        assert np.isnan(scorer.embed_text(UNREAD, on_error="nan")).all()
        table = scorer.similarity(batch, ["rain", UNREAD], sample_rate=RATE, on_error="nan")
    assert [warning.category for warning in caught] == [NotScoredWarning] * 6
    assert {warning.filename for warning in caught} == {__file__}
    assert np.isnan(table).tolist() == [[False, True], [True, True], [False, True], [False, True]]
    for ask in (scorer.score, scorer.score_many, scorer.rate, scorer.similarity, scorer.predict):
        with pytest.raises(SettingsError, match="on_error is 'skip'; expected one of raise, nan"):
            ask(batch[0], "rain", sample_rate=RATE, on_error="skip")  # type: ignore[operator]


def test_what_the_caller_got_wrong_is_an_error_whatever_on_error_says(scorer: HumanCLAP) -> None:
    clip = np.zeros(RATE, np.float32)
    with pytest.raises(InputError, match="needs its sample_rate"):
        scorer.predict(clip, "rain", on_error="nan")
    with pytest.raises(InputError, match=r"texts\[0\] is None"):
        scorer.predict(clip, [None], sample_rate=RATE)  # type: ignore[list-item]
    with pytest.raises(AudioError, match="samples are int64"):
        scorer.predict(clip.astype(np.int64), "rain", sample_rate=RATE)


def test_predict_gives_scores_ratings_errors_and_problems(
    scorer: HumanCLAP, batch: torch.Tensor
) -> None:
    table = scorer.predict(batch, [*TEXTS, UNREAD], sample_rate=RATE)
    assert len(table) == 4
    assert table.signature == scorer.signature
    expected = [scorer.score(batch[n], TEXTS[n], sample_rate=RATE) for n in (0, 2)]
    assert table.scores[[0, 2]].tolist() == pytest.approx(expected, abs=1e-6)
    # the tiny model's calibration: rating 5 + 5 s, error 2 + s
    assert table.ratings[[0, 2]].tolist() == pytest.approx([5 + 5 * s for s in expected], abs=1e-5)
    assert table.rating_errors[[0, 2]].tolist() == pytest.approx(
        [2 + s for s in expected], abs=1e-5
    )
    assert np.isnan(table.scores[[1, 3]]).all()
    assert np.isnan(table.ratings[[1, 3]]).all()
    assert [problem and problem[:25] for problem in table.problems] == [
        None,
        "sample 16000 (at 0.500 s)",
        None,
        f"{UNREAD!r}: the model canno"[:25],
    ]
    assert [row.audio for row in table] == [f"audio[{n}]" for n in range(4)]
    assert table[0].score == table.scores[0]
    assert table[-1].text_unread == 1.0
    assert table[1:3].problems == table.problems[1:3]
    assert str(table).startswith("4 pairs, 2 without a score: audio[1] | rain falls: sample 16000")


def test_predict_says_what_score_tables_say(scorer: HumanCLAP, clips: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    (tmp_path / "text.wav").write_text("this is no sound")
    soundfile.write(tmp_path / "good.wav", np.sin(np.arange(RATE)), RATE)
    names = ["good.wav", "silent.wav", "text.wav", "gone.wav"]
    texts = ["rain", "rain falls " * 60, UNREAD, "wind"]
    pairs = [Pair(audio=name, text=text) for name, text in zip(names, texts, strict=True)]
    expected = {row.audio: row for row in scorer.score_pairs(pairs, audio_root=tmp_path)}
    table = scorer.predict([tmp_path / name for name in names], texts)
    for row, name in zip(table, names, strict=True):
        known = expected[name]
        assert row.score == pytest.approx(known.score, abs=1e-6, nan_ok=True)
        assert row.rating == pytest.approx(known.rating, abs=1e-5, nan_ok=True)
        assert row.note == known.note
        assert (row.text_cut, row.text_unread) == (known.text_cut, known.text_unread)
        assert (row.error is None) == (known.error is None)
    assert table.notes[0] is None
    assert "silent" in str(table.notes[1])
    assert "text cut" in str(table.notes[1])


def test_predict_raises_where_it_is_to(scorer: HumanCLAP, batch: torch.Tensor) -> None:
    with pytest.raises(AudioError, match=r"audio\[1\]"):
        scorer.predict(batch, "rain", sample_rate=RATE, on_error="raise")
    with pytest.raises(InputError, match="does not know 100%"):
        scorer.predict(batch, UNREAD, sample_rate=RATE, on_error="raise")


def test_an_empty_text_is_a_problem_of_its_row_alone(scorer: HumanCLAP, clips: Path) -> None:
    table = scorer.predict(clips / "clip0.wav", ["rain", " ", "wind"])
    assert table.problems == (None, "text is empty", None)


def test_texts_that_cannot_be_used_are_named_by_their_places(scorer: HumanCLAP) -> None:
    with pytest.raises(InputError, match=r"^texts\[2\]: text is empty$"):
        scorer.embed_text(["rain", "wind", " "])
    with pytest.raises(InputError, match=r"^text is empty$"):
        scorer.embed_text(" ")
    with pytest.warns(NotScoredWarning, match=r"1 of 2 texts cannot be used: texts\[1\]: text is"):
        scorer.embed_text(["rain", ""], on_error="nan")


def test_predict_of_one_pair_and_of_none(scorer: HumanCLAP, clips: Path) -> None:
    one = scorer.predict(str(clips / "clip0.wav"), "rain")
    assert (len(one), one[0].audio) == (1, str(clips / "clip0.wav"))
    assert len(scorer.predict([], [])) == 0
    assert str(scorer.predict([], [])) == "0 pairs"
    assert scorer.predict([], "rain").scores.shape == (0,)


def test_predictions_of_a_model_without_calibration(
    tiny_checkpoint: Checkpoint, clips: Path
) -> None:
    bare = HumanCLAP(Checkpoint(tiny_checkpoint.backbone), ScoringSettings(device="cpu"))
    table = bare.predict(clips / "clip0.wav", TEXTS)
    assert np.isfinite(table.scores).all()
    assert np.isnan(table.ratings).all()
    assert re.fullmatch(r"3 pairs\nmean score -?\d\.\d{3}", str(table))


def test_predictions_become_a_data_frame(
    scorer: HumanCLAP, batch: torch.Tensor, tmp_path: Path
) -> None:
    pandas = pytest.importorskip("pandas")
    frame = scorer.predict(batch, "rain", sample_rate=RATE).to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    names = ["audio", "text", "score", "rating", "rating_error", "error", "note"]
    assert list(frame.columns) == names
    assert frame.score.isna().tolist() == [False, True, False, False]
    assert frame.error.notna().tolist() == [False, True, False, False]
    assert list(scorer.predict([], []).to_pandas().columns) == names
    frame.to_csv(tmp_path / "scores.csv", index=False)  # a table of scores like any other
    assert [row.score for row in read_scores(tmp_path / "scores.csv")] == pytest.approx(
        frame.score.tolist(), nan_ok=True
    )


def test_similarity_is_every_clip_with_every_text(scorer: HumanCLAP, clips: Path) -> None:
    paths = [clips / f"clip{n}.wav" for n in (0, 2)]
    expected = [[scorer.score(path, text) for text in TEXTS] for path in paths]
    found = scorer.similarity(paths, TEXTS)
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert scorer.similarity(paths[0], "rain").shape == (1, 1)
    assert scorer.similarity([], TEXTS).shape == (0, 3)
    assert scorer.similarity(paths, []).shape == (2, 0)


def test_rate_takes_one_score_an_array_of_them_or_audio_and_text(
    scorer: HumanCLAP, clips: Path, batch: torch.Tensor
) -> None:
    assert scorer.rate(0.5) == pytest.approx(7.5)  # 5 + 5 x 0.5
    scores = np.array([[0.5, -0.2], [math.nan, 1.0]])
    expected = [[7.5, 4.0], [math.nan, 10.0]]
    for several in (scores, torch.from_numpy(scores), scores.tolist()):
        np.testing.assert_allclose(scorer.rate(several), expected)
    np.testing.assert_allclose(scorer.rating_error(scores), [[2.5, 1.8], [math.nan, 3.0]])
    assert scorer.rate(np.zeros(0)).shape == (0,)
    path = clips / "clip0.wav"
    assert scorer.rate(path, "rain") == pytest.approx(scorer.rate(scorer.score(path, "rain")))
    assert isinstance(scorer.rate(path, "rain"), float)
    many = scorer.rate(batch[2:][:, None], "rain", sample_rate=RATE)
    np.testing.assert_allclose(
        many, scorer.rate(scorer.score_many(list(batch[2:]), "rain", sample_rate=RATE)), atol=1e-5
    )
    for audio in ("dog.wav", path, b"RIFF"):
        with pytest.raises(InputError, match="of audio give its text"):
            scorer.rate(audio)  # type: ignore[call-overload]
    with pytest.raises(InputError, match="of audio needs its text"):
        scorer.rate(batch[0], sample_rate=RATE)  # type: ignore[call-overload]


def test_rates_without_calibration_are_nan_in_the_shape_of_the_scores(
    tiny_checkpoint: Checkpoint,
) -> None:
    bare = HumanCLAP(Checkpoint(tiny_checkpoint.backbone), ScoringSettings(device="cpu"))
    assert np.isnan(bare.rate(np.zeros((2, 3)))).tolist() == [[True] * 3] * 2
    assert math.isnan(bare.rating_error(0.2))


def test_warnings_of_good_clips_and_texts_come_with_many_too(scorer: HumanCLAP) -> None:
    silent = torch.zeros(2, 1, RATE)
    with pytest.warns(SilentAudioWarning, match=r"audio\[[01]\]: silent") as caught:
        scorer.score_many(silent, "rain", sample_rate=RATE)
    assert [warning.filename for warning in caught] == [__file__] * 2
    with pytest.warns(TextCutWarning) as cut:
        scorer.similarity([], ["rain falls " * 60] * 2)
    assert len(cut) == 1
