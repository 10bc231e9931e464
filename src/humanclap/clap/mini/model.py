"""`MiniCLAP`: the compact CLAP that ships with the package; `MiniMN04CLAP`: over mn04."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from humanclap.audio import Fill
from humanclap.clap.backbone import BackboneModule, fingerprint_of
from humanclap.clap.checkpoint_files import packaged_folder
from humanclap.clap.mini.audio import AudioEncoder
from humanclap.clap.mini.config import MiniConfig
from humanclap.clap.mini.projection import AudioProjection, TextProjection
from humanclap.clap.mini.storage import (
    CONFIG,
    Unfilled,
    load_tensors,
    read_checkpoint,
    read_tokenizer,
    without,
    without_shared,
    write_checkpoint,
)
from humanclap.clap.mini.tagger import FRAME_SAMPLES, Tagger
from humanclap.clap.mini.text import UNKNOWN, TextEncoder, encode, tiny_tokenizer
from humanclap.clap.text_account import TextAccount, account_of
from humanclap.errors import CheckpointError, InputError, SettingsError

_INITIAL_SCALE = math.log(1 / 0.07)


class MiniCLAP(BackboneModule):
    """The embedded CLAP: 1.4 M parameters for audio, 5 M for text, 1007 dimensions.

    Built from a configuration it is random; `from_pretrained` gives the trained one. Callers hand
    `embed_audio` windows of `window_s` seconds at `sample_rate`, but any length works. Texts longer
    than `config.max_tokens` word pieces are cut. The two encoders and the two projections are
    attributes; `project_audio(encode_audio(waveforms))` is `embed_audio(waveforms)`, and so for
    text, so that a training loop may encode once and keep it.

    >>> model = MiniCLAP(MiniConfig.tiny()).eval()
    >>> model.embed_text(["a dog barks", "rain"]).shape
    torch.Size([2, 27])
    """

    kind = "mini"
    fill: Fill = "wrap"
    left_out: ClassVar[str | None] = None
    """Parameters whose name begins so are left to another file by a checkpoint."""

    def __init__(self, config: MiniConfig, tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        self.config = config
        self.name = config.name
        self.sample_rate = config.sample_rate
        self.window_s = config.window_s
        self.embedding_dim = config.embedding_dim
        self.tokenizer = tokenizer or tiny_tokenizer(config.text_vocabulary)
        self.audio_encoder = AudioEncoder(Tagger(config.audio_sizes, folded=True))
        self.audio_projection = AudioProjection(config)
        self.text_encoder = TextEncoder(config)
        self.text_projection = TextProjection(config)
        self.log_scale = nn.Parameter(torch.tensor(_INITIAL_SCALE))

    @classmethod
    def from_pretrained(
        cls, directory: str | Path | None = None, *, freeze_encoders: bool = True
    ) -> Self:
        """A saved model in eval mode; None: the weights that ship with the package.

        freeze_encoders: leave only the projections and the logit scale to an optimiser, which is
        what a few hundred rated clips can teach. Raises CheckpointError where a file is missing,
        damaged or of another format.
        """
        directory = packaged_folder("mini") if directory is None else Path(directory)
        settings, tensors, text_directory = read_checkpoint(directory)
        config = config_of(directory, settings)
        tokenizer = read_tokenizer(text_directory, config.text_vocabulary)
        with Unfilled():
            model = cls(config, tokenizer)
        load_tensors(model, tensors, directory)
        return model.freeze_encoders(freeze_encoders).eval()

    def freeze_encoders(self, frozen: bool = True) -> Self:
        """Exclude both encoders from `trainable_parameters`, or include them again."""
        for encoder in (self.audio_encoder, self.text_encoder):
            encoder.requires_grad_(not frozen)
        return self

    def train(self, mode: bool = True) -> Self:
        """As `nn.Module.train`, but frozen encoders stay as in eval mode."""
        super().train(mode)
        for encoder in (self.audio_encoder, self.text_encoder):
            if not any(parameter.requires_grad for parameter in encoder.parameters()):
                encoder.eval()
        return self

    def embed_audio(self, waveforms: Tensor) -> Tensor:
        """(batch, samples) float32 in [-1, 1] at `sample_rate` -> (batch, embedding_dim), unit.

        Raises InputError where the shape is another one or the clip is shorter than one frame.
        """
        if waveforms.dim() != 2:
            raise InputError(
                f"waveforms have shape {tuple(waveforms.shape)}; expected 2 dimensions"
            )
        if waveforms.shape[1] < FRAME_SAMPLES:
            raise InputError(
                f"waveforms have {waveforms.shape[1]} samples; at least {FRAME_SAMPLES} "
                f"({FRAME_SAMPLES / self.sample_rate:.3f} s) are needed"
            )
        return self.project_audio(self.encode_audio(waveforms))

    def encode_audio(self, waveforms: Tensor) -> Tensor:
        """(batch, samples) -> encoder output (batch, features)."""
        return self.audio_encoder(waveforms)  # type: ignore[no-any-return]

    def project_audio(self, features: Tensor) -> Tensor:
        """Encoder output (batch, features) -> (batch, embedding_dim), unit length."""
        return F.normalize(self.audio_projection(features), dim=1)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """batch strings -> (batch, embedding_dim), unit length; no text gives shape (0, dim)."""
        if not texts:
            return torch.zeros(0, self.embedding_dim, device=self.log_scale.device)
        return self.project_text(self.encode_text(texts))

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """batch strings, at least one -> encoder output (batch, features)."""
        ids, mask = encode(self.tokenizer, texts, self.config.max_tokens, self.log_scale.device)
        return self.text_encoder(ids, mask)  # type: ignore[no-any-return]

    def text_accounts(self, texts: Sequence[str]) -> list[TextAccount]:
        """For each text: the word pieces read, those cut, and the share of unread letters."""
        unknown = self.tokenizer.token_to_id(UNKNOWN)
        positions = self.config.max_tokens
        return [
            account_of(text, encoding, unknown=unknown, positions=positions)
            for text, encoding in zip(texts, self.tokenizer.encode_batch(list(texts)), strict=True)
        ]

    def project_text(self, features: Tensor) -> Tensor:
        """Encoder output (batch, features) -> (batch, embedding_dim), unit length."""
        return F.normalize(self.text_projection(features), dim=1)

    @property
    def logit_scale(self) -> Tensor:
        """Scalar multiplying cosines inside a softmax, learned, at most 100."""
        return self.log_scale.clamp(max=math.log(100.0)).exp()

    def settings(self) -> dict[str, Any]:
        """What `config.json` holds."""
        return self.config.to_json()

    def fingerprint(self) -> str:
        """8 hex digits over settings, tensors (as float32) and tokenizer; computed on each call."""
        return fingerprint_of(self.settings(), self, self.tokenizer.to_str().encode())

    def save_pretrained(
        self, directory: str | Path, *, half: bool = False, whole: bool = True
    ) -> None:
        """Write the three files of a checkpoint, each replaced in one step.

        half: store matrices in float16, which halves the size and changes the fingerprint. whole:
        if False, leave out the tensors that equal those of the packaged `mini`; they are read from
        there.
        """
        tensors = without(self.left_out, self.state_dict())
        settings = self.settings()
        if not whole:
            tensors, shares = without_shared(tensors, "mini", leave=self.left_out)
            settings = {**settings, **shares}
        write_checkpoint(Path(directory), settings, tensors, self.tokenizer, half=half)


def config_of(directory: Path, values: Mapping[str, Any]) -> MiniConfig:
    """The configuration in `values`, its errors named by file."""
    try:
        return MiniConfig.from_json(values)
    except SettingsError as error:
        raise CheckpointError(
            f"{directory / CONFIG}: {error}; is it from a newer humanclap?"
        ) from error
