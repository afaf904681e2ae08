"""transformer: every letter looks back at all the others, in blocks that add to what came before.

Vaswani 2017, "Attention Is All You Need", as in GPT-2 (Radford 2019, "Language Models are Unsupervised Multitask
Learners"): normalised before each part, GELU, learned places, and layers that add to the stream begin smaller the
more of them there are. Everything but attention works on the tokens of a batch without padding. Places beyond the
last one learned share its vector, so lines may have any length.

    N tokens in a batch · T longest line · B lines · C width · H heads · D = C / H · V vocabulary
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from .families import TransformerConfig
from .layers import Dropout, Table, linear, small_linear

_STD = 0.02
SHORT = 128
"""Up to so many steps, three plain operations take a CPU less time than the fused one (bench/torch_family.py)."""


class CausalAttention(nn.Module):
    """What each token takes from those before it and itself."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries, keys and values (B, H, T, D) each to (B, H, T, D)."""
        length, size = q.shape[2:]
        if length > SHORT or q.device.type != "cpu":
            dropout = self.dropout.p if self.training else 0.0
            return scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
        weights = self.weights(q, k)
        return (self.dropout(weights).mT @ v.reshape(-1, length, size)).view_as(q)

    @staticmethod
    def weights(q: Tensor, k: Tensor) -> Tensor:
        """How much each token looks at each, (B · H, T, T): a row for each key, a column for each query.

        So PyTorch takes the softmax of all columns side by side.
        """
        length, size = q.shape[2:]
        q, k = q.reshape(-1, length, size), k.reshape(-1, length, size)
        later = q.new_full((length, length), -torch.inf).tril(-1)
        return torch.baddbmm(later, k, q.mT, alpha=size**-0.5).softmax(1)


class Attention(nn.Module):
    """Causal attention with several heads."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.attend = CausalAttention(config.dropout)
        self.qkv = linear(config.width, 3 * config.width)
        self.out = linear(config.width, config.width, (2 * config.layers) ** -0.5)

    def forward(self, x: Tensor, table: Table) -> Tensor:
        """Tokens (N, C) to (N, C)."""
        laid = table.lay(self.qkv(x))  # (T, B, 3C)
        q, k, v = laid.view(*laid.shape[:2], 3, self.heads, -1).permute(2, 1, 3, 0, 4)  # (B, H, T, D) each
        return self.out(table.gather(self.attend(q, k, v).permute(2, 0, 1, 3)))

    def read(self, x: Tensor, cache: Tensor | None) -> tuple[Tensor, Tensor]:
        """One more token of every line, (B, C), and keys and values so far (2, B, H, T, D), to both after it."""
        q, k, v = self.qkv(x).view(len(x), 3, self.heads, 1, -1).unbind(1)  # (B, H, 1, D) each
        now = torch.stack([k, v])
        cache = now if cache is None else torch.cat([cache, now], dim=3)
        return self.out(scaled_dot_product_attention(q, cache[0], cache[1]).flatten(1)), cache


class Block(nn.Module):
    """x + attention, then x + a wide layer."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width)
        self.attention = Attention(config)
        self.norm2 = nn.LayerNorm(config.width)
        self.wide = linear(config.width, 4 * config.width, 2**0.5)
        self.back = linear(4 * config.width, config.width, (2 * config.layers) ** -0.5)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, table: Table) -> Tensor:
        """See `Attention`."""
        return self._wide(x + self.dropout(self.attention(self.norm1(x), table)))

    def read(self, x: Tensor, cache: Tensor | None) -> tuple[Tensor, Tensor]:
        """See `Attention`."""
        y, cache = self.attention.read(self.norm1(x), cache)
        return self._wide(x + y), cache

    def _wide(self, x: Tensor) -> Tensor:
        wide = nn.functional.gelu(self.wide(self.norm2(x)))  # exact: 2.5 times as fast as GPT-2's with tanh here
        return x + self.dropout(self.back(wide))


class Transformer(nn.Module):
    """Embeddings of token and place, blocks, a last normalisation, logits."""

    def __init__(self, config: TransformerConfig, vocabulary_size: int) -> None:
        super().__init__()
        assert config.places is not None, "the learner counts the places"
        self.embedding = nn.Embedding(vocabulary_size, config.width)
        self.place_embedding = nn.Embedding(config.places, config.width)
        for table in (self.embedding, self.place_embedding):
            nn.init.normal_(table.weight, std=_STD)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head: nn.Linear | None = None if config.tied == "yes" else small_linear(config.width, vocabulary_size)

    def forward(self, tokens: Tensor, sizes: Tensor) -> Tensor:
        """Tokens (N,) of lines side by side, of which `sizes` (T,) go on at each step, to logits (N, V)."""
        table = Table(sizes, tokens.device)
        x = self._vectors(tokens, table.steps)
        for block in self.blocks:
            x = block(x, table)
        return self._logits(x)

    def read(self, tokens: Tensor, state: tuple[Tensor, ...] | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One more token of every line, (B,), and the state so far to logits (B, V) and the state after."""
        step = 0 if state is None else state[0].shape[3]
        caches = []
        x = self._vectors(tokens, torch.full_like(tokens, step))
        for number, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            x, cache = block.read(x, None if state is None else state[number])
            caches.append(cache)
        return self._logits(x), tuple(caches)

    def _logits(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        return x @ self.embedding.weight.T if self.head is None else self.head(x)

    def _vectors(self, tokens: Tensor, steps: Tensor) -> Tensor:
        places = steps.clamp(max=self.place_embedding.num_embeddings - 1)
        return self.dropout(self.embedding(tokens) + self.place_embedding(places))
