"""A Lightning validation loop with `HumanCLAPScore`: does the generator get nearer to its prompts?

    python examples/lightning_validation/train.py

The generator is as small as possible: it has a spectrum for each prompt, and filters noise with it.
It learns the spectra of three sounds by gradient. The score is only logged. Your own module needs
the three lines that are marked.
"""

from __future__ import annotations

import logging
import warnings

import lightning
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from humanclap import HumanCLAP
from humanclap.torchmetrics import HumanCLAPScore

RATE, BINS = 32_000, 1025
PROMPTS = ("white noise", "a steady tone", "a low rumble")


def sound(prompt: int) -> Tensor:
    """What should come out: (time,), two seconds."""
    time = torch.arange(2 * RATE) / RATE
    noise = torch.randn(2 * RATE, generator=torch.Generator().manual_seed(prompt))
    if prompt == 0:
        return 0.1 * noise
    if prompt == 1:
        return 0.3 * torch.sin(2 * torch.pi * 440 * time)
    return 2.0 * nn.functional.avg_pool1d(noise[None], 401, 1, 200)[0]


def spectrogram(audio: Tensor) -> Tensor:
    """Complex, (batch, bins, frames), of audio (batch, time)."""
    window = torch.hann_window(2 * (BINS - 1), device=audio.device)
    return torch.stft(audio, 2 * (BINS - 1), window=window, return_complex=True)


class Generator(lightning.LightningModule):
    """Noise through a filter that is learned for each prompt."""

    def __init__(self, model: HumanCLAP) -> None:
        super().__init__()
        self.levels = nn.Parameter(torch.full((len(PROMPTS), BINS), -3.0))
        self.score = HumanCLAPScore(model, on_error="skip")  # 1. the metric

    def forward(self, prompts: Tensor) -> Tensor:
        """Audio (batch, time) of numbers of prompts (batch,)."""
        seeded = torch.Generator().manual_seed(0)
        noise = torch.randn(len(prompts), 2 * RATE, generator=seeded).to(self.device)
        spectrum = spectrogram(noise) * self.levels[prompts].exp()[..., None]
        window = torch.hann_window(2 * (BINS - 1), device=self.device)
        return torch.istft(spectrum, 2 * (BINS - 1), window=window, length=2 * RATE)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Distance of the spectra, averaged over time, in logarithms."""
        prompts, wanted = batch
        made, true = (spectrogram(audio).abs().mean(-1) for audio in (self(prompts), wanted))
        return (made.clamp(min=1e-3).log() - true.clamp(min=1e-3).log()).abs().mean()

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Score what is generated; nothing is learned from it."""
        prompts, _wanted = batch
        texts = [PROMPTS[int(number)] for number in prompts]
        self.score.update(self(prompts)[:, None], texts, RATE)  # 2. (batch, 1, time)

    def on_validation_epoch_end(self) -> None:
        """Log the mean, and how many clips are not in it."""
        failed = float(self.score.n_failed)
        self.log("val/failed", failed, reduce_fx="sum", sync_dist=True)
        self.log("val/score", self.score)  # 3. Lightning computes it over all processes, and resets

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam on the spectra."""
        return torch.optim.Adam([self.levels], lr=0.2)


class Told(lightning.Callback):
    """Prints the score of each validation."""

    def on_validation_end(self, trainer: lightning.Trainer, module: Generator) -> None:
        """Called by Lightning."""
        found = trainer.callback_metrics
        step = trainer.global_step
        print(f"step {step:3}: score {found['val/score']:.2f}, failed {found['val/failed']:.0f}")


def main() -> None:
    """Train for a few epochs, with a validation before and after each."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*smaller than the logging interval.*")
    torch.manual_seed(0)
    clips = [(number, sound(number)) for number in range(len(PROMPTS))]
    model = HumanCLAP.from_pretrained("mini", device="cpu")
    generator = Generator(model)
    print(generator.score.signature)
    trainer = lightning.Trainer(
        max_epochs=4,
        accelerator="cpu",
        callbacks=[Told()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.validate(generator, DataLoader(clips, 3), verbose=False)
    trainer.fit(generator, DataLoader(clips * 8, 3, shuffle=True), DataLoader(clips, 3))


if __name__ == "__main__":
    main()
