"""FENSE's JSON; the items here are made up in its form."""

from __future__ import annotations

import json

import pytest

from humanclap.choices import choice_form, read_choices, read_votes
from humanclap.errors import TableError
from humanclap.fense import read_fense
from humanclap.ratings.read import table_kind
from humanclap.tables import read_table

ITEMS = [
    {
        "HC": ["rain", "a storm", "ground_t_12", "human_2", [1, -1, 0, 1]],
        "HI": ["rain", "a dog", "ground_t_12", "idx7", [1, 1, 1, 1]],
        "HM": ["a storm", "water", "0a1b_human_1", "cos_sim_99", [1, 1, -1, 1]],
        "MM_1": ["water", "wind", "fc_dbs_2", "rl15", 0, [-1, -1, 0, 0]],
        "raw_name": "x_0.000_10.000.wav",
        "audio_id": "x",
        "references": ["rain"],
    },
    {
        "MM_1": ["water", "water", "rl", "rl15", [0, 0, 0, 0]],
        "audio_id": "y",
        "references": ["rain"],
    },
]


def published(tmp_path, items, name="eval.json"):
    path = tmp_path / name
    path.write_text(json.dumps(items), encoding="utf-8")
    return path


def test_the_published_json_is_read_as_votes(tmp_path):
    path = published(tmp_path, ITEMS)
    assert choice_form(read_table(path).columns) == "fense"
    assert table_kind(path) == "votes"
    votes = read_votes(path)
    assert [(v.kind, v.n_first, v.n_second, v.n_equal) for v in votes] == [
        ("HC", 2, 1, 1),
        ("HI", 4, 0, 0),
        ("HM", 3, 1, 0),
        ("MM", 0, 2, 2),
        ("MM", 0, 0, 4),
    ]
    assert [v.audio_a for v in votes] == ["x_0.000_10.000.wav"] * 4 + ["y"]
    assert (votes[0].text_a, votes[0].text_b) == ("rain", "a storm")
    assert [(v.system_a, v.system_b) for v in votes] == [
        *((None, None), (None, None), ("human", "cos_sim")),
        *(("fc_dbs_2", "rl15"), ("rl", "rl15")),
    ]
    assert [v.decided for v in votes] == [True, True, True, True, False]
    with pytest.raises(TableError, match="these are votes"):
        read_choices(path)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (["rain", "wind", "a", "b", [1, 2]], "eval.json:1: MM_2: a vote is 2; expected 1, -1 or 0"),
        (["rain", "wind", "a", "b", [1, None]], "a vote is None"),
        (["rain", "wind", "a", "b", [True]], "a vote is True"),
        (["rain", "wind", "a", [1]], "MM_2: expected two captions"),
        (["rain", "wind", "a", "b", 1], "MM_2: expected two captions"),
        (["rain", "wind", "a", "b", []], "MM_2: nobody voted"),
        (["rain", None, "a", "b", [1]], "MM_2: text is None; expected a string"),
        (None, "MM_2: expected two captions"),
    ],
)
def test_what_is_not_of_its_form_is_refused_with_item_and_question(tmp_path, question, message):
    path = published(tmp_path, [ITEMS[0] | {"MM_2": question}])
    with pytest.raises(TableError, match=message):
        read_fense(path)


def test_an_item_without_a_clip_is_refused(tmp_path):
    nameless = {key: ITEMS[1][key] for key in ("MM_1", "references")}
    path = published(tmp_path, [ITEMS[0], nameless])
    with pytest.raises(TableError, match=r"eval.json:2: MM_1: audio is None"):
        read_votes(path)


@pytest.mark.parametrize("items", [{"HC": []}, ["HC"]])
def test_json_that_is_no_array_of_objects_is_refused(tmp_path, items):
    with pytest.raises(TableError, match="expected a JSON array with an object a clip"):
        read_fense(published(tmp_path, items))
