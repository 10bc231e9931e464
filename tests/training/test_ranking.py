import math

import pytest
import torch

from humanclap.training.data.certainty import certainties
from humanclap.training.objective.listeners import ListenerHabits, listener_loss
from humanclap.training.objective.losses import huber, mae, mse, wsce
from humanclap.training.objective.objective import RatedBatch, loss_terms
from humanclap.training.objective.ranking import bradley_terry, difference, listnet, rank_margin
from humanclap.training.settings import POINTWISE, WITHIN_BATCH, TrainingSettings

COSINE = torch.tensor([0.5, 0.2, 0.4])
RELEVANCE = torch.tensor([0.9, 0.6, 0.1])
# Ranked pairs: 0 above 1 (cosines differ by 0.3), 0 above 2 (by 0.1), 1 above 2 (by -0.2).


def test_huber_worked_by_hand():
    # errors 0.4, 0.4, 0.3; delta 0.35: two beyond, 0.35 (0.4 - 0.175), one inside, 0.09 / 2
    expected = (2 * 0.35 * 0.225 + 0.045) / 3
    assert huber(COSINE, RELEVANCE, delta=0.35).item() == pytest.approx(expected)


def test_huber_of_a_wide_delta_is_half_the_squared_error_and_of_a_narrow_one_mae():
    assert huber(COSINE, RELEVANCE, delta=9.0) == pytest.approx(mse(COSINE, RELEVANCE).item() / 2)
    narrow = huber(COSINE, RELEVANCE, delta=1e-4).item() / 1e-4
    assert narrow == pytest.approx(mae(COSINE, RELEVANCE).item(), rel=1e-3)


def test_huber_is_torchs():
    theirs = torch.nn.functional.huber_loss(COSINE, RELEVANCE, delta=0.35)
    assert huber(COSINE, RELEVANCE, delta=0.35).item() == pytest.approx(theirs.item())


def test_margin_worked_by_hand():
    # hinge at 0.2: 0, 0.1, 0.4
    assert rank_margin(COSINE, RELEVANCE, margin=0.2).item() == pytest.approx(0.5 / 3)
    # with pairs nearer than 0.4 left out only (0, 2) and (1, 2) are ranked
    kept = rank_margin(COSINE, RELEVANCE, margin=0.2, least_difference=0.4)
    assert kept.item() == pytest.approx(0.5 / 2)


def test_bradley_terry_worked_by_hand():
    each = [math.log1p(math.exp(-x)) for x in (3.0, 1.0, -2.0)]
    found = bradley_terry(COSINE, RELEVANCE, temperature=0.1)
    assert found.item() == pytest.approx(sum(each) / 3)


def test_listnet_worked_by_hand_and_zero_where_both_agree():
    cosine, relevance = torch.tensor([0.3, 0.0]), torch.tensor([0.5, 0.0])
    p = 1 / (1 + math.exp(-0.5 / 0.2))
    q = 1 / (1 + math.exp(-0.3 / 0.2))
    expected = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    assert listnet(cosine, relevance, temperature=0.2).item() == pytest.approx(expected, rel=1e-5)
    assert listnet(relevance, relevance, temperature=0.2).item() == pytest.approx(0.0, abs=1e-7)
    theirs = torch.nn.functional.kl_div(
        (cosine / 0.2).log_softmax(0), (relevance / 0.2).softmax(0), reduction="sum"
    )
    assert listnet(cosine, relevance, temperature=0.2).item() == pytest.approx(theirs.item())


def test_difference_worked_by_hand():
    # differences of cosine and target: 0.3 / 0.3, 0.1 / 0.8, -0.2 / 0.5: errors 0, 0.7, 0.7
    expected = 2 * (0.6 / 2) / 3
    assert difference(COSINE, RELEVANCE, margin=0.1).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    "loss",
    [
        lambda c, r, w: rank_margin(c, r, margin=0.2, certainty=w),
        lambda c, r, w: bradley_terry(c, r, temperature=0.1, certainty=w),
        lambda c, r, w: difference(c, r, margin=0.1, certainty=w),
        lambda c, r, w: listnet(c, r, temperature=0.1, certainty=w),
        lambda c, r, w: huber(c, r, delta=0.1, certainty=w),
        lambda c, r, w: mse(c, r, certainty=w),
        lambda c, r, w: mae(c, r, certainty=w),
    ],
)
def test_equal_certainties_change_nothing_and_certainty_nought_takes_a_pair_out(loss):
    assert loss(COSINE, RELEVANCE, torch.ones(3)).item() == pytest.approx(
        loss(COSINE, RELEVANCE, None).item()
    )
    cosine = COSINE.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(
        loss(cosine, RELEVANCE, torch.tensor([1.0, 0.0, 1.0])), cosine
    )
    if loss.__code__.co_names[0] != "listnet":  # whose softmax still holds the pair
        assert gradient[1] == 0
    assert gradient[2] != 0


@pytest.mark.parametrize("size", [1, 3])
def test_a_batch_with_nothing_to_rank_gives_zero_and_no_gradient(size):
    cosine = torch.linspace(0, 1, size).requires_grad_()
    for loss in (
        rank_margin(cosine, torch.ones(size), margin=0.1),
        bradley_terry(cosine, torch.ones(size), temperature=0.1),
    ):
        assert loss.item() == 0
        assert not torch.autograd.grad(loss, cosine, retain_graph=True)[0].any()
    assert difference(torch.ones(1), torch.ones(1), margin=0.0).item() == 0


def test_a_power_bends_the_weights_of_wsce():
    relevance = torch.tensor([1.0, 0.5])
    audio = text = torch.eye(2)
    scale = torch.tensor(1.0)
    settings = TrainingSettings(objective="wsce", wsce_power=2.0)
    terms = loss_terms({"wsce": 1.0}, RatedBatch(audio, text, relevance, scale), settings)
    assert terms["wsce"].item() == wsce(audio, text, relevance**2, scale).item()


def test_standardised_terms_are_those_of_standardised_numbers():
    audio = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    text = torch.tensor([[0.8, 0.6], [0.6, 0.8], [1.0, 0.0]])
    batch = RatedBatch(audio, text, RELEVANCE, torch.tensor(2.0), unit=(0.4, 0.25))
    settings = TrainingSettings(objective="mse+0.5*difference", difference_margin=0.1)
    found = loss_terms(settings.coefficients, batch, settings)
    cosine = ((audio * text).sum(1) - 0.4) / 0.25
    relevance = (RELEVANCE - 0.4) / 0.25
    assert found["mse"].item() == pytest.approx(mse(cosine, relevance).item())
    half = 0.5 * difference(cosine, relevance, margin=0.1).item()
    assert found["difference"].item() == pytest.approx(half)


@pytest.mark.parametrize("term", [*POINTWISE, *WITHIN_BATCH])
def test_every_rated_term_falls_when_cosines_follow_the_ratings(term):
    audio = torch.eye(4)

    def loss_of(cosine):
        sine = (1 - cosine**2).sqrt()
        text = torch.stack([cosine[i] * audio[i] + sine[i] * audio[(i + 1) % 4] for i in range(4)])
        settings = TrainingSettings(objective=term)
        batch = RatedBatch(audio, text, relevance, torch.tensor(1.0))
        return loss_terms(settings.coefficients, batch, settings)[term].item()

    relevance = torch.tensor([0.1, 0.4, 0.6, 0.9])
    assert loss_of(relevance) < loss_of(relevance.flip(0))


# -- certainty --------------------------------------------------------------------------------


def test_more_ratings_and_less_spread_count_more():
    weights = certainties([0.1, 0.9, 0.5, 0.6], [2, 8, 4, 4], [0.1, 0.05, 0.02, 0.2])
    assert sum(weights) / 4 == pytest.approx(1.0)
    assert weights[1] > weights[0]
    assert weights[2] > weights[3]


def test_certainties_worked_by_hand():
    # n = 2 each; variances of one rating 0.02 and 0.06, common 0.04; shrunk with 4 to 1:
    # (0.16 + 0.02) / 5 = 0.036 and (0.16 + 0.06) / 5 = 0.044; of the means 0.018 and 0.022
    between = 0.25 - 0.02  # variance of the targets 0 and 1 less the mean squared error
    first, second = 1 / (between + 0.018), 1 / (between + 0.022)
    mean = (first + second) / 2
    found = certainties([0.0, 1.0], [2, 2], [math.sqrt(0.01), math.sqrt(0.03)])
    assert found == pytest.approx([first / mean, second / mean])


def test_without_any_spread_known_certainty_goes_by_n_alone():
    nan = math.nan
    assert certainties([0.2, 0.5, 0.9], [3, 3, 3], [nan] * 3) == pytest.approx([1.0] * 3)
    few, many = certainties([0.2, 0.9], [1, 9], [nan, nan])
    assert few < many
    assert certainties([0.5, 0.5], [1, 2], [nan, nan]) == [1.0, 1.0]


# -- listeners --------------------------------------------------------------------------------


def test_the_listener_loss_worked_by_hand():
    cosine = torch.tensor([0.5, 0.2])
    found = listener_loss(
        cosine,
        torch.tensor([0.7, 0.4]),
        torch.tensor([0, 1]),
        torch.tensor([0.1, 0.0]),
        torch.tensor([0.0, math.log(2.0)]),
        ridge=0.5,
    )
    # 0.7 - (0.1 + 0.5) = 0.1; 0.4 - 2 * 0.2 = 0; penalties 0.5 * 0.01 and 0.5 * ln(2)^2
    expected = (0.01 + 0.005 + 0.5 * math.log(2) ** 2) / 2
    assert found.item() == pytest.approx(expected)


def test_no_answers_cost_nothing():
    none = torch.zeros(0)
    found = listener_loss(COSINE, none, none.long(), none, none, ridge=1.0)
    assert found.item() == 0


def test_a_listener_who_was_not_met_answers_in_the_common_way():
    habits = ListenerHabits(["met"])
    torch.nn.init.constant_(habits.bias, 0.3)
    torch.nn.init.constant_(habits.log_scale, -0.2)
    bias, log_scale = habits(["stranger", "met"])
    assert bias.tolist() == pytest.approx([0.0, 0.3])
    assert log_scale.tolist() == pytest.approx([0.0, -0.2])
    (bias.sum() + log_scale.sum()).backward()
    assert habits.bias.grad.tolist() == [1.0]


def test_the_habits_of_biased_listeners_are_found():
    generator = torch.Generator().manual_seed(0)
    quality = torch.rand(200, generator=generator)
    habits = ListenerHabits(["mild", "strict", "narrow"])
    ids = ["mild", "strict", "narrow"] * 200
    pair = torch.arange(200).repeat_interleave(3)
    bias = torch.tensor([0.2, -0.2, 0.3]).repeat(200)
    scale = torch.tensor([1.0, 1.0, 0.4]).repeat(200)
    answers = bias + scale * quality[pair]
    optimizer = torch.optim.Adam(habits.parameters(), lr=0.02)
    for _ in range(400):
        optimizer.zero_grad()
        listener_loss(quality, answers, pair, *habits(ids), ridge=1e-6).backward()
        optimizer.step()
    found, log_scale = habits(["mild", "strict", "narrow"])
    assert torch.allclose(found, torch.tensor([0.2, -0.2, 0.3]), atol=0.02)
    assert torch.allclose(log_scale.exp(), torch.tensor([1.0, 1.0, 0.4]), atol=0.03)
