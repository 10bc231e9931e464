"""What a study asks its listeners about themselves; `presets/` holds questions to choose from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from humanclap.errors import SettingsError
from humanclap.settings import read_toml, record_of

MAX_ANSWER_CHARACTERS = 200
PRESETS = ("none", "basic", "relate")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerQuestion:
    """One question about the listener.

    id: its column of the export; choices: empty where the answer is a short text; when: before
    the first sound or after the last one.
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
        if len(set(self.choices) - {""}) != len(self.choices) or len(self.choices) == 1:
            raise SettingsError(f"listener question {self.id!r} needs two or more distinct choices")

    def accepts(self, answer: str) -> bool:
        """Whether an answer can be stored: one of the choices, or a short text."""
        if not answer:
            return not self.required
        return answer in self.choices if self.choices else len(answer) <= MAX_ANSWER_CHARACTERS


@cache
def preset(name: str) -> tuple[ListenerQuestion, ...]:
    """The questions of `basic` or `relate`, or none of `none`."""
    if name == "none":
        return ()
    table = read_toml(Path(__file__).with_name("presets") / f"{name}.toml")
    return tuple(record_of(ListenerQuestion, item) for item in table["question"])


def relate_code(question: ListenerQuestion, answer: str) -> str:
    """The answer as RELATE's table codes it: the number of the choice from 1, a text as it is.

    >>> relate_code(preset("relate")[1], "Female")
    '2'
    """
    if answer in question.choices:
        return str(question.choices.index(answer) + 1)
    return answer
