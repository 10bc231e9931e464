"""`HumanCLAPScore` by the conventions by which torchmetrics tests its own metrics."""

from __future__ import annotations

import math
import pickle
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torchmetrics import Metric, MetricCollection, MetricTracker
from torchmetrics.aggregation import CatMetric

import humanclap.torchmetrics
from humanclap.errors import AudioError, InputError, MissingExtraError, SettingsError
from humanclap.scoring.scorer import HumanCLAP, NotScoredWarning
from humanclap.torchmetrics import HumanCLAPScore
from humanclap.torchmetrics.functional import human_clap_score

RATE = 32000


def cosines(model: HumanCLAP, audio: torch.Tensor, texts: list[str]) -> np.ndarray:
    """From the embeddings, one by one."""
    rows = [model.embed_audio(clip, sample_rate=RATE)[0].astype(float) for clip in audio]
    return np.array([row @ model.embed_text(t)[0] for row, t in zip(rows, texts, strict=True)])


@pytest.fixture(scope="module")
def expected(model: HumanCLAP, batches: list[Any]) -> list[np.ndarray]:
    return [cosines(model, *batch) for batch in batches]


@pytest.fixture
def broken(batches: list[Any]) -> tuple[torch.Tensor, list[str]]:
    audio, texts = batches[0]
    audio = audio.clone()
    audio[1, 0, 100] = torch.nan
    return audio, texts


def updated(metric: HumanCLAPScore, batches: list[Any]) -> HumanCLAPScore:
    for audio, texts in batches:
        metric.update(audio, texts, sample_rate=RATE)
    return metric


def test_class_and_function_equal_the_reference_over_batches(
    model: HumanCLAP, batches: list[Any], expected: list[np.ndarray]
) -> None:
    metric = HumanCLAPScore(model)
    for (audio, texts), cosine in zip(batches, expected, strict=True):
        of_batch = metric(audio, texts, RATE)
        assert of_batch.dtype == torch.float32
        assert of_batch.shape == ()
        assert float(of_batch) == pytest.approx(cosine.mean(), abs=1e-6)
        function = human_clap_score(audio, texts, model, sample_rate=RATE)
        assert float(function) == pytest.approx(cosine.mean(), abs=1e-6)
    assert float(metric.compute()) == pytest.approx(np.concatenate(expected).mean(), abs=1e-6)
    assert metric.n_samples == 12
    assert float(updated(HumanCLAPScore(model), batches).compute()) == float(metric.compute())


def test_constants_are_torchmetrics_and_cannot_be_set(model: HumanCLAP) -> None:
    metric = HumanCLAPScore(model)
    constants = {"higher_is_better": True, "is_differentiable": False, "full_state_update": False}
    for name, value in constants.items():
        assert getattr(metric, name) is value
        with pytest.raises(RuntimeError, match="Can't change const"):
            setattr(metric, name, not value)
    assert metric.metric_state == {"scores": [], "texts": []}
    assert isinstance(metric, Metric)
    assert isinstance(hash(metric), int)
    assert hash(metric) != hash(HumanCLAPScore(model))
    assert model.signature in repr(metric)


def test_no_gradient_comes_out(model: HumanCLAP, batches: list[Any]) -> None:
    audio, texts = batches[0]
    metric = HumanCLAPScore(model)
    assert not metric(audio.clone().requires_grad_(), texts, RATE).requires_grad


def test_reset_begins_anew(
    model: HumanCLAP, batches: list[Any], expected: list[np.ndarray]
) -> None:
    metric = updated(HumanCLAPScore(model), batches[:2])
    metric.compute()
    metric.reset()
    assert metric.n_samples == 0
    updated(metric, batches[2:3])
    assert float(metric.compute()) == pytest.approx(expected[2].mean(), abs=1e-6)


def test_one_text_goes_with_every_clip(model: HumanCLAP, batches: list[Any]) -> None:
    audio, _ = batches[0]
    metric = HumanCLAPScore(model, confidence=0.9)
    metric.update(audio, "rain falls", RATE)
    found = metric.compute()
    assert metric.n_samples == 4
    assert float(found["mean"]) == pytest.approx(
        cosines(model, audio, ["rain falls"] * 4).mean(), abs=1e-6
    )
    assert math.isnan(found["low"])  # one text has no interval


def test_empty_compute_is_nan_and_warns_as_torchmetrics_does(model: HumanCLAP) -> None:
    with pytest.warns(UserWarning, match="was called before the ``update`` method"):
        assert HumanCLAPScore(model).compute().isnan()
    metric = HumanCLAPScore(model, confidence=0.95)
    metric.update([], [])
    assert all(value.isnan() for value in metric.compute().values())


def test_a_nan_clip_raises_is_nan_or_is_left_out_as_asked(
    model: HumanCLAP, broken: Any, batches: list[Any], expected: list[np.ndarray]
) -> None:
    metric = updated(HumanCLAPScore(model), batches[1:2])
    for call in (metric.update, metric):
        with pytest.raises(AudioError, match=r"audio\[1\]: sample 100 .* is NaN"):
            call(*broken, sample_rate=RATE)
    assert float(metric.compute()) == pytest.approx(expected[1].mean(), abs=1e-6)
    whole = updated(HumanCLAPScore(model, on_error="nan"), batches[1:2])
    left_out = updated(HumanCLAPScore(model, on_error="skip"), batches[1:2])
    for metric in (whole, left_out):
        with pytest.warns(NotScoredWarning, match=r"1 of 4 clips cannot be used: audio\[1\]"):
            metric.update(*broken, sample_rate=RATE)
        assert (metric.n_samples, metric.n_failed) == (6, 1)
    assert whole.compute().isnan()
    kept = np.concatenate([expected[0][[0, 2, 3]], expected[1]])
    assert float(left_out.compute()) == pytest.approx(kept.mean(), abs=1e-6)
    with pytest.warns(NotScoredWarning):
        value = human_clap_score(*broken, model, sample_rate=RATE, on_error="skip")
    assert float(value) == pytest.approx(expected[0][[0, 2, 3]].mean(), abs=1e-6)


def test_after_an_error_in_forward_the_next_step_goes_on(
    model: HumanCLAP, broken: Any, batches: list[Any], expected: list[np.ndarray]
) -> None:
    metric = HumanCLAPScore(model)
    metric(*batches[0], RATE)
    with pytest.raises(AudioError):
        metric(*broken, RATE)
    metric(*batches[1], RATE)
    both = np.concatenate(expected[:2])
    assert float(metric.compute()) == pytest.approx(both.mean(), abs=1e-6)


def test_interval_draws_texts_whole(
    model: HumanCLAP, batches: list[Any], expected: list[np.ndarray]
) -> None:
    """Against a bootstrap written as a loop: same levels, within the noise of its draws."""
    metric = updated(HumanCLAPScore(model, confidence=0.9, replicates=4000), batches)
    found = {name: float(value) for name, value in metric.compute().items()}
    again = updated(HumanCLAPScore(model, confidence=0.9, replicates=4000), batches[::-1])
    assert found == pytest.approx({n: float(v) for n, v in again.compute().items()}, abs=1e-6)
    scores = np.concatenate(expected)
    names = [" ".join(text.casefold().split()) for _, texts in batches for text in texts]
    groups = [scores[[n == name for n in names]] for name in sorted(set(names))]
    assert len(groups) == 3  # "A  dog barks" is the caption "a dog barks"
    rng = np.random.default_rng(5)
    drawn = [
        np.concatenate([groups[g] for g in rng.integers(3, size=3)]).mean() for _ in range(4000)
    ]
    # t with 2 degrees of freedom at .95 is 2.920; the tail is Phi(-sqrt(3 / 2) * 2.920)
    tail = 0.5 * math.erfc(math.sqrt(3 / 2) * 2.91999 / math.sqrt(2))
    low, high = np.quantile(drawn, [tail, 1 - tail])
    assert found["mean"] == pytest.approx(scores.mean(), abs=1e-6)
    width = high - low
    assert found["low"] == pytest.approx(low, abs=0.05 * width)
    assert found["high"] == pytest.approx(high, abs=0.05 * width)


def test_pickled_and_cloned_metrics_go_on_from_where_they_were(
    model: HumanCLAP, batches: list[Any], expected: list[np.ndarray]
) -> None:
    metric = updated(HumanCLAPScore(model), batches[:2])
    pickled, cloned = pickle.loads(pickle.dumps(metric)), metric.clone()
    assert cloned.model is model
    updated(metric, batches[4:])
    for copy in (pickled, cloned):
        assert copy.n_samples == 6
        updated(copy, batches[2:4])
        assert float(copy.compute()) == pytest.approx(np.concatenate(expected[:4]).mean(), abs=1e-6)
    assert metric.n_samples == 8


def test_metric_of_a_name_pickles_small() -> None:
    metric = HumanCLAPScore("mini", confidence=0.95)
    assert len(pickle.dumps(metric)) < 5000
    assert metric.signature.startswith("humanclap:")


def test_half_precision_of_audio_and_of_the_module_around(
    model: HumanCLAP, batches: list[Any], expected: list[np.ndarray]
) -> None:
    audio, texts = batches[0]
    holder = torch.nn.ModuleDict({"score": HumanCLAPScore(model), "layer": torch.nn.Linear(2, 2)})
    metric = holder["score"]
    metric.update(audio, texts, RATE)
    before = metric.compute()
    for change in (holder.half, holder.bfloat16, holder.double):
        change()
    holder.to(torch.float16)
    metric.set_dtype(torch.float16)
    assert metric.scores[0].dtype == torch.float32
    assert metric.texts[0].dtype == torch.int64
    assert metric.compute() == before
    for dtype in (torch.float16, torch.bfloat16):
        metric.reset()
        metric.update(audio.to(dtype), texts, RATE)
        assert metric.compute().dtype == torch.float32
        assert float(metric.compute()) == pytest.approx(expected[0].mean(), abs=0.01)


def test_the_model_is_no_part_of_a_checkpoint_and_does_not_train(model: HumanCLAP) -> None:
    holder = torch.nn.ModuleDict({"score": HumanCLAPScore(model), "layer": torch.nn.Linear(2, 2)})
    assert set(holder.state_dict()) == {"layer.weight", "layer.bias"}
    assert len(list(holder.parameters())) == 2
    holder.train()
    assert not model.backbone.module().training


def test_persistent_states_go_through_a_state_dict(model: HumanCLAP, batches: list[Any]) -> None:
    metric = updated(HumanCLAPScore(model), batches[:2])
    metric.persistent(True)
    other = HumanCLAPScore(model)
    other.load_state_dict(metric.state_dict())
    other._update_count = 1
    assert other.compute() == metric.compute()


def test_states_and_model_move_with_the_metric(model: HumanCLAP, batches: list[Any]) -> None:
    metric = updated(HumanCLAPScore(pickle.loads(pickle.dumps(model))), batches[:1])
    metric.to("meta")
    assert metric.device.type == "meta"
    assert metric.scores[0].device.type == metric.texts[0].device.type == "meta"
    assert metric.model.backbone.logit_scale.device.type == "meta"
    assert metric.model.settings.device == "meta"
    with pytest.raises(SettingsError, match="cannot be used here"):
        model.to("cuda:99")
    assert model.settings.device == "cpu"


@pytest.mark.parametrize("choice", [{"engine": "openvino"}, {"precision": "int8"}])
def test_a_model_that_computes_on_the_cpu_alone_stays_there(
    model: HumanCLAP, choice: dict[str, Any]
) -> None:
    own = pickle.loads(pickle.dumps(model))
    own.settings = replace(own.settings, **choice)
    with pytest.raises(SettingsError, match="computes on the CPU alone, not on meta"):
        own.to("meta")
    metric = HumanCLAPScore(own)
    metric.to("meta")
    assert metric.device.type == "meta"
    assert own.backbone.logit_scale.device.type == "cpu"


def test_merged_metrics_are_one(model: HumanCLAP, batches: list[Any]) -> None:
    one, other = (updated(HumanCLAPScore(model), part) for part in (batches[:2], batches[2:]))
    one.merge_state(other)
    torch.testing.assert_close(one.compute(), updated(HumanCLAPScore(model), batches).compute())


def test_states_may_be_kept_on_the_cpu(model: HumanCLAP, batches: list[Any]) -> None:
    metric = updated(HumanCLAPScore(model, compute_on_cpu=True), batches[:2])
    metric(*batches[2], RATE)
    assert metric.n_samples == 9


def test_in_a_collection_each_metric_takes_what_is_its_own(
    model: HumanCLAP, batches: list[Any]
) -> None:
    class Loudness(CatMetric):
        def update(self, audio: torch.Tensor) -> None:
            super().update(audio.square().mean())

    together = MetricCollection(
        {
            "score": HumanCLAPScore(model),
            "interval": HumanCLAPScore(model, confidence=0.9),
            "loudness": Loudness(),
        }
    )
    for audio, texts in batches[:2]:
        together.update(audio=audio, text=texts, sample_rate=RATE)
    found = together.compute()
    assert set(found) == {"score", "mean", "low", "high", "loudness"}
    assert found["score"] == found["mean"] == updated(HumanCLAPScore(model), batches[:2]).compute()
    alone = together.clone(prefix="val/")
    assert set(alone.compute()) == {f"val/{name}" for name in found}


def test_a_tracker_finds_the_best_epoch(model: HumanCLAP, batches: list[Any]) -> None:
    tracker = MetricTracker(HumanCLAPScore(model))
    values = []
    for batch in batches[:3]:
        tracker.increment()
        tracker.update(*batch, RATE)
        values.append(float(tracker.compute()))
    best, epoch = tracker.best_metric(return_step=True)
    assert best == max(values)
    assert epoch == values.index(max(values))


def test_plot_of_now_of_one_value_and_of_several(model: HumanCLAP, batches: list[Any]) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="matplotlib is not installed")
    pyplot.switch_backend("agg")
    metric = HumanCLAPScore(model, confidence=0.9)
    values = [metric(*batch, RATE) for batch in batches[:2]]
    for given, shown in ((None, [metric.compute()]), (values[0], values[:1]), (values, values)):
        figure, axes = metric.plot(given)
        assert axes.lines[0].get_ydata() == pytest.approx([float(step["mean"]) for step in shown])
        bars = np.concatenate(axes.collections[-1].get_segments())[:, 1]
        ends = [float(step[end]) for step in shown for end in ("low", "high")]
        assert bars == pytest.approx(ends, nan_ok=True)
        pyplot.close(figure)
    scalar = updated(HumanCLAPScore(model), batches[:1])
    figure, axes = scalar.plot()
    assert axes.lines[0].get_ydata()[0] == pytest.approx(float(scalar.compute()))
    pyplot.close(figure)
    figure, own = pyplot.subplots()
    assert scalar.plot(ax=own)[1] is own
    pyplot.close(figure)


@pytest.mark.parametrize(
    ("choices", "error", "message"),
    [
        ({"on_error": "warn"}, SettingsError, "expected one of raise, nan, skip"),
        ({"confidence": 95}, InputError, "expected a number between 0 and 1"),
        ({"confidence": 0.95, "replicates": 10}, InputError, "take at least 40"),
        ({"model_name_or_path": 3}, InputError, "expected the name or folder of a model"),
        ({"sync": True}, ValueError, "Unexpected keyword arguments"),
    ],
)
def test_choices_that_cannot_be_are_told_at_once(
    model: HumanCLAP, choices: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=re.escape(message)):
        HumanCLAPScore(**{"model_name_or_path": model, **choices})


def test_mistakes_of_a_call_are_errors_whatever_on_error_says(
    model: HumanCLAP, batches: list[Any]
) -> None:
    audio, texts = batches[0]
    metric = HumanCLAPScore(model, on_error="skip")
    with pytest.raises(InputError, match="needs its sample_rate"):
        metric.update(audio, texts)
    with pytest.raises(InputError, match="4 clips and 3 texts"):
        metric.update(audio, texts[:3], RATE)
    with pytest.raises(InputError, match="may be 2 clips or one clip of 2 channels"):
        metric.update(audio[:2, 0], "rain falls", RATE)
    assert metric.n_samples == 0


def test_without_torchmetrics_the_error_names_the_extra_and_the_function_works(
    monkeypatch: pytest.MonkeyPatch, model: HumanCLAP, batches: list[Any]
) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(MissingExtraError, match=re.escape("'humanclap[torchmetrics]'")):
        _ = humanclap.torchmetrics.HumanCLAPScore
    with pytest.raises(AttributeError, match="no attribute 'Score'"):
        _ = humanclap.torchmetrics.Score
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert human_clap_score(*batches[0], model, sample_rate=RATE).isfinite()


def test_importing_the_package_loads_neither_torch_nor_torchmetrics() -> None:
    told = (
        "import sys, humanclap.torchmetrics as m; print({'torch', 'torchmetrics'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
