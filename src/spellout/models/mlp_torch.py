"""mlp in PyTorch: the last letters as vectors, one hidden layer of tanh.

Bengio 2003, "A Neural Probabilistic Language Model". The same network, written in scalars and compiled, is the
program `mlp`.

    N windows · C context · E embedding · H hidden · V vocabulary
"""

from __future__ import annotations

from torch import Tensor, nn

from .torch_families import TorchMlpConfig
from .torch_layers import TANH_GAIN, linear, small_linear


class Mlp(nn.Module):
    """logits = U tanh(W [vectors of the last letters] + b) + d."""

    def __init__(self, config: TorchMlpConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, config.embedding)
        self.hidden = linear(config.context * config.embedding, config.hidden, TANH_GAIN)
        self.dropout = nn.Dropout(config.dropout)
        self.head = small_linear(config.hidden, vocabulary_size)

    def forward(self, windows: Tensor) -> Tensor:
        """Windows (N, C), the newest token last, to logits (N, V)."""
        read = self.embedding(windows).flatten(1)  # (N, C * E)
        return self.head(self.dropout(self.hidden(read).tanh()))
