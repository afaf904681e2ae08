"""wavenet: a tree that fuses pairs of letters, then pairs of pairs, level by level.

The lecture's version of van den Oord 2016, "WaveNet: A Generative Model for Raw Audio". Each level is normalised
over the batch and over the places in it (Ioffe & Szegedy 2015), so its layers have no biases.

    N windows · C context · E embedding · H hidden · V vocabulary
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from .families import WavenetConfig
from .layers import TANH_GAIN, Dropout, linear, small_linear


class Wavenet(nn.Module):
    """`levels` times: every two neighbours become one, by a layer, a normalisation and tanh."""

    def __init__(self, config: WavenetConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, config.embedding)
        widths = [config.embedding, *[config.hidden] * config.levels]
        self.fuse = nn.ModuleList(linear(2 * a, b, TANH_GAIN, bias=False) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in widths[1:])
        self.dropout = Dropout(config.dropout)
        self.head = small_linear(config.hidden, vocabulary_size)

    def forward(self, windows: Tensor) -> Tensor:
        """Windows (N, C), the newest token last, to logits (N, V)."""
        tree = self.embedding(windows)  # (N, C, E)
        for fuse, norm in zip(self.fuse, self.norms, strict=True):
            pairs = tree.reshape(-1, 2 * tree.shape[-1])  # (N * C / 2, 2 E), then half as many at every level
            tree = norm(fuse(pairs)).tanh().view(len(windows), -1, fuse.out_features)  # (N, C / 2, H)
        return self.head(self.dropout(tree[:, 0]))
