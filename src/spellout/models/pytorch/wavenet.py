"""wavenet: a tree that fuses pairs of letters, then pairs of pairs, level by level.

The lecture's version of van den Oord 2016, "WaveNet: A Generative Model for Raw Audio".

    N windows · C context · E embedding · H hidden · V vocabulary
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from ..ranges import Embedding, Hidden, Levels
from .model import NetworkConfig, Statistics, TorchWindowModel

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class WavenetConfig(NetworkConfig):
    """A tree that fuses pairs: of tokens, then of pairs, and so on."""

    rates: ClassVar[dict[str, float]] = {"adamw": 6e-3, "muon": 2e-2}

    batch: int = 512
    """Positions a step learns from, unless the training is told otherwise."""
    hidden: Hidden = 128
    """How many channels."""
    levels: Levels = 3
    """How many times pairs are fused: the context is 2 to that power."""
    embedding: Embedding = 24
    """How many numbers stand for a token."""
    statistics: Statistics = "running"
    """The means and deviations that a trained model uses: averaged while training, or measured at the end."""

    @property
    def context(self) -> int:
        """How many last tokens it sees."""
        return 2**self.levels


class WavenetModel(TorchWindowModel):
    """`levels` times: every two neighbours become one, by a layer, a normalisation and tanh."""

    Config = WavenetConfig

    @staticmethod
    def parts(config: WavenetConfig, vocabulary_size: int) -> dict[str, nn.Module]:
        """The layers, with random weights."""
        from torch import nn

        from .layers import TANH_GAIN, FastDropout, linear, small_linear

        widths = [config.embedding, *[config.hidden] * config.levels]
        return {
            "embedding": nn.Embedding(vocabulary_size, config.embedding),
            # Without biases: the normalisations (Ioffe & Szegedy 2015) would take them away again.
            "fuse": nn.ModuleList(linear(2 * a, b, TANH_GAIN, bias=False) for a, b in pairwise(widths)),
            "norms": nn.ModuleList(nn.BatchNorm1d(width) for width in widths[1:]),
            "dropout": FastDropout(config.dropout),
            "head": small_linear(config.hidden, vocabulary_size),
        }

    @staticmethod
    def forward(net: Any, windows: Tensor) -> Tensor:
        """Windows (N, C), the newest token last, to logits (N, V)."""
        x = net.embedding(windows)  # (N, C, E)
        for fuse, norm in zip(net.fuse, net.norms, strict=True):
            pairs = x.reshape(-1, 2 * x.shape[-1])  # (N · C / 2, 2 E), then half as many at every level
            # Normalised over the batch and over the positions in it.
            x = norm(fuse(pairs)).tanh().view(len(windows), -1, fuse.out_features)  # (N, C / 2, H)
        return net.head(net.dropout(x[:, 0]))  # (N, H) to (N, V)
