"""Score a whole manifest into a table with all its rows, in its order; a stopped run goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from humanclap.audio.load import Source, name_of
from humanclap.formats import check_output
from humanclap.progress import Progress, silent
from humanclap.records import Pair, Score
from humanclap.scoring.journal import Journal
from humanclap.scoring.manifest import check_pair_ids
from humanclap.scoring.scorer import HumanCLAP
from humanclap.tables import Further, kept_as, with_further, write_rows

LONG_S = 60.0
"""Clips of more seconds than this report how much of them was read."""


def score_table(
    scorer: HumanCLAP,
    pairs: Sequence[Pair],
    *,
    audio_root: str | Path = ".",
    output: str | Path | None = None,
    restart: bool = False,
    further: Further | None = None,
    progress: Progress = silent,
) -> list[Score]:
    """Score `pairs`; one Score each, in their order, errors included.

    output: a table, written whole at the end. Until then a journal keeps the finished rows, and a
    later call with the same pairs, model and settings goes on from it. restart: forget the journal.
    further: cells that the table takes over unchanged (`tables.read_manifest`). Raises InputError,
    before anything is scored, where two different pairs have one `pair_id`, or a table cannot have
    the output's name.
    """
    check_pair_ids(pairs)
    root = Path(audio_root)
    if output is None:
        finished = _score_rest(scorer, pairs, {}, root, None, progress)
        return [finished[pair.pair_id] for pair in pairs]
    output = Path(output)
    check_output(output)
    journal = Journal(output, pairs=pairs, signature=scorer.signature, audio_root=root)
    if restart:
        journal.path.unlink(missing_ok=True)
    with journal:
        finished = _score_rest(scorer, pairs, journal.finished, root, journal, progress)
        scores = [finished[pair.pair_id] for pair in pairs]
        write_rows(output, *score_rows(scores, further))
        journal.remove()
    return scores


_COLUMNS = [field.name for field in fields(Score)]


def score_rows(
    scores: Sequence[Score], further: Further | None = None
) -> tuple[list[str], list[Mapping[str, object]]]:
    """Columns and rows of a score table: those of Score, then `further` ones (`with_further`)."""
    return with_further(_COLUMNS, ((row.pair_id, asdict(row)) for row in scores), further or {})


def renamed_columns(further: Further) -> dict[str, str]:
    """Columns of the manifest that a score table has its own of -> their names in it."""
    return {name: kept for name, kept in kept_as(_COLUMNS, further).items() if name != kept}


def _score_rest(
    scorer: HumanCLAP,
    pairs: Sequence[Pair],
    finished: dict[str, Score],
    audio_root: Path,
    journal: Journal | None,
    progress: Progress,
) -> dict[str, Score]:
    rest = [pair for pair in pairs if pair.pair_id not in finished]

    def told(source: Source, seconds: float) -> None:
        if seconds >= LONG_S:
            name = Path(name_of(source)).name
            progress(len(finished), len(pairs), f"{seconds / 60:.0f} min of {name} read")

    for score in scorer.score_pairs(rest, audio_root=audio_root, told=told):
        finished[score.pair_id] = score
        if journal is not None:
            journal.add(score)
        progress(len(finished), len(pairs), "")
    return finished
