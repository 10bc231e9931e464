"""The records that all stages share: Pair, Rating, Target, Score, Choice and Votes.

Each checks its values when it is made and raises InputError for an impossible one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from humanclap.errors import InputError
from humanclap.pairs import check_one_of, check_pair, check_utf8, same_clip
from humanclap.pairs import check_text as check_text
from humanclap.pairs import pair_id_of as pair_id_of

Question = Literal["REL", "IS", "OS"]
"""REL: overall relevance; IS: inclusion of sound events; OS: order of sound events (RELATE)."""

Kind = Literal["rating", "anchor", "attention_check"]
"""What a row is: an ordinary rating, a deliberately mismatched pair, or an attention check."""

Subset = Literal["natural", "synthetic"]

Role = Literal["trained", "tuned", "calibrated"]
"""What a model used a clip or caption for: its training, its tuning on ratings, or its calibration
and the choice of its epoch."""

ROLES: tuple[Role, ...] = get_args(Role)

NOT_MET, UNKNOWN_MET = "nothing", "unknown"
"""`Score.met` where the model met neither clip nor caption, and where nobody knows."""

Answer = Literal["first", "second", "equal"]
"""What a listener chose: the first side (a), the second (b), or neither."""

Side = Literal["a", "b"]

Between = Literal["texts", "clips"]
"""What a choice was between: two texts of one clip, or two clips of one text."""

ANCHOR = "anchor"
ATTENTION_CHECK = "attention_check"
"""`kind` of a choice that is an attention check."""

_CHECKS = (ANCHOR, ATTENTION_CHECK)
_OTHER_SIDE: dict[Side | None, Side | None] = {"a": "b", "b": "a", None: None}
_OTHER_ANSWER: dict[Answer, Answer] = {"first": "second", "second": "first", "equal": "equal"}


def met_in_words(caption: Sequence[str], clip: Sequence[str]) -> str:
    """`Score.met` of a pair whose caption and clip the model met in these roles.

    >>> met_in_words(["trained"], ["tuned", "calibrated"]), met_in_words([], [])
    ('caption:trained+clip:tuned/calibrated', 'nothing')
    """
    sides = (("caption", caption), ("clip", clip))
    return "+".join(f"{side}:{'/'.join(roles)}" for side, roles in sides if roles) or NOT_MET


def roles_met(met: str | None) -> dict[str, tuple[str, ...]]:
    """Roles by side (`caption`, `clip`) from `Score.met`; empty for nothing, unknown and None.

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
            f"met is {met!r}; expected {NOT_MET}, {UNKNOWN_MET}, or what the model met and for "
            "what it used it, such as caption:trained+clip:calibrated"
        )
    return found


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
        check_pair(self.audio, self.text)
        check_one_of("subset", self.subset, get_args(Subset))
        _name_pair(self)


def _name_pair(record: Pair | Target | Score) -> None:
    """Give a record its pair's name where it came without one."""
    if not record.pair_id:
        object.__setattr__(record, "pair_id", pair_id_of(record.audio, record.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """One listener's answer about one pair, on the scale of its study.

    expected: the right answer, for an attention check; excluded: whether the publisher's own
    screening excluded this answer, None where it says nothing.
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
        check_pair(self.audio, self.text)
        if not self.listener_id.strip():
            raise InputError("listener_id is empty")
        if not math.isfinite(self.score):
            raise InputError(f"score is {self.score}; a rating is a finite number")
        if self.expected is not None and not math.isfinite(self.expected):
            raise InputError(f"expected is {self.expected}; give a finite number or nothing")
        check_one_of("question", self.question, get_args(Question))
        check_one_of("kind", self.kind, get_args(Kind))
        check_one_of("subset", self.subset, get_args(Subset))

    @property
    def pair_id(self) -> str:
        """Name of the rated pair, from its audio and text."""
        return pair_id_of(self.audio, self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What all listeners together said about a pair.

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
        check_pair(self.audio, self.text)
        if not 0.0 <= self.target <= 1.0:
            raise InputError(f"target {self.target:g} is outside 0..1 (is this column a rating?)")
        if not math.isfinite(self.mos):
            raise InputError(f"mos is {self.mos}; expected a finite number")
        if self.n < 1:
            raise InputError(f"n is {self.n}; a target needs at least one rating")
        check_one_of("kind", self.kind, get_args(Kind))
        check_one_of("subset", self.subset, get_args(Subset))
        _name_pair(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What the metric says of a pair.

    score: cosine in [-1, 1], NaN where `error` says why; rating: the predicted human rating
    on 0..10; rating_error: its standard error on the same scale, above 0. Both are NaN where the
    checkpoint is not calibrated. rating_covers: the kinds of sound (systems or subsets) that the
    calibration was fitted on, joined by `; `, None where unknown. met: what of the pair the model
    met before (`roles_met`), None where unknown. text_cut: word pieces at the end of the text that
    the model does not read, None where unknown; text_unread: share of the text's letters, in
    [0, 1], that the model cannot read, NaN where unknown. note: what a reader of the score should
    know of the pair, such as that its clip is silent.
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
        check_utf8(self.audio, self.text)
        _name_pair(self)
        if not math.isfinite(self.score) and self.error is None:
            raise InputError("score is not a finite number and no error says why")
        roles_met(self.met)
        if self.rating_error <= 0:
            raise InputError(
                f"rating_error is {self.rating_error:g}; a standard error is above 0 (leave it "
                "empty where there is none)"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sides:
    """What Choice and Votes share: two pairs with one clip or one text between them."""

    audio_a: str
    text_a: str
    audio_b: str
    text_b: str
    kind: str | None = None
    system_a: str | None = None
    system_b: str | None = None
    split: str | None = None

    @property
    def is_check(self) -> bool:
        """Whether the right answer is known: of kind anchor or attention_check."""
        return self.kind in _CHECKS

    def is_asked(self, *, include_anchors: bool = False) -> bool:
        """Whether this is a question of the study; with `include_anchors` anchors are too.

        An attention_check never is: its text asks for a certain answer, and nothing was heard.
        """
        return not self.is_check or (include_anchors and self.kind != ATTENTION_CHECK)

    @property
    def pair_id_a(self) -> str:
        """Name of the first pair."""
        return pair_id_of(self.audio_a, self.text_a)

    @property
    def pair_id_b(self) -> str:
        """Name of the second pair."""
        return pair_id_of(self.audio_b, self.text_b)

    @property
    def between(self) -> Between:
        """texts: two texts of one clip, or nothing differs; clips: two clips of one text."""
        return "texts" if same_clip(self.audio_a, self.audio_b) else "clips"

    @property
    def choice_id(self) -> str:
        """Name of the question, the same when a and b are swapped: 12 hex digits of a SHA-256."""
        both = "\0".join(sorted((self.pair_id_a, self.pair_id_b)))
        return hashlib.sha256(both.encode()).hexdigest()[:12]

    def _check_sides(self, *, same: bool = False) -> None:
        """same: whether both sides may be the same pair."""
        check_pair(self.audio_a, self.text_a)
        check_pair(self.audio_b, self.text_b)
        clips, texts = same_clip(self.audio_a, self.audio_b), self.text_a == self.text_b
        if not clips and not texts:
            raise InputError(
                f"both the clips ({self.audio_a!r}, {self.audio_b!r}) and the texts "
                f"({self.text_a!r}, {self.text_b!r}) differ; a choice is between two clips of one "
                "text or two texts of one clip"
            )
        if clips and texts and not same:
            raise InputError(
                f"both sides are {self.audio_a!r} with {self.text_a!r}; a choice is between two "
                "clips of one text or two texts of one clip"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(_Sides):
    """One listener's choice between two pairs that share their clip or their text.

    choice: first is the pair a, second the pair b. kind: a free label, such as FENSE's HC, HI, HM
    and MM; `anchor` is a check whose right answer is `expected`, and `attention_check` is one whose
    text asks for a certain answer. shown_first: the side that the page showed first (left), None
    where that is unknown. duration_s: from the start of the trial to the answer, NaN where unknown.
    repeat: the listener had answered this question before. line: of its table.
    """

    choice: Answer
    listener_id: str
    expected: Answer | None = None
    shown_first: Side | None = None
    duration_s: float = math.nan
    repeat: bool = False
    line: int | None = None

    def __post_init__(self) -> None:
        self._check_sides()
        if not self.listener_id.strip():
            raise InputError("listener_id is empty")
        check_one_of("choice", str(self.choice), get_args(Answer))
        check_one_of("expected", self.expected, get_args(Answer))
        check_one_of("shown_first", self.shown_first, get_args(Side))
        if self.duration_s < 0 or math.isinf(self.duration_s):
            raise InputError(f"duration_s is {self.duration_s:g}; expected seconds from 0 up")

    @property
    def is_check(self) -> bool:
        """Whether the right answer is known: of kind anchor or attention_check, or `expected`."""
        return self.kind in _CHECKS or self.expected is not None

    @property
    def shown(self) -> Answer:
        """The answer by place on the page: `first` is the side shown first (a where unknown)."""
        return _OTHER_ANSWER[self.choice] if self.shown_first == "b" else self.choice

    def swapped(self) -> Choice:
        """The same answer to the same question with a and b exchanged."""
        return replace(
            self,
            **_exchanged(self),
            choice=_OTHER_ANSWER[self.choice],
            expected=_OTHER_ANSWER[self.expected] if self.expected else None,
            shown_first=_OTHER_SIDE[self.shown_first],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes(_Sides):
    """How all listeners together answered one question.

    n_first, n_second, n_equal: votes for a, for b and for neither, from 0 up, at least one vote in
    all. Both sides may be the same pair, as in two of FENSE's rows; then nothing is decided.
    """

    n_first: int
    n_second: int
    n_equal: int = 0

    def __post_init__(self) -> None:
        self._check_sides(same=True)
        for name in ("n_first", "n_second", "n_equal"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}; expected a count from 0 up")
        if not self.n:
            raise InputError("nobody voted; leave the question out")

    @property
    def n(self) -> int:
        """All votes."""
        return self.n_first + self.n_second + self.n_equal

    @property
    def share(self) -> float:
        """Share of the votes for a, in [0, 1], with equal counted as half."""
        return (self.n_first + self.n_equal / 2) / self.n

    @property
    def sum(self) -> int:
        """Votes for a less those for b."""
        return self.n_first - self.n_second

    @property
    def decided(self) -> bool:
        """Whether more people chose one side than the other, and the sides differ."""
        return self.sum != 0 and self.pair_id_a != self.pair_id_b

    def swapped(self) -> Votes:
        """The same votes with a and b exchanged."""
        return replace(self, **_exchanged(self), n_first=self.n_second, n_second=self.n_first)


def _exchanged(record: Choice | Votes) -> dict[str, Any]:
    names = ("audio", "text", "system")
    taken = {f"{name}_a": getattr(record, f"{name}_b") for name in names}
    return taken | {f"{name}_b": getattr(record, f"{name}_a") for name in names}
