from dataclasses import replace

import numpy as np
import pytest

from humanclap.clap.calibration import Calibration
from humanclap.clap.checkpoint import Checkpoint
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.errors import SettingsError
from humanclap.metrics.agreement import lcc, mse, srcc
from humanclap.training.data.dataset import Example
from humanclap.training.loop.validation import rating_intervals
from humanclap.training.outputs.card import model_card
from humanclap.training.run import TrainingRequest, base_record
from humanclap.training.settings import TrainingSettings

COUNTS = {"pairs": 40, "clips": 40, "captions": 20}
INTERVALS = {"srcc": (0.1, 0.5), "lcc": (0.2, 0.6), "ktau": None, "mse": (0.05, 0.15)}
TRAINING = {
    "humanclap": "0.1.0",
    "base_model": {"name": "mini", "kind": "mini", "fingerprint": "3f9a1c2d"},
    "note": "",
    "settings": {"objective": "mse", "seed": 4, "allow_shared_captions": False},
    "data": {"fingerprint": "f", "train": COUNTS, "validation": COUNTS, "validation_name": "v"},
    "best_epoch": 2,
    "epochs": 3,
    "validation": {
        "before": {"srcc": 0.25, "lcc": 0.5, "ktau": None, "mse": 0.2},
        "after": {"srcc": 0.375, "lcc": 0.5, "ktau": None, "mse": 0.1},
        "intervals": {"before": INTERVALS, "after": INTERVALS, "gain": INTERVALS},
    },
}
CALIBRATION = Calibration(
    scores=(0.0, 0.5), ratings=(2.0, 7.0), errors=(1.5, 1.25), fitted_on="v", n=40
)


def card(licence="apache-2.0", calibration=CALIBRATION, **options):
    checkpoint = Checkpoint(
        MiniCLAP(MiniConfig.tiny()), calibration, TRAINING, name="mini-rain", licence=licence
    )
    return model_card(checkpoint, simulated=False, **options)


def head_of(text):
    lines = text.split("---")[1].strip().splitlines()
    return dict(line.split(": ", 1) for line in lines)


def test_the_head_is_what_the_hub_reads_and_the_title_is_the_models_own():
    head = head_of(card())
    assert head["license"] == "apache-2.0"
    assert (head["base_model"], head["base_model_relation"]) == ('"mini"', "finetune")
    assert "\n# mini-rain\n" in card()


def test_the_commit_of_a_base_from_the_hub_is_on_the_card():
    assert "from `mini` (`3f9a1c2d`) with" in card()
    base = {**TRAINING["base_model"], "revision": "0" * 40}
    tuned = Checkpoint(
        MiniCLAP(MiniConfig.tiny()), CALIBRATION, {**TRAINING, "base_model": base}, name="mini-rain"
    )
    text = model_card(tuned, simulated=False)
    assert f"from `mini` (`3f9a1c2d`, revision `{'0' * 40}`) with" in text
    assert base_record(replace(tuned, revision="1" * 40))["revision"] == "1" * 40
    assert "revision" not in base_record(tuned)


def test_the_licence_is_said_with_whose_it_is():
    assert "Licence: `apache-2.0`, that of the base model." in card()
    assert "Licence: `cc-by-4.0`. The ratings" in card("cc-by-4.0", licence_given=True)
    assert head_of(card(""))["license"] == "unknown"
    assert "Licence: unknown, as the base model's card names none" in card("")


def test_figures_stand_with_their_intervals_and_the_gain():
    text = card()
    assert (
        "| SRCC | 0.250 [0.100, 0.500] | 0.375 [0.100, 0.500] | +0.125 [+0.100, +0.500] |" in text
    )
    assert "| KTAU | – | – | – |" in text


def test_the_calibration_is_a_table():
    text = card()
    assert "fitted on 40 pairs (v)" in text
    assert "| 0.000 | 2.0 | 1.5 |\n| 0.500 | 7.0 | 1.2 |" in text
    assert "None: scores are cosines only." in card(calibration=None)


def examples(relevance):
    return [
        Example(
            audio=f"{i}.wav",
            text=f"text {i // 2}",
            pair_id=str(i),
            path=None,
            relevance=value,
            mos=10 * value,
            where="t",
        )
        for i, value in enumerate(relevance)
    ]


def test_intervals_hold_the_value_and_those_of_a_gain_are_paired():
    rng = np.random.default_rng(0)
    people = rng.uniform(0, 1, 80)
    before = np.clip(people + rng.normal(0, 0.5, 80), -1, 1)
    after = np.clip(before + 0.2 * (people - before), -1, 1)
    found = rating_intervals(before, after, examples(people))
    for when, cosine in (("before", before), ("after", after)):
        for name, of in (("srcc", srcc), ("lcc", lcc), ("mse", mse)):
            low, high = found[when][name]
            assert low < of(cosine, people) < high
    low, high = found["gain"]["srcc"]
    assert low < srcc(after, people) - srcc(before, people) < high
    apart = found["before"]["srcc"][1] - found["before"]["srcc"][0]
    assert high - low < apart / 2  # the same captions are drawn for both
    same = rating_intervals(before, before, examples(people))
    assert same["gain"]["srcc"] == pytest.approx((0, 0))


def test_cosines_that_are_no_numbers_have_no_intervals():
    nothing = rating_intervals(
        np.array([0.1, np.nan, 0.3]), np.array([0.1, 0.2, 0.3]), examples([0.1, 0.5, 0.2])
    )
    assert set(nothing["after"].values()) == {None}


def request(**said):
    return TrainingRequest(
        targets="t.csv", model="mini", output="run", settings=TrainingSettings(), **said
    )


@pytest.mark.parametrize("name", ["a|b", "", "rain fall", "-x"])
def test_a_name_that_cannot_stand_in_a_signature_is_refused(name):
    with pytest.raises(SettingsError, match="expected letters, digits and"):
        request(name=name)


@pytest.mark.parametrize("licence", ["", "CC BY 4.0", "mit\ntags: [x]", "-"])
def test_a_licence_that_the_hub_could_not_read_is_refused(licence):
    with pytest.raises(SettingsError, match="expected the hub's word for it"):
        request(licence=licence)
