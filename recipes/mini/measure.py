"""Measure the shipped models: zero-shot ESC, prompts, scenes, teachers, size and speed.

Nothing here was used to choose anything: ESC's test clips are read by this script alone, and the
held-out prompts, recordings and texts are in no training set. RELATE is measured elsewhere.
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
from audio_student import SEGMENTS, held_out_segments
from audio_student import judge as judge_audio
from bank import Clip, names_left_out, read_bank, read_esc, read_rows
from compositions import make_scenes
from features import cached_features, scene_features
from minilm import MiniLM
from projections import encode_texts, preferences, seconds_of
from scipy.stats import binomtest
from text_student import Texts, held_out_cosines
from torch import Tensor
from torch.nn import functional as F

from humanclap.clap.checkpoint import load_checkpoint
from humanclap.clap.checkpoint_files import PACKAGED, packaged_names
from humanclap.clap.mini import MiniCLAP, MiniMN04CLAP
from humanclap.clap.mini.mn04 import load_mn04

SCENES = 1500
ESC50 = """dog|rooster|pig|cow|frog|cat|hen|insects|sheep|crow|rain|sea waves|crackling fire|
crickets|chirping birds|water drops|wind|pouring water|toilet flush|thunderstorm|crying baby|
sneezing|clapping|breathing|coughing|footsteps|laughing|brushing teeth|snoring|drinking sipping|
door wood knock|mouse click|keyboard typing|door wood creaks|can opening|washing machine|
vacuum cleaner|clock alarm|clock tick|glass breaking|helicopter|chainsaw|siren|car horn|engine|
train|church bells|airplane|fireworks|hand saw"""
"""The fifty classes of ESC-50 (Piczak 2015), as its categories are spelt, without underscores."""


def zero_shot(
    audio: Tensor, clips: list[Clip], embed: Any, names: list[str] | None = None
) -> dict[str, Any]:
    """Share of clips whose own label is the nearest of `names`, bare (None: the labels present)."""
    names = names or sorted({clip.text for clip in clips})
    nearest = (audio @ embed(names).T).argmax(1).tolist()
    correct = [names[index] == clip.text for index, clip in zip(nearest, clips, strict=True)]
    low, high = wilson(sum(correct), len(correct))
    return {
        "accuracy": round(float(np.mean(correct)), 4),
        "interval": [round(low, 4), round(high, 4)],
        "n": len(clips),
        "classes": len(names),
    }


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    found = binomtest(hits, n).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


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


def linear_probe(features: np.ndarray, clips: list[Clip]) -> dict[str, Any]:
    """ESC-10's own five folds: logistic regression on the pooled features, each fold judged once.

    Features standardised on the training folds; weight decay 1e-3, fixed beforehand.
    """
    folds = np.array([clip.fold for clip in clips])
    labels = torch.from_numpy(np.unique([clip.text for clip in clips], return_inverse=True)[1])
    correct: list[bool] = []
    for fold in np.unique(folds):
        inside = folds != fold
        centre, spread = features[inside].mean(0), features[inside].std(0) + 1e-6
        inputs, kept = torch.from_numpy((features - centre) / spread), torch.from_numpy(inside)
        probe = _logistic_regression(inputs[kept], labels[kept])
        correct += (probe(inputs[~kept]).argmax(1) == labels[~kept]).tolist()
    return {"accuracy": round(float(np.mean(correct)), 4), "n": len(clips)}


def _logistic_regression(inputs: Tensor, labels: Tensor) -> torch.nn.Linear:
    probe = torch.nn.Linear(inputs.shape[1], int(labels.max()) + 1)
    torch.nn.init.zeros_(probe.weight)
    optimiser = torch.optim.LBFGS(probe.parameters(), max_iter=200)

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(probe(inputs), labels) + 1e-3 * probe.weight.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)  # type: ignore[arg-type]
    return probe


class Material:
    """The clips, prompts and scenes that no student met."""

    def __init__(self, shared: Path) -> None:
        esc = read_esc(shared)
        self.esc10 = [clip for clip in esc if clip.esc10]
        self.fold4 = [clip for clip in self.esc10 if clip.fold == "4"]
        self.test = [clip for clip in esc if clip.test]
        bank = read_bank(shared)
        self.tta = [clip for clip in bank if clip.source == "tta-demos" and clip.held_out]
        unmet = [clip for clip in bank if clip.source == "ritta" and clip.held_out]
        self.events = [*(clip for clip in self.test if not names_left_out(clip.text)), *unmet]
        self.scenes = make_scenes(self.events, seconds_of(self.events), SCENES, seed=99)


@torch.inference_mode()
def judge_model(
    project: Any, embed: Any, model: MiniCLAP, material: Material, cache: Path
) -> dict[str, Any]:
    """All tasks for the model's audio encoder with two projections. cache: begin of the names of
    the encoder's outputs."""
    encoder = model.audio_encoder
    clips = cache.with_name(f"{cache.name}-clips.npz")

    def audio(chosen: list[Clip]) -> Tensor:
        paths = [clip.path for clip in chosen]
        return project(torch.from_numpy(cached_features(model, encoder, paths, clips)))

    scenes = scene_features(
        encoder, material.scenes, material.events, cache.with_name(f"{cache.name}-scenes-test.npz")
    )
    said = {scene.text for scene in material.scenes}
    said |= {text for scene in material.scenes for _, text in scene.wrong}
    captions = sorted(said)
    fifty = ESC50.replace("\n", "").split("|")
    embedded = dict(zip(captions, embed(captions), strict=True))
    return {
        "esc10_fold4": zero_shot(audio(material.fold4), material.fold4, embed),
        "esc50_test": zero_shot(audio(material.test), material.test, embed, fifty),
        "tta_held_out_prompts": prompts(audio(material.tta), material.tta, embed),
        "scenes": preferences(
            project(torch.from_numpy(scenes)), material.scenes, embedded.__getitem__
        ),
    }


def of_backbone(model: MiniCLAP, material: Material, cache: Path) -> dict[str, Any]:
    """A model, through its own encoders and projections."""

    def embed(texts: list[str]) -> Tensor:
        return model.project_text(encode_texts(model, texts))

    return judge_model(model.project_audio, embed, model, material, cache)


def training_free(
    mn04: MiniMN04CLAP, shared: Path, material: Material, cache: Path
) -> dict[str, Any]:
    """The yardstick: mn04's ten likeliest labels weigh MiniLM's embeddings of their names.

    Bare labels are asked for as "the sound of ...", which MiniLM understands better.
    """
    teacher = MiniLM()
    rows = read_rows(shared / "models/mn04/class_labels_indices.csv")
    labels = torch.from_numpy(teacher.embed([row["display_name"] for row in rows]))

    def project(features: Tensor) -> Tensor:
        values, places = torch.sigmoid(features[:, -len(labels) :]).topk(10, dim=1)
        weights = torch.zeros(len(features), len(labels)).scatter(1, places, values)
        return F.normalize(weights @ labels, dim=1)

    def embed(texts: list[str]) -> Tensor:
        asked = [text if len(text.split()) > 3 else f"the sound of {text}" for text in texts]
        return torch.from_numpy(teacher.embed(asked))

    return judge_model(project, embed, mn04, material, cache)


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
    """Parameters per part, and bytes on disk of each packaged folder."""
    parts = ("audio_encoder", "text_encoder", "audio_projection", "text_projection")
    counts = {
        part: sum(parameter.numel() for parameter in getattr(mini, part).parameters())
        for part in parts
    }
    mn04 = sum(parameter.numel() for parameter in over_mn04.audio_encoder.parameters())
    folders = {
        name: sum(path.stat().st_size for path in (PACKAGED / name).iterdir())
        for name in packaged_names()
    }
    return {"parameters": {**counts, "mn04": mn04}, "bytes": folders}


def main() -> None:
    """Parse, measure, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder with text/, features/")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    shared, work = arguments.shared, arguments.work
    mn04_file = shared / "models/mn04/mn04_as_mAP_432.pt"
    models = {name: load_checkpoint(name, mn04=mn04_file).backbone for name in packaged_names()}
    mini, over_mn04 = models["mini"], models["mini-mn04"]
    material = Material(shared)
    caches = {name: work / "features" / name for name in models}
    teacher = load_mn04(mn04_file)
    held_out = held_out_segments(shared, teacher, work / "held-out.pt")
    student = judge_audio(mini.audio_encoder.network, teacher, held_out, SEGMENTS)
    data = Texts(work / "text", mini.config.max_tokens)
    cosines = held_out_cosines(mini.text_encoder, data)
    probes = {
        name: linear_probe(
            cached_features(
                model,
                model.audio_encoder,
                [clip.path for clip in material.esc10],
                caches[name].with_name(f"{name}-clips.npz"),
            )[:, : model.config.audio_features],
            material.esc10,
        )
        for name, model in models.items()
    }
    script = Path(sys.argv[0]).name
    report = {
        "command": f"python recipes/mini/{script} --shared SHARED --work WORK --output OUTPUT",
        "fingerprints": {name: model.fingerprint() for name, model in models.items()},
        "models": {
            **{name: of_backbone(model, material, caches[name]) for name, model in models.items()},
            "training_free_mn04_minilm": training_free(
                over_mn04, shared, material, caches["mini-mn04"]
            ),
        },
        "linear_probe_esc10": probes,
        "audio_student_on_held_out_segments": {**student, "n": SEGMENTS},
        "text_likeness_with_teacher": {
            name: {"sentence": cosines[name], "profile": cosines[f"{name} profile"], "n": count}
            for name, count in data.held_out.items()
        },
        "speed": speed(mini, over_mn04),
        "sizes": sizes(mini, over_mn04),
    }
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
