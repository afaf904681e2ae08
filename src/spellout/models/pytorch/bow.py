"""bow: a bag of words. What follows depends on the average of everything read so far, and on the last letter.

The causal bag of words of Karpathy's makemore (2022): the average is attention that looks at all places equally.

    N tokens in a batch · T longest line · B lines · E embedding · H hidden · V vocabulary
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .families import BowConfig
from .layers import TANH_GAIN, Dropout, Table, linear, small_linear


class Bow(nn.Module):
    """x + average of all x so far, then x + a hidden layer of it, then logits."""

    def __init__(self, config: BowConfig, vocabulary_size: int) -> None:
        super().__init__()
        assert config.places is not None, "the learner counts the places"
        self.embedding = nn.Embedding(vocabulary_size, config.embedding)
        self.place_embedding = nn.Embedding(config.places, config.embedding)
        for table in (self.embedding, self.place_embedding):
            nn.init.normal_(table.weight, std=0.5)
        self.hidden = linear(config.embedding, config.hidden, TANH_GAIN)
        self.back = linear(config.hidden, config.embedding, 0.5**0.5)
        self.dropout = Dropout(config.dropout)
        self.head = small_linear(config.embedding, vocabulary_size)

    def forward(self, tokens: Tensor, sizes: Tensor) -> Tensor:
        """Tokens (N,) of lines side by side, of which `sizes` (T,) go on at each step, to logits (N, V)."""
        table = Table(sizes, tokens.device)
        x = self._vectors(tokens, table.steps)
        sums = table.gather(table.lay(x).cumsum(0))  # (T, B, E), then (N, E)
        return self._logits(x, sums / (table.steps + 1)[:, None])

    def read(self, tokens: Tensor, state: tuple[Tensor, ...] | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One more token of every line, (B,), and the state so far to logits (B, V) and the state after."""
        steps = torch.zeros_like(tokens) if state is None else state[1][0]
        x = self._vectors(tokens, steps)
        total = x if state is None else state[0][0] + x
        return self._logits(x, total / (steps + 1)[:, None]), (total[None], (steps + 1)[None])

    def _vectors(self, tokens: Tensor, steps: Tensor) -> Tensor:
        return self.embedding(tokens) + self.place_embedding(
            steps.clamp(max=self.place_embedding.num_embeddings - 1)
        )

    def _logits(self, x: Tensor, average: Tensor) -> Tensor:
        x = x + average
        return self.head(self.dropout(x + self.back(self.hidden(x).tanh())))
