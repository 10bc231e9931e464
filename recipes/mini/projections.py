"""Contrastive training of the projections on captions, over frozen and cached encoder outputs.

`choose` cross-validates the settings in four folds (an ESC fold and a quarter of the prompts each,
and scenes made of a fold's own clips); `train` uses one setting on all but the held-out clips and
writes a checkpoint. Neither reads ESC's test clips or RELATE.
"""

from __future__ import annotations

import argparse
import itertools
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import torch
from bank import Clip, normalise, read_bank, read_more, read_rows
from compositions import KINDS, Scene, is_event, make_scenes
from features import cached_features, scene_features
from texts import tagged
from torch import Tensor
from torch.nn import functional as F

from humanclap.clap.checkpoint import Checkpoint, write_manifest
from humanclap.clap.mini import MiniCLAP, MiniMN04CLAP
from humanclap.clap.mini.mn04 import load_mn04
from humanclap.clap.mini.text import encode

ESC_FOLDS = ("1", "2", "3", "5")
LONGEST_CAPTION = 250  # characters; longer ones describe music and mood
PER_TEXT = 12  # clips of bank_more.py with one text
SCENES_PER_FOLD = 2500


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One way of training the projections.

    wrong: weight of the captions that are nearly true; order_scale: see `scale_order`.
    """

    steps: int = 80
    order_steps: int = 300
    order_scale: float = 0.5
    rate: float = 1e-3
    batch: int = 128
    scenes: int = 64
    wrong: float = 0.5
    weight_decay: float = 0.05
    sharpness: float = 1.0
    centring: float = 0.5
    seed: int = 1


class Data:
    """Clips and scenes with their encoder outputs, their captions' embeddings, and the folds."""

    def __init__(self, model: MiniCLAP, shared: Path, more: Path, cache: Path) -> None:
        clips = [clip for clip in read_bank(shared) if len(clip.text) <= LONGEST_CAPTION]
        self.clips = clips + read_more(more, per_text=PER_TEXT)
        self.fold = np.array([fold_of(clip) for clip in self.clips])
        self.features = torch.from_numpy(
            cached_features(
                model.audio_encoder,
                [clip.path for clip in self.clips],
                cache.with_name(f"{cache.name}-clips.npz"),
            )
        )
        self._make_scenes(model, cache)
        said = {form for clip in self.clips for form in forms(clip)}
        for scene in self.scenes:
            said |= {scene.text, *(text for _, text in scene.wrong)}
        self.captions = sorted(said)
        self.row = {caption: row for row, caption in enumerate(self.captions)}
        self.text = encode_texts(model, self.captions)  # (captions, 768), before projection
        captions = [normalise(item.text) for item in (*self.clips, *self.scenes)]
        self.group = np.unique(captions, return_inverse=True)[1]  # of clips, then scenes
        rows = read_rows(shared / "models/mn04/class_labels_indices.csv")
        names = [row["display_name"] for row in rows]
        self.labels = encode_texts(model, names)[:, : model.config.text_dim]

    def _make_scenes(self, model: MiniCLAP, cache: Path) -> None:
        self.scenes: list[Scene] = []
        folds, parts = [], []
        for fold in range(len(ESC_FOLDS)):
            events = [
                clip
                for clip, theirs in zip(self.clips, self.fold, strict=True)
                if theirs == fold and not clip.held_out and is_event(clip)
            ]
            scenes = make_scenes(events, seconds_of(events), SCENES_PER_FOLD, fold)
            path = cache.with_name(f"{cache.name}-scenes-{fold}.npz")
            parts.append(scene_features(model.audio_encoder, scenes, events, path))
            self.scenes += scenes
            folds += [fold] * len(scenes)
        self.scene_fold = np.array(folds)
        self.scene_features = torch.from_numpy(np.concatenate(parts))


def seconds_of(clips: Sequence[Clip]) -> list[float]:
    """Length of each clip's file."""
    return [
        len(np.load(clip.path, mmap_mode="r")) / 32_000
        if clip.path.suffix == ".npy"
        else sf.info(clip.path).duration
        for clip in clips
    ]


def forms(clip: Clip) -> list[str]:
    """The caption, and for a bare label also the usual prompts around it."""
    short = clip.source in ("esc", "ritta") or len(clip.text.split()) <= 2
    return list(tagged(clip.text)) if short else [clip.text]


def fold_of(clip: Clip) -> int:
    """0..3: by ESC's own folds, else by caption; ritta's 25 labels go by caption too."""
    if clip.source == "esc":
        return ESC_FOLDS.index(clip.fold)
    return zlib.crc32(normalise(clip.text).encode()) % 4


@torch.inference_mode()
def encode_texts(model: MiniCLAP, texts: Sequence[str]) -> Tensor:
    """(texts, 768): the text encoder's outputs, in batches of alike length."""
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    rows = torch.empty(len(texts), 2 * model.config.text_dim)
    for start in range(0, len(order), 128):
        chosen = order[start : start + 128]
        ids, mask = encode(
            model.tokenizer,
            [texts[index] for index in chosen],
            model.config.max_tokens,
            torch.device("cpu"),
        )
        rows[chosen] = model.text_encoder(ids, mask)
    return rows


def prepare(model: MiniCLAP, data: Data, settings: Settings) -> None:
    """Fresh projections with the label bridge set from the model's own text tower."""
    torch.manual_seed(settings.seed)
    fresh = type(model)(replace(model.config, bridge_sharpness=settings.sharpness), model.tokenizer)
    model.config = fresh.config
    model.audio_projection, model.text_projection = fresh.audio_projection, fresh.text_projection
    model.log_scale = fresh.log_scale
    centred = data.labels - settings.centring * data.labels.mean(0)
    model.audio_projection.label_embeddings.copy_(F.normalize(centred, dim=1))


class Batches:
    """Endless shuffled passes over rows, `size` at a time."""

    def __init__(self, rows: np.ndarray, size: int, random: np.random.Generator) -> None:
        self.rows, self.size, self.random = rows, size, random
        self.order = random.permutation(rows)

    def next(self) -> np.ndarray:
        """The next rows."""
        if len(self.order) < self.size:
            self.order = self.random.permutation(self.rows)
        chosen, self.order = self.order[: self.size], self.order[self.size :]
        return chosen


def fit(
    model: MiniCLAP, data: Data, settings: Settings, clips: np.ndarray, scenes: np.ndarray
) -> None:
    """First what is heard, on clips; then, beside it and without touching it, how events go
    together, on clips and scenes.

    Symmetric cross-entropy; pairs that share a caption are no negatives of each other. The scenes'
    wrong captions stand among the texts each clip chooses from, and each is besides compared with
    the right one alone (Bradley-Terry).
    """
    prepare(model, data, settings)
    audio, text = model.audio_projection, model.text_projection
    random = np.random.default_rng(settings.seed)
    given = clips[[data.clips[index].source != "more" for index in clips]]
    batches = Batches(given, settings.batch, random)
    nothing = np.array([], dtype=int)
    with torch.no_grad():
        text.order_view.weight.zero_()  # what is heard is learned alone
    optimise(
        model,
        [{"params": [*audio.residual.parameters(), model.log_scale], "lr": settings.rate}],
        settings.weight_decay,
        settings.steps,
        lambda: loss_of(model, data, batches.next(), nothing, 0.0, random),
    )
    torch.nn.init.orthogonal_(text.order_view.weight)
    fewer = Batches(given, settings.batch - settings.scenes, random)
    scene_batches = Batches(scenes, settings.scenes, random)
    optimise(
        model,
        [
            {
                "params": [
                    *audio.order.parameters(),
                    *text.order.parameters(),
                    text.order_view.weight,
                ],
                "lr": settings.rate,
            }
        ],
        settings.weight_decay,
        settings.order_steps,
        lambda: loss_of(model, data, fewer.next(), scene_batches.next(), settings.wrong, random),
    )
    scale_order(model, settings.order_scale)


@torch.no_grad()
def scale_order(model: MiniCLAP, scale: float) -> None:
    """Make the order's columns count for less (on both sides) beside what is heard."""
    outputs = (model.audio_projection.order.output, model.text_projection.order.output)
    for part in (*outputs, model.text_projection.order_view):
        for parameter in part.parameters():
            parameter.mul_(scale)


def optimise(
    model: MiniCLAP,
    groups: list[dict[str, Any]],
    weight_decay: float,
    steps: int,
    next_loss: Callable[[], Tensor],
) -> None:
    """AdamW on these groups alone, each rate warmed up over 10 steps and then falling to 0."""
    peaks = [group["lr"] for group in groups]
    optimiser = torch.optim.AdamW(groups, weight_decay=weight_decay)
    model.audio_projection.train()
    model.text_projection.train()
    for step in range(steps):
        for group, peak in zip(optimiser.param_groups, peaks, strict=True):
            group["lr"] = peak * min(1.0, (step + 1) / 10) * (1 - step / steps)
        loss = next_loss()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()


def loss_of(
    model: MiniCLAP,
    data: Data,
    clips: np.ndarray,
    scenes: np.ndarray,
    wrong_weight: float,
    random: np.random.Generator,
) -> Tensor:
    """The loss of `fit` on some clips and scenes."""
    said = [data.row[random.choice(forms(data.clips[index]))] for index in clips]
    said += [data.row[data.scenes[index].text] for index in scenes]
    wrong = [
        (len(clips) + place, data.row[text])
        for place, index in enumerate(scenes)
        for _, text in data.scenes[index].wrong
    ]
    features = torch.cat([data.features[clips], data.scene_features[scenes]])
    texts = data.text[said + [row for _, row in wrong]]
    audio = F.normalize(model.audio_projection(features), dim=1)  # (batch, dim)
    text = F.normalize(model.text_projection(texts), dim=1)  # (batch + wrong, dim)
    logits = model.logit_scale * audio @ text.T  # (batch, batch + wrong), row = audio
    batch = len(features)
    group = torch.from_numpy(data.group[np.concatenate([clips, len(data.clips) + scenes])])
    same = (group[:, None] == group[None, :]) & ~torch.eye(batch, dtype=torch.bool)
    logits = logits.masked_fill(F.pad(same, (0, len(wrong))), -1e4)
    own = torch.arange(batch)
    loss = (F.cross_entropy(logits, own) + F.cross_entropy(logits[:, :batch].T, own)) / 2
    if wrong:
        place = torch.tensor([place for place, _ in wrong])
        worse = logits[place, torch.arange(batch, batch + len(wrong))]
        loss = loss + wrong_weight * F.softplus(worse - logits[place, place]).mean()
    return loss


@torch.inference_mode()
def judge(
    model: MiniCLAP, data: Data, held_out: np.ndarray, scenes: np.ndarray
) -> dict[str, float]:
    """On held-out clips: ESC-10 zero-shot, finding a prompt among the held-out prompts, scenes."""
    audio = F.normalize(model.audio_projection(data.features), dim=1)
    text = F.normalize(model.text_projection(data.text), dim=1)
    esc = [index for index in held_out if data.clips[index].esc10]
    classes = sorted({data.clips[index].text for index in esc})
    scores = audio[esc] @ text[[data.row[name] for name in classes]].T
    correct = [
        classes[int(row.argmax())] == data.clips[i].text for i, row in zip(esc, scores, strict=True)
    ]
    tta = [index for index in held_out if data.clips[index].source == "tta-demos"]
    prompts = sorted({data.clips[index].text for index in tta})
    scores = audio[tta] @ text[[data.row[prompt] for prompt in prompts]].T
    own = torch.tensor([prompts.index(data.clips[index].text) for index in tta])
    matched = scores.gather(1, own[:, None])
    rank = (scores >= matched).sum(1).float()
    others = torch.ones_like(scores).scatter(1, own[:, None], 0).bool()
    pooled = scores[others].sort().values  # one threshold for all clips, as a score is read
    across = torch.searchsorted(pooled, matched[:, 0].contiguous()).float() / len(pooled)
    heard = F.normalize(model.audio_projection(data.scene_features[scenes]), dim=1)
    preferred = preferences(heard, [data.scenes[i] for i in scenes], lambda t: text[data.row[t]])
    return {
        "esc10": float(np.mean(correct)),
        "r10": float((rank <= 10).float().mean()),
        "mrr": float((1 / rank).mean()),
        "auc": float(across.mean()),
        **{kind: found["correct"] for kind, found in preferred.items()},
    }


def preferences(audio: Tensor, scenes: Sequence[Scene], embed) -> dict[str, dict[str, float]]:
    """How often a scene's true caption scores above its wrong one, by kind of wrong.

    audio: (scenes, dim), unit; embed: a caption -> (dim,), unit.
    """
    right: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    for row, scene in zip(audio, scenes, strict=True):
        true = row @ embed(scene.text)
        for kind, text in scene.wrong:
            right[kind].append(bool(true > row @ embed(text)))
    return {
        kind: {"correct": round(float(np.mean(found)), 4), "n": len(found)}
        for kind, found in right.items()
        if found
    }


def cross_validate(model: MiniCLAP, data: Data, settings: Settings) -> dict[str, float]:
    """Means over the four folds."""
    results = []
    for fold in range(len(ESC_FOLDS)):
        inside, scenes_inside = data.fold != fold, data.scene_fold != fold
        fit(model, data, settings, np.flatnonzero(inside), np.flatnonzero(scenes_inside))
        results.append(judge(model, data, np.flatnonzero(~inside), np.flatnonzero(~scenes_inside)))
    return {name: round(float(np.mean([r[name] for r in results])), 4) for name in results[0]}


def load_encoders(encoders: Path, mn04: Path | None) -> MiniCLAP:
    """mini's two towers from a checkpoint, or its text tower with mn04 for audio."""
    mini = MiniCLAP.from_pretrained(encoders)
    if mn04 is None:
        return mini
    config = replace(mini.config, name="mini-mn04")
    model = MiniMN04CLAP(config, mini.tokenizer, load_mn04(mn04))
    model.text_encoder = mini.text_encoder
    return model.freeze_encoders().eval()


def grid(text: str) -> list[Settings]:
    """Settings from JSON: each key a list of values, all combinations."""
    values = json.loads(text)
    return [
        Settings(**dict(zip(values, combination, strict=True)))
        for combination in itertools.product(*values.values())
    ]


def main() -> None:
    """Parse; load the two encoders; choose or train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=["choose", "train"])
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--more", type=Path, required=True, help="folder of bank_more.py")
    parser.add_argument("--encoders", type=Path, required=True, help="checkpoint with both towers")
    parser.add_argument("--features", type=Path, required=True, help="begin of the caches' names")
    parser.add_argument("--mn04", type=Path, help="train the projections of mini-mn04 over it")
    parser.add_argument("--grid", default="{}", help='for example {"steps": [200, 400]}')
    parser.add_argument("--name", help="the model's name")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_encoders(arguments.encoders, arguments.mn04)
    data = Data(model, arguments.shared, arguments.more, arguments.features)
    if arguments.stage == "choose":
        for settings in grid(arguments.grid):
            given = {key: value for key, value in asdict(settings).items() if key in arguments.grid}
            print(given, cross_validate(model, data, settings), flush=True)
        return
    (settings,) = grid(arguments.grid)
    chosen = np.flatnonzero([not clip.held_out for clip in data.clips])
    fit(model, data, settings, chosen, np.arange(len(data.scenes)))
    model.config, model.name = replace(model.config, name=arguments.name), arguments.name
    if isinstance(model, MiniMN04CLAP):
        model.save_shared(arguments.output, "mini-clap")
    else:
        model.save_pretrained(arguments.output, half=True)
    training = {"recipe": "recipes/mini/projections.py", "settings": asdict(settings)}
    write_manifest(Checkpoint(model, None, training), arguments.output)


if __name__ == "__main__":
    main()
