"""Scoring again out of the cache: the same to the last bit, and never of another clip."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import humanclap.clap.cache_keys as cache_keys
from humanclap.audio import CancellingChannelsWarning, SilentAudioWarning
from humanclap.clap.cache import FILE, EmbeddingCache
from humanclap.clap.checkpoint import Checkpoint
from humanclap.clap.known_pairs import identities_of
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.records import Pair, Score
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings

TEXTS = ["a dog barks", "rain falls", "a siren wails then a cat meows loud"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddingCache:
    """A cache of this test's own, on as users have it."""
    monkeypatch.setenv("HUMANCLAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HUMANCLAP_CACHE_MB")
    return EmbeddingCache(tmp_path / "cache" / FILE, max_bytes=10**9)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many windows and texts any tiny model has embedded."""
    found: Counter[str] = Counter()
    for name in ("embed_audio", "embed_text"):
        plain = getattr(MiniCLAP, name)

        def counting(
            self: MiniCLAP, batch: torch.Tensor, plain: object = plain, name: str = name
        ) -> torch.Tensor:
            found[name] += len(batch)
            return plain(self, batch)  # type: ignore[operator, no-any-return]

        monkeypatch.setattr(MiniCLAP, name, counting)
    return found


@pytest.fixture
def folder(tmp_path: Path, clips: Path) -> Path:
    """Clips of unlike length, one silent, one whose channels cancel, and three bad ones."""
    copy = tmp_path / "clips"
    shutil.copytree(clips, copy)
    tone = 0.3 * np.sin(np.arange(64_000) / 20)
    soundfile.write(copy / "silent.wav", np.zeros(32_000), 32_000)
    soundfile.write(copy / "cancels.wav", np.stack([tone, -tone], axis=1), 32_000)
    (copy / "text.wav").write_text("this is no sound")
    broken = np.full(32_000 * 25, 0.1, np.float32)
    broken[32_000 * 21] = np.nan
    soundfile.write(copy / "nan.wav", broken, 32_000, subtype="FLOAT")
    return copy


def settings(**given: object) -> ScoringSettings:
    return ScoringSettings(**{"device": "cpu", "batch_windows": 3, **given})  # type: ignore[arg-type]


def pairs_in(folder: Path) -> list[Pair]:
    names = [*sorted(path.name for path in folder.iterdir()), "gone.wav"]
    return [Pair(audio=name, text=text) for name in names for text in TEXTS]


def scored(scorer: HumanCLAP, pairs: list[Pair], folder: Path) -> list[str]:
    """Every field of every score, in digits that tell every bit."""
    return [repr(score) for score in scorer.score_pairs(pairs, audio_root=folder)]


def one(scorer: HumanCLAP, folder: Path, name: str) -> Score:
    (score,) = scorer.score_pairs([Pair(audio=name, text="rain falls")], audio_root=folder)
    return score


def test_scores_are_the_same_to_the_bit_without_cache_at_first_and_again(
    tiny_checkpoint: Checkpoint, folder: Path, counted: Counter[str]
) -> None:
    known = [(folder / "clip1.wav", TEXTS[0], "trained"), (folder / "clip6.wav", None, "tuned")]
    checkpoint = replace(tiny_checkpoint, identities=identities_of(known))  # type: ignore[arg-type]
    pairs = pairs_in(folder)
    without = scored(HumanCLAP(checkpoint, settings(cache=False)), pairs, folder)
    assert any("clip:trained" in row for row in without)
    assert any("cancel" in row for row in without)
    assert sum("error=None" not in row for row in without) == 3 * len(TEXTS)
    assert scored(HumanCLAP(checkpoint, settings()), pairs, folder) == without
    counted.clear()
    assert scored(HumanCLAP(checkpoint, settings()), pairs, folder) == without
    assert counted["embed_text"] == 0
    assert counted["embed_audio"] == 2  # the windows of nan.wav before its fault, as the first time


def test_the_cache_is_not_touched_where_it_is_off(
    tiny_checkpoint: Checkpoint, folder: Path, cache: EmbeddingCache, counted: Counter[str]
) -> None:
    scorer = HumanCLAP(tiny_checkpoint, settings(cache=False))
    for _ in range(2):
        one(scorer, folder, "clip2.wav")
    assert counted["embed_audio"] == 2
    assert not cache.path.exists()


def test_a_clip_is_known_by_its_bytes_and_not_by_its_name(
    tiny_checkpoint: Checkpoint, folder: Path, counted: Counter[str]
) -> None:
    scorer = HumanCLAP(tiny_checkpoint, settings())
    first = one(scorer, folder, "clip2.wav")
    (folder / "sub").mkdir()
    shutil.copy(folder / "clip2.wav", folder / "sub" / "other name.wav")
    counted.clear()
    assert one(scorer, folder, "sub/other name.wav").score == first.score
    assert counted["embed_audio"] == 0


def test_another_clip_of_the_same_name_size_and_time_is_heard(
    tiny_checkpoint: Checkpoint, folder: Path
) -> None:
    scorer = HumanCLAP(tiny_checkpoint, settings())
    path = folder / "clip2.wav"
    first, before = one(scorer, folder, "clip2.wav"), path.stat()
    content = path.read_bytes()
    path.write_bytes(content[:1000] + content[1000:][::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert one(scorer, folder, "clip2.wav").score != first.score
    path.write_bytes(content[: len(content) // 2])  # and a bad one is refused as ever
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    bad = one(scorer, folder, "clip2.wav")
    assert (
        bad.error == one(HumanCLAP(tiny_checkpoint, settings(cache=False)), folder, path.name).error
    )
    assert bad.error is not None
    path.write_bytes(content)  # its error was not kept
    assert one(scorer, folder, "clip2.wav").score == first.score


def test_a_copy_that_is_refused_for_its_suffix_stays_refused(
    tiny_checkpoint: Checkpoint, folder: Path
) -> None:
    scorer = HumanCLAP(tiny_checkpoint, settings())
    assert one(scorer, folder, "clip2.wav").error is None
    shutil.copy(folder / "clip2.wav", folder / "clip2.raw")
    assert one(scorer, folder, "clip2.raw").error is not None


def test_a_file_that_changes_while_it_is_read_is_not_kept(
    tiny_checkpoint: Checkpoint, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = folder / "clip2.wav", (folder / "clip5.wav").read_bytes()
    content = path.read_bytes()
    plain = cache_keys.sha256_file

    def changing(file: str | Path) -> str:
        digest = plain(file)
        path.write_bytes(other)
        return digest

    expected = one(HumanCLAP(tiny_checkpoint, settings(cache=False)), folder, "clip2.wav").score
    scorer = HumanCLAP(tiny_checkpoint, settings())
    monkeypatch.setattr(cache_keys, "sha256_file", changing)
    assert one(scorer, folder, "clip2.wav").score != expected
    monkeypatch.undo()
    path.write_bytes(content)
    assert one(HumanCLAP(tiny_checkpoint, settings()), folder, "clip2.wav").score == expected


def test_what_is_said_of_a_clip_is_said_again(tiny_checkpoint: Checkpoint, folder: Path) -> None:
    for _ in range(2):
        scorer = HumanCLAP(tiny_checkpoint, settings())
        assert "silent" in (one(scorer, folder, "silent.wav").note or "")
        with pytest.warns(SilentAudioWarning, match=r"silent\.wav: silent"):
            scorer.score(folder / "silent.wav", "rain")
        with pytest.warns(CancellingChannelsWarning, match=r"cancels\.wav: its channels"):
            scorer.score(folder / "cancels.wav", "rain")


def test_what_the_model_met_follows_its_record_and_not_an_entry(
    tiny_checkpoint: Checkpoint, folder: Path, counted: Counter[str]
) -> None:
    def met(*known: tuple[Path | None, str | None, str]) -> str | None:
        checkpoint = replace(tiny_checkpoint, identities=identities_of(known))  # type: ignore[arg-type]
        return one(HumanCLAP(checkpoint, settings()), folder, "clip1.wav").met

    clip = folder / "clip1.wav"
    assert one(HumanCLAP(tiny_checkpoint, settings()), folder, "clip1.wav").met == "unknown"
    assert met((None, "snow", "tuned")) == "nothing"  # needs codes: heard again
    counted.clear()
    assert met((clip, None, "tuned")) == "clip:tuned"
    assert met((clip, None, "trained")) == "clip:trained"
    assert met((None, "Rain falls", "trained")) == "caption:trained"
    assert one(HumanCLAP(tiny_checkpoint, settings()), folder, "clip1.wav").met == "unknown"
    assert counted["embed_audio"] == 0


@pytest.mark.parametrize(
    "change",
    [{"hop_s": 5.0}, {"precision": "bf16"}, {"batch_windows": 2}, {"batch_texts": 1}],
)
def test_other_settings_find_none_of_the_entries(
    tiny_checkpoint: Checkpoint, folder: Path, counted: Counter[str], change: dict[str, object]
) -> None:
    one(HumanCLAP(tiny_checkpoint, settings()), folder, "clip1.wav")
    counted.clear()
    changed = one(HumanCLAP(tiny_checkpoint, settings(**change)), folder, "clip1.wav")
    assert counted["embed_audio"] >= 3
    assert counted["embed_text"] == 1
    plain = HumanCLAP(tiny_checkpoint, settings(**change, cache=False))
    assert one(plain, folder, "clip1.wav") == changed


def test_other_threads_sources_and_libraries_find_none_of_the_entries(
    tiny_checkpoint: Checkpoint,
    folder: Path,
    counted: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scorer = HumanCLAP(tiny_checkpoint, settings())
    one(scorer, folder, "clip2.wav")
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        one(scorer, folder, "clip2.wav")
    finally:
        torch.set_num_threads(threads)
    assert counted["embed_audio"] == 2
    monkeypatch.setattr(soundfile, "__libsndfile_version__", "another")
    one(scorer, folder, "clip2.wav")
    assert counted["embed_audio"] == 3
    monkeypatch.setattr(cache_keys, "pipeline_version", lambda: "another")
    one(scorer, folder, "clip2.wav")
    assert counted["embed_audio"] == 4


def test_a_model_that_learns_on_finds_no_entry_of_its_former_weights(folder: Path) -> None:
    torch.manual_seed(3)
    checkpoint = Checkpoint(MiniCLAP(MiniConfig.tiny()))
    scorer = HumanCLAP(checkpoint, settings())
    first = one(scorer, folder, "clip2.wav").score
    with torch.no_grad():
        for parameter in checkpoint.backbone.module().parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    again = one(scorer, folder, "clip2.wav").score
    assert again != first
    assert again == one(HumanCLAP(checkpoint, settings(cache=False)), folder, "clip2.wav").score


def test_known_and_new_clips_and_texts_come_in_their_order(
    tiny_checkpoint: Checkpoint, folder: Path, counted: Counter[str]
) -> None:
    generator = random.Random(0)
    pairs = pairs_in(folder)
    plain = HumanCLAP(tiny_checkpoint, settings(cache=False))
    expected = {score.pair_id: score for score in plain.score_pairs(pairs, audio_root=folder)}
    order = list(expected)
    for share in (0.2, 0.5, 0.8):
        some = [pair for pair in pairs if generator.random() < share]
        list(HumanCLAP(tiny_checkpoint, settings()).score_pairs(some, audio_root=folder))
        found = list(HumanCLAP(tiny_checkpoint, settings()).score_pairs(pairs, audio_root=folder))
        assert [score.pair_id for score in found] == order
        for score in found:
            assert score.error == expected[score.pair_id].error
            assert score.note == expected[score.pair_id].note
            assert score.score == pytest.approx(
                expected[score.pair_id].score, abs=1e-6, nan_ok=True
            )


def test_many_clips_of_which_few_are_new_come_in_their_order(
    tiny_checkpoint: Checkpoint, folder: Path, counted: Counter[str], tmp_path: Path
) -> None:
    """200 clips are more than are looked up at once: known ones, then new, then known ones."""
    generator = np.random.default_rng(0)
    many = tmp_path / "many"
    many.mkdir()
    for number in range(200):
        soundfile.write(many / f"{number:03}.wav", generator.uniform(-0.5, 0.5, 4000), 32_000)
    paths = sorted(many.iterdir())
    alone = settings(batch_windows=1)
    plain = HumanCLAP(tiny_checkpoint, replace(alone, cache=False)).embed_audio(paths)
    HumanCLAP(tiny_checkpoint, alone).embed_audio([*paths[:90], *paths[110:111], *paths[150:]])
    counted.clear()
    found = HumanCLAP(tiny_checkpoint, alone).embed_audio(paths)
    assert np.array_equal(found, plain)  # one window a batch: no neighbours, to the last bit
    assert counted["embed_audio"] == 200 - 90 - 1 - 50


def test_what_was_heard_before_a_stop_is_kept(
    tiny_checkpoint: Checkpoint, folder: Path, counted: Counter[str]
) -> None:
    pairs = [Pair(audio=f"clip{n}.wav", text="rain falls") for n in (0, 2, 3, 5, 7)]
    scores = HumanCLAP(tiny_checkpoint, settings(batch_windows=1)).score_pairs(
        pairs, audio_root=folder
    )
    next(scores)
    next(scores)
    scores.close()  # type: ignore[attr-defined]
    counted.clear()
    list(
        HumanCLAP(tiny_checkpoint, settings(batch_windows=1)).score_pairs(pairs, audio_root=folder)
    )
    assert counted["embed_audio"] <= 3


def test_bytes_and_open_files_are_known_by_what_they_hold(
    tiny_checkpoint: Checkpoint, folder: Path, counted: Counter[str]
) -> None:
    scorer = HumanCLAP(tiny_checkpoint, settings())
    path = folder / "clip2.wav"
    first = scorer.embed_audio(path.read_bytes())
    counted.clear()
    with open(path, "rb") as stream:
        again = scorer.embed_audio([stream, {"bytes": path.read_bytes(), "path": "b.wav"}])
    assert counted["embed_audio"] == 0
    assert np.array_equal(again, np.concatenate([first, first]))
    scorer.embed_audio((folder / "clip5.wav").read_bytes())
    assert counted["embed_audio"] == 1


def test_arrays_and_pipes_are_heard_anew(
    tiny_checkpoint: Checkpoint, folder: Path, cache: EmbeddingCache, counted: Counter[str]
) -> None:
    scorer = HumanCLAP(tiny_checkpoint, settings())
    samples, rate = soundfile.read(folder / "clip2.wav", dtype="float32")
    for _ in range(2):
        scorer.embed_audio([samples], sample_rate=rate)
    assert counted["embed_audio"] == 2
    os.mkfifo(folder / "pipe.wav")
    assert "pipe" in (one(scorer, folder, "pipe.wav").error or "")  # and nothing waits for it
    assert cache.info().entries.keys() <= {"text"}


def test_a_damaged_or_useless_cache_costs_no_score(
    tiny_checkpoint: Checkpoint,
    folder: Path,
    cache: EmbeddingCache,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pairs = pairs_in(folder)
    expected = scored(HumanCLAP(tiny_checkpoint, settings(cache=False)), pairs, folder)
    assert scored(HumanCLAP(tiny_checkpoint, settings()), pairs, folder) == expected
    whole = cache.path.read_bytes()
    cache.path.write_bytes(whole[:200] + b"\xa5" * (len(whole) - 200))
    assert scored(HumanCLAP(tiny_checkpoint, settings()), pairs, folder) == expected
    assert "the cache begins anew" in caplog.text
    shutil.rmtree(cache.path.parent)
    cache.path.parent.write_text("no folder")
    caplog.clear()
    assert scored(HumanCLAP(tiny_checkpoint, settings()), pairs, folder) == expected
    assert len(caplog.records) == 1
