"""A CLAP of random networks that humanclap scores, trains and saves: `--model toy-clap`."""

import zlib

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from humanclap.clap.plugin import PluginCLAP


class ToyCLAP(PluginCLAP):
    """Hears the mean spectrum of a window, reads a text as a bag of words."""

    kind, sample_rate, window_s, embedding_dim = "toy-clap", 16_000, 5.0, 64

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # a real plug-in loads its published weights here
            self.hear, self.read = nn.Linear(257, 64), nn.EmbeddingBag(1000, 64)

    def embed_audio(self, waveforms: Tensor) -> Tensor:
        """(batch, 80_000) -> (batch, 64), unit length."""
        window = torch.hann_window(512, device=waveforms.device)
        spectrum = torch.stft(waveforms, 512, window=window, return_complex=True).abs()
        return normalize(self.hear(spectrum.mean(dim=2).log1p()), dim=1)

    def embed_text(self, texts: list[str]) -> Tensor:
        """Texts -> (batch, 64), unit length."""
        device = self.logit_scale.device
        ids = [[zlib.crc32(word.encode()) % 1000 for word in text.split()] for text in texts]
        rows = [self.read(torch.tensor([one], device=device)) for one in ids]
        return normalize(torch.cat(rows), dim=1)
