"""transformer: every letter looks back at all the others, in blocks that add to what came before.

Vaswani 2017, "Attention Is All You Need", as in GPT-2 (Radford 2019, "Language Models are Unsupervised Multitask
Learners"): normalised before each part, GELU, learned positions, and layers that add to the stream begin smaller
the more of them there are. Everything but attention works on the tokens of a batch without padding.

    B lines of a batch · T tokens of the longest · N tokens of all lines, without padding
    C width · H heads (n_head), each of D = C / H numbers · V vocabulary
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...errors import UsageError
from ..ranges import Dropout, Heads, Layers, Optimizer, Tied, Width
from .model import LineModel, NetworkConfig, State

if TYPE_CHECKING:
    from torch import Tensor, nn

_STD = 0.02
SHORT = 128
"""Up to so many steps, three plain operations take a CPU less time than the fused one (bench/torch_family.py)."""


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(NetworkConfig):
    """Blocks of attention and of a wide layer, each added to what came before."""

    rates: ClassVar[dict[str, float]] = {"adamw": 5e-3, "muon": 2e-2}

    batch: int = 128
    """Lines a step learns from, unless the training is told otherwise."""
    width: Width = 64
    """How many numbers stand for a token in every block."""
    layers: Layers = 3
    """How many blocks."""
    heads: Heads = 4
    """In how many ways each block attends; divides the width."""
    places: int | None = None
    """How many places of a line are told apart; by default as many as the longest training line has."""
    tied: Tied = "no"
    """yes: the vectors of the tokens are also what the last layer compares with (Press & Wolf 2017)."""
    dropout: Dropout = 0.1
    """The part of the hidden units that is left out in each step (Srivastava 2014)."""
    optimizer: Optimizer = "muon"
    """muon moves the hidden matrices by orthogonal updates (Jordan 2024), and the rest as adamw does."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads:
            raise UsageError(f"width={self.width}: must be a multiple of heads={self.heads}")


class TransformerModel(LineModel):
    """Embeddings of token and position, blocks, a last normalisation, logits."""

    Config = TransformerConfig
    bounded = False  # GELU has no bound above

    @staticmethod
    def parts(config: TransformerConfig, vocabulary_size: int) -> dict[str, Any]:
        """The layers, with random weights."""
        from torch import nn

        from .layers import FastDropout, embeddings, small_linear

        assert config.places is not None, "the learner counts the positions"
        return {
            **embeddings(vocabulary_size, config.places, config.width, _STD),
            "dropout": FastDropout(config.dropout),
            "blocks": nn.ModuleList(_block(config) for _ in range(config.layers)),
            "norm": nn.LayerNorm(config.width),
            "head": None if config.tied == "yes" else small_linear(config.width, vocabulary_size),
        }

    @staticmethod
    def forward(net: Any, tokens: Tensor, sizes: Tensor) -> Tensor:
        """Tokens (N,) of lines side by side, of which `sizes` (T,) go on at each step, to logits (N, V)."""
        from .layers import Table, embed

        table = Table(sizes, tokens.device)
        x = net.dropout(embed(net, tokens, table.steps))  # (N, C)
        for block in net.blocks:
            x = _through_block(net, block, x, table)  # (N, C)
        return _logits(net, x)

    @staticmethod
    def read(net: Any, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        """One more token of every line, (B,), and the state so far to logits (B, V) and the state after.

        The state is each block's keys and values so far, (2, B, H, T, D), which never change again.
        """
        import torch
        from torch.nn.functional import scaled_dot_product_attention

        from .layers import embed

        B, n_head = len(tokens), net.config.heads
        position = 0 if state is None else state[0].shape[3]
        x = embed(net, tokens, torch.full_like(tokens, position))  # (B, C)
        caches = []
        for number, block in enumerate(net.blocks):
            q, k, v = block.attention.qkv(block.norm1(x)).view(B, 3, n_head, 1, -1).unbind(1)  # (B, H, 1, D) each
            cache = torch.stack([k, v])  # (2, B, H, 1, D)
            if state is not None:
                cache = torch.cat([state[number], cache], dim=3)  # (2, B, H, T, D)
            caches.append(cache)
            # Without a mask: all that is there came before.
            y = scaled_dot_product_attention(q, cache[0], cache[1]).flatten(1)  # (B, H, 1, D) to (B, C)
            x = x + block.attention.out(y)
            x = x + _feed_forward(net, block, x)
        return _logits(net, x), tuple(caches)

    def attention(self, tokens: np.ndarray) -> np.ndarray:
        """How much each position of one line looks at each before it, (layers, H, T, T), for tokens (T,)."""
        import torch

        from .layers import Table, embed

        net, maps = self.module, []
        with torch.inference_mode():
            table = Table(torch.ones(len(tokens), dtype=torch.int64), self.device)
            x = embed(net, self.tensor(tokens), table.steps)  # (T, C)
            for block in net.blocks:
                q, k, _ = _qkv(net, block, x, table)  # (1, H, T, D) each
                maps.append(attention_weights(q, k).mT.cpu().numpy())  # (H, T, T)
                x = _through_block(net, block, x, table)
        return np.stack(maps)


def _block(config: TransformerConfig) -> nn.ModuleDict:
    """The layers of a block, with random weights."""
    from torch import nn

    from .layers import linear

    C = config.width
    # Two layers of each block add to the stream: so its variance does not grow with the number of blocks.
    smaller = (2 * config.layers) ** -0.5
    return nn.ModuleDict(
        {
            "norm1": nn.LayerNorm(C),
            "attention": nn.ModuleDict({"qkv": linear(C, 3 * C), "out": linear(C, C, smaller)}),
            "norm2": nn.LayerNorm(C),
            "wide": linear(C, 4 * C, 2**0.5),
            "back": linear(4 * C, C, smaller),
        }
    )


def _through_block(net: Any, block: Any, x: Tensor, table: Any) -> Tensor:
    """A block takes x (N, C) to x + attention, and this to itself + a wide layer."""
    q, k, v = _qkv(net, block, x, table)
    y = causal_self_attention(q, k, v, net.dropout).permute(2, 0, 1, 3)  # (T, B, H, D)
    projection = block.attention.out
    x = x + net.dropout(projection(table.gather(y)))  # (N, C): the heads side by side
    return x + _feed_forward(net, block, x)


def _qkv(net: Any, block: Any, x: Tensor, table: Any) -> Tensor:
    """Queries, keys and values of a block, (3, B, H, T, D), for x (N, C)."""
    n_head = net.config.heads
    qkv = table.lay(block.attention.qkv(block.norm1(x)))  # (T, B, 3C)
    return qkv.view(*qkv.shape[:2], 3, n_head, -1).permute(2, 1, 3, 0, 4)


def causal_self_attention(q: Tensor, k: Tensor, v: Tensor, dropout: nn.Dropout) -> Tensor:
    """What each position takes from those before it and itself: q, k and v (B, H, T, D) each to (B, H, T, D)."""
    from torch.nn.functional import scaled_dot_product_attention

    T, D = q.shape[2:]
    if T > SHORT or q.device.type != "cpu":
        part = dropout.p if dropout.training else 0.0
        return scaled_dot_product_attention(q, k, v, dropout_p=part, is_causal=True)
    weights = dropout(attention_weights(q, k))  # (B · H, T, T)
    return (weights.mT @ v.reshape(-1, T, D)).view_as(q)


def attention_weights(q: Tensor, k: Tensor) -> Tensor:
    """How much each position looks at each, (B · H, T, T): a row for each key, a column for each query."""
    T, D = q.shape[2:]
    q, k = q.reshape(-1, T, D), k.reshape(-1, T, D)
    later = q.new_full((T, T), float("-inf")).tril(-1)  # what is added where the key comes after the query
    # PyTorch takes the softmax of all columns side by side, so keys are rows.
    return later.baddbmm(k, q.mT, alpha=D**-0.5).softmax(1)


def _feed_forward(net: Any, block: Any, x: Tensor) -> Tensor:
    """What the wide layer of a block, of each token alone, adds to x (N, C)."""
    from torch.nn.functional import gelu

    x = gelu(block.wide(block.norm2(x)))  # (N, 4C), exact: 2.5 times as fast as GPT-2's with tanh here
    return net.dropout(block.back(x))  # (N, C)


def _logits(net: Any, x: Tensor) -> Tensor:
    x = net.norm(x)  # (N, C)
    return x @ net.embedding.weight.T if net.head is None else net.head(x)  # (N, V)
