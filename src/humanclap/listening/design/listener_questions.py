"""What a study asks its listeners about themselves; two presets, RELATE's twelve among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from humanclap.errors import SettingsError

MAX_ANSWER_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerQuestion:
    """One question about the listener.

    id: column of the export; choices: empty for a short text; when: before the first or after
    the last sound.
    """

    id: str
    prompt: str
    choices: tuple[str, ...] = ()
    when: Literal["before", "after"] = "before"
    required: bool = True

    def __post_init__(self) -> None:
        if not self.id.isidentifier():
            raise SettingsError(f"listener question id {self.id!r} is not a plain word")
        if not self.prompt.strip():
            raise SettingsError(f"listener question {self.id!r} has no prompt")
        if len(set(self.choices)) != len(self.choices) or len(self.choices) == 1:
            raise SettingsError(f"listener question {self.id!r} needs two or more distinct choices")
        if self.when not in ("before", "after"):
            raise SettingsError(f"listener question {self.id!r}: when is before or after")

    def accepts(self, answer: str) -> bool:
        """Whether an answer can be stored: one of the choices, or a short text."""
        if not answer:
            return not self.required
        return answer in self.choices if self.choices else len(answer) <= MAX_ANSWER_CHARACTERS


def _question(
    number: int, prompt: str, *choices: str, when: Literal["before", "after"] = "before"
) -> ListenerQuestion:
    return ListenerQuestion(id=f"question{number}", prompt=prompt, choices=choices, when=when)


RELATE = (
    _question(1, "Your age", "0-20", "21-30", "31-40", "41-50", "51-60", "61-"),
    _question(2, "Your gender", "Male", "Female", "Non-binary"),
    _question(3, "Your nationality"),
    _question(4, "The country you come from"),
    _question(5, "The country you live in"),
    _question(6, "How often have you rated sounds before?", "0", "1", "2", "3", "4", "5-"),
    _question(
        7,
        "When did you last rate sounds?",
        "Never",
        "0-1 month ago",
        "1-2 months ago",
        "2-6 months ago",
        "7-12 months ago",
        "1-5 years ago",
        "Longer ago",
    ),
    _question(
        8,
        "How often did you listen to a sound, on average?",
        "1",
        "2",
        "3",
        "4",
        "5-",
        when="after",
    ),
    _question(9, "What did you listen with?", "Headphone", "Earphone", "Others", when="after"),
    _question(
        10,
        "Was it quiet around you?",
        "Quiet the whole time",
        "Quiet most of the time",
        "Sometimes quiet",
        "Noisy most of the time",
        "Always noisy",
        when="after",
    ),
    _question(
        11,
        "How difficult was it?",
        "Easy",
        "Not so difficult",
        "Not so easy",
        "Difficult",
        when="after",
    ),
    _question(12, "Do or did you work with speech or audio technology?", "Yes", "No"),
)
"""The attributes RELATE publishes (question1..question12), in our words and with its choices."""

RATHER_NOT = "I would rather not say"


def _voluntary(
    name: str, prompt: str, *choices: str, when: Literal["before", "after"] = "before"
) -> ListenerQuestion:
    return ListenerQuestion(id=name, prompt=prompt, choices=(*choices, RATHER_NOT), when=when)


BASIC = (
    _voluntary("age", "Your age", "18-29", "30-39", "40-49", "50-59", "60 or more"),
    _voluntary("hearing", "Do you have a hearing impairment?", "No", "Yes"),
    _voluntary("experience", "Have you rated sounds in a study before?", "No", "Yes"),
    _voluntary(
        "device",
        "What did you listen with?",
        "Headphones",
        "Earphones",
        "Loudspeakers",
        "Another device",
        when="after",
    ),
    _voluntary(
        "surroundings",
        "Was it quiet around you?",
        "Always",
        "Most of the time",
        "Sometimes",
        "Never",
        when="after",
    ),
)
"""What says how well somebody could hear and rate; every question lets one decline."""

PRESETS: dict[str, tuple[ListenerQuestion, ...]] = {
    "none": (), "basic": BASIC, "relate": RELATE,
}  # fmt: skip


def relate_code(question: ListenerQuestion, answer: str) -> str:
    """The answer as RELATE's table codes it: the number of the choice from 1, a text as it is.

    >>> relate_code(RELATE[1], "Female")
    '2'
    """
    if answer in question.choices:
        return str(question.choices.index(answer) + 1)
    return answer
