"""A study on disk: made once from a design and its pairs, opened by every command."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from humanclap.errors import AudioError, InputError, listed
from humanclap.fingerprint import fingerprint_text
from humanclap.listening.anchors import make_anchors
from humanclap.listening.assignment import Stimulus
from humanclap.listening.clips import Examined, examine_clip
from humanclap.listening.database import Database, insert, row, rows, run, shown, where_of
from humanclap.listening.design import SessionDesign, StudyDesign, parse_design
from humanclap.progress import Progress, silent
from humanclap.records import Pair

STATES = ("open", "paused", "closed")
_MAX_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """An open study: its database, its design and the folder its clips are in."""

    database: Database
    design: StudyDesign
    audio_root: Path
    secret: str
    fingerprint: str

    def state(self) -> str:
        """`open`, `paused` or `closed`."""
        with self.database.read() as connection:
            return setting(connection, "state")

    def close(self) -> None:
        """Close the database's connections."""
        self.database.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """What `create_study` made; `notes` say what a researcher may not expect of it."""

    n_pairs: int
    n_anchors: int
    n_ratings: int
    fingerprint: str
    notes: tuple[str, ...] = ()


def create_study(
    where: str,
    *,
    design_text: str,
    pairs: Sequence[Pair],
    audio_root: Path,
    anchors: Sequence[Pair] | None = None,
    replace_empty: bool = False,
    progress: Progress = silent,
) -> Created:
    """Make the study `where` (a new file, or the URL of an empty database).

    anchors: mismatched pairs of one's own; made automatically where None. replace_empty: put it in
    the place of a study that has no answers. Every clip is decoded to its end. Raises InputError
    where the study exists (or, with replace_empty, has answers), a clip cannot be used by the
    rules of `humanclap score`, or no anchor can be made.
    """
    design = parse_design(design_text)
    there = "://" not in where and Path(where).exists()
    if there and not replace_empty:
        raise _there_already(where)
    anchors = _enough_anchors(design, pairs, anchors)
    examined = _examine([*pairs, *anchors], audio_root, progress)
    durations = {audio: clip.duration_s for audio, clip in examined.items()}
    stimuli = _stimuli(pairs, anchors, design, durations)
    fingerprint = fingerprint_text([design_text, *(f"{s['audio']}\0{s['text']}" for s in stimuli)])
    database = Database(where)
    try:
        database.upgrade()
        with database.write() as connection:
            _make_room(connection, where, replace_empty=replace_empty)
            _write_settings(connection, design_text, audio_root, fingerprint)
            insert(connection, "stimuli", stimuli)
    except BaseException:
        database.close()
        if "://" not in where and not there:
            Path(where).unlink(missing_ok=True)  # ours: it was not there before
        raise
    database.close()
    return Created(
        n_pairs=len(pairs),
        n_anchors=len(anchors),
        n_ratings=len(pairs) * design.quota.ratings_per_pair,
        fingerprint=fingerprint,
        notes=(*_session_notes(design.session, len(pairs)), *_clip_notes(examined)),
    )


def _there_already(where: str) -> InputError:
    return InputError(
        f"{shown(where)}: a study is there already; answers are never overwritten "
        "(--replace-empty replaces one that has none)"
    )


def _make_room(connection: Connection, where: str, *, replace_empty: bool) -> None:
    """Remove a study without answers where that is wanted; raises InputError where one stays."""
    if row(connection, "SELECT name FROM study") is None:
        return
    if not replace_empty:
        raise _there_already(where)
    found = rows(
        connection,
        "SELECT t.simulated, COUNT(*) AS n FROM answers a "
        "JOIN trials t ON t.trial_id = a.trial_id GROUP BY t.simulated ORDER BY t.simulated",
    )
    if found:
        held = " and ".join(
            f"{item['n']} answers of {'bots' if item['simulated'] else 'people'}" for item in found
        )
        raise InputError(
            f"{shown(where)}: the study there holds {held}, and answers are never overwritten; "
            "give another name (--database), or move it away yourself"
        )
    for table in _CHILDREN_FIRST:
        run(connection, f"DELETE FROM {table}")


_CHILDREN_FIRST = (
    "trials", "submissions", "sessions", "attributes", "recruitment", "listeners", "stimuli",
    "failed_clips", "study",
)  # fmt: skip
"""The tables of a study without answers; its events stay, as nothing ever deletes one."""


def _session_notes(session: SessionDesign, n_pairs: int) -> Iterator[str]:
    """Where the table of pairs is too small for what a session asks for."""
    rated = min(session.pairs, n_pairs)
    spare = n_pairs - rated
    if n_pairs < session.pairs:
        yield f"a session rates {n_pairs} sounds, not {session.pairs}: the table has no more pairs"
    elif session.per_listener > 1 and n_pairs < session.pairs * session.per_listener:
        yield (
            f"{session.per_listener} sessions of one listener ask for "
            f"{session.pairs * session.per_listener} pairs, the table has {n_pairs}: "
            "later sessions are shorter"
        )
    if spare < session.practice:
        yield (
            f"a session begins with {spare} practice sounds, not {session.practice}: practice "
            "takes pairs that the session does not rate ([session] practice, pairs)"
        )


def _clip_notes(examined: Mapping[str, Examined]) -> Iterator[str]:
    """Clips that listeners will wonder about, by what is the matter."""
    by_note: dict[str, list[str]] = {}
    for audio, clip in examined.items():
        if clip.note:
            by_note.setdefault(clip.note, []).append(audio)
    for note, clips in by_note.items():
        yield f"{listed(clips, _MAX_NAMED)}: {note}"


def _enough_anchors(
    design: StudyDesign, pairs: Sequence[Pair], own: Sequence[Pair] | None
) -> Sequence[Pair]:
    """The anchors given, or some made: several sessions' worth, so that listeners' differ."""
    wanted = design.session.anchors * design.session.per_listener
    if own is None:
        own = make_anchors(pairs, max(4 * wanted, 12) if wanted else 0, design.seed)
    if len(own) < design.session.anchors:
        raise InputError(
            f"only {len(own)} anchors can be had, and a session wants {design.session.anchors}; "
            "lower [session] anchors or give more (--anchors TABLE)"
        )
    return own


def _examine(pairs: Sequence[Pair], audio_root: Path, progress: Progress) -> dict[str, Examined]:
    """Every clip decoded to its end; raises InputError naming those that cannot be used."""
    examined: dict[str, Examined] = {}
    bad: list[str] = []
    clips = list(dict.fromkeys(pair.audio for pair in pairs))
    for number, audio in enumerate(clips, start=1):
        try:
            examined[audio] = examine_clip(audio_root / audio)
        except AudioError as error:
            bad.append(f"{audio}: {error.reason}")
        progress(number, len(clips), "")
    if bad:
        named = listed(bad, _MAX_NAMED, between="\n  ", rest="\n  and {} more")
        raise InputError(
            f"{len(bad)} clips under {audio_root} cannot be used (--audio-root says where "
            f"relative paths start):\n  {named}"
        )
    return examined


def _stimuli(
    pairs: Sequence[Pair],
    anchors: Sequence[Pair],
    design: StudyDesign,
    durations: dict[str, float],
) -> list[dict[str, object]]:
    seen: set[tuple[str, str]] = set()
    stimuli: list[dict[str, object]] = []
    for kind, of_kind in (("pair", pairs), ("anchor", anchors)):
        for pair in of_kind:
            if (pair.audio, pair.text) in seen:
                raise InputError(f"{pair.audio} with {pair.text!r} stands twice among the pairs")
            seen.add((pair.audio, pair.text))
            stimuli.append(
                {
                    "stimulus_id": secrets.token_hex(8),
                    "kind": kind,
                    "audio": pair.audio,
                    "text": pair.text,
                    "system": pair.system,
                    "subset": pair.subset,
                    "split": pair.split,
                    "wanted": design.quota.ratings_per_pair if kind == "pair" else 0,
                    "position": len(stimuli),
                    "duration_s": durations[pair.audio],
                }
            )
    return stimuli


def _write_settings(
    connection: Connection, design_text: str, audio_root: Path, fingerprint: str
) -> None:
    settings = {
        "design": design_text,
        "audio_root": str(audio_root.resolve()),
        "fingerprint": fingerprint,
        "secret": secrets.token_hex(32),
        "state": "open",
        "created_at": repr(time.time()),
    }
    insert(connection, "study", [{"name": k, "value": v} for k, v in settings.items()])


def open_study(where: Path | str, *, audio_root: Path | None = None) -> Study:
    """Open a study by file or URL, its schema brought up to date.

    audio_root: where the clips are now, if they have moved since `new`. Raises InputError where
    there is no study.
    """
    place = where_of(where)
    database = Database(place)
    try:
        database.upgrade()
        with database.read() as connection:
            design = parse_design(setting(connection, "design"))
            root = audio_root or Path(setting(connection, "audio_root"))
            return Study(
                database=database,
                design=design,
                audio_root=root.resolve(),
                secret=setting(connection, "secret"),
                fingerprint=setting(connection, "fingerprint"),
            )
    except DatabaseError as error:
        raise InputError(f"{shown(place)}: not a study ({error.orig})") from error


def setting(connection: Connection, name: str) -> str:
    """One of the study's stored settings."""
    found = row(connection, "SELECT value FROM study WHERE name = :name", name=name)
    if found is None:
        raise InputError(f"the database holds no study (its {name!r} is missing)")
    return str(found["value"])


def set_state(connection: Connection, state: str) -> None:
    """Make the study open, paused or closed."""
    if state not in STATES:
        raise InputError(f"state is {state!r}; expected one of {', '.join(STATES)}")
    run(connection, "UPDATE study SET value = :state WHERE name = 'state'", state=state)


def stimuli_of(connection: Connection) -> list[Stimulus]:
    """All pairs and anchors, in the order of the tables they came from."""
    found = rows(
        connection,
        "SELECT stimulus_id, kind, audio, text, system, subset, split, wanted, duration_s "
        "FROM stimuli ORDER BY position",
    )
    return [Stimulus(**item) for item in found]
