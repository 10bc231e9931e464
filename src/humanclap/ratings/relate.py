"""RELATE's rating tables (Kanamori et al., Interspeech 2025): REL.csv, IS.csv, OS.csv."""

from __future__ import annotations

import re
from typing import get_args

from humanclap.errors import TableError
from humanclap.records import Question, Rating
from humanclap.scale import RatingScale
from humanclap.tables import Row, Table

COLUMNS = ("wavname", "text", "score", "listener_id", "audio type", "anchor label")
"""Columns of all three files that are read; REL has `in RELATE dataset` too."""
PUBLISHED = "in RELATE dataset"

NATURAL = "natural"
"""The system of recorded clips (folder `audiocaps`)."""

_SPLITS = ("train", "validation", "test")


def read_relate(table: Table, question: str | None, scale: RatingScale) -> list[Rating]:
    """The ratings of one RELATE table.

    - question: REL where the table has `in RELATE dataset`, else IS or OS by the file's name, else
      as given. A given question that contradicts the table is refused.
    - audio: the cell `filename` where there is such a column (copies of clips under other names),
      else `wavname` without its leading slash.
    - system: the first folder of `wavname`; `audio type` calls AudioLDM2 "audioldm" and Tango2
      "tango".
    - split: as published. A row published as excluded, and an anchor, has the split of the other
      rows of its clip, else `train` where the clip is from AudioCaps' train part, else none. IS and
      OS publish no split; theirs are AudioCaps' `train` and `test`.
    - excluded: what `in RELATE dataset` says, for rows that are not anchors.
    """
    table.require(*COLUMNS)
    answered, split_of = _question(table, question), _published_splits(table)
    return table.make(lambda row: _rating(row, answered, scale, split_of))


def _question(table: Table, given: str | None) -> str:
    if PUBLISHED in table.columns:
        if given not in (None, "REL"):
            raise TableError(
                table.path, f"this is RELATE's REL table ({PUBLISHED!r} is there), not {given}"
            )
        return "REL"
    words = re.split(r"[^A-Za-z]+", table.path.stem)
    named = [question for question in get_args(Question) if question in words]
    if given is not None:
        if len(named) == 1 and named[0] != given:
            raise TableError(
                table.path, f"the file's name says these ratings answer {named[0]}, not {given}"
            )
        return given
    if len(named) != 1:
        raise TableError(
            table.path,
            "which question do these ratings answer? Neither the table nor the file's name says "
            "REL, IS or OS; give --question",
        )
    return str(named[0])


def _is_anchor(row: Row) -> bool:
    label = row.text("anchor label")
    if label not in {"True", "False"}:
        raise row.error(f"column 'anchor label' is {label!r}; expected True or False")
    return label == "True"


def _published(row: Row) -> str | None:
    split = row.optional(PUBLISHED)
    if split is None or split in (*_SPLITS, "excluded"):
        return split
    raise row.error(
        f"column {PUBLISHED!r} is {split!r}; expected train, validation, test or excluded"
    )


def _published_splits(table: Table) -> dict[str, str]:
    """Split of each clip, from its rows that are no anchors."""
    split_of: dict[str, str] = {}
    for row in table.rows:
        split = _published(row)
        if split not in _SPLITS or _is_anchor(row):
            continue
        wavname = row.text("wavname")
        if split_of.setdefault(wavname, split) != split:
            raise row.error(f"{wavname} is in {split!r} here and in {split_of[wavname]!r} above")
    return split_of


def _rating(row: Row, question: str, scale: RatingScale, split_of: dict[str, str]) -> Rating:
    wavname = row.text("wavname")
    parts = wavname.strip("/").split("/")
    if len(parts) != 3 or parts[1] not in {"train", "test"}:
        raise row.error(f"wavname is {wavname!r}; expected /system/train/name.wav or /system/test/")
    system = NATURAL if parts[0] == "audiocaps" else parts[0]
    if (row.text("audio type") == "natural") != (system == NATURAL):
        raise row.error(f"audio type is {row.text('audio type')!r}, but the clip is {wavname!r}")
    anchor = _is_anchor(row)
    published = _published(row)
    by_folder = parts[1] if published is None or parts[1] == "train" else None
    return Rating(
        audio=row.optional("filename") or "/".join(parts),
        text=row.text("text"),
        listener_id=row.text("listener_id"),
        score=row.rating("score", scale),
        question=question,
        kind="anchor" if anchor else "rating",
        system=system,
        subset="natural" if system == NATURAL else "synthetic",
        split=split_of.get(wavname, by_folder),
        line=row.line,
        excluded=None if anchor or published is None else published == "excluded",
    )
