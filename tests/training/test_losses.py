import math

import pytest
import torch
from torch.nn import functional as F

from humanclap.training.objective.losses import mae, mse, pair_cosine, sce, wsce
from humanclap.training.objective.masks import false_negatives
from humanclap.training.objective.objective import RatedBatch, loss_terms
from humanclap.training.settings import TrainingSettings

SCALE = torch.tensor(2.0)
AUDIO = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
TEXT = torch.tensor([[0.8, 0.6], [0.6, 0.8]])
# cosines: [[0.8, 0.6], [0.6, 0.8]]; logits with scale 2: [[1.6, 1.2], [1.2, 1.6]]. In every row
# and column the own logit leads by 0.4, so each cross-entropy is log(1 + exp(-0.4)).
EACH = math.log1p(math.exp(-0.4))


def unit_rows(*shape):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(3)), dim=-1)


def test_sce_worked_by_hand():
    assert sce(AUDIO, TEXT, SCALE).item() == pytest.approx(EACH)


def test_wsce_worked_by_hand_divided_by_the_number_of_pairs():
    relevance = torch.tensor([0.9, 0.3])
    assert wsce(AUDIO, TEXT, relevance, SCALE).item() == pytest.approx((0.9 + 0.3) * EACH / 2)


def test_wsce_of_an_asymmetric_batch_worked_by_hand():
    text = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    # logits [[2, 1.2], [0, 1.6]]. Rows: the own logit leads by 0.8 and 1.6; columns: by 2, 0.4.
    first = (math.log1p(math.exp(-0.8)) + math.log1p(math.exp(-2.0))) / 2
    second = (math.log1p(math.exp(-1.6)) + math.log1p(math.exp(-0.4))) / 2
    relevance = torch.tensor([1.0, 0.25])
    expected = (first + 0.25 * second) / 2
    assert wsce(AUDIO, text, relevance, SCALE).item() == pytest.approx(expected)
    by_weight = wsce(AUDIO, text, relevance, SCALE, normalise="weight")
    assert by_weight.item() == pytest.approx((first + 0.25 * second) / 1.25)


def test_mse_and_mae_worked_by_hand():
    cosine = pair_cosine(AUDIO, TEXT)
    assert torch.allclose(cosine, torch.tensor([0.8, 0.8]))
    relevance = torch.tensor([0.5, 1.0])
    assert mse(cosine, relevance).item() == pytest.approx((0.09 + 0.04) / 2)
    assert mae(cosine, relevance).item() == pytest.approx((0.3 + 0.2) / 2)


@pytest.mark.parametrize("normalise", ["batch", "weight"])
def test_with_every_relevance_one_wsce_is_sce(normalise):
    audio, text = unit_rows(2, 7, 5)
    scale = torch.tensor(14.0)
    weighted = wsce(audio, text, torch.ones(7), scale, normalise=normalise)
    assert weighted.item() == pytest.approx(sce(audio, text, scale).item(), rel=1e-6)


def test_with_every_relevance_one_wsce_is_the_loss_of_transformers_clap():
    modeling_clap = pytest.importorskip("transformers.models.clap.modeling_clap")
    audio, text = unit_rows(2, 7, 5)
    scale = torch.tensor(1 / 0.07)
    # ClapModel.forward: the mean of both directions, each over its own logits.
    per_text = scale * text @ audio.T
    per_audio = scale * audio @ text.T
    contrastive = modeling_clap.contrastive_loss
    theirs = (contrastive(per_text) + contrastive(per_audio)) / 2
    ours = wsce(audio, text, torch.ones(7), scale)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    assert sce(audio, text, scale).item() == pytest.approx(theirs.item(), rel=1e-6)


def test_a_batch_nobody_finds_relevant_gives_zero_and_no_gradient():
    audio, text = unit_rows(2, 4, 5)
    audio.requires_grad_()
    for normalise in ("batch", "weight"):
        loss = wsce(audio, text, torch.zeros(4), SCALE, normalise=normalise)
        assert loss.item() == 0.0
        (gradient,) = torch.autograd.grad(loss, audio)
        assert not gradient.any()


def test_a_masked_negative_is_absent_from_the_softmax():
    audio, text = unit_rows(2, 3, 5)
    mask = torch.zeros(3, 3, dtype=torch.bool)
    mask[0, 2] = mask[2, 0] = True
    logits = SCALE * audio @ text.T
    rows = [[0, 1], [0, 1, 2], [1, 2]]
    expected = 0.0
    for pair, left in enumerate(rows):
        expected -= math.log(logits[pair, pair].exp() / logits[pair, left].exp().sum())
        expected -= math.log(logits[pair, pair].exp() / logits[left, pair].exp().sum())
    assert sce(audio, text, SCALE, mask=mask).item() == pytest.approx(expected / 6, rel=1e-5)


def test_the_diagonal_is_never_masked():
    audio, text = unit_rows(2, 3, 5)
    everything = torch.ones(3, 3, dtype=torch.bool)
    assert sce(audio, text, SCALE, mask=everything).item() == pytest.approx(0.0, abs=1e-6)


def test_false_negatives_share_a_caption_or_a_clip():
    clips = ["a.wav", "b.wav", "c.wav", "a.wav"]
    captions = ["a dog barks", "A  dog barks", "rain", "rain"]
    by_caption = [(0, 1), (1, 0), (2, 3), (3, 2)]
    by_clip = [(0, 3), (3, 0)]

    def places(**choice):
        mask = false_negatives(clips, captions, **choice)
        return [] if mask is None else [tuple(place) for place in mask.nonzero().tolist()]

    assert places(same_caption=True, same_clip=False) == sorted(by_caption)
    assert places(same_caption=False, same_clip=True) == sorted(by_clip)
    assert places(same_caption=True, same_clip=True) == sorted(by_caption + by_clip)
    assert places(same_caption=False, same_clip=False) == []


def test_loss_terms_are_the_functions_by_name():
    audio, text = unit_rows(2, 4, 5)
    relevance = torch.tensor([0.1, 0.5, 0.7, 1.0])
    settings = TrainingSettings(objective="sce + 0.5*wsce + mse + mae")
    terms = loss_terms(settings.coefficients, RatedBatch(audio, text, relevance, SCALE), settings)
    cosine = pair_cosine(audio, text)
    assert terms == {
        "sce": sce(audio, text, SCALE),
        "wsce": 0.5 * wsce(audio, text, relevance, SCALE),
        "mse": mse(cosine, relevance),
        "mae": mae(cosine, relevance),
    }
