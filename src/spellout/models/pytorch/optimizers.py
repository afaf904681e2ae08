"""The optimizers of networks in PyTorch, and which parameter each moves.

Matrices decay; biases, gains and embeddings do not (Loshchilov & Hutter 2019, "Decoupled Weight Decay
Regularization"). With Muon, hidden matrices move by orthogonal updates and the rest as in AdamW (Jordan 2024,
"Muon: An optimizer for hidden layers in neural networks").

Both are those of `torch.optim`, which tests compare. But the first optimizer of `torch.optim` imports PyTorch's
compiler, which takes two seconds, and its function `adamw` counts the steps of every parameter in a tensor, which
costs a small network 0.1 ms a step; and its Muon works in bfloat16, whose conversions cost more than the products:
the gru takes a fifth less time a step with this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from ..parameters import BETAS, EPSILON

MOMENTUM = 0.95
SLOW = 0.2
"""With Muon: the learning rate of what AdamW moves, as a part of the rate of the matrices."""
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5
WIDE = 2
"""From so many columns for each row, Newton–Schulz is worked out on the smaller square matrix."""


class TorchAdamW:
    """Adam with decay apart from the gradient. `part` of the schedule's learning rate is its own.

    `memory` holds, for each parameter by name, the mean of its gradients and of their squares.
    """

    def __init__(self, parameters: Mapping[str, Tensor], decay: float, part: float = 1.0) -> None:
        self.parameters, self.decay, self.part = dict(parameters), decay, part
        self.memory = {
            name: {"mean": torch.zeros_like(p), "square": torch.zeros_like(p)} for name, p in parameters.items()
        }

    @torch.no_grad()
    def step(self, lr: float, number: int) -> None:
        """Move every parameter; `number` counts the steps from 1."""
        parameters, rate = list(self.parameters.values()), lr * self.part
        gradients = _gradients(parameters)
        means, squares = ([memory[which] for memory in self.memory.values()] for which in ("mean", "square"))
        # The rule of `nn/rules.py` in PyTorch's order of operations, one call for the tensors of all parameters.
        if self.decay:
            torch._foreach_mul_(parameters, 1 - rate * self.decay)
        torch._foreach_lerp_(means, gradients, 1 - BETAS[0])
        torch._foreach_mul_(squares, BETAS[1])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - BETAS[1])
        sizes = torch._foreach_sqrt(squares)
        torch._foreach_div_(sizes, (1 - BETAS[1] ** number) ** 0.5)
        torch._foreach_add_(sizes, EPSILON)
        torch._foreach_addcdiv_(parameters, means, sizes, -rate / (1 - BETAS[0] ** number))


class Muon:
    """Momentum whose update is made orthogonal, for matrices. Those of one shape are worked out together.

    `memory` holds, for each parameter by name, the mean of its gradients.
    """

    def __init__(self, parameters: Mapping[str, Tensor], decay: float) -> None:
        self.parameters, self.decay = dict(parameters), decay
        self.memory = {name: {"mean": torch.zeros_like(p)} for name, p in parameters.items()}
        self._alike: dict[tuple[int, ...], list[str]] = {}
        for name, parameter in parameters.items():
            self._alike.setdefault(tuple(sorted(parameter.shape)), []).append(name)

    @torch.no_grad()
    def step(self, lr: float, number: int) -> None:
        """Move every matrix; `number` counts the steps, and does not matter here."""
        # Nesterov's momentum, then the update without its singular values: every direction is moved by as much.
        gradients = dict(zip(self.parameters, _gradients(list(self.parameters.values())), strict=True))
        for names in self._alike.values():
            updates = orthogonal(torch.stack([self._lying(name, gradients[name]) for name in names]))
            for name, update in zip(names, updates, strict=True):
                parameter = self.parameters[name]
                rows, columns = parameter.shape
                parameter.mul_(1 - lr * self.decay)
                # A tall matrix's update is larger by the root of how tall, as in the author's implementation.
                parameter.add_(update.T if rows > columns else update, alpha=-lr * max(1.0, rows / columns) ** 0.5)

    def _lying(self, name: str, gradient: Tensor) -> Tensor:
        """The next update, not yet orthogonal, with at least as many columns as rows."""
        mean = self.memory[name]["mean"].lerp_(gradient, 1 - MOMENTUM)
        update = gradient.lerp(mean, MOMENTUM)
        return update.T if update.shape[0] > update.shape[1] else update


def orthogonal(matrices: Tensor) -> Tensor:
    """Nearly the closest matrices (M, rows, columns), with at least as many columns as rows, whose singular values
    are all 1: five rounds of Newton–Schulz.

    Each round multiplies a matrix X by a polynomial of X Xᵀ, and all these polynomials commute. So where matrices
    are wide, the rounds go over X Xᵀ (rows, rows) alone, and their product multiplies X once: a third less time for
    three columns a row (bench/torch_family.py).
    """
    a, b, c = _QUINTIC
    alone = len(matrices) == 1
    add_product = torch.addmm if alone else torch.baddbmm  # the first is faster
    x = matrices / matrices.flatten(1).norm(dim=1).clamp(min=1e-7)[:, None, None]
    x = x[0] if alone else x
    if x.shape[-1] < WIDE * x.shape[-2]:
        for _ in range(_ROUNDS):
            square = x @ x.mT
            x = add_product(x, add_product(square, square, square, beta=b, alpha=c), x, beta=a)
        return x.view_as(matrices)
    square = x @ x.mT
    factors: list[Tensor] = []
    for number in range(_ROUNDS):
        if number:
            square = factors[-1] @ square @ factors[-1]
        factor = add_product(square, square, square, beta=b, alpha=c)
        factor.diagonal(dim1=-2, dim2=-1).add_(a)
        factors.append(factor)
    return (reduce(torch.matmul, factors) @ x).view_as(matrices)


def optimizers_of(parameters: Mapping[str, Tensor], config: Any) -> list[TorchAdamW | Muon]:
    """One or more optimizers that move each parameter once."""
    matrices = {name: p for name, p in parameters.items() if p.ndim == 2 and "embedding" not in name}
    hidden = {name: p for name, p in matrices.items() if config.optimizer == "muon" and "head" not in name}
    part = SLOW if hidden else 1.0
    rest = {name: p for name, p in matrices.items() if name not in hidden}
    others = {name: p for name, p in parameters.items() if name not in matrices}
    found: list[TorchAdamW | Muon] = [TorchAdamW(others, 0.0, part)]
    if rest:
        found.append(TorchAdamW(rest, config.weight_decay, part))
    return [*found, Muon(hidden, config.weight_decay)] if hidden else found


def _gradients(parameters: Sequence[Tensor]) -> list[Tensor]:
    """Zeros for parameters that the loss does not reach."""
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
