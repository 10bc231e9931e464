import pytest
import torch
from torch import nn

from humanclap.clap.pooling import pool_each, pool_windows
from humanclap.errors import InputError


def test_pooling_weighs_windows_by_their_sound_and_has_unit_length():
    pooled = pool_windows(torch.eye(2), torch.tensor([3.0, 4.0]))
    assert torch.allclose(pooled, torch.tensor([0.6, 0.8]))


def test_pooling_does_not_depend_on_the_unit_of_the_weights():
    embeddings = nn.functional.normalize(torch.randn(5, 8), dim=1)
    weights = torch.rand(5) + 0.1
    assert torch.allclose(
        pool_windows(embeddings, weights), pool_windows(embeddings, 32000 * weights), atol=1e-6
    )


def test_one_window_is_its_own_pool():
    embedding = nn.functional.normalize(torch.randn(1, 8), dim=1)
    assert torch.equal(pool_windows(embedding, torch.tensor([0.3])), embedding[0])


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0, -0.5], [float("nan"), 1.0]])
def test_weights_that_cannot_weigh_are_refused(weights):
    with pytest.raises(InputError, match="weights must be at least 0 and not all 0"):
        pool_windows(torch.eye(2), torch.tensor(weights))


def test_unlike_shapes_are_refused():
    with pytest.raises(InputError, match=r"not \(2, 2\) and \(3,\)"):
        pool_windows(torch.eye(2), torch.ones(3))


def test_several_clips_are_pooled_each_by_its_own_windows():
    embeddings = nn.functional.normalize(torch.randn(6, 5), dim=1)
    weights = torch.tensor([1.0, 0.024, 1.0, 1.0, 1.0, 0.5])
    pooled = pool_each(embeddings, weights, [2, 1, 3])
    for row, part in zip(pooled, (slice(0, 2), slice(2, 3), slice(3, 6)), strict=True):
        assert torch.equal(row, pool_windows(embeddings[part], weights[part]))


@pytest.mark.parametrize("counts", [[], [2], [2, 0, 1], [4]])
def test_counts_that_are_not_those_of_the_windows_are_refused(counts):
    with pytest.raises(InputError, match="are not those of 3 windows"):
        pool_each(torch.eye(3), torch.ones(3), counts)
