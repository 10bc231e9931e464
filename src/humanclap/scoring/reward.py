"""The score as a reward: waveforms and texts in, scores out, with a gradient to every sample."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Literal, Self, get_args

import torch
from torch import Tensor, nn

from humanclap.audio.load import MIN_DURATION_S, MOST_CHANNELS, PEAK_LIMIT, check_rate
from humanclap.clap.backbone import Backbone, at_least_float32, weights_mark
from humanclap.clap.calibration import Calibration
from humanclap.clap.embedding import without_tf32
from humanclap.clap.waveforms import embed_waveforms
from humanclap.errors import InputError, SettingsError
from humanclap.records import check_text
from humanclap.scoring.inputs import Texts, rate_of, texts_of
from humanclap.scoring.scorer import HumanCLAP, TextCutWarning
from humanclap.scoring.settings import ScoringSettings
from humanclap.settings import check_choice

Scale = Literal["score", "rating"]
Candidates = Tensor | Callable[[list[str]], Tensor]
"""Waveforms (prompts, n, time), or a function that makes one for each text, (prompts, time)."""

_TEXTS_KEPT = 4096


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Best:
    """The best of n waveforms for each prompt.

    indices: (prompts,), which candidate it is; the first of equals. scores: (prompts, n), those of
    all candidates. waveforms: (prompts, time) or (prompts, channels, time), the best ones.
    """

    indices: Tensor
    scores: Tensor
    waveforms: Tensor


class Reward(nn.Module):
    """Scores of waveforms and texts as a differentiable module, on the device of its weights.

    `humanclap.reward` makes one. It stays in eval mode, so that a score never depends on the other
    clips of the batch or on a random number; `train()` changes nothing. Values are those of
    `HumanCLAP.score` within 1e-5, and within 1e-4 at rates such as 22.05 and 44.1 kHz. Run it under
    `torch.autocast(device, torch.bfloat16)` for bf16, or make it float64 by `double()`. Embeddings
    of texts are kept while the weights do not change, and not kept while they are trained.

    scale: `score`, cosines in [-1, 1], or `rating`, the predicted rating on the calibration's
    scale (0..10); its gradient is 0 at the ends of that scale. hop_s: seconds between window
    starts; None: the model's window. Raises SettingsError where `rating` is asked for and the model
    is not calibrated, or where windows would skip sound.
    """

    _backbone: Backbone

    def __init__(
        self,
        backbone: Backbone,
        calibration: Calibration | None = None,
        *,
        scale: Scale = "score",
        hop_s: float | None = None,
    ) -> None:
        super().__init__()
        check_choice("scale", scale, get_args(Scale))
        if scale == "rating" and calibration is None:
            raise SettingsError(
                f"{backbone.name} has no map from scores to ratings; take scale='score', or train "
                "it with ratings (humanclap train)"
            )
        if hop_s is not None and not 0 < hop_s <= backbone.window_s:
            raise SettingsError(
                f"hop_s is {hop_s}; expected seconds above 0 and at most {backbone.window_s:g}"
            )
        self.network = backbone.module().eval()
        self.scale = scale
        self.hop_s = hop_s
        self._calibration = calibration
        self._texts: dict[str, Tensor] = {}
        self._mark: object = None
        object.__setattr__(self, "_backbone", backbone)  # its module is registered as `network`

    def forward(self, waveforms: Tensor, texts: Texts, *, sample_rate: int) -> Tensor:
        """Scores (batch,) of clips (batch, time) or (batch, channels, time), of one length each.

        waveforms: floating point in [-1, 1], at least 10 ms at `sample_rate` Hz, on the device of
        the weights; channels are averaged. texts: as many, or one for all. Returns float32 (float64
        where the weights are). A clip that is silent gives a finite score and a finite gradient.
        Raises InputError for anything else, such as a sample that is NaN or beyond 8; SettingsError
        for a bad `sample_rate` or weights of half precision. Warns TextCutWarning.

        >>> scores = reward("mini", device="cpu")(torch.zeros(2, 16000), "rain", sample_rate=16000)
        >>> scores.shape
        torch.Size([2])
        """
        backbone, sample_rate = self._backbone, rate_of(sample_rate)
        samples = checked(waveforms, sample_rate, like=backbone.logit_scale)
        text_rows = self._embedded(_of_batch(texts, len(samples)))
        with self._exact(samples.device):
            audio_rows = embed_waveforms(
                backbone, samples, sample_rate=sample_rate, hop_s=self.hop_s
            )
        scores = (audio_rows * text_rows).sum(dim=1)
        if self.scale == "score" or self._calibration is None:
            return scores
        return ratings_of(scores, self._calibration)

    @torch.no_grad()
    def best_of(
        self, n: int, candidates: Candidates, texts: Iterable[str], *, sample_rate: int
    ) -> Best:
        """The best of n waveforms for each text, without gradient.

        candidates: waveforms (prompts, n, time) or (prompts, n, channels, time); or a function that
        is called n times with the list of texts and gives waveforms (prompts, time) or (prompts,
        channels, time), of one shape at each call. Then only the best so far are kept. Raises as
        a call does, and InputError where the shapes are not these.

        >>> noise = torch.randn(3, 5, 16000) / 10
        >>> texts = ["rain", "a dog barks", "a siren wails"]
        >>> reward("mini", device="cpu").best_of(5, noise, texts, sample_rate=16000).indices.shape
        torch.Size([3])
        """
        prompts, one = texts_of(texts)
        if one:
            raise InputError(f"texts is the string {texts!r}; expected a list of prompts")
        rows, found = [], None
        for number, waveforms in enumerate(_drawn(n, candidates, prompts)):
            score = self(waveforms, prompts, sample_rate=sample_rate)
            rows.append(score)
            if found is None:
                found = Best(
                    indices=torch.zeros_like(score, dtype=torch.int64),
                    scores=score.clone(),
                    waveforms=waveforms.detach().clone(),
                )
            elif waveforms.shape != found.waveforms.shape:
                raise InputError(
                    f"candidate {number} has shape {tuple(waveforms.shape)}, the first "
                    f"{tuple(found.waveforms.shape)}; expected one shape"
                )
            else:
                better = score > found.scores
                found.indices[better] = number
                found.waveforms[better] = waveforms[better]
                found.scores[better] = score[better]
        if found is None:
            raise InputError(f"n is {n}; expected 1 or more candidates")
        return Best(
            indices=found.indices, scores=torch.stack(rows, dim=1), waveforms=found.waveforms
        )

    def train(self, mode: bool = True) -> Self:
        """Eval mode, whatever is asked for."""
        return super().train(False)

    def _exact(self, device: torch.device) -> AbstractContextManager[object]:
        """All digits of float32, unless the caller wants fewer by autocast."""
        if device.type != "cuda" or torch.is_autocast_enabled(device.type):
            return nullcontext()
        return without_tf32()

    def _embedded(self, texts: Sequence[str]) -> Tensor:
        """Texts -> (batch, embedding_dim), on the device, each distinct one embedded once."""
        if torch.is_grad_enabled() and any(one.requires_grad for one in self.parameters()):
            self._check(texts)
            return at_least_float32(self._backbone.embed_text(texts))
        mark = weights_mark(self.network)
        if mark is None or mark != self._mark or len(self._texts) > _TEXTS_KEPT:
            self._texts, self._mark = {}, mark
        missing = sorted(set(texts) - self._texts.keys())
        if missing:
            self._check(missing)
            device = self._backbone.logit_scale.device
            with (
                torch.inference_mode(False),  # its tensors can never be part of a gradient
                torch.no_grad(),
                torch.autocast(device.type, enabled=False),
                self._exact(device),
            ):
                rows = self._backbone.embed_text(missing)
            self._texts.update(zip(missing, rows, strict=True))
        return torch.stack([self._texts[text] for text in texts])

    def _check(self, texts: Sequence[str]) -> None:
        for text, account in zip(texts, self._backbone.text_accounts(texts), strict=True):
            if not account.readable:
                raise InputError(f"{text!r}: {account.refusal()}")
            if said := account.remark():
                warnings.warn(f"{text[:40]!r}: {said}", TextCutWarning, stacklevel=6)


def reward(
    model: str | Path | HumanCLAP = "mini",
    *,
    scale: Scale = "score",
    device: str | None = None,
    freeze: bool = True,
) -> Reward:
    """A model as a reward whose gradient reaches every sample (`Reward`).

    model: a name, folder or hub id as `HumanCLAP.from_pretrained` takes it, or a HumanCLAP, whose
    weights, `hop_s` and device are shared: `to`, `double` and freezing then act on both. Its
    precision and engine are not: the reward runs in torch, at the precision of the caller's
    autocast. device: for a name; None: CUDA where there is one. freeze: no parameter of the model
    takes a gradient, which saves memory and keeps an optimiser from changing the judge.

    >>> judge = reward("mini", device="cpu")
    >>> sound = torch.full((1, 16000), 0.01, requires_grad=True)
    >>> judge(sound, "a dog barks", sample_rate=16000).sum().backward()
    >>> bool(sound.grad.isfinite().all())
    True
    """
    if not isinstance(model, HumanCLAP):
        settings = ScoringSettings(device=device or "auto")
        model = HumanCLAP.from_pretrained(model, settings=settings)
    elif device is not None:
        raise SettingsError(
            "device is for a model's name; a HumanCLAP has its own: use .to(device)"
        )
    made = Reward(model.backbone, model.calibration, scale=scale, hop_s=model.settings.hop_s)
    return made.requires_grad_(not freeze)


def ratings_of(scores: Tensor, calibration: Calibration) -> Tensor:
    """`Calibration.rating` of scores of any shape, with its gradient, 0 at the scale's ends."""
    knots = scores.new_tensor(calibration.scores)
    ratings = scores.new_tensor(calibration.ratings)
    if len(knots) == 1:
        return (ratings + 0 * scores).clamp(calibration.low, calibration.high)
    right = torch.bucketize(scores.detach(), knots, right=True).clamp(1, len(knots) - 1)
    share = (scores - knots[right - 1]) / (knots[right] - knots[right - 1])
    value = ratings[right - 1] + share * (ratings[right] - ratings[right - 1])
    return value.clamp(calibration.low, calibration.high)


def checked(waveforms: Tensor, sample_rate: int, *, like: Tensor) -> Tensor:
    """Waveforms as (batch, time), of the type of the weights; raises as `Reward.forward` says."""
    check_rate(sample_rate)
    if not isinstance(waveforms, Tensor):
        raise InputError(
            f"waveforms are a {type(waveforms).__name__}; expected a tensor (batch, time): "
            "torch.from_numpy(array)"
        )
    if not waveforms.is_floating_point():
        raise InputError(
            f"waveforms are {waveforms.dtype}; expected floating point in [-1, 1]: integers carry "
            "no gradient (divide 16-bit values by 32768)"
        )
    if like.dtype not in (torch.float32, torch.float64):
        raise SettingsError(
            f"the reward's weights are {like.dtype}; keep them float32 and call it under "
            "torch.autocast"
        )
    if waveforms.device != like.device:
        raise InputError(
            f"waveforms are on {waveforms.device}, the reward on {like.device}: move one of them "
            "with .to(device)"
        )
    _check_shape(waveforms, sample_rate)
    mono = waveforms.to(like.dtype)
    mono = mono.mean(dim=1) if mono.ndim == 3 else mono
    _check_samples(waveforms.detach())
    return mono


def _check_shape(waveforms: Tensor, sample_rate: int) -> None:
    shape = tuple(waveforms.shape)
    if waveforms.ndim not in (2, 3):
        hint = "; of one clip: waveforms[None]" if waveforms.ndim == 1 else ""
        raise InputError(
            f"waveforms have shape {shape}; expected (batch, time) or (batch, channels, time){hint}"
        )
    if waveforms.numel() == 0:
        raise InputError(f"waveforms have shape {shape}, which holds no samples")
    if waveforms.shape[-1] < MIN_DURATION_S * sample_rate:
        raise InputError(
            f"waveforms have shape {shape}: {shape[-1]} samples at {sample_rate} Hz are less than "
            f"{1000 * MIN_DURATION_S:g} ms (is time the last dimension?)"
        )
    if waveforms.ndim == 3 and (shape[1] > MOST_CHANNELS or shape[1] > shape[2]):
        raise InputError(
            f"waveforms have shape {shape}, {shape[1]} channels; expected (batch, channels, time) "
            f"of at most {MOST_CHANNELS} (for n candidates of each prompt use best_of)"
        )


def _check_samples(waveforms: Tensor) -> None:
    """Refuse NaN, infinity and integers stored as floats; one transfer from the device."""
    peaks = waveforms.abs().flatten(1).amax(dim=1)  # (batch,); NaN where one sample is
    bad = ~(peaks <= PEAK_LIMIT)
    if not bool(bad.any()):
        return
    row = int(bad.nonzero()[0])
    peak = float(peaks[row])
    if peak > PEAK_LIMIT and peak != float("inf"):
        raise InputError(
            f"waveforms[{row}]: samples reach {peak:g}, full scale is 1.0 (divide 16-bit values by "
            "32768, or limit the generator's output)"
        )
    at = int((~waveforms[row].isfinite()).flatten().nonzero()[0]) % waveforms.shape[-1]
    raise InputError(f"waveforms[{row}]: sample {at} is NaN or infinite (did training diverge?)")


def _of_batch(texts: Texts, batch: int) -> list[str]:
    listed, one = texts_of(texts)
    for place, text in enumerate(listed):
        check_text(text, what="text" if one else f"texts[{place}]")
    if one:
        return listed * batch
    if len(listed) != batch:
        raise InputError(
            f"{batch} waveforms and {len(listed)} texts; give as many texts as waveforms, or one "
            "text for all as a string"
        )
    return listed


def _drawn(n: int, candidates: Candidates, texts: list[str]) -> Iterator[Tensor]:
    """The candidates of all prompts one by one, n times (prompts, ..., time)."""
    if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
        raise InputError(f"n is {n!r}; expected 1 or more candidates")
    if callable(candidates):
        for _ in range(int(n)):
            yield candidates(texts)
        return
    if not isinstance(candidates, Tensor):
        raise InputError(
            f"candidates are a {type(candidates).__name__}; expected a tensor "
            f"({len(texts)}, {n}, time) or a function of the texts"
        )
    if candidates.ndim not in (3, 4) or candidates.shape[:2] != (len(texts), n):
        raise InputError(
            f"candidates have shape {tuple(candidates.shape)}; expected ({len(texts)}, {n}, time) "
            f"or ({len(texts)}, {n}, channels, time), for {len(texts)} texts and n = {n}"
        )
    yield from candidates.unbind(dim=1)
