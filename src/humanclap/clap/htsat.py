"""HTSAT, the audio model of LAION's CLAPs, for inference: transformers' numbers by a shorter way.

HTSAT (Chen et al. 2022) is a Swin Transformer (Liu et al. 2021) over a spectrogram. Here each block
puts the tokens into its order of windows by one list of places, and they stay in that order until
the next block. Query, key and value are one product, and attention adds position and mask in one
kernel. The weights are those of transformers, read when the tower is made; when they change, a new
tower is needed. On the CPU each window is computed by itself, so its digits do not depend on the
batch.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from humanclap.clap.backbone import weights_mark
from humanclap.errors import SettingsError

Product = Callable[[Tensor], Tensor]
"""Rows (..., inputs) to (..., outputs), in the product's own dtype: x W' + b."""
_APART = -100.0
"""Added to the attention of tokens that only a cyclic shift made neighbours, as in training."""


class FullProduct:
    """A product in float32 of a weight (outputs, inputs) and a bias (outputs,)."""

    dtype: ClassVar[torch.dtype] = torch.float32

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight = weight.to(self.dtype)
        self._bias = None if bias is None else bias.to(self.dtype)

    def __call__(self, rows: Tensor) -> Tensor:
        """As `Product`."""
        return F.linear(rows.to(self.dtype), self._weight, self._bias)


class HalfProduct(FullProduct):
    """A product in bfloat16, weights converted once; its result is bfloat16 too."""

    dtype = torch.bfloat16


class ByteProduct:
    """A product in 8-bit whole numbers, on the CPU.

    Weights are rounded once, with a scale for each output. Rows are rounded at each call, with one
    scale for all and to 7 bits, because processors without VNNI cut off the sums of wider numbers.
    Raises SettingsError where torch was built without such products.
    """

    dtype: ClassVar[torch.dtype] = torch.float32

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        scale = weight.abs().amax(dim=1).clamp(min=1e-12) / 127
        zero = torch.zeros(len(weight), dtype=torch.long)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch means to replace them, and has not yet
                rounded = torch.quantize_per_channel(weight, scale, zero, 0, torch.qint8)
                self._packed: Any = torch.ops.quantized.linear_prepack(rounded, bias)
        except (AttributeError, RuntimeError) as error:
            raise SettingsError(
                f"torch {torch.__version__} has no 8-bit products here ({error}): take --precision "
                "fp32"
            ) from error

    def __call__(self, rows: Tensor) -> Tensor:
        """As `Product`."""
        found: Tensor = torch.ops.quantized.linear_dynamic(rows, self._packed, True)
        return found


MakeProduct = type[FullProduct] | type[ByteProduct]


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """A Swin block.

    places: of the tokens in the order before, (tokens,). bias: by position, and by mask where it is
    shifted, (1 or windows, heads, n, n) of windows of n tokens.
    """

    places: Tensor
    bias: Tensor
    before: nn.LayerNorm
    qkv: Product
    out: Product
    after: nn.LayerNorm
    widen: Product
    activation: nn.Module
    narrow: Product

    def __call__(self, tokens: Tensor) -> Tensor:
        """(batch, tokens, width) in the order before -> the same in this block's order."""
        tokens = tokens.index_select(1, self.places)
        tokens.add_(self.out(self._attend(self.qkv(self.before(tokens)))))
        return tokens.add_(self.narrow(self.activation(self.widen(self.after(tokens)))))

    def _attend(self, qkv: Tensor) -> Tensor:
        """(batch, tokens, 3 * width) -> (batch, tokens, width)."""
        batch, count, width = len(qkv), qkv.shape[1], qkv.shape[2] // 3
        heads, size = self.bias.shape[1], self.bias.shape[2]
        windows = count // size
        split = qkv.view(batch * windows, size, 3, heads, width // heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)  # (batch * windows, heads, size, depth)
        shifted = len(self.bias) > 1 and batch > 1  # else one bias, or one clip, is all there is
        bias = self.bias.repeat(batch, 1, 1, 1) if shifted else self.bias
        bias = bias.expand(batch * windows, -1, -1, -1)
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return found.transpose(1, 2).reshape(batch, count, width)


@dataclass(frozen=True, slots=True, eq=False)
class _Merge:
    """Between stages: four neighbours become one token. places: of them, (tokens,)."""

    places: Tensor
    norm: nn.LayerNorm
    reduce: Product

    def __call__(self, tokens: Tensor) -> Tensor:
        """(batch, tokens, width) -> (batch, tokens / 4, 2 * width), row by row."""
        four = tokens.index_select(1, self.places).view(len(tokens), -1, 4 * tokens.shape[2])
        return self.reduce(self.norm(four)).float()


class HTSAT:
    """The audio model of a transformers ClapModel as it is now, in eval mode."""

    def __init__(self, encoder: Any, make: MakeProduct = FullProduct) -> None:
        """encoder: `ClapModel.audio_model.audio_encoder`, which `runs_here`; make: its products."""
        self._encoder = encoder
        self._steps: list[_Block | _Merge] = []
        side = encoder.patch_embed.grid_size[0]
        for stage in encoder.layers:
            order = torch.arange(side * side)
            for number, block in enumerate(stage.blocks):
                window = encoder.config.window_size
                shift = window // 2 if number % 2 and side > window else 0
                order, before = _window_order(side, window, shift), order
                places = _places(before, order)
                self._steps.append(_block(block, places, side, window, shift, make))
            if stage.downsample is not None:
                self._steps.append(_merge(stage.downsample, _places(order, _quads(side)), make))
                side //= 2

    def __call__(self, mels: Tensor) -> Tensor:
        """Mels in dB (batch, 1, frames, n_mels) -> pooled output (batch, hidden), float32."""
        with torch.autocast(mels.device.type, enabled=False):
            return one_by_one(self._of_batch, mels)

    def _of_batch(self, mels: Tensor) -> Tensor:
        encoder = self._encoder
        image = encoder.reshape_mel2img(encoder.batch_norm(mels.transpose(1, 3)).transpose(1, 3))
        longer = torch.zeros(0, dtype=torch.long, device=mels.device)
        tokens = encoder.patch_embed(image, longer).contiguous()
        for step in self._steps:
            tokens = step(tokens)
        pooled: Tensor = encoder.norm(tokens).mean(dim=1)
        return pooled


def one_by_one(call: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """`call` of a batch, on the CPU of each row by itself: no digit then depends on the others."""
    if rows.device.type == "cpu" and len(rows) > 1:
        return torch.cat([call(row[None]) for row in rows])
    return call(rows)


class KeptTower:
    """An `HTSAT` of a model's weights, made again where they have changed; not copied with it."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._kept: tuple[object, HTSAT] | None = None

    def of(self, encoder: Any) -> HTSAT | None:
        """That of an audio encoder as it now is, in the arithmetic of the surrounding autocast.

        None where transformers' own way is needed: for gradients, for parts that `runs_here` does
        not know, and for other arithmetic than float32 and bfloat16.
        """
        weight = encoder.norm.weight
        if torch.is_grad_enabled() or weight.dtype != torch.float32 or not runs_here(encoder):
            return None
        make: MakeProduct = FullProduct
        device = weight.device.type
        if torch.is_autocast_enabled(device):
            if torch.get_autocast_dtype(device) != torch.bfloat16:
                return None
            make = HalfProduct
        if (mark := weights_mark(encoder)) is None:
            return None
        with self._making:
            if self._kept is None or self._kept[0] != (make, mark):
                self._kept = (make, mark), HTSAT(encoder, make)
            return self._kept[1]

    def __reduce__(self) -> tuple[type[KeptTower], tuple[()]]:
        return KeptTower, ()


def runs_here(encoder: Any) -> bool:
    """Whether `HTSAT` knows every part of an audio encoder: none was exchanged, sizes divide."""
    if encoder.training or encoder.batch_norm.training or not encoder.patch_embed.flatten:
        return False
    rows, columns = encoder.patch_embed.grid_size
    whole = 2 ** (len(encoder.layers) - 1) * encoder.config.window_size  # tokens of a side
    if rows != columns or rows % whole:
        return False
    parts = [part for stage in encoder.layers for block in stage.blocks for part in _parts(block)]
    merges = [stage.downsample for stage in encoder.layers if stage.downsample is not None]
    parts += [part for merge in merges for part in (merge.norm, merge.reduction)]
    return all(type(part) in (nn.Linear, nn.LayerNorm) for part in parts)


def _parts(block: Any) -> tuple[nn.Module, ...]:
    attention = block.attention.self
    return (
        *(attention.query, attention.key, attention.value, block.attention.output.dense),
        *(block.intermediate.dense, block.output.dense),
        *(block.layernorm_before, block.layernorm_after),
    )


def _block(
    block: Any, places: Tensor, side: int, window: int, shift: int, make: MakeProduct
) -> _Block:
    attention = block.attention.self
    three = (attention.query, attention.key, attention.value)
    weight = torch.cat([part.weight.detach() for part in three])
    biased = attention.query.bias is not None
    bias = torch.cat([part.bias.detach() for part in three]) if biased else None
    device = weight.device

    def product(layer: nn.Linear) -> Product:
        return make(layer.weight.detach(), None if layer.bias is None else layer.bias.detach())

    return _Block(
        places=places.to(device),
        bias=(_position_bias(attention, window) + _mask(side, window, shift).to(device)).to(
            make.dtype
        ),
        before=block.layernorm_before,
        qkv=make(weight, bias),
        out=product(block.attention.output.dense),
        after=block.layernorm_after,
        widen=product(block.intermediate.dense),
        activation=block.intermediate.intermediate_act_fn,
        narrow=product(block.output.dense),
    )


def _merge(downsample: Any, places: Tensor, make: MakeProduct) -> _Merge:
    weight = downsample.reduction.weight.detach()
    return _Merge(places.to(weight.device), downsample.norm, make(weight, None))


def _position_bias(attention: Any, window: int) -> Tensor:
    """What the relative position of two tokens of a window adds, (1, heads, n, n)."""
    size = window * window
    table: Tensor = attention.relative_position_bias_table.detach()
    rows = table[attention.relative_position_index.view(-1)]
    return rows.view(size, size, -1).permute(2, 0, 1)[None].contiguous()


def _mask(side: int, window: int, shift: int) -> Tensor:
    """(windows, 1, n, n): `_APART` between tokens of unlike sides of the edge that a shift wraps.

    (1, 1, 1, 1) of 0 without a shift.
    """
    if not shift:
        return torch.zeros(1, 1, 1, 1)
    along = torch.arange(side)
    region = (along >= side - window).long() + (along >= side - shift).long()
    regions = _in_windows(3 * region[:, None] + region[None, :], window)  # (windows, n)
    unlike = regions[:, None, :] != regions[:, :, None]
    mask: Tensor = unlike * _APART
    return mask[:, None]


def _window_order(side: int, window: int, shift: int) -> Tensor:
    """Tokens of a square, by row, in the order of windows after a cyclic shift, (side * side,)."""
    tokens = torch.arange(side * side).view(side, side)
    return _in_windows(tokens.roll((-shift, -shift), (0, 1)), window).flatten()


def _in_windows(square: Tensor, window: int) -> Tensor:
    """(side, side) -> (windows, window * window)."""
    count = len(square) // window
    parts = square.view(count, window, count, window).transpose(1, 2)
    return parts.reshape(count * count, window * window)


def _quads(side: int) -> Tensor:
    """Tokens of a square in fours that become one: down the first column, then the second."""
    tokens = torch.arange(side * side).view(side, side)
    return torch.stack(
        [tokens[row::2, column::2] for column in (0, 1) for row in (0, 1)], dim=-1
    ).flatten()


def _places(order: Tensor, wanted: Tensor) -> Tensor:
    """Where in `order` each of the `wanted` tokens stands."""
    where = torch.empty_like(order)
    where[order] = torch.arange(len(order))
    return where[wanted]
