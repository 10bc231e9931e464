"""The parts of recipes/mini that decide what a model is taught and judged by."""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest

RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "mini"


@pytest.fixture(scope="module", autouse=True)
def recipe():
    """The recipe's folder on the path, as its scripts have it."""
    sys.path.insert(0, str(RECIPE))
    yield
    sys.path.remove(str(RECIPE))


def clips_of(*texts):
    from bank import Clip

    return [Clip(path=Path(f"{text}.wav"), text=text, source="made") for text in texts]


def scenes(count=200, seed=3):
    from compositions import make_scenes

    clips = clips_of("Dog", "rain", "a siren", "a dog and a cat")
    return make_scenes(clips, [1.0, 5.0, 12.0, 4.0], count, seed), clips


def test_a_wrong_order_has_the_words_of_the_true_caption():
    for scene in scenes()[0]:
        for kind, text in scene.wrong:
            assert text != scene.text
            if kind == "order":
                assert sorted(text.replace(",", "").split()) == sorted(
                    scene.text.replace(",", "").split()
                )


def test_every_kind_of_wrong_caption_occurs():
    from compositions import KINDS

    assert {kind for scene in scenes()[0] for kind, _ in scene.wrong} == set(KINDS)


def test_the_same_seed_gives_the_same_scenes():
    assert scenes()[0] == scenes()[0]
    assert scenes()[0] != scenes(seed=4)[0]


def test_a_scene_sounds_ten_seconds_and_its_first_event_is_heard_first():
    from compositions import waveform_of

    found, _ = scenes()
    ones = np.ones(32_000, np.float32)
    waveforms = [ones, np.resize(ones, 160_000), np.resize(ones, 384_000), ones]
    scene = next(one for one in found if one.wrong[0][0] == "order")
    sound = waveform_of(scene, waveforms, seed=0)
    assert sound.shape == (320_000,)
    assert scene.starts[0] == 0
    assert scene.starts[1] >= scene.lengths[0]
    between = slice(int(32_000 * scene.lengths[0]), int(32_000 * scene.starts[1]))
    loud = np.abs(sound[: int(32_000 * scene.lengths[0])]).mean()
    assert not sound[between].size or np.abs(sound[between]).mean() < loud / 5


def test_a_caption_of_two_events_is_no_event():
    from compositions import is_event

    assert [is_event(clip) for clip in scenes()[1]] == [True, True, True, False]


def test_order_is_the_place_of_each_event_and_nothing_where_all_is_at_once():
    from texts import order_weights

    assert order_weights([0, 1, 2]) == [-0.5, 0.0, 0.5]
    assert order_weights([0, -1]) == [0.5, -0.5]  # "a after b": b comes first
    assert order_weights([0, 0, 0]) == [0.0, 0.0, 0.0]


def test_esc_test_clips_are_fold_four_classes_left_out_and_a_fifth_by_whole_recordings():
    from bank import _esc_test_clips

    rows = [
        {
            "clip": f"{fold}-{recording}-{take}",
            "text": text,
            "category": text,
            "fold": fold,
            "esc10": esc10,
        }
        for text, esc10, fold, recordings in (
            ("dog", "True", "4", "12"),
            ("dog", "True", "1", "34"),
            ("cat", "False", "2", "56789"),
            ("rooster", "True", "3", "pq"),
        )
        for recording in recordings
        for take in "AB"
    ]
    test = _esc_test_clips(rows)
    assert {clip for clip in test if clip.startswith(("1", "4"))} == {
        "4-1-A", "4-1-B", "4-2-A", "4-2-B",
    }  # fmt: skip
    assert {clip for clip in test if clip.startswith("3")} == {
        "3-p-A", "3-p-B", "3-q-A", "3-q-B",
    }  # fmt: skip
    cats = {clip for clip in test if clip.startswith("2")}
    assert len(cats) == 2  # a fifth of ten clips
    assert len({clip.split("-")[1] for clip in cats}) == 1


def test_no_two_recipes_import_each_other():
    imports = {}
    for path in RECIPE.glob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        names = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
        imports[path.stem] = {name for name in names if (RECIPE / f"{name}.py").exists()}
    list(TopologicalSorter(imports).static_order())  # raises CycleError where there is a circle
