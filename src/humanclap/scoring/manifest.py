"""What to score: a table of pairs, or a folder of clips with a table of texts keyed by name."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from humanclap.errors import InputError, TableError
from humanclap.records import Pair
from humanclap.tables import check_distinct, read_table

log = logging.getLogger(__name__)

AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff"})
_NAMED = 5
"""How many names an error lists before it only counts."""


def pairs_of_folder(
    folder: str | Path, texts: str | Path, *, allow_unmatched: bool = False
) -> list[Pair]:
    """Pair the clips below `folder` with the texts of a table, by name, never by order.

    texts: columns `name`, `text`. A name is a clip's path below the folder, with or without its
    suffix, or its bare file name where only one clip has it. Pairs come in the table's order.
    Raises InputError where a name fits no clip or several, or a clip has no text; with
    `allow_unmatched` what fits nothing is left out, and a warning logged that names it.
    """
    pairs, no_clip, no_text = match_folder(folder, texts)
    for names, what in ((no_clip, "texts without a clip"), (no_text, "clips without a text")):
        if not names:
            continue
        message = f"{texts}: {len(names)} {what} in {folder}: {listed(names)}"
        if not allow_unmatched:
            raise InputError(f"{message}; mend the table or use --allow-unmatched")
        log.warning("%s; left out", message)
    if not pairs:
        raise InputError(f"{texts}: no name fits a clip in {folder}")
    return pairs


def match_folder(folder: str | Path, texts: str | Path) -> tuple[list[Pair], list[str], list[str]]:
    """(pairs, names that fit no clip, clips that no name fits)."""
    folder = Path(folder)
    clips = sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file()
    )
    if not clips:
        raise InputError(f"{folder}: holds no audio ({', '.join(sorted(AUDIO_SUFFIXES))})")
    names = _names_of(clips)
    table = read_table(texts)
    table.require("name", "text")
    check_distinct((row.text("name") for row in table.rows), table.rows, what="name")
    pairs, no_clip, used = [], [], set()
    for row in table.rows:
        fits = names.get(row.text("name"), [])
        if len(fits) > 1:
            raise TableError(
                table.path,
                f"name {row.text('name')!r} fits several clips: {listed(list(map(str, fits)))}",
                row.line,
            )
        if not fits:
            no_clip.append(row.text("name"))
            continue
        used.add(fits[0])
        pairs.append(Pair(audio=fits[0].as_posix(), text=row.text("text")))
    return pairs, no_clip, [clip.as_posix() for clip in clips if clip not in used]


def _names_of(clips: Sequence[Path]) -> dict[str, list[Path]]:
    names: dict[str, list[Path]] = {}
    for clip in clips:
        ways = {clip.as_posix(), clip.with_suffix("").as_posix(), clip.name, clip.stem}
        for name in ways:
            names.setdefault(name, []).append(clip)
    return names


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more.

    >>> listed(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
