"""What to score: a table of pairs, or a folder of clips with a table of texts keyed by name."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from humanclap.audio.decode import convert
from humanclap.audio.folder import SOUND_SUFFIXES, FolderClips, list_clips
from humanclap.audio.names import is_utf8, same_name, shown
from humanclap.errors import InputError, listed
from humanclap.records import Pair
from humanclap.tables import (
    Further,
    Row,
    check_distinct,
    further_cells,
    optional_columns,
    read_table,
)

log = logging.getLogger(__name__)

_PLACED = ("text", "pair_id", "system", "subset", "split")
"""Columns of a table of texts that are fields of a Pair."""


def pairs_of_folder(
    folder: str | Path, texts: str | Path, *, allow_unmatched: bool = False
) -> tuple[list[Pair], Further]:
    """Pair the clips below `folder` with the texts of a table, by name, never by order.

    texts: columns `name`, `text`, and `pair_id`, `system`, `subset`, `split` where it has them; the
    cells of all other columns and `name` come back by pair, as `tables.read_manifest` gives them. A
    name is a clip's path below the folder, with or without its suffix, or its bare file name where
    only one clip has it; names are compared in NFC. Pairs come in the table's order. `audio.folder`
    says which files are clips. A name may fit only a sound of a format that is not decoded; it is
    paired too, and its row says why it has no score. Raises InputError where a name fits no clip or
    several, or a clip has no text. With `allow_unmatched`, names and clips that fit nothing are
    left out and named in a warning. Warnings also name sounds that are not decoded, and count
    hidden ones.
    """
    match = match_folder(folder, texts)
    _warn_of_others(match)
    for names, what in (
        (match.no_clip, "texts without a clip"),
        (match.no_text, "clips without a text"),
    ):
        if not names:
            continue
        message = f"{texts}: {len(names)} {what} in {shown(folder)}: {listed(names)}"
        if not allow_unmatched:
            raise InputError(f"{message}; mend the table or use --allow-unmatched")
        log.warning("%s; left out", message)
    if not match.pairs:
        raise InputError(f"{texts}: no name fits a clip in {shown(folder)}")
    return list(match.pairs), match.further


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderMatch:
    """Pairs of a folder and a table, names that fit no clip, clips that no name fits.

    further: cells of the table's other columns, by `pair_id`.
    """

    pairs: tuple[Pair, ...]
    further: Further
    no_clip: tuple[str, ...]
    no_text: tuple[str, ...]
    found: FolderClips


def match_folder(folder: str | Path, texts: str | Path) -> FolderMatch:
    """Match clips and texts by name; see `pairs_of_folder`, which refuses what is left over."""
    found = list_clips(folder)
    if not found.clips and not found.other_sounds:
        hidden = f", but {len(found.hidden)} hidden ones" if found.hidden else ""
        raise InputError(
            f"{shown(folder)}: holds no audio{hidden} ({', '.join(sorted(SOUND_SUFFIXES))})"
        )
    names, other_names = _Names(found.clips), _Names(found.other_sounds)
    table = read_table(texts)
    table.require("name", "text")
    keys = (same_name(row.text("name")) for row in table.rows)
    check_distinct(keys, table.rows, what="name")
    pairs, paired, no_clip, used = [], [], [], set()
    for row in table.rows:
        name = row.text("name")
        fits = names.fitting(name) or other_names.fitting(name)
        if len(fits) > 1:
            raise row.error(f"name {name!r} fits several clips: {listed(fits, show=shown)}")
        if not fits:
            no_clip.append(name)
            continue
        used.add(fits[0])
        paired.append(row)
        pairs.append(row.make(partial(_pair, fits[0], row)))
    check_distinct((pair.pair_id for pair in pairs), paired, what="pair")
    return FolderMatch(
        pairs=tuple(pairs),
        further=further_cells(replace(table, rows=tuple(paired)), pairs, placed=_PLACED),
        no_clip=tuple(no_clip),
        no_text=tuple(shown(clip.as_posix()) for clip in found.clips if clip not in used),
        found=found,
    )


def _pair(clip: Path, row: Row) -> Pair:
    columns = optional_columns(row, "system", "subset", "split")
    pair_id = row.optional("pair_id") or ""
    return Pair(audio=clip.as_posix(), text=row.text("text"), pair_id=pair_id, **columns)


class _Names:
    """Clips by each of their names, first as they are written, then in NFC."""

    def __init__(self, clips: Sequence[Path]) -> None:
        self._exact: dict[str, list[Path]] = {}
        self._alike: dict[str, list[Path]] = {}
        for clip in clips:
            if not is_utf8(clip):
                continue  # no table can name it
            ways = {clip.as_posix(), clip.with_suffix("").as_posix(), clip.name, clip.stem}
            for name in ways:
                self._exact.setdefault(name, []).append(clip)
            for name in set(map(same_name, ways)):
                self._alike.setdefault(name, []).append(clip)

    def fitting(self, name: str) -> list[Path]:
        return self._exact.get(name) or self._alike.get(same_name(name), [])


def _warn_of_others(match: FolderMatch) -> None:
    """Name the files of the folder that are not scored, each kind in one line."""
    found = match.found
    paired = {pair.audio for pair in match.pairs}
    others = [path for path in found.other_sounds if path.as_posix() not in paired]
    foreign = [clip for clip in found.clips if not is_utf8(clip)]
    for paths, what, remedy in (
        (others, "sounds are of a format that cannot be read", "; {convert}"),
        (found.hidden, "hidden sounds passed over", ""),
        (foreign, "names are not UTF-8, so that no table can name them", "; rename them"),
    ):
        if paths:
            names = listed(paths, show=shown)
            told = remedy.format(convert=convert(paths[0]))
            log.warning("%s: %d %s: %s%s", shown(found.folder), len(paths), what, names, told)


def check_pair_ids(pairs: Iterable[Pair]) -> None:
    """Raise InputError where two different pairs have one `pair_id`."""
    known: dict[str, Pair] = {}
    for pair in pairs:
        first = known.setdefault(pair.pair_id, pair)
        if first != pair:
            raise InputError(
                f"pair_id {pair.pair_id!r} stands for two pairs: {first.audio} | {first.text}, and "
                f"{pair.audio} | {pair.text}; give each its own"
            )
