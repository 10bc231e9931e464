"""What scores pairs of audio and text: a model here (`HumanCLAP`), or a service (`Client`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from humanclap.records import check_text
from humanclap.scoring.inputs import Clip, Clips, Paired, Texts, check_on_error, clip_of, paired
from humanclap.scoring.predictions import Predictions

OnError = Literal["raise", "nan"]
"""What a clip or text that cannot be used gives: an error, or NaN in its place."""


class PairScorer(ABC):
    """Scores pairs of audio and text; `score` says what may be given as audio."""

    def score(
        self,
        audio: Clip,
        text: str,
        *,
        sample_rate: int | None = None,
        on_error: OnError = "raise",
    ) -> float:
        """Cosine of one clip and one text, in [-1, 1].

        audio: a path (`str`, `os.PathLike`), the bytes or the open file of a sound file, samples
        (a numpy array, a tensor on any device, a list of floats), a `Waveform`, or a dict of
        `datasets`; docs/python.md has the shapes and types. sample_rate: Hz, only with samples.

        Raises AudioError for audio that cannot be used, InputError for a text that is empty, no
        string, or in letters that the model does not know. With on_error "nan" the score is NaN,
        and `HumanCLAP` warns NotScoredWarning with the reason. It also warns SilentAudioWarning of
        a clip whose score says nothing, and TextCutWarning.
        """
        if not isinstance(text, str):
            check_text(text)
        sources = [clip_of(audio, sample_rate)]
        return float(self.score_many(sources, [text], on_error=on_error)[0])

    def score_many(
        self,
        audio: Clips,
        texts: Texts,
        *,
        sample_rate: int | None = None,
        on_error: OnError = "raise",
    ) -> NDArray[np.float64]:
        """Cosine of each clip with the text at its place: n clips and n texts, gives (n,).

        One clip given by itself goes with every text, one text given by itself with every clip. An
        array may be a batch. Raises and warns as `score`, and InputError where there are not as
        many texts as clips.
        """
        check_on_error(on_error)
        return self._cosines(paired(audio, texts, sample_rate), on_error)

    def predict(
        self,
        audio: Clips,
        text: Texts,
        *,
        sample_rate: int | None = None,
        on_error: OnError = "nan",
    ) -> Predictions:
        """Scores and predicted human ratings of clips and texts as a small table, a row a pair.

        Clips and texts go together as in `score_many`. A clip or text that cannot be used has NaN,
        and its reason stands in `problems`; with on_error "raise" it is an error. `notes` name
        silent clips and cut texts; there are no warnings. Raises InputError for what could never be
        scored: other types, unlike numbers, samples without their rate.
        """
        check_on_error(on_error)
        return self._predicted(paired(audio, text, sample_rate), on_error)

    def _cosines(self, pairs: Paired, on_error: OnError) -> NDArray[np.float64]:
        return self._predicted(pairs, on_error).scores

    @abstractmethod
    def _predicted(self, pairs: Paired, on_error: OnError) -> Predictions: ...
