"""RELATE's audio (Kanamori et al., Interspeech 2025), from the address its README gives."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from humanclap.download.resumable import download
from humanclap.errors import InputError, naming_file
from humanclap.files import atomic_writer
from humanclap.progress import Progress, silent
from humanclap.tables import read_table

README_ADDRESS = "https://sarulab.sakura.ne.jp/kanamori/RELATE_open_dataset/RELATE_wave.zip"
"""The address in the dataset's README under "Download wave files"."""
SCORES_ADDRESS = (
    "https://raw.githubusercontent.com/sarulab-speech/RELATE/"
    "d76f65f3d880c41c13cf93b2eefb1dd6b273dd65/scores/REL.csv"
)
"""The ratings of relevance, at the commit of the dataset's repository that was checked."""
SCORES_SHA256 = "cea68d02735ac13a5cc3a05fafb4bc07a0342815c6a75fbf64284e39271c5dcd"
ARCHIVE_BYTES = 54_935 * 16_000 * 2
"""About the size of the clips: 54,935 s by the README's table, mono, 16 bits, 16 kHz."""
ARCHIVE, FOLDER = "RELATE_wave.zip", "RELATE_wave"
COMPLETE = "complete.json"
"""Written beside the clips when all are unpacked; then nothing is downloaded again."""
_ADDRESS = re.compile(r"https?://[^\s()<>\"']+\.zip")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """folder: where the clips are; clips: how many; missing: rated clips that are not there."""

    folder: Path
    clips: int
    sha256: str
    missing: tuple[str, ...]


def address_in(readme: str | Path) -> str:
    """The one address of a zip archive in a README. Raises InputError for none or several."""
    text = Path(readme).read_text(encoding="utf-8")
    found = sorted(set(_ADDRESS.findall(text)))
    if len(found) != 1:
        raise InputError(
            f"{readme}: {len(found)} addresses of zip archives; expected one (or give --url)"
        )
    return str(found[0])


def fetch_scores(
    output: str | Path,
    *,
    url: str = SCORES_ADDRESS,
    sha256: str | None = SCORES_SHA256,
    progress: Progress = silent,
) -> Path:
    """Download the ratings of relevance to `output`/scores/REL.csv, and return its path.

    A whole file that is already there is kept. Raises InputError where the SHA-256 of what comes is
    not `sha256`.
    """
    path = Path(output) / "scores" / "REL.csv"
    return download(url, path, sha256=sha256, keep_other=False, progress=progress).path


def fetch_relate(
    output: str | Path,
    *,
    url: str = README_ADDRESS,
    sha256: str | None = None,
    scores: str | Path | None = None,
    keep_archive: bool = False,
    progress: Progress = silent,
) -> Fetched:
    """Download and unpack the clips to `output`/RELATE_wave.

    A download that was stopped goes on where it was. The publisher states no hash, so the hash of
    the first download is recorded; `sha256` checks it, and every unpacked file is checked by its
    CRC. scores: a rating table (REL.csv), whose clips are then looked for. Raises InputError.
    """
    output = Path(output)
    note = output / FOLDER / COMPLETE
    if note.is_file() and not (output / ARCHIVE).is_file():
        known = json.loads(note.read_text(encoding="utf-8"))
        clips, hashed = int(known["clips"]), str(known["sha256"])
        if sha256 is not None and sha256.lower() != hashed:
            raise InputError(
                f"{note}: the clips are from an archive with SHA-256 {hashed}; delete the folder "
                "to download them again"
            )
    else:
        clips, hashed = _bring(url, output, sha256, keep_archive, progress)
    missing = () if scores is None else _missing(output / FOLDER, Path(scores))
    return Fetched(folder=output / FOLDER, clips=clips, sha256=hashed, missing=missing)


def _bring(
    url: str, output: Path, sha256: str | None, keep_archive: bool, progress: Progress
) -> tuple[int, str]:
    """Number of clips unpacked and the archive's hash."""
    archive = download(url, output / ARCHIVE, sha256=sha256, progress=progress)
    clips = _unpack(archive.path, output, progress)
    with atomic_writer(output / FOLDER / COMPLETE) as file:
        file.write(json.dumps({"clips": clips, "sha256": archive.sha256}) + "\n")
    if not keep_archive:
        archive.path.unlink()
    return clips, archive.sha256


def _unpack(archive: Path, output: Path, progress: Progress) -> int:
    """Unpack every wav below RELATE_wave/ that is not there and whole. Returns their number."""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [one for one in opened.infolist() if one.filename.endswith(".wav")]
            places = {one.filename: _place(one.filename, output, archive) for one in members}
            for done, member in enumerate(members, start=1):
                _unpack_one(opened, member, places[member.filename])
                progress(done, len(members), "clips unpacked")
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(f"{archive}: damaged ({error}); delete it to download it again") from error
    if not members:
        raise InputError(f"{archive}: holds no wav files; is it RELATE's archive?")
    return len(members)


def _place(name: str, output: Path, archive: Path) -> Path:
    """Where a member goes: system/split/name.wav below RELATE_wave, without folders above that."""
    parts = Path(name).parts
    if FOLDER in parts:
        parts = parts[parts.index(FOLDER) + 1 :]
    if len(parts) != 3 or ".." in parts or Path(name).is_absolute():
        raise InputError(f"{archive}: {name!r} is not of the form {FOLDER}/system/split/name.wav")
    return output / FOLDER / Path(*parts)


def _unpack_one(opened: zipfile.ZipFile, member: zipfile.ZipInfo, place: Path) -> None:
    if place.is_file() and place.stat().st_size == member.file_size:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name}.part")
    with naming_file(place), opened.open(member) as source, open(temporary, "wb") as target:
        shutil.copyfileobj(source, target)  # reading to the end checks the CRC
    temporary.replace(place)


def _missing(folder: Path, scores: Path) -> tuple[str, ...]:
    table = read_table(scores)
    table.require("wavname")
    names = dict.fromkeys(row.text("wavname").strip("/") for row in table.rows)
    return tuple(name for name in names if not (folder / name).is_file())
