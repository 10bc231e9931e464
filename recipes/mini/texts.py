"""Texts for the text student: WordNet glosses and examples, prompts, and made sound captions."""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bank import judged_captions, normalise, read_bank, read_rows

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
quickly|intermittently|once|and stops|without a pause|outdoors|inside a room|in a large hall|
over a loudspeaker|into a microphone|on a busy street"""
TOGETHER = """ and | while | as | with |, and | in the background while | as well as |
 over the sound of | accompanied by | along with |, | amid """
THEN = """ followed by | then | before | and then |, then |, followed by | and after that |
, and then | and later """
AFTER = """ after | following | once we have heard """
HEADS = """|||||the sound of |sound of |a recording of |this is a sound of |i can hear |
audio of |distant |loud |muffled |a noisy recording of """


def _choices(block: str) -> list[str]:
    return block.replace("\n", "").split("|")


@dataclass(frozen=True, slots=True)
class Caption:
    """A made caption: its text, its events as rows of the pool, and the rank of each in time."""

    text: str
    events: tuple[int, ...]
    ranks: tuple[int, ...]


def made_events(count: int, seed: int) -> list[str]:
    """Phrases of one event each: a source, mostly with what it does, sometimes how."""
    pick = random.Random(seed)
    sources, actions, manners = _choices(SOURCES), _choices(ACTIONS), _choices(MANNERS)

    def event() -> str:
        words = f"{pick.choice(sources)} {pick.choice(actions)}"
        kind = pick.random()
        if kind < 0.12:
            return pick.choice(sources)
        if kind < 0.2:
            return pick.choice(actions)
        return f"{words} {pick.choice(manners)}" if kind < 0.45 else words

    return list(dict.fromkeys(event() for _ in range(count)))


_SEAMS = (
    r", followed by | followed by |, and then | and then |, then | then |, and | and "
    r"| while | as | before | after "
)


def caption_parts(captions: list[str]) -> list[str]:
    """The phrases between the joins of given captions."""
    parts = (
        part.strip(" .,") for text in captions if len(text) < 160 for part in re.split(_SEAMS, text)
    )
    return sorted({part for part in parts if len(part) > 3})


_MORE_SEAMS = re.compile(_SEAMS + r"|, | with | over | during | in the background| in the distance")


def events_of(text: str) -> list[str]:
    """The phrases of a caption that name one event each, as far as its joining words tell.

    >>> events_of("A dog barks, then a man speaks in the background")
    ['a dog barks', 'a man speaks']
    """
    parts = (part.strip(" .,") for part in _MORE_SEAMS.split(text.lower()))
    return [part for part in parts if len(part) > 2] or [text]


def captions_of(pool: Sequence[str], natural: int, count: int, seed: int) -> Iterator[Caption]:
    """Captions of one to four events of the pool, one after the other or together.

    natural: so many first phrases of the pool people wrote; they are drawn three times in five.
    """
    pick = random.Random(seed)
    heads = _choices(HEADS)
    together, then, after = _choices(TOGETHER), _choices(THEN), _choices(AFTER)
    for _ in range(count):
        size = pick.choices([1, 2, 3, 4], [2, 6, 3, 1])[0]
        events = [
            pick.randrange(natural) if pick.random() < 0.6 else pick.randrange(len(pool))
            for _ in range(size)
        ]
        ranks, rank = [0], 0
        text = pick.choice(heads) + pool[events[0]]
        for event in events[1:]:
            kind = pick.random()
            if kind < 0.45:
                join = pick.choice(together)
            elif kind < 0.93 or size > 2:
                join, rank = pick.choice(then), rank + 1
            else:
                join, rank = pick.choice(after), rank - 1
            text += join + pool[event][0].lower() + pool[event][1:]
            ranks.append(rank)
        text = text.lower() if pick.random() < 0.4 else text[0].upper() + text[1:]
        yield Caption(text + "." * (pick.random() < 0.15), tuple(events), tuple(ranks))


def order_weights(ranks: Sequence[int]) -> list[float]:
    """Place of each event in time, centred, absolute values summing to one; 0 where all are one.

    >>> order_weights([0, 1])
    [-0.5, 0.5]
    >>> order_weights([0, 0])
    [0.0, 0.0]
    """
    centre = sum(ranks) / len(ranks)
    total = sum(abs(rank - centre) for rank in ranks)
    return [(rank - centre) / total if total else 0.0 for rank in ranks]


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
    """Captions and labels of the bank with whether they are held out; none that judges is among."""
    rows = [(clip.text, clip.held_out and clip.source == "tta-demos") for clip in read_bank(shared)]
    rows += [
        (row["display_name"], False)
        for row in read_rows(shared / "models/mn04/class_labels_indices.csv")
    ]
    return list(dict.fromkeys(rows))


@dataclass(slots=True)
class Texts:
    """What the text student reads: texts, made captions over a pool of events, held-out texts.

    The first `natural` texts are captions and prompts people wrote, and labels.

    No two of the three share a normalised text; the pool's phrases are themselves read.
    """

    texts: list[str]
    natural: int
    pool: list[str]
    made: list[Caption]
    held_out: dict[str, list[str]]


def gather(shared: Path, *, events: int, made: int) -> Texts:
    """Prompts and RELATE's train captions, WordNet, and captions made of events and their parts.

    Held out: RELATE's test captions and a fifth of its train captions (natural ones), the held-out
    prompts, and a hundredth of the made captions and of WordNet. No caption that judges is read.
    """
    relate = relate_captions_by_split(shared)
    fifth = [text for text in relate["train"] if zlib.crc32(normalise(text).encode()) % 5 == 0]
    held: dict[str, list[str]] = {"relate_test": relate["test"], "relate_train": fifth}
    held |= {"prompts": [], "made": [], "wordnet": []}
    read = [text for text in relate["train"] if text not in set(fifth)]
    labels: list[str] = []
    wordnet: list[str] = []
    for text, held_out in prompts(shared):
        if held_out:
            held["prompts"].append(text)
        else:
            labels += tagged(text) if len(text) < 40 else ()
            read.append(text)
    banned = judged_captions(shared) | {
        normalise(text) for texts in held.values() for text in texts
    }
    read = [text for text in read if normalise(text) not in banned]
    natural = caption_parts(read)
    pool = list(dict.fromkeys([*natural, *made_events(events, 11)]))
    for text in dict.fromkeys(wordnet_texts()):
        (held["wordnet"] if zlib.crc32(text.encode()) % 100 == 0 else wordnet).append(text)
    captions = [
        c for c in captions_of(pool, len(natural), made, 12) if normalise(c.text) not in banned
    ]
    held["made"] = [c.text for c in captions if zlib.crc32(c.text.encode()) % 200 == 0]
    banned |= {normalise(text) for text in (*held["made"], *held["wordnet"])}
    natural = [text for text in dict.fromkeys([*read, *labels]) if normalise(text) not in banned]
    others = [t for t in wordnet if len(t) > 1 and normalise(t) not in banned]
    return Texts(
        texts=list(dict.fromkeys([*natural, *others])),
        natural=len(natural),
        pool=pool,
        made=[c for c in captions if normalise(c.text) not in banned],
        held_out=held,
    )


def relate_captions_by_split(shared: Path) -> dict[str, list[str]]:
    """Captions of RELATE: `train` (of AudioCaps' train split, rows its screening left out too)
    and `test`; each in the order of the file, none in both, none that judges.
    """
    rows = read_rows(shared / RELATE_TABLE)
    test = {r["text"] for r in rows if r["in RELATE dataset"] == "test"}
    other = {r["text"] for r in rows if r["in AudioCaps"] == "test"} - test
    train = {r["text"] for r in rows if r["in AudioCaps"] == "train"} - test - other
    order = list(dict.fromkeys(row["text"] for row in rows))
    banned = judged_captions(shared)
    return {
        name: [text for text in order if text in chosen and normalise(text) not in banned]
        for name, chosen in (("train", train), ("test", test))
    }
