"""Optimizers: how parameters follow their gradients. The same numbers as `torch.optim`, to the last few bits.

Kingma & Ba 2015 ("Adam"), Loshchilov & Hutter 2019 ("Decoupled Weight Decay Regularization", AdamW).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from math import inf, sqrt
from typing import Any

from ..autograd.conversion import as_float
from ..autograd.functions import distinct_leaves
from ..autograd.listening import look
from ..autograd.value import Value
from ..errors import ShapeError, UsageError

Rate = float | Callable[[int], float]


def checked_rate(lr: Any) -> float:
    """Return a learning rate as a float; UsageError if it is below 0, infinite or nan."""
    rate = lr if type(lr) is float else as_float(lr)
    if not 0.0 <= rate < inf:
        raise UsageError(f"a learning rate is at least 0 and finite, got {lr}")
    return rate


def check_settings(betas: tuple[float, float] = (0.0, 0.0), **settings: float) -> None:
    """Raise UsageError for a running mean's decay outside [0, 1), or another setting below 0, infinite or nan."""
    for name, number in settings.items():
        if not 0.0 <= as_float(number) < inf:
            raise UsageError(f"{name} is at least 0 and finite, got {number}")
    if len(betas) != 2 or not all(0.0 <= as_float(beta) < 1.0 for beta in betas):
        raise UsageError(f"betas are two numbers of at least 0 and below 1, got {betas}")


class Optimizer(ABC):
    """What all share: parameters, learning rate (a number, or a schedule: step -> number), step count."""

    def __init__(self, parameters: Iterable[Value], lr: Rate) -> None:
        self.parameters = distinct_leaves(parameters)
        if not self.parameters:
            raise UsageError("an optimizer needs at least one parameter")
        self.rate = lr if callable(lr) else checked_rate(lr)
        self.steps = 0
        self.memory: dict[str, list[float]] = {}

    @property
    def lr(self) -> float:
        """The learning rate of the next step; UsageError if a schedule gives none."""
        return checked_rate(self.rate(self.steps)) if callable(self.rate) else self.rate

    def zero_grad(self) -> None:
        """Set every parameter's gradient to zero."""
        for parameter in self.parameters:
            parameter.grad = 0.0

    def step(self) -> None:
        """Move every parameter once. RecordingError while a function is recorded, whose parameters stay."""
        look("a step of an optimizer", "step outside the function, or train the program with a Trainer")
        lr = self.lr
        self.steps += 1
        self._move(lr)

    def state_dict(self) -> dict[str, Any]:
        """Return what the optimizer remembers: the step count and a list of numbers per kind of memory."""
        return {"steps": self.steps, **{name: list(numbers) for name, numbers in self.memory.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember what `state_dict` returned; ShapeError if it is of other parameters."""
        memory = {name: list(numbers) for name, numbers in state.items() if name != "steps"}
        for name, numbers in memory.items():
            if name not in self.memory or len(numbers) != len(self.parameters):
                raise ShapeError(
                    f"{len(numbers)} numbers of {name!r} do not fit {type(self).__name__} "
                    f"of {len(self.parameters)} parameters"
                )
        self.steps = state["steps"]
        self.memory.update(memory)

    @abstractmethod
    def _move(self, lr: float) -> None:
        """Change every parameter's data by the optimizer's rule at this learning rate."""

    def _remember(self, *names: str) -> None:
        self.memory = {name: [0.0] * len(self.parameters) for name in names}


class SGD(Optimizer):
    """Stochastic gradient descent: p -= lr · (momentum · velocity + grad + weight_decay · p)."""

    def __init__(
        self, parameters: Iterable[Value], lr: Rate, momentum: float = 0.0, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, lr)
        check_settings(momentum=momentum, weight_decay=weight_decay)
        self.momentum = momentum
        self.weight_decay = weight_decay
        self._remember("velocity")

    def _move(self, lr: float) -> None:
        velocity = self.memory["velocity"]
        for i, p in enumerate(self.parameters):
            velocity[i] = self.momentum * velocity[i] + p.grad + self.weight_decay * p.data
            p.data -= lr * velocity[i]


class Adam(Optimizer):
    """Each step is the mean gradient over the root mean square gradient: about lr, whatever the scale.

    `weight_decay` is added to the gradient, so it is scaled away with it; AdamW keeps it apart.
    """

    def __init__(
        self,
        parameters: Iterable[Value],
        lr: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr)
        check_settings(betas, eps=eps, weight_decay=weight_decay)
        self.betas = betas
        self.eps = eps
        self.weight_decay = weight_decay
        self._remember("mean", "square")

    def _move(self, lr: float) -> None:
        beta1, beta2 = self.betas
        means, squares = self.memory["mean"], self.memory["square"]
        unbias1, unbias2 = 1.0 - beta1**self.steps, sqrt(1.0 - beta2**self.steps)
        for i, p in enumerate(self.parameters):
            gradient = self._decay(p, lr)
            means[i] += (1.0 - beta1) * (gradient - means[i])
            squares[i] = beta2 * squares[i] + (1.0 - beta2) * gradient * gradient
            p.data -= lr / unbias1 * means[i] / (sqrt(squares[i]) / unbias2 + self.eps)

    def _decay(self, p: Value, lr: float) -> float:
        return p.grad + self.weight_decay * p.data


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter itself: p -= lr · weight_decay · p, then Adam's step."""

    def __init__(
        self,
        parameters: Iterable[Value],
        lr: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def _decay(self, p: Value, lr: float) -> float:
        p.data *= 1.0 - lr * self.weight_decay
        return p.grad
