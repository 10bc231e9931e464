"""`HumanCLAPScore`: a metric with the conventions of torchmetrics, like its CLIPScore."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import Tensor
from torchmetrics import Metric

from humanclap.scoring.inputs import Clips, Texts
from humanclap.scoring.scorer import HumanCLAP
from humanclap.torchmetrics.mean import (
    OnFailure,
    as_tensors,
    check_choices,
    model_of,
    scored,
    summary,
)

_STATES = {"scores": torch.float32, "texts": torch.int64}
"""For each pair its score, NaN where it has none, and a number for its text."""
_CHANGED_BY_FORWARD = (
    *("_update_count", "_to_sync", "_should_unsync", "_enable_grad", "compute_on_cpu"),
    *("_is_synced", "_cache", "_computed"),
)


class HumanCLAPScore(Metric):
    """Mean score of clips and texts, in [-1, 1]: does generated audio match its prompts?

    model_name_or_path: a name, folder or hub id for `HumanCLAP.from_pretrained`, or a `HumanCLAP`.
    on_error: what happens with a clip or text without a score. `raise`: `update` raises, and the
    metric stays as it was. `nan`: the mean is NaN. `skip`: the pair is left out of the mean, and
    `n_failed` counts it. With the last two `update` warns NotScoredWarning with the reason.
    confidence: None: `compute` gives the mean. A number such as 0.95: it gives a dict of `mean`,
    `low` and `high`, an interval by a bootstrap of `replicates` that draws texts whole, the same
    each time; NaN for fewer than two texts. kwargs: those of every metric of torchmetrics.

    `compute` gives float32 tensors without axes, NaN where nothing was scored. The model is no
    submodule: it is in no state_dict, is never trained, and `.half()` does not touch it. It moves
    with the metric (`.to(device)`), unless its engine is one of the CPU alone. Copies of a metric
    share it. Raises InputError or SettingsError for arguments that cannot be, and CheckpointError
    for a model that cannot be loaded.

    >>> metric = HumanCLAPScore(HumanCLAP.from_pretrained("mini", device="cpu"))
    >>> hiss = 0.1 * torch.randn(2, 1, 16000, generator=torch.Generator().manual_seed(0))
    >>> metric.update(hiss, ["white noise", "a dog barks"], sample_rate=16000)
    >>> metric.update(hiss, "rain falls", sample_rate=16000)
    >>> bool(-1 <= metric.compute() <= 1), metric.n_samples
    (True, 4)
    """

    is_differentiable: bool = False
    higher_is_better: bool = True
    full_state_update: bool = False
    plot_lower_bound: float = -1.0
    plot_upper_bound: float = 1.0

    scores: list[Tensor]
    texts: list[Tensor]

    def __init__(
        self,
        model_name_or_path: str | Path | HumanCLAP = "mini",
        *,
        on_error: OnFailure = "raise",
        confidence: float | None = None,
        replicates: int = 1000,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choices(on_error, confidence, replicates)
        self.model = model_of(model_name_or_path)
        self.on_error: OnFailure = on_error
        self.confidence = confidence
        self.replicates = replicates
        for name in _STATES:
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, audio: Clips, text: Texts, sample_rate: int | None = None) -> None:
        """Score clips and texts, which go together as in `HumanCLAP.score_many`.

        audio: tensors (batch, time) or (batch, channels, time), or whatever `HumanCLAP` takes;
        text: one for each clip, or one string for all; sample_rate: Hz, of arrays and tensors.
        Raises and warns as `score_many`, by `on_error`.
        """
        scores, texts = scored(self.model, audio, text, sample_rate, self.on_error)
        self.scores.append(torch.as_tensor(scores, dtype=torch.float32, device=self.device))
        self.texts.append(torch.as_tensor(texts, device=self.device))

    def compute(self) -> Tensor | dict[str, Tensor]:
        """The mean of all scores, over all processes; with `confidence` a dict (see the class)."""
        scores, texts = self._state("scores"), self._state("texts")
        if self.on_error == "skip":
            kept = ~scores.isnan()
            scores, texts = scores[kept], texts[kept]
        found = summary(scores.numpy(), texts.numpy(), self.confidence, self.replicates)
        return as_tensors(found, self.device)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """`update`, and the value of this batch; an error leaves what came before as it was."""
        states = {name: copy(getattr(self, name)) for name in _STATES}
        before = {name: getattr(self, name) for name in _CHANGED_BY_FORWARD}
        try:
            return super().forward(*args, **kwargs)
        except Exception:
            self.__dict__.update(before | states)
            raise

    @property
    def n_samples(self) -> int:
        """Pairs that were given to this process since `reset`, those without a score included."""
        return len(self._state("scores"))

    @property
    def n_failed(self) -> int:
        """How many of them have no score, by `on_error` `nan` or `skip`."""
        return int(self._state("scores").isnan().sum())

    @property
    def signature(self) -> str:
        """How the scores are made; report it with them."""
        return self.model.signature

    def plot(
        self,
        val: Tensor
        | dict[str, Tensor]
        | Sequence[Tensor]
        | Sequence[dict[str, Tensor]]
        | None = None,
        ax: Any = None,
    ) -> Any:
        """Plot a value, or several as steps: (figure, axes) of matplotlib; intervals as bars.

        val: of `compute` or `forward`, or a list of them; None: of `compute` now. ax: axes to draw
        on; the figure is then None. Raises ModuleNotFoundError without matplotlib.
        """
        val = self.compute() if val is None else val
        steps = [val] if isinstance(val, Tensor | dict) else val
        intervals = [step for step in steps if isinstance(step, dict)]
        if not intervals:
            return self._plot(val, ax)
        means = [step["mean"] for step in intervals]
        drawn = self._plot(means if len(means) > 1 else means[0], ax)
        figure, axes = cast(tuple[Any, Any], drawn)
        low, high = ([float(step[end]) for step in intervals] for end in ("low", "high"))
        axes.vlines(range(len(means)), low, high, linewidth=3, alpha=0.5)
        return figure, axes

    def extra_repr(self) -> str:
        """The signature, for `repr`."""
        return self.signature

    def _state(self, name: str) -> Tensor:
        """All numbers of a state on the CPU, (n,); after a sync it is one tensor already."""
        state: Tensor | list[Tensor] = getattr(self, name)
        parts = [state] if isinstance(state, Tensor) else state
        empty = torch.empty(0, dtype=_STATES[name])
        return torch.cat([empty, *(part.cpu() for part in parts)])

    def _sync_dist(self, *args: Any, **kwargs: Any) -> None:
        """torchmetrics would send float32 for the texts of a process that has none."""
        for name, dtype in _STATES.items():
            if not getattr(self, name):
                setattr(self, name, [torch.empty(0, dtype=dtype, device=self.device)])
        super()._sync_dist(*args, **kwargs)

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> Self:
        """Take a move to another device, and no other type of numbers."""

        def moved(tensor: Tensor) -> Tensor:
            found = fn(tensor)
            return found if found.dtype == tensor.dtype else tensor.to(found.device)

        before = self.device
        super()._apply(moved, exclude_state)
        if self.device != before and not self.model.settings.cpu_alone:
            self.model.to(self.device)
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copied = type(self).__new__(type(self))
        memo |= {id(self): copied, id(self.model): self.model}
        copied.__setstate__(deepcopy(self.__getstate__(), memo))
        return copied
