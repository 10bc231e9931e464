"""Mismatched pairs, made so that none is a match by chance."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from humanclap.errors import InputError
from humanclap.grouping import caption_key
from humanclap.listening.design.comparisons import ABComparison, sides_of
from humanclap.records import ANCHOR, Between, Pair
from humanclap.settings import read_toml

_WORDS = read_toml(Path(__file__).with_name("sound_words.toml"))
STOP_WORDS = frozenset(_WORDS["stop_words"].split())

_SUFFIXES = ("ings", "ing", "ies", "ied", "ers", "ed", "er", "es", "s", "ly", "y", "e")
_MIN_STEM = 3
_NO_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_HIRAGANA = re.compile(r"[\u3040-\u309f]+")


def content_words(text: str) -> frozenset[str]:
    """What a caption names, fit for comparison: stems of words that are no stop words, and kinds.

    A kind of sound (`sound_words.toml`) stands as `#kind`, so that `man` meets `voice`. Stems are
    cut roughly, and too short rather than too long, so that `barks` meets `barking`. In scripts
    without spaces, the runs of kanji, katakana and hangul count by pairs of characters.

    >>> sorted(content_words("Dogs are barking loudly, then a car passes by"))
    ['#dog', '#vehicle', 'bark', 'car', 'dog', 'pas']
    """
    words: set[str] = set()
    for token in re.findall(r"\w+", caption_key(text)):
        if _NO_SPACES.search(token):
            for run in _HIRAGANA.split(token):
                words.update(run[i : i + 2] for i in range(max(1, len(run) - 1)) if run)
        elif token not in STOP_WORDS and len(token) > 1:
            stem = _stem(token)
            words.add(stem)
            words.update(_kinds_of_stems().get(stem, ()))
    return frozenset(words)


@cache
def _kinds_of_stems() -> dict[str, set[str]]:
    kinds: dict[str, set[str]] = {}
    for kind, names in _WORDS["kinds"].items():
        for name in names.split():
            kinds.setdefault(_stem(name), set()).add(f"#{kind}")
    return kinds


def _stem(word: str) -> str:
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _MIN_STEM:
            word = word[: -len(suffix)]
            break
    return word[:-1] if len(word) > _MIN_STEM and word[-1] == word[-2] else word


def mismatched(text: str, captions: Iterable[str]) -> bool:
    """Whether `text` shares no content word or kind of sound with any of a clip's captions.

    A text without content words matches anything, so it never counts as mismatched.
    """
    words = content_words(text)
    if not words:
        return False
    return all(
        caption_key(text) != caption_key(caption) and not words & content_words(caption)
        for caption in captions
    )


def make_anchors(pairs: Sequence[Pair], n: int, seed: int) -> list[Pair]:
    """Up to `n` anchors: a clip of the study with another clip's caption that cannot match it.

    A clip's captions are all those it has in the study. Natural clips (subset `natural`) are taken
    first, as RELATE does; each clip serves once. The same pairs and seed give the same anchors.
    Raises InputError where not even one can be made.
    """
    captions: dict[str, list[str]] = {}
    for pair in pairs:
        captions.setdefault(pair.audio, []).append(pair.text)
    texts = sorted({pair.text for pair in pairs})
    generator = random.Random(f"anchors {seed}")
    clips = list({pair.audio: pair for pair in sorted(pairs, key=lambda p: p.pair_id)}.values())
    generator.shuffle(clips)
    clips.sort(key=lambda pair: pair.subset != "natural")
    anchors: list[Pair] = []
    for clip in clips:
        if len(anchors) == n:
            break
        order = generator.sample(texts, len(texts))
        text = next((t for t in order if mismatched(t, captions[clip.audio])), None)
        if text is not None:
            anchors.append(
                Pair(audio=clip.audio, text=text, system=clip.system, subset=clip.subset)
            )
    if n and not anchors:
        raise InputError(
            "no anchor can be made: every caption shares a word or a kind of sound with every "
            "other clip's captions; give your own mismatched pairs (--anchors TABLE) or set "
            "anchors = 0"
        )
    return anchors


def make_contrasts(
    comparisons: Sequence[ABComparison], between: Between, n: int, seed: int
) -> list[ABComparison]:
    """Up to `n` anchors of an A/B study: a mismatched side beside one that fits, as `expected`.

    Between clips, another clip stands beside one that the text has in the study. Between texts,
    another clip's text stands beside one that shares a content word with the clip's other texts:
    where texts contradict each other, nobody can tell which of them fits. The same comparisons and
    seed give the same anchors. Raises InputError where not even one can be made.
    """
    pairs = sides_of(comparisons)
    fitting = pairs if between == "clips" else _agreeing(pairs)
    by_shared: dict[str, list[Pair]] = {}
    for pair in sorted(fitting, key=lambda pair: pair.pair_id):
        by_shared.setdefault(pair.text if between == "clips" else pair.audio, []).append(pair)
    generator = random.Random(f"anchor sides {seed}")
    anchors: list[ABComparison] = []
    for wrong in make_anchors(pairs, len(pairs) if n else 0, seed):
        fits = by_shared.get(wrong.text if between == "clips" else wrong.audio)
        if fits and len(anchors) < n:
            anchors.append(_contrast(generator.choice(fits), wrong))
    if n and not anchors:
        raise InputError(
            "no anchor can be made: no clip has two texts that share a word, so none is known to "
            "fit; give your own (--anchors TABLE with the column expected) or set anchors = 0"
        )
    return anchors


def _agreeing(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs whose text shares a content word with another text of the same clip."""
    texts: dict[str, set[str]] = {}
    for pair in pairs:
        texts.setdefault(pair.audio, set()).add(pair.text)
    return [
        pair
        for pair in pairs
        if any(
            content_words(pair.text) & content_words(other)
            for other in texts[pair.audio] - {pair.text}
        )
    ]


def _contrast(right: Pair, wrong: Pair) -> ABComparison:
    named = right.system is not None and wrong.system is not None
    first, second = (
        Pair(audio=side.audio, text=side.text, system=side.system if named else None)
        for side in (right, wrong)
    )
    return ABComparison(first=first, second=second, kind=ANCHOR, expected="first")
