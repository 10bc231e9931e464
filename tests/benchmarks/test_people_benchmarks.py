"""The statistics of the benchmarks on people's judgements, and what their results files are of."""

import doctest
import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def scripts():
    """The benchmarks' folder on the path, as its scripts have it."""
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))


def test_fense_has_189_decided_of_204_pairs_and_45_clips(shared):
    """One judge against three: .891 of 727 votes; .864 of 575 without foreign captions."""
    from fense_choices import groups_of

    from humanclap.choices import read_votes
    from humanclap.evaluation import EvaluationSettings

    votes = read_votes(shared / "data/fense/pairs.csv")
    groups = groups_of([], votes, EvaluationSettings(replicates=40))
    assert [group["pairs"] for group in groups] == [
        "overall", "without HI", "HC", "HI", "HM", "MM",
    ]  # fmt: skip
    overall, hard = groups[:2]
    assert (overall["all"], overall["n"], overall["clips"]) == (204, 189, 45)
    assert overall["accuracy"]["longer text"][0] == 0.6376
    judges = [(one["one_judge"]["votes"], round(one["one_judge"]["accuracy"][0], 3))
              for one in (overall, hard)]  # fmt: skip
    assert judges == [(727, 0.891), (575, 0.864)]


def test_simulated_votes_follow_davidsons_model_though_they_repeat_each_other():
    from choice_simulation import DESIGNS, counts, votes_of, wins_of

    design = replace(DESIGNS[0], prompts=20_000)
    found = counts(design, np.random.default_rng(0))
    wins, ties = wins_of(design, found)
    a, b = np.exp([1.0, 0.4])
    middle = design.tie * np.sqrt(a * b)
    expected = np.array([a, b, middle]) / (a + b + middle)
    shares = np.array([wins[0, 1], wins[1, 0], ties[0, 1]]) / 60_000
    assert shares == pytest.approx(expected, abs=0.01)
    # two listeners agree more often than by chance: one half repeats the question's draw
    agree = (found[:, 0].max(axis=1) == 3).mean()
    assert agree > (expected**3).sum() + 0.05
    few = replace(design, prompts=4, asked=0.5)
    votes = votes_of(few, counts(few, np.random.default_rng(1)))
    assert 0 < len(votes) < 40
    assert all(one.n == 3 for one in votes)


def test_a_simulated_study_is_counted_as_its_ranking_says():
    from choice_simulation import DESIGNS, beside_choix, beside_minimiser, studied

    found = studied(replace(DESIGNS[2], prompts=12), 3)
    assert found["studies"] == 3
    assert 0 <= found["mean_strengths_covered"] <= 1
    assert beside_choix(4) < 1e-4
    assert beside_minimiser(2) < 1e-4


def test_the_chance_of_being_within_the_first_follows_from_counting_orders():
    from itertools import permutations

    from judging_models import chance_within

    orders = list(permutations("ooxxx"))  # two own ones among three tied, one better before them
    for first in range(1, 7):
        within = np.mean(["o" in order[: max(first - 1, 0)] for order in orders])
        assert chance_within(first, better=1, tied=3, own=2) == pytest.approx(within)


def test_a_model_with_one_score_for_all_retrieves_by_chance():
    from audiocaps_retrieval import audio_to_text, chance, text_to_audio

    own = np.repeat(np.arange(20), 5)
    flat, expected = np.zeros((100, 20)), chance(100, 20)
    for task, found in (
        ("text_to_audio", text_to_audio(flat, own)(np.ones((1, 100)))),
        ("audio_to_text", audio_to_text(flat, own)(np.ones((1, 20)))),
    ):
        values = {name: round(float(value[0]), 4) for name, value in found.items()}
        assert values == expected[task]
    assert expected["text_to_audio"]["median_rank"] == 10.5


def test_recalls_without_ties_are_those_of_sorting():
    from audiocaps_retrieval import audio_to_text, text_to_audio

    rng = np.random.default_rng(0)
    cosines, own = rng.standard_normal((60, 12)), np.repeat(np.arange(12), 5)
    ranks = [list(np.argsort(-row)).index(clip) + 1 for row, clip in zip(cosines, own, strict=True)]
    found = text_to_audio(cosines, own)(np.ones((1, 60)))
    assert found["R@5"][0] == pytest.approx(np.mean([rank <= 5 for rank in ranks]))
    assert found["median_rank"][0] == np.median(ranks)
    best = [own[np.argsort(-column)[:10]] for column in cosines.T]
    expected = np.mean([clip in captions for clip, captions in enumerate(best)])
    assert audio_to_text(cosines, own)(np.ones((1, 12)))["R@10"][0] == pytest.approx(expected)


def test_the_median_of_a_resample_is_that_of_the_sample_written_out():
    from audiocaps_retrieval import median

    rng = np.random.default_rng(1)
    ranks, weights = rng.integers(1, 9, 11) / 2, rng.multinomial(11, [1 / 11] * 11, size=50)
    expected = [np.median(np.repeat(ranks, row)) for row in weights]
    assert median(ranks)(weights)["median_rank"].tolist() == expected


def test_a_difference_is_that_of_the_means_in_the_same_draws():
    from judging_models import differences, means, spans

    rng = np.random.default_rng(2)
    columns = {name: rng.integers(0, 2, 40) for name in ("a", "b")}
    clusters = list(np.repeat(np.arange(10), 4))
    one = differences(columns, [("a", "b")], clusters)[0]["difference"]
    alone = spans(means({"gap": columns["a"] - columns["b"]}), clusters)["gap"]
    assert one == alone
    assert one[0] == pytest.approx(columns["a"].mean() - columns["b"].mean())


def test_relate_validation_has_81_screened_pairs_and_112_with_anchors(shared):
    from relate_validation import rated_sets

    sets = rated_sets(shared / "data/relate-validation/ratings_REL.csv")
    assert [len(one.targets) for one in sets] == [81, 112]
    assert [len({target.audio for target in one.targets}) for one in sets][1] == 53
    assert all(rating.kind == "rating" for rating in sets[0].ratings)


def test_two_folders_of_one_name_are_refused(tmp_path):
    from judging_models import labels_of

    folders = [tmp_path / name / "checkpoint" for name in ("one", "two")]
    for folder in folders:
        folder.mkdir(parents=True)
    assert labels_of(["mini", str(folders[0])]) == ["mini", "checkpoint"]
    with pytest.raises(Exception, match="two models are called 'checkpoint'"):
        labels_of(list(map(str, folders)))


def test_a_tie_with_the_right_name_counts_by_chance():
    from left_out_classes import right_names

    cosines = np.array([[0.1, 0.8, 0.3], [0.5, 0.5, 0.5], [0.9, 0.2, 0.1]])
    found = right_names(cosines, ["cow", "dog", "hen"], ["dog", "dog", "hen"])
    assert found == pytest.approx([1, 1 / 3, 0])


def test_each_round_times_every_model_once_right_after_itself_and_warm_up_is_left_out():
    from model_costs import WARM_UP, interleaved

    called = []
    ticks = iter(range(10_000))
    calls = {name: (lambda n=name: called.append(n)) for name in "ab"}
    found = interleaved(calls, 4, cpu=lambda: next(ticks), clock=lambda: 0.0)
    assert called == [*"aabb", *"bbaa"] * ((4 + WARM_UP) // 2) + [*"aabb"] * (WARM_UP % 2)
    assert found["a"] == {"cpu": [1000.0] * 4, "clock": [0.0] * 4}


def test_sizes_of_a_wheel_tell_weights_from_the_rest(tmp_path):
    import zipfile

    from model_costs import wheel_sizes

    with zipfile.ZipFile(tmp_path / "made.whl", "w") as archive:
        archive.writestr("humanclap/clap/weights/mini/model.safetensors", bytes(1_500_000))
        archive.writestr("humanclap/code.py", bytes(500_000))
    found = wheel_sizes(tmp_path / "made.whl")
    assert found["weights_mb_of"] == {"mini": 1.5}
    assert (found["weights_mb"], found["wheel_mb"]) == (1.5, 2.0)


@pytest.mark.parametrize(
    "name", ["fense_choices", "audiocaps_retrieval", "relate_validation", "left_out_classes"]
)
def test_results_on_peoples_judgements_are_of_the_packaged_mini(name):
    """Fails after new weights until the benchmark has run on them."""
    from humanclap.clap.checkpoint import load_checkpoint

    models = json.loads((BENCHMARKS / "results" / f"{name}.json").read_text())["models"]
    assert f"mini@{load_checkpoint('mini').backbone.fingerprint()}" in models["mini"]


def test_the_glance_has_the_models_of_before_behind_those_of_now(tmp_path):
    from people_results import at_a_glance

    def result(model, value):
        found = {"n": 9, "models": {model: "s"}, "note": f"about {model}"}
        for part in ("among_left_out", "among_all_at_hand"):
            found[part] = {"chance": 0.5, "accuracy": {model: [value, 0.25, 1.0]}}
        return json.dumps(found)

    (tmp_path / "left_out_classes.json").write_text(result("new", 0.75))
    (tmp_path / "before_left_out_classes.json").write_text(result("old", 0.5))
    lines = at_a_glance(tmp_path)
    assert "| measure | n | hears nothing | new | before: old | people |" in lines
    row = next(line for line in lines if "among their names" in line)
    assert "| 9 clips | chance 0.500 | 0.750 [0.250, 1.000] | 0.500 [0.250, 1.000] | – |" in row
    assert "Models of now, left_out_classes: about new" in lines
    assert "Models of before, left_out_classes: about old" in lines


@pytest.mark.parametrize(
    "name",
    [
        "audiocaps_retrieval",
        "judging_models",
        "left_out_classes",
        "model_costs",
        "results_text",
    ],
)
def test_the_examples_in_the_scripts_are_true(name):
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 0
    assert not found.failed
