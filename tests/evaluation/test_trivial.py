import re
from collections import Counter

import numpy as np
import pytest

from humanclap.errors import InputError
from humanclap.evaluation.floors import TRIVIAL, WordRidge, trivial_tables
from humanclap.records import Target
from humanclap.scale import RatingScale

TEXTS = ["a dog barks", "a dog and a cat", "rain falls on a roof", "cat", "the roof", "wind blows"]


def rated(texts, mos, systems=None, folder="train"):
    systems = systems or [None] * len(texts)
    return [
        Target(audio=f"{folder}/{i}.wav", text=t, target=m / 10, mos=float(m), n=3, system=s)
        for i, (t, m, s) in enumerate(zip(texts, mos, systems, strict=True))
    ]


def test_the_regression_on_words_solves_the_ridge_equations_of_dense_tf_idf():
    human = np.array([8.0, 6.0, 3.0, 5.0, 2.0, 4.0])
    documents = [Counter(re.findall(r"\w+", text)) for text in TEXTS]
    words = sorted(set().union(*documents))
    idf = np.array([np.log(7 / (1 + sum(w in d for d in documents))) + 1 for w in words])
    x = np.array([[d[w] for w in words] for d in documents]) * idf
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    weights = np.linalg.solve(x.T @ x + 3 * np.eye(len(words)), x.T @ (human - human.mean()))
    found = WordRidge(TEXTS, human, penalty=3.0)(["A cat barks", "unknown", *TEXTS])
    assert found[2:] == pytest.approx(human.mean() + x @ weights, abs=1e-7)
    assert found[1] == human.mean()


def test_systems_and_length_are_what_was_learnt_from_the_training_pairs():
    train = rated(
        [f"{'long ' * i}text" for i in range(12)], [5, 7] * 6, systems=["tango", "natural"] * 6
    )
    judged = rated(["text"] * 3, [1, 2, 3], ["natural", "tango", "unheard of"], folder="test")
    found = {t.name: t.scores for t in trivial_tables(train, judged, scale=RatingScale())}
    assert tuple(found) == TRIVIAL
    assert [s.rating for s in found["system mean"]] == pytest.approx([7, 5, 6])
    length = np.array([len(t.text) for t in train])
    slope, offset = np.polyfit(length, [t.mos for t in train], 1)
    assert found["caption length"][0].rating == pytest.approx(offset + 4 * slope)


def test_without_systems_only_captions_are_used():
    train = rated(TEXTS * 2, [5] * 12)
    found = trivial_tables(train, rated(TEXTS, range(6), folder="test"), scale=RatingScale())
    assert [table.name for table in found] == ["caption length", "caption words"]


def test_judged_pairs_must_not_be_trained_on_and_few_pairs_are_refused():
    train = rated(TEXTS * 2, [5] * 12)
    with pytest.raises(InputError, match="12 of its pairs are judged too"):
        trivial_tables(train, train, scale=RatingScale())
    with pytest.raises(InputError, match=r"train\.csv: 6 rated pairs; .* need 10"):
        trivial_tables(train[:6], train[6:], scale=RatingScale(), where="train.csv")
