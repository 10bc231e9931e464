import itertools
import math
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest

from humanclap.errors import InputError, SignatureMismatchError
from humanclap.evaluation import EvaluationSettings, ScoreTable
from humanclap.evaluation.agreement.rerank import choose, expected_gains
from humanclap.records import Score, Target


def row(audio, text, score, error=None):
    return Score(audio=audio, text=text, score=score, error=error)


def test_the_highest_score_of_each_prompt_is_kept():
    found = choose(
        [row("a", "rain", 0.1), row("b", "dog", 0.5), row("c", "Rain ", 0.4), row("d", "dog", 0.5)]
    )
    assert [(c.audio, c.text, c.candidates) for c in found] == [("c", "Rain ", 2), ("b", "dog", 2)]
    assert found[0].margin == pytest.approx(0.3)
    assert found[1].margin == 0.0


def test_failed_candidates_do_not_count_and_a_prompt_without_any_is_refused():
    found = choose([row("a", "rain", math.nan, "broken"), row("b", "rain", 0.2)])
    assert (found[0].audio, found[0].candidates) == ("b", 1)
    assert math.isnan(found[0].margin)
    with pytest.raises(InputError, match="no candidate for 'rain'"):
        choose([row("a", "rain", math.nan, "broken")])


def of_two_systems():
    """Two prompts, two clips of each of two systems: b's are all above a's."""
    return [
        Score(
            audio=f"{system}/{prompt}-{k}", text=prompt, score=level + 0.01 * k, system=system,
            pair_id=f"{system}{prompt}{k}", rating=5.0 + k, subset="synthetic", met="nothing",
        )
        for prompt in ("rain", "dog")
        for system, level in (("a", 0.1), ("b", 0.5))
        for k in (0, 1)
    ]  # fmt: skip


def test_the_best_is_chosen_within_each_system_and_keeps_its_columns():
    found = choose(of_two_systems())
    assert [(c.audio, c.system, c.candidates) for c in found] == [
        ("a/rain-1", "a", 2),
        ("b/rain-1", "b", 2),
        ("a/dog-1", "a", 2),
        ("b/dog-1", "b", 2),
    ]
    first = found[0]
    assert first.margin == pytest.approx(0.01)
    assert (first.pair_id, first.rating, first.subset, first.met) == (
        "arain1",
        6.0,
        "synthetic",
        "nothing",
    )


def test_across_systems_one_clip_of_a_prompt_is_kept():
    found = choose(of_two_systems(), across_systems=True)
    assert [(c.audio, c.system, c.candidates) for c in found] == [
        ("b/rain-1", "b", 4),
        ("b/dog-1", "b", 4),
    ]


def test_a_system_none_of_whose_clips_of_a_prompt_could_be_scored_is_refused_by_name():
    rows = of_two_systems()
    broken = [
        Score(audio=r.audio, text=r.text, score=math.nan, system=r.system, error="broken")
        if r.audio.startswith("a/dog")
        else r
        for r in rows
    ]
    with pytest.raises(InputError, match="no candidate of a for 'dog' could be scored: broken"):
        choose(broken)
    assert len(choose(broken, across_systems=True)) == 2


def test_the_gain_within_systems_is_not_that_of_choosing_the_better_system():
    # People like b two points more; within a system the metric prefers the clip they like less.
    scores = of_two_systems()
    targets = [
        Target(audio=s.audio, text=s.text, mos=mos, target=mos / 10, n=3, pair_id=s.pair_id)
        for s, mos in zip(scores, [4, 3, 6, 5] * 2, strict=True)
    ]
    settings = EvaluationSettings(replicates=100)
    table = ScoreTable(name="m", scores=scores)
    (within,) = expected_gains(table, targets, settings)
    assert (within.n, within.prompts) == (2, 4)
    assert within.gain == pytest.approx(-0.5)
    assert within.share == pytest.approx(-1.0)
    across = expected_gains(table, targets, settings, across_systems=True)
    assert [(g.n, g.prompts) for g in across] == [(2, 2), (3, 2), (4, 2)]
    assert across[-1].gain == pytest.approx(5 - 4.5)
    alone = [place for place, s in enumerate(scores) if s.audio.endswith("-1")]
    with pytest.raises(InputError, match="of one system; --across-systems chooses"):
        expected_gains(
            ScoreTable(name="m", scores=[scores[i] for i in alone]),
            [targets[i] for i in alone],
            settings,
        )


def test_one_prompt_has_a_gain_without_an_interval_and_says_why():
    scores = of_two_systems()[:2]
    targets = [
        Target(audio=s.audio, text=s.text, mos=m, target=m / 10, n=3, pair_id=s.pair_id)
        for s, m in zip(scores, [4, 8], strict=True)
    ]
    (found,) = expected_gains(ScoreTable(name="m", scores=scores), targets)
    assert found.gain == 2
    assert math.isnan(found.low)
    assert found.reason == "one prompt only"


@pytest.fixture
def study():
    """Twelve prompts of four candidates, a metric that helps, with ties."""
    rng = np.random.default_rng(0)
    targets, scores = [], []
    for prompt, k in itertools.product(range(12), range(4)):
        mos = float(rng.integers(0, 11))
        targets.append(
            Target(audio=f"{prompt}-{k}", text=f"sound {prompt}", mos=mos, target=mos / 10, n=3)
        )
        score = float(np.clip(round(mos / 10 + 0.3 * rng.normal(), 1), -1, 1))
        scores.append(row(f"{prompt}-{k}", f"sound {prompt}", score))
    return targets, scores


def by_enumeration(targets, scores, n):
    """Mean over prompts of the mean over all sets of n of the choice's MOS, ties shared."""
    found = []
    for prompt in range(12):
        inside = list(zip(targets, scores, strict=True))[4 * prompt : 4 * prompt + 4]
        picks = []
        for chosen in itertools.combinations(inside, n):
            best = max(s.score for _, s in chosen)
            picks.append(chosen)
            picks[-1] = fmean(t.mos for t, s in chosen if s.score == best)
        found.append(fmean(picks))
    return fmean(found)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_gain_is_the_mean_over_all_sets_of_candidates(study, n):
    targets, scores = study
    distinct = [Score(audio=s.audio, text=s.text, score=s.score + i / 10_000)
                for i, s in enumerate(scores)]  # fmt: skip
    settings = EvaluationSettings(replicates=100)
    found = expected_gains(ScoreTable(name="m", scores=distinct), targets, settings)[n - 2]
    assert found.n == n
    assert found.prompts == 12
    assert found.chosen == pytest.approx(by_enumeration(targets, distinct, n))
    assert found.random == pytest.approx(fmean(t.mos for t in targets))
    assert found.low < found.gain < found.high
    assert found.share == pytest.approx(found.gain / (found.best - found.random))


def test_equal_scores_gain_nothing(study):
    targets, scores = study
    flat = [Score(audio=s.audio, text=s.text, score=0.5) for s in scores]
    settings = EvaluationSettings(replicates=100)
    for found in expected_gains(ScoreTable(name="m", scores=flat), targets, settings):
        assert found.gain == pytest.approx(0)


def test_one_candidate_a_prompt_is_no_choice(study):
    targets, scores = study
    with pytest.raises(InputError, match="no prompt has two"):
        expected_gains(ScoreTable(name="m", scores=scores[::4]), targets[::4])


def test_candidates_scored_in_unlike_ways_are_refused_unless_forced():
    rows = [
        Score(audio=name, text="rain", score=0.1, signature=name) for name in ("model:a", "model:b")
    ]
    with pytest.raises(SignatureMismatchError):
        choose(rows)
    assert choose(rows, force=True)[0].signature == "model:a"


def test_a_note_of_the_clip_that_is_kept_stays_with_it():
    rows = [
        Score(audio="mute", text="rain", score=0.4, note="silent"),
        Score(audio="loud", text="rain", score=0.1),
    ]
    assert [choice.note for choice in choose(rows)] == ["silent"]
    assert [choice.note for choice in choose([replace(rows[0], score=0.0), rows[1]])] == [None]
