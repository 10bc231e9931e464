"""`HumanCLAP.from_pretrained`, its `repr`, and its ways to other processes and threads."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from humanclap.clap.checkpoint import Checkpoint, save_checkpoint
from humanclap.errors import CheckpointError, SettingsError
from humanclap.scoring.pickled import Origin
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings

RATE = 32000


@pytest.fixture(scope="module")
def mini() -> HumanCLAP:
    return HumanCLAP.from_pretrained("mini", device="cpu")


def test_single_settings_are_those_of_scoring_settings(mini: HumanCLAP) -> None:
    given = HumanCLAP.from_pretrained(
        "mini", device=torch.device("cpu"), precision="bf16", batch_size=3
    )
    assert given.settings == ScoringSettings(device="cpu", precision="bf16", batch_windows=3)
    assert given.signature.endswith("|precision:bf16")
    settings = ScoringSettings(device="cpu", hop_s=5.0)
    assert HumanCLAP.from_pretrained("mini", settings=settings).settings is settings
    assert HumanCLAP.from_pretrained("mini").settings == ScoringSettings()


def test_settings_and_one_of_them_beside_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"ScoringSettings\(device='cpu', batch_windows=4\)"):
        HumanCLAP.from_pretrained(
            "mini", device="cpu", batch_size=4, settings=ScoringSettings(device="cpu")
        )
    with pytest.raises(SettingsError, match="batch_windows is 0"):
        HumanCLAP.from_pretrained("mini", batch_size=0)
    with pytest.raises(SettingsError, match="device 'warp9' cannot be used here"):
        HumanCLAP.from_pretrained("mini", device="warp9")
    with pytest.raises(SettingsError, match="precision is 'fp64'"):
        HumanCLAP.from_pretrained("mini", precision="fp64")  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="has no revisions"):
        HumanCLAP.from_pretrained("mini", revision="main")
    with pytest.raises(CheckpointError, match="brings its own tokenizer"):
        HumanCLAP.from_pretrained("mini", processor="laion/clap-htsat-unfused")


def test_a_scorer_shows_its_signature(mini: HumanCLAP) -> None:
    assert repr(mini) == f"HumanCLAP({mini.signature}, device=cpu)"


def test_a_packaged_model_pickles_by_name_with_its_settings(mini: HumanCLAP) -> None:
    settings = ScoringSettings(device="cpu", hop_s=5.0, cache=False)
    scorer = HumanCLAP.from_pretrained("mini", settings=settings)
    content = pickle.dumps(scorer)
    assert len(content) < 1000
    again = pickle.loads(content)
    assert (again.signature, again.settings) == (scorer.signature, settings)
    assert len(pickle.dumps(again)) == len(content)
    assert np.array_equal(again.embed_text("rain"), scorer.embed_text("rain"))
    assert copy.deepcopy(mini).signature == mini.signature


def test_another_model_of_the_same_name_is_told_when_it_is_unpickled() -> None:
    scorer = HumanCLAP.from_pretrained("mini", device="cpu")
    scorer._origin = Origin("mini", scorer.backbone.fingerprint())
    content = pickle.dumps(scorer).replace(scorer.backbone.fingerprint().encode(), b"0badc0de")
    with pytest.raises(CheckpointError, match="pickled with mini@0badc0de, and this humanclap has"):
        pickle.loads(content)


def test_changed_weights_or_calibration_pickle_with_the_model(mini: HumanCLAP) -> None:
    changed = copy.deepcopy(mini)
    with torch.no_grad():
        next(iter(changed.backbone.module().parameters())).add_(0.01)
    again = pickle.loads(pickle.dumps(changed))
    assert again.backbone.fingerprint() == changed.backbone.fingerprint()
    assert again.backbone.fingerprint() != mini.backbone.fingerprint()
    other = copy.deepcopy(mini)
    other.calibration = replace(other.calibration, low=-5.0)  # type: ignore[type-var]
    assert pickle.loads(pickle.dumps(other)).calibration == other.calibration


def test_any_other_model_pickles_whole(scorer: HumanCLAP, clips: Path) -> None:
    again = pickle.loads(pickle.dumps(scorer))
    assert again.signature == scorer.signature
    path = clips / "clip0.wav"
    assert again.score(path, "rain") == scorer.score(path, "rain")
    assert again.rate(0.5) == scorer.rate(0.5)


def test_a_folder_pickles_with_its_weights_as_it_may_be_gone(
    tiny_checkpoint: Checkpoint, tmp_path: Path
) -> None:
    save_checkpoint(tiny_checkpoint, tmp_path / "model")
    scorer = HumanCLAP.from_pretrained(tmp_path / "model", device="cpu")
    content = pickle.dumps(scorer)
    (tmp_path / "model").rename(tmp_path / "elsewhere")
    assert np.array_equal(pickle.loads(content).embed_text("rain"), scorer.embed_text("rain"))


def test_threads_that_share_a_scorer_get_the_scores_of_one(scorer: HumanCLAP, clips: Path) -> None:
    tensors = 0.1 * torch.randn(4, RATE, generator=torch.Generator().manual_seed(2))
    texts = ["a dog barks", "rain falls", "a siren wails", "wind"]
    paths = [clips / f"clip{number}.wav" for number in (0, 2, 5)]

    def ask(turn: int) -> tuple[list[float], list[float], list[list[float]]]:
        text = texts[turn % 4]
        return (
            scorer.score_many(tensors, text, sample_rate=RATE).tolist(),
            scorer.predict(paths, text).scores.tolist(),
            scorer.similarity(tensors[:1], texts, sample_rate=RATE).tolist(),
        )

    threads = torch.get_num_threads()
    expected = [ask(turn) for turn in range(4)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(12)))
    assert found == [expected[turn % 4] for turn in range(12)]
    assert torch.get_num_threads() == threads


WORKERS = """
import torch
from torch.utils.data import DataLoader, Dataset
from humanclap import HumanCLAP

class Clips(Dataset):
    def __init__(self, scorer):
        self.scorer = scorer
        self.tensors = 0.1 * torch.randn(4, 16000, generator=torch.Generator().manual_seed(0))

    def __len__(self):
        return len(self.tensors)

    def __getitem__(self, place):
        return self.scorer.score(self.tensors[place], "rain falls", sample_rate=16000)

def main():
    clips = Clips(HumanCLAP.from_pretrained("mini", device="cpu"))
    expected = [clips[place] for place in range(4)]
    for method, workers in (("fork", 2), ("spawn", 1)):
        loader = DataLoader(
            clips, num_workers=workers, multiprocessing_context=method, timeout=100
        )
        found = [float(score) for score in loader]
        near = max(abs(a - b) for a, b in zip(found, expected)) < 1e-6
        assert near, (method, found, expected)

if __name__ == "__main__":
    main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_workers_of_a_data_loader_score_as_the_process_that_made_them(tmp_path: Path) -> None:
    script = tmp_path / "workers.py"
    script.write_text(WORKERS)
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_windows", 2.5),
        ("batch_windows", "4"),
        ("batch_texts", True),
        ("hop_s", "5"),
        ("hop_s", float("nan")),
        ("hop_s", float("inf")),
    ],
)
def test_settings_of_other_types_are_refused(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=f"{name} is {value!r}; expected"):
        ScoringSettings(**{name: value})
