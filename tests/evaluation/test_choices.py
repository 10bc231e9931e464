"""Metrics judged by people's choices."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from humanclap.choices import read_votes
from humanclap.errors import InputError, LeakageError
from humanclap.evaluation import (
    EvaluationSettings,
    ScoreTable,
    compare,
    html_report,
    json_report,
    markdown_report,
)
from humanclap.evaluation.choices import judge_choices
from humanclap.evaluation.choices.accuracy import cluster_of, pairs_of
from humanclap.evaluation.choices.accuracy_result import BEST, ONE_JUDGE
from humanclap.evaluation.choices.floors import (
    LONGER,
    SHORTER,
    SYSTEM_SHARE,
    WORDS,
    caption_words,
    system_share,
)
from humanclap.evaluation.report import choices_words as words
from humanclap.evaluation.report.choices_report import choices_document, json_choices
from humanclap.evaluation.report.metric_names import by_model, choices_by_model
from humanclap.records import Score, Votes

QUICK = EvaluationSettings(replicates=60, permutations=200)


def captions(i, first, second, n_first=3, n_second=1, **given):
    """Votes between two captions of clip i."""
    return Votes(audio_a=f"{i}.wav", audio_b=f"{i}.wav", text_a=first, text_b=second,
                 n_first=n_first, n_second=n_second, **given)  # fmt: skip


def clips(i, a, b, n_first=3, n_second=1, **given):
    """Votes between two systems' clips of prompt i."""
    return Votes(audio_a=f"{a}/{i}.wav", audio_b=f"{b}/{i}.wav", text_a=f"prompt {i}",
                 text_b=f"prompt {i}", n_first=n_first, n_second=n_second, system_a=a, system_b=b,
                 **given)  # fmt: skip


def table(votes, gaps, name="ours", **given):
    """Scores in which side a of each question is so far above side b."""
    rows = {}
    for one, gap in zip(votes, gaps, strict=True):
        for audio, text, score in ((one.audio_a, one.text_a, gap), (one.audio_b, one.text_b, 0.0)):
            rows[audio, text] = Score(audio=audio, text=text, score=score, **given)
    return ScoreTable(name=name, scores=list(rows.values()))


@pytest.fixture
def votes():
    """40 questions between captions of 40 clips, by kind; the last of each kind is undecided."""
    return [
        captions(i, f"a dog barks {i}", f"a cat {i}", *((2, 2) if i >= 36 else (3, i % 2)),
                 kind="HC" if i % 2 else "MM")
        for i in range(40)
    ]  # fmt: skip


# -- the numbers --------------------------------------------------------------------------------


def test_accuracy_is_the_share_of_decided_questions_chosen_as_people_do(votes):
    gaps = [0.1] * 20 + [-0.1] * 10 + [0.0] * 10  # of 36 decided: 20 right, 10 wrong, 6 ties
    found = judge_choices([table(votes, gaps)], votes, QUICK)
    group = found.overall
    assert (group.questions, group.decided, group.clusters) == (40, 36, 40)
    assert group.accuracy["ours"].value == pytest.approx((20 + 6 / 2) / 36)
    first, second = (
        np.array([getattr(v, side) for v in votes]) for side in ("n_first", "n_second")
    )
    met = first[:20].sum() + second[20:30].sum() + (first + second)[30:].sum() / 2
    assert group.votes_met["ours"].value == pytest.approx(met / (first + second).sum())
    assert group.votes_met[BEST].value == pytest.approx(first.sum() / (first + second).sum())
    assert [one.label for one in found.groups] == ["overall", "kind HC", "kind MM"]
    assert found.metrics[0].ties == 6
    assert sum(one.decided for one in found.groups[1:]) == 36


def test_intervals_of_single_questions_are_about_binomial_and_clusters_widen_them():
    apart = [captions(i, "yes", f"no {i}") for i in range(200)]
    together = [captions(i // 10, f"yes {i}", f"no {i}") for i in range(200)]
    right = np.repeat(np.arange(20) % 4 < 3, 10)
    gaps = np.where(right, 0.1, -0.1)
    spans = []
    for votes in (apart, together):
        found = judge_choices([table(votes, gaps)], votes, EvaluationSettings(permutations=0))
        one = found.overall.accuracy["ours"]
        spans.append(one.high - one.low)
    assert spans[0] == pytest.approx(2 * 1.96 * math.sqrt(0.75 * 0.25 / 200), rel=0.1)
    expected = 2 * stats.t.ppf(0.975, 19) * math.sqrt(0.75 * 0.25 / 19)
    assert spans[1] == pytest.approx(expected, rel=0.1)


def test_fense_has_the_ceilings_that_were_computed_elsewhere(shared):
    """.891 of 727 votes; .864 of 575 without pairs of a foreign caption; 189 of 204 decided."""
    votes = read_votes(shared / "data/fense/pairs.csv")
    everything = judge_choices([], votes, QUICK).overall
    one = everything.accuracy[ONE_JUDGE]
    assert (one.n, round(one.value, 3)) == (727, 0.891)
    assert (everything.questions, everything.decided, everything.clusters) == (204, 189, 45)
    hard = judge_choices([], [v for v in votes if v.kind != "HI"], QUICK).overall
    one = hard.accuracy[ONE_JUDGE]
    assert (one.n, round(one.value, 3)) == (575, 0.864)
    assert set(everything.accuracy) == {BEST, ONE_JUDGE, LONGER, SHORTER, WORDS}


def test_swapping_the_sides_of_questions_changes_nothing(votes):
    tables = [table(votes, np.linspace(-0.3, 0.5, 40)), table(votes, np.ones(40), "other")]
    turned = [one.swapped() if i % 3 else one for i, one in enumerate(votes)]
    one, other = (judge_choices(tables, given, QUICK) for given in (votes, turned))
    assert one.overall.accuracy["ours"] == other.overall.accuracy["ours"]
    assert one.overall.votes_met == pytest.approx(other.overall.votes_met)
    assert one.tests == other.tests


def test_two_metrics_are_tested_on_the_same_questions_with_holm(votes):
    good, poor = table(votes, np.ones(40), "good"), table(votes, -np.ones(40), "poor")
    third = table(votes, np.ones(40), "third")
    found = judge_choices([good, poor, third], votes, QUICK)
    test = found.test("poor", "good")
    assert test is not None
    assert test.difference == -1
    assert test.p == pytest.approx(1 / 201)
    assert found.test("third", "good").p == 1.0
    assert test.p_holm == pytest.approx(6 / 201)  # the smallest of 3 tests of two, 3 of floors
    (difference, *_) = found.overall.differences
    assert (difference.name, difference.baseline, difference.accuracy.value) == ("poor", "good", -1)
    assert difference.accuracy.high == -1
    assert not judge_choices([good], votes, replace(QUICK, permutations=0)).tests


# -- floors -------------------------------------------------------------------------------------


def test_texts_choose_by_length_and_clips_do_not():
    votes = [captions(i, "a long caption", "short") for i in range(12)]
    found = judge_choices([], votes, QUICK).overall.accuracy
    assert (found[LONGER].value, found[SHORTER].value) == (1, 0)
    assert SYSTEM_SHARE not in found
    between_clips = [clips(i, "a", "b") for i in range(12)]
    found = judge_choices([], between_clips, QUICK).overall.accuracy
    assert set(found) == {BEST, ONE_JUDGE, SYSTEM_SHARE}


def test_a_systems_share_leaves_out_the_questions_own_text():
    votes = [clips(0, "a", "b", 4, 0), clips(1, "a", "b", 1, 3), clips(2, "b", "a", 2, 1)]
    found = system_share(votes, [cluster_of(one) for one in votes])
    # without prompt 0: a has 1 + 1 of 4 + 3, b the rest
    assert found[0] == pytest.approx(2 / 7 - 5 / 7)
    assert found[1] == pytest.approx(5 / 7 - 2 / 7)
    assert found[2] == pytest.approx(3 / 8 - 5 / 8)
    assert system_share(votes[:1], [0]).tolist() == [0.0]
    half = replace(votes[0], n_first=0, n_equal=4)
    assert system_share([half, votes[1]], [0, 1])[1] == 0.0


def test_words_choose_by_other_questions_and_never_by_their_own():
    """A word that people like is found; words of one question alone say nothing."""
    liked = [captions(i, f"rain {i} x{i}", f"wind {i} y{i}", 4, 0) for i in range(20)]
    assert (caption_words(liked) > 0).all()
    alone = [captions(i, f"u{i}", f"v{i}", 4, 0) for i in range(20)]
    assert caption_words(alone).tolist() == [0.0] * 20
    shared_caption = [captions(i, "the same", f"v{i}", 4, 0) for i in range(20)]
    assert caption_words(shared_caption) is None  # all in one group
    assert caption_words(liked[:9]) is None


def test_the_best_floor_is_what_metrics_are_set_against(votes):
    found = judge_choices([table(votes, np.ones(40))], votes, QUICK)
    assert found.overall.differences[0].baseline == LONGER  # "a dog barks" is longer, and chosen
    assert words.warnings(found)[-1].startswith(
        "ours is not shown to choose better than 'longer text', which hears nothing"
    )


# -- rows that do not fit -----------------------------------------------------------------------


def test_pairs_without_a_score_are_refused_by_name_or_left_out_and_counted(votes):
    scores = table(votes, np.ones(40))
    fewer = replace(scores, scores=scores.scores[2:], where="s.csv")
    with pytest.raises(InputError, match=r"s.csv: 2 of 80 pairs in c.csv have no score: ") as told:
        judge_choices([fewer], votes, QUICK, where="c.csv")
    assert "a dog barks 0" in str(told.value)
    found = judge_choices([fewer], votes, replace(QUICK, allow_missing=True), where="c.csv")
    assert (found.counts.judged, found.counts.unscored) == (39, 1)
    assert "1 left out, as a side has no score" in words.coverage(found)
    failed = [replace(scores.scores[0], score=math.nan, error="no such file"), *scores.scores[1:]]
    with pytest.raises(InputError, match=r"could not be scored.*no such file"):
        judge_choices([replace(scores, scores=failed)], votes, QUICK)


def test_another_key_finds_pairs_whose_ids_are_the_users_own(votes):
    scores = table(votes, np.ones(40))
    own = [replace(row, pair_id=f"p{i}") for i, row in enumerate(scores.scores)]
    with pytest.raises(InputError, match=r"with --key audio\+text, 80 would match"):
        judge_choices([replace(scores, scores=own)], votes, QUICK)
    settings = replace(QUICK, key="audio+text")
    assert judge_choices([replace(scores, scores=own)], votes, settings).counts.judged == 40


def test_anchors_are_judged_only_where_asked_for(votes):
    anchors = [captions(i, "right", f"wrong {i}", 4, 0, kind="anchor") for i in range(50, 55)]
    scores = table([*votes, *anchors], np.ones(45))
    found = judge_choices([scores], [*votes, *anchors], QUICK)
    assert (found.counts.judged, found.counts.anchors) == (40, 5)
    assert found.metrics[0].coverage.extra == ()
    assert "5 anchors left out" in words.coverage(found)
    found = judge_choices([scores], [*votes, *anchors], replace(QUICK, include_anchors=True))
    assert [one.label for one in found.groups][-1] == "kind anchor"
    with pytest.raises(InputError, match="none of the 5 questions is to be judged"):
        judge_choices([], anchors, QUICK)


def test_a_question_whose_sides_are_one_pair_is_never_decided():
    votes = [captions(i, "yes", f"no {i}") for i in range(5)] + [captions(9, "one", "one", 4, 0)]
    found = judge_choices([table(votes, np.ones(6))], votes, QUICK).overall
    assert (found.questions, found.decided) == (6, 5)


def test_questions_of_which_none_is_decided_have_a_reason():
    votes = [captions(i, "yes", f"no {i}", 1, 1) for i in range(5)]
    found = judge_choices([table(votes, np.ones(5))], votes, QUICK)
    one = found.overall.accuracy["ours"]
    assert math.isnan(one.value)
    assert one.reason == "no question is decided"
    assert "ours (overall): no question is decided" in words.facts(found)
    json.loads(json_choices(found))


def test_a_table_named_as_a_row_of_the_report_is_refused(votes):
    with pytest.raises(InputError, match="a score table is named 'longer text'"):
        judge_choices([table(votes, np.ones(40), LONGER)], votes, QUICK)


# -- warnings -----------------------------------------------------------------------------------


def test_met_pairs_are_told_with_the_figure_without_them_or_refused(votes):
    scores = table(votes, [1.0] * 30 + [-1.0] * 10)
    met = [replace(row, met="clip:tuned" if int(row.audio[:-4]) < 30 else "nothing")
           for row in scores.scores]  # fmt: skip
    found = judge_choices([replace(scores, scores=met)], votes, QUICK)
    assert found.unmet.decided == 6
    told = words.warnings(found)[0]
    assert told.startswith("The model of ours met 60 of 80 judged pairs (60 by clip, tuned)")
    assert "Without the questions about them, its accuracy is 0.000" in told
    with pytest.raises(LeakageError, match="its model met 60 of 80 pairs"):
        judge_choices([replace(scores, scores=met)], votes, replace(QUICK, refuse_trained_on=True))
    every = [replace(row, met="clip:tuned") for row in met]
    found = judge_choices([replace(scores, scores=every)], votes, QUICK)
    assert found.unmet is None
    assert "no question is left" in words.warnings(found)[0]
    unsaid = judge_choices([scores], votes, replace(QUICK, refuse_trained_on=True))
    assert "for 80 of 80 this is unknown" in words.warnings(unsaid)[0]


def test_few_clips_single_votes_and_ties_are_told():
    votes = [captions(i, f"a{i}", f"bb{i}", 1, 0) for i in range(10)]
    found = judge_choices([table(votes, [0.0] * 10)], votes, QUICK)
    told = words.warnings(found)
    assert told[0].startswith("The choices are of 10 clips only")
    assert any("has the vote of one person at most" in one for one in told)
    assert any("both sides of 10 of 10 decided questions the same score" in one for one in told)
    assert found.overall.accuracy[BEST].reason == "no question has two votes for a side"
    assert found.counts.one_vote == 10


def test_a_metric_above_the_ceiling_is_told():
    votes = [captions(i, f"{i} a", f"{i} b", 3, 2) for i in range(40)]
    found = judge_choices([table(votes, np.ones(40))], votes, QUICK)
    assert any(one.startswith("ours lies above what knowing") for one in words.warnings(found))


def test_notes_of_scores_are_told(votes):
    scores = table(votes, np.ones(40), note="the clip is silent")
    found = judge_choices([scores], votes, QUICK)
    assert any("80 of 80 judged pairs have a note: " in one for one in words.warnings(found))


# -- reports ------------------------------------------------------------------------------------

SIGNATURE = (
    "humanclap:0.1.0|model:my-clap@12345678|rate:32000|window:10s|hop:10s|fill:wrap|pool:mean|"
    "precision:fp32"
)


def test_every_report_has_the_figures_and_escapes_what_it_is_given(votes):
    nasty = replace(votes[0], text_a="<b>rain</b> | wind")
    votes = [nasty, *votes[1:]]
    scores = table(votes, np.ones(40), "<i>m</i>", signature=SIGNATURE)
    found = judge_choices([scores], votes, QUICK, notes=["SIMULATED <x>"])
    found_json = json.loads(json_choices(found))
    group = found_json["choices"]["groups"][0]
    assert group["accuracy"]["<i>m</i>"]["value"] == 1.0
    assert group["accuracy"][BEST]["low"] <= group["accuracy"][BEST]["value"]
    assert found_json["choices"]["signature"].startswith("humanclap:")
    page = choices_document(found).page()
    assert "<i>m</i>" not in page
    assert "&lt;i&gt;m&lt;/i&gt;" in page
    assert "SIMULATED &lt;x&gt;" in page
    assert page.index("best possible") < page.index("How this was computed")
    text = choices_document(choices_by_model(found)).markdown()
    assert text.startswith("# Agreement with people's choices: my-clap\n")
    assert "| my-clap | 1.000 [1.000, 1.000] |" in text
    assert "my-clap@12345678 (scores: &lt;i&gt;m&lt;/i&gt;)" in text


def test_choices_stand_beside_the_correlations_in_every_report(targets, scores_of, votes):
    scores = scores_of(targets, signature=SIGNATURE)
    table_of_both = replace(
        table(votes, np.ones(40), "m", signature=SIGNATURE),
        scores=[*scores, *table(votes, np.ones(40), signature=SIGNATURE).scores],
    )
    found = compare([table_of_both], targets, QUICK, votes=votes, votes_where="c.csv")
    assert found.metrics[0].coverage.extra == ()
    assert found.choices.metrics[0].coverage.extra == ()
    assert found.choices.overall.accuracy["m"].value == 1.0
    named = by_model(found)
    assert named.choices.metrics[0].name == "my-clap"
    assert json.loads(json_report(found))["choices"]["groups"][0]["accuracy"]["m"]["value"] == 1.0
    assert "## People's choices" in markdown_report(named)
    assert "my-clap chooses as people do in 1.000" in markdown_report(named)
    page = html_report(named)
    assert page.index("<h2>Findings</h2>") < page.index("<h2>People's choices</h2>")
    assert "is not shown to choose better than" in page
    without = json.loads(json_report(compare([table_of_both], targets, QUICK)))
    assert "choices" not in without


def test_both_sides_of_every_question_are_to_be_scored(votes):
    pairs = pairs_of([*votes, votes[0].swapped()])
    assert len(pairs) == 80
