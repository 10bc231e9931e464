"""The design of a study: a frozen record read from TOML; an unknown key is an error."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

from humanclap.errors import InputError, SettingsError
from humanclap.listening.design.comparisons import EQUAL, A, B
from humanclap.listening.design.listener_questions import PRESETS, ListenerQuestion, preset
from humanclap.listening.design.wording import wording_of
from humanclap.records import Between, Question
from humanclap.scale import RatingScale
from humanclap.settings import check_choice, check_least, checked_values, record_of

RATED = (*get_args(Question), "OVERALL")
"""Questions answered on the scale; OVERALL is the quality of the sound."""
CHOICE = "CHOICE"
"""The question of an A/B study: which side fits better."""
TRIALS = ("rating", *get_args(Between))
"""What a trial is: a clip rated with its text, or the choice between two clips or two texts."""
MAX_CHOICES = 21

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleDesign:
    """The buttons: low, low + step, ..., high."""

    low: float = 0.0
    high: float = 10.0
    step: float = 1.0

    def __post_init__(self) -> None:
        RatingScale(low=self.low, high=self.high)
        steps = (self.high - self.low) / self.step if self.step > 0 else math.nan
        if not (steps >= 1 and math.isclose(steps, round(steps), abs_tol=1e-9)):
            raise SettingsError(f"step {self.step:g} does not divide {self.rating_scale}")
        if steps + 1 > MAX_CHOICES:
            raise SettingsError(
                f"makes {steps + 1:g} buttons, more than {MAX_CHOICES}; widen the step"
            )

    @property
    def rating_scale(self) -> RatingScale:
        """The interval alone."""
        return RatingScale(low=self.low, high=self.high)

    @property
    def choices(self) -> tuple[float, ...]:
        """Every rating that has a button, lowest first."""
        steps = round((self.high - self.low) / self.step)
        return tuple(round(self.low + number * self.step, 9) for number in range(steps + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionDesign:
    """One question asked about every sound; an empty wording means that of the language."""

    id: str
    prompt: str = ""
    low_label: str = ""
    high_label: str = ""
    required: bool = True

    @property
    def rated(self) -> bool:
        """Whether the answer is one of the buttons (else a text)."""
        return self.id in RATED or self.id == CHOICE


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDesign:
    """What one sitting holds, and its rules."""

    pairs: int = 18
    anchors: int = 3
    attention_checks: int = 1
    repeats: int = 0
    practice: int = 2
    must_play_to_end: bool = True
    slot_minutes: float = 60.0
    first_answer_minutes: float = 5.0
    per_listener: int = 1
    volume_check: bool = True
    headphone_check: Literal["off", "record", "require"] = "off"

    def __post_init__(self) -> None:
        for name in ("pairs", "per_listener"):
            check_least(name, getattr(self, name), 1)
        for name in ("anchors", "attention_checks", "repeats", "practice"):
            check_least(name, getattr(self, name), 0)
        if self.repeats > self.pairs:
            raise SettingsError("repeats cannot be more than pairs")
        for name in ("slot_minutes", "first_answer_minutes"):
            if not 0 < getattr(self, name) < math.inf:
                raise SettingsError(f"{name} must be positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaDesign:
    """How many ratings each pair is to get; in an A/B study, how many choices.

    choices_per_system_pair: for all comparisons of two systems together, spread over them as
    evenly as possible. It replaces choices_per_comparison; 0 means that it is not used.
    """

    ratings_per_pair: int = 8
    choices_per_comparison: int = 8
    choices_per_system_pair: int = 0

    def __post_init__(self) -> None:
        check_least("ratings_per_pair", self.ratings_per_pair, 1)
        check_least("choices_per_comparison", self.choices_per_comparison, 1)
        check_least("choices_per_system_pair", self.choices_per_system_pair, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceDesign:
    """How an A/B study lets listeners choose. equal: whether "about equal" is an answer."""

    equal: bool = True

    @property
    def scale(self) -> ScaleDesign:
        """The buttons, from A to B."""
        return ScaleDesign(low=A, high=B, step=1.0 if self.equal else 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionDesign:
    """What a listener takes back to the recruiting site.

    code: the same for all; empty gives each listener one of their own. url: an https address to
    return to, in which {code} stands for the code.
    """

    code: str = ""
    url: str = ""

    def __post_init__(self) -> None:
        if self.url and not re.fullmatch(r"https://[^\s\"'<>]+", self.url):
            raise SettingsError("url must be an https address")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyDesign:
    """The whole design; `listener_questions` and `wording` are complete, presets filled in.

    trial: `rating`, or in an A/B study what is compared, `clips` or `texts`; there the scale has
    the buttons A, equal and B. contact, pay: as the first page shows them; minutes: how long a
    session takes, or 0 to have it measured.
    """

    title: str
    trial: str = "rating"
    language: str = "en"
    seed: int = 0
    contact: str = ""
    pay: str = ""
    minutes: int = 0
    scale: ScaleDesign = field(default_factory=ScaleDesign)
    session: SessionDesign = field(default_factory=SessionDesign)
    quota: QuotaDesign = field(default_factory=QuotaDesign)
    completion: CompletionDesign = field(default_factory=CompletionDesign)
    questions: tuple[QuestionDesign, ...] = (QuestionDesign(id="REL"),)
    listener_questions: tuple[ListenerQuestion, ...] = ()
    wording: Mapping[str, str] = field(default_factory=lambda: wording_of("en", {}))

    def __post_init__(self) -> None:
        if not self.title.strip():
            raise SettingsError("title is empty")
        if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", self.language):
            raise SettingsError(f"language is {self.language!r}; expected a tag such as en or ja")
        check_least("minutes", self.minutes, 0)
        for what, ids in (
            ("[[question]]", [question.id for question in self.questions]),
            ("[[listener.question]]", [question.id for question in self.listener_questions]),
        ):
            if len(set(ids)) != len(ids):
                raise SettingsError(f"{what} has the same id twice: {', '.join(ids)}")
        for question in self.questions:
            if question.id not in self.known_questions:
                known = ", ".join(self.known_questions)
                raise SettingsError(
                    f"[[question]] id is {question.id!r}; known: {known} (trial is {self.trial!r})"
                )
        if not any(question.rated for question in self.questions):
            raise SettingsError("no [[question]] is answered on the scale")

    @property
    def between(self) -> Between | None:
        """What an A/B study compares; None where clips are rated."""
        return None if self.trial == "rating" else cast(Between, self.trial)

    @property
    def known_questions(self) -> tuple[str, ...]:
        """What may be asked in trials of this kind."""
        return (*(RATED if self.between is None else (CHOICE,)), "COMMENT")

    @property
    def n_buttons(self) -> int:
        """Answers to choose from."""
        return len(self.scale.choices)

    @property
    def n_sounds(self) -> int:
        """Clips of one trial."""
        return 2 if self.between == "clips" else 1

    def asked(self, when: str) -> tuple[ListenerQuestion, ...]:
        """The listener questions of one moment, `before` or `after`."""
        return tuple(question for question in self.listener_questions if question.when == when)

    def prompt(self, question: QuestionDesign) -> str:
        """The question as listeners read it."""
        return question.prompt or self.wording[question.id]

    def button(self, value: float) -> str:
        """The words on the button of an answer: its number, or A, B, about equal."""
        if self.between is None:
            return f"{value:g}"
        return self.wording[{A: "choice_a", EQUAL: "choice_equal", B: "choice_b"}[value]]

    def labels(self, question: QuestionDesign) -> tuple[str, str]:
        """What the lowest and the highest button mean."""
        low = question.low_label or self.wording.get(f"{question.id}_low", "")
        return low, question.high_label or self.wording.get(f"{question.id}_high", "")


def read_design(path: str | Path) -> StudyDesign:
    """Read a study's TOML file. Raises InputError naming the file and what is wrong in it."""
    try:
        return parse_design(Path(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file (humanclap listen new {path} writes one to start from)"
        ) from None
    except (SettingsError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}") from error


def parse_design(text: str) -> StudyDesign:
    """The design that a TOML text states. Raises SettingsError."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"not TOML: {error}") from error
    trial = table.get("trial", "rating")
    check_choice("trial", trial, TRIALS)
    _check_keys_of(trial, table)
    parts = {name: _part(kind, table.pop(name, {}), f"[{name}]") for name, kind in _PARTS.items()}
    choice = parts.pop("choice")
    if trial != "rating":
        parts["scale"] = choice.scale
    usual = [{"id": "REL" if trial == "rating" else CHOICE}]
    questions = _tables(table.pop("question", usual), "[[question]]")
    parts["questions"] = tuple(_part(QuestionDesign, item, "[[question]]") for item in questions)
    parts["listener_questions"] = _listener_questions(table.pop("listener", {}))
    wording = table.pop("wording", {})
    if not (isinstance(wording, dict) and all(isinstance(text, str) for text in wording.values())):
        raise SettingsError("[wording] must hold texts only")
    top = checked_values(StudyDesign, table, skip={*parts, "wording"})
    if "title" not in top:
        raise SettingsError("'title' is missing")
    language = top.get("language", "en")
    return StudyDesign(**top, **parts, wording=wording_of(language, wording, trial))


_PARTS: dict[str, Any] = {
    "scale": ScaleDesign,
    "choice": ChoiceDesign,
    "session": SessionDesign,
    "quota": QuotaDesign,
    "completion": CompletionDesign,
}
_ONLY_RATED = ("scale", "ratings_per_pair")
_ONLY_COMPARED = ("choice", "choices_per_comparison", "choices_per_system_pair")


def _check_keys_of(trial: str, table: Mapping[str, Any]) -> None:
    """Refuse settings that trials of this kind do not use, rather than pass over them."""
    quota = table.get("quota", {})
    given = {*table, *(quota if isinstance(quota, dict) else ())}
    for name in _ONLY_COMPARED if trial == "rating" else _ONLY_RATED:
        if name in given:
            raise SettingsError(f"{name!r} has no meaning where trial is {trial!r}")


def _listener_questions(table: Any) -> tuple[ListenerQuestion, ...]:
    if not isinstance(table, dict):
        raise SettingsError("[listener] must be a table")
    if unknown := sorted(table.keys() - {"preset", "question"}):
        raise SettingsError(f"[listener] has no key {unknown[0]!r}; known: preset, question")
    name, where = table.get("preset", "none"), "[[listener.question]]"
    check_choice("[listener] preset", name, PRESETS)
    own = _tables(table.get("question", []), where)
    return preset(name) + tuple(_part(ListenerQuestion, item, where) for item in own)


def _tables(value: Any, where: str) -> list[dict[str, Any]]:
    if not (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
        raise SettingsError(f"{where} must be written with double brackets")
    return value


def _part(kind: type[Part], table: Any, where: str) -> Part:
    if not isinstance(table, dict):
        raise SettingsError(f"{where} must be a table")
    return record_of(kind, table, where=f"{where} ")
