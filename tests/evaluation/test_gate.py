import math

import numpy as np
import pytest
from scipy import stats

from humanclap.errors import InputError, SettingsError, SignatureMismatchError, TableError
from humanclap.evaluation.gate import GateSettings, GateTable, gate, read_gate_table
from humanclap.evaluation.gate.table import GateRow
from humanclap.evaluation.gate.words import annotation, markdown, sentences, warnings
from humanclap.records import Score

RNG = np.random.default_rng(5)
NOISE = RNG.normal(0, 0.05, size=60)
LEVELS = RNG.uniform(0.1, 0.6, size=60)


def table(values, where="new.csv", **more):
    """A table with a clip of each prompt; None is a row that failed."""
    rows = []
    for i, value in enumerate(values):
        given = {name: column[i] if isinstance(column, list) else column
                 for name, column in more.items()}  # fmt: skip
        failed = {"error": "no such file"} if value is None else {}
        score = math.nan if value is None else float(value)
        given = {"audio": f"{where}/{i}.wav", "text": f"sound {i}", **failed, **given}
        rows.append(GateRow(line=i + 2, score=Score(score=score, **given)))
    return GateTable(where=where, rows=tuple(rows))


def joined(*tables):
    return GateTable(where=tables[0].where, rows=tuple(row for t in tables for row in t.rows))


OLD = table(LEVELS, "old.csv")


def judged(shift, old=OLD, count=60, **settings):
    new = table((LEVELS + NOISE + shift)[:count])
    return gate(new, old, GateSettings(**{"margin": 0.02, **settings}))


def test_bounds_of_the_paired_difference_are_those_of_a_t_interval_over_prompts():
    (check,) = judged(0.01).checks
    differences = NOISE + 0.01
    step = differences.std(ddof=1) / math.sqrt(60)
    reach = stats.t.ppf(0.95, 59) * step
    assert check.estimate == pytest.approx(differences.mean())
    assert check.lower == pytest.approx(differences.mean() - reach, abs=0.2 * step)
    assert check.upper == pytest.approx(differences.mean() + reach, abs=0.2 * step)
    assert check.sd == pytest.approx(differences.std(ddof=1))
    assert (check.prompts, check.clips, check.baseline_clips) == (60, 60, 60)


@pytest.mark.parametrize(
    ("shift", "verdict"), [(0.02, "pass"), (-0.08, "fail"), (-0.025, "undecided")]
)
def test_a_gain_passes_a_loss_fails_and_one_near_the_margin_is_not_decided(shift, verdict):
    found = judged(shift - NOISE.mean())
    assert found.verdict == verdict
    title = {"pass": "PASS", "fail": "FAIL", "undecided": "NOT ENOUGH PROMPTS TO TELL"}[verdict]
    assert sentences(found)[0].startswith(f"{title}: ")


def test_what_is_not_decided_says_how_many_prompts_would_be():
    found = judged(-0.025 - NOISE.mean())
    (check,) = found.checks
    z = stats.norm.ppf(0.95) + stats.norm.ppf(0.8)
    extra = stats.norm.ppf(0.95) ** 2 / 2
    assert check.needed_if_equal == math.ceil((z * check.sd / 0.02) ** 2 + extra)
    assert check.needed_as_seen == math.ceil((z * check.sd / 0.005) ** 2 + extra)
    with_limit = judged(-0.025 - NOISE.mean(), min_score=0.1).checks[0]
    sure = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)  # a fail of one of two checks
    extra = stats.norm.ppf(0.975) ** 2 / 2
    assert with_limit.needed_as_seen == math.ceil((sure * check.sd / 0.005) ** 2 + extra)
    (told,) = sentences(found)
    assert f"About {check.needed_if_equal:,.0f} prompts in all would decide with 80 % power" in told


def test_the_mean_of_a_prompt_s_clips_counts_once():
    """Eleven clips of one prompt weigh as one clip of another."""
    many = table([0.9] * 11, "new.csv", text="sound 0", audio=[f"m{i}" for i in range(11)])
    new = joined(table([None, *LEVELS[1:]], error=["x"] + [None] * 59), many)
    found = gate(new, OLD, GateSettings(margin=0.02, max_failed=1))
    assert found.checks[0].estimate == pytest.approx((0.9 - LEVELS[0]) / 60)
    assert found.checks[0].clips == 70


def test_neither_order_of_rows_nor_the_writing_of_prompts_matters():
    new = table(LEVELS + NOISE)
    turned = GateTable(
        where="new.csv",
        rows=tuple(
            GateRow(line=r.line, score=Score(audio=r.score.audio, text=r.score.text.upper() + " ",
                                             score=r.score.score))
            for r in reversed(new.rows)
        ),
    )  # fmt: skip
    one, other = (gate(t, OLD, GateSettings(margin=0.02)).checks[0] for t in (new, turned))
    assert one == other


def test_lower_is_better_turns_the_margin_and_the_limit_around():
    up = gate(table(LEVELS + NOISE), OLD, GateSettings(margin=0.02, min_score=0.2))
    down = gate(
        table(-LEVELS - NOISE),
        table(-LEVELS, "old.csv"),
        GateSettings(metric="distance", lower_is_better=True, margin=0.02, max_score=-0.2),
    )
    for one, other in zip(up.checks, down.checks, strict=True):
        assert one.verdict == other.verdict
        assert (one.lower, one.upper) == pytest.approx((-other.upper, -other.lower))
        assert one.limit == pytest.approx(-other.limit)
    told = " ".join(sentences(down))
    assert "no more than 0.02 above the baseline's" in told
    assert "with 95 % confidence" in told


def test_a_limit_of_the_mean_and_a_margin_must_both_be_kept():
    settings = {"margin": 0.02, "min_score": 0.9}
    found = gate(table(LEVELS + NOISE + 0.02), OLD, GateSettings(**settings))
    assert [check.verdict for check in found.checks] == ["pass", "fail"]
    assert found.verdict == "fail"
    first, *rest = sentences(found)
    assert first == "FAIL by 1 of 2 checks."
    assert [line.split(":")[0] for line in rest] == ["PASS", "FAIL"]
    assert {check.fail_confidence for check in found.checks} == {0.975}  # Bonferroni
    assert {check.pass_confidence for check in found.checks} == {0.95}


RATED = {"rating": [5 + 0.1 * i for i in range(20)], "rating_error": [2.5] * 20}


def test_a_mean_rating_has_the_error_of_its_map_which_prompts_do_not_shrink():
    new = table(np.linspace(0, 0.5, 20), **RATED)
    found = gate(new, settings=GateSettings(min_rating=4), map_error=lambda score: 0.5)
    (check,) = found.checks
    ratings = np.array(RATED["rating"])
    own = math.sqrt((2.5**2 - 0.5**2) / 20)
    z, t = stats.norm.ppf(0.95), stats.t.ppf(0.95, 19)
    reach = math.sqrt((t * ratings.std(ddof=1)) ** 2 / 20 + z**2 * (0.5**2 + own**2))
    assert check.estimate == pytest.approx(5.95)
    assert check.lower == pytest.approx(5.95 - reach, abs=0.03)
    assert check.map_error == pytest.approx(0.5)
    assert found.verdict == "pass"


def test_without_the_map_all_of_the_rating_s_error_is_shared_and_more_prompts_are_no_help():
    new = table(np.linspace(0, 0.5, 20), **RATED)
    found = gate(new, settings=GateSettings(min_rating=4))
    assert found.verdict == "undecided"
    assert found.checks[0].needed_as_seen == math.inf
    assert "More prompts would not decide: the error of the map" in sentences(found)[0]
    assert any("--model names the model" in line for line in warnings(found))


def test_a_clip_without_a_rating_is_named():
    ratings = [5.0] * 19 + [math.nan]
    new = table([0.3] * 20, rating=ratings, rating_error=[1.0] * 20)
    with pytest.raises(TableError, match=r"new\.csv:21: has no rating"):
        gate(new, settings=GateSettings(min_rating=4))


def test_clips_that_cannot_be_scored_fail_the_gate_unless_they_are_allowed():
    values = [None, None, *(LEVELS[2:] + 0.05)]
    found = gate(table(values), OLD, GateSettings(margin=0.02))
    assert (found.verdict, found.checks[0].verdict) == ("fail", "pass")
    assert (
        "2 clips of new.csv could not be scored: new.csv/0.wav (new.csv:2: no such file)"
        in (sentences(found)[0])
    )
    allowed = gate(table(values), OLD, GateSettings(margin=0.02, max_failed=2))
    assert allowed.verdict == "pass"
    assert allowed.checks[0].prompts == 58
    told = " ".join(warnings(allowed))
    assert "2 prompts left out, since one side has no scored clip of them: 'sound 0'" in told
    assert "--max-failed allows 2." in told


def test_a_table_of_failures_only_fails_and_never_passes_silently():
    found = gate(table([None] * 20), settings=GateSettings(min_score=0.1))
    assert found.verdict == "fail"
    allowed = gate(table([None] * 20), settings=GateSettings(min_score=0.1, max_failed=20))
    assert allowed.verdict == "undecided"
    assert "no prompt has a score" in sentences(allowed)[0]


def test_failures_of_the_baseline_are_told():
    old = table([None, *LEVELS[1:]], "old.csv")
    found = gate(table(LEVELS + 0.05), old, GateSettings(margin=0.02))
    assert found.verdict == "pass"
    assert "1 clip of old.csv could not be scored." in warnings(found)


@pytest.mark.parametrize("count", [1, 2, 19])
def test_few_prompts_never_decide(count):
    found = gate(
        table(LEVELS[:count] + 0.5 + NOISE[:count]),
        table(LEVELS[:count], "old.csv"),
        GateSettings(margin=0.02),
    )
    assert found.verdict == "undecided"
    assert "fewer than 20 prompts" in sentences(found)[0]
    assert any("With fewer than 50 prompts" in line for line in warnings(found))
    assert math.isnan(found.checks[0].needed_as_seen) == (count == 1)


def test_unlike_prompts_are_refused_and_named_or_left_out_and_told():
    new = table(LEVELS[:58] + 0.05)
    with pytest.raises(InputError, match=r"2 only in old\.csv \(line 60\): 'sound 58'"):
        gate(new, OLD, GateSettings(margin=0.02))
    found = gate(new, OLD, GateSettings(margin=0.02, shared_only=True))
    assert found.checks[0].prompts == 58
    assert found.left_out == ("sound 58", "sound 59")
    assert any("2 prompts left out, since one table lacks them" in line for line in warnings(found))


def test_systems_meet_by_name_and_what_does_not_meet_is_refused():
    new = joined(*(table(LEVELS + x, f"{n}.csv", system=n) for n, x in (("a", 0.1), ("b", -0.1))))
    old = joined(*(table(LEVELS, f"o{n}.csv", system=n) for n in ("b", "a")))
    found = gate(new, old, GateSettings(margin=0.02))
    assert [(c.system, c.verdict) for c in found.checks] == [("a", "pass"), ("b", "fail")]
    only = gate(new, old, GateSettings(margin=0.02, systems=("a",)))
    assert only.verdict == "pass"
    with pytest.raises(InputError, match="choose with --system those that both have"):
        gate(new, OLD, GateSettings(margin=0.02))
    with pytest.raises(TableError, match="no system 'x'; there are: a, b"):
        gate(new, old, GateSettings(margin=0.02, systems=("x",)))
    with pytest.raises(TableError, match="2 systems"):
        gate(new, old, GateSettings(margin=0.02, baseline_system="a"))
    across = gate(new, old, GateSettings(margin=0.02, systems=("b",), baseline_system="a"))
    assert (across.checks[0].system, across.checks[0].baseline_system) == ("b", "a")


def test_one_system_a_table_is_compared_whatever_it_is_called():
    new = table(LEVELS + 0.05, system="night-0412")
    assert gate(new, OLD, GateSettings(margin=0.02)).verdict == "pass"


def test_a_system_is_not_compared_with_itself_but_with_another_of_its_table():
    both = joined(*(table(LEVELS + x, f"{n}.csv", system=n) for n, x in (("a", 0.1), ("b", 0.0))))
    for settings in ({}, {"systems": ("a",)}, {"systems": ("a",), "baseline_system": "a"}):
        with pytest.raises(TableError, match="compared with itself"):
            gate(both, both, GateSettings(margin=0.02, **settings))
    settings = GateSettings(margin=0.02, systems=("a",), baseline_system="b")
    assert gate(both, both, settings).checks[0].estimate == pytest.approx(0.1)


def test_unlike_signatures_are_refused_unless_forced():
    new, old = table(LEVELS, signature="one"), table(LEVELS, "old.csv", signature="two")
    with pytest.raises(SignatureMismatchError, match="or give --force"):
        gate(new, old, GateSettings(margin=0.02))
    found = gate(new, old, GateSettings(margin=0.02, force=True))
    assert any("No common signature" in line for line in warnings(found))
    half = gate(table(LEVELS), old, GateSettings(margin=0.02))
    assert any("carry no signature" in line for line in warnings(half))


def test_the_same_table_twice_is_doubted_and_decides_nothing_at_margin_0():
    found = gate(table(LEVELS), OLD, GateSettings(margin=0))
    assert found.verdict == "undecided"
    assert any("is the baseline the table that is judged?" in line for line in warnings(found))
    assert gate(table(LEVELS), OLD, GateSettings(margin=0.001)).verdict == "pass"


def test_where_two_prompts_alone_changed_nothing_is_claimed_of_the_others_like_them():
    values = LEVELS.copy()
    values[[4, 9]] -= 0.1
    found = gate(table(values), OLD, GateSettings(margin=0.02))
    assert (found.verdict, found.checks[0].lower) == ("undecided", -math.inf)
    assert "(all but one or two have the same value), without a lower bound" in sentences(found)[0]
    values[[11, 12]] -= 0.1
    assert gate(table(values), OLD, GateSettings(margin=0.02)).verdict == "pass"


def test_prompts_that_lost_the_most_come_first_and_met_pairs_are_named():
    values = LEVELS.copy()
    values[[3, 7]] -= 0.3, 0.5
    new = table(values, met=["caption:trained"] + ["nothing"] * 59)
    found = gate(new, OLD, GateSettings(margin=0.02, worst=3))
    assert [change.text for change in found.worst] == ["sound 7", "sound 3"]
    assert found.worst[0].difference == pytest.approx(-0.5)
    assert any("new.csv:2 new.csv/0.wav | sound 0: caption:trained" in w for w in warnings(found))


def test_the_summary_and_the_annotation_cannot_be_broken_by_a_prompt():
    bad = "a | b <img src=x>\n::error::x 100 %"
    new = table(
        [0.1] * 12, text=[bad] + [f"s{i}" for i in range(11)], error=["x\r\n::y"] + [None] * 11
    )
    old = table(np.linspace(0.3, 0.4, 12), "o.csv", text=[r.score.text for r in new.rows])
    found = gate(new, old, GateSettings(margin=0.02))
    line = annotation(found, stops=True)
    assert line.startswith("::error title=humanclap gate::FAIL")
    assert "\n" not in line
    assert "\r" not in line
    page = markdown(gate(new, old, GateSettings(margin=0.02, max_failed=1)))
    assert "<img" not in page
    assert all(row.count(" | ") == 3 for row in page.splitlines() if row.startswith("| 0.1"))
    assert annotation(judged(0.05), stops=False).startswith("::notice ")
    assert annotation(judged(-0.025), stops=False).startswith("::warning ")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"margin": -0.1}, "margin is -0.1"),
        ({"margin": math.nan}, "finite"),
        ({"min_rating": 60}, "0..10"),
        ({"confidence": 0.5}, "confidence is 0.5"),
        ({"min_prompts": 1}, "min_prompts is 1"),
        ({"max_failed": -1}, "max_failed is -1"),
        ({"max_score": 1}, "lower_is_better"),
        ({"min_score": 1, "metric": "x", "lower_is_better": True}, "max_score"),
        ({"lower_is_better": True, "margin": 0.1}, "higher is better"),
        ({"replicates": 50, "margin": 0.1}, "cannot carry"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        GateSettings(**given)


@pytest.mark.parametrize(
    ("settings", "old", "message"),
    [
        ({}, None, "nothing is asked"),
        ({"margin": 0.1}, None, "needs a baseline"),
        ({"min_score": 0.1}, OLD, "needs a margin"),
        ({"min_score": 0.1, "baseline_system": "old"}, None, "need a baseline"),
    ],
)
def test_a_gate_must_be_asked_something_that_fits_its_tables(settings, old, message):
    with pytest.raises(SettingsError, match=message):
        gate(table(LEVELS), old, GateSettings(**settings))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.wav,rain,nan", r"s\.csv:2: column 'score' is 'nan'; expected a finite number"),
        ("a.wav,rain,", r"s\.csv:2: column 'score' is empty"),
        ("a.wav,rain,0.1\na.wav,Rain ,0.2", r"s\.csv:3: .* is already on line 2"),
        ("", "has no rows"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_with_its_file_and_line(tmp_path, monkeypatch, rows, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.csv").write_text(f"audio,text,score\n{rows}\n", encoding="utf-8")
    with pytest.raises(TableError, match=message):
        read_gate_table("s.csv")


def test_any_column_can_be_judged_and_the_score_need_not_be_there(tmp_path):
    path = tmp_path / "fad.csv"
    path.write_text("audio,text,fad,error\na.wav,rain,3.5,\nb.wav,wind,,broken\n", encoding="utf-8")
    found = read_gate_table(path, "fad")
    assert found.rows[0].score.score == 3.5
    assert found.rows[1].score.error == "broken"
    with pytest.raises(TableError, match="missing column 'score'"):
        read_gate_table(path)
