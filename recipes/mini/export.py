"""Put the two distilled towers together: a mini checkpoint whose projections are not trained."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from tokenizers import Tokenizer

from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.clap.mini.audio import AudioEncoder
from humanclap.clap.mini.tagger import Tagger


def main() -> None:
    """Parse, assemble, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, required=True, help="state of audio_student.py")
    parser.add_argument("--text", type=Path, required=True, help="state of text_student.py")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(arguments.text.with_name("tokenizer.json")))
    model = MiniCLAP(MiniConfig(), tokenizer)
    audio = torch.load(arguments.audio, weights_only=True)
    text = torch.load(arguments.text, weights_only=True)
    network = Tagger(model.config.audio_sizes)
    network.load_state_dict(audio["student"])
    model.audio_encoder = AudioEncoder(network.fold())
    model.text_encoder.load_state_dict(text["encoder"])
    model.save_pretrained(arguments.output)
    print(f"audio step {audio['step']}, text step {text['step']}: {model.fingerprint()}")


if __name__ == "__main__":
    main()
