"""The examples of docs/service.md run, against a service of the test."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

PAGE = Path(__file__).resolve().parents[2] / "docs" / "service.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_page_run(target, tone, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    soundfile.write("dog.wav", tone(), 16_000)
    torch = pytest.importorskip("torch")
    names: dict[str, object] = {
        "batch": np.stack([tone(0.2), tone(0.2, pitch=900)]),
        "prompts": ["a dog barks", "rain"],
        "generator": lambda prompts: torch.from_numpy(np.stack([tone(0.2)] * len(prompts))),
    }
    for block in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        exec(block.replace("http://127.0.0.1:8080", target.url), names)
    names["client"].close()
    names["ahead"].shutdown()
    assert np.isfinite(names["table"].scores).all()


def test_the_container_file_copies_what_the_wheel_needs() -> None:
    """pyproject.toml names the readme and the licence; the build fails without them."""
    text = (PAGE.parents[1] / "containers" / "serve.Dockerfile").read_text(encoding="utf-8")
    copied = set(re.findall(r"^COPY (.*) \./", text, re.MULTILINE)[1].split())
    assert {"pyproject.toml", "README.md", "LICENSE"} <= copied
    assert re.search(r"^USER humanclap$", text, re.MULTILINE)
