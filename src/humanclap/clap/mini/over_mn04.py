"""`MiniMN04CLAP`: mini's text tower and projections of its own over the mn04 checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from humanclap.clap.mini.config import MiniConfig
from humanclap.clap.mini.mn04 import MN04, MN04_SHA256, load_mn04
from humanclap.clap.mini.model import MiniCLAP, config_of
from humanclap.clap.mini.storage import (
    load_tensors,
    packaged,
    read_config,
    read_tensors,
    read_tokenizer,
    write_checkpoint,
)

_AUDIO = "audio_encoder."
_TEXT = "text_encoder."
_SHARED = "text_tower"


class MN04Encoder(nn.Module):
    """Waveform (batch, samples) at 32 kHz -> (batch, 384 + 527): mn04's embedding and logits."""

    def __init__(self, network: MN04) -> None:
        super().__init__()
        self.network = network

    def forward(self, waveforms: Tensor) -> Tensor:
        """As the class says."""
        embedding, logits = self.network(waveforms)
        return torch.cat([embedding, logits], dim=1)


class MiniMN04CLAP(MiniCLAP):
    """A CLAP whose audio encoder is mn04, given by the path of its weights file.

    Ours are the projections and the text tower, the same as mini's. mn04 itself is neither shipped
    nor saved: a saved model names it by its hash and needs the file again.
    """

    kind = "mini-mn04"

    def __init__(
        self, config: MiniConfig, tokenizer: Tokenizer | None = None, mn04: MN04 | None = None
    ) -> None:
        super().__init__(config, tokenizer)
        if mn04 is not None:
            self.audio_encoder = MN04Encoder(mn04)

    def _build_audio_encoder(self) -> nn.Module:
        return MN04Encoder(MN04())

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        directory: str | Path | None = None,
        *,
        mn04: str | Path,
        sha256: str | None = MN04_SHA256,
        freeze_encoders: bool = True,
    ) -> Self:
        """Projections and text tower from `directory` (None: packaged), mn04 from its file.

        sha256: what the mn04 file must hash to; None accepts another file of the same shape.
        Raises CheckpointError where a file is missing, damaged or another one.
        """
        directory = packaged("mini-mn04") if directory is None else Path(directory)
        values = read_config(directory)
        shared = values.pop(_SHARED, None)
        config = config_of(directory, values)
        tensors = read_tensors(directory)
        text_directory = packaged("mini") if shared == "mini" else directory
        if shared == "mini":
            tower = read_tensors(text_directory)
            tensors |= {name: value for name, value in tower.items() if name.startswith(_TEXT)}
        network = load_mn04(mn04, sha256=sha256)
        model = cls(config, read_tokenizer(text_directory, config.text_vocabulary), network)
        audio = {name: value for name, value in model.state_dict().items() if _is_audio(name)}
        load_tensors(model, {**tensors, **audio}, directory)
        return model.freeze_encoders(freeze_encoders).eval()

    def save_shared(self, directory: str | Path) -> None:
        """Write projections only, half precision: the text tower is the packaged mini's."""
        tensors = {
            name: value for name, value in self._stored_tensors().items() if not _is_text(name)
        }
        settings = {**self.settings(), _SHARED: "mini"}
        write_checkpoint(Path(directory), settings, tensors, None, half=True)

    def _stored_tensors(self) -> Mapping[str, Tensor]:
        return {name: value for name, value in self.state_dict().items() if not _is_audio(name)}


def _is_audio(name: str) -> bool:
    return name.startswith(_AUDIO)


def _is_text(name: str) -> bool:
    return name.startswith(_TEXT)
