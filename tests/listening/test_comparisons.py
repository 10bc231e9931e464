"""A/B studies below the pages: tables, anchors, quotas, sides, answers, exports."""

from __future__ import annotations

import io
import math
import random
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humanclap.choices import read_choices, read_votes
from humanclap.errors import InputError, SettingsError, TableError
from humanclap.listening.design.anchors import make_contrasts, mismatched
from humanclap.listening.design.assignment import Stimulus, Trial
from humanclap.listening.design.comparisons import (
    EQUAL,
    A,
    ABComparison,
    B,
    choice_of,
    read_comparisons,
    read_items,
    score_of,
)
from humanclap.listening.design.design import parse_design
from humanclap.listening.design.design_templates import study_template
from humanclap.listening.design.quotas import wanted_of
from humanclap.listening.design.sides import draw_sides
from humanclap.listening.rehearsal.raters import RaterModel, chances
from humanclap.listening.rehearsal.simulate import rehearse
from humanclap.listening.results.all_answers import answered
from humanclap.listening.results.export import export_study
from humanclap.listening.results.listener_signs import chose_a
from humanclap.listening.results.monitor import overview
from humanclap.listening.study import admin_actions as steering
from humanclap.listening.study.answers import Answer, store_answer
from humanclap.listening.study.database import rows
from humanclap.listening.study.failed_clips import report_failure
from humanclap.listening.study.session_trials import has_room
from humanclap.listening.study.study import Study, create_study, open_study
from humanclap.ratings.choice_summary import summarise_choices
from humanclap.records import Pair

from .conftest import SYSTEMS
from .test_answers import begun, errors_at_once, fall_idle, trials
from .test_rehearsal import book_of_all_columns, read_csv

DESIGN = """
title = "Which one?"
trial = "{trial}"
seed = 5
[quota]
choices_per_comparison = 4
[session]
pairs = 6
anchors = 2
attention_checks = 1
repeats = 2
practice = 1
volume_check = false
"""
CLIPS = DESIGN.format(trial="clips")
TEXTS = DESIGN.format(trial="texts")
MakeCompared = Callable[..., Study]


def of_clips(pairs: list[Pair]) -> list[ABComparison]:
    """Every two systems against each other for each caption: 24 comparisons."""
    by_text: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_text[pair.text].append(pair)
    return [
        ABComparison(first=one, second=other)
        for same in by_text.values()
        for one, other in combinations(same, 2)
    ]


def of_texts(pairs: list[Pair]) -> list[ABComparison]:
    """Each clip's caption against a longer one of its own: 24 comparisons."""
    return [
        ABComparison(
            first=Pair(audio=pair.audio, text=pair.text),
            second=Pair(audio=pair.audio, text=f"{pair.text}, quite near"),
            kind="HC",
        )
        for pair in pairs
    ]


@pytest.fixture
def make_compared(tmp_path: Path, clips: tuple[Path, list[Pair]]) -> Iterator[MakeCompared]:
    opened: list[Study] = []

    def make(design: str = CLIPS, *, name: str = "study", n: int | None = None) -> Study:
        folder, pairs = clips
        items = (of_texts if 'trial = "texts"' in design else of_clips)(pairs)[:n]
        where = str(tmp_path / f"{name}.sqlite")
        create_study(where, design_text=design, pairs=items, audio_root=folder)
        opened.append(open_study(where))
        return opened[-1]

    yield make
    for study in opened:
        study.close()


def answer(study: Study, trial: dict, score: float = A, **changes: object) -> Answer:
    second = {"play_count_second": 1} if study.design.n_sounds == 2 else {}
    fields = {
        "answer_id": f"{random.getrandbits(128):032x}",
        "trial_id": trial["trial_id"],
        "values": {"CHOICE": score},
        "play_count": 1,
        "heard_to_end": True,
        "trial_s": 4.0,
        **second,
        **changes,
    }
    return Answer(**fields)


def answer_all(study: Study, session, score: float = A) -> None:
    for trial in trials(study, session):
        if trial["state"] == "open":
            assert store_answer(study, session, answer(study, trial, score)) == "stored"


# -- tables ---------------------------------------------------------------------------------


def test_a_choice_is_read_by_the_side_that_stood_first() -> None:
    for swapped in (False, True):
        for button in (A, EQUAL, B):
            assert score_of(choice_of(button, swapped=swapped), swapped=swapped) == button
    assert choice_of(A, swapped=True) == "second", "b stood at A"


def test_both_forms_of_table_are_read(tmp_path: Path) -> None:
    clips = tmp_path / "clips.csv"
    clips.write_text("text,audio_a,audio_b,system_a,system_b,split\nrain,a.wav,b.wav,x,y,test\n")
    [item] = read_comparisons(clips, "clips")
    assert (item.between, item.group, item.split) == ("clips", "x vs y", "test")
    assert (item.second.audio, item.second.text, item.second.system) == ("b.wav", "rain", "y")
    texts = tmp_path / "texts.csv"
    texts.write_text("audio,text_a,text_b,kind\na.wav,rain,wind,HC\n")
    [item] = read_comparisons(texts, "texts")
    assert (item.between, item.group, item.kind) == ("texts", None, "HC")
    anchors = tmp_path / "anchors.csv"
    anchors.write_text("audio,text_a,text_b,expected\na.wav,rain,wind,second\n")
    [item] = read_items(anchors, "texts", anchors=True)
    assert (item.kind, item.expected) == ("anchor", "second")


def test_standard_input_is_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    table = "text,audio_a,audio_b\nrain,a.wav,b.wav\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(table))
    with pytest.raises(TableError, match=r"-:1: holds comparisons .* write trial = 'clips'"):
        read_items("-", None)
    [item] = read_items("-", "clips")
    assert isinstance(item, ABComparison)
    assert (item.first.audio, item.second.audio) == ("a.wav", "b.wav")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("text,audio_a\nrain,a.wav\n", "missing column 'audio_b'"),
        ("text,audio_a,audio_b\nrain,a.wav,a.wav\n", ":2: the two sides are the same"),
        (
            "text,audio_a,audio_b\nrain,a.wav,b.wav\nrain,b.wav,a.wav\n",
            r":3: comparison .* is already on line 2",
        ),
        ("text,audio_a,audio_b,system_a\nrain,a.wav,b.wav,x\n", "give both or neither"),
        ("text,audio_a,audio_b,kind\nrain,a.wav,b.wav,anchor\n", "--anchors"),
        ("text,audio_a,audio_b\n,a.wav,b.wav\n", "'text' is empty"),
        ("audio,text_a,text_b\na.wav,rain,wind\n", "trial = 'texts'"),
    ],
)
def test_a_table_that_no_trial_could_show_is_refused(
    tmp_path: Path, table: str, message: str
) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(table)
    with pytest.raises(TableError, match=message):
        read_items(path, "clips")


def test_an_anchor_without_a_right_side_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "anchors.csv"
    path.write_text("audio,text_a,text_b,expected\na.wav,rain,wind,equal\n")
    with pytest.raises(TableError, match="expected one of first, second"):
        read_items(path, "texts", anchors=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('trial = "sounds"', "expected one of rating, texts, clips"),
        ('trial = "clips"\n[quota]\nratings_per_pair = 3', "no meaning where trial is 'clips'"),
        ('trial = "clips"\n[scale]\nlow = 1', "no meaning"),
        ("[quota]\nchoices_per_comparison = 3", "no meaning where trial is 'rating'"),
        ('trial = "texts"\n[[question]]\nid = "REL"', "known: CHOICE, COMMENT"),
        ('[[question]]\nid = "CHOICE"', "known: REL, IS, OS, OVERALL, COMMENT"),
        ('trial = "texts"\n[choice]\nequal = 1', "expected true or false"),
        ('trial = "clips"\n[quota]\nchoices_per_system_pair = -1', "at least 0"),
    ],
)
def test_a_design_of_the_wrong_kind_is_refused(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_design(f'title = "T"\n{text}')


@pytest.mark.parametrize("trial", ["clips", "texts"])
def test_the_starters_can_be_used_as_they_are(trial: str) -> None:
    design = parse_design(study_template(trial))
    assert (design.between, design.quota.choices_per_comparison) == (trial, 8)
    assert [design.button(value) for value in design.scale.choices] == ["A", "About equal", "B"]
    assert "ratings_per_pair" not in study_template(trial)
    assert "[scale]" not in study_template(trial)


def test_a_study_of_another_kind_than_its_table_is_refused(tmp_path: Path, clips) -> None:
    folder, pairs = clips
    where = str(tmp_path / "s.sqlite")
    for design, items in (
        (CLIPS, pairs),
        (CLIPS, of_texts(pairs)),
        ('title = "T"', of_clips(pairs)),
    ):
        with pytest.raises(InputError, match="the table is for"):
            create_study(where, design_text=design, pairs=items, audio_root=folder)
    twice = [*of_clips(pairs), of_clips(pairs)[0]]
    with pytest.raises(InputError, match="appears twice"):
        create_study(where, design_text=CLIPS, pairs=twice, audio_root=folder)


# -- anchors, quotas, sides -----------------------------------------------------------------


def test_an_anchors_wrong_side_matches_nothing_of_its_clip_and_its_right_side_is_the_studys(
    clips,
) -> None:
    for items, between in ((of_clips(clips[1]), "clips"), (of_texts(clips[1]), "texts")):
        own: dict[str, set[str]] = defaultdict(set)
        for item in items:
            for side in (item.first, item.second):
                own[side.audio].add(side.text)
        anchors = make_contrasts(items, between, 5, seed=1)
        assert len(anchors) == 5
        assert anchors == make_contrasts(items, between, 5, seed=1)
        for anchor in anchors:
            assert (anchor.between, anchor.kind, anchor.expected) == (between, "anchor", "first")
            assert anchor.first.text in own[anchor.first.audio]
            assert mismatched(anchor.second.text, own[anchor.second.audio])


def test_texts_that_contradict_each_other_make_no_anchor() -> None:
    """Of a right and a wrong caption nobody can tell which fits."""
    items = [
        ABComparison(
            first=Pair(audio=f"{n}.wav", text=text), second=Pair(audio=f"{n}.wav", text=wrong)
        )
        for n, (text, wrong) in enumerate(
            [("A dog barks", "Rain falls"), ("An engine idles", "Birds sing")]
        )
    ]
    with pytest.raises(InputError, match="none is known to fit"):
        make_contrasts(items, "texts", 1, seed=0)


def test_a_quota_by_pair_of_systems_is_spread_evenly_and_exactly(clips) -> None:
    items = of_clips(clips[1])
    design = parse_design(
        CLIPS.replace("choices_per_comparison = 4", "choices_per_system_pair = 20")
    )
    wanted = wanted_of(items, design)
    by_group: dict[str | None, list[int]] = defaultdict(list)
    for item, n in zip(items, wanted, strict=True):
        by_group[item.group].append(n)
    assert len(by_group) == 3
    for counts in by_group.values():
        assert sum(counts) == 20
        assert set(counts) == {2, 3}, "8 comparisons"
    assert wanted == wanted_of(items, design)
    with pytest.raises(InputError, match="names none"):
        wanted_of(of_texts(clips[1]), replace(design, trial="texts", questions=design.questions))


def test_comparisons_that_a_quota_leaves_out_are_said(tmp_path: Path, clips) -> None:
    design = CLIPS.replace("choices_per_comparison = 4", "choices_per_system_pair = 5")
    folder, pairs = clips
    made = create_study(
        str(tmp_path / "s.sqlite"), design_text=design, pairs=of_clips(pairs), audio_root=folder
    )
    assert made.n_ratings == 15
    assert any("9 comparisons are never asked" in note for note in made.notes)


def stimuli(n: int) -> list[Stimulus]:
    names = [("x", "y"), ("y", "x"), ("x", "z")]
    return [
        Stimulus(
            stimulus_id=f"s{i}", kind="pair", wanted=4, text="t", text_b="t",
            audio=f"{i}a.wav", audio_b=f"{i}b.wav",
            system=names[i % 3][0], system_b=names[i % 3][1],
        )
        for i in range(n)
    ]  # fmt: skip


@settings(deadline=None, max_examples=30)
@given(n=st.integers(1, 12), sessions=st.integers(1, 9), seed=st.integers(0, 99))
def test_sides_are_balanced_for_each_comparison_and_each_pair_of_systems(n, sessions, seed) -> None:
    pairs = stimuli(n)
    held: Counter[tuple[str, bool]] = Counter()
    for number in range(sessions):
        plan = [Trial(kind="rating", stimulus=s, text=s.text) for s in pairs]
        drawn = draw_sides(plan, pairs, held, held, random.Random(f"{seed} {number}"))
        held.update((t.stimulus.stimulus_id, t.swapped) for t in drawn)
    leads: Counter[tuple[str | None, str | None]] = Counter()
    for s in pairs:
        a, b = held[s.stimulus_id, False], held[s.stimulus_id, True]
        assert abs(a - b) == sessions % 2
        leads[s.group, s.system] += a
        leads[s.group, s.system_b] += b
    for group in {s.group for s in pairs}:
        first, second = sorted(str(group).split(" vs "))
        assert abs(leads[group, first] - leads[group, second]) <= 1


def test_a_side_given_back_is_drawn_again() -> None:
    pairs = stimuli(1)
    plan = [Trial(kind="rating", stimulus=pairs[0], text="t")]
    ever = {("s0", False): 1}
    for seed in range(20):
        [trial] = draw_sides(plan, pairs, {}, ever, random.Random(seed))
        assert trial.swapped, "the other side has never been shown first"


def test_repeats_are_swapped_and_anchors_alternate(make_compared: MakeCompared) -> None:
    study = make_compared()
    for _ in range(3):
        own = trials(study, begun(study))
        first = {t["stimulus_id"]: t["swapped"] for t in own if t["kind"] == "rating"}
        repeats = [t for t in own if t["kind"] == "repeat"]
        assert len(repeats) == 2
        assert all(t["swapped"] != first[t["stimulus_id"]] for t in repeats)
        anchors = [t for t in own if t["kind"] == "anchor"]
        assert sorted(t["expected"] for t in anchors) == [A, B], "right is at A once, at B once"
        assert all((t["expected"] == B) == bool(t["swapped"]) for t in anchors)


def test_the_same_seed_gives_the_same_sides(make_compared: MakeCompared) -> None:
    def drawn(study: Study) -> list[tuple]:
        own = trials(study, begun(study))
        with study.database.read() as connection:
            names = {
                item["stimulus_id"]: (item["audio"], item["audio_b"])
                for item in rows(connection, "SELECT stimulus_id, audio, audio_b FROM stimuli")
            }
        return [(names[t["stimulus_id"]], t["kind"], t["swapped"], t["expected"]) for t in own]

    assert drawn(make_compared(name="one")) == drawn(make_compared(name="two"))


# -- answers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"values": {"CHOICE": 0.5}},
        {"values": {"CHOICE": "A"}},
        {"values": {"CHOICE": 2.0}},
        {"values": {}},
        {"values": {"REL": 5.0}},
        {"heard_to_end": False},
        {"play_count": 0},
        {"play_count_second": 0},
        {"play_count_second": None},
        {"play_count_second": 10**9},
    ],
)
def test_an_answer_that_breaks_the_rules_is_refused(
    make_compared: MakeCompared, changes: dict
) -> None:
    study = make_compared()
    session = begun(study)
    with pytest.raises(InputError):
        store_answer(study, session, answer(study, trials(study, session)[0], **changes))


def test_one_sound_has_no_second_count_of_plays(make_compared: MakeCompared) -> None:
    study = make_compared(TEXTS)
    session = begun(study)
    trial = trials(study, session)[0]
    with pytest.raises(InputError, match="1 sounds"):
        store_answer(study, session, answer(study, trial, play_count_second=1))
    assert store_answer(study, session, answer(study, trial)) == "stored"


def test_without_equal_a_side_must_be_chosen(make_compared: MakeCompared) -> None:
    study = make_compared(CLIPS + "[choice]\nequal = false\n")
    session = begun(study)
    trial = trials(study, session)[0]
    with pytest.raises(InputError, match="not one of the buttons"):
        store_answer(study, session, answer(study, trial, EQUAL))
    assert store_answer(study, session, answer(study, trial, B)) == "stored"


def test_a_choice_sent_again_is_stored_once_and_cannot_be_changed_afterwards(
    make_compared: MakeCompared,
) -> None:
    study = make_compared()
    session = begun(study)
    first = answer(study, trials(study, session)[0])
    assert store_answer(study, session, first) == "stored"
    assert store_answer(study, session, replace(first, waited_s=9.0)) == "repeated"
    assert store_answer(study, session, replace(first, play_count_second=2)) == "conflict"
    with sqlite3.connect(study.database.where) as raw:
        for statement in ("UPDATE answers SET play_count_second = 7", "DELETE FROM answer_values"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                raw.execute(statement)
    raw.close()


def test_a_revised_choice_counts_and_the_first_is_kept(
    make_compared: MakeCompared, tmp_path: Path
) -> None:
    study = make_compared()
    session = begun(study)
    trial = trials(study, session, "rating")[0]
    first = answer(study, trial, A)
    store_answer(study, session, first)
    again = answer(study, trial, B, revises=first.answer_id, play_count_second=3)
    assert store_answer(study, session, again) == "revised"
    export_study(study, tmp_path)
    [kept] = read_csv(tmp_path / "choices.csv")
    [aside] = read_csv(tmp_path / "set_aside.csv")
    assert (kept["revision"], aside["set_aside"]) == ("1", "revised")
    assert {kept["choice"], aside["choice"]} == {"first", "second"}
    own, other = ("play_count_a", "play_count_b") if trial["swapped"] else (
        "play_count_b", "play_count_a",
    )  # fmt: skip
    assert (kept[own], kept[other]) == ("3", "1"), "B was played three times"


def test_simultaneous_and_idle_listeners_end_with_exact_quotas_and_balanced_sides(
    make_compared: MakeCompared,
) -> None:
    study = make_compared()
    fall_idle(study, begun(study))

    def take_part() -> None:
        while True:
            answer_all(study, begun(study))

    assert errors_at_once(take_part, n=8) == []
    view = overview(study)
    assert {(pair.answered, pair.promised) for pair in view.pairs} == {(4, 0)}
    assert [(s.system, s.answered, s.led) for s in view.systems] == [
        ("alpha vs beta", 32, 16), ("alpha vs natural", 32, 16), ("beta vs natural", 32, 16),
    ]  # fmt: skip
    with study.database.read() as connection:
        sides = rows(
            connection,
            "SELECT stimulus_id, SUM(swapped) AS n FROM trials "
            "WHERE kind = 'rating' AND state = 'answered' GROUP BY stimulus_id",
        )
    assert {int(item["n"]) for item in sides} == {2}, "each side first twice"


def test_a_clip_that_fails_takes_its_comparisons_with_it(make_compared: MakeCompared) -> None:
    study = make_compared(CLIPS.replace("anchors = 2", "anchors = 0"), n=3)
    report_failure(study, "beta/0.ogg", "gone")
    with study.database.read() as connection:
        assert has_room(connection, simulated=False), "two of the three comparisons need it"
    session = begun(study)
    own = trials(study, session, "rating")
    assert len(own) == 1
    report_failure(study, "natural/0.flac", "gone")
    with study.database.read() as connection:
        assert not has_room(connection, simulated=False)


def test_topping_up_goes_by_pair_of_systems(make_compared: MakeCompared) -> None:
    study = make_compared()
    assert steering.top_up(study, 2, system="alpha vs beta") == 8
    assert Counter(pair.wanted for pair in overview(study).pairs) == {4: 16, 6: 8}
    with pytest.raises(InputError, match="no system"):
        steering.top_up(study, 1, system="alpha")


# -- rehearsal, figures, export -------------------------------------------------------------


@pytest.fixture(scope="module", params=["clips", "texts"])
def rehearsed(request, tmp_path_factory: pytest.TempPathFactory, clips) -> Iterator[Study]:
    folder = tmp_path_factory.mktemp("rehearsed")
    where = str(folder / "study.sqlite")
    items = (of_clips if request.param == "clips" else of_texts)(clips[1])
    design = DESIGN.format(trial=request.param).replace("comparison = 4", "comparison = 2")
    create_study(where, design_text=design, pairs=items, audio_root=clips[0])
    study = open_study(where)
    model = RaterModel(seed=2, careless=0.0)
    done = rehearse(study, n_listeners=9, model=model, cache=folder / "cache")
    assert (done.finished, done.turned_away) == (8, 1)
    yield study
    study.close()


def test_the_export_is_what_the_choices_are_read_from(rehearsed: Study, tmp_path: Path) -> None:
    done = export_study(rehearsed, tmp_path, simulated=True)
    assert done.table == "choices.csv"
    choices = read_choices(tmp_path / "choices.csv")
    assert {one.between for one in choices} == {rehearsed.design.between}
    asked = [one for one in choices if not one.is_check and not one.repeat]
    assert len(asked) == 24 * 2
    assert sum(one.repeat for one in choices) == 2 * 8
    checks = Counter(one.kind for one in choices if one.is_check)
    assert checks == {"anchor": 2 * 8, "attention_check": 8}
    assert all(one.choice == one.expected for one in choices if one.is_check)
    assert Counter(one.shown_first for one in asked) == {"a": 24, "b": 24}
    assert min(one.duration_s for one in choices) > 4.0
    votes = read_votes(tmp_path / "choices.csv")
    assert {vote.n_first + vote.n_second + vote.n_equal for vote in votes} == {2}
    assert len(votes) == 24
    if rehearsed.design.between == "texts":
        assert {one.kind for one in asked} == {"HC"}
    else:
        systems = {frozenset((one.system_a, one.system_b)) for one in asked}
        assert systems == {frozenset(two) for two in combinations(SYSTEMS, 2)}
    assert Counter(row["set_aside"] for row in read_csv(tmp_path / "set_aside.csv")) == {
        "practice": 8
    }


def test_what_was_clicked_and_what_is_exported_agree(rehearsed: Study, tmp_path: Path) -> None:
    """By hand from the database: the button, the drawn side, the sides' own names."""
    export_study(rehearsed, tmp_path, simulated=True)
    exported = {(r["session_id"], r["trial_number"]): r for r in read_csv(tmp_path / "choices.csv")}
    with rehearsed.database.read() as connection:
        found = rows(
            connection,
            "SELECT t.session_id, t.number, t.swapped, v.score, p.audio, p.audio_b FROM trials t "
            "JOIN answers a ON a.trial_id = t.trial_id JOIN stimuli p "
            "ON p.stimulus_id = t.stimulus_id JOIN answer_values v ON v.answer_id = a.answer_id "
            "WHERE t.kind = 'rating'",
        )
    for item in found:
        row = exported[item["session_id"], str(item["number"])]
        on_page = {-1: "A", 0: "equal", 1: "B"}[item["score"]]
        shown = {"A": "b", "B": "a"} if item["swapped"] else {"A": "a", "B": "b"}
        named = {"a": "first", "b": "second", "equal": "equal"}
        assert row["choice"] == named[shown.get(on_page, "equal")]
        assert row["shown_first"] == shown["A"]
        if rehearsed.design.between == "clips":
            assert (row["audio_a"], row["audio_b"]) == (item["audio"], item["audio_b"])


def test_the_codebook_explains_every_column_and_code_of_choices(
    rehearsed: Study, tmp_path: Path
) -> None:
    done = export_study(rehearsed, tmp_path, simulated=True)
    book = book_of_all_columns(tmp_path, done.files)
    codes = {(row["column"], row["value"]) for row in book if row["value"]}
    for row in read_csv(tmp_path / "choices.csv"):
        for column in ("choice", "expected", "shown_first"):
            assert not row[column] or (column, row[column]) in codes


def test_shares_agreement_and_signs_are_those_of_a_hand_calculation(
    rehearsed: Study, tmp_path: Path
) -> None:
    from scipy import stats

    view = overview(rehearsed, simulated=True)
    with rehearsed.database.read() as connection:
        own = [i for i in answered(connection, simulated=True) if i.kind == "rating"]
    group = view.systems[0].system
    worth = {"first": 1.0, "equal": 0.5, "second": 0.0}
    by_comparison: dict[str, list[float]] = defaultdict(list)
    for item in own:
        if (item.group or "(no system)") == group:
            share = worth[str(item.choice)]
            turned = (item.system or "") > (item.system_b or "")
            by_comparison[item.stimulus_id].append(1 - share if turned else share)
    means = [sum(values) / len(values) for values in by_comparison.values()]
    low, high = stats.t.interval(0.95, len(means) - 1, sum(means) / len(means), stats.sem(means))
    mos = view.systems[0].mos
    assert (mos.mean - mos.half_width, mos.mean + mos.half_width) == pytest.approx((low, high))
    export_study(rehearsed, tmp_path, simulated=True)
    summary = summarise_choices(read_choices(tmp_path / "choices.csv"))[0]
    alpha = summary.alpha_ordinal.value
    assert view.agreement[0].alpha == pytest.approx(alpha), "as the ratings stage has it"
    decided = [i.score for i in own if i.score != EQUAL]
    assert view.chose_a == pytest.approx(decided.count(A) / len(decided))
    for listener in view.listeners:
        if listener.trials:
            assert (listener.anchors_right, listener.checks_failed, listener.flags) == (1.0, 0, ())
            assert listener.repeats_same in (0.0, 0.5, 1.0)


def test_careless_and_one_sided_listeners_are_flagged(make_compared: MakeCompared) -> None:
    study = make_compared(CLIPS.replace("pairs = 6", "pairs = 12").replace("repeats = 2", ""))
    session = begun(study)
    answer_all(study, session, A)
    [person] = overview(study).listeners
    assert person.anchors_right == 0.5, "one of the two stood right at A"
    assert {"anchors", "one side"} <= set(person.flags)
    assert person.chose_a == 1.0
    assert chose_a([]) != chose_a([]), "undefined without choices"


def test_repeats_stand_with_what_they_repeat_and_aside_without_it(
    make_compared: MakeCompared, tmp_path: Path
) -> None:
    study = make_compared()
    session = begun(study)
    answer_all(study, session)
    steering.exclude_listener(study, session.listener_id, "a test")
    answer_all(study, begun(study))
    export_study(study, tmp_path)
    kept = read_csv(tmp_path / "choices.csv")
    assert sum(row["repeat"] == "true" for row in kept) == 2
    aside = Counter(row["set_aside"] for row in read_csv(tmp_path / "set_aside.csv"))
    assert aside["repeat"] == 2, "the excluded listener's"


# -- simulated listeners --------------------------------------------------------------------


def test_the_chances_are_those_of_bradley_terry_and_davidson() -> None:
    odds = chances(math.log(4.0), 0.0, ties=0.5)
    total = 4.0 + 1.0 + 0.5 * 2.0
    assert odds == pytest.approx({A: 4 / total, EQUAL: 1 / total, B: 1 / total})
    assert chances(2000.0, 1000.0, ties=0.5)[A] == pytest.approx(1.0)
    assert chances(0.3, 0.3, ties=0.0) == {A: 0.5, EQUAL: 0.0, B: 0.5}


def test_simulated_listeners_choose_by_the_strengths_given(
    make_compared: MakeCompared, tmp_path: Path
) -> None:
    study = make_compared()
    table = tmp_path / "truth.csv"
    table.write_text("system,strength\nnatural,30\nalpha,0\nbeta,-30\n")
    model = RaterModel(careless=0.0)
    rehearse(study, n_listeners=2, model=model, cache=tmp_path / "cache", truth=table)
    shares = {s.system: s.mos.mean for s in overview(study, simulated=True).systems}
    assert shares == {"alpha vs beta": 1.0, "alpha vs natural": 0.0, "beta vs natural": 0.0}


def test_a_table_of_strengths_that_misses_a_side_is_refused(
    make_compared: MakeCompared, tmp_path: Path
) -> None:
    table = tmp_path / "truth.csv"
    table.write_text("system,strength\nnatural,1\n")
    with pytest.raises(InputError, match="no strength for 'alpha', 'beta'"):
        rehearse(make_compared(), n_listeners=1, model=RaterModel(), cache=tmp_path, truth=table)
