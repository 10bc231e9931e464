"""Any transformers `ClapModel` as a backbone, with a front end of our own.

Fused checkpoints are fed windows no longer than their own, each marked "not longer", so that
nothing is random: transformers' extractor marks one clip of every batch at random.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from humanclap.audio.window import Fill
from humanclap.clap.backbone import BackboneModule, at_least_float32, weights_mark
from humanclap.clap.frontend import DecibelMel
from humanclap.clap.hf_fingerprint import hf_fingerprint
from humanclap.clap.hf_loading import (
    FILLS,
    check_belonging,
    load_model,
    load_processor,
    model_of,
    no_bars,
)
from humanclap.clap.htsat import KeptTower, one_by_one
from humanclap.clap.hub import model_folder
from humanclap.clap.text_account import TextAccount, account_of
from humanclap.errors import InputError
from humanclap.extras import require

_tokenizing = threading.Lock()
"""A call of transformers' tokenizers sets their padding and cutting anew: one at a time."""


class HFCLAP(BackboneModule):
    """A transformers ClapModel: HTSAT and RoBERTa, embeddings of unit length.

    model: a `transformers.ClapModel`; processor: its `transformers.ClapProcessor`; name: for
    signatures. Raises CheckpointError where the two do not belong together. Starts in eval mode.
    """

    kind = "hf"

    def __init__(self, model: Any, processor: Any, *, name: str) -> None:
        super().__init__()
        self.model = model.float()
        self.processor = processor
        self.name = name
        extractor = processor.feature_extractor
        check_belonging(model.config, processor, name)
        self.sample_rate = int(extractor.sampling_rate)
        self.window_s = float(extractor.max_length_s)
        self.window_samples = round(self.window_s * self.sample_rate)
        self.fill: Fill = FILLS[extractor.padding]
        self.embedding_dim = int(model.config.projection_dim)
        text_config = model.config.text_config
        self._max_tokens = int(text_config.max_position_embeddings) - text_config.pad_token_id - 1
        self.frontend = DecibelMel(
            sample_rate=self.sample_rate,
            n_fft=extractor.fft_window_size,
            hop_length=extractor.hop_length,
            n_mels=extractor.feature_size,
            f_min=extractor.frequency_min,
            f_max=extractor.frequency_max,
            scale="htk" if extractor.truncation == "fusion" else "slaney",
        )
        self._fingerprint: tuple[object, str] | None = None
        self._tower = KeptTower()
        self.eval()

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        offline: bool = False,
        processor: str | Path | None = None,
        revision: str | None = None,
        name: str | None = None,
    ) -> Self:
        """Load a hub id or a folder of a transformers ClapModel, weights as float32.

        offline: use the hub's local cache only. processor: hub id or folder of the tokenizer and
        feature extractor; None: the model's own, else that of the LAION checkpoint of its kind.
        revision: branch, tag or commit of a hub id; None: `main`. name: for signatures; None: the
        hub id, or the folder's name.
        Raises CheckpointError where anything is missing, damaged or no CLAP, MissingExtraError
        without transformers.
        """
        require("transformers", extra="hf")
        folder = model_folder(name_or_path, offline=offline, revision=revision)
        if name is None:
            name = folder.resolve().name if Path(name_or_path).is_dir() else str(name_or_path)
        model = load_model(folder)
        return cls(
            model, load_processor(folder, model, processor=processor, offline=offline), name=name
        )

    @classmethod
    def from_weights(
        cls,
        configuration: dict[str, Any],
        weights: dict[str, Tensor],
        *,
        file: Path,
        processor: str | Path | None = None,
        offline: bool = False,
    ) -> Self:
        """Make a model from weights under the names of a ClapModel; it has the name of the file.

        configuration: settings of `transformers.ClapConfig`. processor: as `from_pretrained`; None:
        what lies beside the file, else that of the LAION checkpoint of its kind. Raises
        CheckpointError where weights are missing, left over or of other shapes.
        """
        model = model_of(configuration, weights, file)
        found = load_processor(file.parent, model, processor=processor, offline=offline)
        return cls(model, found, name=file.stem)

    def save_pretrained(self, directory: Path, *, whole: bool = True) -> None:
        """Write a folder that transformers' ClapModel and ClapProcessor load too (safetensors).

        whole: has no effect, because transformers reads whole checkpoints only.
        """
        with no_bars():
            self.model.save_pretrained(directory)
        tokenizer = self.processor.tokenizer
        tokenizer.backend_tokenizer.no_truncation()  # the last call's settings are not the model's
        tokenizer.backend_tokenizer.no_padding()
        tokenizer.save_pretrained(directory)
        self.processor.feature_extractor.save_pretrained(directory)

    def embed_audio(self, waveforms: Tensor) -> Tensor:
        """(batch, window_samples) float32 in [-1, 1] -> (batch, embedding_dim), unit length."""
        pooled = self.encode_audio(waveforms)
        if torch.is_grad_enabled():
            return self.project_audio(pooled)
        return one_by_one(self.project_audio, pooled)

    def encode_audio(self, waveforms: Tensor) -> Tensor:
        """(batch, window_samples) -> the audio model's pooled output (batch, hidden).

        Without gradients by `HTSAT`, which is quicker; else by transformers.
        """
        mels = self.spectrogram(waveforms)
        tower = self._tower.of(self.model.audio_model.audio_encoder)
        if tower is not None:
            return tower(mels)
        # Of the four mels of a fused checkpoint only the first is read where a clip is not longer.
        longer = torch.zeros(len(mels), 1, dtype=torch.bool, device=mels.device)
        pooled: Tensor = self.model.audio_model(input_features=mels, is_longer=longer).pooler_output
        return pooled

    def project_audio(self, features: Tensor) -> Tensor:
        """Pooled output (batch, hidden) -> (batch, embedding_dim), unit length."""
        return _unit(self.model.audio_projection(features))

    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """(batch, window_samples) -> mels in dB as the audio model takes them, (batch, 1, ...)."""
        if waveforms.ndim != 2 or waveforms.shape[1] != self.window_samples:
            raise InputError(
                f"waveforms have shape {tuple(waveforms.shape)}; expected (batch, "
                f"{self.window_samples}), {self.window_s:g} s at {self.sample_rate} Hz"
            )
        mels: Tensor = self.frontend(waveforms)[:, None]  # (batch, 1, frames, n_mels)
        return mels

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Texts -> (batch, embedding_dim), unit length; cut at the model's last position."""
        if not texts:
            return torch.zeros(0, self.embedding_dim, device=self.logit_scale.device)
        return _unit(self.model.get_text_features(**self._text_inputs(texts)))

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Texts, at least one -> the text model's pooled output (batch, hidden)."""
        pooled: Tensor = self.model.text_model(**self._text_inputs(texts)).pooler_output
        return pooled

    def project_text(self, features: Tensor) -> Tensor:
        """Pooled output (batch, hidden) -> (batch, embedding_dim), unit length."""
        return _unit(self.model.text_projection(features))

    def text_accounts(self, texts: Sequence[str]) -> list[TextAccount]:
        """For each text: the word pieces read, those cut, and the share of unread letters."""
        if not texts:
            return []
        tokenizer = self.processor.tokenizer
        with _tokenizing:
            encodings = tokenizer(list(texts), verbose=False).encodings
        return [
            account_of(text, encoding, unknown=tokenizer.unk_token_id, positions=self._max_tokens)
            for text, encoding in zip(texts, encodings, strict=True)
        ]

    def _text_inputs(self, texts: Sequence[str]) -> dict[str, Tensor]:
        with _tokenizing:
            tokens = self.processor.tokenizer(
                list(texts),
                padding="longest",
                truncation=True,
                max_length=self._max_tokens,
                return_tensors="pt",
            ).to(self.logit_scale.device)
        return {"input_ids": tokens["input_ids"], "attention_mask": tokens["attention_mask"]}

    @property
    def logit_scale(self) -> Tensor:
        """Scalar exp(logit_scale_a), with gradient.

        LAION's plain contrastive loss uses this one of ClapModel's two scales for both
        directions; logit_scale_t belongs to its extra MLP heads.
        """
        scale: Tensor = self.model.logit_scale_a
        return scale.exp()

    def trainable_parameters(self) -> Iterator[nn.Parameter]:
        """Every parameter that requires a gradient, except the unused logit_scale_t."""
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad and name != "logit_scale_t":
                yield parameter

    def fingerprint(self) -> str:
        """`hf_fingerprint` of the weights as they are; computed again after they changed."""
        mark = weights_mark(self.model)
        if self._fingerprint is None or mark is None or self._fingerprint[0] != mark:
            self._fingerprint = mark, hf_fingerprint(self.model, self.processor)
        return self._fingerprint[1]


def features_of(output: Any) -> Tensor:
    """The features: transformers 4 returns them, 5 an object with them as `pooler_output`."""
    features: Tensor = output if isinstance(output, Tensor) else output.pooler_output
    return features


def _unit(output: Any) -> Tensor:
    """Features as rows of unit length, float32 unless float64."""
    return F.normalize(at_least_float32(features_of(output)), dim=-1)
