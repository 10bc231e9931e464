"""The reward: values of `HumanCLAP.score`, gradients of finite differences, refusals in words."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import humanclap
from humanclap.clap.calibration import Calibration
from humanclap.clap.checkpoint import Checkpoint
from humanclap.clap.mini import MiniCLAP, MiniConfig, MiniMN04CLAP
from humanclap.clap.mini.tagger import Tagger
from humanclap.errors import InputError, SettingsError
from humanclap.scoring.reward import Reward, ratings_of
from humanclap.scoring.scorer import HumanCLAP, TextCutWarning
from humanclap.scoring.settings import ScoringSettings

TEXTS = ["a dog barks", "rain falls"]
KINDS = ["mini", "tiny", "mini-mn04", "unfused", "fused"]
MN04_FILE = Path(__file__).resolve().parents[3] / "shared/models/mn04/mn04_as_mAP_432.pt"


@pytest.fixture(scope="module")
def loaded(tiny_checkpoint, tmp_path_factory):
    """kind -> a HumanCLAP on the CPU, made once."""
    made: dict[str, HumanCLAP] = {}

    def load(kind: str) -> HumanCLAP:
        if kind not in made:
            found = _model(kind, tiny_checkpoint, tmp_path_factory)
            if found.backbone.kind != "hf":
                found.backbone.window_s = 1.0  # any length will do; ten times as quick
            made[kind] = HumanCLAP(found, ScoringSettings(device="cpu"))
        return made[kind]

    return load


def _model(kind: str, tiny: Checkpoint, folders: pytest.TempPathFactory) -> Checkpoint:
    from humanclap.clap.checkpoint import load_checkpoint

    if kind == "mini":
        return load_checkpoint("mini", offline=True)
    if kind == "tiny":
        return copy.deepcopy(tiny)
    if kind == "mini-mn04":
        if MN04_FILE.exists():
            return load_checkpoint("mini-mn04", mn04=MN04_FILE, offline=True)
        torch.manual_seed(0)  # the same network with other weights
        packaged = load_checkpoint("mini", offline=True).backbone
        return Checkpoint(MiniMN04CLAP(packaged.config, packaged.tokenizer, Tagger().eval()).eval())
    pytest.importorskip("transformers")
    from tiny_hf import write_clap

    folder = write_clap(folders.mktemp("hf") / kind, fused=kind == "fused")
    return load_checkpoint(folder, offline=True)


@pytest.fixture(params=KINDS)
def model(request, loaded) -> HumanCLAP:
    return loaded(request.param)


@pytest.fixture
def judge(loaded) -> Reward:
    return humanclap.reward(loaded("tiny"))


def clips(sound, seconds: float, rate: int = 32000, count: int = 2) -> torch.Tensor:
    return torch.from_numpy(np.stack([sound(n, seconds, rate) for n in range(count)])).float()


@pytest.mark.parametrize(
    ("rate", "seconds", "tolerance"),
    [(32000, 1.0, 1e-5), (48000, 0.3, 1e-5), (16000, 0.05, 1e-5), (44100, 10.5, 1e-4)],
)
def test_values_are_those_of_score(model, sound, rate, seconds, tolerance):
    waveforms = clips(sound, seconds, rate)
    expected = model.score_many(list(waveforms.numpy()), TEXTS, sample_rate=rate)
    found = humanclap.reward(model)(waveforms, TEXTS, sample_rate=rate)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=tolerance, rtol=0)


def test_values_with_a_hop_are_those_of_score(tiny_checkpoint, sound):
    settings = ScoringSettings(device="cpu", hop_s=2.5)
    model = HumanCLAP(copy.deepcopy(tiny_checkpoint), settings)
    waveforms = clips(sound, 13.0)
    expected = model.score_many(list(waveforms.numpy()), TEXTS, sample_rate=32000)
    found = humanclap.reward(model)(waveforms, TEXTS, sample_rate=32000)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5, rtol=0)


def test_channels_are_averaged_as_by_score(loaded, sound):
    model = loaded("tiny")
    stereo = torch.stack([clips(sound, 1.0), 0.3 * clips(sound, 1.0).flip(0)], dim=1)
    expected = model.score_many([one.T.numpy() for one in stereo], TEXTS, sample_rate=32000)
    stereo.requires_grad_()
    found = humanclap.reward(model)(stereo, TEXTS, sample_rate=32000)
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-5, rtol=0)
    found.sum().backward()
    torch.testing.assert_close(stereo.grad[:, 0], stereo.grad[:, 1])
    assert stereo.grad.abs().max() > 0


def slopes(judge: Reward, waveforms: torch.Tensor, step: float, rate: int) -> tuple[float, float]:
    """Slope of the summed scores along the gradient: by the gradient, by central differences."""
    start = waveforms.clone().requires_grad_()
    judge(start, TEXTS, sample_rate=rate).sum().backward()
    direction = start.grad / start.grad.norm()
    with torch.no_grad():
        ends = [
            judge(waveforms + sign * step * direction, TEXTS, sample_rate=rate).double().sum()
            for sign in (1, -1)
        ]
    return float((start.grad * direction).sum()), float((ends[0] - ends[1]) / (2 * step))


def test_gradient_is_that_of_finite_differences_in_float32(model, sound):
    waveforms = clips(sound, 0.5, 44100)
    by_gradient, by_differences = slopes(humanclap.reward(model), waveforms, 5e-4, 44100)
    assert by_gradient == pytest.approx(by_differences, rel=1e-2)
    assert by_gradient > 0


def test_gradient_is_that_of_finite_differences_in_float64(model, sound):
    judge = copy.deepcopy(humanclap.reward(model)).double()
    waveforms = clips(sound, 0.5, 44100).double()
    by_gradient, by_differences = slopes(judge, waveforms, 1e-6, 44100)
    assert by_gradient == pytest.approx(by_differences, rel=1e-4)


def test_single_samples_have_the_gradient_of_finite_differences(loaded, sound):
    judge = copy.deepcopy(humanclap.reward(loaded("mini"))).double()
    waveforms = clips(sound, 0.5, count=2).double()
    start = waveforms.clone().requires_grad_()
    judge(start, TEXTS, sample_rate=32000).sum().backward()
    largest = start.grad.flatten().abs().argsort(descending=True)[:2]
    for place in largest.tolist():
        moved = torch.zeros_like(waveforms).flatten()
        moved[place] = 1e-6
        up, down = (
            judge(waveforms + sign * moved.view_as(waveforms), TEXTS, sample_rate=32000).sum()
            for sign in (1, -1)
        )
        assert start.grad.flatten()[place].item() == pytest.approx(
            ((up - down) / 2e-6).item(), rel=1e-4
        )


def test_clips_of_a_batch_do_not_touch_each_other(judge, sound):
    waveforms = clips(sound, 0.5).requires_grad_()
    judge(waveforms, TEXTS, sample_rate=32000)[0].backward()
    assert waveforms.grad[0].abs().max() > 0
    assert not waveforms.grad[1].any()


@pytest.mark.parametrize("rate", [16000, 32000])
@pytest.mark.parametrize("what", ["silence", "10 ms", "full scale", "one click"])
def test_scores_and_gradients_are_finite(model, what, rate):
    waveforms = torch.zeros(2, rate // 100 if what == "10 ms" else rate)
    if what == "full scale":
        waveforms = torch.sign(torch.randn(waveforms.shape))
    if what == "one click":
        waveforms[:, 40] = 1
    waveforms.requires_grad_()
    scores = humanclap.reward(model)(waveforms, TEXTS, sample_rate=rate)
    scores.sum().backward()
    assert scores.isfinite().all()
    assert waveforms.grad.isfinite().all()


def test_a_step_along_the_gradient_raises_the_score(loaded, sound):
    judge = humanclap.reward(loaded("mini"))
    waveforms = clips(sound, 1.0, 16000).requires_grad_()
    before = judge(waveforms, "a dog barks", sample_rate=16000)
    before.sum().backward()
    gradient = waveforms.grad / waveforms.grad.flatten(1).norm(dim=1)[:, None]
    after = judge((waveforms + 0.1 * gradient).detach(), "a dog barks", sample_rate=16000)
    assert (after > before + 0.01).all()


def test_parameters_are_frozen_unless_asked_for(loaded):
    judge = copy.deepcopy(humanclap.reward(loaded("tiny")))
    assert not any(parameter.requires_grad for parameter in judge.parameters())
    open_one = Reward(judge._backbone).requires_grad_(True)
    open_one(torch.rand(2, 3200) - 0.5, TEXTS, sample_rate=32000).sum().backward()
    towers = {
        name.split("_")[0].split(".")[-1]
        for name, one in open_one.named_parameters()
        if one.grad is not None
    }
    assert towers == {"audio", "text"}


def test_it_stays_in_eval_mode(loaded):
    parent = nn.ModuleDict({"judge": humanclap.reward(loaded("tiny"))})
    parent.train()
    assert not any(module.training for module in parent["judge"].modules())


@pytest.mark.parametrize("rate", [32000, 23456])  # the other is resampled, and met nowhere else
def test_no_grad_inference_mode_and_a_gradient_afterwards(model, sound, rate):
    judge, waveforms = humanclap.reward(model), clips(sound, 0.5)
    with torch.inference_mode():
        first = judge(waveforms, TEXTS, sample_rate=rate)
    with torch.no_grad():
        second = judge(waveforms, TEXTS, sample_rate=rate)
    third = judge(waveforms.requires_grad_(), TEXTS, sample_rate=rate)
    third.sum().backward()
    assert not second.requires_grad
    torch.testing.assert_close(first, third.detach(), atol=1e-6, rtol=0)


def test_autocast_to_bfloat16_changes_the_third_digit(model, sound):
    judge, waveforms = humanclap.reward(model), clips(sound, 0.5).requires_grad_()
    exact = judge(waveforms, TEXTS, sample_rate=16000)
    with torch.autocast("cpu", torch.bfloat16):
        rough = judge(waveforms, TEXTS, sample_rate=16000)
    rough.sum().backward()
    assert rough.dtype == torch.float32
    assert waveforms.grad.isfinite().all()
    assert waveforms.grad.any()
    torch.testing.assert_close(rough, exact, atol=0.03, rtol=0)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_waveforms_of_other_floating_types_are_taken(judge, sound, kind):
    waveforms = clips(sound, 0.5).to(kind).requires_grad_()
    scores = judge(waveforms, TEXTS, sample_rate=16000)
    scores.sum().backward()
    assert scores.dtype == torch.float32
    assert waveforms.grad.dtype == kind


def test_a_text_for_all_is_that_text_for_each(judge, sound):
    waveforms = clips(sound, 0.5)
    one = judge(waveforms, "rain", sample_rate=16000)
    assert torch.equal(one, judge(waveforms, ["rain", "rain"], sample_rate=16000))


def test_changed_weights_change_the_kept_texts(loaded, sound):
    judge = copy.deepcopy(humanclap.reward(loaded("tiny")))
    waveforms = clips(sound, 0.5)
    before = judge(waveforms, TEXTS, sample_rate=32000)
    with torch.no_grad():
        judge.network.text_projection.residual.output.bias.add_(1.0)
    assert not torch.allclose(before, judge(waveforms, TEXTS, sample_rate=32000))


def test_a_copy_and_a_pickle_give_the_same(judge, sound, tmp_path):
    waveforms = clips(sound, 0.5)
    expected = judge(waveforms, TEXTS, sample_rate=16000)
    torch.save(judge, tmp_path / "judge.pt")
    read = torch.load(tmp_path / "judge.pt", weights_only=False)
    for other in (copy.deepcopy(judge), read):
        assert torch.equal(other(waveforms, TEXTS, sample_rate=16000), expected)


REFUSED = {
    "no tensor": (np.zeros((1, 3200)), "ndarray; expected a tensor .*from_numpy"),
    "integers": (torch.zeros(1, 3200, dtype=torch.int16), "int16; expected floating point"),
    "one clip": (torch.zeros(3200), r"expected \(batch, time\).*waveforms\[None\]"),
    "four": (torch.zeros(1, 1, 1, 3200), r"expected \(batch, time\) or \(batch, channels, time\)"),
    "no clips": (torch.zeros(0, 3200), "holds no samples"),
    "no samples": (torch.zeros(2, 0), "holds no samples"),
    "too short": (torch.zeros(2, 319), "319 samples at 32000 Hz are less than 10 ms"),
    "time first": (torch.zeros(3200, 2), "is time the last dimension"),
    "candidates": (torch.zeros(2, 100, 3200), "100 channels.*use best_of"),
    "integers as floats": (torch.full((2, 3200), 300.0), r"waveforms\[0\]: samples reach 300"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_waveforms_that_cannot_be_scored_are_refused(judge, what):
    waveforms, words = REFUSED[what]
    with pytest.raises(InputError, match=words):
        judge(waveforms, "rain", sample_rate=32000)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(3, 3200), (3, 2, 3200)])
def test_a_sample_that_is_no_number_is_named(judge, value, shape):
    waveforms = torch.zeros(shape)
    waveforms[2, ..., 77] = value
    with pytest.raises(InputError, match=r"waveforms\[2\]: sample 77 is NaN or infinite"):
        judge(waveforms, "rain", sample_rate=32000)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["rain"], "2 waveforms and 1 texts"),
        ([], "2 waveforms and 0 texts"),
        (["rain", ""], r"texts\[1\] is empty"),
        (["rain", 3], r"texts\[1\] is a int"),
        (None, "text is None"),
        ({"rain": 1, "wind": 2}, "text is a dict"),
        ({"rain", "wind"}, "a set, which has no order"),
        ("雨が降る", "letters|read"),
    ],
)
def test_texts_that_cannot_be_read_are_refused(loaded, texts, words):
    with pytest.raises(InputError, match=words):
        humanclap.reward(loaded("mini"))(torch.zeros(2, 3200), texts, sample_rate=32000)


@pytest.mark.parametrize("rate", [0, -1, 16000.0, None, True])
def test_a_rate_that_is_none_is_refused(judge, rate):
    with pytest.raises(SettingsError, match="sample_rate"):
        judge(torch.zeros(2, 3200), "rain", sample_rate=rate)


@pytest.mark.parametrize("kind", [np.int32, np.uint16, torch.tensor])
def test_a_rate_of_numpy_or_torch_is_that_rate(judge, sound, kind):
    """Products of numpy's short integers overflow."""
    waveforms = clips(sound, 3.0, 44100)
    expected = judge(waveforms, "rain", sample_rate=44100)
    assert torch.equal(judge(waveforms, "rain", sample_rate=kind(44100)), expected)


def test_a_long_text_is_told_once(judge):
    long = "rain and " * 60
    with pytest.warns(TextCutWarning) as told:
        judge(torch.zeros(1, 3200), long, sample_rate=32000)
    assert Path(told[0].filename).name == "test_reward.py"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judge(torch.zeros(1, 3200), long, sample_rate=32000)


def test_weights_of_half_precision_and_other_settings_are_refused(loaded):
    half = copy.deepcopy(humanclap.reward(loaded("tiny"))).bfloat16()
    with pytest.raises(SettingsError, match=r"under torch\.autocast"):
        half(torch.zeros(1, 3200), "rain", sample_rate=32000)
    with pytest.raises(SettingsError, match="expected one of score, rating"):
        humanclap.reward(loaded("tiny"), scale="stars")
    with pytest.raises(SettingsError, match="no map from scores to ratings"):
        Reward(MiniCLAP(MiniConfig.tiny()), scale="rating")
    with pytest.raises(SettingsError, match="at most 10"):
        Reward(MiniCLAP(MiniConfig.tiny()), hop_s=11)
    with pytest.raises(SettingsError, match="HumanCLAP has its own"):
        humanclap.reward(loaded("tiny"), device="cpu")


def test_waveforms_on_another_device_are_refused(judge):
    with pytest.raises(InputError, match=r"waveforms are on meta, the reward on cpu.*\.to\("):
        judge(torch.zeros(1, 3200, device="meta"), "rain", sample_rate=32000)


MAPS = {
    "bent": Calibration(
        scores=(-0.2, 0.1, 0.4, 0.6),
        ratings=(1.0, 2.5, 9.0, 10.0),
        errors=(1.0,) * 4,
        fitted_on="nothing",
        n=9,
    ),
    "constant": Calibration(scores=(0.1,), ratings=(4.0,), errors=(1.0,), fitted_on="nothing", n=9),
}


@pytest.mark.parametrize("name", MAPS)
def test_ratings_are_those_of_the_calibration_and_rise_as_it_does(name):
    calibration = MAPS[name]
    scores = torch.linspace(-1, 1, 41, dtype=torch.float64, requires_grad=True)
    found = ratings_of(scores, calibration)
    expected = [calibration.rating(one) for one in scores.tolist()]
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-12)
    found.sum().backward()
    slopes = [
        (calibration.rating(s + 1e-7) - calibration.rating(s - 1e-7)) / 2e-7
        for s in (scores.detach() + 1e-3).tolist()
    ]
    moved = (scores.detach() + 1e-3).requires_grad_()
    ratings_of(moved, calibration).sum().backward()
    np.testing.assert_allclose(moved.grad.numpy(), slopes, atol=1e-5)


def test_the_predicted_rating_as_a_reward(loaded, sound):
    model = loaded("mini")
    waveforms = clips(sound, 0.5)
    scores = model.score_many(list(waveforms.numpy()), TEXTS, sample_rate=32000)
    ratings = humanclap.reward(model, scale="rating")(
        waveforms.requires_grad_(), TEXTS, sample_rate=32000
    )
    np.testing.assert_allclose(
        ratings.detach().numpy(), [model.rate(one) for one in scores], atol=1e-3
    )
    ratings.sum().backward()
    assert waveforms.grad.any()


def test_best_of_takes_the_highest_score_of_each_prompt(judge, sound):
    candidates = clips(sound, 0.2, count=6).view(2, 3, -1)
    expected = torch.stack(
        [judge(row, text, sample_rate=32000) for row, text in zip(candidates, TEXTS, strict=True)]
    )
    best = judge.best_of(3, candidates, TEXTS, sample_rate=32000)
    torch.testing.assert_close(best.scores, expected, atol=1e-6, rtol=0)
    assert best.indices.tolist() == expected.argmax(dim=1).tolist()
    for row in (0, 1):
        assert torch.equal(best.waveforms[row], candidates[row, best.indices[row]])


def test_best_of_a_generator_is_that_of_its_waveforms(judge, sound):
    candidates = clips(sound, 0.2, count=6).view(2, 3, -1)
    calls = iter(candidates.unbind(dim=1))
    asked: list[list[str]] = []

    def generate(texts: list[str]) -> torch.Tensor:
        asked.append(texts)
        return next(calls)

    drawn = judge.best_of(3, generate, TEXTS, sample_rate=32000)
    given = judge.best_of(3, candidates, TEXTS, sample_rate=32000)
    assert asked == [TEXTS] * 3
    for name in ("indices", "scores", "waveforms"):
        assert torch.equal(getattr(drawn, name), getattr(given, name))


def test_best_of_one_and_of_equals_is_the_first(judge):
    stereo = (torch.rand(2, 1, 2, 3200) - 0.5).expand(2, 4, 2, 3200)
    best = judge.best_of(4, stereo, TEXTS, sample_rate=32000)
    assert best.indices.tolist() == [0, 0]
    assert best.waveforms.shape == (2, 2, 3200)
    assert judge.best_of(1, stereo[:, :1], TEXTS, sample_rate=32000).scores.shape == (2, 1)
    again = judge.best_of(np.int64(4), stereo, (text for text in TEXTS), sample_rate=32000)
    assert torch.equal(again.scores, best.scores)


@pytest.mark.parametrize(
    ("n", "candidates", "texts", "words"),
    [
        (2, torch.zeros(2, 3, 3200), TEXTS, r"expected \(2, 2, time\)"),
        (3, torch.zeros(6, 3200), TEXTS, r"expected \(2, 3, time\)"),
        (0, torch.zeros(2, 0, 3200), TEXTS, "n is 0"),
        (3, torch.zeros(2, 3, 3200), "rain", "expected a list of prompts"),
        (3, np.zeros((2, 3, 3200)), TEXTS, r"candidates are a ndarray; .*\(2, 3, time\)"),
    ],
)
def test_best_of_refuses_what_does_not_fit(judge, n, candidates, texts, words):
    with pytest.raises(InputError, match=words):
        judge.best_of(n, candidates, texts, sample_rate=32000)


def test_best_of_refuses_candidates_of_unlike_length(judge):
    lengths = iter([3200, 6400])
    with pytest.raises(InputError, match=r"candidate 1 has shape \(2, 6400\), the first"):
        judge.best_of(2, lambda _: torch.zeros(2, next(lengths)), TEXTS, sample_rate=32000)
