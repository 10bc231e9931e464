from __future__ import annotations

import math

import pytest

from humanclap.errors import AudioError, InputError
from humanclap.scoring.bench import WAYS, bench


def test_every_way_is_told_with_its_drift_from_torch_fp32(tiny_checkpoint, clips):
    files = sorted(clips.glob("*.wav"))[:3]
    found = bench(tiny_checkpoint, files, ["rain", "wind", "a dog"], device="cpu", rounds=2)
    assert [(item.engine, item.precision) for item in found] == list(WAYS)
    plain, half, *others = found
    assert plain.least_cosine == pytest.approx(1.0, abs=1e-6)
    assert plain.score_drift == 0.0
    assert plain.clips_per_s > 0
    assert 0.9 < half.least_cosine < 1.0
    assert 0.0 < half.score_drift < 0.1
    for item in others:  # mini has no export
        assert math.isnan(item.clips_per_s)
        assert "runs transformers CLAPs on the CPU" in item.unusable


def test_without_texts_there_is_no_drift_of_scores(tiny_checkpoint, clips):
    found = bench(tiny_checkpoint, [clips / "clip0.wav"], device="cpu", rounds=1)
    assert math.isnan(found[1].score_drift)
    assert found[1].least_cosine < 1.0


def test_refuses_no_clips_another_number_of_texts_and_a_clip_that_cannot_be_read(
    tiny_checkpoint, clips, tmp_path
):
    with pytest.raises(InputError, match="no clips"):
        bench(tiny_checkpoint, [])
    with pytest.raises(InputError, match="1 clips and 2 texts"):
        bench(tiny_checkpoint, [clips / "clip0.wav"], ["a", "b"])
    with pytest.raises(AudioError, match=r"gone\.wav"):
        bench(tiny_checkpoint, [tmp_path / "gone.wav"], device="cpu")
