from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from humanclap.clap.cache_keys import Weights, context_of, known_file, sources_version, text_key
from humanclap.clap.mini import MiniCLAP, MiniConfig

CONTEXT = b"c" * 32


@pytest.fixture
def mini() -> MiniCLAP:
    torch.manual_seed(0)
    return MiniCLAP(MiniConfig.tiny()).eval()


def test_a_context_is_the_same_again_and_another_where_anything_is_another(mini: MiniCLAP) -> None:
    one = context_of(mini, kind="clip", settings={"hop_s": 5.0})
    assert context_of(mini, settings={"hop_s": 5.0}, kind="clip") == one
    assert context_of(mini, kind="text", settings={"hop_s": 5.0}) != one
    assert context_of(mini, kind="clip", settings={"hop_s": 2.5}) != one


def test_a_plug_in_is_known_by_its_own_code(mini: MiniCLAP, tmp_path: Path) -> None:
    """A backbone of another package, whose source changes while its weights stay."""
    file = tmp_path / "other_clap.py"
    module = ModuleType("other_clap")
    module.__file__ = str(file)
    sys.modules["other_clap"] = module
    mini.__class__ = type("OtherCLAP", (MiniCLAP,), {"__module__": "other_clap"})
    try:
        file.write_text("version = 1")
        before = context_of(mini)
        assert context_of(mini) == before
        file.write_text("version = 2")
        assert context_of(mini) != before
    finally:
        del sys.modules["other_clap"]


def test_the_pipeline_is_known_by_the_sources_of_sound_and_models(tmp_path: Path) -> None:
    for name in ("audio/load.py", "clap/mini/model.py", "evaluation/report/agreement_page.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("1")
    before = sources_version(tmp_path)
    (tmp_path / "evaluation/report/agreement_page.py").write_text("2")
    assert sources_version(tmp_path) == before
    (tmp_path / "clap/mini/model.py").write_text("2")
    changed = sources_version(tmp_path)
    assert changed != before
    (tmp_path / "clap/mini/model.py").rename(tmp_path / "clap/mini/other.py")
    assert sources_version(tmp_path) not in (before, changed)


def test_a_text_is_known_by_every_letter_even_half_of_one() -> None:
    keys = {text_key(CONTEXT, text) for text in ("rain", "Rain", "rain ", "\ud800", "")}
    assert len(keys) == 5
    assert text_key(b"d" * 32, "rain") not in keys


def test_a_file_is_known_by_its_content_and_the_kind_its_name_says(tmp_path: Path) -> None:
    for name, content in (("a.wav", b"1"), ("b.WAV", b"1"), ("a.raw", b"1"), ("c.wav", b"2")):
        (tmp_path / name).write_bytes(content)
    files = [known_file(tmp_path / name) for name in ("a.wav", "b.WAV", "a.raw", "c.wav")]
    a, b, raw, c = (file.key(CONTEXT) for file in files if file is not None)
    assert a == b
    assert len({a, raw, c}) == 3


def test_no_file_and_what_is_none_are_not_known(tmp_path: Path) -> None:
    assert known_file(tmp_path / "gone.wav") is None
    assert known_file(tmp_path) is None
    assert known_file("no\0file.wav") is None


def test_a_file_that_changed_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"1")
    known = known_file(path)
    assert known is not None
    assert known.unchanged
    path.write_bytes(b"22")
    assert not known.unchanged
    path.unlink()
    assert not known.unchanged


def test_weights_are_hashed_again_only_where_they_changed(
    mini: MiniCLAP, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = Weights(mini, mini.fingerprint())
    first = weights.fingerprint()
    plain, asked = MiniCLAP.fingerprint, []
    monkeypatch.setattr(MiniCLAP, "fingerprint", lambda self: asked.append(1) or plain(self))
    assert weights.fingerprint() == first
    assert not asked
    with torch.no_grad():
        next(mini.parameters()).add_(1.0)
    assert weights.fingerprint() != first
    assert len(asked) == 1
    assert weights.fingerprint() == plain(mini)
    assert len(asked) == 1


def test_weights_of_which_torch_counts_no_changes_are_hashed_each_time() -> None:
    with torch.inference_mode():
        mini = MiniCLAP(MiniConfig.tiny())
    weights = Weights(mini, mini.fingerprint())
    with torch.inference_mode():
        next(mini.parameters()).add_(1.0)
    assert weights.fingerprint() == mini.fingerprint()
