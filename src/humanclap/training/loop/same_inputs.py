"""Compare, before training, what processes that train together must have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from humanclap.errors import InputError, SettingsError, listed
from humanclap.fingerprint import fingerprint_bytes, sha256_file
from humanclap.training.data.dataset import HeardClip
from humanclap.training.data.splits import Splits
from humanclap.training.distributed.processes import Processes, share_of
from humanclap.training.loop.state import IDENTITY_FILE, RunFolder, RunState, flat
from humanclap.version import __version__


def check_alike(
    others: Processes, identity: Mapping[str, Any], splits: Splits, table: str | Path
) -> None:
    """Raise SettingsError where processes differ in package, settings, model, tables or clips.

    identity: of the run (`state.RunFolder`), its `targets` the fingerprint of `splits`; table:
    named where these differ. Clips are compared by their bytes, between hosts.
    """
    if others.count == 1:
        return
    size = f"{len(splits.trained)} + {len(splits.validated)} pairs of {table}"
    own = {
        "humanclap": f"{__version__} (code {_code()})",
        "torch": torch.__version__,
        **flat(identity),
        "targets": identity["targets"],
    }
    found = others.gather_things((own, size))
    first, first_size = found[0]
    for rank, (facts, its_size) in enumerate(found):
        unlike = [
            f"{key} is {first.get(key)!r} in {others.names[0]} and {facts.get(key)!r} in "
            f"{others.names[rank]}"
            for key in sorted({*first, *facts})
            if first.get(key) != facts.get(key)
        ]
        if first["targets"] != facts["targets"]:
            unlike.append(f"the former has {first_size}, the latter {its_size}")
        if unlike:
            raise SettingsError(f"the processes would not train the same: {'; '.join(unlike)}")
    _check_clips(others, splits.heard)


@lru_cache(maxsize=1)
def _code() -> str:
    """8 hex digits over this package's sources: an unreleased version may be of two kinds."""
    package = Path(__file__).resolve().parents[2]
    return fingerprint_bytes(*(path.read_bytes() for path in sorted(package.rglob("*.py"))))


def _check_clips(others: Processes, examples: Sequence[HeardClip]) -> None:
    """Each host hashes its clips, shared by its processes; all must be those of the first."""
    local_ranks = others.gather_things(others.local_rank)
    starts = [rank for rank, local in enumerate(local_ranks) if local == 0]
    if len(starts) < 2:
        return
    start = max(one for one in starts if one <= others.rank)
    end = min([one for one in starts if one > others.rank], default=others.count)
    clips = list({item.path: item for item in examples}.values())
    own = clips[share_of(len(clips), rank=others.rank - start, count=end - start)]
    hashes = [sha256_file(item.path)[:16] for item in own]
    everyone = others.gather_things(np.array(hashes, dtype="S16"))
    firsts = np.concatenate(everyone[: starts[1]])
    for number, begin in enumerate(starts[1:], start=2):
        here = np.concatenate(everyone[begin : (*starts, others.count)[number]])
        unlike = np.flatnonzero(firsts != here)
        if len(unlike):
            named = listed([clips[place].audio for place in unlike], 3)
            raise InputError(
                f"{len(unlike)} of {len(clips)} clips are other files on the hosts of "
                f"{others.names[0]} and {others.names[begin]}: {named}; copy them anew"
            )


def open_together(
    folder: RunFolder, others: Processes, *, resume: bool, overwrite: bool
) -> RunState | None:
    """The first process claims the folder; all get the state that it found.

    Raises what `RunFolder.open` does, and SettingsError where the run to resume lies on another
    host than the first process's.
    """
    has_run = others.gather_things((folder.directory / IDENTITY_FILE).is_file())
    if resume and any(has_run) and not has_run[0]:
        where = others.names[has_run.index(True)]
        raise SettingsError(
            f"{folder.directory}: the run to resume lies with {where}, and {others.names[0]}, who "
            "writes, has none; give the hosts the ranks they had, or copy the folder there"
        )
    found = folder.open(resume=resume, overwrite=overwrite) if others.rank == 0 else None
    return others.from_first(found)
