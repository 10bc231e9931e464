"""Systems ranked by people's choices, alone and beside a metric."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import choix
import numpy as np
import pytest
from scipy import stats

from humanclap.errors import InputError
from humanclap.evaluation.choices.ranking import MetricValues, rank_by_choices
from humanclap.evaluation.leaderboard.rank import leaderboard
from humanclap.evaluation.report import ranking_words as words
from humanclap.evaluation.report.choices_report import ranking_document
from humanclap.evaluation.report.leaderboard_report import leaderboard_document
from humanclap.evaluation.settings import LeaderboardSettings
from humanclap.records import Score, Votes

QUICK = LeaderboardSettings(replicates=80, permutations=50)
STRENGTHS = {"good": 1.0, "fair": 0.0, "same": 0.0, "poor": -1.0}


def question(prompt, a, b, n_first, n_second, n_equal=0, **given):
    return Votes(audio_a=f"{a}/{prompt}.wav", audio_b=f"{b}/{prompt}.wav", text_a=f"p {prompt}",
                 text_b=f"p {prompt}", n_first=n_first, n_second=n_second, n_equal=n_equal,
                 system_a=a, system_b=b, **given)  # fmt: skip


def study(prompts=40, strengths=STRENGTHS, tie=0.5, seed=0):
    """Three votes on every pair of systems for every prompt."""
    rng = np.random.default_rng(seed)
    names, found = list(strengths), []
    for prompt in range(prompts):
        for place, a in enumerate(names):
            for b in names[place + 1 :]:
                middle = (strengths[a] + strengths[b]) / 2
                parts = np.exp([strengths[a], strengths[b], middle]) * [1, 1, tie]
                found.append(
                    question(prompt, a, b, *rng.multinomial(3, parts / parts.sum()).tolist())
                )
    return found


@pytest.fixture(scope="module")
def votes():
    return study()


@pytest.fixture(scope="module")
def ranking(votes):
    return rank_by_choices(votes, QUICK)


# -- the numbers --------------------------------------------------------------------------------


def test_systems_stand_in_the_order_of_their_strengths(ranking):
    assert [one.system for one in ranking.systems][::3] == ["good", "poor"]
    assert sum(one.strength.value for one in ranking.systems) == pytest.approx(0)
    first = ranking.systems[0]
    assert first.strength.low < first.strength.value < first.strength.high
    assert (first.rank, first.rank_low, first.rank_high, first.prompts) == (1, 1, 1, 40)
    assert first.won + first.equal + first.lost == 3 * 3 * 40
    assert (ranking.votes, ranking.questions, ranking.clusters) == (720, 240, 40)
    assert ranking.cluster == "prompt"


def test_without_ties_strengths_are_those_of_choix():
    votes = study(tie=0)
    names = sorted(STRENGTHS)
    data = []
    for one in votes:
        a, b = names.index(one.system_a), names.index(one.system_b)
        data += [(a, b)] * one.n_first + [(b, a)] * one.n_second
    theirs = choix.opt_pairwise(4, data, alpha=0, tol=1e-10)
    ours = {one.system: one.strength.value for one in rank_by_choices(votes, QUICK).systems}
    assert [ours[name] for name in names] == pytest.approx(theirs - theirs.mean(), abs=1e-4)


def test_duels_say_what_the_model_expects_and_what_was_voted(ranking, votes):
    (duel,) = [d for d in ranking.duels if {d.better, d.other} == {"good", "poor"}]
    assert duel.chance == pytest.approx(1 / (1 + math.exp(-duel.difference.value)))
    met = [one for one in votes if {one.system_a, one.system_b} == {"good", "poor"}]
    assert duel.won == sum(one.n_first for one in met)
    assert duel.settled
    assert ranking.wins["good", "poor"][0] == pytest.approx(np.mean([one.share for one in met]))
    assert ranking.wins["good", "poor"][1] == 120
    assert ranking.wins["poor", "good"][0] == pytest.approx(1 - ranking.wins["good", "poor"][0])
    (alike,) = [d for d in ranking.duels if {d.better, d.other} == {"fair", "same"}]
    assert not alike.settled
    assert alike.difference.low < 0 < alike.difference.high
    assert len(ranking.duels) == 6


def test_two_systems_have_the_interval_and_test_of_a_paired_share():
    """One vote a prompt: the log odds of a share, by the delta method."""
    votes = [question(i, "a", "b", *((1, 0) if i % 8 else (0, 1))) for i in range(160)]
    found = rank_by_choices(votes, LeaderboardSettings(replicates=2000))
    (duel,) = found.duels
    error = 1 / math.sqrt(160 * 0.875 * 0.125)
    assert duel.difference.value == pytest.approx(math.log(7))
    assert duel.difference.high - duel.difference.low == pytest.approx(2 * 1.96 * error, rel=0.12)
    assert duel.p < 1e-6


def test_the_test_goes_with_the_interval(ranking):
    """Both are of the t distribution with a prompt less one degree of freedom."""
    for duel in ranking.duels:
        found = duel.difference
        error = (found.high - found.low) / 2 / stats.t.ppf(0.975, 39)
        assert (found.high + found.low) / 2 == pytest.approx(found.value)
        assert duel.p == pytest.approx(2 * stats.t.sf(found.value / error, 39))
        assert (found.low <= 0) == (duel.p >= 0.05)
        assert duel.p_holm >= duel.p


def test_swapped_sides_and_another_order_of_rows_change_nothing(votes, ranking):
    turned = [one.swapped() if i % 2 else one for i, one in enumerate(votes)]
    assert rank_by_choices(turned, QUICK).to_dict() == ranking.to_dict()
    shuffled = sorted(turned, key=lambda one: one.choice_id)
    found = rank_by_choices(shuffled, QUICK)
    assert found.asked != ""
    assert [one.strength.value for one in found.systems] == pytest.approx(
        [one.strength.value for one in ranking.systems]
    )


# -- what cannot be ranked ----------------------------------------------------------------------


def test_a_system_that_nobody_chose_against_is_told_and_named():
    votes = [question(i, "top", "a", 3, 0) for i in range(30)]
    votes += [question(i, "a", "b", 2, 1) for i in range(30)]
    found = rank_by_choices(votes, QUICK)
    assert found.unbeaten == (("top",),)
    assert found.systems[0].system == "top"
    assert math.isfinite(found.systems[0].strength.high)
    (told,) = words.warnings(found)
    assert told.startswith("No other system got a single vote against top: ")


def test_replicates_in_which_nobody_beat_a_system_are_counted():
    votes = [question(i, "a", "b", 1, 0) for i in range(39)] + [question(39, "a", "b", 0, 1)]
    found = rank_by_choices(votes, QUICK)
    assert found.unbeaten == ()
    assert found.regularised > 0
    assert (
        f"In {found.regularised} of 80 replicates no vote went against some system"
        in (words.warnings(found)[0])
    )


def test_systems_that_were_never_compared_are_refused_in_groups():
    votes = [question(i, a, b, 2, 1) for i in range(5) for a, b in (("a", "b"), ("c", "d"))]
    with pytest.raises(InputError, match=r"2 groups between which nobody chose \(a, b; c, d\)"):
        rank_by_choices(votes, QUICK)
    assert len(rank_by_choices(votes, replace(QUICK, systems=("c", "d"))).systems) == 2


@pytest.mark.parametrize("prompts", [2, 4, 9])
def test_what_few_prompts_agree_on_is_no_surer_than_a_sign_flip_test_can_be(prompts):
    alike = [
        Votes(audio_a=f"a/{i}.wav", audio_b=f"b/{i}.wav", text_a=f"p {i}", text_b=f"p {i}",
              n_first=3 + i % 2, n_second=0, system_a="a", system_b="b") for i in range(prompts)
    ]  # fmt: skip
    (duel,) = rank_by_choices(alike, QUICK).duels
    assert duel.p >= 2 / 2**prompts * (1 - 1e-9)
    assert duel.settled == (2 / 2**prompts < 0.05)
    assert (duel.difference.low > 0) == duel.settled


def test_systems_that_nobody_prefers_are_said_to_be_equal():
    even = [
        Votes(audio_a=f"a/{i}.wav", audio_b=f"b/{i}.wav", text_a=f"p {i}", text_b=f"p {i}",
              n_first=1, n_second=1, system_a="a", system_b="b") for i in range(4)
    ]  # fmt: skip
    assert words.summary(rank_by_choices(even, QUICK))[0] == (
        "People chose a, b equally much, from 8 votes on 4 questions, 4 prompts."
    )


def test_questions_without_systems_of_one_system_or_of_anchors_do_not_count(votes):
    unnamed = replace(votes[0], system_b=None)
    with pytest.raises(InputError, match="1 of 240 questions do not say which systems"):
        rank_by_choices([unnamed, *votes[1:]], QUICK)
    own = Votes(audio_a="good/1.wav", audio_b="good/2.wav", text_a="p", text_b="p", n_first=1,
                n_second=0, system_a="good", system_b="good")  # fmt: skip
    anchor = replace(votes[0], kind="anchor", system_a=None)
    check = replace(votes[1], kind="attention_check", text_a="choose A", text_b="choose A")
    found = rank_by_choices([own, anchor, check, *votes], QUICK)
    assert (found.own, found.anchors, found.votes) == (1, 2, 720)
    assert words.caveats(found) == [
        "1 question between two clips of one system left out: they rank nothing.",
        "2 attention checks left out.",
    ]
    with pytest.raises(InputError, match="0 systems were chosen between"):
        rank_by_choices([own], QUICK)


def test_few_prompts_are_told_and_one_has_no_interval():
    found = rank_by_choices([question(1, "a", "b", 2, 1)], QUICK)
    assert math.isnan(found.systems[0].strength.low)
    assert math.isnan(found.duels[0].p)
    assert not found.duels[0].settled
    assert words.warnings(found)[0].startswith("People chose on 1 prompt only")
    ranking_document(found).page()
    assert "–" in ranking_document(found).markdown()


def test_choices_between_captions_rank_what_wrote_them_over_clips():
    votes = [
        Votes(audio_a=f"{i}.wav", audio_b=f"{i}.wav", text_a=f"x {i}", text_b=f"y {i}",
              n_first=2, n_second=i % 2, system_a="x", system_b="y")
        for i in range(12)
    ]  # fmt: skip
    found = rank_by_choices(votes, QUICK)
    assert (found.cluster, found.clusters) == ("clip", 12)
    metric = MetricValues(prompts=["p"], systems=["x", "y"], values=np.ones((1, 2)))
    with pytest.raises(InputError, match="choices between texts rank what wrote them"):
        rank_by_choices(votes, QUICK, metric=metric)


# -- beside a metric ----------------------------------------------------------------------------


def scores(levels, prompts=40, noise=0.3):
    rng = np.random.default_rng(5)
    return [
        Score(audio=f"{name}/{i}.wav", text=f"P  {i}", system=name,
              score=level + noise * rng.normal())
        for name, level in levels.items()
        for i in range(prompts)
    ]  # fmt: skip


def test_the_metrics_ranking_of_the_same_systems_stands_beside_peoples(votes):
    levels = {"good": 0.9, "fair": 0.2, "same": 0.3, "poor": -0.5}
    board = leaderboard({"s": scores(levels)}, QUICK, votes=votes)
    people = board.people
    assert people is not None
    means = {one.system: one.mean for one in board.standings}
    assert {one.system: one.metric for one in people.systems} == pytest.approx(means)
    assert {one.system: one.metric_rank for one in people.systems} == {
        one.system: one.rank for one in board.standings
    }
    expected = stats.kendalltau(
        [one.strength.value for one in people.systems], [one.metric for one in people.systems]
    )
    tau = people.agreement.tau
    assert tau.value == pytest.approx(expected.statistic)
    assert tau.low <= tau.value <= tau.high <= 1
    assert (people.agreement.prompts_both, people.agreement.prompts_metric) == (40, 40)
    assert people.systems == tuple(
        replace(one, metric=people.systems[i].metric, metric_rank=people.systems[i].metric_rank)
        for i, one in enumerate(rank_by_choices(votes, QUICK).systems)
    )


def test_a_metric_that_runs_against_people_has_a_negative_tau(votes):
    board = leaderboard(
        {"s": scores({"good": -5, "fair": 0, "same": 0.1, "poor": 5}, noise=0.01)}, QUICK,
        votes=votes,
    )  # fmt: skip
    assert board.people.agreement.tau.high < 0


def test_prompts_of_only_one_side_are_told(votes):
    board = leaderboard({"s": scores(dict.fromkeys(STRENGTHS, 0.0), prompts=25)}, QUICK,
                        votes=votes)  # fmt: skip
    assert board.people.agreement.prompts_both == 25
    told = words.warnings(board.people)
    assert any("The metric has values for 25 of the" in one for one in told)
    assert any("(and for 25 in all)" in one for one in told)


def test_other_systems_than_people_chose_between_are_refused(votes):
    with pytest.raises(InputError, match="people chose between fair, good, poor, same; the scores"):
        leaderboard({"s": scores({"good": 1, "fair": 0})}, QUICK, votes=votes)
    settings = replace(QUICK, systems=("good", "fair"))
    board = leaderboard({"s": scores({"good": 1, "fair": 0})}, settings, votes=votes)
    assert [one.system for one in board.people.systems] == ["good", "fair"]


def test_every_report_has_both_rankings_and_escapes_names():
    strengths = {"<b>good</b>": 1.0, "a|b": 0.0}
    votes = study(30, strengths)
    board = leaderboard({"s": scores(strengths, 30)}, QUICK, votes=votes)
    page, text = leaderboard_document(board).page(), leaderboard_document(board).markdown()
    assert "<b>good" not in page
    assert "<b>good" not in text
    assert page.index("<h2>People's ranking</h2>") < page.index("<h2>Leaderboard</h2>")
    assert "## People's ranking" in text
    assert "Bradley–Terry model by maximum likelihood, ties by Davidson" in text
    found = json.loads(json.dumps(board.to_dict()))
    assert found["people"]["agreement_with_metric"]["tau"]["value"] == 1.0
    assert {one["system"] for one in found["people"]["wins"]} == set(strengths)
    assert "people" in leaderboard({"s": scores(strengths, 30)}, QUICK).to_dict()
    alone = rank_by_choices(votes, QUICK, notes=["SIMULATED"])
    assert "&lt;b&gt;" in ranking_document(alone).page()
    assert "SIMULATED" in ranking_document(alone).page()
    assert "metric" not in " ".join(words.system_rows(alone)[0])
