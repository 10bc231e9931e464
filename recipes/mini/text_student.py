"""Distil the text tower from all-MiniLM-L6-v2: `cache` the teacher, then `train`; resumable."""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bank import read_rows
from profiles import Profiles
from schedule import one_cycle, save_atomically
from texts import events_of, gather, order_weights
from tokenizers import Tokenizer
from torch.nn.attention import SDPBackend, sdpa_kernel

from humanclap.clap.mini.config import MiniConfig
from humanclap.clap.mini.text import TextEncoder, pad, train_tokenizer

CHUNK = 16_384
ORDER_WEIGHT = 0.5
LABELS = "models/mn04/class_labels_indices.csv"
SEQUENCE = re.compile(r"\b(then|followed|before|after|following|later|while|as)\b", re.IGNORECASE)
"""Words that may put events in order: what order a read text has is then not known."""


def cache(arguments: argparse.Namespace) -> None:
    """texts.json, tokenizer.json, and the teacher's embeddings in numbered float16 chunks.

    The texts stand in one list: read, made, pool of events, held out. parts.npz: the events of
    those that are natural or held out; labels.npy: the teacher's labels' names.
    """
    from minilm import MiniLM

    arguments.work.mkdir(parents=True, exist_ok=True)
    found = gather(arguments.shared, events=arguments.events, made=arguments.made)
    held_out = [text for group in found.held_out.values() for text in group]
    texts = [*found.texts, *(caption.text for caption in found.made), *found.pool, *held_out]
    content = {
        "natural": found.natural,
        "read": len(found.texts),
        "pool": len(found.pool),
        "events": [caption.events for caption in found.made],
        "weights": [order_weights(caption.ranks) for caption in found.made],
        "held_out": {name: len(group) for name, group in found.held_out.items()},
        "texts": texts,
    }
    (arguments.work / "texts.json").write_text(json.dumps(content))
    train_tokenizer(texts[: -len(held_out)], MiniConfig().text_vocabulary).save(
        str(arguments.work / "tokenizer.json")
    )
    teacher = MiniLM(bf16=True)
    for start in range(0, len(texts), CHUNK):
        path = arguments.work / f"teacher-{start // CHUNK:03d}.npy"
        if path.exists():
            continue
        embeddings = teacher.embed(texts[start : start + CHUNK]).astype(np.float16)
        part = path.with_suffix(".part.npy")
        np.save(part, embeddings)
        part.rename(path)
        print(f"teacher: {start + len(embeddings)} of {len(texts)}", flush=True)
    split = {row: events_of(texts[row]) for row in natural_rows(content)}
    phrases = sorted({phrase for parts in split.values() for phrase in parts})
    place = {phrase: index for index, phrase in enumerate(phrases)}
    np.savez(
        arguments.work / "parts.npz",
        embeddings=teacher.embed(phrases).astype(np.float16),
        rows=np.concatenate([[row] * len(parts) for row, parts in split.items()]),
        phrases=np.array([place[phrase] for parts in split.values() for phrase in parts]),
    )
    names = [row["display_name"] for row in read_rows(arguments.shared / LABELS)]
    np.save(arguments.work / "labels.npy", teacher.embed(names))


def natural_rows(content: dict[str, Any]) -> list[int]:
    """Rows of the texts that people wrote, and of those held out."""
    end = len(content["texts"])
    return [*range(content["natural"]), *range(end - held_out_count(content), end)]


def held_out_count(content: dict[str, Any]) -> int:
    """How many texts at the end of the list are held out."""
    return sum(content["held_out"].values())


def batches(
    chosen: np.ndarray, lengths: np.ndarray, size: int, pick: np.random.Generator
) -> list[np.ndarray]:
    """The chosen rows in batches of alike length, in random order."""
    order = chosen[np.argsort(lengths[chosen] + pick.uniform(0, 3, len(chosen)))]
    parts = [order[start : start + size] for start in range(0, len(order), size)]
    pick.shuffle(parts)
    return parts


class Texts:
    """Token ids and teacher embeddings of every text of the cache, and the order of made ones."""

    def __init__(self, work: Path, max_tokens: int) -> None:
        content = json.loads((work / "texts.json").read_text())
        self.read, self.natural = content["read"], content["natural"]
        self.train_count = self.read + len(content["events"])
        self.held_out: dict[str, int] = content["held_out"]
        self.held_out_from = self.train_count + content["pool"]
        self.teacher = np.concatenate(
            [np.load(path) for path in sorted(work.glob("teacher-???.npy"))]
        )
        pool = self.teacher[self.train_count : self.held_out_from].astype(np.float32)
        self.order = np.zeros((self.train_count, pool.shape[1]), np.float16)
        for row, (events, weights) in enumerate(
            zip(content["events"], content["weights"], strict=True), self.read
        ):
            if any(weights):
                self.order[row] = np.float32(weights) @ pool[events]
        self._read_profiles(work, content, pool)
        texts: list[str] = content["texts"]
        unknown = [bool(SEQUENCE.search(text)) for text in texts[: self.read]]
        self.order_known = ~np.array(unknown + [False] * len(content["events"]))
        tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))
        self.ids = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
        self.lengths = np.array([min(len(ids), max_tokens) for ids in self.ids])
        self.max_tokens = max_tokens

    def _read_profiles(self, work: Path, content: dict[str, Any], pool: np.ndarray) -> None:
        """Which phrases each text has, as rows of one table of embeddings."""
        with np.load(work / "parts.npz") as stored:
            phrases, rows, places = stored["embeddings"], stored["rows"], stored["phrases"]
        self.phrases = np.concatenate([phrases, pool.astype(np.float16)])
        self.events: dict[int, list[int]] = {}
        for row, place in zip(rows.tolist(), places.tolist(), strict=True):
            self.events.setdefault(row, []).append(place)
        for row, events in enumerate(content["events"], self.read):
            self.events[row] = [len(phrases) + event for event in events]
        natural = self.teacher[: self.natural].astype(np.float32)
        captions = [row for row in range(self.natural) if len(self.events[row]) > 1]
        self.profiles = Profiles(np.load(work / "labels.npy"))
        self.profiles.centre_on(
            torch.from_numpy(natural[captions]), [self.events_of(row) for row in captions]
        )

    def events_of(self, row: int) -> torch.Tensor:
        """Embeddings of a text's events (events, 384); of the whole where they are not known."""
        places = self.events.get(row)
        chosen = self.teacher[row][None] if places is None else self.phrases[places]
        return torch.from_numpy(chosen.astype(np.float32))

    def epoch(self, size: int, pick: np.random.Generator) -> list[np.ndarray]:
        """Batches of all made captions, natural ones four times, and half of the other texts."""
        other = pick.choice(
            np.arange(self.natural, self.read), (self.read - self.natural) // 2, replace=False
        )
        natural = np.tile(np.arange(self.natural), 4)
        made = np.arange(self.read, self.train_count)
        return batches(np.concatenate([natural, other, made]), self.lengths, size, pick)

    def batch(self, chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Ids, mask and the teacher's embeddings of the chosen texts."""
        ids, mask = pad([self.ids[index] for index in chosen], self.max_tokens)
        return ids, mask, torch.from_numpy(self.teacher[chosen].astype(np.float32))

    def profile_of(self, chosen: np.ndarray) -> torch.Tensor:
        """Profiles that the texts should have (batch, labels), unit."""
        whole = torch.from_numpy(self.teacher[chosen].astype(np.float32))
        return self.profiles(whole, [self.events_of(int(row)) for row in chosen])

    def order_of(self, chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Order of the chosen training texts (batch, 384), and where it is known (batch,)."""
        order = torch.from_numpy(self.order[chosen].astype(np.float32))
        return order, torch.from_numpy(self.order_known[chosen]).float()


def loss_of(
    output: torch.Tensor,
    teacher: torch.Tensor,
    profile: torch.Tensor,
    order: torch.Tensor,
    known: torch.Tensor,
) -> torch.Tensor:
    """1 - cosine with the teacher and with the profile, the difference of the similarity matrices,
    and the order.

    output: (batch, 768 + labels), as `TextEncoder` has it; known: 0 where the order is not.
    """
    dim = teacher.shape[1]
    embeddings, ours, labels = output[:, :dim], output[:, dim : 2 * dim], output[:, 2 * dim :]
    cosine = (embeddings * teacher).sum(1)  # (batch,)
    relations = (embeddings @ embeddings.T - teacher @ teacher.T).square().mean()
    order_error = (known * (ours - order).square().sum(1)).mean()
    profile_error = (1 - (labels * profile).sum(1)).mean()
    return (1 - cosine).mean() + profile_error + 5.0 * relations + ORDER_WEIGHT * order_error


@torch.inference_mode()
def held_out_cosines(encoder: TextEncoder, data: Texts) -> dict[str, float]:
    """Mean cosine with the teacher, and with the profile, for each kind of held-out text."""
    encoder.eval()
    result, start = {}, data.held_out_from
    for name, count in data.held_out.items():
        cosines, profiles = [], []
        for first in range(start, start + count, 128):
            chosen = np.arange(first, min(first + 128, start + count))
            ids, mask, teacher = data.batch(chosen)
            output = encoder(ids, mask)
            cosines.append((output[:, : teacher.shape[1]] * teacher).sum(1))
            profile = data.profile_of(chosen)
            profiles.append((output[:, 2 * teacher.shape[1] :] * profile).sum(1))
        result[name] = round(float(torch.cat(cosines).mean()), 4)
        result[f"{name} profile"] = round(float(torch.cat(profiles).mean()), 4)
        start += count
    return result


def train(arguments: argparse.Namespace) -> None:
    """One-cycle AdamW in bfloat16, plain attention being twice as fast backwards; resumable."""
    config = MiniConfig()
    torch.manual_seed(arguments.seed)
    data = Texts(arguments.work, config.max_tokens)
    encoder = TextEncoder(config)
    optimiser = torch.optim.AdamW(encoder.parameters(), lr=arguments.rate, weight_decay=0.01)
    per_epoch = len(data.epoch(arguments.batch, np.random.default_rng(0)))
    total, step = int(per_epoch * arguments.epochs), 0
    state_path = arguments.work / arguments.state
    if arguments.start is not None:
        earlier = torch.load(arguments.work / arguments.start, weights_only=True)
        encoder.load_state_dict(earlier["encoder"])
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        encoder.load_state_dict(state["encoder"])
        optimiser.load_state_dict(state["optimiser"])
        step = state["step"]
    read = torch.compile(encoder, dynamic=True)  # half the time
    began, done = time.monotonic(), 0
    while step < total:
        pick = np.random.default_rng([arguments.seed, step // per_epoch])
        first = step % per_epoch
        epoch = data.epoch(arguments.batch, pick)[first : first + total - step]
        for chosen in epoch:
            for group in optimiser.param_groups:
                group["lr"] = one_cycle(step / total, arguments.rate)
            ids, mask, teacher = data.batch(chosen)
            encoder.train()
            with sdpa_kernel(SDPBackend.MATH), torch.autocast("cpu", torch.bfloat16):
                output = read(ids, mask)
            loss = loss_of(output, teacher, data.profile_of(chosen), *data.order_of(chosen))
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
            optimiser.step()
            step, done = step + 1, done + len(chosen)
            if step % (per_epoch // 8) == 0 or step == total:
                save_atomically(
                    {
                        "encoder": encoder.state_dict(),
                        "optimiser": optimiser.state_dict(),
                        "step": step,
                    },
                    state_path,
                )
                rate = done / (time.monotonic() - began)
                print(
                    f"step {step}/{total} {rate:.0f}/s", held_out_cosines(encoder, data), flush=True
                )


def main() -> None:
    """Parse and run one of the two stages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=["cache", "train"])
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--state", default="text1.pt", help="checkpoint in WORK, resumed")
    parser.add_argument("--start", help="checkpoint in WORK of an earlier stage to begin from")
    parser.add_argument("--events", type=int, default=9_000)
    parser.add_argument("--made", type=int, default=260_000)
    parser.add_argument("--epochs", type=float, default=2.0)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", "1")))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    {"cache": cache, "train": train}[arguments.stage](arguments)


if __name__ == "__main__":
    main()
