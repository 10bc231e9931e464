"""Two processes (gloo) against all batches in one."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch

from humanclap.scoring.scorer import HumanCLAP
from humanclap.torchmetrics import HumanCLAPScore
from humanclap.torchmetrics.functional import human_clap_score

RATE = 32000


@pytest.fixture(scope="module")
def found(
    model: HumanCLAP, batches: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("gloo")
    broken = torch.full((2, 1, RATE), 0.1)
    broken[0, 0, 5] = torch.nan
    broken[1] = batches[0][0][0, :, :1].repeat(1, RATE).cumsum(1) % 0.5
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        work = importlib.import_module("gloo_worker").work
        others = (2, str(folder), model, batches, (broken, ["rain falls"] * 2))
        torch.multiprocessing.spawn(work, others, nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


def in_one(model: HumanCLAP, batches: list[Any], **choices: Any) -> Any:
    metric = HumanCLAPScore(model, **choices)
    for audio, texts in batches:
        metric.update(audio, texts, RATE)
    return metric.compute()


@pytest.mark.parametrize("case", ["all", "one process has nothing"])
def test_processes_give_the_mean_and_interval_of_all_clips(
    found: list[dict[str, Any]], case: str, model: HumanCLAP, batches: list[Any]
) -> None:
    expected = in_one(model, batches, confidence=0.9)
    for rank in (0, 1):
        value = found[rank][case]["value"]
        assert {name: float(v) for name, v in value.items()} == pytest.approx(
            {name: float(v) for name, v in expected.items()}, abs=1e-6
        )


def test_after_the_sync_each_process_goes_on_with_its_own_clips(
    found: list[dict[str, Any]], model: HumanCLAP, batches: list[Any]
) -> None:
    for rank, clips in ((0, 4 + 3 + 2), (1, 2 + 1)):
        assert found[rank]["all"]["before"] == found[rank]["all"]["after"] == (clips, 0)
        alone = in_one(model, batches[rank::2])
        torch.testing.assert_close(found[rank]["alone"]["value"], alone, atol=1e-6, rtol=0)


def test_nobody_has_anything_is_nan_in_each(found: list[dict[str, Any]]) -> None:
    assert all(found[rank]["nobody has anything"]["value"].isnan() for rank in (0, 1))


def test_a_clip_that_one_process_leaves_out_is_left_out_of_the_mean_of_all(
    found: list[dict[str, Any]],
) -> None:
    case = [found[rank]["a broken clip"] for rank in (0, 1)]
    assert [one["after"] for one in case] == [(9, 0), (5, 1)]
    assert case[0]["value"] == case[1]["value"]
    assert case[0]["value"] != found[0]["all"]["value"]["mean"]


def test_synced_at_each_step_forward_gives_the_step_of_all(
    found: list[dict[str, Any]], model: HumanCLAP, batches: list[Any]
) -> None:
    for step in (0, 1):
        together = batches[2 * step : 2 * step + 2]
        means = [human_clap_score(*batch, model, sample_rate=RATE) for batch in together]
        clips = torch.tensor([float(len(audio)) for audio, _ in together])
        expected = (torch.stack(means) * clips).sum() / clips.sum()
        for rank in (0, 1):
            torch.testing.assert_close(found[rank]["each step"][step], expected, atol=1e-6, rtol=0)
    for rank in (0, 1):
        whole = in_one(model, batches[:4])
        torch.testing.assert_close(found[rank]["after the steps"], whole, atol=1e-6, rtol=0)
