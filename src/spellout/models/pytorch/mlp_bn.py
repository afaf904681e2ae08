"""mlp-bn: the mlp of Bengio 2003 with its hidden units normalised over the batch.

Ioffe & Szegedy 2015, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
Shift".

    N windows · C context · E embedding · H hidden · V vocabulary
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..ranges import Context, Embedding, Hidden
from .model import NetworkConfig, Statistics, TorchWindowModel

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class MlpBnConfig(NetworkConfig):
    """An mlp whose hidden units are normalised over the batch."""

    rates: ClassVar[dict[str, float]] = {"adamw": 6e-3, "muon": 2e-2}

    batch: int = 1024
    """Positions a step learns from, unless the training is told otherwise."""
    hidden: Hidden = 256
    """How many hidden units."""
    context: Context = 8
    """How many last tokens it sees."""
    embedding: Embedding = 16
    """How many numbers stand for a token."""
    statistics: Statistics = "running"
    """The means and deviations that a trained model uses: averaged while training, or measured at the end."""


class MlpBnModel(TorchWindowModel):
    """logits = U tanh(normalised W [vectors of the last letters]) + d."""

    Config = MlpBnConfig

    @staticmethod
    def parts(config: MlpBnConfig, vocabulary_size: int) -> dict[str, nn.Module]:
        """The layers, with random weights."""
        from torch import nn

        from .layers import TANH_GAIN, FastDropout, linear, small_linear

        return {
            "embedding": nn.Embedding(vocabulary_size, config.embedding),
            # Without a bias: the normalisation would take it away again.
            "hidden": linear(config.context * config.embedding, config.hidden, TANH_GAIN, bias=False),
            "norm": nn.BatchNorm1d(config.hidden),
            "dropout": FastDropout(config.dropout),
            "head": small_linear(config.hidden, vocabulary_size),
        }

    @staticmethod
    def forward(net: Any, windows: Tensor) -> Tensor:
        """Windows (N, C), the newest token last, to logits (N, V)."""
        x = net.embedding(windows).flatten(1)  # (N, C · E)
        x = net.norm(net.hidden(x)).tanh()  # (N, H)
        return net.head(net.dropout(x))  # (N, V)
