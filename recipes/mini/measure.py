"""Measure the shipped models: zero-shot ESC, prompts, likeness to the teachers, size and speed.

Nothing here was used to choose anything: ESC fold 4 is read by this script alone, and the held-out
clips, prompts and texts are in no training set. RELATE is measured elsewhere, by `humanclap score`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from audio_student import Objective, Segments
from audio_student import judge as judge_audio
from bank import Clip, read_bank, read_esc, read_rows
from features import cached_features
from minilm import MiniLM
from text_student import Texts, held_out_cosines
from torch import Tensor
from torch.nn import functional as F

from humanclap.clap.mini import MiniCLAP, MiniMN04CLAP
from humanclap.clap.mini.mn04 import load_mn04
from humanclap.clap.mini.storage import packaged


def zero_shot(audio: Tensor, clips: list[Clip], embed: Any) -> dict[str, Any]:
    """Share of clips whose own label is the nearest of all labels present; bare labels."""
    names = sorted({clip.text for clip in clips})
    nearest = (audio @ embed(names).T).argmax(1).tolist()
    correct = [names[index] == clip.text for index, clip in zip(nearest, clips, strict=True)]
    return {"accuracy": round(float(np.mean(correct)), 4), "n": len(clips), "classes": len(names)}


def prompts(audio: Tensor, clips: list[Clip], embed: Any) -> dict[str, Any]:
    """Finding a clip's prompt among the held-out prompts; AUC of matched against other pairs."""
    names = sorted({clip.text for clip in clips})
    scores = audio @ embed(names).T
    own = torch.tensor([names.index(clip.text) for clip in clips])
    matched = scores.gather(1, own[:, None])
    rank = (scores >= matched).sum(1).float()
    others = scores[torch.ones_like(scores).scatter(1, own[:, None], 0).bool()].sort().values
    auc = torch.searchsorted(others, matched[:, 0].contiguous()).float().mean() / len(others)
    return {
        "recall_at_1": round(float((rank <= 1).float().mean()), 4),
        "auc": round(float(auc), 4),
        "n": len(clips),
        "prompts": len(names),
    }


@torch.inference_mode()
def judge_model(embed_features: Any, embed: Any, features: Any, shared: Path) -> dict[str, Any]:
    """All tasks for one pair of towers."""
    esc = read_esc(shared)
    groups = {
        "esc10_fold4": [clip for clip in esc if clip.esc10 and clip.fold == "4"],
        "esc10_held_out": [c for c in esc if c.esc10 and c.fold != "4" and c.held_out],
        "esc_22_held_out": [c for c in esc if c.fold != "4" and c.held_out],
    }
    result = {
        name: zero_shot(embed_features(features(clips)), clips, embed)
        for name, clips in groups.items()
    }
    tta = [clip for clip in read_bank(shared) if clip.source == "tta-demos" and clip.held_out]
    result["tta_held_out_prompts"] = prompts(embed_features(features(tta)), tta, embed)
    return result


def of_backbone(model: MiniCLAP, shared: Path, cache: Path) -> dict[str, Any]:
    """A shipped model, through its own encoders and projections."""

    def embed_features(features: Tensor) -> Tensor:
        return F.normalize(model.audio_projection(features), dim=1)

    def features(clips: list[Clip]) -> Tensor:
        paths = [clip.path for clip in clips]
        return torch.from_numpy(cached_features(model.audio_encoder, paths, cache))

    return judge_model(embed_features, model.embed_text, features, shared)


def training_free(mn04: MiniMN04CLAP, shared: Path, cache: Path) -> dict[str, Any]:
    """The yardstick: mn04's ten likeliest labels weigh MiniLM's embeddings of their names.

    Bare labels are asked for as "the sound of ...", which MiniLM understands better.
    """
    teacher = MiniLM()
    rows = read_rows(shared / "models/mn04/class_labels_indices.csv")
    labels = torch.from_numpy(teacher.embed([row["display_name"] for row in rows]))

    def embed_features(features: Tensor) -> Tensor:
        values, places = torch.sigmoid(features[:, 384:]).topk(10, dim=1)
        weights = torch.zeros(len(features), len(labels)).scatter(1, places, values)
        return F.normalize(weights @ labels, dim=1)

    def features(clips: list[Clip]) -> Tensor:
        paths = [clip.path for clip in clips]
        return torch.from_numpy(cached_features(mn04.audio_encoder, paths, cache))

    def embed(texts: list[str]) -> Tensor:
        asked = [text if len(text.split()) > 3 else f"the sound of {text}" for text in texts]
        return torch.from_numpy(teacher.embed(asked))

    return judge_model(embed_features, embed, features, shared)


@torch.inference_mode()
def milliseconds(run: Any, repeats: int = 15) -> float:
    """Least time of one call, of `repeats` after two to warm up."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return round(1000 * min(times[2:]), 2)


def speed(mini: MiniCLAP, over_mn04: MiniMN04CLAP) -> dict[str, Any]:
    """One 10 s clip and one caption on one core, beside HTSAT-tiny (random weights)."""
    from transformers import ClapAudioConfig, ClapAudioModel

    torch.set_num_threads(1)
    waveform = torch.rand(1, 320_000, generator=torch.Generator().manual_seed(0)) - 0.5
    caption = ["A dog barks twice while rain falls on a tin roof"]
    htsat = ClapAudioModel(ClapAudioConfig()).eval()
    spectrogram = torch.rand(1, 1, 1001, 64)
    longer = torch.zeros(1, 1, dtype=torch.bool)
    return {
        "mini_audio_ms": milliseconds(lambda: mini.embed_audio(waveform)),
        "mini_mn04_audio_ms": milliseconds(lambda: over_mn04.embed_audio(waveform)),
        "htsat_tiny_without_front_end_ms": milliseconds(
            lambda: htsat(input_features=spectrogram, is_longer=longer)
        ),
        "caption_ms": milliseconds(lambda: mini.embed_text(caption)),
        "load_mini_ms": milliseconds(MiniCLAP.from_pretrained, repeats=5),
    }


def sizes(mini: MiniCLAP, over_mn04: MiniMN04CLAP) -> dict[str, Any]:
    """Parameters per part, and bytes on disk."""
    parts = ("audio_encoder", "text_encoder", "audio_projection", "text_projection")
    counts = {
        part: sum(parameter.numel() for parameter in getattr(mini, part).parameters())
        for part in parts
    }
    folders = {name: packaged(name) for name in ("mini", "mini-mn04")}
    kilobytes = {
        f"{name}_bytes": sum(path.stat().st_size for path in folder.iterdir())
        for name, folder in folders.items()
    }
    mn04 = sum(parameter.numel() for parameter in over_mn04.audio_encoder.parameters())
    return {"parameters": {**counts, "mn04": mn04}, **kilobytes}


def main() -> None:
    """Parse, measure, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder with cache/ and text/")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    shared, work = arguments.shared, arguments.work
    mn04_file = shared / "models/mn04/mn04_as_mAP_432.pt"
    mini = MiniCLAP.from_pretrained()
    over_mn04 = MiniMN04CLAP.from_pretrained(mn04=mn04_file)
    teacher_cache = work / "features/mn04.npz"
    held_out = Segments(work / "cache", "held-out")
    sample = torch.from_numpy(held_out.teacher[0][:].astype(np.float32))
    data = Texts(work / "text", mini.config.max_tokens)
    with torch.inference_mode():
        student = judge_audio(mini.audio_encoder, held_out, Objective(load_mn04(mn04_file), sample))
        cosines = held_out_cosines(mini.text_encoder, data)
    script = Path(sys.argv[0]).name
    report = {
        "command": f"python recipes/mini/{script} --shared SHARED --work WORK --output OUTPUT",
        "fingerprints": {"mini": mini.fingerprint(), "mini-mn04": over_mn04.fingerprint()},
        "mini": of_backbone(mini, shared, work / f"features/mini-{mini.fingerprint()}.npz"),
        "mini-mn04": of_backbone(over_mn04, shared, teacher_cache),
        "training_free_mn04_minilm": training_free(over_mn04, shared, teacher_cache),
        "audio_student_on_held_out_segments": {**student, "n": len(held_out)},
        "text_cosine_with_teacher": {
            name: {"mean": cosines[name], "n": count} for name, count in data.held_out.items()
        },
        "speed": speed(mini, over_mn04),
        "sizes": sizes(mini, over_mn04),
    }
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
