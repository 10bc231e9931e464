"""The second stage: a worker with a model embeds clips and texts, and scores them.

`HumanCLAP.score_pairs` makes the scores, as for the local runner.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from humanclap.audio.decode import SoundBytes
from humanclap.audio.load import Decoded, Source
from humanclap.clap.device import use_threads
from humanclap.cluster.decoding import OF_PAIR
from humanclap.cluster.ledger import LedgerClient
from humanclap.cluster.parts import score_schema
from humanclap.errors import CheckpointError, SettingsError
from humanclap.records import Pair
from humanclap.scoring.rows import row_of
from humanclap.scoring.scorer import HumanCLAP
from humanclap.scoring.settings import ScoringSettings
from humanclap.signature import comparable

SCORED = pa.schema(
    [("shard", pa.int64()), ("row", pa.int64()), ("further", pa.string()), *score_schema()]
)
"""Columns of a scored chunk: each score with its shard and row."""


Load = Callable[[], HumanCLAP]
"""How a worker gets the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadModel:
    """`HumanCLAP.from_pretrained` with what the command line was given."""

    model: str
    settings: ScoringSettings
    mn04: Path | None = None
    offline: bool = False
    revision: str | None = None
    processor: str | None = None

    def __call__(self) -> HumanCLAP:
        """Load the model; a CheckpointError names this machine."""
        try:
            return HumanCLAP.from_pretrained(
                self.model,
                settings=self.settings,
                mn04=self.mn04,
                offline=self.offline,
                revision=self.revision,
                processor=self.processor,
            )
        except CheckpointError as error:
            raise CheckpointError(
                f"{error} (a worker on {socket.gethostname()} looked for it; each machine of a "
                "cluster needs the checkpoint under the same path, or a name that it can fetch)"
            ) from error


class Scoring:
    """Holds the model of a worker and scores chunks of clips; a Ray actor for each device.

    signature: of the driver's model; this one must have the same.
    """

    def __init__(self, load: Load, signature: str, threads: int, ledger: Any, tries: int) -> None:
        use_threads(threads)
        self._guard = LedgerClient(ledger, tries)
        with self._guard.telling():
            self._scorer = load()
            found = self._scorer.signature
            if comparable(found) != comparable(signature):
                raise SettingsError(
                    f"a worker on {socket.gethostname()} scores as {found}, the driver as "
                    f"{signature}; install the same humanclap and put the same checkpoint on each "
                    "machine"
                )

    def __call__(self, chunk: pa.Table) -> pa.Table:
        """Scores of the pairs of a chunk of CLIPS, as `SCORED`."""
        scored: list[dict[str, Any]] = []
        with self._guard.telling():
            for shard, rows in groupby(_rows_of(chunk), key=lambda row: row[0]["shard"]):
                scored += self._scored_of_shard(shard, list(rows))
        return pa.Table.from_pylist(scored, SCORED)

    def _scored_of_shard(self, shard: int, rows: Sequence[_Row]) -> list[dict[str, Any]]:
        with self._guard.work(f"score/{shard}/{rows[0][1][0]['row']}") as (well, counts):
            if well:
                scored = self._scored(rows)
            else:
                scored = [row for one in rows for row in self._scored_alone(one)]
            counts["heard"] = len(rows)
            counts["scored"] = len(scored)
            counts["failed"] = sum(row["error"] is not None for row in scored)
            return scored

    def _scored_alone(self, row: _Row) -> list[dict[str, Any]]:
        clip, pairs = row
        with self._guard.clip(f"score/{clip['shard']}/{pairs[0]['row']}/alone") as poison:
            if poison:
                clip = {**clip, "where": None, "file": None, "samples": b"", "error": poison}
            return self._scored([(clip, pairs)])

    def _scored(self, rows: Sequence[_Row]) -> list[dict[str, Any]]:
        rate = self._scorer.backbone.sample_rate
        sources = {clip["audio"]: _source(clip, rate) for clip, _ in rows}
        places = {row["pair_id"]: (clip["shard"], row) for clip, of_clip in rows for row in of_clip}
        pairs = [Pair(**{name: row[name] for name in OF_PAIR}) for _, row in places.values()]
        found = []
        for score in self._scorer.score_pairs(pairs, source_of=sources.__getitem__):
            shard, row = places[score.pair_id]
            own = {"shard": shard, "row": row["row"], "further": row["further"]}
            found.append({**own, **row_of(score)})
        return found


_Row = tuple[dict[str, Any], list[dict[str, Any]]]
"""A clip of a chunk, and the rows of the plan that are about it."""


def _rows_of(chunk: pa.Table) -> list[_Row]:
    """The rows of a chunk; samples stay in Ray's memory and are not copied."""
    plain = chunk.drop_columns(["samples", "pairs"]).to_pylist()
    samples = [cell.as_buffer() if cell.is_valid else b"" for cell in chunk["samples"]]
    pairs = [json.loads(cell) for cell in chunk["pairs"].to_pylist()]
    return [
        ({**clip, "samples": heard}, of_clip)
        for clip, heard, of_clip in zip(plain, samples, pairs, strict=True)
    ]


def _source(clip: Mapping[str, Any], sample_rate: int) -> Source:
    if clip["where"] is not None:
        return Path(clip["where"])
    if clip["file"] is not None:
        return SoundBytes(data=clip["file"], name=clip["audio"])
    return Decoded(
        samples=np.frombuffer(clip["samples"], np.float32),
        sample_rate=sample_rate,
        name=clip["audio"],
        note=clip["note"],
        error=clip["error"],
    )
