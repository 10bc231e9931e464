from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from humanclap.errors import SettingsError
from humanclap.settings import check_choice, check_least, read_toml, record_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    title: str
    replicates: int = 200
    confidence: float = 0.95
    anchors: bool = False
    by: tuple[str, ...] = ("system",)
    seeds: tuple[int, ...] = (0,)
    interval: Literal["percentile", "t"] = "percentile"
    tables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_least("replicates", self.replicates, 20)


def test_values_come_as_the_fields_say() -> None:
    found = record_of(Study, {"title": "é", "confidence": 1, "by": ["split"], "tables": {"a": ""}})
    assert found == Study(title="é", confidence=1.0, by=("split",), tables={"a": ""})
    assert type(found.confidence) is float


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"replicate": 1}, r"quota: unknown setting 'replicate' \(did you mean replicates\?\)"),
        ({"zzz": 1}, r"quota: unknown setting 'zzz'; known: title, replicates, .*, tables$"),
        ({"replicates": True}, r"replicates is True; expected a whole number such as 200"),
        ({"replicates": 1.0}, r"replicates is 1.0; expected a whole number"),
        ({"confidence": "0.9"}, r"confidence is '0.9'; expected a number such as 0.95"),
        ({"anchors": 1}, "anchors is 1; expected true or false"),
        ({"by": "system"}, "by is 'system'; expected a list"),
        ({"by": [1]}, r"by is \[1\]; expected a list, each a text"),
        ({"seeds": [1, 2.5]}, "expected a list, each a whole number"),
        ({"interval": "bca"}, "interval is 'bca'; expected one of percentile, t"),
        ({"replicates": 3}, "quota: replicates is 3; expected at least 20"),
        ({}, "quota: 'title' is missing"),
    ],
)
def test_wrong_values_are_named(given: dict[str, object], said: str) -> None:
    stated = given if not given else {"title": "a", **given}
    with pytest.raises(SettingsError, match=said):
        record_of(Study, stated, where="quota: ")


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    with pytest.raises(SettingsError, match=r"s\.toml: no such settings file"):
        read_toml(path)
    path.write_bytes(b"a = [1, \xff")
    with pytest.raises(SettingsError, match=r"s\.toml: not TOML"):
        read_toml(path)
    path.write_text('[t]\na = "ü"\n', encoding="utf-8")
    assert read_toml(path) == {"t": {"a": "ü"}}
    path.write_text('a = "ü"\n', encoding="utf-8-sig")  # as Windows' editor saves it
    assert read_toml(path) == {"a": "ü"}


def test_choices() -> None:
    check_choice("split", "each", ("each", "folds"))
    with pytest.raises(SettingsError, match="split is 'all'; expected one of each, folds"):
        check_choice("split", "all", ("each", "folds"))
