from __future__ import annotations

import collections
from pathlib import Path

import numpy as np
import pytest
import soundfile

from humanclap.demo.panel import (
    ANCHORS_PER_LISTENER,
    SYSTEMS,
    MadePair,
    make_pairs,
    render,
    scenes,
    simulate_ratings,
)
from humanclap.demo.sounds import EVENTS
from humanclap.metrics.agreement import srcc
from humanclap.records import Pair


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[MadePair]:
    folder = tmp_path_factory.mktemp("demo")
    return make_pairs(folder, n_scenes=20, generator=np.random.default_rng(1))


def imagined(n: int) -> list[MadePair]:
    """Pairs without files, relevance spread over 0..1."""
    names = list(EVENTS)
    return [
        MadePair(
            pair=Pair(audio=f"reference/{i}.flac", text=f"{names[i % 16]} {i}", system="reference"),
            relevance=i / (n - 1),
        )
        for i in range(n)
    ]


def test_scenes_are_distinct_and_name_their_events_in_order() -> None:
    made = scenes(100, np.random.default_rng(0))
    assert len({scene.text for scene in made}) == 100
    for scene in made:
        places = [scene.text.lower().index(event) for event in scene.events]
        assert places == sorted(places)


def test_a_faultless_system_is_wholly_relevant_and_a_faulty_one_less() -> None:
    generator = np.random.default_rng(0)
    some = scenes(40, generator)
    assert {render(scene, 0.0, generator)[1] for scene in some} == {1.0}
    faulty = [render(scene, 0.8, generator)[1] for scene in some]
    assert min(faulty) >= 0.0
    assert np.mean(faulty) < 0.6


def test_clips_are_written_where_the_pairs_say(made: list[MadePair], tmp_path: Path) -> None:
    assert collections.Counter(item.pair.system for item in made) == dict.fromkeys(SYSTEMS, 20)
    few = make_pairs(tmp_path, n_scenes=2, generator=np.random.default_rng(1))
    for item in few:
        info = soundfile.info(tmp_path / item.pair.audio)
        assert (info.samplerate, info.channels, info.frames) == (32000, 1, 128000)


def test_listeners_answer_as_asked_and_never_twice_about_a_pair() -> None:
    pairs = imagined(90)
    ratings = simulate_ratings(pairs, ratings_per_pair=4, generator=np.random.default_rng(2))
    heard = collections.Counter((item.listener_id, item.pair_id) for item in ratings)
    assert set(heard.values()) == {1}
    assert all(item.score in range(11) for item in ratings)
    per_pair = collections.Counter(item.pair_id for item in ratings if item.kind == "rating")
    assert len(per_pair) == 90
    assert sum(per_pair.values()) >= 0.95 * 4 * 90
    anchors = collections.Counter(item.listener_id for item in ratings if item.kind == "anchor")
    assert set(anchors.values()) == {ANCHORS_PER_LISTENER}


def test_the_panels_mean_follows_the_relevance_the_simulation_knows() -> None:
    pairs = imagined(90)
    ratings = simulate_ratings(pairs, ratings_per_pair=8, generator=np.random.default_rng(3))
    answers = collections.defaultdict(list)
    for item in ratings:
        if item.kind == "rating":
            answers[item.pair_id].append(item.score)
    means = [float(np.mean(answers[item.pair.pair_id])) for item in pairs]
    assert srcc(means, [item.relevance for item in pairs]) > 0.8


def test_anchors_name_no_event_of_their_clip(made: list[MadePair]) -> None:
    text_of = {item.pair.audio: item.pair.text.lower() for item in made}
    ratings = simulate_ratings(made, ratings_per_pair=4, generator=np.random.default_rng(5))
    anchors = [item for item in ratings if item.kind == "anchor"]
    assert anchors
    for anchor in anchors:
        for event in EVENTS:
            assert not (event in anchor.text.lower() and event in text_of[anchor.audio])
