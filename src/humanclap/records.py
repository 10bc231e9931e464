"""The nouns every stage shares: Pair, Rating, Target, Score. Each checks itself."""

from __future__ import annotations

import hashlib
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from humanclap.errors import InputError

Question = Literal["REL", "IS", "OS"]
"""REL: overall relevance; IS: inclusion of sound events; OS: order of sound events (RELATE)."""

Kind = Literal["rating", "anchor", "attention_check"]
"""What a row is: an ordinary rating, a deliberately mismatched pair, or an attention check."""

Subset = Literal["natural", "synthetic"]

Role = Literal["trained", "tuned", "calibrated"]
"""What a model used a clip or caption for: its training, its tuning on ratings, or the choice of
its epoch and its calibration."""

ROLES: tuple[Role, ...] = get_args(Role)

NOT_MET, UNKNOWN_MET = "nothing", "unknown"
"""`Score.met` of a pair of which the model met nothing, and of one of which that cannot be told."""

_QUESTIONS: tuple[str, ...] = get_args(Question)
_KINDS: tuple[str, ...] = get_args(Kind)
_SUBSETS: tuple[str, ...] = get_args(Subset)


def pair_id_of(audio: str, text: str) -> str:
    """Name of the pair (audio, text) where a table gives none: 12 hex digits of a SHA-256.

    A clip has one name whether its path came composed (NFC) or decomposed (NFD, from macOS).

    >>> pair_id_of("dog.wav", "a dog barks") == pair_id_of("dog.wav", "a dog barks ")
    False
    """
    audio = unicodedata.normalize("NFC", audio)
    return hashlib.sha256(f"{audio}\0{text}".encode()).hexdigest()[:12]


def met_in_words(caption: Sequence[str], clip: Sequence[str]) -> str:
    """`Score.met` of a pair whose caption and clip the model met in these roles.

    >>> met_in_words(["trained"], ["tuned", "calibrated"]), met_in_words([], [])
    ('caption:trained+clip:tuned/calibrated', 'nothing')
    """
    sides = (("caption", caption), ("clip", clip))
    return "+".join(f"{side}:{'/'.join(roles)}" for side, roles in sides if roles) or NOT_MET


def roles_met(met: str | None) -> dict[str, tuple[str, ...]]:
    """Roles by side (`caption`, `clip`) out of `Score.met`; none for nothing, unknown and None.

    Raises InputError for anything else.

    >>> roles_met("caption:trained+clip:tuned/calibrated")
    {'caption': ('trained',), 'clip': ('tuned', 'calibrated')}
    """
    if met is None or met in (NOT_MET, UNKNOWN_MET):
        return {}
    sides = [part.partition(":") for part in met.split("+")]
    found = {side: tuple(roles.split("/")) for side, _, roles in sides}
    known = all(role in ROLES for roles in found.values() for role in roles)
    if not (found.keys() <= {"caption", "clip"} and len(found) == len(sides) and known):
        raise InputError(
            f"met is {met!r}; expected {NOT_MET}, {UNKNOWN_MET}, or what was met and as what, such "
            "as caption:trained+clip:calibrated"
        )
    return found


def check_text(text: object, *, what: str = "text") -> None:
    """Raise InputError unless `text` is a string that holds more than spaces.

    >>> check_text(["rain", "wind"])
    Traceback (most recent call last):
    humanclap.errors.InputError: text is a list (['rain', 'wind']); expected a string
    """
    if not isinstance(text, str):
        shown = f" ({text!r})" if text is not None and len(repr(text)) <= 40 else ""
        kind = "None" if text is None else f"a {type(text).__name__}"
        raise InputError(f"{what} is {kind}{shown}; expected a string")
    if not text.strip():
        raise InputError(f"{what} is empty")


def _check_utf8(audio: str, text: str) -> None:
    for name, value, remedy in (
        ("audio", audio, "rename the file"),
        ("text", text, "write it in UTF-8"),
    ):
        if not value.isascii() and _has_lone_surrogates(value):
            told = value.encode("utf-8", "backslashreplace").decode()
            raise InputError(f"{name} '{told}' is not UTF-8, as tables and reports are; {remedy}")


def _has_lone_surrogates(value: str) -> bool:
    """Whether a text holds bytes that were not UTF-8 (as Python keeps them) or half characters."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


def _check_pair(audio: str, text: str) -> None:
    check_text(audio, what="audio")
    check_text(text)
    _check_utf8(audio, text)


def _check_choice(name: str, value: str | None, choices: tuple[str, ...]) -> None:
    if value is not None and value not in choices:
        raise InputError(f"{name} is {value!r}; expected one of {', '.join(choices)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One clip with one text. `audio` is the path as the table writes it."""

    audio: str
    text: str
    pair_id: str = ""
    system: str | None = None
    subset: str | None = None
    split: str | None = None

    def __post_init__(self) -> None:
        _check_pair(self.audio, self.text)
        _check_choice("subset", self.subset, _SUBSETS)
        if not self.pair_id:
            object.__setattr__(self, "pair_id", pair_id_of(self.audio, self.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """One listener's answer about one pair, on the scale of its study.

    expected: the right answer, for an attention check; excluded: what the publisher's own
    screening said of this answer, None where it says nothing.
    """

    audio: str
    text: str
    listener_id: str
    score: float
    question: str = "REL"
    kind: str = "rating"
    system: str | None = None
    subset: str | None = None
    split: str | None = None
    line: int | None = None
    expected: float | None = None
    excluded: bool | None = None

    def __post_init__(self) -> None:
        _check_pair(self.audio, self.text)
        if not self.listener_id.strip():
            raise InputError("listener_id is empty")
        if not math.isfinite(self.score):
            raise InputError(f"score is {self.score}; a rating is a finite number")
        if self.expected is not None and not math.isfinite(self.expected):
            raise InputError(f"expected is {self.expected}; give a finite number or nothing")
        _check_choice("question", self.question, _QUESTIONS)
        _check_choice("kind", self.kind, _KINDS)
        _check_choice("subset", self.subset, _SUBSETS)

    @property
    def pair_id(self) -> str:
        """Name of the rated pair, from its audio and text."""
        return pair_id_of(self.audio, self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who answered: an opaque id and the answers to the study's listener questions."""

    listener_id: str
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What people said of a pair, all listeners together.

    target: in [0, 1]; mos: mean rating on the study's scale; n: ratings behind it;
    standard_error: of `mos`, NaN where n < 2.
    """

    audio: str
    text: str
    target: float
    mos: float
    n: int
    standard_error: float = math.nan
    pair_id: str = ""
    kind: str = "rating"
    system: str | None = None
    subset: str | None = None
    split: str | None = None

    def __post_init__(self) -> None:
        _check_pair(self.audio, self.text)
        if not 0.0 <= self.target <= 1.0:
            raise InputError(f"target {self.target:g} is outside 0..1 (is this column a rating?)")
        if not math.isfinite(self.mos):
            raise InputError(f"mos is {self.mos}; expected a finite number")
        if self.n < 1:
            raise InputError(f"n is {self.n}; a target stands on at least one rating")
        _check_choice("kind", self.kind, _KINDS)
        _check_choice("subset", self.subset, _SUBSETS)
        if not self.pair_id:
            object.__setattr__(self, "pair_id", pair_id_of(self.audio, self.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What the metric says of a pair.

    score: cosine in [-1, 1], NaN where `error` says why; rating: the predicted human rating
    on 0..10; rating_error: its standard error on the same scale, above 0. Both are NaN where the
    checkpoint is not calibrated. rating_covers: the kinds of sound (systems or subsets) that the
    calibration was fitted on, `; ` between them, None where unknown. met: what of the pair the
    model met before (`roles_met`), None where nothing is said. text_cut: word pieces of the text
    beyond the last that the model reads, 0 where it reads all, None where unknown; text_unread:
    share of the text's letters, in [0, 1], that the model cannot read, NaN where unknown. note:
    what a reader of the score should know of the pair, such as that its clip is silent.
    """

    audio: str
    text: str
    score: float
    rating: float = math.nan
    rating_error: float = math.nan
    rating_covers: str | None = None
    pair_id: str = ""
    system: str | None = None
    subset: str | None = None
    split: str | None = None
    signature: str | None = None
    met: str | None = None
    text_cut: int | None = None
    text_unread: float = math.nan
    note: str | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        _check_utf8(self.audio, self.text)
        if not self.pair_id:
            object.__setattr__(self, "pair_id", pair_id_of(self.audio, self.text))
        if not math.isfinite(self.score) and self.error is None:
            raise InputError("score is not a finite number and no error says why")
        roles_met(self.met)
        if self.rating_error <= 0:
            raise InputError(
                f"rating_error is {self.rating_error:g}; a standard error is above 0 (leave it "
                "empty where there is none)"
            )
