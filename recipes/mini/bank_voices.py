"""Voices: espeak-ng in many languages and timbres, alone, as crowds, near and far."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from bank_sound import SAMPLE_RATE, Sound
from sound_parts import band, in_room, response

ORIGIN, LICENCE = "espeak-ng", "Apache-2.0"  # the program is GPL-3+; its output is ours
CLIPS_A_JOB = 60
JOBS = [
    *(f"english-{number:02d}" for number in range(6)),
    *(f"languages-{number:02d}" for number in range(4)),
    *(f"crowd-{number:02d}" for number in range(3)),
    *(f"dialogue-{number:02d}" for number in range(1)),
    *(f"far-{number:02d}" for number in range(2)),
]
ENGLISH = (
    "en-gb",
    "en-us",
    "en-gb-scotland",
    "en-gb-x-rp",
    "en-gb-x-gbclan",
    "en-us-nyc",
    "en-029",
)
LANGUAGES = {
    "af": "Afrikaans", "ar": "Arabic", "bg": "Bulgarian", "ca": "Catalan", "cmn": "Chinese",
    "cs": "Czech", "cy": "Welsh", "da": "Danish", "de": "German", "el": "Greek", "eo": "Esperanto",
    "es": "Spanish", "et": "Estonian", "eu": "Basque", "fa": "Persian", "fi": "Finnish",
    "fr-fr": "French", "ga": "Irish", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian",
    "id": "Indonesian", "it": "Italian", "ka": "Georgian", "ko": "Korean", "la": "Latin",
    "lt": "Lithuanian", "lv": "Latvian", "nb": "Norwegian", "nl": "Dutch", "pl": "Polish",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sq": "Albanian",
    "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "tr": "Turkish", "uk": "Ukrainian",
    "vi": "Vietnamese", "yue": "Cantonese",
}  # fmt: skip
MEN = ("", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7", "+m8", "+klatt", "+klatt3", "+grandpa")
WOMEN = ("+f1", "+f2", "+f3", "+f4", "+f5", "+grandma", "+steph", "+linda", "+Annie")
ODD = {"+whisper": "whispering", "+female_whisper": "whispering", "+croak": "croaking"}
WHO = ("man", "woman", "child", "teacher", "doctor", "farmer", "sailor", "cook", "driver", "king")
LIKE = ("old", "young", "tired", "happy", "quiet", "busy", "hungry", "strange", "tall", "angry")
DOES = ("sees", "carries", "follows", "opens", "forgets", "finds", "paints", "breaks", "washes")
WHAT = ("door", "river", "bread", "window", "letter", "clock", "garden", "engine", "horse", "boat")
WHERE = ("near the river", "in the kitchen", "after dinner", "before dawn", "on the road")


def sentence(random: np.random.Generator) -> str:
    """A statement, question, shout or count of common words."""

    def pick(words):
        return str(random.choice(words))

    if random.random() < 0.12:
        return ", ".join(str(number) for number in random.integers(0, 5000, 6))
    body = f"the {pick(LIKE)} {pick(WHO)} {pick(DOES)} the {pick(LIKE)} {pick(WHAT)} {pick(WHERE)}"
    kinds = (
        f"{body}.",
        f"why does it seem that {body}?",
        f"look! {body}!",
        f"well, {body}, I think.",
    )
    return pick(kinds)


def numbers(random: np.random.Generator) -> str:
    """Digits, which each language's voice reads in its own words."""
    return ", ".join(str(number) for number in random.integers(0, 10_000, random.integers(3, 9)))


def say(text: str, voice: str, random: np.random.Generator) -> np.ndarray:
    """One utterance at a random pitch and speed, 32 kHz."""
    pitch, speed = str(random.integers(15, 90)), str(random.integers(110, 260))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "say.wav"
        command = ["espeak-ng", "-v", voice, "-p", pitch, "-s", speed, "-w", str(path), text]
        subprocess.run(command, check=True, capture_output=True)
        samples, rate = sf.read(path, dtype="float32")
    return soxr.resample(samples, rate, SAMPLE_RATE)


def speaker(random: np.random.Generator) -> tuple[str, str]:
    """A voice variant and who is heard in it."""
    chance = random.random()
    if chance < 0.1:
        variant = str(random.choice(list(ODD)))
        return variant, f"a person {ODD[variant]}"
    if chance < 0.55:
        return str(random.choice(WOMEN)), "a woman speaking"
    return str(random.choice(MEN)), "a man speaking"


def english(random: np.random.Generator) -> tuple[np.ndarray, str]:
    """One to three sentences by one person."""
    variant, text = speaker(random)
    words = " ".join(sentence(random) for _ in range(random.integers(1, 4)))
    return say(words, str(random.choice(ENGLISH)) + variant, random), text


def languages(random: np.random.Generator) -> tuple[np.ndarray, str]:
    """Numbers in one of many languages."""
    language = str(random.choice(list(LANGUAGES)))
    variant, text = speaker(random)
    return say(numbers(random), language + variant, random), f"{text} {LANGUAGES[language]}"


def crowds(random: np.random.Generator) -> Iterator[tuple[np.ndarray, str]]:
    """Three to twenty of some voices at once, in a room."""
    voices = [(english if index % 3 else languages)(random)[0] for index in range(50)]
    for _ in range(CLIPS_A_JOB):
        total = np.zeros(int(random.uniform(4, 10) * SAMPLE_RATE), np.float32)
        count = int(random.integers(3, 21))
        for index in random.choice(len(voices), count, replace=False):
            voice = np.roll(np.resize(voices[index], len(total)), random.integers(0, len(total)))
            total += voice * random.uniform(0.2, 1)
        text = "a crowd of people talking" if count > 6 else "several people talking at once"
        yield in_room(total, response(random)), text


def dialogue(random: np.random.Generator) -> tuple[np.ndarray, str]:
    """Two people in turn."""
    voices = [str(random.choice(ENGLISH)) + str(random.choice(group)) for group in (MEN, WOMEN)]
    turns = []
    for turn in range(int(random.integers(3, 6))):
        turns += [say(sentence(random), voices[turn % 2], random), np.zeros(6000, np.float32)]
    return np.concatenate(turns), "a man and a woman talking"


def far(random: np.random.Generator) -> tuple[np.ndarray, str]:
    """A voice through a telephone, a loudspeaker, or from the far end of a room."""
    voice, text = english(random)
    kind = int(random.integers(3))
    if kind == 0:
        return band(voice, 300, 3400), f"{text} on the telephone"
    if kind == 1:
        loud = np.tanh(8 * band(voice, 500, 3500) / (np.abs(voice).max() + 1e-9))
        return in_room(loud, response(random)), f"{text} through a loudspeaker"
    room = response(random)
    room[0] = 0.1
    return in_room(voice, room), f"{text} in a large room"


def voice_sounds(job: str, work: Path, random: np.random.Generator) -> Iterator[Sound]:
    """The sounds of one job, at random levels."""
    kind = job.partition("-")[0]
    one = {"english": english, "languages": languages, "dialogue": dialogue, "far": far}
    made = crowds(random) if kind == "crowd" else (one[kind](random) for _ in range(CLIPS_A_JOB))
    for waveform, text in made:
        level = np.exp(random.uniform(np.log(0.1), np.log(0.95)))
        waveform = waveform * (level / (np.abs(waveform).max() + 1e-9))
        yield Sound(waveform=waveform, text=text, origin=ORIGIN, licence=LICENCE)
