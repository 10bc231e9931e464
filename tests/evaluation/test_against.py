"""Ceiling, floor, levels, paired tests and the warnings they give."""

import math
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
from scipy import stats

from humanclap.errors import InputError, SettingsError
from humanclap.evaluation import EvaluationSettings, ScoreTable, compare, json_report
from humanclap.evaluation.agreement.result import BETWEEN, CAPTIONS, PARTIAL, WITHIN
from humanclap.evaluation.report import agreement_words as words
from humanclap.evaluation.report.agreement_warnings import warnings
from humanclap.evaluation.report.overview import overview
from humanclap.records import Rating, Score, Target

QUICK = EvaluationSettings(replicates=60, permutations=99)
SYSTEMS = ("natural", "tango", "audioldm")


def rated(seed, captions=25, folder="test"):
    """Ratings of three systems' clips for each caption: natural good, audioldm poor."""
    rng = np.random.default_rng(seed)
    found = []
    for caption in range(captions):
        for place, system in enumerate(SYSTEMS):
            quality = 7 - 1.5 * place + 1.5 * rng.normal()
            for listener in range(4):
                score = float(np.clip(round(quality + 1.5 * rng.normal()), 0, 10))
                found.append(
                    Rating(
                        audio=f"{folder}/{system}/{caption}.wav",
                        text=f"{folder} sound number {caption}",
                        listener_id=str(listener),
                        score=score,
                        system=system,
                        subset="natural" if system == "natural" else "synthetic",
                    )
                )
    return found


def means(ratings):
    by_pair = {}
    for rating in ratings:
        by_pair.setdefault((rating.audio, rating.text), []).append(rating)
    return [
        Target(
            audio=audio,
            text=text,
            mos=fmean(r.score for r in of_pair),
            target=fmean(r.score for r in of_pair) / 10,
            n=len(of_pair),
            system=of_pair[0].system,
            subset=of_pair[0].subset,
        )
        for (audio, text), of_pair in by_pair.items()
    ]


def table(name, targets, score_of):
    return ScoreTable(
        name=name,
        scores=[Score(audio=t.audio, text=t.text, score=score_of(t)) for t in targets],
    )


@pytest.fixture(scope="module")
def study():
    """(ratings, their targets, targets of other pairs)."""
    ratings = rated(0)
    return ratings, means(ratings), means(rated(1, folder="train"))


def noisy(targets, noise, seed=3):
    rng = np.random.default_rng(seed)
    errors = {t.pair_id: noise * rng.normal() for t in targets}
    return lambda t: t.target + errors[t.pair_id]


@pytest.fixture(scope="module")
def comparison(study):
    ratings, targets, train = study
    tables = [
        table("plain", targets, noisy(targets, 0.3)),
        table("ours", targets, noisy(targets, 0.05)),
        table("system only", targets, lambda t: -SYSTEMS.index(t.system) / 10),
    ]
    return compare(tables, targets, QUICK, ratings=ratings, train=train)


def test_ceiling_metrics_and_floor_stand_in_one_table(comparison):
    found = overview(comparison)
    heads, rows = found.rows
    assert found.kinds == ["ceiling", "listener"] + ["metric"] * 3 + ["trivial"] * 4
    assert heads[:5] == ["SRCC", "all pairs", "of ceiling", "natural", "synthetic"]
    assert len(rows) == len(found.kinds)
    assert {len(row) for row in rows} == {len(heads)}
    ours = next(row for row in rows if row[0] == "ours")
    share = comparison.evaluations[1].overall.statistics["srcc"].value
    share /= comparison.ceilings["overall"].srcc.value
    assert ours[2] == f"{100 * share:.0f} %"


def test_every_group_has_its_own_ceiling_and_within_systems_their_mean(comparison):
    ceilings = comparison.ceilings
    assert {"overall", "subset natural", "system tango", WITHIN} <= ceilings.keys()
    of_systems = [ceilings[f"system {s}"].srcc.value for s in SYSTEMS]
    assert ceilings[WITHIN].srcc.value == pytest.approx(fmean(of_systems))


def test_ratings_that_are_not_those_of_the_targets_are_refused(study):
    ratings, targets, _ = study
    one = [table("m", targets, noisy(targets, 0.1))]
    with pytest.raises(InputError, match=r"kept\.csv: pair .* has 3 ratings of mean"):
        compare(one, targets, QUICK, ratings=ratings[1:], ratings_where="kept.csv")


def test_without_score_tables_the_trivial_predictors_stand_alone(study):
    _, targets, train = study
    found = compare([], targets, QUICK, train=train)
    assert found.metrics == ()
    assert len(found.trivial) == 4
    assert found.differences == found.against_trivial == found.tests == ()


def test_each_metric_is_set_against_the_best_trivial_predictor(comparison):
    best = max(comparison.trivial, key=lambda e: e.overall.statistics["srcc"].value)
    assert {d.baseline for d in comparison.against_trivial} == {best.name}
    assert [d.name for d in comparison.against_trivial] == ["plain", "ours", "system only"]


def test_all_pairs_of_metrics_are_tested_with_holm(comparison):
    assert len(comparison.tests) == 3 + 3
    assert all(test.p <= test.p_holm <= 1 for test in comparison.tests)
    better = comparison.test("ours", "plain")
    assert better.p == 0.01  # 1 of 100: the observed one only
    assert better.difference > 0


def test_warnings_say_what_does_not_beat_the_floor_and_what_hears_systems_only(comparison):
    found = warnings(comparison)
    assert any("system only is not shown to beat 'system mean'" in w for w in found) or any(
        w.startswith("system only is") and "hears nothing" in w for w in found
    )
    assert not any(w.startswith("ours is") for w in found)


def test_a_gain_between_systems_only_is_called_so(study):
    _, targets, _ = study
    rng = np.random.default_rng(5)
    errors = {t.pair_id: rng.normal() for t in targets}
    base = table("base", targets, lambda t: errors[t.pair_id])
    new = table("new", targets, lambda t: errors[t.pair_id] - 2.0 * SYSTEMS.index(t.system))
    found = warnings(compare([base, new], targets, QUICK))
    assert any(
        w.startswith("The gain of new over base is only shown between systems") for w in found
    )
    assert any(w.startswith("new is only shown to tell systems apart") for w in found)


def test_levels_are_those_of_scipy(study):
    _, targets, _ = study
    score_of = noisy(targets, 0.2)
    found = compare([table("m", targets, score_of)], targets, QUICK).evaluations[0]
    x, y = np.array([score_of(t) for t in targets]), np.array([t.mos for t in targets])
    systems = np.array([t.system for t in targets])
    within = [stats.spearmanr(x[systems == s], y[systems == s]).statistic for s in SYSTEMS]
    assert found.at(WITHIN).statistics["srcc"].value == pytest.approx(fmean(within))
    between = found.at(BETWEEN)
    assert (between.n, between.statistics["srcc"].value) == (3, 1.0)
    assert set(found.at(PARTIAL).statistics) == {"srcc", "lcc"}
    assert found.at(CAPTIONS).n == 75
    without = next(g for g in found.without if g.name == "tango")
    rest = systems != "tango"
    assert without.n == 50
    assert without.statistics["srcc"].value == pytest.approx(
        stats.spearmanr(x[rest], y[rest]).statistic
    )


def test_one_clip_a_caption_and_no_system_give_no_levels(study):
    _, targets, _ = study
    plain = [replace(t, system=None, text=f"{t.text} {i}", pair_id="")
             for i, t in enumerate(targets)]  # fmt: skip
    found = compare([table("m", plain, noisy(plain, 0.2))], plain, QUICK).evaluations[0]
    assert found.levels == found.without == ()


def test_a_number_of_permutations_below_0_is_refused():
    with pytest.raises(SettingsError, match="permutations is -1"):
        replace(QUICK, permutations=-1)


def test_predicted_intervals_of_a_table_get_their_coverage(study, tmp_path):
    _, targets, _ = study
    lines = ["audio,text,score,rating,rating_low,rating_high"]
    lines += [f"{t.audio},{t.text},{t.target},{t.mos},{t.mos - 1},{t.mos + 0.5 - i % 2}"
              for i, t in enumerate(targets)]  # fmt: skip
    path = tmp_path / "m.csv"
    path.write_text("\n".join(lines) + "\n")
    found = compare([ScoreTable.read(path)], targets, QUICK).evaluations[0].calibration
    assert found.n_intervals == 75
    assert found.coverage == pytest.approx(38 / 75)
    path.write_text("audio,text,score,rating_low,rating_high\na.wav,x,1,5,4\n")
    with pytest.raises(InputError, match=r"m\.csv:2: rating_low 5 is above rating_high 4"):
        ScoreTable.read(path)


def test_json_holds_everything_and_no_nan(comparison):
    text = json_report(comparison)
    for key in ("ceilings", "paired_tests", "against_trivial", "levels", "without_one_system"):
        assert f'"{key}"' in text
    assert "NaN" not in text


def test_a_table_named_as_a_trivial_predictor_is_refused(study):
    _, targets, train = study
    with pytest.raises(InputError, match="'system mean', as a trivial predictor is"):
        compare([table("system mean", targets, noisy(targets, 1))], targets, QUICK, train=train)


def test_undefined_ceilings_give_their_reason(study):
    _, targets, _ = study
    single = [
        Rating(audio=t.audio, text=t.text, listener_id="1", score=round(t.mos)) for t in targets
    ]
    once = [replace(t, mos=float(round(t.mos)), n=1) for t in targets]
    found = compare([table("m", once, noisy(once, 0.1))], once, QUICK, ratings=single)
    assert math.isnan(found.ceilings["overall"].srcc.value)
    assert any("undefined: no pair has two ratings" in s for s in words.summary(found))


def test_a_metric_constant_in_one_system_is_set_against_another_in_the_others_only():
    targets = means(rated(0))
    rng = np.random.default_rng(1)
    noisy = [
        Score(audio=t.audio, text=t.text, score=t.mos / 10 + 0.2 * float(rng.normal()))
        for t in targets
    ]
    flat = [
        replace(s, score=0.5) if t.system == "tango" else replace(s, score=t.mos / 10)
        for s, t in zip(noisy, targets, strict=True)
    ]
    found = compare(
        [ScoreTable(name="noisy", scores=noisy), ScoreTable(name="flat", scores=flat)],
        targets,
        QUICK,
    )
    gaps = []
    for system in ("natural", "audioldm"):
        of = [place for place, t in enumerate(targets) if t.system == system]
        human = [targets[i].mos for i in of]
        one = stats.spearmanr([flat[i].score for i in of], human).statistic
        gaps.append(one - stats.spearmanr([noisy[i].score for i in of], human).statistic)
    rank = found.differences[0].at(WITHIN).statistics["srcc"]
    assert rank.value == pytest.approx(fmean(gaps))
    assert rank.low <= rank.value <= rank.high
    both = [item.at(WITHIN).statistics["srcc"] for item in found.metrics]
    assert [one.n for one in both] == [75, 50]
    assert both[1].value - both[0].value != pytest.approx(fmean(gaps))
