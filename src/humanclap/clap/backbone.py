"""What every CLAP must offer the other stages."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from humanclap.audio.window import Fill
from humanclap.clap.text_account import TextAccount
from humanclap.fingerprint import fingerprint_bytes


@runtime_checkable
class Backbone(Protocol):
    """A CLAP: two encoders, two projections and a logit scale, all one `nn.Module`.

    Embeddings have unit length. Nothing here draws random numbers in eval mode.
    """

    kind: str
    """Which class reads it back: `mini`, `mini-mn04` or `hf`."""
    name: str
    """Short name for signatures, for example `mini` or `laion/clap-htsat-unfused`."""
    sample_rate: int
    """Hz of the waveforms `embed_audio` takes."""
    window_s: float
    """Seconds of the waveforms `embed_audio` takes; longer clips are cut into windows before."""
    fill: Fill
    """How shorter waveforms are filled up to `window_s` (`audio.window`)."""
    embedding_dim: int

    def embed_audio(self, waveforms: Tensor) -> Tensor:
        """(batch, window_s * sample_rate) float32 in [-1, 1] -> (batch, embedding_dim)."""

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """batch strings -> (batch, embedding_dim)."""

    def text_accounts(self, texts: Sequence[str]) -> list[TextAccount]:
        """For each text: how much of it `embed_text` reads, and how much it cannot read."""

    @property
    def logit_scale(self) -> Tensor:
        """Scalar, after exp; keeps its gradient where it is learned."""

    def trainable_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters an optimiser should see."""

    def fingerprint(self) -> str:
        """Hash of the weights and of every setting that changes an embedding."""

    def save_pretrained(self, directory: Path, *, whole: bool = True) -> None:
        """Write weights (safetensors) and configuration, enough for its own `from_pretrained`.

        whole: write all weights; else a backbone may leave out those of a packaged model.
        """

    def module(self) -> nn.Module:
        """The whole model as one module (for device, train/eval mode and state_dict)."""

    def to(self, device: str) -> Self:
        """Move to a torch device."""


class BackboneModule(nn.Module):
    """What every `Backbone` that is one module itself has."""

    def trainable_parameters(self) -> Iterator[nn.Parameter]:
        """Every parameter that requires a gradient."""
        return (parameter for parameter in self.parameters() if parameter.requires_grad)

    def module(self) -> nn.Module:
        """This model."""
        return self


def at_least_float32(tensor: Tensor) -> Tensor:
    """float64 unchanged, every other type as float32; bfloat16 has too few digits for cosines."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def fingerprint_of(settings: Mapping[str, object], module: nn.Module, *more: bytes) -> str:
    """8 hex digits over settings, every tensor of a module as float32, and further bytes."""
    parts = [json.dumps(settings, sort_keys=True).encode()]
    for name, tensor in sorted(module.state_dict().items()):
        parts += [name.encode(), tensor.detach().cpu().float().contiguous().numpy().tobytes()]
    return fingerprint_bytes(*parts, *more)


def weights_mark(module: nn.Module) -> Mapping[str, tuple[int, int]] | None:
    """Address and version of every tensor; they stay the same while no weight changes.

    None where torch counts no versions, as for tensors made in inference mode. Batch normalisation
    changes its statistics without a new version, but its counter gets one.
    """
    state: dict[str, Tensor] = module.state_dict(keep_vars=True)
    if any(tensor.is_inference() for tensor in state.values()):
        return None
    return {name: (tensor.data_ptr(), tensor._version) for name, tensor in state.items()}
