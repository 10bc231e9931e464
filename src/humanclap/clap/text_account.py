"""How much of a text a model reads, and how much it cannot read.

This works with any fast tokenizer: its encodings say where each piece stands in the text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

UNREADABLE = 0.5
"""A text cannot be scored if more than this share of its letters is unread.

None of 2,728 English captions and prompts has an unread letter, with `mini`'s tokenizer or with
RoBERTa's. Captions in Japanese, Chinese, Korean, Russian, Greek, Arabic, Hebrew, Thai and Hindi
have 0.74 to 1.
"""
BROKEN = 0.5
"""The language of a run is in doubt if more than this share of its words is broken into pieces.

In English captions at most 0.12 of the words are, in seven other languages with Latin letters 0.54
or more (benchmarks/unread_texts.py).
"""
ENOUGH_WORDS = 5
"""Fewer words tell nothing about a language."""
_START = 40
"""Characters of a text that a warning shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextAccount:
    """What becomes of one text.

    pieces: number of pieces of the whole text, without special tokens. cut: how many of them are
    beyond the model's last position and are not read. unread: share of the letters, in [0, 1], that
    the model cannot recognise: they are in pieces its tokenizer does not know, or, in scripts other
    than Latin, spelt out as single characters or bytes. words: words with a letter in them. broken:
    how many of those are several pieces.
    """

    pieces: int
    cut: int
    unread: float
    words: int
    broken: int

    @property
    def readable(self) -> bool:
        """Whether the model reads enough of the letters for a score to mean anything."""
        return self.unread <= UNREADABLE

    def refusal(self) -> str:
        """Why a text that is not `readable` gets no score."""
        return (
            f"the model cannot read this text: its tokenizer does not know {self.unread:.0%} of "
            "the letters; give the text in a language the model was taught"
        )

    def remark(self) -> str | None:
        """What a reader of the score should know; None where the whole text is read."""
        if not self.cut:
            return None
        return f"text cut: its last {self.cut} of {self.pieces} word pieces are not read"


def account_of(text: str, encoding: Any, *, unknown: int | None, positions: int) -> TextAccount:
    """The account of one text.

    encoding: its `tokenizers.Encoding`, uncut and not padded, special tokens around it; unknown:
    id of the piece that stands for what is not in the vocabulary, None where there is none;
    positions: how many tokens the model takes, special ones among them.
    """
    pieces: dict[int, list[tuple[int, int, int]]] = {}  # word -> (start, end, id) of its pieces
    special = 0
    for (start, end), word, token in zip(
        encoding.offsets, encoding.word_ids, encoding.ids, strict=True
    ):
        if word is None:
            special += 1
        else:
            pieces.setdefault(word, []).append((start, end, token))
    lettered = any(map(str.isalpha, text))
    counted = unread = words = broken = 0
    for word in pieces.values():
        places = [
            place
            for place in range(min(p[0] for p in word), max(p[1] for p in word))
            if (text[place].isalpha() if lettered else not text[place].isspace())
        ]
        if places:
            words += 1
            broken += len(word) > 1
            counted += len(places)
            unread += len(_unread(text, places, word, unknown))
    return TextAccount(
        pieces=len(encoding.ids) - special,
        cut=max(0, len(encoding.ids) - positions),
        unread=unread / counted if counted else 0.0,
        words=words,
        broken=broken,
    )


def _unread(
    text: str, places: list[int], word: list[tuple[int, int, int]], unknown: int | None
) -> set[int]:
    """Places of the letters of a word that the model gets in no form it could have learned.

    These are letters in unknown pieces and, where the word is spelt out, letters that are not
    Latin. A single Latin letter still means something (names, `brrr`). Half a character does not,
    nor does a letter of an alphabet whose words the tokenizer does not know. One character of a
    wide script (Chinese, Japanese, Korean) may be a word; such a word is spelt out only if it has
    more pieces than characters.
    """
    lost = {p for start, end, token in word if token == unknown for p in places if start <= p < end}
    foreign = [place for place in places if not _is_latin(text[place])]
    wide = sum(unicodedata.east_asian_width(text[place]) in "WF" for place in foreign)
    spelt_from = len(places) + 1 if 2 * wide > len(foreign) else max(2, len(places))
    return lost | set(foreign) if len(word) >= spelt_from else lost


def _is_latin(character: str) -> bool:
    return character.isascii() or unicodedata.name(character, "").startswith("LATIN")


def text_warnings(accounts: Mapping[str, TextAccount]) -> list[str]:
    """What to know of texts before training on them: unreadable, cut, of another language."""
    found = []
    for texts, what in (
        ([text for text, one in accounts.items() if not one.readable],
         "in letters that the model does not know, and all alike to it"),
        ([text for text, one in accounts.items() if one.cut],
         "longer than the model reads, and cut"),
    ):  # fmt: skip
        if texts:
            is_are = "is" if len(texts) == 1 else "are"
            found.append(
                f"{len(texts)} of {len(accounts)} texts {is_are} {what}, for example "
                f"{texts[0][:_START]!r}"
            )
    doubt = language_doubt(accounts.values())
    return [*found, doubt] if doubt else found


def language_doubt(accounts: Iterable[TextAccount]) -> str | None:
    """A warning where most words of the texts are broken into pieces; else None."""
    known = list(accounts)
    words, broken = sum(one.words for one in known), sum(one.broken for one in known)
    if words < ENOUGH_WORDS or broken <= BROKEN * words:
        return None
    return (
        f"the model's tokenizer breaks {broken} of {words} words into pieces: are the texts in a "
        "language it was taught? Scores of other languages say little"
    )
