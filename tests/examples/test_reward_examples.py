"""The examples of the reward, run as a reader would run them, and what they show."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def run(monkeypatch, capsys) -> Callable[..., str]:
    """Run a script with its options; gives what it printed."""

    def script(path: str, *options: str) -> str:
        monkeypatch.setattr("sys.argv", [path, *options])
        monkeypatch.syspath_prepend(str((EXAMPLES / path).parent))
        runpy.run_path(str(EXAMPLES / path), run_name="__main__")
        return capsys.readouterr().out

    return script


def test_the_score_of_bare_samples_rises_while_the_text_does_not_come_true(run):
    printed = run("reward/reward_hacking.py", "--steps", "8")
    rows = {
        line[:20].strip(): [float(number) for number in line[20:].split()]
        for line in printed.splitlines()
        if re.search(r"\d\.\d{3}$", line)
    }
    before, after = rows["samples, before"], rows["samples, after"]
    assert after[0] > before[0] + 0.05
    assert after[2] == pytest.approx(before[2], abs=0.001)
    assert rows["synthesiser, after"][0] > rows["synthesiser, before"][0] + 0.1
    assert rows["a sine of 1 kHz"][2] > 0.99


needs_diffusers = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")


@needs_diffusers
def test_best_of_n_of_a_diffusers_pipeline(run, tmp_path):
    pytest.importorskip("diffusers")
    folder = tmp_path / "best"
    printed = run("diffusers/best_of.py", "--n", "3", "--steps", "2", "--output", str(folder))
    for line in printed.splitlines():
        scores = [float(number) for number in re.findall(r"-?\d\.\d{3}", line)]
        best = int(re.search(r"clip (\d)", line)[1])
        assert len(scores) == 3
        assert scores[best] == max(scores)
    written = {path.name: soundfile.info(path) for path in folder.iterdir()}
    assert set(written) == {"a dog barks.wav", "rain falls on the roof.wav"}
    assert all(info.channels == 2 and info.frames == 8000 for info in written.values())


@needs_diffusers
def test_the_reward_reaches_the_starting_noise_of_a_diffusers_pipeline(run):
    pytest.importorskip("diffusers")
    printed = run("diffusers/reward_gradient.py", "--rounds", "4", "--steps", "2")
    first, last = (float(number) for number in re.findall(r"score (-?\d\.\d{3})", printed))
    assert last > first
