"""Contrastive training of the projections on captions, over frozen and cached encoder outputs.

`choose` cross-validates the settings in four folds (an ESC fold and a quarter of the prompts each);
`train` uses one setting on all but the held-out clips and writes a checkpoint. Neither reads ESC
fold 4 or RELATE.
"""

from __future__ import annotations

import argparse
import itertools
import json
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from bank import Clip, normalise, read_bank, read_rows
from features import cached_features
from texts import tagged
from torch import Tensor, nn
from torch.nn import functional as F

from humanclap.clap.checkpoint import Checkpoint, write_manifest
from humanclap.clap.mini import MiniCLAP, MiniMN04CLAP
from humanclap.clap.mini.mn04 import load_mn04
from humanclap.clap.mini.text import encode

ESC_FOLDS = ("1", "2", "3", "5")
LONGEST_CAPTION = 250  # characters; longer ones describe music and mood


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One way of training the projections."""

    epochs: int = 5
    rate: float = 1e-3
    batch: int = 128
    weight_decay: float = 0.05
    sharpness: float = 1.0
    centring: float = 0.5
    text: bool = False
    seed: int = 1


class Data:
    """Clips with their encoder outputs, their captions' embeddings, and the folds."""

    def __init__(self, model: MiniCLAP, shared: Path, cache: Path) -> None:
        clips = [clip for clip in read_bank(shared) if len(clip.text) <= LONGEST_CAPTION]
        self.clips = clips
        self.features = torch.from_numpy(
            cached_features(model.audio_encoder, [clip.path for clip in clips], cache)
        )
        self.captions = sorted({form for clip in clips for form in forms(clip)})
        self.row = {caption: row for row, caption in enumerate(self.captions)}
        self.text = _embed(model, self.captions)  # (captions, 384), before projection
        self.group = np.array([normalise(clip.text) for clip in clips])
        self.fold = np.array([fold_of(clip) for clip in clips])
        rows = read_rows(shared / "models/mn04/class_labels_indices.csv")
        self.labels = _embed(model, [row["display_name"] for row in rows])


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
def _embed(model: MiniCLAP, texts: list[str]) -> Tensor:
    parts = []
    for start in range(0, len(texts), 64):
        chunk = texts[start : start + 64]
        ids, mask = encode(model.tokenizer, chunk, model.config.max_tokens, torch.device("cpu"))
        parts.append(model.text_encoder(ids, mask))
    return torch.cat(parts).clone()


def prepare(model: MiniCLAP, data: Data, settings: Settings) -> None:
    """Fresh projections with the label bridge set from the model's own text tower."""
    torch.manual_seed(settings.seed)
    fresh = type(model)(replace(model.config, bridge_sharpness=settings.sharpness), model.tokenizer)
    model.config = fresh.config
    model.audio_projection, model.text_projection = fresh.audio_projection, fresh.text_projection
    model.log_scale = fresh.log_scale
    centred = data.labels - settings.centring * data.labels.mean(0)
    model.audio_projection.label_embeddings.copy_(F.normalize(centred, dim=1))


def fit(model: MiniCLAP, data: Data, settings: Settings, chosen: np.ndarray) -> None:
    """Symmetric cross-entropy; pairs that share a caption are no negatives of each other."""
    prepare(model, data, settings)
    trained: list[nn.Parameter] = [*model.audio_projection.parameters(), model.log_scale]
    trained += list(model.text_projection.parameters()) if settings.text else []
    optimiser = torch.optim.AdamW(trained, lr=settings.rate, weight_decay=settings.weight_decay)
    random = np.random.default_rng(settings.seed)
    total = settings.epochs * (len(chosen) // settings.batch)
    groups = np.unique(data.group, return_inverse=True)[1]
    model.audio_projection.train()
    model.text_projection.train(settings.text)
    for step in range(total):
        if step % (len(chosen) // settings.batch) == 0:
            order = random.permutation(chosen)
        first = step % (len(chosen) // settings.batch) * settings.batch
        batch = order[first : first + settings.batch]
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * min(1.0, (step + 1) / 10) * (1 - step / total)
        rows = [data.row[random.choice(forms(data.clips[index]))] for index in batch]
        audio = F.normalize(model.audio_projection(data.features[batch]), dim=1)
        text = F.normalize(model.text_projection(data.text[rows]), dim=1)
        logits = model.logit_scale * audio @ text.T  # (batch, batch), row = audio
        same = torch.from_numpy(groups[batch][:, None] == groups[batch][None, :])
        logits = logits.masked_fill(same & ~torch.eye(len(batch), dtype=torch.bool), -1e4)
        own = torch.arange(len(batch))
        loss = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()


@torch.inference_mode()
def judge(model: MiniCLAP, data: Data, held_out: np.ndarray) -> dict[str, float]:
    """On held-out clips: ESC-10 zero-shot, and finding a prompt among all held-out prompts."""
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
    above = (matched > scores)[others].float().mean()
    pooled = scores[others].sort().values  # one threshold for all clips, as a score is read
    across = torch.searchsorted(pooled, matched[:, 0].contiguous()).float() / len(pooled)
    return {
        "esc10": float(np.mean(correct)),
        "r10": float((rank <= 10).float().mean()),
        "mrr": float((1 / rank).mean()),
        "auc_within": float(above),
        "auc": float(across.mean()),
    }


def cross_validate(model: MiniCLAP, data: Data, settings: Settings) -> dict[str, float]:
    """Means over the four folds."""
    results = []
    for fold in range(len(ESC_FOLDS)):
        fit(model, data, settings, np.flatnonzero(data.fold != fold))
        results.append(judge(model, data, np.flatnonzero(data.fold == fold)))
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
    parser.add_argument("--encoders", type=Path, required=True, help="checkpoint with both towers")
    parser.add_argument("--features", type=Path, required=True, help="cache of encoder outputs")
    parser.add_argument("--mn04", type=Path, help="train the projections of mini-mn04 over it")
    parser.add_argument("--grid", default="{}", help='for example {"epochs": [3, 5], "seed": [1]}')
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load_encoders(arguments.encoders, arguments.mn04)
    data = Data(model, arguments.shared, arguments.features)
    if arguments.stage == "choose":
        for settings in grid(arguments.grid):
            given = {key: value for key, value in asdict(settings).items() if key in arguments.grid}
            print(given, cross_validate(model, data, settings), flush=True)
        return
    (settings,) = grid(arguments.grid)
    fit(model, data, settings, np.flatnonzero([not clip.held_out for clip in data.clips]))
    if isinstance(model, MiniMN04CLAP):
        model.save_shared(arguments.output)
    else:
        model.save_pretrained(arguments.output, half=True)
    write_manifest(Checkpoint(model), arguments.output)


if __name__ == "__main__":
    main()
