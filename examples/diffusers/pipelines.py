"""A text-to-audio pipeline of diffusers: a published one by its name, or a tiny one of random
weights that needs no network and whose sounds mean nothing.
"""

from __future__ import annotations

import torch
from diffusers import (
    AutoencoderOobleck,
    EDMDPMSolverMultistepScheduler,
    StableAudioDiTModel,
    StableAudioPipeline,
    StableAudioProjectionModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

TINY = "tiny"


def load(name: str, device: str) -> StableAudioPipeline:
    """`tiny`, or a Stable Audio on the hub, such as `stabilityai/stable-audio-open-1.0`."""
    pipe = tiny() if name == TINY else StableAudioPipeline.from_pretrained(name)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def tiny() -> StableAudioPipeline:
    """The parts of Stable Audio Open, each as small as it goes, with random weights."""
    torch.manual_seed(0)
    words = ["<pad>", "<unk>", "a", "dog", "barks", "rain", "falls", "on", "the", "roof"]
    tokenizer = Tokenizer(
        models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return StableAudioPipeline(
        vae=AutoencoderOobleck(
            encoder_hidden_size=6,
            downsampling_ratios=[2, 4, 8, 8],
            channel_multiples=[1, 2, 2, 2],
            decoder_channels=6,
            decoder_input_channels=4,
            audio_channels=2,
            sampling_rate=16_000,
        ),
        text_encoder=T5EncoderModel(
            T5Config(vocab_size=len(words), d_model=16, d_ff=16, d_kv=8, num_layers=1, num_heads=2)
        ).eval(),
        projection_model=StableAudioProjectionModel(
            text_encoder_dim=16, conditioning_dim=16, min_value=0, max_value=32
        ),
        tokenizer=PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", model_max_length=16
        ),
        transformer=StableAudioDiTModel(
            sample_size=32,
            in_channels=4,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=2,
            num_key_value_attention_heads=2,
            out_channels=4,
            cross_attention_dim=16,
            time_proj_dim=8,
            global_states_input_dim=32,
            cross_attention_input_dim=16,
        ),
        scheduler=EDMDPMSolverMultistepScheduler(sigma_max=10.0),
    )
