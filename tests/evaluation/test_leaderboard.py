import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from humanclap.errors import InputError, SettingsError, SignatureMismatchError
from humanclap.evaluation.captions import caption_type
from humanclap.evaluation.leaderboard.duels import prompts_needed
from humanclap.evaluation.leaderboard.rank import leaderboard
from humanclap.evaluation.report import leaderboard_words as words
from humanclap.evaluation.report.leaderboard_report import html_leaderboard, leaderboard_document
from humanclap.evaluation.settings import LeaderboardSettings
from humanclap.records import Score

QUICK = LeaderboardSettings(replicates=200, permutations=500)


def scores(system, values, rating=math.nan, **other):
    return [
        Score(audio=f"{system}/{i}.wav", text=f"sound {i}", score=float(v), rating=rating, **other)
        for i, v in enumerate(values)
    ]


@pytest.fixture
def tables():
    """Three systems on 40 prompts: good and fair apart, fair and same hardly."""
    rng = np.random.default_rng(0)
    prompt = 0.1 * rng.normal(size=40)
    return {
        "good": scores("good", 0.5 + prompt + 0.05 * rng.normal(size=40)),
        "fair": scores("fair", 0.3 + prompt + 0.05 * rng.normal(size=40)),
        "same": scores("same", 0.295 + prompt + 0.05 * rng.normal(size=40)),
    }


def values(tables, name):
    return np.array([row.score for row in tables[name]])


def test_systems_stand_in_order_of_their_mean_with_interval(tables):
    board = leaderboard(tables, QUICK)
    assert board.prompts == 40
    first = board.standings[0]
    assert (first.system, first.rank, first.rank_low, first.rank_high) == ("good", 1, 1, 1)
    for standing in board.standings:
        x = values(tables, standing.system)
        assert standing.mean == pytest.approx(x.mean())
        error = x.std(ddof=1) / math.sqrt(40)
        assert standing.low == pytest.approx(x.mean() - 1.96 * error, abs=0.4 * error)
        assert standing.clips == 40
    assert sum(standing.best_share for standing in board.standings) == pytest.approx(1)


def test_two_systems_are_tested_on_the_same_prompts(tables):
    board = leaderboard(tables, replace(QUICK, permutations=4000))
    duel = next(d for d in board.duels if {d.better, d.other} == {"fair", "same"})
    difference = values(tables, duel.better) - values(tables, duel.other)
    expected = stats.permutation_test(
        (difference,), np.mean, permutation_type="samples", n_resamples=20_000,
        rng=np.random.default_rng(1),
    ).pvalue  # fmt: skip
    assert duel.p == pytest.approx(expected, abs=0.03)
    assert duel.wins == (difference > 0).sum()
    assert board.win_rate(duel.better, duel.other) == duel.win_rate
    assert board.win_rate(duel.other, duel.better) == pytest.approx(1 - duel.win_rate)
    assert board.win_rate("good", "good") is None
    clear = next(d for d in board.duels if d.better == "good")
    assert clear.settled
    assert clear.more_prompts == 0


def test_prompts_needed_is_the_textbook_formula_and_reaches_its_power():
    difference = np.array([1.0, -1.0] * 10 + [1.0] * 4)
    effect = difference.mean() / difference.std(ddof=1)
    assert prompts_needed(difference) == math.ceil(((1.959964 + 0.841621) / effect) ** 2)
    assert prompts_needed(np.array([1.0, -1.0])) == math.inf
    rng, n = np.random.default_rng(0), 50
    drawn = rng.normal(0.4, 1.0, size=(4000, n))  # effect 0.4: (2.8 / 0.4)^2 = 49.05
    found = stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.03)


def test_an_open_duel_says_how_many_more_prompts_would_settle_it(tables):
    board = leaderboard(tables, QUICK)
    assert any("is not settled" in s and "more prompts" in s for s in words.summary(board))


def test_systems_come_from_the_column_and_several_clips_count_their_mean():
    rows = [
        Score(audio=f"{s}{i}{k}.wav", text=text, score=v, system=s)
        for i, text in enumerate(("Rain", "rain ", "dog"))
        for s, v, k in (("a", 0.1 * i, 0), ("b", 0.5, 0))
    ]
    board = leaderboard({"all": rows}, QUICK)
    assert board.prompts == 2  # "Rain" and "rain " are one
    means = {s.system: s.mean for s in board.standings}
    assert means["a"] == pytest.approx((0.05 + 0.2) / 2)


def test_prompts_some_system_lacks_are_refused_or_left_out_and_counted(tables):
    fewer = {**tables, "same": tables["same"][:30]}
    with pytest.raises(InputError, match=r"10 of 40 prompts lack a clip .* --shared-only") as told:
        leaderboard(fewer, QUICK)
    assert str(told.value).splitlines()[1:] == ["  30: fair, good, same", "  10: fair, good"]
    board = leaderboard(fewer, replace(QUICK, shared_only=True))
    assert (board.prompts, board.prompts_left_out) == (30, 10)
    (told,) = [c for c in words.caveats(board) if "10 prompts that some system lacks" in c]
    assert told.endswith("systems that have them: 30 fair, good, same; 10 fair, good.")
    assert board.to_dict()["prompts_of"] == [
        {"systems": ["fair", "good", "same"], "prompts": 30},
        {"systems": ["fair", "good"], "prompts": 10},
    ]
    assert leaderboard(fewer, replace(QUICK, systems=("good", "fair"))).prompts == 40


@pytest.mark.parametrize("tables_named", [("old", "new"), ("old", "old")])
def test_a_clip_and_prompt_of_one_system_that_stand_twice_are_refused(tables, tables_named):
    # The two rows would be averaged: .1 and .9 make .5, which is the score of neither.
    old = [replace(row, system="tango") for row in scores("tango", [0.1] * 5)]
    again = [replace(row, score=0.9, text=row.text.upper(), pair_id="") for row in old]
    given = {"other": scores("other", [0.4] * 5)}
    for name, rows in zip(tables_named, (old, again), strict=True):
        given[name] = [*given.get(name, []), *rows]
    where = "in old and new" if tables_named[1] == "new" else "in old"
    with pytest.raises(InputError, match="5 clips of a system appear twice") as told:
        leaderboard(given, QUICK)
    assert f"'tango/0.wav' with 'sound 0' of tango, {where} (scores 0.100 and 0.900)" in str(
        told.value
    )
    assert leaderboard({**given, **tables}, replace(QUICK, systems=("good", "fair"))).prompts == 40


def test_one_file_name_under_two_systems_is_two_clips():
    rows = [Score(audio=f"{i}.wav", text=f"sound {i}", score=0.1) for i in range(5)]
    board = leaderboard({"a": rows, "b": [replace(r, score=0.2) for r in rows]}, QUICK)
    assert [(s.system, s.mean) for s in board.standings] == [("b", 0.2), ("a", 0.1)]


def test_clips_of_one_system_from_several_tables_are_told(tables):
    more = [replace(row, audio=f"second/{row.audio}", pair_id="") for row in tables["good"]]
    board = leaderboard(
        {**tables, "more": [replace(row, system="good") for row in more[:25]]}, QUICK
    )
    assert words.caveats(board)[1] == (
        "The clips of good come from 2 tables (good 40, more 25); a prompt that stands in several "
        "counts the mean of its clips."
    )
    assert not [told for told in words.caveats(leaderboard(tables, QUICK)) if "tables" in told]


def test_systems_that_are_not_compared_may_have_failed_or_be_scored_otherwise(tables):
    two = replace(QUICK, systems=("good", "fair"))
    alone = leaderboard({name: tables[name] for name in two.systems}, two)
    broken = [replace(row, score=math.nan, error="no such file") for row in tables["same"]]
    board = leaderboard({**tables, "same": broken}, two)
    assert (board.standings, board.failed) == (alone.standings, 0)
    unlike = [replace(row, signature="b|model:y") for row in tables["same"]]
    signed = {
        name: [replace(r, signature="a|model:x") for r in tables[name]] for name in two.systems
    }
    assert leaderboard({**signed, "same": unlike}, two).signature == "a|model:x"
    rated = {name: [replace(r, rating=5.0) for r in tables[name]] for name in two.systems}
    by_rating = replace(two, value="rating")
    assert leaderboard({**rated, "same": tables["same"]}, by_rating).standings[0].mean == 5.0


def test_a_system_of_which_no_clip_could_be_scored_does_not_vanish(tables):
    broken = [replace(row, score=math.nan, error="no such file") for row in tables["same"]]
    with pytest.raises(InputError, match="fair, good, same share 0 prompts") as told:
        leaderboard({**tables, "same": broken}, replace(QUICK, shared_only=True))
    assert str(told.value).splitlines()[1:] == ["  40: fair, good"]


def test_failed_clips_and_lacking_ratings_are_refused(tables):
    broken = [replace(tables["good"][0], score=math.nan, error="no such file"), *tables["good"][1:]]
    with pytest.raises(InputError, match="1 clips could not be scored"):
        leaderboard({**tables, "good": broken}, QUICK)
    assert leaderboard({**tables, "good": broken}, replace(QUICK, shared_only=True)).failed == 1
    with pytest.raises(InputError, match="has no rating"):
        leaderboard(tables, replace(QUICK, value="rating"))


def test_unlike_signatures_are_refused_unless_forced(tables):
    signed = {
        "good": [replace(row, signature="a|model:x") for row in tables["good"]],
        "fair": [replace(row, signature="b|model:y") for row in tables["fair"]],
    }
    with pytest.raises(SignatureMismatchError):
        leaderboard(signed, QUICK)
    assert leaderboard(signed, replace(QUICK, force=True)).signature is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"systems": ("good", "nobody")}, "no system nobody"),
        ({"systems": ("good",)}, "comparing needs two"),
    ],
)
def test_systems_that_cannot_be_compared_are_refused(tables, given, message):
    with pytest.raises(InputError, match=message):
        leaderboard(tables, replace(QUICK, **given))


def test_systems_without_shared_prompts_are_refused():
    other = [Score(audio=f"{i}.wav", text=f"other {i}", score=0.1) for i in range(5)]
    with pytest.raises(InputError, match="share 0 prompts"):
        leaderboard({"a": scores("a", [0.1] * 5), "b": other}, replace(QUICK, shared_only=True))


@pytest.mark.parametrize(
    "given", [{"value": "mean"}, {"power": 1.0}, {"replicates": 5}, {"worst": -1}]
)
def test_settings_check_themselves(given):
    with pytest.raises(SettingsError):
        LeaderboardSettings(**given)
    with pytest.raises(SettingsError, match="unknown setting 'nope'"):
        LeaderboardSettings.from_mapping({"nope": 1})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A dog barks", "one event"),
        ("A man talks while a dog barks", "several events"),
        ("Rain, wind and thunder", "several events"),
        ("A door closes followed by footsteps", "ordered events"),
        ("An engine starts and then idles", "ordered events"),
    ],
)
def test_caption_types_of_plain_examples(text, expected):
    assert caption_type(text) == expected


def test_means_by_caption_type_and_lowest_clips(tables):
    def named(rows):
        kinds = ("a dog barks", "a dog and a cat", "a dog barks then stops")
        return [replace(r, text=f"{kinds[i % 3]} {i}", pair_id="") for i, r in enumerate(rows)]

    typed = {name: named(rows) for name, rows in tables.items()}
    board = leaderboard(typed, replace(QUICK, worst=2))
    of_one = next(t for t in board.by_type if (t.caption_type, t.system) == ("one event", "good"))
    assert of_one.prompts == 14
    assert of_one.mean == pytest.approx(values(tables, "good")[::3].mean())
    lowest = [clip for clip in board.worst if clip.system == "good"]
    assert [clip.value for clip in lowest] == sorted(values(tables, "good"))[:2]


def test_reports_hold_every_section_and_escape_the_input(tables):
    bad = "<b>bad"
    hostile = {bad: [replace(r, text=f"{r.text} {bad}", pair_id="") for r in tables["good"]]}
    hostile["fair"] = [replace(r, text=f"{r.text} {bad}", pair_id="") for r in tables["fair"]]
    board = leaderboard(hostile, QUICK, notes=["a note"])
    page, markdown = html_leaderboard(board), leaderboard_document(board).markdown()
    for text in (page, markdown):
        assert bad not in text
        for title in ("Leaderboard", "Two by two", "Win matrix", "By caption type", "Lowest"):
            assert title in text
        assert "a note" in text
        assert "not as people do" in text
    assert json.loads(json.dumps(board.to_dict()))["prompts"] == 40


def test_clips_with_a_note_are_counted_named_and_listed(tables):
    silent = "silent from start to end; its score says nothing"
    fair = tables["fair"]
    tables["fair"] = [*fair[:38], *(replace(row, note=silent) for row in fair[38:])]
    board = leaderboard(tables, QUICK)
    assert [(item.audio, item.where) for item in board.noted] == [
        ("fair/38.wav", "fair"),
        ("fair/39.wav", "fair"),
    ]
    (warning,) = words.warnings(board)
    assert warning.startswith(f"2 of 120 judged pairs have a note: fair/38.wav (fair): {silent}")
    assert board.standings == leaderboard(tables | {"fair": fair}, QUICK).standings
    heads, rows = {s.title: s.rows for s in words.sections(board)}["Clips with a note"]
    assert [row[1] for row in rows] == ["fair/38.wav", "fair/39.wav"]
    assert len(heads) == 4
    assert "fair/39.wav" in html_leaderboard(board)
    without = words.sections(leaderboard(tables | {"fair": fair}))
    assert "Clips with a note" not in [section.title for section in without]
