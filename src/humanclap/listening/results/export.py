"""What a study gives on: the long form `humanclap ratings` reads, and what stands beside it."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from humanclap import xacle
from humanclap.errors import InputError
from humanclap.files import atomic_writer
from humanclap.listening.design.design import StudyDesign
from humanclap.listening.design.listener_questions import relate_code
from humanclap.listening.results.all_answers import Answered, answered, has_simulated, revised
from humanclap.listening.results.codebook import COLUMNS, codebook
from humanclap.listening.results.long_forms import LongForm, iso, long_form
from humanclap.listening.study.database import rows
from humanclap.listening.study.study import Study
from humanclap.tables import write_rows
from humanclap.version import __version__

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet compute a cell instead of showing it (OWASP: CSV injection)."""


def harmless(written: str | None) -> str | None:
    """A text that a listener or a site wrote, with an apostrophe before what would be a formula.

    Only texts from outside pass here: numbers stay numbers, and clips and captions stay as the
    researcher's table has them, so that the next stage still finds them.

    >>> harmless("=1+1"), harmless("loud = good")
    ("'=1+1", 'loud = good')
    """
    return f"'{written}" if written and written.startswith(_FORMULA) else written


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What `export_study` wrote.

    table: the file of what counts, ratings.csv or, of an A/B study, choices.csv; ratings: its
    rows; listeners: those with answers; set_aside: reason -> rows in set_aside.csv.
    """

    folder: Path
    table: str
    ratings: int
    listeners: int
    simulated: bool
    set_aside: Mapping[str, int]
    files: tuple[str, ...]


def export_study(
    study: Study, folder: Path, *, simulated: bool = False, finished_only: bool = False
) -> Exported:
    """Write ratings.csv, set_aside.csv, listeners.csv, forms of others, codebook.csv, export.json.

    ratings.csv holds the ratings, anchors and attention checks that count, of people only; or,
    with `simulated`, of bots only. An A/B study has choices.csv in its place, which also holds
    the repeats of what counts, marked as such. finished_only sets unfinished sessions aside too
    (RELATE's screening needs every anchor of a listener). Nothing vanishes: an answer is there or,
    with a reason, in set_aside.csv; what a listener changed before it was final is there too.
    Raises InputError where there is nothing to export, saying so if all answers are simulated.
    """
    form = long_form(study.design)
    with study.database.read() as connection:
        everything = answered(connection, simulated=simulated)
        earlier = revised(connection, simulated=simulated)
        both = has_simulated(connection)
        listeners = _listeners(connection, form, everything, simulated=simulated)
        events = rows(connection, "SELECT at, action, subject, detail FROM events ORDER BY at")
    if not everything:
        raise InputError(_nothing(simulated=both and not simulated))
    kept, aside = _part(everything, form, finished_only=finished_only)
    aside += [(item, "revised") for item in earlier]
    files = _write_answers(folder, form, kept, aside)
    files += _write_listeners(study, form, folder, listeners)
    if study.design.between is None:
        files += _write_relate(folder, kept) + _write_xacle(folder, kept)
    files.append(_write_codebook(study, folder, files))
    result = Exported(
        folder=folder,
        table=form.file,
        ratings=len(kept),
        listeners=len({item.listener_id for item in everything}),
        simulated=simulated,
        set_aside=dict(Counter(why for _, why in aside)),
        files=(*files, "export.json"),
    )
    _write_manifest(study, result, events, both=both)
    return result


def _nothing(*, simulated: bool) -> str:
    if simulated:
        return "all answers of this study are simulated; export them with --simulated"
    return "the study has no answers yet"


def _part(
    everything: Sequence[Answered], form: LongForm, *, finished_only: bool
) -> tuple[list[Answered], list[tuple[Answered, str]]]:
    """What counts, and what does not with the reason.

    A repeated choice counts for nothing by itself, and stands with the one that it repeats.
    """
    kept: list[Answered] = []
    aside: list[tuple[Answered, str]] = []
    counted: set[tuple[str, str]] = set()
    for item in everything:
        why = item.set_aside
        key = (item.listener_id, item.stimulus_id)
        if why == "repeat" and item.audio_b is not None and key in counted:
            why = None
        if why is None and item.question not in form.questions:
            why = "other question"
        if why is None and finished_only and item.session_state != "finished":
            why = "unfinished session"
        if why is None:
            kept.append(item)
            counted |= {key} if item.kind == "rating" else set()
        else:
            aside.append((item, why))
    return kept, aside


def _write_answers(
    folder: Path,
    form: LongForm,
    kept: Sequence[Answered],
    aside: Sequence[tuple[Answered, str]],
) -> list[str]:
    write_rows(folder / form.file, form.columns, map(form.row, kept))
    write_rows(
        folder / "set_aside.csv",
        (*form.columns, "set_aside", "comment"),
        (
            {**form.row(item), "set_aside": why, "comment": harmless(item.comment)}
            for item, why in aside
        ),
    )
    return [form.file, "set_aside.csv"]


def _listeners(
    connection: Connection, form: LongForm, everything: Sequence[Answered], *, simulated: bool
) -> list[dict[str, Any]]:
    found = rows(
        connection,
        "SELECT l.listener_id, l.simulated, l.excluded, l.reason, s.session_id, s.state, "
        "s.begun_at, s.finished_at, s.headphone_right FROM listeners l "
        "JOIN sessions s ON s.listener_id = l.listener_id WHERE l.simulated = :simulated "
        "ORDER BY s.created_at, s.session_id",
        simulated=int(simulated),
    )
    attributes: dict[str, dict[str, str]] = {}
    for item in rows(connection, "SELECT listener_id, name, value FROM attributes"):
        attributes.setdefault(item["listener_id"], {})[item["name"]] = item["value"]
    of_listener: dict[str, list[Answered]] = {}
    for answer in everything:
        of_listener.setdefault(answer.listener_id, []).append(answer)
    return [
        {
            **item,
            "begun_at": None if item["begun_at"] is None else iso(item["begun_at"]),
            "finished_at": None if item["finished_at"] is None else iso(item["finished_at"]),
            **form.signs(of_listener.get(item["listener_id"], [])),
            "attributes": attributes.get(item["listener_id"], {}),
        }
        for item in found
    ]


def _write_listeners(
    study: Study, form: LongForm, folder: Path, listeners: Sequence[Mapping[str, Any]]
) -> list[str]:
    names = [question.id for question in study.design.listener_questions]
    columns = (
        "listener_id", "session_id", "state", "begun_at", "finished_at", "headphone_right",
        *form.sign_columns, "excluded", "reason", "simulated",
    )  # fmt: skip
    write_rows(
        folder / "listeners.csv",
        (*columns, *names),
        (
            {
                **{c: item[c] for c in columns},
                "reason": harmless(item["reason"]),
                **{name: harmless(value) for name, value in item["attributes"].items()},
            }
            for item in listeners
        ),
    )
    if not names:
        return ["listeners.csv"]
    coded: dict[str, dict[str, object]] = {}
    for item in listeners:
        given = item["attributes"]
        coded[item["listener_id"]] = {
            question.id: harmless(relate_code(question, given.get(question.id, "")))
            for question in study.design.listener_questions
        }
    write_rows(
        folder / "relate_listeners.csv",
        ("listener_id", *names),
        ({"listener_id": key, **values} for key, values in coded.items()),
    )
    return ["listeners.csv", "relate_listeners.csv"]


def _write_relate(folder: Path, kept: Sequence[Answered]) -> list[str]:
    """One table a question, as RELATE publishes: wavname /system/split/name, anchor label.

    Our reader takes the file from the added column `filename`. Checks have no place there.
    """
    columns = (
        "wavname", "text", "score", "listener_id", "audio type", "anchor label", "in AudioCaps",
        "filename",
    )  # fmt: skip
    files = []
    for question in sorted({item.question for item in kept}):
        name = f"relate_{question}.csv"
        own = [i for i in kept if i.question == question and i.kind in ("rating", "anchor")]
        if own:
            write_rows(folder / name, columns, map(_relate_row, own))
            files.append(name)
    return files


def _relate_row(item: Answered) -> dict[str, object]:
    natural = item.subset == "natural"
    system = "audiocaps" if natural else (item.system or "system").replace("/", "_")
    split = "train" if item.split == "train" else "test"
    return {
        "wavname": f"/{system}/{split}/{item.audio.replace('/', '_')}",
        "text": item.text,
        "score": _whole(item.score),
        "listener_id": item.listener_id,
        "audio type": "natural" if natural else system,
        "anchor label": str(item.kind == "anchor"),
        "in AudioCaps": split if natural else None,
        "filename": item.audio,
    }


def _write_xacle(folder: Path, kept: Sequence[Answered]) -> list[str]:
    """XACLE's table, of the ratings alone; one file a question."""
    files = []
    for question in sorted({item.question for item in kept}):
        own = [item for item in kept if item.question == question and item.kind == "rating"]
        name = f"xacle_{question}.csv"
        if own:
            write_rows(
                folder / name,
                xacle.RATING_COLUMNS,
                (
                    {
                        xacle.NAME: item.audio,
                        "text": item.text,
                        "score": _whole(item.score),
                        "listener_id": item.listener_id,
                    }
                    for item in own
                ),
            )
            files.append(name)
    return files


def _write_codebook(study: Study, folder: Path, files: Sequence[str]) -> str:
    """What the columns of the tables just written mean."""
    tables = []
    for name in files:
        with open(folder / name, newline="", encoding="utf-8") as file:
            tables.append((name, next(csv.reader(file))))
    write_rows(folder / "codebook.csv", COLUMNS, codebook(study.design, tables))
    return "codebook.csv"


def _whole(score: float | None) -> object:
    return int(score) if score is not None and score == int(score) else score


def _write_manifest(
    study: Study, result: Exported, events: Iterable[Mapping[str, Any]], *, both: bool
) -> None:
    with atomic_writer(result.folder / "export.json") as file:
        json.dump(
            {
                "study": study.design.title,
                "fingerprint": study.fingerprint,
                "humanclap": __version__,
                "exported_at": iso(time.time()),
                **_kind_of_answers(study.design),
                "simulated": result.simulated,
                "study_holds_simulated_answers": both,
                f"rows_in_{result.table.removesuffix('.csv')}": result.ratings,
                "rows_set_aside": dict(result.set_aside),
                "files": list(result.files),
                "events": [{**event, "at": iso(event["at"])} for event in events],
            },
            file,
            ensure_ascii=False,
            indent=2,
        )
        file.write("\n")


def _kind_of_answers(design: StudyDesign) -> dict[str, object]:
    if design.between is None:
        return {"scale": [design.scale.low, design.scale.high]}
    return {"choice_between": design.between, "equal_allowed": design.n_buttons == 3}


def export_recruitment(study: Study, path: Path) -> int:
    """Write who came from which recruiting site, with completion codes; kept apart from answers.

    Returns how many rows there are.
    """
    with study.database.read() as connection:
        found = rows(
            connection,
            "SELECT r.site, r.worker, COALESCE(u.task, r.task) AS task, "
            "COALESCE(u.submission, r.submission) AS submission, s.completion_code, s.state, "
            "r.listener_id, l.excluded FROM recruitment r "
            "JOIN listeners l ON l.listener_id = r.listener_id "
            "JOIN sessions s ON s.listener_id = r.listener_id "
            "LEFT JOIN submissions u ON u.session_id = s.session_id ORDER BY s.created_at",
        )
    columns = (
        "site", "worker", "task", "submission", "completion_code", "state", "listener_id",
        "excluded",
    )  # fmt: skip
    outside = ("worker", "task", "submission")
    write_rows(path, columns, ({**r, **{c: harmless(r[c]) for c in outside}} for r in found))
    return len(found)
