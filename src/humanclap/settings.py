"""Settings from TOML or plain values: every key must be known, every value of its field's type."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from humanclap.errors import SettingsError, listed

Record = TypeVar("Record")

_WORDS: dict[Any, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
}


def read_toml(path: str | Path) -> dict[str, Any]:
    """The content of a TOML file. Raises SettingsError where it is missing or not TOML."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such settings file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error


def hint(name: str, known: Iterable[str], *, most: int = 1) -> str:
    """` (did you mean replicates?)` where a known name is close to `name`, else nothing."""
    close = difflib.get_close_matches(name.lower(), list(known), n=most)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def record_of(kind: type[Record], given: Mapping[str, Any], *, where: str = "") -> Record:
    """A dataclass made from plain values.

    Where a field wants a tuple or a float, a list or a whole number is converted. where: the start
    of every message, such as `[quota] ` or `file.toml: `. Raises SettingsError for an unknown key
    (with its likely spelling), a wrong type, a missing key, and what the dataclass itself refuses.
    """
    values = checked_values(kind, given, where=where)
    needed = [f.name for f in fields(kind) if f.default is f.default_factory is MISSING]  # type: ignore[arg-type]
    if missing := [name for name in needed if name not in values]:
        raise SettingsError(f"{where}{missing[0]!r} is missing")
    try:
        return kind(**values)
    except SettingsError as error:
        raise SettingsError(f"{where}{error}") from error


def checked_values(
    kind: type, given: Mapping[str, Any], *, where: str = "", skip: Iterable[str] = ()
) -> dict[str, Any]:
    """The values, converted as `record_of` does; keys may be any field but those in `skip`.

    Fields may be missing. Raises SettingsError for an unknown key and a wrong type.
    """
    types = get_type_hints(kind)
    known = [item.name for item in fields(kind) if item.name not in set(skip)]
    defaults = {item.name: item.default for item in fields(kind)}
    values = {}
    for name, value in given.items():
        if name not in known:
            told = hint(name, known, most=2) or f"; known: {listed(known, 12)}"
            raise SettingsError(f"{where}unknown setting {name!r}{told}")
        try:
            values[name] = _typed(value, types[name])
        except TypeError as error:
            default = defaults[name]
            default = list(default) if isinstance(default, tuple) else default
            such = f" such as {default!r}" if default not in (MISSING, "", [], None) else ""
            raise SettingsError(f"{where}{name} is {value!r}; expected {error}{such}") from None
    return values


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raise SettingsError unless the value is one of the choices."""
    if value not in choices:
        raise SettingsError(f"{name} is {value!r}; expected one of {', '.join(choices)}")


def check_least(name: str, value: float, least: float) -> None:
    """Raise SettingsError unless a number is `least` or more."""
    if value < least:
        raise SettingsError(f"{name} is {value}; expected at least {least}")


def _typed(value: Any, wanted: Any) -> Any:
    """The value, converted for its field; raises TypeError, whose text names what is expected."""
    if get_origin(wanted) is Literal:
        if value not in get_args(wanted):
            raise TypeError(f"one of {', '.join(map(str, get_args(wanted)))}")
    elif get_origin(wanted) is tuple and get_args(wanted)[1:] == (...,):
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise TypeError("a list")
        try:
            return tuple(_typed(member, get_args(wanted)[0]) for member in value)
        except TypeError as error:
            raise TypeError(f"a list, each {error}") from None
    elif wanted is float and type(value) is int:
        return float(value)
    elif wanted in _WORDS and type(value) is not wanted:
        raise TypeError(_WORDS[wanted])
    return value
