"""The export of a study: the long form that `humanclap ratings` reads, and the files beside it."""

from __future__ import annotations

import csv
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from humanclap import xacle
from humanclap.errors import InputError
from humanclap.files import atomic_writer
from humanclap.json_values import to_json
from humanclap.listening.design.design import StudyDesign
from humanclap.listening.design.listener_questions import relate_code
from humanclap.listening.results.all_answers import (
    Answered,
    answered,
    by_listener,
    has_simulated,
    revised,
    session_rows,
)
from humanclap.listening.results.codebook import COLUMNS, codebook
from humanclap.listening.results.listener_signs import signs_of
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
        listeners = _listeners(connection, study.design, everything, simulated=simulated)
        events = rows(connection, "SELECT at, action, subject, detail FROM events ORDER BY at")
    if not everything:
        simulated_only = "all answers of this study are simulated; export them with --simulated"
        none = "the study has no answers yet"
        raise InputError(simulated_only if both and not simulated else none)
    kept, aside = _part(everything, form, finished_only=finished_only)
    aside += [(item, "revised") for item in earlier]
    files = _write_answers(folder, form, kept, aside)
    files += _write_listeners(study, folder, listeners)
    if study.design.between is None:
        files += _write_for_others(folder, kept)
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


def _part(
    everything: Sequence[Answered], form: LongForm, *, finished_only: bool
) -> tuple[list[Answered], list[tuple[Answered, str]]]:
    """What counts; and what does not, with the reason.

    A repeated choice is kept beside the choice that it repeats, and only there.
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
    connection: Connection, design: StudyDesign, everything: Sequence[Answered], *, simulated: bool
) -> list[dict[str, Any]]:
    attributes: dict[str, dict[str, str]] = defaultdict(dict)
    for item in rows(connection, "SELECT listener_id, name, value FROM attributes"):
        attributes[item["listener_id"]][item["name"]] = item["value"]
    own = by_listener(everything)
    return [
        {
            **item,
            **{c: None if item[c] is None else iso(item[c]) for c in ("begun_at", "finished_at")},
            "signs": signs_of(own[item["listener_id"]], design),
            "attributes": attributes[item["listener_id"]],
        }
        for item in session_rows(connection, simulated=simulated)
    ]


def _write_listeners(
    study: Study, folder: Path, listeners: Sequence[Mapping[str, Any]]
) -> list[str]:
    asked = study.design.listener_questions
    names = [question.id for question in asked]
    before = (
        "listener_id", "session_id", "state", "begun_at", "finished_at", "headphone_right",
    )  # fmt: skip
    after = ("excluded", "reason", "simulated")
    write_rows(
        folder / "listeners.csv",
        (*before, *signs_of((), study.design), *after, *names),
        (
            {
                **{column: item[column] for column in (*before, *after)},
                **item["signs"],
                "reason": harmless(item["reason"]),
                **{name: harmless(value) for name, value in item["attributes"].items()},
            }
            for item in listeners
        ),
    )
    if not names:
        return ["listeners.csv"]
    given = {item["listener_id"]: item["attributes"] for item in listeners}
    write_rows(
        folder / "relate_listeners.csv",
        ("listener_id", *names),
        (
            {
                "listener_id": listener,
                **{q.id: harmless(relate_code(q, answers.get(q.id, ""))) for q in asked},
            }
            for listener, answers in given.items()
        ),
    )
    return ["listeners.csv", "relate_listeners.csv"]


def _write_for_others(folder: Path, kept: Sequence[Answered]) -> list[str]:
    """Tables of one question each, as RELATE publishes them and as XACLE does.

    RELATE's have the anchors too, and a column `filename` from which our reader takes the clip.
    Attention checks have no place in either.
    """
    files = []
    for form, columns, kinds, row in (
        ("relate", _RELATE_COLUMNS, ("rating", "anchor"), _relate_row),
        ("xacle", xacle.RATING_COLUMNS, ("rating",), _xacle_row),
    ):
        for question in sorted({item.question for item in kept}):
            own = [item for item in kept if item.question == question and item.kind in kinds]
            if own:
                files.append(f"{form}_{question}.csv")
                write_rows(folder / files[-1], columns, map(row, own))
    return files


_RELATE_COLUMNS = (
    "wavname", "text", "score", "listener_id", "audio type", "anchor label", "in AudioCaps",
    "filename",
)  # fmt: skip


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


def _xacle_row(item: Answered) -> dict[str, object]:
    return {
        xacle.NAME: item.audio,
        "text": item.text,
        "score": _whole(item.score),
        "listener_id": item.listener_id,
    }


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
    design = study.design
    answers: dict[str, object] = {"scale": [design.scale.low, design.scale.high]}
    if design.between is not None:
        answers = {"choice_between": design.between, "equal_allowed": design.n_buttons == 3}
    manifest = {
        "study": design.title,
        "fingerprint": study.fingerprint,
        "humanclap": __version__,
        "exported_at": iso(time.time()),
        **answers,
        "simulated": result.simulated,
        "study_holds_simulated_answers": both,
        f"rows_in_{result.table.removesuffix('.csv')}": result.ratings,
        "rows_set_aside": dict(result.set_aside),
        "files": list(result.files),
        "events": [{**event, "at": iso(event["at"])} for event in events],
    }
    with atomic_writer(result.folder / "export.json") as file:
        file.write(to_json(manifest) + "\n")


def export_recruitment(study: Study, path: Path) -> int:
    """Write who came from which recruiting site, with completion codes, apart from the answers.

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
