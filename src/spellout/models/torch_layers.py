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


def places_of(sizes: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """The step and the line, (N,) each, of tokens side by side, of which `sizes` (T,) go on at each step."""
    left = torch.arange(int(sizes[0])) < sizes[:, None]  # (T, B)
    steps, lines = left.nonzero(as_tuple=True)
    return steps.to(device), lines.to(device)
