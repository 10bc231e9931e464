"""Distil the text tower from all-MiniLM-L6-v2: `cache` the teacher, then `train`; resumable."""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from pathlib import Path

import numpy as np
import torch
from schedule import one_cycle, save_atomically
from texts import split_texts
from tokenizers import Tokenizer

from humanclap.clap.mini.config import MiniConfig
from humanclap.clap.mini.text import TextEncoder, encode, train_tokenizer

CHUNK = 16_384


def cache(arguments: argparse.Namespace) -> None:
    """texts.json, tokenizer.json and the teacher's embeddings in numbered float16 chunks."""
    from minilm import MiniLM

    arguments.work.mkdir(parents=True, exist_ok=True)
    train, held_out = split_texts(arguments.shared, arguments.made)
    random.Random(arguments.seed).shuffle(train)
    texts = train + [text for group in held_out.values() for text in group]
    sizes = {name: len(group) for name, group in held_out.items()}
    content = {"train": len(train), "held_out": sizes, "texts": texts}
    (arguments.work / "texts.json").write_text(json.dumps(content))
    train_tokenizer(train, MiniConfig().text_vocabulary).save(
        str(arguments.work / "tokenizer.json")
    )
    teacher = MiniLM()
    for start in range(0, len(texts), CHUNK):
        path = arguments.work / f"teacher-{start // CHUNK:03d}.npy"
        if path.exists():
            continue
        embeddings = teacher.embed(texts[start : start + CHUNK], bf16=True).astype(np.float16)
        part = path.with_suffix(".part.npy")
        np.save(part, embeddings)
        part.rename(path)
        print(f"teacher: {start + len(embeddings)} of {len(texts)}", flush=True)


def batches(lengths: np.ndarray, size: int, pick: np.random.Generator) -> list[np.ndarray]:
    """Indices in batches of alike length, in random order."""
    order = np.argsort(lengths + pick.uniform(0, 3, len(lengths)))
    parts = [order[start : start + size] for start in range(0, len(order), size)]
    pick.shuffle(parts)
    return parts


class Texts:
    """Token ids and teacher embeddings of every text of the cache."""

    def __init__(self, work: Path, max_tokens: int) -> None:
        content = json.loads((work / "texts.json").read_text())
        self.texts: list[str] = content["texts"]
        self.train_count: int = content["train"]
        self.held_out: dict[str, int] = content["held_out"]
        self.teacher = np.concatenate(
            [np.load(path) for path in sorted(work.glob("teacher-???.npy"))]
        )
        self.tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))
        self.max_tokens = max_tokens
        encodings = self.tokenizer.encode_batch(self.texts[: self.train_count])
        self.lengths = np.array([min(len(encoding.ids), max_tokens) for encoding in encodings])

    def batch(self, chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Ids, mask and the teacher's embeddings of the chosen texts."""
        texts = [self.texts[index] for index in chosen]
        ids, mask = encode(self.tokenizer, texts, self.max_tokens, torch.device("cpu"))
        return ids, mask, torch.from_numpy(self.teacher[chosen].astype(np.float32))


def loss_of(embeddings: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """1 - cosine with the teacher, plus the difference between the two similarity matrices."""
    cosine = (embeddings * teacher).sum(1)  # (batch,)
    relations = (embeddings @ embeddings.T - teacher @ teacher.T).square().mean()
    return (1 - cosine).mean() + 5.0 * relations


@torch.inference_mode()
def held_out_cosines(encoder: TextEncoder, data: Texts) -> dict[str, float]:
    """Mean cosine with the teacher for each kind of held-out text."""
    encoder.eval()
    result, start = {}, data.train_count
    for name, count in data.held_out.items():
        cosines = []
        for first in range(start, start + count, 128):
            chosen = np.arange(first, min(first + 128, start + count))
            ids, mask, teacher = data.batch(chosen)
            cosines.append((encoder(ids, mask) * teacher).sum(1))
        result[name] = round(float(torch.cat(cosines).mean()), 4)
        start += count
    return result


def train(arguments: argparse.Namespace) -> None:
    """One-cycle AdamW in bfloat16; a checkpoint each quarter of an epoch, the newest is resumed."""
    config = MiniConfig()
    torch.manual_seed(arguments.seed)
    data = Texts(arguments.work, config.max_tokens)
    encoder = TextEncoder(config)
    optimiser = torch.optim.AdamW(encoder.parameters(), lr=arguments.rate, weight_decay=0.01)
    per_epoch = -(-data.train_count // arguments.batch)
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
    began, done = time.monotonic(), 0
    while step < total:
        pick = np.random.default_rng([arguments.seed, step // per_epoch])
        first = step % per_epoch
        epoch = batches(data.lengths, arguments.batch, pick)[first : first + total - step]
        for chosen in epoch:
            for group in optimiser.param_groups:
                group["lr"] = one_cycle(step / total, arguments.rate)
            ids, mask, teacher = data.batch(chosen)
            encoder.train()
            with torch.autocast("cpu", torch.bfloat16):
                embeddings = encoder(ids, mask)
            loss = loss_of(embeddings, teacher)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
            optimiser.step()
            step, done = step + 1, done + len(chosen)
            if step % (per_epoch // 4) == 0 or step == total:
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
    parser.add_argument("--made", type=int, default=60_000)
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
