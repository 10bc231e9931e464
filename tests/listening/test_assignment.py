from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from humanclap.listening.design.assignment import Stimulus, choose_pairs, plan_session
from humanclap.listening.design.design import parse_design


def stimuli(n: int, wanted: int = 3, systems: int = 3) -> list[Stimulus]:
    return [
        Stimulus(
            stimulus_id=f"s{i}",
            kind="pair",
            audio=f"{i}.wav",
            text=f"text {i // systems}",
            wanted=wanted,
            system=f"system {i % systems}",
        )
        for i in range(n)
    ]


def test_the_least_rated_come_first() -> None:
    pairs = stimuli(6)
    load = {"s0": 2, "s1": 2, "s2": 1, "s3": 1, "s4": 0, "s5": 0}
    chosen = choose_pairs(pairs, load, set(), 3, random.Random(0))
    assert {s.stimulus_id for s in chosen[:2]} == {"s4", "s5"}
    assert chosen[2].stimulus_id in {"s2", "s3"}


def test_full_and_heard_pairs_are_never_chosen() -> None:
    chosen = choose_pairs(stimuli(4), {"s0": 3}, {"s1"}, 10, random.Random(0))
    assert {s.stimulus_id for s in chosen} == {"s2", "s3"}


def test_a_session_is_balanced_over_systems() -> None:
    chosen = choose_pairs(stimuli(30), {}, set(), 12, random.Random(0))
    assert set(Counter(s.system for s in chosen).values()) == {4}


def test_a_session_repeats_no_caption_while_others_are_left() -> None:
    chosen = choose_pairs(stimuli(30), {}, set(), 9, random.Random(0))
    assert len({s.text for s in chosen}) == 9


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(1, 40),
    wanted=st.integers(1, 4),
    size=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_filling_a_study_ends_with_every_quota_met_exactly(n, wanted, size, seed) -> None:
    pairs, load = stimuli(n, wanted), Counter[str]()
    for listener in range(10_000):
        chosen = choose_pairs(pairs, load, set(), size, random.Random(f"{seed} {listener}"))
        if not chosen:
            break
        load.update(s.stimulus_id for s in chosen)
    assert set(load.values()) == {wanted}
    assert len(load) == n


def test_a_plan_starts_with_practice_holds_each_kind_and_is_seeded() -> None:
    design = parse_design(
        'title = "T"\n[session]\npairs = 10\nanchors = 2\nattention_checks = 2\nrepeats = 3\n'
        "practice = 2"
    )
    anchors = [
        Stimulus(stimulus_id=f"a{i}", kind="anchor", audio=f"a{i}.wav", text="x", wanted=0)
        for i in range(4)
    ]
    everything = stimuli(30) + anchors
    chosen = choose_pairs(stimuli(30), {}, set(), 10, random.Random(0))
    for seed in range(30):
        plan = plan_session(chosen, everything, set(), design, random.Random(seed))
        kinds = [trial.kind for trial in plan]
        assert kinds[:3] == ["practice", "practice", "rating"]
        assert Counter(kinds) == {
            "practice": 2, "rating": 10, "anchor": 2, "attention_check": 2, "repeat": 3,
        }  # fmt: skip
        first = {t.stimulus.stimulus_id: i for i, t in enumerate(plan) if t.kind == "rating"}
        for place, trial in enumerate(plan):
            if trial.kind == "repeat":
                assert place - first[trial.stimulus.stimulus_id] >= 4
        practised = {t.stimulus.stimulus_id for t in plan if t.kind == "practice"}
        assert not practised & set(first)
        assert len({t.expected for t in plan if t.kind == "attention_check"}) == 2
        assert plan == plan_session(chosen, everything, set(), design, random.Random(seed))
