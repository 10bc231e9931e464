"""The name of a pair of clip and text, and the checks that every record of pairs makes."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from humanclap.errors import InputError


def pair_id_of(audio: str, text: str) -> str:
    """Name of the pair (audio, text) where a table gives none: 12 hex digits of a SHA-256.

    The name does not depend on how Unicode writes the path: composed (NFC) or, as macOS does,
    decomposed (NFD).

    >>> pair_id_of("dog.wav", "a dog barks") == pair_id_of("dog.wav", "a dog barks ")
    False
    """
    audio = unicodedata.normalize("NFC", audio)
    return hashlib.sha256(f"{audio}\0{text}".encode()).hexdigest()[:12]


def same_clip(one: str, other: str) -> bool:
    """Whether two paths name one clip, as `pair_id_of` compares them."""
    return unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)


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


def check_utf8(audio: str, text: str) -> None:
    """Raise InputError where a path or text cannot be written in UTF-8."""
    for name, value, remedy in (
        ("audio", audio, "rename the file"),
        ("text", text, "write it in UTF-8"),
    ):
        if not value.isascii() and _has_lone_surrogates(value):
            told = value.encode("utf-8", "backslashreplace").decode()
            raise InputError(f"{name} '{told}' is not UTF-8, as tables and reports are; {remedy}")


def _has_lone_surrogates(value: str) -> bool:
    """Whether a text holds halves of characters, as Python keeps bytes that are not UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


def check_pair(audio: str, text: str) -> None:
    """Raise InputError unless both are texts that hold something and are UTF-8."""
    check_text(audio, what="audio")
    check_text(text)
    check_utf8(audio, text)


def check_one_of(name: str, value: str | None, choices: tuple[str, ...]) -> None:
    """Raise InputError unless the value is one of the choices or None."""
    if value is not None and value not in choices:
        raise InputError(f"{name} is {value!r}; expected one of {', '.join(choices)}")


def agreed(
    records: Sequence[Any], label: str, *, what: str, show: Callable[[Any], str], where: str
) -> Any:
    """The label that the records share; None where no record has it.

    Records without it do not count. Raises InputError where two differ, naming their lines. what:
    what they are records of, such as `pair`; show: gives the words for a record; where: `line ` or
    the file with a colon.
    """
    first, *others = [one for one in records if getattr(one, label) is not None] or [None]
    for one in others:
        if getattr(one, label) != getattr(first, label):
            raise InputError(
                f"{where}{one.line}: {label} {getattr(one, label)!r} for a {what} that has "
                f"{getattr(first, label)!r} on line {first.line} ({show(one)}); "
                f"give both rows the same {label}"
            )
    return None if first is None else getattr(first, label)
