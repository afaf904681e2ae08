"""Layers as the networks in PyTorch begin them: sizes of random weights chosen for what comes after.

He et al. 2015, "Delving Deep into Rectifiers": a layer keeps the variance of its input if its weights have the
deviation gain / sqrt(inputs), with gain 5/3 for tanh and sqrt(2) for relu.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

TANH_GAIN = 5 / 3
SMALL = 0.1


def linear(inputs: int, outputs: int, gain: float = 1.0, bias: bool = True) -> nn.Linear:
    """A layer with weights of deviation gain / sqrt(inputs), and biases of zero."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.normal_(layer.weight, std=gain * inputs**-0.5)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def small_linear(inputs: int, outputs: int) -> nn.Linear:
    """A last layer: its logits are small, so that at first all tokens are about equally likely."""
    return linear(inputs, outputs, SMALL)


class Dropout(nn.Dropout):
    """On a CPU one random word decides over four units, to one part in 65,536. PyTorch's takes twice as
    long or more (bench/torch_family.py), a tenth of a step of a small network."""

    def forward(self, x: Tensor) -> Tensor:
        """Zeros at random places, the rest larger, so that the mean stays."""
        if not self.training or not self.p or x.device.type != "cpu":
            return super().forward(x)
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        dropped = min(round(self.p * 2**16), 2**16 - 1)
        kept = words.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - 2**15
        return x * kept.to(x.dtype).mul_(2**16 / (2**16 - dropped))


class Blend(nn.Module):
    """Weighs what a network says with what an n-gram says: a product of both, each to a power. How much the n-gram
    is trusted depends on what the network says. At first both count once.

    Hinton 2002, "Training Products of Experts by Minimizing Contrastive Divergence".
    """

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.powers = nn.Parameter(torch.ones(2))
        self.trust = nn.Parameter(torch.zeros(vocabulary_size))

    def forward(self, logits: Tensor, counted: Tensor) -> Tensor:
        """Logits (..., V) and log-probabilities (..., V) to logits (..., V)."""
        power = self.powers[1] + logits @ self.trust * len(self.trust) ** -0.5  # (...)
        return self.powers[0] * logits + power[..., None] * counted


class Table:
    """Lays tokens side by side, of which `sizes` (T,) go on at each step, out as a table of steps and lines, and
    back. The table is flat, (T · B, ...), so that neither way needs more than one index."""

    def __init__(self, sizes: Tensor, device: torch.device) -> None:
        self.length, self.lines = len(sizes), int(sizes[0])
        places = (torch.arange(self.lines) < sizes[:, None]).flatten().nonzero()[:, 0]
        self.steps = (places // self.lines).to(device)  # (N,)
        self._places = places.to(device)
        self._full = len(places) == self.length * self.lines

    def lay(self, x: Tensor) -> Tensor:
        """(N, C) to (T, B, C), with zeros where lines have ended."""
        if not self._full:
            x = x.new_zeros(self.length * self.lines, x.shape[-1]).index_copy(0, self._places, x)
        return x.view(self.length, self.lines, -1)

    def gather(self, table: Tensor) -> Tensor:
        """(T, B, C) to (N, C)."""
        flat = table.reshape(self.length * self.lines, -1)
        return flat if self._full else flat.index_select(0, self._places)
