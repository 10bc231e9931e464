from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch

from humanclap.audio import Waveform
from humanclap.audio.clip_codes import clip_codes, keep
from humanclap.clap.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from humanclap.clap.known_pairs import IDENTITIES_FILE, UNKNOWN, Identities, identities_of
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.errors import AudioError, CheckpointError

NOTHING = np.zeros(0, np.uint32)


def wave(samples):
    return Waveform(samples=samples.astype(np.float32), sample_rate=32_000)


@pytest.fixture(scope="module")
def clips(sound):
    return [wave(sound(seed, 2.0)) for seed in range(4)]


@pytest.fixture(scope="module")
def known(clips):
    return identities_of(
        [
            (clips[0], "A dog barks", "trained"),
            (clips[0], None, "calibrated"),
            (clips[1], "rain", "tuned"),
            (None, "wind", "trained"),
        ]
    )


@pytest.fixture
def saved(known, tmp_path):
    torch.manual_seed(1)
    save_checkpoint(Checkpoint(MiniCLAP(MiniConfig.tiny()), identities=known), tmp_path / "model")
    return tmp_path / "model"


def said(identities, clips):
    codes = [clip_codes(clip) for clip in clips]
    return [identities.met([text], code)[0] for text, code in zip("abcd", codes, strict=True)]


ROLES_OF_CLIPS = ["clip:trained/calibrated", "clip:tuned", "nothing", "nothing"]


def test_clips_and_captions_are_known_with_all_their_roles(known, clips):
    assert said(known, clips) == ROLES_OF_CLIPS
    texts = ["a  DOG barks\n", "Rain", "wind", "a dog barks loudly"]
    assert known.met(texts, clip_codes(clips[1])) == [
        "caption:trained+clip:tuned",
        "caption:tuned+clip:tuned",
        "caption:trained+clip:tuned",
        "clip:tuned",
    ]


def test_a_clip_without_codes_is_unknown_and_its_caption_is_not(known):
    assert known.met(["rain", "hail"], NOTHING) == ["caption:tuned", "unknown"]
    silent = identities_of([(wave(np.zeros(64_000)), None, "trained")])
    assert (len(silent.clips), silent.unknown_clips) == (0, 1)
    assert silent.met(["hail"], clip_codes(wave(np.zeros(64_000)))) == ["unknown"]


def test_a_checkpoint_carries_them_through_saving_and_loading(saved, known, clips):
    loaded = load_checkpoint(saved).known_identities()
    assert said(loaded, clips) == ROLES_OF_CLIPS
    assert loaded.met(["WIND"], NOTHING) == ["caption:trained"]
    assert loaded.captions == known.captions
    assert (loaded.complete, loaded.unknown_clips) == (True, 0)


def test_an_older_checkpoint_is_unknown_not_clean(saved, clips):
    (saved / IDENTITIES_FILE).unlink()
    loaded = load_checkpoint(saved)
    assert loaded.known_identities() is UNKNOWN
    assert said(loaded.known_identities(), clips) == ["unknown"] * 4


def test_joining_keeps_roles_and_says_where_the_base_is_unknown(known, clips):
    tuned = identities_of([(clips[1], "wind", "calibrated"), (clips[2], "hail", "tuned")])
    both = known | tuned
    assert said(both, clips) == [
        "clip:trained/calibrated",
        "clip:tuned/calibrated",
        "clip:tuned",
        "nothing",
    ]
    assert both.met(["wind"], NOTHING) == ["caption:trained/calibrated"]
    assert said(UNKNOWN | tuned, clips) == ["unknown", "clip:calibrated", "clip:tuned", "unknown"]
    assert len(both.clips) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:200],
        lambda content: b"",
        lambda content: content.replace(b"humanclap-identities-1", b"humanclap-identities-9"),
        lambda content: content.replace(b"clip_roles", b"clip_rules"),
        lambda content: content.replace(b'"unknown_clips":"0"', b'"unknown_clips":"x"'),
    ],
)
def test_a_damaged_file_is_named_with_its_remedy_when_it_is_asked_for(saved, damage):
    path = saved / IDENTITIES_FILE
    path.write_bytes(damage(path.read_bytes()))
    loaded = load_checkpoint(saved)
    with pytest.raises(CheckpointError, match=rf"{IDENTITIES_FILE}: .*copy the checkpoint again"):
        loaded.known_identities()


def test_files_and_a_checkpoint_of_nothing(tmp_path, sound):
    soundfile.write(tmp_path / "a.wav", sound(9, 1.5), 32_000)
    path = tmp_path / "a.wav"
    found = identities_of([(path, "x", "tuned"), (str(path), "y", "calibrated")])
    assert [roles for _, roles in found.clips] == [0b110]
    with pytest.raises(AudioError, match=r"gone\.wav: no such file"):
        identities_of([(tmp_path / "gone.wav", None, "trained")])
    Identities().save(tmp_path)
    empty = Identities.read(tmp_path / IDENTITIES_FILE)
    assert empty.met(["a"], clip_codes(path)) == ["nothing"]


def test_three_thousand_clips_and_captions_fit_their_budget(tmp_path):
    rng = np.random.default_rng(0)
    clips = [
        (keep(rng.integers(1, 2**32, size, dtype=np.uint32)), 1)
        for size in rng.integers(150, 310, 3_000)
    ]
    captions = {int(number): 1 for number in rng.integers(0, 2**40, 3_000)}
    Identities(captions, clips).save(tmp_path)
    assert (tmp_path / IDENTITIES_FILE).stat().st_size < 430_000
