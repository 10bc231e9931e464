"""Texts for the text student: WordNet glosses and examples, prompts, and made sound captions."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from bank import normalise, read_bank, read_rows, relate_captions

WORDNET = Path("/usr/share/wordnet")
RELATE_TABLE = "data/relate/scores/REL.csv"

SOURCES = """a dog|a large dog|a small dog|several dogs|a puppy|a cat|a kitten|a horse|a cow|
a goat|sheep|a lamb|a pig|a rooster|chickens|ducks|a duck|geese|birds|a bird|
pigeons|crows|an owl|a frog|frogs|insects|crickets|bees|a bee|flies|a snake|mice|
a lion|a man|a woman|a child|children|a baby|an adult male|an adult female|
a young girl|a boy|a crowd|a group of people|two men|two women|people|an audience|
a car|a truck|a bus|a motorcycle|a race car|a train|a helicopter|an airplane|a jet|
a boat|a speedboat|a vehicle|an engine|a large engine|a small motor|a lawn mower|
a chainsaw|a drill|a power tool|a sewing machine|a vacuum cleaner|a hair dryer|
a blender|a printer|a camera|a clock|an alarm clock|a telephone|a phone|a bell|
church bells|a doorbell|a siren|a police siren|an ambulance|a fire truck|
a train horn|a car horn|a ship horn|a whistle|a steam whistle|a toilet|a faucet|
water|a stream|a river|a waterfall|waves|the ocean|rain|heavy rain|thunder|wind|
strong wind|fire|a campfire|fireworks|a gun|gunshots|an explosion|a door|
a wooden door|a metal gate|a drawer|glass|dishes|plates|a pan|food|oil|paper|
a plastic bag|keys|coins|a keyboard|a computer|a typewriter|a machine|a radio|
a television|music|a piano|a guitar|a violin|a flute|drums|a drum|a trumpet|a choir|
a synthesizer|an organ|a harmonica|a bicycle|a skateboard|footsteps|a ball|a hammer|
a saw|scissors|a knife|leaves|a tree|gravel|metal|wood|a spray can|a balloon|
a zipper|a basketball"""
ACTIONS = """barks|barking|growls|growling|whimpers|howling|meows|meowing|purring|hissing|neighs|
moos|mooing|bleats|baaing|oinks|crows|crowing|clucking|quacks|quacking|honks|
honking|chirps|chirping|singing|sings|cooing|cawing|hoots|croaks|croaking|buzzes|
buzzing|squeaks|squeaking|roars|roaring|speaks|speaking|talks|talking|whispers|
whispering|shouts|shouting|yelling|screams|screaming|laughs|laughing|giggling|cries|
crying|sobbing|coughs|coughing|sneezes|sneezing|snores|snoring|breathing|burping|
whistling|humming|applauds|cheering|clapping|chatting|passes by|driving by|
accelerates|accelerating|revs|revving|idles|idling|starts|starting up|stops|skids|
approaches|flies overhead|running|runs|vibrates|vibrating|hums|rattles|rattling|
clanks|clicks|clicking|ticks|ticking|beeps|beeping|rings|ringing|chimes|dings|wails|
wailing|blares|blowing|blows|flushes|flushing|drips|dripping|trickles|trickling|
splashes|splashing|flowing|gurgling|pouring|falls|pours down|rumbles|rumbling|
crackles|crackling|pops|explodes|bangs|banging|thuds|slams shut|opens|
opens and closes|creaks|creaking|knocks|tapping|shatters|breaking|clinking|sizzles|
sizzling|frying|crumpling|crinkling|rustles|rustling|jingles|jingling|typing|plays|
playing|strumming|drumming|walking|walks on gravel|running on a hard floor|bouncing|
sawing|drilling|hammering|cutting|scraping|grinding|spraying|squealing|whooshes|
echoes|clip-clops|bursts|zips|dribbling"""
MANNERS = """loudly|softly|repeatedly|in the distance|nearby|in the background|continuously|
briefly|twice|three times|four times|several times|rhythmically|faintly|slowly|
quickly|intermittently|once|outdoors|inside a room|in a large hall|
over a loudspeaker|into a microphone|on a busy street"""
JOINS = """ and | followed by | then | while | as | before | after | with | and then |, then |
, and | in the background while | as well as | over the sound of """
HEADS = """|||||the sound of |sound of |a recording of |this is a sound of |i can hear |
audio of |distant |loud |muffled |a noisy recording of """


def _choices(block: str) -> list[str]:
    return block.replace("\n", "").split("|")


def sound_captions(count: int, seed: int) -> Iterator[str]:
    """Made captions: one to four events with order, counts and manner."""
    pick = random.Random(seed)
    sources, actions, manners = _choices(SOURCES), _choices(ACTIONS), _choices(MANNERS)
    joins, heads = _choices(JOINS), _choices(HEADS)

    def event() -> str:
        words = f"{pick.choice(sources)} {pick.choice(actions)}"
        kind = pick.random()
        if kind < 0.15:
            return pick.choice(sources)
        return f"{words} {pick.choice(manners)}" if kind < 0.45 else words

    for _ in range(count):
        caption = pick.choice(heads) + event()
        for _ in range(pick.choices([0, 1, 2, 3], [3, 5, 3, 1])[0]):
            caption += pick.choice(joins) + event()
        yield caption if pick.random() < 0.5 else caption.capitalize()


_SEAMS = r", followed by | followed by |, and then | and then |, and |, | and | then | while | as "


def recombined(captions: list[str], count: int, seed: int) -> Iterator[str]:
    """New captions from the parts of given ones: parts in another company and another order."""
    pick = random.Random(seed)
    parts = [
        part.strip(" .") for text in captions if len(text) < 160 for part in re.split(_SEAMS, text)
    ]
    parts = sorted({part for part in parts if len(part) > 3})
    joins = _choices(JOINS)
    for _ in range(count):
        chosen = pick.sample(parts, pick.choices([1, 2, 3], [2, 5, 3])[0])
        caption = chosen[0] + "".join(pick.choice(joins) + part for part in chosen[1:])
        yield caption[0].upper() + caption[1:] if pick.random() < 0.6 else caption.lower()


def wordnet_texts(folder: Path = WORDNET) -> Iterator[str]:
    """Definitions, example sentences, and some of the words themselves with their definition."""
    pick = random.Random(7)
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").read_text(encoding="latin-1").splitlines():
            if line.startswith("  ") or "|" not in line:
                continue
            fields, gloss = line.split("|", 1)
            word = fields.split()[4].replace("_", " ").split("(")[0]
            pieces = [piece.strip(' ";') for piece in gloss.strip().split('; "')]
            yield pieces[0] if pick.random() < 0.7 else f"{word}: {pieces[0]}"
            yield from pieces[1:]
            if pick.random() < 0.3:
                yield word


def tagged(name: str) -> Iterator[str]:
    """A label alone and inside the usual prompts."""
    for form in (
        "{}",
        "the sound of {}",
        "this is a sound of {}.",
        "a recording of {}",
        "{} sound",
    ):
        yield form.format(name)


def prompts(shared: Path) -> list[tuple[str, bool]]:
    """Captions and labels of the bank with whether they are held out; RELATE's are not among."""
    rows = [(clip.text, clip.held_out and clip.source == "tta-demos") for clip in read_bank(shared)]
    rows += [
        (row["display_name"], False)
        for row in read_rows(shared / "models/mn04/class_labels_indices.csv")
    ]
    return list(dict.fromkeys(rows))


def split_texts(shared: Path, made: int) -> tuple[list[str], dict[str, list[str]]]:
    """Training texts, and held-out texts by kind; the two share no normalised text.

    Held out are also the captions of RELATE's train split: natural ones no student has read.
    """
    held: dict[str, list[str]] = {"prompts": [], "made": [], "wordnet": []}
    held["relate_train"] = relate_train_captions(shared)
    train: list[str] = []
    banned = relate_captions(shared)
    for text, held_out in prompts(shared):
        if held_out:
            held["prompts"].append(text)
        else:
            train += [text, *(tagged(text) if len(text) < 40 else ())]
    made_texts = [*sound_captions(made, 11), *recombined(list(train), made, 12)]
    for kind, texts in (("made", made_texts), ("wordnet", wordnet_texts())):
        for text in dict.fromkeys(texts):
            if zlib.crc32(text.encode()) % 100 == 0:
                held[kind].append(text)
            elif len(text) > 1:
                train.append(text)
    banned |= {normalise(text) for texts in held.values() for text in texts}
    return [text for text in dict.fromkeys(train) if normalise(text) not in banned], held


def relate_train_captions(shared: Path) -> list[str]:
    """Distinct captions of RELATE's train split, in the order of the file."""
    rows = read_rows(shared / RELATE_TABLE)
    texts = [row["text"] for row in rows if row["in RELATE dataset"] == "train"]
    return list(dict.fromkeys(texts))
