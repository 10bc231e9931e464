"""Recorded sounds out of Debian packages: read from the archive, nothing is installed."""

from __future__ import annotations

import hashlib
import io
import re
import struct
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import soundfile as sf
from bank_sound import LONGEST_S, Sound

READABLE = {".wav", ".ogg", ".oga", ".flac", ".aif", ".aiff", ".au", ".mp3", ".opus"}
TRACKERS = {".mod", ".xm", ".s3m", ".it"}
ARCHIVES = {".pk3", ".wz", ".zip", ".rcc", ".cat", ".ocg", ".ocd"}
CLIPS_A_PACKAGE, CUTS_A_FILE, SECONDS_A_PACKAGE = 400, 2, 1200.0

# Package -> what all its sounds are, or "" where the file name must tell.
PACKAGES = {
    "gcompris-qt-data": "",
    "tuxpaint-stamps-default": "",
    "sonic-pi-samples": "",
    "hydrogen-drumkits-effects": "",
    "minetest-data": "",
    "megaglest-data": "",
    "wesnoth-1.16-data": "",
    "hedgewars-data": "",
    "supertux-data": "",
    "warzone2100-data": "",
    "openarena-data": "",
    "openarena-081-misc": "",
    "ufoai-sound": "",
    "lincity-ng-data": "",
    "openttd-opensfx": "",
    "hydrogen-drumkits": "",
    "hydrogen-data": "",
    "lmms-common": "",
    "bucklespring-data": "a key of a mechanical keyboard",
    "asterisk-core-sounds-en-wav": "a person speaking English",
    "asterisk-core-sounds-es-wav": "a person speaking Spanish",
    "asterisk-core-sounds-fr-wav": "a person speaking French",
    "asterisk-core-sounds-it-wav": "a person speaking Italian",
    "asterisk-core-sounds-ru-wav": "a person speaking Russian",
    "klettres-data": "a voice saying a letter or a syllable",
    "gcin-voice": "a voice saying a Chinese syllable",
    "pingus-data": "",
    "sound-theme-freedesktop": "",
    "oxygen-sounds": "",
    "yaru-theme-sound": "",
    "lomiri-sounds": "",
    "deepin-sound-theme": "",
    "sound-icons": "",
    "psi-plus-sounds": "",
    "eiskaltdcpp-sounds": "",
    "tuxmath-data": "",
    "tuxtype-data": "",
    "tuxpaint-data": "",
    "gamine-data": "",
    "freedroid-data": "",
    "freedroidrpg-data": "",
    "glob2-data": "",
    "boswars-data": "",
    "netpanzer-data": "",
    "scorched3d-data": "",
    "simutrans-pak64": "",
    "opencity-data": "",
    "micropolis-data": "",
    "brainparty-data": "",
    "blobwars-data": "",
    "bzflag-data": "",
    "csmash-data": "",
    "foobillardplus-data": "",
    "freedink-data": "",
    "enigma-data": "",
    "lugaru-data": "",
    "openclonk-data": "",
    "openssn-data": "",
    "warmux-data": "",
    "wordwarvi-sound": "",
    "7kaa-data": "",
    "unknown-horizons": "",
    "planetblupi-common": "",
    "pekka-kana-2-data": "",
    "frozen-bubble-data": "",
    "moon-lander-data": "",
    "ri-li-data": "",
    "dustracing2d-data": "",
    "extremetuxracer-data": "",
    "trigger-rally-data": "",
    "xmoto-data": "",
    "marsshooter-data": "",
    "starfighter-data": "",
    "caveexpress-data": "",
    "colobot-common-sounds": "",
    "stormbaancoureur-data": "",
    "torus-trooper-data": "",
    "pathological": "",
    "khangman": "",
    "kanagram": "",
    "kapman": "",
    "kbounce": "",
    "kolf": "",
    "granatier": "",
    "ksirk": "",
    "bomber": "",
    "fillets-ng-data": "",
    "hyperrogue-music": "music",
    "wesnoth-1.16-music": "orchestral music",
    "planetblupi-music-ogg": "music",
    "singularity-music": "music",
    "asc-music": "music",
    "asterisk-moh-opsound-wav": "music",
}

# A word of a file's path -> what is heard. The first of these found in the name is the text.
NAMED = {
    "a dog": "dog bark barking puppy",
    "a cat meowing": "cat kitten meow",
    "a cow mooing": "cow moo",
    "a sheep bleating": "sheep baa lamb",
    "a goat bleating": "goat",
    "a horse neighing": "horse neigh whinny",
    "a pig grunting": "pig oink boar",
    "a hen clucking": "hen chicken",
    "a rooster crowing": "rooster cockerel",
    "a duck quacking": "duck quack",
    "a goose honking": "goose",
    "a turkey gobbling": "turkey",
    "a donkey braying": "donkey",
    "a frog croaking": "frog toad",
    "a bird singing": "bird birds robin sparrow finch canary nightingale",
    "an owl hooting": "owl",
    "a crow cawing": "crow raven",
    "a seagull": "seagull gull",
    "a parrot": "parrot",
    "a penguin": "penguin",
    "an eagle": "eagle hawk falcon",
    "a lion roaring": "lion",
    "a tiger": "tiger",
    "an elephant trumpeting": "elephant",
    "a monkey": "monkey chimpanzee gorilla",
    "a wolf howling": "wolf howl",
    "a bear": "bear",
    "a dolphin": "dolphin",
    "a whale singing": "whale",
    "a seal": "seal walrus",
    "a snake hissing": "snake rattlesnake",
    "a bee buzzing": "bee bees bumblebee",
    "a fly buzzing": "mosquito",
    "crickets chirping": "cricket crickets grasshopper cicada",
    "bats squeaking": "bat",
    "an explosion": "explosion explode explodes bigexplosion boom blast",
    "a gunshot": "gun pistol rifle shotgun gunshot musket",
    "machine-gun fire": "machinegun chaingun minigun",
    "a cannon firing": "cannon mortar bazooka",
    "a rocket": "rocket missile",
    "a laser": "laser",
    "an engine": "engine motor",
    "a train": "train locomotive steam",
    "a car": "car truck tractor",
    "a motorcycle": "motorbike motorcycle",
    "a helicopter": "helicopter",
    "an aeroplane": "plane airplane aeroplane jet",
    "a ship's horn": "ship foghorn",
    "a siren": "siren ambulance police",
    "an alarm": "alarm",
    "a bell": "bell bells",
    "a clock ticking": "clock tick ticking",
    "a telephone ringing": "phone telephone ring",
    "a door": "door",
    "breaking glass": "glass shatter",
    "thunder": "thunder lightning",
    "rain": "rain",
    "wind": "wind",
    "fire": "fire flame flames burning",
    "water splashing": "splash water drip",
    "ocean waves": "ocean waves sea surf",
    "footsteps": "footstep footsteps step steps walk",
    "a sword": "sword",
    "a bow and arrow": "bow arrow crossbow",
    "an axe chopping": "axe chop",
    "hammering": "hammer anvil",
    "a saw": "saw chainsaw",
    "coins": "coin coins cash",
    "laughter": "laugh laughing laughter",
    "a scream": "scream screams",
    "crying": "cry crying sob",
    "a cough": "cough",
    "a sneeze": "sneeze",
    "applause": "applause clapping",
    "cheering": "cheer cheering crowd",
    "a burp": "burp",
    "snoring": "snore snoring",
    "a whistle": "whistle",
    "a camera shutter": "camera shutter",
    "a beep": "beep",
    "a click": "click",
    "a bass drum": "kick bassdrum bd",
    "a snare drum": "snare sd snr",
    "a hi-hat": "hihat hh hat",
    "a cymbal": "cymbal crash ride",
    "a tom drum": "tom toms",
    "hands clapping": "clap handclap",
    "a cowbell": "cowbell",
    "a tambourine": "tambourine",
    "a maraca shaken": "maraca maracas shaker cabasa",
    "a conga drum": "conga bongo",
    "tabla drums": "tabla",
    "a guitar": "guitar",
    "a piano": "piano",
    "a violin": "violin",
    "a cello": "cello",
    "a flute": "flute",
    "a trumpet": "trumpet",
    "a trombone": "trombone",
    "a clarinet": "clarinet",
    "a saxophone": "saxophone sax",
    "an accordion": "accordion",
    "a harmonica": "harmonica",
    "a harp": "harp",
    "a banjo": "banjo",
    "bagpipes": "bagpipes bagpipe",
    "a didgeridoo": "didgeridoo",
    "a gong": "gong",
    "a xylophone": "xylophone marimba",
    "a choir": "choir",
    "a drum": "drum drums",
    "music": "music musics",
}
WORDS = {word: text for text, words in NAMED.items() for word in words.split()}
LICENCE_WORDS = re.compile(
    r"GPL-[23]|LGPL|CC-BY[-A-Z]*|CC0|MIT|BSD|Artistic|OPL|Apache|public domain|"
    r"GNU General Public License|Creative Commons [A-Z][\w ]{3,30}"
)


def describe(name: str) -> str:
    """What a file's name plainly says it is, else "".

    >>> describe("sounds/dog_bark2.ogg"), describe("sounds/x17.wav")
    ('a dog', '')
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    for part in reversed(spaced.split("/")[-3:]):
        for word in re.findall(r"[a-z]+", part.lower()):
            if word in WORDS:
                return WORDS[word]
    return ""


def licence_of(copyright_text: str) -> str:
    """Short licence names that a package's copyright file gives, in their order."""
    names = re.findall(r"^License:[ \t]*(\S.*)$", copyright_text, re.MULTILINE)
    names = names or LICENCE_WORDS.findall(copyright_text)
    return "; ".join(dict.fromkeys(name.strip() for name in names))[:200] or "see its copyright"


def qt_resources(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of a Qt binary resource file. Source: Qt's rcc documentation and header."""
    _, version, tree, start, names = struct.unpack(">4s4I", data[:20])
    size = 22 if version >= 2 else 14

    def walk(index: int, above: str) -> Iterator[tuple[str, bytes]]:
        name_at, flags = struct.unpack_from(">IH", data, tree + index * size)
        length = struct.unpack_from(">H", data, names + name_at)[0] if index else 0
        first = names + name_at + 6
        path = above + data[first : first + 2 * length].decode("utf-16-be")
        if flags & 2:
            count, child = struct.unpack_from(">II", data, tree + index * size + 6)
            for number in range(child, child + count):
                yield from walk(number, f"{path}/")
            return
        place = start + struct.unpack_from(">I", data, tree + index * size + 10)[0]
        content = data[place + 4 : place + 4 + struct.unpack_from(">I", data, place)[0]]
        if not flags & 4:  # 4: zstd; sound, already packed, is stored as it is
            yield path, zlib.decompress(content[4:]) if flags & 1 else content

    yield from walk(0, "")


def embedded_waves(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """RIFF waves inside a container of another kind."""
    for found in re.finditer(rb"RIFF(....)WAVE", data, re.DOTALL):
        size = struct.unpack("<I", found[1])[0] + 8
        yield f"{name}.wav", data[found.start() : found.start() + size]


def unpacked(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """The files inside an archive; the file itself where it is none."""
    if PurePosixPath(name).suffix.lower() not in ARCHIVES:
        yield name, data
    elif data[:4] == b"qres":
        yield from qt_resources(data)
    elif zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for inner in archive.namelist():
                yield inner, archive.read(inner)
    else:
        yield from embedded_waves(name, data)


def files_of(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each regular file of a .deb, archives inside it opened."""
    command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
    wanted = READABLE | TRACKERS | ARCHIVES | {".txt"}
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as tar,
    ):
        for member in tar:
            suffix = PurePosixPath(member.name).suffix.lower()
            if member.isfile() and (suffix in wanted or member.name.endswith("/copyright")):
                yield from unpacked(member.name, tar.extractfile(member).read())


def download(package: str, folder: Path) -> Path:
    """The .deb, from apt's archive where it is not there yet."""
    if not (found := sorted(folder.glob(f"{package}_*.deb"))):
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True)
        found = sorted(folder.glob(f"{package}_*.deb"))
    return found[0]


def decode(name: str, data: bytes) -> tuple[np.ndarray, int]:
    """Mono float32 and its rate; tracker music is played by ffmpeg, if its build can."""
    if PurePosixPath(name).suffix.lower() in TRACKERS:
        with tempfile.NamedTemporaryFile() as file:  # its player must seek
            file.write(data)
            file.flush()
            command = ["ffmpeg", "-v", "error", "-i", file.name, "-t", "90", "-ac", "1"]
            command += ["-ar", "32000", "-f", "f32le", "-"]
            played = subprocess.run(command, capture_output=True, check=True).stdout
        return np.frombuffer(played, np.float32), 32_000
    samples, rate = sf.read(io.BytesIO(data), dtype="float32", always_2d=True)
    return samples.mean(axis=1), rate


def cuts(waveform: np.ndarray, rate: int, random: np.random.Generator) -> list[np.ndarray]:
    """The whole where it is short enough, else a few pieces of at most 30 s."""
    longest = int(LONGEST_S * rate)
    if len(waveform) <= longest:
        return [waveform]
    count = min(CUTS_A_FILE, -(-len(waveform) // longest))
    lengths = (random.uniform(0.4, 1, count) * longest).astype(int)
    starts = [int(random.integers(0, len(waveform) - length + 1)) for length in lengths]
    return [waveform[at : at + length] for at, length in zip(starts, lengths, strict=True)]


def stamp_text(name: str, texts: dict[str, str]) -> str:
    """A stamp's sound effect: its own English line; a spoken description: speech."""
    if "_desc" in name:
        return "a person speaking"
    line = texts.get(str(PurePosixPath(name).with_suffix(".txt")), "").split("\n")[0]
    return describe(name) or line.strip().rstrip(".").lower()


def package_sounds(package: str, work: Path, random: np.random.Generator) -> Iterator[Sound]:
    """A seeded choice of a package's sounds, equal files once, long ones cut."""
    archive = download(package, work / "debs")
    field = ["dpkg-deb", "-f", str(archive), "Version"]
    version = subprocess.run(field, capture_output=True, text=True, check=True).stdout.strip()
    audio: dict[bytes, tuple[str, bytes]] = {}
    texts: dict[str, str] = {}
    licence = "see its copyright"
    for name, data in files_of(archive):
        if name.endswith("/copyright"):
            licence = licence_of(data.decode("utf-8", "replace"))
        elif name.endswith(".txt"):
            texts[name] = data.decode("utf-8", "replace")
        elif PurePosixPath(name).suffix.lower() in READABLE | TRACKERS:
            audio.setdefault(hashlib.blake2b(data).digest(), (name, data))
    effects = [entry for entry in audio.values() if "_desc" not in entry[0]]
    spoken = [entry for entry in audio.values() if "_desc" in entry[0]]
    random.shuffle(effects)
    random.shuffle(spoken)
    count, seconds = 0, 0.0
    for name, data in effects + spoken[:150]:
        if count >= CLIPS_A_PACKAGE or seconds >= SECONDS_A_PACKAGE:
            break
        try:
            waveform, rate = decode(name, data)
        except (sf.LibsndfileError, subprocess.CalledProcessError) as error:
            print(f"{package}: {name} is left out, it cannot be read ({error})")
            continue
        text = PACKAGES[package] or (
            stamp_text(name, texts) if "stamps" in package else describe(name)
        )
        for piece in cuts(waveform, rate, random):
            count, seconds = count + 1, seconds + len(piece) / rate
            yield Sound(
                waveform=piece,
                rate=rate,
                text=text,
                origin=f"debian:{package}={version}",
                licence=licence,
            )
