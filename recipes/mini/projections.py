"""The shared space of `mini` and `mini-mn04`: one pair of projections over both audio towers.

Most of it is not learned: what labels' names mean to the text tower, and what sounds and captions
are like on average, which is taken away. `choose` cross-validates the settings of what is learned
in four folds (an ESC fold and a quarter of the prompts each, and scenes made of a fold's own
clips); `train` uses one setting on all but the held-out clips and writes both checkpoints. Nothing
here reads ESC's test clips or what judges. Generated clips are unlabelled sound unless `demos` is
set.
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
from texts import relate_captions_by_split, tagged
from torch import Tensor
from torch.nn import functional as F

from humanclap.clap.checkpoint import Checkpoint, write_manifest
from humanclap.clap.mini import MiniCLAP, MiniMN04CLAP
from humanclap.clap.mini.audio import AudioEncoder
from humanclap.clap.mini.mn04 import load_mn04
from humanclap.clap.mini.storage import write_shared
from humanclap.clap.mini.tagger import TaggerSizes
from humanclap.clap.mini.text import encode

ESC_FOLDS = ("1", "2", "3", "5")
LONGEST_CAPTION = 250  # characters; longer ones describe music and mood
PER_TEXT = 12  # clips of bank_more.py with one text
SCENES_PER_FOLD = 1500
REAL_SYSTEMS = ("ground truth", "Ground-Truth", "US8K")
"""What tta-demos calls recordings, beside what generators made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One way of training the projections.

    steps: of the residuals, on captioned recordings, and with `demos` on generated clips too;
    scenes: in a batch; order_scale: see `scale_order`.
    """

    steps: int = 0
    demos: bool = False
    order_steps: int = 200
    order_scale: float = 0.35
    rate: float = 1e-3
    batch: int = 128
    scenes: int = 64
    weight_decay: float = 0.05
    seed: int = 1


class Data:
    """Clips and scenes with what each tower hears of them, their captions' encodings, and folds.

    features, scene_features: (towers, clips or scenes, features).
    """

    def __init__(
        self,
        model: MiniCLAP,
        towers: dict[str, AudioEncoder],
        *,
        shared: Path,
        more: Path,
        cache: Path,
    ) -> None:
        clips = [clip for clip in read_bank(shared) if len(clip.text) <= LONGEST_CAPTION]
        self.towers = list(towers)
        self.clips = clips + read_more(more, per_text=PER_TEXT)
        self.fold = np.array([fold_of(clip) for clip in self.clips])
        paths = [clip.path for clip in self.clips]
        self.features = torch.stack(
            [
                torch.from_numpy(cached_features(model, tower, paths, cache / f"{name}-clips.npz"))
                for name, tower in towers.items()
            ]
        )
        self._make_scenes(towers, cache)
        said = {form for clip in self.clips for form in forms(clip)}
        for scene in self.scenes:
            said |= {scene.text, *(text for _, text in scene.wrong)}
        self.captions = sorted(said)
        self.row = {caption: row for row, caption in enumerate(self.captions)}
        self.text = encode_texts(model, self.captions)  # (captions, features), not projected
        captions = [normalise(item.text) for item in (*self.clips, *self.scenes)]
        self.group = np.unique(captions, return_inverse=True)[1]  # of clips, then scenes
        rows = read_rows(shared / "models/mn04/class_labels_indices.csv")
        dim = model.config.text_dim
        self.labels = encode_texts(model, [row["display_name"] for row in rows])[:, :dim]
        natural = encode_texts(model, relate_captions_by_split(shared)["train"])[:, :dim]
        self.caption_mean = natural.mean(0)

    def _make_scenes(self, towers: dict[str, AudioEncoder], cache: Path) -> None:
        self.scenes: list[Scene] = []
        folds, parts = [], []
        for fold in range(len(ESC_FOLDS)):
            events = [
                clip
                for clip, theirs in zip(self.clips, self.fold, strict=True)
                if theirs == fold and not clip.held_out and is_event(clip)
            ]
            scenes = make_scenes(events, seconds_of(events), SCENES_PER_FOLD, fold)
            heard = [
                scene_features(tower, scenes, events, cache / f"{name}-scenes-{fold}.npz")
                for name, tower in towers.items()
            ]
            parts.append(np.stack(heard))
            self.scenes += scenes
            folds += [fold] * len(scenes)
        self.scene_fold = np.array(folds)
        self.scene_features = torch.from_numpy(np.concatenate(parts, axis=1))

    def unlabelled(self) -> Tensor:
        """What each tower hears of the clips of `shared` that train, (rows, features)."""
        chosen = [i for i, c in enumerate(self.clips) if c.source != "more" and not c.held_out]
        return self.features[:, chosen].flatten(0, 1)

    def captioned(self, clips: np.ndarray, demos: bool) -> np.ndarray:
        """Those of the clips whose caption may be taught as theirs."""
        return clips[[self._captioned(self.clips[index], demos) for index in clips]]

    @staticmethod
    def _captioned(clip: Clip, demos: bool) -> bool:
        if clip.source == "tta-demos":
            return demos or clip.system in REAL_SYSTEMS
        return clip.source != "more"


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
    """(texts, features): the text encoder's outputs, in batches of alike length."""
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    rows = torch.empty(len(texts), 2 * model.config.text_dim + model.config.n_labels)
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


@torch.no_grad()
def prepare(model: MiniCLAP, data: Data, settings: Settings) -> None:
    """Fresh projections with all that is not learned: names' meanings, and means taken away."""
    torch.manual_seed(settings.seed)
    fresh = type(model)(model.config, model.tokenizer)
    model.audio_projection, model.text_projection = fresh.audio_projection, fresh.text_projection
    model.log_scale = fresh.log_scale
    audio, logits = model.audio_projection, data.unlabelled()[:, 2 * model.config.audio_features :]
    audio.label_embeddings.copy_(F.normalize(data.labels - 0.5 * data.labels.mean(0), dim=1))
    audio.profile_mean.copy_(audio.profile(logits).mean(0))
    audio.meaning_mean.copy_(audio.meaning(logits).mean(0))
    model.text_projection.meaning_mean.copy_(0.5 * data.caption_mean)


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
    """First, for `steps`, what is heard, on captioned clips (`caption_loss`); then, beside it and
    without touching it, how events go together, on scenes (`scene_loss`)."""
    prepare(model, data, settings)
    audio, text = model.audio_projection, model.text_projection
    random = np.random.default_rng(settings.seed)
    batches = Batches(data.captioned(clips, settings.demos), settings.batch, random)
    with torch.no_grad():
        text.order_view.weight.zero_()  # what is heard is learned alone
    optimise(
        model,
        [{"params": [*audio.residual.parameters(), model.log_scale], "lr": settings.rate}],
        settings.weight_decay,
        settings.steps,
        lambda: caption_loss(model, data, batches.next(), random),
    )
    torch.nn.init.orthogonal_(text.order_view.weight)
    scene_batches = Batches(scenes, settings.scenes, random)
    order = [*audio.order.parameters(), *text.order.parameters(), text.order_view.weight]
    optimise(
        model,
        [{"params": order, "lr": settings.rate}],
        settings.weight_decay,
        settings.order_steps,
        lambda: scene_loss(model, data, scene_batches.next(), random),
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


def caption_loss(
    model: MiniCLAP, data: Data, clips: np.ndarray, random: np.random.Generator
) -> Tensor:
    """Symmetric cross-entropy of some clips and their captions, each as one of the towers hears it.

    Pairs that share a caption are no negatives of each other.
    """
    said = [data.row[random.choice(forms(data.clips[index]))] for index in clips]
    tower = random.integers(len(data.towers), size=len(clips))
    audio = F.normalize(model.audio_projection(data.features[tower, clips]), dim=1)  # (batch, dim)
    text = F.normalize(model.text_projection(data.text[said]), dim=1)  # (batch, dim)
    logits = model.logit_scale * audio @ text.T  # (batch, batch), row = audio
    group = torch.from_numpy(data.group[clips])
    same = (group[:, None] == group[None, :]) & ~torch.eye(len(clips), dtype=torch.bool)
    logits = logits.masked_fill(same, -1e4)
    own = torch.arange(len(clips))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def scene_loss(
    model: MiniCLAP, data: Data, scenes: np.ndarray, random: np.random.Generator
) -> Tensor:
    """Each scene's true caption against each of its wrong ones (Bradley-Terry)."""
    right = [data.row[data.scenes[index].text] for index in scenes]
    wrong = [
        (place, data.row[text])
        for place, index in enumerate(scenes)
        for _, text in data.scenes[index].wrong
    ]
    tower = random.integers(len(data.towers), size=len(scenes))
    audio = F.normalize(model.audio_projection(data.scene_features[tower, scenes]), dim=1)
    text = F.normalize(model.text_projection(data.text[right + [row for _, row in wrong]]), dim=1)
    place = torch.tensor([place for place, _ in wrong])
    better = (audio * text[: len(scenes)]).sum(1)[place]  # (wrong captions,)
    worse = (audio[place] * text[len(scenes) :]).sum(1)
    return F.softplus(model.logit_scale * (worse - better)).mean()


@torch.inference_mode()
def judge(
    model: MiniCLAP, data: Data, tower: int, held_out: np.ndarray, scenes: np.ndarray
) -> dict[str, list[float]]:
    """On held-out clips: ESC's classes, finding a prompt among all prompts, scenes.

    Lists of one value a clip or comparison, whose means are what is reported.
    """
    heard = data.features[tower]
    audio = F.normalize(model.audio_projection(heard), dim=1)
    text = F.normalize(model.text_projection(data.text), dim=1)
    esc = [index for index in held_out if data.clips[index].source == "esc"]
    classes = sorted({clip.text for clip in data.clips if clip.source == "esc"})
    scores = audio[esc] @ text[[data.row[name] for name in classes]].T
    correct = [
        float(classes[int(row.argmax())] == data.clips[i].text)
        for i, row in zip(esc, scores, strict=True)
    ]
    tta = [index for index in held_out if data.clips[index].source == "tta-demos"]
    prompts = sorted({clip.text for clip in data.clips if clip.source == "tta-demos"})
    scores = audio[tta] @ text[[data.row[prompt] for prompt in prompts]].T
    own = torch.tensor([prompts.index(data.clips[index].text) for index in tta])
    matched = scores.gather(1, own[:, None])
    rank = (scores >= matched).sum(1).float()
    others = torch.ones_like(scores).scatter(1, own[:, None], 0).bool()
    pooled = scores[others].sort().values  # one threshold for all clips, as a score is read
    across = torch.searchsorted(pooled, matched[:, 0].contiguous()).float() / len(pooled)
    heard = F.normalize(model.audio_projection(data.scene_features[tower, scenes]), dim=1)
    preferred = preferences(heard, [data.scenes[i] for i in scenes], lambda t: text[data.row[t]])
    return {
        "esc": correct,
        "r1": (rank <= 1).float().tolist(),
        "r10": (rank <= 10).float().tolist(),
        "mrr": (1 / rank).tolist(),
        "auc": across.tolist(),
        **{kind: [found["correct"]] for kind, found in preferred.items()},
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


def cross_validate(model: MiniCLAP, data: Data, settings: Settings) -> dict[str, dict[str, float]]:
    """Means over what the four folds leave out, for each tower."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in data.towers}
    for fold in range(len(ESC_FOLDS)):
        inside, scenes_inside = data.fold != fold, data.scene_fold != fold
        fit(model, data, settings, np.flatnonzero(inside), np.flatnonzero(scenes_inside))
        outside, scenes_outside = np.flatnonzero(~inside), np.flatnonzero(~scenes_inside)
        for tower, name in enumerate(data.towers):
            for measure, values in judge(model, data, tower, outside, scenes_outside).items():
                found[name].setdefault(measure, []).extend(values)
    return {
        name: {measure: round(float(np.mean(values)), 4) for measure, values in measures.items()}
        for name, measures in found.items()
    }


def grid(text: str) -> list[Settings]:
    """Settings from JSON: each key a list of values, all combinations."""
    values = json.loads(text)
    return [
        Settings(**dict(zip(values, combination, strict=True)))
        for combination in itertools.product(*values.values())
    ]


def write_models(model: MiniCLAP, settings: Settings, output: Path) -> None:
    """`mini`, and `mini-mn04`, which is the same but for its audio tower and stores nothing."""
    training = {"recipe": "recipes/mini/projections.py", "settings": asdict(settings)}
    model.save_pretrained(output / "mini", half=True)
    write_manifest(Checkpoint(model, None, training), output / "mini")
    theirs, sizes = output / "mini-mn04", TaggerSizes()
    config = replace(
        model.config, name="mini-mn04", audio_expanded=sizes.expanded, audio_out=sizes.out
    )
    write_shared(theirs, config.to_json(), "mini")
    write_manifest(Checkpoint(MiniMN04CLAP(config, model.tokenizer), None, training), theirs)


def main() -> None:
    """Parse; load the encoders; choose or train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=["choose", "train"])
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--more", type=Path, required=True, help="folder of bank_more.py")
    parser.add_argument("--encoders", type=Path, required=True, help="checkpoint with both towers")
    parser.add_argument("--mn04", type=Path, required=True)
    parser.add_argument("--features", type=Path, required=True, help="folder of what towers hear")
    parser.add_argument("--grid", default="{}", help='for example {"steps": [0, 80]}')
    parser.add_argument("--output", type=Path, help="folder for the folders of both models")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = MiniCLAP.from_pretrained(arguments.encoders)
    towers = {
        "mini": model.audio_encoder,
        "mini-mn04": AudioEncoder(load_mn04(arguments.mn04).fold()),
    }
    data = Data(
        model,
        towers,
        shared=arguments.shared,
        more=arguments.more,
        cache=arguments.features,
    )
    if arguments.stage == "choose":
        for settings in grid(arguments.grid):
            given = {key: value for key, value in asdict(settings).items() if key in arguments.grid}
            for tower, measures in cross_validate(model, data, settings).items():
                print(given, tower, measures, flush=True)
        return
    (settings,) = grid(arguments.grid)
    chosen = np.flatnonzero([not clip.held_out for clip in data.clips])
    fit(model, data, settings, chosen, np.arange(len(data.scenes)))
    write_models(model, settings, arguments.output)


if __name__ == "__main__":
    main()
