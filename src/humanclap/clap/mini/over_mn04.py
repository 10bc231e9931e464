"""`MiniMN04CLAP`: mini's text tower and projections over the mn04 checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from tokenizers import Tokenizer

from humanclap.clap.checkpoint_files import packaged_folder
from humanclap.clap.mini.audio import AudioEncoder
from humanclap.clap.mini.config import MiniConfig
from humanclap.clap.mini.mn04 import MN04_SHA256, load_mn04
from humanclap.clap.mini.model import MiniCLAP, config_of
from humanclap.clap.mini.storage import (
    AUDIO,
    Unfilled,
    load_tensors,
    read_checkpoint,
    read_tokenizer,
)
from humanclap.clap.mini.tagger import Tagger


class MiniMN04CLAP(MiniCLAP):
    """A CLAP whose audio tower is mn04, given by the path of its weights file.

    Ours are the text tower and the projections, the same as mini's, whose audio tower was taught to
    hear as mn04 does. mn04 itself is neither shipped nor saved: a saved model names it by its hash
    and needs the file again.
    """

    kind = "mini-mn04"
    left_out = AUDIO

    def __init__(
        self, config: MiniConfig, tokenizer: Tokenizer | None = None, mn04: Tagger | None = None
    ) -> None:
        super().__init__(config, tokenizer)
        if mn04 is not None:
            self.audio_encoder = AudioEncoder(mn04.fold())

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
        directory = packaged_folder("mini-mn04") if directory is None else Path(directory)
        settings, ours, text_directory = read_checkpoint(directory, leave=cls.left_out)
        config = config_of(directory, settings)
        network = load_mn04(mn04, sha256=sha256)
        tokenizer = read_tokenizer(text_directory, config.text_vocabulary)
        with Unfilled():
            model = cls(config, tokenizer, network)
        audio = {name: v for name, v in model.state_dict().items() if name.startswith(AUDIO)}
        load_tensors(model, {**ours, **audio}, directory)
        return model.freeze_encoders(freeze_encoders).eval()
