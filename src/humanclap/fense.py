"""FENSE's judgements as its authors publish them: `audiocaps_eval.json` and `clotho_eval.json`.

Each file is an array with an item for each clip: `raw_name`, `audio_id` or both, `references`, and
questions under `HC`, `HI`, `HM`, `MM_1`, `MM_2`, ... A question has two captions, where each comes
from, sometimes a number, and last the votes: 1 the first, -1 the second, 0 neither. Source: Zhou et
al. 2022, and their repository blmoistawinde/fense.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from humanclap.errors import InputError, TableError
from humanclap.files import read_text
from humanclap.records import Votes

_QUESTION = re.compile(r"(HC|HI|HM|MM)(?:_\d+)?")
_BY_PEOPLE = re.compile(r"(?:.*_)?human_\d+|ground_t_\d+|idx\d+")
_RETRIEVED = re.compile(r"(cos_sim)_\d+")


def is_fense(columns: Iterable[str]) -> bool:
    """Whether these are the keys of FENSE's items.

    >>> is_fense(["HC", "MM_1", "audio_id", "references"]), is_fense(["audio", "text"])
    (True, False)
    """
    keys = set(columns)
    named = {"raw_name", "audio_id"} & keys
    return "references" in keys and bool(named) and any(map(_QUESTION.fullmatch, keys))


def read_fense(path: str | Path) -> list[Votes]:
    """The votes on each question, in the order of the file.

    audio: `raw_name`, else `audio_id`; kind: HC, HI, HM or MM; system_a, system_b, of HM and MM:
    where a caption comes from, `human` for people's, without the number of a caption.
    Raises TableError with the number of the item for what is not of this form.
    """
    path = Path(path)
    try:
        items = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise TableError(path, f"not JSON: {error.msg}", error.lineno) from error
    if not (isinstance(items, list) and all(isinstance(item, dict) for item in items)):
        raise TableError(path, "expected a JSON array with an object a clip")
    votes = []
    for number, item in enumerate(items, start=1):
        for name, question in item.items():
            kind = _QUESTION.fullmatch(name)
            if kind is None:
                continue
            try:
                votes.append(_votes(item, kind[1], question))
            except InputError as error:
                raise TableError(path, f"{name}: {error}", number) from error
    return votes


def _votes(item: Mapping[str, Any], kind: str, question: object) -> Votes:
    if not (isinstance(question, list) and len(question) >= 5 and isinstance(question[-1], list)):
        raise InputError("expected two captions, where each comes from, and a list of votes")
    text_a, text_b, from_a, from_b, *_, given = question
    unknown = [vote for vote in given if vote not in (1, -1, 0) or isinstance(vote, bool)]
    if unknown:
        raise InputError(f"a vote is {unknown[0]!r}; expected 1, -1 or 0")
    audio = item.get("raw_name") or item.get("audio_id")
    by_system = kind in ("HM", "MM")
    return Votes(
        audio_a=audio,  # type: ignore[arg-type]
        text_a=text_a,
        audio_b=audio,  # type: ignore[arg-type]
        text_b=text_b,
        n_first=given.count(1),
        n_second=given.count(-1),
        n_equal=given.count(0),
        kind=kind,
        system_a=_system(str(from_a)) if by_system else None,
        system_b=_system(str(from_b)) if by_system else None,
    )


def _system(source: str) -> str:
    """What made a caption: people, or a model by its name.

    >>> _system("ground_t_103548"), _system("cos_sim_4368"), _system("fc_dbs_2")
    ('human', 'cos_sim', 'fc_dbs_2')
    """
    if _BY_PEOPLE.fullmatch(source):
        return "human"
    retrieved = _RETRIEVED.fullmatch(source)
    return retrieved[1] if retrieved else source
