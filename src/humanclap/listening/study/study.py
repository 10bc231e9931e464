"""A study on disk: made once from a design and its pairs, opened by every command."""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from humanclap.errors import AudioError, InputError, listed
from humanclap.fingerprint import fingerprint_text
from humanclap.listening.design.anchors import make_anchors, make_contrasts
from humanclap.listening.design.assignment import Stimulus
from humanclap.listening.design.clips import Examined, examine_clip
from humanclap.listening.design.comparisons import ABComparison, sides_of
from humanclap.listening.design.design import StudyDesign, parse_design
from humanclap.listening.design.quotas import wanted_of
from humanclap.listening.study.database import Database, insert, rows, run, shown, value, where_of
from humanclap.progress import Progress, silent
from humanclap.records import Pair

STATES = ("open", "paused", "closed")
_MAX_NAMED = 3

Items = Sequence[Pair] | Sequence[ABComparison]
"""What a study holds: pairs to be rated, or comparisons in an A/B study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """An open study: its database, its design and the folder its clips are in."""

    database: Database
    design: StudyDesign
    audio_root: Path
    secret: str
    fingerprint: str
    _read: dict[int, list[Stimulus]] = field(default_factory=dict, compare=False, repr=False)
    """What `stimuli` read, by the ratings wanted then."""

    def stimuli(self, connection: Connection) -> list[Stimulus]:
        """As `stimuli_of`, read again only after a top-up, which keeps the writers' turns short."""
        wanted = int(value(connection, "SELECT SUM(wanted) FROM stimuli") or 0)
        stimuli = self._read.get(wanted)
        if stimuli is None:
            stimuli = stimuli_of(connection)
            self._read.clear()
            self._read[wanted] = stimuli
        return stimuli

    def state(self) -> str:
        """`open`, `paused` or `closed`."""
        with self.database.read() as connection:
            return setting(connection, "state")

    def sign(self, *parts: str) -> str:
        """A token of these parts that nobody without the study's secret can make."""
        key = bytes.fromhex(self.secret)
        return hmac.new(key, "\0".join(parts).encode(), hashlib.sha256).hexdigest()

    def close(self) -> None:
        """Close the database's connections."""
        self.database.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """What `create_study` made; `notes` say what may surprise a researcher.

    n_pairs, n_ratings: in an A/B study, its comparisons and the choices that are wanted.
    """

    n_pairs: int
    n_anchors: int
    n_ratings: int
    fingerprint: str
    notes: tuple[str, ...] = ()


def create_study(
    where: str,
    *,
    design_text: str,
    pairs: Items,
    audio_root: Path,
    anchors: Items | None = None,
    replace_empty: bool = False,
    progress: Progress = silent,
) -> Created:
    """Make the study `where` (a new file, or the URL of an empty database).

    pairs: comparisons where the design's trials are choices. anchors: the researcher's own
    mismatched ones; made automatically where None. replace_empty: replace a study that has no
    answers. Every clip is decoded to its end. Raises InputError where the study exists (or, with
    replace_empty, has answers), a clip cannot be used by the rules of `humanclap score`, no anchor
    can be made, or the pairs do not fit the design.
    """
    design = parse_design(design_text)
    _check_kind([*pairs, *(anchors or ())], design)
    there = "://" not in where and Path(where).exists()
    if there and not replace_empty:
        raise _there_already(where)
    anchors = _enough_anchors(design, pairs, anchors)
    examined = _examine(sides_of([*pairs, *anchors]), audio_root, progress)
    durations = {audio: clip.duration_s for audio, clip in examined.items()}
    stimuli = _stimuli(pairs, anchors, design, durations)
    fingerprint = fingerprint_text([design_text, *map(_named, stimuli)])
    with _made(where, there) as connection:
        _make_room(connection, where, replace_empty=replace_empty)
        _write_settings(connection, design_text, audio_root, fingerprint)
        rows_of_stimuli = ({**asdict(s), "position": n} for n, s in enumerate(stimuli))
        insert(connection, "stimuli", *rows_of_stimuli)
    return Created(
        n_pairs=len(pairs),
        n_anchors=len(anchors),
        n_ratings=sum(wanted_of(pairs, design)),
        fingerprint=fingerprint,
        notes=(*_session_notes(design, pairs), *_clip_notes(examined)),
    )


@contextmanager
def _made(where: str, there: bool) -> Iterator[Connection]:
    """A transaction on a new database, or on one that was there; a new file goes where it fails."""
    database = Database(where)
    try:
        database.upgrade()
        with database.write() as connection:
            yield connection
    except BaseException:
        database.close()
        if "://" not in where and not there:
            Path(where).unlink(missing_ok=True)  # ours: it was not there before
        raise
    database.close()


def _check_kind(items: Sequence[Pair | ABComparison], design: StudyDesign) -> None:
    kinds = {"rating" if isinstance(item, Pair) else item.between for item in items}
    if kinds - {design.trial}:
        raise InputError(
            f"trial is {design.trial!r} in the design, but the table is for {', '.join(kinds)}"
        )


def _named(stimulus: Stimulus) -> str:
    names = (stimulus.audio, stimulus.text, stimulus.audio_b, stimulus.text_b)
    return "\0".join(name for name in names if name is not None)


def _there_already(where: str) -> InputError:
    return InputError(
        f"{shown(where)}: a study is there already; answers are never overwritten "
        "(--replace-empty replaces one that has none)"
    )


def _make_room(connection: Connection, where: str, *, replace_empty: bool) -> None:
    """Remove a study without answers where that is wanted; raises InputError where one stays."""
    if value(connection, "SELECT name FROM study") is None:
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


def _session_notes(design: StudyDesign, items: Items) -> Iterator[str]:
    """Where the table is too small for what a session or a quota asks for."""
    session, n_pairs = design.session, len(items)
    what, things = ("rates", "sounds") if design.between is None else ("asks", "comparisons")
    of_table = "pairs" if design.between is None else "comparisons"
    rated = min(session.pairs, n_pairs)
    spare = n_pairs - rated
    if n_pairs < session.pairs:
        yield (
            f"a session {what} {n_pairs} {things}, not {session.pairs}: the table has no more "
            f"{of_table}"
        )
    elif session.per_listener > 1 and n_pairs < session.pairs * session.per_listener:
        yield (
            f"{session.per_listener} sessions of one listener need "
            f"{session.pairs * session.per_listener} {of_table}, but the table has {n_pairs}: "
            "later sessions are shorter"
        )
    if spare < session.practice:
        yield (
            f"a session begins with {spare} practice {things}, not {session.practice}: practice "
            f"uses {of_table} that the session leaves over (lower [session] practice or pairs)"
        )
    if unasked := wanted_of(items, design).count(0):
        yield (
            f"{unasked} comparisons are never asked: some pairs of systems have more comparisons "
            "than choices_per_system_pair"
        )


def _clip_notes(examined: Mapping[str, Examined]) -> Iterator[str]:
    """Clips that listeners will wonder about, by what is the matter."""
    by_note: dict[str, list[str]] = {}
    for audio, clip in examined.items():
        if clip.note:
            by_note.setdefault(clip.note, []).append(audio)
    for note, clips in by_note.items():
        yield f"{listed(clips, _MAX_NAMED)}: {note}"


def _enough_anchors(design: StudyDesign, items: Items, own: Items | None) -> Items:
    """The anchors given, or some made: several sessions' worth, so that listeners' differ."""
    wanted = design.session.anchors * design.session.per_listener
    if own is None:
        own = _made_anchors(design, items, max(4 * wanted, 12) if wanted else 0)
    if len(own) < design.session.anchors:
        raise InputError(
            f"there are only {len(own)} anchors, and a session needs {design.session.anchors}; "
            "lower [session] anchors or give more (--anchors TABLE)"
        )
    return own


def _made_anchors(design: StudyDesign, items: Items, n: int) -> Items:
    """Mismatched pairs; in an A/B study each beside a side that fits."""
    if design.between is None:
        return make_anchors(sides_of(items), n, design.seed)
    compared = [item for item in items if isinstance(item, ABComparison)]
    return make_contrasts(compared, design.between, n, design.seed)


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
    pairs: Items, anchors: Items, design: StudyDesign, durations: dict[str, float]
) -> list[Stimulus]:
    stimuli: dict[str, Stimulus] = {}
    kinds = ["pair"] * len(pairs) + ["anchor"] * len(anchors)
    wanted = [*wanted_of(pairs, design), *[0] * len(anchors)]
    for item, kind, n in zip([*pairs, *anchors], kinds, wanted, strict=True):
        sides = sides_of([item])
        key = item.pair_id if isinstance(item, Pair) else item.key
        if key in stimuli:
            named = ", and ".join(f"{side.audio} with {side.text!r}" for side in sides)
            raise InputError(f"{named} appears twice among the pairs")
        stimuli[key] = Stimulus(
            stimulus_id=secrets.token_hex(8),
            kind=kind,
            audio=sides[0].audio,
            text=sides[0].text,
            system=sides[0].system,
            subset=sides[0].subset,
            split=item.split,
            wanted=n,
            duration_s=math.fsum(durations[clip] for clip in {side.audio for side in sides}),
            **({} if isinstance(item, Pair) else _second_side(item)),
        )
    return list(stimuli.values())


def _second_side(item: ABComparison) -> dict[str, Any]:
    return {
        "audio_b": item.second.audio,
        "text_b": item.second.text,
        "system_b": item.second.system,
        "label": item.kind,
        "expected": item.expected,
    }


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
    insert(connection, "study", *({"name": k, "value": v} for k, v in settings.items()))


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
    found = value(connection, "SELECT value FROM study WHERE name = :name", name=name)
    if found is None:
        raise InputError(f"the database holds no study (its {name!r} is missing)")
    return str(found)


def set_state(connection: Connection, state: str) -> None:
    """Make the study open, paused or closed."""
    if state not in STATES:
        raise InputError(f"state is {state!r}; expected one of {', '.join(STATES)}")
    run(connection, "UPDATE study SET value = :state WHERE name = 'state'", state=state)


def stimuli_of(connection: Connection) -> list[Stimulus]:
    """All pairs and anchors, in the order of the tables they came from."""
    columns = ", ".join(field.name for field in fields(Stimulus))
    found = rows(connection, f"SELECT {columns} FROM stimuli ORDER BY position")
    return [Stimulus(**item) for item in found]
