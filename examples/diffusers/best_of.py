"""Best of n: make n clips for each prompt, keep the one that matches it best.

python examples/diffusers/best_of.py                        # a tiny pipeline, random weights
python examples/diffusers/best_of.py --model stabilityai/stable-audio-open-1.0 --seconds 10
"""

from __future__ import annotations

import argparse
from pathlib import Path

import soundfile
import torch
from diffusers import StableAudioPipeline
from pipelines import TINY, load

import humanclap
from humanclap.scoring.reward import Best, Reward

PROMPTS = ["a dog barks", "rain falls on the roof"]


def best_of(
    pipe: StableAudioPipeline, judge: Reward, prompts: list[str], n: int, **settings: object
) -> Best:
    """n clips for each prompt, in one call of the pipeline, and the best of them."""
    clips = pipe(prompts, num_waveforms_per_prompt=n, **settings).audios
    candidates = clips.unflatten(0, (len(prompts), n))  # (prompts, n, channels, time)
    return judge.best_of(n, candidates, prompts, sample_rate=pipe.vae.sampling_rate)


def main() -> None:
    """Print the scores of all clips; write the best of each prompt where --output is given."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", default=TINY)
    options.add_argument("--n", type=int, default=4)
    options.add_argument("--steps", type=int, default=4)
    options.add_argument("--seconds", type=float, default=0.5)
    options.add_argument("--device", default="cpu")
    options.add_argument("--output", type=Path, help="folder for the best clips")
    chosen = options.parse_args()
    pipe = load(chosen.model, chosen.device)
    best = best_of(
        pipe,
        humanclap.reward("mini", device=chosen.device),
        PROMPTS,
        chosen.n,
        num_inference_steps=chosen.steps,
        audio_end_in_s=chosen.seconds,
        generator=torch.Generator(chosen.device).manual_seed(0),
    )
    for row, prompt in enumerate(PROMPTS):
        scores = " ".join(f"{score:.3f}" for score in best.scores[row].tolist())
        print(f"{prompt}: {scores}; the best is clip {int(best.indices[row])}")
        if chosen.output:
            chosen.output.mkdir(parents=True, exist_ok=True)
            clip = best.waveforms[row].T.float().cpu().numpy()
            soundfile.write(chosen.output / f"{prompt}.wav", clip, pipe.vae.sampling_rate)


if __name__ == "__main__":
    main()
