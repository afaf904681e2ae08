"""mlp-bn: the mlp of Bengio 2003 with its hidden units normalised over the batch.

Ioffe & Szegedy 2015, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
Shift". The hidden layer has no bias: the normalisation would take it away again.

    N windows · C context · E embedding · H hidden · V vocabulary
"""

from __future__ import annotations

from torch import Tensor, nn

from .families import MlpBnConfig
from .layers import TANH_GAIN, Dropout, linear, small_linear


class MlpBn(nn.Module):
    """logits = U tanh(normalised W [vectors of the last letters]) + d."""

    def __init__(self, config: MlpBnConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, config.embedding)
        self.hidden = linear(config.context * config.embedding, config.hidden, TANH_GAIN, bias=False)
        self.norm = nn.BatchNorm1d(config.hidden)
        self.dropout = Dropout(config.dropout)
        self.head = small_linear(config.hidden, vocabulary_size)

    def forward(self, windows: Tensor) -> Tensor:
        """Windows (N, C), the newest token last, to logits (N, V)."""
        read = self.embedding(windows).flatten(1)  # (N, C * E)
        return self.head(self.dropout(self.norm(self.hidden(read)).tanh()))
