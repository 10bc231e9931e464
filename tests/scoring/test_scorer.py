from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from humanclap.audio import SilentAudioWarning, Waveform, windows
from humanclap.clap.checkpoint import Checkpoint
from humanclap.errors import AudioError, InputError, SettingsError
from humanclap.records import Pair
from humanclap.scoring.scorer import HumanCLAP, TextCutWarning
from humanclap.scoring.settings import ScoringSettings

TEXTS = ["a dog barks", "rain falls", "a siren wails then a cat meows loud", "bird sings"]


def pairs_of(clips: Path) -> list[Pair]:
    return [
        Pair(audio=path.name, text=text) for path in sorted(clips.glob("*.wav")) for text in TEXTS
    ]


def scores_by_id(scorer: HumanCLAP, pairs: list[Pair], clips: Path) -> dict[str, float]:
    return {item.pair_id: item.score for item in scorer.score_pairs(pairs, audio_root=clips)}


def test_score_of_a_clip_does_not_depend_on_its_neighbours_batch_order_or_seed(
    tiny_checkpoint: Checkpoint, scorer: HumanCLAP, clips: Path
) -> None:
    pairs = pairs_of(clips)
    alone = {pair.pair_id: scorer.score(clips / pair.audio, pair.text) for pair in pairs}
    for batch_windows in (1, 3, 32):
        torch.manual_seed(batch_windows)
        np.random.seed(batch_windows)
        random.seed(batch_windows)
        shuffled = random.sample(pairs, len(pairs))
        settings = ScoringSettings(device="cpu", batch_windows=batch_windows, batch_texts=2)
        together = scores_by_id(HumanCLAP(tiny_checkpoint, settings), shuffled, clips)
        assert together == pytest.approx(alone, abs=1e-6)


def test_scores_differ_between_clips_and_texts(scorer: HumanCLAP, clips: Path) -> None:
    scores = scores_by_id(scorer, pairs_of(clips), clips)
    assert len({round(score, 9) for score in scores.values()}) == len(scores)


def test_score_is_the_cosine_of_the_length_weighted_mean_of_windows(
    scorer: HumanCLAP, clips: Path
) -> None:
    path, backbone = clips / "clip1.wav", scorer.backbone  # 25 s: two whole windows and a half
    cut = list(windows(path, sample_rate=32000, window_s=10.0, hop_s=10.0, fill=backbone.fill))
    assert [window.weight for window in cut] == pytest.approx([1.0, 1.0, 0.5])
    with torch.inference_mode():
        stacked = torch.from_numpy(np.stack([window.waveform for window in cut]))
        rows = backbone.embed_audio(stacked).double().numpy()  # (3, embedding_dim)
        text = backbone.embed_text(["a dog barks"])[0].double().numpy()
    mean = (rows[0] + rows[1] + 0.5 * rows[2]) / 2.5
    expected = float(mean @ text / np.linalg.norm(mean) / np.linalg.norm(text))
    assert scorer.score(path, "a dog barks") == pytest.approx(expected, abs=1e-6)


def test_an_array_scores_as_the_file_it_was_read_from(scorer: HumanCLAP, clips: Path) -> None:
    samples, rate = soundfile.read(clips / "clip2.wav", dtype="float32")
    expected = scorer.score(clips / "clip2.wav", "rain falls")
    assert scorer.score(samples, "rain falls", sample_rate=rate) == pytest.approx(
        expected, abs=1e-6
    )
    waveform = Waveform(samples=samples, sample_rate=rate)
    assert scorer.score(waveform, "rain falls") == pytest.approx(expected, abs=1e-6)


def test_score_many_pairs_by_place_and_refuses_unlike_lengths(
    scorer: HumanCLAP, clips: Path
) -> None:
    paths = sorted(clips.glob("*.wav"))[:4]
    expected = [scorer.score(path, text) for path, text in zip(paths, TEXTS, strict=True)]
    assert scorer.score_many(paths, TEXTS).tolist() == pytest.approx(expected, abs=1e-6)
    assert scorer.score_many([], []).shape == (0,)
    with pytest.raises(InputError, match="2 clips and 1 texts"):
        scorer.score_many(paths[:2], TEXTS[:1])


def test_rating_is_the_calibrated_score(scorer: HumanCLAP) -> None:
    assert scorer.rate(0.5) == pytest.approx(7.5)  # 5 + 5 x 0.5
    assert math.isnan(scorer.rate(math.nan))


def test_the_error_of_a_rating_is_the_calibrations(scorer: HumanCLAP, clips: Path) -> None:
    assert scorer.rating_error(0.5) == pytest.approx(2.5)  # 2 + 0.5
    (score,) = scorer.score_pairs([Pair(audio="clip0.wav", text="rain")], audio_root=clips)
    assert score.rating_error == pytest.approx(2 + score.score)


def test_a_rating_says_which_kinds_of_sound_its_calibration_met(
    tiny_checkpoint: Checkpoint, clips: Path
) -> None:
    assert tiny_checkpoint.calibration is not None
    known = replace(tiny_checkpoint.calibration, covers=("natural", "tango"))
    scorer = HumanCLAP(replace(tiny_checkpoint, calibration=known), ScoringSettings(device="cpu"))
    (score,) = scorer.score_pairs([Pair(audio="clip0.wav", text="rain")], audio_root=clips)
    assert score.rating_covers == "natural; tango"
    assert HumanCLAP(tiny_checkpoint).rating_covers is None


def test_uncalibrated_model_gives_no_rating(tiny_checkpoint: Checkpoint, clips: Path) -> None:
    bare = HumanCLAP(Checkpoint(tiny_checkpoint.backbone), ScoringSettings(device="cpu"))
    (score,) = bare.score_pairs([Pair(audio="clip0.wav", text="rain")], audio_root=clips)
    assert math.isnan(score.rating)
    assert math.isnan(score.rating_error)


def test_a_bad_clip_becomes_an_error_row_and_the_rest_go_on(
    scorer: HumanCLAP, clips: Path, tmp_path: Path
) -> None:
    for name in ("good.wav", "last.wav"):
        (tmp_path / name).write_bytes((clips / "clip2.wav").read_bytes())
    (tmp_path / "text.wav").write_text("this is no sound")
    broken = np.zeros(32000 * 25, np.float32)
    broken[32000 * 21] = np.nan  # found only in the third window
    soundfile.write(tmp_path / "nan.wav", broken + 0.1, 32000, subtype="FLOAT")
    names = ["good.wav", "text.wav", "gone.wav", "nan.wav", "last.wav"]
    pairs = [Pair(audio=name, text="rain falls") for name in names]
    scores = {item.audio: item for item in scorer.score_pairs(pairs, audio_root=tmp_path)}
    assert list(scores) == names
    assert scores["good.wav"].score == pytest.approx(scores["last.wav"].score, abs=1e-6)
    assert [name for name in names if scores[name].error] == ["text.wav", "gone.wav", "nan.wav"]
    assert "NaN" in (scores["nan.wav"].error or "")
    assert all(math.isnan(scores[name].score) for name in ("text.wav", "gone.wav", "nan.wav"))


def test_refuses_bad_audio_and_empty_text(scorer: HumanCLAP, clips: Path) -> None:
    with pytest.raises(AudioError, match=r"gone\.wav"):
        scorer.score(clips / "gone.wav", "rain")
    with pytest.raises(InputError, match="text is empty"):
        scorer.score(clips / "clip0.wav", "  ")
    with pytest.raises(InputError, match="needs its sample_rate"):
        scorer.score(np.zeros(32000, np.float32), "rain")


def test_silence_warns_and_still_scores(scorer: HumanCLAP) -> None:
    silence = np.zeros(32000, np.float32)
    with pytest.warns(SilentAudioWarning, match="silent"):
        score = scorer.score(silence, "rain", sample_rate=32000)
    assert -1 <= score <= 1


def test_each_distinct_text_and_clip_is_embedded_once(
    scorer: HumanCLAP, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    heard = [0]
    embed_text, embed_audio = scorer.backbone.embed_text, scorer.backbone.embed_audio

    def count_texts(batch: list[str]) -> torch.Tensor:
        texts.extend(batch)
        return embed_text(batch)

    def count_windows(waveforms: torch.Tensor) -> torch.Tensor:
        heard[0] += len(waveforms)
        return embed_audio(waveforms)

    monkeypatch.setattr(scorer.backbone, "embed_text", count_texts)
    monkeypatch.setattr(scorer.backbone, "embed_audio", count_windows)
    pairs = [Pair(audio=f"clip{n}.wav", text=text) for n in (0, 2) for text in TEXTS]
    assert len(list(scorer.score_pairs(pairs, audio_root=clips))) == 8
    assert sorted(texts) == sorted(TEXTS)
    assert heard[0] == 2


def test_signature_names_what_changes_a_number(tiny_checkpoint: Checkpoint) -> None:
    plain = HumanCLAP(tiny_checkpoint, ScoringSettings(device="cpu")).signature
    fingerprint = tiny_checkpoint.backbone.fingerprint()
    assert f"|model:mini-tiny@{fingerprint}|rate:32000|window:10s|hop:10s|" in plain
    hop = HumanCLAP(tiny_checkpoint, ScoringSettings(device="cpu", hop_s=5.0)).signature
    assert "|hop:5s|" in hop
    batch = HumanCLAP(tiny_checkpoint, ScoringSettings(device="cpu", batch_windows=2)).signature
    assert batch == plain


def test_bf16_scores_are_near_and_signed_as_such(
    tiny_checkpoint: Checkpoint, scorer: HumanCLAP, clips: Path
) -> None:
    half = HumanCLAP(tiny_checkpoint, ScoringSettings(device="cpu", precision="bf16"))
    assert half.signature.endswith("|precision:bf16")
    path = clips / "clip3.wav"
    assert half.score(path, "rain falls") == pytest.approx(
        scorer.score(path, "rain falls"), abs=0.03
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hop_s": 0.0}, "hop_s is 0.0"),
        ({"precision": "fp16"}, "expected one of fp32, bf16, int8"),
        ({"batch_windows": 0}, "batch_windows is 0"),
        ({"batch_texts": -1}, "batch_texts is -1"),
    ],
)
def test_refuses_bad_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        ScoringSettings(**settings)  # type: ignore[arg-type]


def test_refuses_a_device_that_is_not_there(tiny_checkpoint: Checkpoint) -> None:
    with pytest.raises(SettingsError, match="cannot be used here"):
        HumanCLAP(tiny_checkpoint, ScoringSettings(device="warp9"))


LONG = "rain falls " * 60
UNREAD = "犬が吠えている"


def test_a_text_the_model_cannot_read_becomes_an_error_row_with_its_share(
    scorer: HumanCLAP, clips: Path
) -> None:
    pairs = [Pair(audio="clip0.wav", text=text) for text in ("rain falls", UNREAD, "rain 犬")]
    scores = {item.text: item for item in scorer.score_pairs(pairs, audio_root=clips)}
    assert [scores[pair.text].text_unread for pair in pairs] == [0.0, 1.0, 0.2]
    assert [scores[pair.text].error is None for pair in pairs] == [True, False, True]
    assert math.isnan(scores[UNREAD].score)
    assert "the model cannot read this text" in str(scores[UNREAD].error)


def test_a_text_longer_than_the_model_reads_says_so_in_its_row(
    scorer: HumanCLAP, clips: Path
) -> None:
    pairs = [Pair(audio="clip0.wav", text=text) for text in ("rain falls", LONG, LONG + "dog")]
    short, *cut = scorer.score_pairs(pairs, audio_root=clips)
    assert (short.text_cut, short.note) == (0, None)
    assert cut[0].score == cut[1].score  # what is cut makes no difference, so it must be told
    assert cut[1].text_cut == cut[0].text_cut + 1 > 1
    assert str(cut[0].note).startswith(f"text cut: its last {cut[0].text_cut} of ")


def test_a_silent_clip_has_a_note_on_each_of_its_rows_and_no_other(
    scorer: HumanCLAP, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(32000 * 25), 32000)
    soundfile.write(tmp_path / "loud.wav", np.sin(np.arange(32000)), 32000)
    names = ["loud.wav", "silent.wav", "loud.wav", "silent.wav"]
    pairs = [
        Pair(audio=name, text=f"rain {number}") for number, name in enumerate([*names, "loud.wav"])
    ]
    scores = list(scorer.score_pairs(pairs, audio_root=tmp_path))
    assert len(scores) == 5
    assert {(item.audio, str(item.note)[:6]) for item in scores} == {
        ("silent.wav", "silent"),
        ("loud.wav", "None"),
    }


def test_python_refuses_unreadable_texts_and_other_types_and_warns_of_cut_ones(
    scorer: HumanCLAP, clips: Path
) -> None:
    clip = clips / "clip0.wav"
    with pytest.raises(InputError, match="does not know 100% of the letters"):
        scorer.score(clip, UNREAD)
    with pytest.raises(InputError, match="text is None; expected a string"):
        scorer.score(clip, None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"text is a list \(\['rain', 'wind'\]\)"):
        scorer.score(clip, ["rain", "wind"])  # type: ignore[arg-type]
    with pytest.warns(TextCutWarning, match="word pieces are not read") as caught:
        scorer.score(clip, LONG)
    assert [warning.filename for warning in caught] == [__file__]


def test_a_warning_of_silence_points_at_the_line_that_asked(scorer: HumanCLAP) -> None:
    with pytest.warns(SilentAudioWarning) as caught:
        scorer.embed_audio([np.zeros(32000, np.float32)], sample_rate=32000)
    assert [warning.filename for warning in caught] == [__file__]


def test_two_unlike_pairs_of_one_id_are_refused(scorer: HumanCLAP, clips: Path) -> None:
    pairs = [Pair(audio=f"clip{n}.wav", text="rain", pair_id="x") for n in (0, 2)]
    with pytest.raises(InputError, match=r"pair_id 'x' stands for two pairs: clip0\.wav"):
        list(scorer.score_pairs(pairs, audio_root=clips))
    same = [pairs[0], pairs[0]]
    assert len(list(scorer.score_pairs(same, audio_root=clips))) == 2
