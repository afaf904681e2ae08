"""The networks of the lectures, trained as the lectures train them: eager PyTorch, batches of 32, SGD, one decay.

Written in the lectures' style and sizes, so that times are measured side by side. A loop is a function that makes a
step; the lectures take 200,000 of them at a rate of 0.1, and 0.01 towards the end.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..models.ngram.counts import context_windows

BATCH, STEPS, HIDDEN = 32, 200_000, 200
TrainingStep = Callable[[int], float]


def examples_of(stream: np.ndarray, context: int) -> tuple[Tensor, Tensor]:
    """The windows (N, C) of a stream and what follows each, (N,)."""
    windows = context_windows(stream, context)[:, ::-1].copy()
    return torch.tensor(windows), torch.tensor(stream[1:].astype(np.int64))


def bigram_network(stream: np.ndarray, vocabulary_size: int, random: torch.Generator) -> TrainingStep:
    """The first lecture's network: one-hot letters, one layer, all data at once, 0.01 of the mean square added."""
    x, y = examples_of(stream, 1)
    weights = torch.randn((vocabulary_size, vocabulary_size), generator=random, requires_grad=True)

    def step(number: int) -> float:
        one_hot = torch.nn.functional.one_hot(x[:, 0], vocabulary_size).float()
        counts = (one_hot @ weights).exp()
        chances = counts / counts.sum(1, keepdim=True)
        loss = -chances[torch.arange(len(y)), y].log().mean()
        weights.grad = None
        torch.autograd.backward(loss + 0.01 * (weights**2).mean())
        assert weights.grad is not None
        # the lecture's rate: a gradient of all the data has no noise, and such long steps do no harm
        weights.data += -50 * weights.grad
        return float(loss.detach())

    return step


def _descend(
    parameters: list[Tensor], logits_of: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, random: torch.Generator
) -> TrainingStep:
    for parameter in parameters:
        parameter.requires_grad = True

    def step(number: int) -> float:
        # with replacement, as in the lectures: no epochs
        chosen = torch.randint(0, len(x), (BATCH,), generator=random)
        loss = cross_entropy(logits_of(x[chosen]), y[chosen])
        for parameter in parameters:
            parameter.grad = None
        torch.autograd.backward(loss)
        rate = 0.1 if number < STEPS // 2 else 0.01
        for parameter in parameters:
            assert parameter.grad is not None
            parameter.data += -rate * parameter.grad
        return float(loss.detach())

    return step


def mlp(stream: np.ndarray, vocabulary_size: int, random: torch.Generator) -> TrainingStep:
    """The second lecture's network: three letters, ten numbers each, 200 units of tanh."""
    table = torch.randn((vocabulary_size, 10), generator=random)
    w1 = torch.randn((30, HIDDEN), generator=random) * (5 / 3) / 30**0.5
    b1 = torch.randn(HIDDEN, generator=random) * 0.01
    w2 = torch.randn((HIDDEN, vocabulary_size), generator=random) * 0.01
    b2 = torch.zeros(vocabulary_size)

    def logits_of(windows: Tensor) -> Tensor:
        return torch.tanh(table[windows].view(-1, 30) @ w1 + b1) @ w2 + b2

    return _descend([table, w1, b1, w2, b2], logits_of, *examples_of(stream, 3), random)


class _BatchNorm:
    """The lectures' own: mean and variance of the batch, and running ones."""

    def __init__(self, size: int) -> None:
        self.gain, self.bias = torch.ones(size), torch.zeros(size)
        self.mean, self.variance = torch.zeros(size), torch.ones(size)

    def __call__(self, x: Tensor) -> Tensor:
        over = tuple(range(x.ndim - 1))
        mean, variance = x.mean(over, keepdim=True), x.var(over, keepdim=True)
        with torch.no_grad():
            self.mean = 0.9 * self.mean + 0.1 * mean
            self.variance = 0.9 * self.variance + 0.1 * variance
        return self.gain * (x - mean) / torch.sqrt(variance + 1e-5) + self.bias


def mlp_bn(stream: np.ndarray, vocabulary_size: int, random: torch.Generator) -> TrainingStep:
    """The third lecture's network: the same with its hidden units normalised."""
    table = torch.randn((vocabulary_size, 10), generator=random)
    w1 = torch.randn((30, HIDDEN), generator=random) * (5 / 3) / 30**0.5
    w2 = torch.randn((HIDDEN, vocabulary_size), generator=random) * 0.01
    b2 = torch.zeros(vocabulary_size)
    norm = _BatchNorm(HIDDEN)

    def logits_of(windows: Tensor) -> Tensor:
        return torch.tanh(norm(table[windows].view(-1, 30) @ w1)) @ w2 + b2

    return _descend([table, w1, norm.gain, norm.bias, w2, b2], logits_of, *examples_of(stream, 3), random)


def wavenet(stream: np.ndarray, vocabulary_size: int, random: torch.Generator) -> TrainingStep:
    """The fifth lecture's network: eight letters, 24 numbers each, pairs fused three times, 128 channels."""
    table = torch.randn((vocabulary_size, 24), generator=random)
    weights = [torch.randn((size, 128), generator=random) / size**0.5 for size in (48, 256, 256)]
    norms = [_BatchNorm(128) for _ in weights]
    w2 = torch.randn((128, vocabulary_size), generator=random) * 0.1 / 128**0.5
    b2 = torch.zeros(vocabulary_size)

    def logits_of(windows: Tensor) -> Tensor:
        x = table[windows]
        for weight, norm in zip(weights, norms, strict=True):
            batch, length, width = x.shape
            x = torch.tanh(norm(x.view(batch, length // 2, 2 * width) @ weight))
        return x[:, 0] @ w2 + b2

    gains = [part for norm in norms for part in (norm.gain, norm.bias)]
    return _descend([table, *weights, *gains, w2, b2], logits_of, *examples_of(stream, 8), random)
