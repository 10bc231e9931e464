"""The text tower: a lower-casing WordPiece tokenizer and a small transformer, mean pooled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers import trainers as tokenizer_trainers
from torch import Tensor, nn
from torch.nn import functional as F

from humanclap.clap.backbone import at_least_float32
from humanclap.clap.mini.config import MiniConfig

PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
_SPECIAL = (PAD, UNKNOWN, START, END)


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """A WordPiece tokenizer of at most `vocabulary` pieces; lower case, accents removed."""
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN, max_input_chars_per_word=64))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = tokenizer_trainers.WordPieceTrainer(
        vocab_size=vocabulary, special_tokens=list(_SPECIAL), min_frequency=2, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    start, end = tokenizer.token_to_id(START), tokenizer.token_to_id(END)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, start), (END, end)]
    )
    return tokenizer


def tiny_tokenizer(vocabulary: int) -> Tokenizer:
    """Letters, digits and a few words: enough for a model of `MiniConfig.tiny()`.

    Every English word can be spelt: each letter and digit begins a piece and goes on with one.
    """
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = "a dog barks rain falls cat meows loud quiet then and bird sings siren wails"
    single, doubled = [*letters, *".,'-"], [letter * 2 for letter in letters]
    return train_tokenizer([*single, *single, *doubled, *doubled, words, words], vocabulary)


class _Layer(nn.Module):
    """Pre-norm transformer layer whose padding never reaches a real token."""

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        width = config.text_width
        self.heads = config.text_heads
        self.attention_norm = nn.LayerNorm(width)
        self.attention_in = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.feedforward_norm = nn.LayerNorm(width)
        self.feedforward_in = nn.Linear(width, config.text_feedforward)
        self.feedforward_out = nn.Linear(config.text_feedforward, width)

    def forward(self, tokens: Tensor, visible: Tensor) -> Tensor:
        """tokens: (batch, length, width); visible: (batch, 1, 1, length), bool."""
        batch, length, width = tokens.shape
        projected = self.attention_in(self.attention_norm(tokens))
        query, key, value = projected.view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        merged = attended.transpose(1, 2).reshape(batch, length, width)
        tokens = tokens + self.attention_out(merged)
        hidden = F.gelu(self.feedforward_in(self.feedforward_norm(tokens)))
        return tokens + cast(Tensor, self.feedforward_out(hidden))


class TextEncoder(nn.Module):
    """Token ids (batch, length) and their mask -> (batch, 2 * text_dim + n_labels).

    The columns: a unit sentence embedding; the order of the sentence's events: the embeddings of
    its phrases weighed by their place in time, 0 where all is at once; and the unit profile of the
    sentence: how much more than other captions it asks for each label of the audio tower.
    """

    def __init__(self, config: MiniConfig) -> None:
        super().__init__()
        self.pieces = nn.Embedding(config.text_vocabulary, config.text_width)
        self.positions = nn.Embedding(config.max_tokens, config.text_width)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.text_layers))
        self.norm = nn.LayerNorm(config.text_width)
        self.output = nn.Linear(config.text_width, config.text_dim)
        self.order = nn.Linear(config.text_width, config.text_dim)
        self.profile = nn.Linear(config.text_width, config.n_labels)
        nn.init.normal_(self.pieces.weight, std=0.05)
        nn.init.normal_(self.positions.weight, std=0.02)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """ids: int64; mask: bool, True at real tokens."""
        places = torch.arange(ids.shape[1], device=ids.device)
        tokens = self.pieces(ids) + self.positions(places)  # (batch, length, width)
        visible = mask[:, None, None, :]
        for layer in self.layers:
            tokens = layer(tokens, visible)
        weights = mask.unsqueeze(2).to(tokens.dtype)
        pooled = (self.norm(tokens) * weights).sum(1) / weights.sum(1)
        sentence = F.normalize(at_least_float32(self.output(pooled)), dim=1)
        profile = F.normalize(at_least_float32(self.profile(pooled)), dim=1)
        return torch.cat([sentence, at_least_float32(self.order(pooled)), profile], dim=1)


def encode(
    tokenizer: Tokenizer, texts: Sequence[str], max_tokens: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Ids and mask, both (batch, longest); texts are cut to `max_tokens` with their end mark.

    The tokenizer is not changed: padding and cutting happen here.
    """
    rows = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    ids, mask = pad(rows, max_tokens, tokenizer.token_to_id(PAD) or 0)
    return ids.to(device), mask.to(device)


def pad(rows: Sequence[Sequence[int]], max_tokens: int, filler: int = 0) -> tuple[Tensor, Tensor]:
    """Rows of token ids -> ids (int64) and mask (bool), both (rows, longest).

    A row longer than `max_tokens` loses what is before its last token.
    """
    cut = [row if len(row) <= max_tokens else [*row[: max_tokens - 1], row[-1]] for row in rows]
    lengths = torch.tensor([len(row) for row in cut])
    longest = max(map(len, cut), default=0)
    ids = torch.tensor([[*row, *([filler] * (longest - len(row)))] for row in cut])
    return ids, torch.arange(longest)[None, :] < lengths[:, None]
