"""Score a whole manifest into a table: resumable, in the manifest's order, all rows present."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from humanclap.errors import InputError
from humanclap.progress import Progress, silent
from humanclap.records import Pair, Score
from humanclap.scoring.journal import Journal
from humanclap.scoring.scorer import HumanCLAP
from humanclap.tables import write_records


def score_table(
    scorer: HumanCLAP,
    pairs: Sequence[Pair],
    *,
    audio_root: str | Path = ".",
    output: str | Path | None = None,
    restart: bool = False,
    progress: Progress = silent,
) -> list[Score]:
    """Score `pairs`; one Score each, in their order, errors included.

    output: table written whole at the end; until then finished rows live in its journal, from
    which a later call with the same pairs, model and settings goes on. restart: forget a journal.
    """
    root = Path(audio_root)
    if output is None:
        finished = _score_rest(scorer, pairs, {}, root, None, progress)
        return [finished[pair.pair_id] for pair in pairs]
    output = Path(output)
    if output.is_dir():
        raise InputError(f"{output}: is a folder; name a file")
    journal = Journal(output, pairs=pairs, signature=scorer.signature, audio_root=root)
    if restart:
        journal.path.unlink(missing_ok=True)
    with journal:
        finished = _score_rest(scorer, pairs, journal.finished, root, journal, progress)
        scores = [finished[pair.pair_id] for pair in pairs]
        write_records(output, scores, record_type=Score)
        journal.remove()
    return scores


def _score_rest(
    scorer: HumanCLAP,
    pairs: Sequence[Pair],
    finished: dict[str, Score],
    audio_root: Path,
    journal: Journal | None,
    progress: Progress,
) -> dict[str, Score]:
    rest = [pair for pair in pairs if pair.pair_id not in finished]
    for score in scorer.score_pairs(rest, audio_root=audio_root):
        finished[score.pair_id] = score
        if journal is not None:
            journal.add(score)
        progress(len(finished), len(pairs), "")
    return finished
