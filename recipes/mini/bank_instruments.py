"""Instruments: General MIDI programs and drums of a soundfont, played by fluidsynth."""

from __future__ import annotations

import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile as sf
from bank_sound import SAMPLE_RATE, Sound

SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
ORIGIN, LICENCE = "fluidsynth:fluid-soundfont-gm", "MIT"
SLOT_S, PHRASES, BANDS, BAND_S = 6.0, 9, 90, 15.0
TICKS = 1000  # per second: at 60 quarter notes a minute and 1000 ticks each, a tick is 1 ms
DRUM_CHANNEL = 9
MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)

# The programs of General MIDI level 1, in order.
PROGRAMS = """a grand piano, a bright piano, an electric grand piano, a honky-tonk piano,
an electric piano, an electric piano, a harpsichord, a clavinet, a celesta, a glockenspiel,
a music box, a vibraphone, a marimba, a xylophone, tubular bells, a dulcimer, a drawbar organ,
a percussive organ, a rock organ, a church organ, a reed organ, an accordion, a harmonica,
a tango accordion, a nylon-string guitar, a steel-string guitar, a jazz guitar,
a clean electric guitar, a muted electric guitar, an overdriven guitar, a distorted guitar,
guitar harmonics, an acoustic bass, a fingered bass guitar, a picked bass guitar, a fretless bass,
a slap bass, a slap bass, a synthesiser bass, a synthesiser bass, a violin, a viola, a cello,
a double bass, tremolo strings, pizzicato strings, an orchestral harp, timpani, a string ensemble,
a slow string ensemble, synthesiser strings, synthesiser strings, a choir singing aah,
a choir singing ooh, a synthesised voice, an orchestra hit, a trumpet, a trombone, a tuba,
a muted trumpet, a French horn, a brass section, synthesiser brass, synthesiser brass,
a soprano saxophone, an alto saxophone, a tenor saxophone, a baritone saxophone, an oboe,
an English horn, a bassoon, a clarinet, a piccolo, a flute, a recorder, a pan flute, a blown bottle,
a shakuhachi, a whistle, an ocarina, a square-wave lead, a saw-wave lead, a calliope lead,
a chiff lead, a charang lead, a voice lead, a fifths lead, a bass lead, a new-age pad, a warm pad,
a polysynth pad, a choir pad, a bowed pad, a metallic pad, a halo pad, a sweeping pad,
a rain-like synthesiser, a soundtrack synthesiser, a crystal synthesiser, an atmosphere synthesiser,
a bright synthesiser, a goblin synthesiser, an echoing synthesiser, a science-fiction synthesiser,
a sitar, a banjo, a shamisen, a koto, a kalimba, bagpipes, a fiddle, a shanai, a tinkling bell,
an agogo, steel drums, a woodblock, a taiko drum, a melodic tom, a synthesiser drum,
a reversed cymbal, guitar fret noise, breath noise, a seashore, a bird tweeting,
a telephone ringing, a helicopter, applause, a gunshot"""
NAMES = [" ".join(name.split()) for name in PROGRAMS.split(",")]
DRUMS = {
    35: "a bass drum", 36: "a bass drum", 37: "a side stick", 38: "a snare drum",
    39: "a hand clap", 40: "a snare drum", 42: "a closed hi-hat", 45: "a tom drum",
    46: "an open hi-hat", 48: "a tom drum", 49: "a crash cymbal", 51: "a ride cymbal",
    52: "a Chinese cymbal", 54: "a tambourine", 56: "a cowbell", 58: "a vibraslap",
    60: "a bongo", 63: "a conga", 65: "a timbale", 67: "an agogo", 69: "a cabasa",
    70: "maracas", 71: "a whistle", 73: "a guiro", 75: "claves", 76: "a woodblock",
    78: "a cuica", 81: "a triangle", 82: "a shaker", 83: "jingle bells", 84: "a bell tree",
    86: "a surdo drum",
}  # fmt: skip
JOBS = [f"program-{number:03d}" for number in range(128)] + ["drums", "beats", "bands"]

Note = tuple[float, float, int, int, int]  # start and length in s, channel, pitch, velocity


def variable_length(number: int) -> bytes:
    """A MIDI variable-length quantity.

    >>> variable_length(200).hex()
    '8148'
    """
    groups = [number & 127]
    while number := number >> 7:
        groups.append(number & 127 | 128)
    return bytes(reversed(groups))


def midi_file(notes: list[Note], programs: dict[int, int]) -> bytes:
    """A standard MIDI file, format 0, of notes on channels. Source: MIDI 1.0, standard files."""
    events = [(0, 0, bytes([0xC0 | channel, number])) for channel, number in programs.items()]
    for start, length, channel, pitch, velocity in notes:
        on, off = int(start * TICKS), int((start + length) * TICKS)
        events.append((on, 2, bytes([0x90 | channel, pitch, velocity])))
        events.append((max(off, on + 1), 1, bytes([0x80 | channel, pitch, 0])))
    track, now = b"\x00\xff\x51\x03" + (1_000_000).to_bytes(3, "big"), 0
    for at, _, event in sorted(events):
        track += variable_length(at - now) + event
        now = at
    track += b"\x00\xff\x2f\x00"
    header = b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS)
    return header + b"MTrk" + struct.pack(">I", len(track)) + track


def play(notes: list[Note], programs: dict[int, int], seconds: float) -> np.ndarray:
    """The notes as fluidsynth plays them, mono, exactly `seconds` long."""
    with tempfile.TemporaryDirectory() as folder:
        score, wave = Path(folder) / "score.mid", Path(folder) / "score.wav"
        score.write_bytes(midi_file(notes, programs))
        command = ["fluidsynth", "-ni", "-q", "-C", "0", "-g", "0.7", "-r", str(SAMPLE_RATE)]
        command += ["-F", str(wave), str(SOUNDFONT), str(score)]
        subprocess.run(command, check=True, capture_output=True)
        samples, _ = sf.read(wave, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)[: int(seconds * SAMPLE_RATE)]
    return np.pad(mono, (0, int(seconds * SAMPLE_RATE) - len(mono)))


def melody(random: np.random.Generator, start: float, seconds: float, root: int) -> list[Note]:
    """A random walk on a scale in one rhythm."""
    scale = MAJOR if random.random() < 0.5 else MINOR
    beat, velocity = (
        float(random.choice([0.12, 0.2, 0.3, 0.45, 0.7])),
        int(random.integers(50, 120)),
    )
    notes, at, step = [], start, 0
    while at < start + seconds - 0.1:
        length = beat * float(random.choice([1, 1, 2, 3]))
        step = int(np.clip(step + random.integers(-3, 4), -7, 9))
        pitch = root + 12 * (step // 7) + scale[step % 7]
        notes.append(
            (at, length * random.uniform(0.5, 1.05), 0, int(np.clip(pitch, 0, 127)), velocity)
        )
        at += length
    return notes


def chords(random: np.random.Generator, start: float, seconds: float, root: int) -> list[Note]:
    """Triads on random degrees, struck or rolled."""
    scale = MAJOR if random.random() < 0.5 else MINOR
    length, roll = random.uniform(0.5, 2), float(random.choice([0, 0.03, 0.12]))
    velocity = int(random.integers(50, 115))
    notes: list[Note] = []
    for at in np.arange(start, start + seconds - 0.4, length):
        degree = int(random.integers(0, 7))
        for voice in range(3):
            step = degree + 2 * voice
            pitch = min(root + 12 * (step // 7) + scale[step % 7], 127)
            notes.append((at + roll * voice, length * 0.95, 0, pitch, velocity))
    return notes


def program_sounds(number: int, random: np.random.Generator) -> Iterator[Sound]:
    """Single notes, melodies and chords of one program, each in its own slot of one score."""
    notes: list[Note] = []
    texts = []
    low, high = (30, 50) if 32 <= number < 40 else (40, 76)
    for index in range(PHRASES):
        start, root = index * SLOT_S, int(random.integers(low, high))
        if index % 3 == 0:
            length, velocity = random.uniform(0.3, 4.5), int(random.integers(40, 125))
            notes.append((start, length, 0, int(random.integers(low - 4, high + 14)), velocity))
            texts.append(f"a single note of {NAMES[number]}" if number < 120 else NAMES[number])
        elif index % 3 == 1:
            notes += melody(random, start, 5.0, root)
            texts.append(f"{NAMES[number]} playing a melody" if number < 120 else NAMES[number])
        else:
            notes += chords(random, start, 5.0, root)
            texts.append(f"{NAMES[number]} playing chords" if number < 120 else NAMES[number])
    played = play(notes, {0: number}, PHRASES * SLOT_S)
    for waveform, text in zip(np.split(played, PHRASES), texts, strict=True):
        yield Sound(waveform=waveform, text=text, origin=ORIGIN, licence=LICENCE)


def drum_sounds(random: np.random.Generator) -> Iterator[Sound]:
    """Each drum struck once, and struck in a rhythm."""
    notes: list[Note] = []
    for index, pitch in enumerate(DRUMS):
        notes.append((6.0 * index, 0.3, DRUM_CHANNEL, pitch, int(random.integers(60, 125))))
        gap = random.uniform(0.1, 0.6)
        for at in np.arange(6.0 * index + 2, 6.0 * index + 5, gap):
            notes.append((at, 0.1, DRUM_CHANNEL, pitch, int(random.integers(50, 125))))
    played = play(notes, {DRUM_CHANNEL: 0}, 6.0 * len(DRUMS))
    for piece, name in zip(np.split(played, len(DRUMS)), DRUMS.values(), strict=True):
        once, often = piece[: 2 * SAMPLE_RATE], piece[2 * SAMPLE_RATE :]
        yield Sound(waveform=once, text=f"{name} struck once", origin=ORIGIN, licence=LICENCE)
        yield Sound(waveform=often, text=f"{name} in a rhythm", origin=ORIGIN, licence=LICENCE)


def beat(random: np.random.Generator, seconds: float, tempo_s: float) -> list[Note]:
    """A drum pattern of one or two bars of sixteenths, repeated."""
    pattern = []
    for step in range(int(random.choice([16, 32]))):
        if step % 8 == 0 or random.random() < 0.12:
            pattern.append((step, int(random.choice([35, 36]))))
        if step % 8 == 4 or random.random() < 0.06:
            pattern.append((step, int(random.choice([38, 40, 39]))))
        if random.random() < 0.55:
            pattern.append((step, int(random.choice([42, 42, 46, 51, 70, 54]))))
    bar = tempo_s * (32 if any(step >= 16 for step, _ in pattern) else 16)
    notes = [
        (start + step * tempo_s, 0.1, DRUM_CHANNEL, pitch, int(random.integers(60, 115)))
        for start in np.arange(0, seconds, bar)
        for step, pitch in pattern
    ]
    return [note for note in notes if note[0] < seconds - 0.2]


def band(random: np.random.Generator) -> tuple[list[Note], dict[int, int]]:
    """Melody, chords and bass over one progression, with drums in two of three."""
    scale = MAJOR if random.random() < 0.5 else MINOR
    root, tempo_s = int(random.integers(52, 64)), random.uniform(0.09, 0.2)
    bar, notes = 8 * tempo_s, []
    degrees = random.choice([0, 3, 4, 5, 1], size=4)
    for index, start in enumerate(np.arange(0, BAND_S - bar, bar)):
        degree = int(degrees[index % 4])
        for voice in range(3):
            step = degree + 2 * voice
            pitch = root + 12 * (step // 7) + scale[step % 7]
            notes.append((start, bar * 0.95, 1, pitch, 70))
        for part in range(2):
            notes.append((start + part * bar / 2, bar * 0.45, 2, root - 24 + scale[degree], 95))
        for part in range(4):
            if random.random() < 0.7:
                step = degree + int(random.choice([0, 2, 4, 7, 9]))
                pitch = root + 12 + 12 * (step // 7) + scale[step % 7]
                notes.append((start + part * bar / 4, bar / 4, 0, pitch, 100))
    if random.random() < 0.66:
        notes += beat(random, BAND_S - 1, tempo_s)
    programs = {0: int(random.integers(0, 115)), 1: int(random.integers(0, 96))}
    return notes, programs | {2: int(random.integers(32, 40)), DRUM_CHANNEL: 0}


def band_sounds(random: np.random.Generator) -> Iterator[Sound]:
    """Short pieces of music for a few instruments."""
    for _ in range(BANDS):
        notes, programs = band(random)
        text = f"music with {NAMES[programs[0]]} and {NAMES[programs[1]]}"
        played = play(notes, programs, BAND_S)
        yield Sound(waveform=played, text=text, origin=ORIGIN, licence=LICENCE)


def beat_sounds(random: np.random.Generator) -> Iterator[Sound]:
    """Drum-kit rhythms."""
    for _ in range(BANDS // 2):
        kit = int(random.choice([0, 8, 16, 24, 25, 32, 40]))
        notes = beat(random, 9, random.uniform(0.08, 0.2))
        played = play(notes, {DRUM_CHANNEL: kit}, 10)
        yield Sound(waveform=played, text="a drum kit", origin=ORIGIN, licence=LICENCE)


def instrument_sounds(job: str, work: Path, random: np.random.Generator) -> Iterator[Sound]:
    """The sounds of one job."""
    if not SOUNDFONT.exists():
        raise FileNotFoundError(f"{SOUNDFONT}: apt-get install fluidsynth fluid-soundfont-gm")
    kinds = {"drums": drum_sounds, "beats": beat_sounds, "bands": band_sounds}
    if job in kinds:
        return kinds[job](random)
    return program_sounds(int(job.removeprefix("program-")), random)
