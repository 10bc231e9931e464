"""Reward gradient: change the noise a pipeline starts from until its clip scores higher.

    python examples/diffusers/reward_gradient.py                # a tiny pipeline, random weights
    python examples/diffusers/reward_gradient.py --model stabilityai/stable-audio-open-1.0 \\
        --seconds 5 --steps 20 --device cuda

The gradient goes from the score through every sample, the decoder and all steps of the sampler to
the starting noise (as DITTO does it for music, Novack et al. 2024); the weights stay as they are.
To tune the weights instead, give the optimiser `pipe.transformer.parameters()` or LoRA adapters.
"""

from __future__ import annotations

import argparse

import torch
from diffusers import StableAudioPipeline
from pipelines import TINY, load
from torch import Tensor

import humanclap
from humanclap.scoring.reward import Reward

PROMPT = "a dog barks"


def climb(
    pipe: StableAudioPipeline, judge: Reward, prompt: str, rounds: int, **settings: object
) -> list[float]:
    """Follow the gradient of the score to the starting noise; returns the score of each round."""
    for part in (pipe.transformer, pipe.vae, pipe.text_encoder, pipe.projection_model):
        part.requires_grad_(False)
    shape = 1, pipe.transformer.config.in_channels, int(pipe.transformer.config.sample_size)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    noise = noise.to(pipe.device, pipe.transformer.dtype).requires_grad_()
    optimiser = torch.optim.Adam([noise], lr=0.05)
    scores = []
    for _ in range(rounds):
        clip = with_gradient(pipe, prompt, latents=noise, **settings)  # (1, channels, time)
        score = judge(clip, prompt, sample_rate=pipe.vae.sampling_rate).mean()
        optimiser.zero_grad()
        (-score).backward()
        optimiser.step()
        scores.append(float(score.detach()))
    return scores


def with_gradient(pipe: StableAudioPipeline, prompt: str, **settings: object) -> Tensor:
    """Call a pipeline without the `torch.no_grad` that diffusers puts around its `__call__`."""
    return type(pipe).__call__.__wrapped__(pipe, prompt, **settings).audios


def main() -> None:
    """Print the score every few rounds."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", default=TINY)
    options.add_argument("--rounds", type=int, default=10)
    options.add_argument("--steps", type=int, default=3)
    options.add_argument("--seconds", type=float, default=0.5)
    options.add_argument("--device", default="cpu")
    chosen = options.parse_args()
    pipe = load(chosen.model, chosen.device)
    pipe.transformer.enable_gradient_checkpointing()  # or each step keeps all its activations
    scores = climb(
        pipe,
        humanclap.reward("mini", device=chosen.device),
        PROMPT,
        chosen.rounds,
        num_inference_steps=chosen.steps,
        audio_end_in_s=chosen.seconds,
        guidance_scale=3.0,
    )
    for number in range(0, len(scores), 3):
        print(f"round {number}: score {scores[number]:.3f}")


if __name__ == "__main__":
    main()
