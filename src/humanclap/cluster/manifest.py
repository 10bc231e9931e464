"""What to score: the entries of tables and WebDataset shards, here or in a store, in order."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from humanclap.audio.folder import SOUND_SUFFIXES
from humanclap.cluster.places import (
    base_name,
    file_system,
    files_at,
    folder_of,
    is_url,
    joined,
    local_copy,
    reaching,
)
from humanclap.errors import InputError, TableError
from humanclap.formats import TABLE_SUFFIXES, suffix_of
from humanclap.records import Pair
from humanclap.tables import read_manifest

_OF_PAIR = ("pair_id", "system", "subset", "split")
_CAPTION_KEYS = ("text", "caption")
_READ_AHEAD_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class Entry:
    """A pair, further cells of its row, and where its clip lies.

    where: path from the root or address; offset, size: the bytes of it that are the clip, None for
    all of them.
    """

    pair: Pair
    where: str
    offset: int | None = None
    size: int | None = None
    further: Mapping[str, str] = field(default_factory=dict)


def manifest_files(manifest: str) -> list[str]:
    """The tables or .tar files of a manifest (a file, a pattern or a folder), sorted by name.

    Raises InputError where there are none, or tables and .tar files stand beside each other.
    """
    files = files_at(manifest)
    tars = [name for name in files if suffix_of(base_name(name)) == ".tar"]
    tables = [name for name in files if suffix_of(base_name(name)) in TABLE_SUFFIXES]
    if tars and tables:
        raise InputError(
            f"{manifest}: tables and .tar files stand beside each other ({base_name(tables[0])}, "
            f"{base_name(tars[0])}); name the ones you mean by a pattern, such as '*.tar'"
        )
    if not tars and not tables:
        raise InputError(
            f"{manifest}: neither a table ({', '.join(TABLE_SUFFIXES)}) nor a WebDataset shard "
            "(.tar, not compressed); for a folder of clips with --texts use --runner local"
        )
    return tars or tables


def entries_of(file: str, audio_root: str | None) -> Iterator[Entry]:
    """Entries of one table or .tar file, in its order; errors name the file and the row.

    audio_root: where relative paths of a table start, None: in the table's folder.
    """
    if suffix_of(base_name(file)) == ".tar":
        return _of_tar(file)
    return _of_table(file, folder_of(file) if audio_root is None else audio_root)


def _of_table(file: str, root: str) -> Iterator[Entry]:
    with local_copy(file) as copy:
        try:
            pairs, further = read_manifest(copy)
        except TableError as error:
            raise _renamed(error, file) from error
    for pair in pairs:
        where = joined(root, pair.audio)
        yield Entry(pair, where, further=further.get(pair.pair_id, {}))


def _renamed(error: TableError, file: str) -> TableError:
    """The error of a copy, with the name that the user knows."""
    where = error.path if error.line is None else f"{error.path}:{error.line}"
    return TableError(file, str(error).removeprefix(f"{where}: "), error.line)


def _of_tar(file: str) -> Iterator[Entry]:
    """Samples of a WebDataset shard: files of one name, told apart by what follows its first dot.

    Source: the WebDataset format, https://github.com/webdataset/webdataset.
    """
    system, path = file_system(file)
    options = {"block_size": _READ_AHEAD_BYTES} if is_url(file) else {}
    with reaching(file), system.open(path, "rb", **options) as raw:
        try:
            with closing(tarfile.open(fileobj=raw, mode="r:")) as tar:
                for key, parts in _samples(tar):
                    yield _entry(file, tar, key, parts)
        except tarfile.TarError as error:
            raise InputError(
                f"{file}: not a whole .tar file ({error}); fetch it again (a compressed one has "
                "to be unpacked first)"
            ) from error


def _samples(tar: tarfile.TarFile) -> Iterator[tuple[str, dict[str, tarfile.TarInfo]]]:
    """Key and files by suffix of each sample; the files of a sample follow each other."""
    current, parts = "", dict[str, tarfile.TarInfo]()
    for member in tar:
        name = PurePosixPath(member.name)
        if not member.isfile() or name.name.startswith("."):
            continue
        key = str(name.parent / name.name.partition(".")[0])
        if key != current and parts:
            yield current, parts
            parts = {}
        current = key
        parts[name.suffix.lower()] = member
    if parts:
        yield current, parts


def _entry(
    file: str, tar: tarfile.TarFile, key: str, parts: Mapping[str, tarfile.TarInfo]
) -> Entry:
    sounds = [member for suffix, member in parts.items() if suffix in SOUND_SUFFIXES]
    if len(sounds) != 1:
        found = ", ".join(parts)
        raise InputError(f"{file}: sample {key!r} has {len(sounds)} clips ({found}); expected one")
    facts = _facts(file, tar, key, parts)
    if ".txt" in parts:
        facts["text"] = _text(file, tar, parts[".txt"])
    text = next((facts.pop(name) for name in _CAPTION_KEYS if name in facts), None)
    if text is None:
        raise InputError(
            f"{file}: sample {key!r} has no caption; put KEY.txt beside its clip, or KEY.json with "
            "the key text or caption"
        )
    clip = sounds[0]
    audio = f"{base_name(file)}/{clip.name}"
    own = {name: str(facts.pop(name)) for name in _OF_PAIR if facts.get(name) is not None}
    try:
        pair = Pair(audio=audio, text=text, **own)
    except InputError as error:
        raise InputError(f"{file}: sample {key!r}: {error}") from error
    further = {name: _cell(value) for name, value in facts.items()}
    return Entry(pair, file if is_url(file) else joined(".", file), clip.offset_data, clip.size,
                 further)  # fmt: skip


def _facts(
    file: str, tar: tarfile.TarFile, key: str, parts: Mapping[str, tarfile.TarInfo]
) -> dict[str, Any]:
    """What the sample's .json says; nothing without one."""
    if ".json" not in parts:
        return {}
    try:
        facts = json.loads(_text(file, tar, parts[".json"]))
    except json.JSONDecodeError as error:
        raise InputError(f"{file}: the .json of sample {key!r} is not JSON ({error})") from error
    if not isinstance(facts, dict):
        raise InputError(f"{file}: the .json of sample {key!r} is no object")
    return facts


def _text(file: str, tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    data = tar.extractfile(member)
    try:
        return "" if data is None else data.read().decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: {member.name} is not UTF-8 text; save it as UTF-8") from error


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def all_entries(files: Sequence[str], audio_root: str | None) -> Iterator[tuple[int, Entry]]:
    """Entries of all files, each with the number of its file."""
    for number, file in enumerate(files):
        for entry in entries_of(file, audio_root):
            yield number, entry
