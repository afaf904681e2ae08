"""The fourth lecture, the backward pass of an MLP with BatchNorm by hand, and the third, its initialisation.

Every gradient is the formula of the lecture, on whole matrices, in float64, and is compared with autograd's.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..models.inspection import SATURATED


def forward(x: Tensor, w: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Of windows x (N, C): what is read (N, C E), deviation (H,), normal and hidden (N, H), and logits (N, V)."""
    read = w["table"][x].view(len(x), -1)
    before = read @ w["w1"]  # (N, H)
    deviation = (before.var(0) + 1e-5).sqrt()
    normal = (before - before.mean(0)) / deviation
    hidden = torch.tanh(w["gain"] * normal + w["bias"])
    return read, deviation, normal, hidden, hidden @ w["w2"] + w["b2"]


def gradients_by_hand(x: Tensor, y: Tensor, w: dict[str, Tensor]) -> dict[str, Tensor]:
    """Through cross-entropy, a linear layer, tanh, BatchNorm, a linear layer and the table of vectors.

    `x` (N, C) windows, `y` (N,) targets, `w` the table (V, E), w1 (C E, H), gain and bias (H,), w2 (H, V), b2 (V,).
    """
    number = len(x)
    read, deviation, normal, hidden, logits = forward(x, w)
    # cross-entropy and softmax in one formula: what is predicted less what came, by the mean
    d_logits = logits.softmax(1)
    d_logits[torch.arange(number), y] -= 1.0
    d_logits /= number
    d_activation = (1.0 - hidden**2) * (d_logits @ w["w2"].T)
    d_normal = w["gain"] * d_activation
    # BatchNorm in one formula: each input moves its own output, the mean, and the variance (with n - 1).
    spread = normal * (d_normal * normal).sum(0) * number / (number - 1)
    d_before = (number * d_normal - d_normal.sum(0) - spread) / (number * deviation)
    d_table = torch.zeros_like(w["table"])
    # a letter that stands in several places gets the sum of their gradients
    d_table.index_put_((x,), (d_before @ w["w1"].T).view(*x.shape, -1), accumulate=True)
    return {
        "table": d_table,
        "w1": read.T @ d_before,
        "gain": (d_activation * normal).sum(0),
        "bias": d_activation.sum(0),
        "w2": hidden.T @ d_logits,
        "b2": d_logits.sum(0),
    }


def gradients_by_autograd(x: Tensor, y: Tensor, w: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same gradients by PyTorch."""
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in w.items()}
    loss = cross_entropy(forward(x, leaves)[-1], y)
    return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))


def largest_difference(x: Tensor, y: Tensor, vocabulary_size: int, random: torch.Generator) -> float:
    """How far the gradients by hand are from autograd's, at random weights: the largest difference of a number."""
    shapes = {
        "table": (vocabulary_size, 10),
        "w1": (10 * x.shape[1], 64),
        "gain": (64,),
        "bias": (64,),
        "w2": (64, vocabulary_size),
        "b2": (vocabulary_size,),
    }
    w = {name: 0.5 * torch.randn(shape, generator=random, dtype=torch.float64) for name, shape in shapes.items()}
    hand, auto = gradients_by_hand(x, y, w), gradients_by_autograd(x, y, w)
    return max(float((hand[name] - auto[name]).abs().max()) for name in w)


def first_loss(
    x: Tensor, y: Tensor, vocabulary_size: int, random: torch.Generator, careful: bool
) -> tuple[float, float]:
    """The loss of the second lecture's network before training, and the part of its hidden units that is saturated.

    `careful`: with the third lecture's sizes, instead of deviation 1 for every weight.
    """
    table = torch.randn((vocabulary_size, 10), generator=random)
    w1, b1 = torch.randn((30, 200), generator=random), torch.randn(200, generator=random)
    w2, b2 = torch.randn((200, vocabulary_size), generator=random), torch.randn(vocabulary_size, generator=random)
    if careful:
        w1, b1, w2, b2 = w1 * (5 / 3) / 30**0.5, b1 * 0.01, w2 * 0.01, b2 * 0
    hidden = torch.tanh(table[x].view(len(x), -1) @ w1 + b1)
    saturated = float((hidden.abs() > SATURATED).float().mean())
    return float(cross_entropy(hidden @ w2 + b2, y)), saturated
