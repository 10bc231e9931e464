"""Scores of published models for the judged pairs, kept in tables that a second call completes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from humanclap.errors import InputError
from humanclap.fingerprint import fingerprint_text
from humanclap.progress import Progress, silent
from humanclap.records import Pair, Score, Target
from humanclap.reproduce.request import Request
from humanclap.scoring.run import score_table
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings
from humanclap.tables import read_scores


def scores_of(
    name: str,
    judged: Sequence[Target],
    audio_root: Path,
    folder: Path,
    request: Request,
    progress: Progress = silent,
) -> list[Score]:
    """Scores of one model by its name, in the order of `judged`; kept as `folder`/NAME.csv.

    The name of a model by its path is the path's last part and a fingerprint of the whole.

    Raises CheckpointError where the model cannot be had, InputError where a pair has no score.
    """
    table = folder / f"{_file_name(name)}.csv"
    pairs = [
        Pair(
            audio=target.audio,
            text=target.text,
            system=target.system,
            subset=target.subset,
            split=target.split,
        )
        for target in judged
    ]
    if table.is_file():
        scores = _in_order(read_scores(table), pairs, table)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        settings = ScoringSettings(device=request.device, precision="fp32")
        scorer = HumanCLAP.from_pretrained(
            name, settings=settings, offline=request.offline, progress=progress
        )
        scores = score_table(scorer, pairs, audio_root=audio_root, output=table, progress=progress)
    failed = [score for score in scores if score.error]
    if failed:
        raise InputError(
            f"{name}: {len(failed)} of {len(pairs)} pairs have no score, for example "
            f"{failed[0].audio}: {failed[0].error}; mend that, delete {table}, and give --resume"
        )
    return scores


def _file_name(name: str) -> str:
    if Path(name).exists():
        place = Path(name).resolve()
        return f"{place.name}-{fingerprint_text([str(place)])}"
    return name.replace("/", "--")


def values(scores: Sequence[Score]) -> NDArray[np.float64]:
    """The cosines, (n,)."""
    return np.array([score.score for score in scores])


def _in_order(scores: Sequence[Score], pairs: Sequence[Pair], table: Path) -> list[Score]:
    of_pair = {score.pair_id: score for score in scores}
    if set(of_pair) != {pair.pair_id for pair in pairs}:
        raise InputError(f"{table}: scores of other pairs than are judged now; delete it")
    return [of_pair[pair.pair_id] for pair in pairs]
