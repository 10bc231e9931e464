"""What `HumanCLAP.predict` gives: a small table, a row for each pair of clip and text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from humanclap.errors import listed
from humanclap.extras import require
from humanclap.records import Score

if TYPE_CHECKING:
    import pandas

_COLUMNS = ("audio", "text", "score", "rating", "rating_error", "error", "note")
"""Columns of `to_pandas`, named as in the tables that `humanclap score` writes."""


@dataclass(frozen=True, slots=True)
class Predictions(Sequence[Score]):
    """Scores and predicted ratings of n pairs, in the order in which they were given.

    rows: a `Score` each. signature: how they were made.

    >>> row = Score(audio="dog.wav", text="a dog barks", score=0.5, rating=7.0, rating_error=1.5)
    >>> bad = Score(audio="gone.wav", text="rain", score=float("nan"), error="no such file")
    >>> table = Predictions((row, bad), "humanclap:...")
    >>> table.scores, table.ratings, table.problems
    (array([0.5, nan]), array([ 7., nan]), (None, 'no such file'))
    >>> print(table)
    2 pairs, 1 without a score: gone.wav | rain: no such file
    mean score 0.500, mean predicted rating 7.00
    """

    rows: tuple[Score, ...]
    signature: str

    @property
    def scores(self) -> NDArray[np.float64]:
        """Cosines in [-1, 1], (n,); NaN where `problems` says why."""
        return self._column("score")

    @property
    def ratings(self) -> NDArray[np.float64]:
        """Predicted human ratings on 0..10, (n,); NaN without a score or a calibration."""
        return self._column("rating")

    @property
    def rating_errors(self) -> NDArray[np.float64]:
        """Standard errors of `ratings`, on the same scale, (n,)."""
        return self._column("rating_error")

    @property
    def problems(self) -> tuple[str | None, ...]:
        """For each pair why it has no score, None where it has one."""
        return tuple(row.error for row in self.rows)

    @property
    def notes(self) -> tuple[str | None, ...]:
        """For each pair what its reader should know: a silent clip, a text that is cut; or None."""
        return tuple(row.note for row in self.rows)

    def to_pandas(self) -> pandas.DataFrame:
        """As a `pandas.DataFrame` with the columns of `humanclap score`'s tables.

        Raises MissingExtraError without pandas.
        """
        pandas: Any = require("pandas", extra="pandas")
        rows = [{name: getattr(row, name) for name in _COLUMNS} for row in self.rows]
        frame: pandas.DataFrame = pandas.DataFrame(rows, columns=list(_COLUMNS))
        return frame

    def _column(self, name: str) -> NDArray[np.float64]:
        return np.array([getattr(row, name) for row in self.rows], np.float64)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Score]:
        return iter(self.rows)

    @overload
    def __getitem__(self, place: int) -> Score: ...

    @overload
    def __getitem__(self, place: slice) -> Predictions: ...

    def __getitem__(self, place: int | slice) -> Score | Predictions:
        if isinstance(place, slice):
            return Predictions(self.rows[place], self.signature)
        return self.rows[place]

    def __str__(self) -> str:
        bad = [row for row in self.rows if row.error is not None]
        head = f"{len(self)} pairs"
        if bad:
            told = listed(bad, 3, show=lambda row: f"{row.audio} | {row.text}: {row.error}")
            head += f", {len(bad)} without a score: {told}"
        if len(bad) == len(self):
            return head
        means = f"mean score {np.nanmean(self.scores):.3f}"
        if np.isfinite(self.ratings).any():
            means += f", mean predicted rating {np.nanmean(self.ratings):.2f}"
        return f"{head}\n{means}"
