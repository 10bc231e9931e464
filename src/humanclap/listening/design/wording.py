"""What listeners read: every sentence of the pages, by language, each replaceable by the study."""

from __future__ import annotations

import string
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from humanclap.errors import SettingsError
from humanclap.settings import read_toml

LANGUAGES = ("en", "ja")
"""Languages that have sentences of their own, in `languages/`."""


def wording_of(language: str, replaced: Mapping[str, str], trial: str = "rating") -> dict[str, str]:
    """The sentences of a language with those the study replaces.

    trial: `rating`, or what an A/B study compares, which has sentences of its own. A language
    without sentences of its own starts from English; then the study should replace them all.
    Raises SettingsError for a sentence that no page uses, or one that fills in a placeholder the
    page does not give.

    >>> wording_of("en", {"start": "Go"})["start"]
    'Go'
    """
    english = sentences_of("en", trial)
    sentences = sentences_of(language.partition("-")[0], trial)
    unknown = sorted(replaced.keys() - sentences.keys())
    if unknown:
        known = ", ".join(sorted(english))
        raise SettingsError(f"[wording] has no sentence {unknown[0]!r}; known: {known}")
    for name, sentence in replaced.items():
        wanted, given = _placeholders(english[name]), _placeholders(sentence)
        if not given <= wanted:
            raise SettingsError(
                f"[wording] {name}: {', '.join(sorted(given - wanted))} cannot be filled in; "
                f"known here: {', '.join(sorted(wanted)) or 'none'}"
            )
    if "{answer}" not in (chosen := sentences | dict(replaced))["attention"]:
        raise SettingsError("[wording] attention must say which {answer} to choose")
    return chosen


def sentences_of(language: str, trial: str = "rating") -> dict[str, str]:
    """Our own sentences for trials of a kind; English where we have none in the language."""
    file = _file_of(language if language in LANGUAGES else "en")
    sentences = {name: text for name, text in file.items() if isinstance(text, str)}
    return sentences if trial == "rating" else sentences | file["choice"] | file[trial]


@cache
def _file_of(language: str) -> dict[str, Any]:
    return read_toml(Path(__file__).with_name("languages") / f"{language}.toml")


def _placeholders(sentence: str) -> set[str]:
    try:
        return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}
    except ValueError as error:
        raise SettingsError(f"[wording] {sentence!r}: {error}") from error
