"""The user's own ratings: on any scale, with and without splits, and what can be wrong in them."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

import numpy as np
import pytest
from small_relate import tone, wav

from humanclap.cli.main import run
from humanclap.errors import InputError, SettingsError
from humanclap.experiments.grid import PREDICTIONS
from humanclap.records import Score
from humanclap.reproduce import data
from humanclap.reproduce import plan as planning
from humanclap.reproduce.agreement import Judged
from humanclap.reproduce.calibrated import judge_ratings
from humanclap.reproduce.data import own_pairs, read_pairs
from humanclap.reproduce.findings import _floors
from humanclap.reproduce.grids import settings_of
from humanclap.reproduce.plan import make_plan
from humanclap.reproduce.request import Request
from humanclap.scale import RatingScale
from humanclap.tables import write_records
from humanclap.training.loop.timing import StepTimes

TIMES = StepTimes(train_s=3600, embed_s=0.0, batch=4, steps=2, parameters=1000, device="cpu")


def own(folder, scale="0..10", *, split=lambda n: "train" if n % 3 else "test", count=60):
    """A request for simulated ratings on a scale: the unit rating of pair n is the same on all."""
    (folder / "clips").mkdir(exist_ok=True)
    limits, rng = RatingScale.parse(scale), np.random.default_rng(0)
    with open(folder / "mine.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "text", "listener_id", "score", "split", "system"])
        for number in range(count):
            (folder / "clips" / f"{number}.wav").write_bytes(wav(tone(number, 0.05)))
            unit = rng.uniform(0.2, 0.8)
            for listener, step in (("a", -0.1), ("b", 0.1)):
                text, system = f"a {'long ' * (number % 5)}sound {number}", "xy"[number % 2]
                score = limits.from_unit(unit + step)
                writer.writerow([f"{number}.wav", text, listener, score, split(number), system])
    return Request(
        ratings=folder / "mine.csv",
        audio_root=folder / "clips",
        scale=scale,
        base="mini",
        plain=(),
        released=(),
        simulated=True,
    )


@pytest.mark.parametrize("scale", ["1..5", "0..100", "-1..1"])
def test_every_figure_is_on_the_ratings_own_scale(tmp_path, scale):
    limits = RatingScale.parse(scale)
    expected = own_pairs(own(tmp_path))
    other = own(tmp_path, scale)
    found = own_pairs(other)
    for one, same in zip(found.targets, expected.targets, strict=True):
        assert one.target == pytest.approx(same.target)
        assert one.mos == pytest.approx(limits.from_unit(same.target))
    assert settings_of(other).rating_scale == scale
    floors = {
        str(s): {
            row.name: row.srcc["all judged"].value
            for row in _floors(pairs, Judged(pairs.judged, replicates=100), s)
        }
        for pairs, s in ((expected, RatingScale()), (found, limits))
    }
    assert floors["0..10"] == pytest.approx(floors[str(limits)])
    assert not math.isnan(floors[str(limits)]["caption length"])


def test_predicted_ratings_are_judged_on_that_scale(tmp_path):
    pairs = own_pairs(own(tmp_path, "1..5"))
    rows = [
        Score(audio=t.audio, text=t.text, pair_id=t.pair_id, score=0.5, rating_error=1.0,
              rating=10 * t.target + (1 if number % 2 else -0.5))
        for number, t in enumerate(pairs.judged)
    ]  # fmt: skip
    write_records(tmp_path / PREDICTIONS, rows, record_type=Score)
    known, found = judge_ratings(
        tmp_path / PREDICTIONS, pairs.judged, scale=RatingScale.parse("1..5"), replicates=100
    )
    n = len(pairs.judged)
    assert n == 20
    assert found.error.value == pytest.approx(0.3)  # of 1 and 0.5 on 0..10, so 0.4 and 0.2 on 1..5
    assert found.bias.value == pytest.approx(0.1)
    assert found.error.low < 0.3 < found.error.high
    assert [share.value for share in found.shares] == [one.share for one in known.coverage]
    # a pair's own spread: ratings 0.8 apart, variance 0.32; half = .674 sqrt(0.4^2 + 0.32 / 2)
    assert 0.674 * math.sqrt(0.16 + 0.16) < 0.4
    assert known.coverage[0].share == 0.5


def test_without_splits_they_are_made_and_with_some_alone_refused(tmp_path):
    made = own_pairs(own(tmp_path, split=lambda _: ""))
    assert {target.split for target in made.targets} == {"train", "test"}
    assert len(made.judged) == pytest.approx(18, abs=4)
    with pytest.raises(InputError, match="20 of 60 pairs name no split"):
        own_pairs(own(tmp_path, split=lambda n: "train" if n % 3 else ""))


def test_what_is_wrong_in_them_is_said_by_the_plan(tmp_path, monkeypatch):
    monkeypatch.setattr(planning, "time_steps", lambda **_: TIMES)
    with pytest.raises(InputError, match=r"0 rated pairs .* train .*: Train"):
        make_plan(own(tmp_path, split=lambda _: "Train"), tmp_path / "out")
    request = own(tmp_path)
    (tmp_path / "clips" / "7.wav").unlink()
    with pytest.raises(InputError, match="1 audio file is missing"):
        make_plan(request, tmp_path / "out")
    with pytest.raises(SettingsError, match="that of --ratings"):
        Request(scale="1..5")


def test_the_plan_counts_the_runs_and_hours_of_so_many_pairs(tmp_path):
    plan = make_plan(own(tmp_path), tmp_path / "out", timer=lambda **_: TIMES)
    assert plan.runs == {"grid": 24, "fewer": 6, "left_out": 6}  # on 10 and 30 of 40
    assert plan.hours["the grid"] == pytest.approx(24 * 20 * 0.9 * 40)
    assert plan.hours["fewer ratings"] == pytest.approx(3 * 20 * 0.9 * (10 + 30))
    assert "RELATE" not in "\n".join(plan.lines())


def test_a_rehearsal_takes_no_more_than_its_pairs(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "QUICK_PAIRS", 20)
    pairs = read_pairs(replace(own(tmp_path, count=90), quick=True), tmp_path)
    assert (len(pairs.train), len(pairs.judged)) == (20, 20)
    assert {one.pair_id for one in pairs.ratings} == {one.pair_id for one in pairs.targets}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["--epochs", "0"], "epochs is 0"),
        (["--batch-size", "0"], "batch_size is 0"),
        (["--seeds", "-1"], "seed is -1"),
        (["--base", "clap-fusd"], "did you mean 'clap-fused'"),
        (["--ratings", "no.csv", "--audio-root", "."], "no.csv: no such file"),
    ],
)
def test_a_wrong_setting_is_refused_before_steps_are_timed(wrong, message, tmp_path, capsys):
    assert run(["reproduce", "human-clap", "-o", str(tmp_path / "out"), *wrong]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
