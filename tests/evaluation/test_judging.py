import math
import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from humanclap.errors import InputError, SettingsError
from humanclap.evaluation import EvaluationSettings, ScoreTable, compare
from humanclap.evaluation.agreement.evaluate import evaluate
from humanclap.evaluation.agreement.result import STATISTICS
from humanclap.records import Score, Target
from humanclap.scale import RatingScale

QUICK = EvaluationSettings(replicates=60)


def sides(targets, scores):
    by_pair = {score.pair_id: score for score in scores}
    return (
        np.array([by_pair[target.pair_id].score for target in targets]),
        np.array([target.mos for target in targets]),
    )


def group(evaluation, label):
    return next(group for group in evaluation.groups if group.label == label)


def test_overall_figures_equal_scipy(targets, scores_of):
    scores = scores_of(targets)
    x, y = sides(targets, scores)
    found = evaluate(scores, targets, QUICK).overall
    assert (found.n, found.captions) == (24, 12)
    expected = {
        "srcc": stats.spearmanr(x, y).statistic,
        "lcc": stats.pearsonr(x, y).statistic,
        "ktau": stats.kendalltau(x, y).statistic,
        "mse": np.mean((10 * np.maximum(x, 0) - y) ** 2),
        "mae": np.mean(np.abs(10 * np.maximum(x, 0) - y)),
    }
    for name, value in expected.items():
        statistic = found.statistics[name]
        assert statistic.value == pytest.approx(value), name
        assert statistic.low < value < statistic.high, name
        assert (statistic.n, statistic.captions, statistic.replicates) == (24, 12, 60)


def test_groups_are_subsets_and_systems_each_with_its_own_figures(targets, scores_of):
    scores = scores_of(targets)
    found = evaluate(scores, targets, QUICK)
    assert [(g.label, g.n) for g in found.groups] == [
        ("overall", 24),
        ("subset natural", 12),
        ("subset synthetic", 12),
        ("system audioldm", 6),
        ("system natural", 12),
        ("system tango", 6),
    ]
    x, y = sides([t for t in targets if t.system == "tango"], scores)
    value = group(found, "system tango").statistics["srcc"].value
    assert value == pytest.approx(stats.spearmanr(x, y).statistic)


def test_one_set_of_pairs_has_one_interval_whatever_it_is_called(targets, scores_of):
    found = evaluate(scores_of(targets), targets, QUICK)
    assert group(found, "subset natural").statistics == group(found, "system natural").statistics


def test_the_order_of_rows_changes_nothing(targets, scores_of):
    scores = scores_of(targets)
    first = evaluate(scores, targets, QUICK)
    random.Random(1).shuffle(scores)
    assert evaluate(scores, targets[::-1], QUICK) == first


def test_by_limits_the_groups(targets, scores_of):
    settings = replace(QUICK, by=("system",))
    found = evaluate(scores_of(targets), targets, settings)
    assert {g.level for g in found.groups} == {"overall", "system"}


def test_splits_are_groups_where_there_are_several(targets, scores_of):
    halves = [replace(t, split="test" if i < 12 else "dev") for i, t in enumerate(targets)]
    labels = [g.label for g in evaluate(scores_of(targets), halves, QUICK).groups]
    assert labels[-2:] == ["split dev", "split test"]
    one = [replace(t, split="test") for t in targets]
    assert all(g.level != "split" for g in evaluate(scores_of(targets), one, QUICK).groups)


def test_pairs_whose_system_is_not_stated_are_a_group_of_their_own(targets, scores_of):
    some = [replace(t, system=None) if i < 4 else t for i, t in enumerate(targets)]
    found = evaluate(scores_of(targets), some, QUICK)
    assert group(found, "system (not stated)").n == 4


def test_a_system_named_only_in_the_score_table_is_used(targets, scores_of):
    plain = [replace(t, system=None, subset=None) for t in targets]
    systems = {t.pair_id: t.system for t in targets}
    named = [replace(s, system=systems[s.pair_id]) for s in scores_of(targets)]
    found = evaluate(named, plain, QUICK)
    assert group(found, "system tango").n == 6
    assert found.per_pair[0].system == systems[found.per_pair[0].pair_id]


def test_anchors_are_left_out_and_counted_unless_asked_for(targets, anchors, scores_of):
    everything = [*targets, *anchors]
    without = evaluate(scores_of(everything), everything, QUICK)
    assert (without.overall.n, without.counts.anchors, without.counts.anchors_judged) == (24, 6, 0)
    assert without.coverage.extra == ()
    included = evaluate(scores_of(everything), everything, replace(QUICK, include_anchors=True))
    assert (included.overall.n, included.counts.anchors_judged) == (30, 6)


def test_anchors_left_out_need_no_score(targets, anchors, scores_of):
    assert evaluate(scores_of(targets), [*targets, *anchors], QUICK).overall.n == 24


def test_attention_checks_are_never_judged(targets, scores_of):
    checked = [replace(targets[0], kind="attention_check"), *targets[1:]]
    found = evaluate(scores_of(targets), checked, replace(QUICK, include_anchors=True))
    assert (found.overall.n, found.counts.attention_checks) == (23, 1)


def test_targets_that_are_all_anchors_are_refused(anchors, scores_of):
    with pytest.raises(InputError, match="none of the 6 targets is a rating; --include-anchors"):
        evaluate(scores_of(anchors), anchors, QUICK)


# -- undefined is NaN with its reason -------------------------------------------------------


def test_a_constant_metric_has_no_correlation_but_an_error(targets):
    scores = [Score(audio=t.audio, text=t.text, score=0.5) for t in targets]
    found = evaluate(scores, targets, QUICK)
    rank = found.overall.statistics["srcc"]
    assert math.isnan(rank.value)
    assert math.isnan(rank.low)
    assert rank.reason == "the metric is constant"
    assert found.overall.statistics["mse"].reason is None
    assert "SRCC, LCC, KTAU (all groups): the metric is constant" in found.reasons()


def test_a_system_of_two_pairs_has_no_correlation_and_says_why(targets, scores_of):
    few = [t for t in targets if t.system != "tango"] + targets[1:6:4]
    found = evaluate(scores_of(few), few, QUICK)
    rank = group(found, "system tango").statistics["srcc"]
    assert rank.reason == "n = 2, fewer than 3"
    assert rank.n == 2


def test_pairs_of_one_caption_have_a_value_but_no_interval(targets, scores_of):
    same = [replace(t, text="rain", pair_id="") for t in targets]
    rank = evaluate(scores_of(same), same, QUICK).overall.statistics["srcc"]
    assert math.isfinite(rank.value)
    assert math.isnan(rank.low)
    assert rank.reason == "no interval: fewer than 2 clusters"


def test_captions_that_differ_in_case_or_spaces_are_one_cluster(targets, scores_of):
    same = [
        replace(t, text=("Rain", "rain", " rain  ")[i % 3], pair_id="")
        for i, t in enumerate(targets)
    ]
    assert evaluate(scores_of(same), same, QUICK).overall.captions == 1


# -- the scale map before an error ----------------------------------------------------------


def test_the_map_is_the_calibrated_rating_where_every_row_has_one(targets, scores_of):
    scores = scores_of(targets, rating=True)
    found = evaluate(scores, targets, QUICK)
    assert found.scale_map == "rating"
    ratings = {s.pair_id: s.rating for s in scores}
    expected = np.mean([(ratings[t.pair_id] - t.mos) ** 2 for t in targets])
    assert found.overall.statistics["mse"].value == pytest.approx(expected)


def test_the_map_is_unit_where_one_row_has_no_rating(targets, scores_of):
    first, *rest = scores_of(targets, rating=True)
    mixed = [replace(first, rating=math.nan), *rest]
    assert evaluate(mixed, targets, QUICK).scale_map == "unit"
    with pytest.raises(InputError, match="1 of 24 scores have no rating"):
        evaluate(mixed, targets, replace(QUICK, scale_map="rating"))


def test_a_linear_fit_has_the_error_of_least_squares_and_is_called_optimistic(targets, scores_of):
    scores = scores_of(targets)
    found = evaluate(scores, targets, replace(QUICK, scale_map="linear-fit"))
    x, y = sides(targets, scores)
    line = stats.linregress(x, y)
    expected = np.mean((line.intercept + line.slope * x - y) ** 2)
    assert found.overall.statistics["mse"].value == pytest.approx(expected)
    assert found.optimistic
    assert "on these very pairs: optimistic" in found.scale_map_formula


def test_a_linear_fit_to_a_constant_metric_is_undefined_and_says_why(targets):
    scores = [Score(audio=t.audio, text=t.text, score=0.5) for t in targets]
    found = evaluate(scores, targets, replace(QUICK, scale_map="linear-fit")).overall
    assert math.isnan(found.statistics["mae"].value)
    assert found.statistics["mae"].reason == "no line can be fitted: the metric is constant"


def test_a_metric_that_is_no_cosine_gets_correlations_but_no_error(targets, scores_of):
    scores = [replace(s, score=100 * s.score) for s in scores_of(targets)]
    found = evaluate(scores, targets, QUICK).overall
    assert math.isfinite(found.statistics["srcc"].value)
    assert math.isnan(found.statistics["mse"].value)
    assert "outside -1..1" in found.statistics["mse"].reason


def test_another_rating_scale_moves_the_map(targets, scores_of):
    five = [replace(t, mos=1 + 0.4 * t.mos) for t in targets]
    settings = replace(QUICK, rating_scale=RatingScale(low=1, high=5))
    found = evaluate(scores_of(targets), five, settings)
    ten = evaluate(scores_of(targets), targets, QUICK)
    assert found.scale_map_formula == "1 + 4 · max(score, 0)"
    assert found.overall.statistics["mae"].value == pytest.approx(
        0.4 * ten.overall.statistics["mae"].value
    )


def test_a_rating_outside_the_scale_is_refused(scores_of):
    targets = [Target(audio="a.wav", text="rain", target=0.5, mos=62.0, n=3)]
    with pytest.raises(InputError, match=r"mos 62, outside 0\.\.10; .*--rating-scale"):
        evaluate(scores_of(targets), targets, QUICK)


def test_targets_and_mean_ratings_of_two_scales_are_refused(targets, scores_of):
    five = [replace(t, mos=1 + 0.4 * t.mos) for t in targets]
    with pytest.raises(InputError, match=r"two scales: .* on 0\.\.10 .*--rating-scale 1\.\.5"):
        evaluate(scores_of(targets), five, QUICK)


def test_the_scale_is_asked_for_where_no_mean_rating_leaves_one_to_five(targets, scores_of):
    low = [replace(t, mos=1 + 0.4 * t.mos, target=0.1 + 0.04 * t.mos) for t in targets]
    with pytest.raises(InputError, match=r"all 24 ratings lie in 1\.\.5 .*--rating-scale 0"):
        evaluate(scores_of(targets), low, QUICK)
    stated = replace(QUICK, rating_scale=RatingScale())
    assert evaluate(scores_of(targets), low, stated).scale_map_formula == "10 · max(score, 0)"


def test_the_floor_s_targets_must_be_of_the_same_scale(targets, scores_of):
    other = [
        replace(t, audio=f"o{t.audio}", text=f"other {t.text}", pair_id="", mos=1 + 0.4 * t.mos)
        for t in targets
    ]
    table = ScoreTable(name="m", scores=scores_of(targets))
    with pytest.raises(InputError, match=r"floor\.csv: the columns target and mos are of two"):
        compare([table], targets, QUICK, train=other, train_where="floor.csv")


def test_predicted_ratings_outside_0_to_10_are_refused_by_name(targets, scores_of):
    scores = [replace(s, rating=11.2 if i == 3 else 5.0) for i, s in enumerate(scores_of(targets))]
    with pytest.raises(InputError, match=r"1 of 24 predicted ratings are outside 0\.\.10.*11\.2"):
        evaluate(scores, targets, QUICK)
    assert evaluate(scores, targets, replace(QUICK, scale_map="unit")).scale_map == "unit"


# -- several metrics ------------------------------------------------------------------------


def tables(*named):
    return [ScoreTable(name=name, scores=scores) for name, scores in named]


def test_metrics_are_compared_with_the_first_on_the_same_draws(targets, scores_of):
    good, poor = scores_of(targets, noise=0.01), scores_of(targets, noise=0.5)
    found = compare(tables(("poor", poor), ("good", good)), targets, QUICK)
    difference = found.differences[0]
    assert (difference.name, difference.baseline) == ("good", "poor")
    values = [e.overall.statistics["srcc"].value for e in found.evaluations]
    rank = difference.overall.statistics["srcc"]
    assert rank.value == pytest.approx(values[1] - values[0])
    assert 0 < rank.low < rank.value < rank.high
    assert len(difference.groups) == len(found.evaluations[0].groups)


def test_a_metric_has_the_same_figures_alone_and_beside_another(targets, scores_of):
    one, two = scores_of(targets, seed=1), scores_of(targets, seed=2)
    beside = compare(tables(("one", one), ("two", two)), targets, QUICK).evaluations[1]
    assert beside == evaluate(two, targets, QUICK, name="two")


def test_a_metric_against_itself_shows_no_difference(targets, scores_of):
    same = scores_of(targets)
    found = compare(tables(("one", same), ("copy", same)), targets, QUICK).differences[0]
    for name in STATISTICS:
        statistic = found.overall.statistics[name]
        assert (statistic.value, statistic.low, statistic.high) == (0, 0, 0)


def test_errors_under_unlike_scale_maps_are_not_compared(targets, scores_of):
    pair = tables(("plain", scores_of(targets)), ("rated", scores_of(targets, rating=True)))
    found = compare(pair, targets, QUICK).differences[0].overall.statistics
    assert math.isnan(found["mse"].value)
    assert found["mse"].reason == "the scale maps differ (unit, rating)"
    assert math.isfinite(found["srcc"].value)


def test_no_table_at_all_is_refused(targets):
    with pytest.raises(InputError, match="at least one score table"):
        compare([], targets)


def test_the_table_of_pairs_holds_both_sides(targets, scores_of):
    scores = scores_of(targets)
    found = evaluate(scores, targets, QUICK)
    x, y = sides(targets, scores)
    assert sorted(pair.score for pair in found.per_pair) == sorted(x)
    assert sorted(pair.human for pair in found.per_pair) == sorted(y)
    pair = found.per_pair[0]
    assert pair.predicted == 10 * max(pair.score, 0)


def test_progress_counts_up_to_its_total(targets, scores_of):
    calls = []
    evaluate(scores_of(targets), targets, QUICK, progress=lambda *call: calls.append(call[:2]))
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    # 6 groups, 3 of all but one system, 4 levels, 60 replicates each.
    assert calls[-1] == (780, 780)


# -- settings -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"replicate": 10}, r"unknown setting 'replicate' \(did you mean replicates\?\)"),
        ({"replicates": 20}, "replicates is 20; a 95 % interval needs at least 40"),
        ({"confidence": 95}, "confidence is 95"),
        ({"key": "order"}, "key is 'order'; expected one of pair_id"),
        ({"scale_map": "log"}, "scale_map is 'log'"),
        ({"by": ["listener"]}, r"by is \['listener'\]"),
        ({"seed": -1}, "seed is -1"),
        ({"rating_scale": "ten"}, "low..high"),
        ({"replicates": "many"}, "replicates is 'many'; expected a whole number"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(given, message):
    with pytest.raises(SettingsError, match=message):
        EvaluationSettings.from_mapping(given)


def test_judging_loads_no_torch():
    code = "import sys, humanclap.evaluation; print({'torch', 'click'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
