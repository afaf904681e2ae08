"""Optimizers of Values: how parameters follow their gradients. The numbers are those of `torch.optim`.

The rules stand in `rules.py`, with their papers. Programs have optimizers of the same names for arrays.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from math import sqrt
from typing import Any

from ..autograd.functions import distinct_leaves
from ..autograd.listening import look
from ..autograd.value import Value
from ..errors import ShapeError, UsageError
from .rules import Rate, adam, adam_numbers, check_settings, rate_of, sgd


class Optimizer(ABC):
    """What all share: parameters, learning rate (a number, or a schedule: step -> number), step count.

    `memory` holds lists of a number per parameter, by name, all 0.0 before the first step.
    """

    def __init__(self, parameters: Iterable[Value], lr: Rate, *memory: str) -> None:
        self.parameters = distinct_leaves(parameters)  # a Value that stood there twice would move twice a step
        if not self.parameters:  # such as a generator that was used up before
            raise UsageError("an optimizer needs at least one parameter")
        self.rate: Rate = lr if callable(lr) else rate_of(lr, 0)
        self.steps = 0
        self.memory = {name: [0.0] * len(self.parameters) for name in memory}

    @property
    def lr(self) -> float:
        """The learning rate of the next step; UsageError if a schedule gives none."""
        return rate_of(self.rate, self.steps)

    def zero_grad(self) -> None:
        """Set every parameter's gradient to zero."""
        for parameter in self.parameters:
            parameter.grad = 0.0

    def step(self) -> None:
        """Move every parameter once. RecordingError while a function is recorded, whose parameters stay."""
        look("a step of an optimizer", "step outside the function, or train the program with a Trainer")
        lr = self.lr  # before anything moves: a schedule may give none
        self.steps += 1  # before the rule, as the papers count steps from 1
        self._move(lr)

    def state_dict(self) -> dict[str, Any]:
        """Return what the optimizer remembers: the step count and a list of numbers per kind of memory."""
        # Plain numbers, which JSON keeps bit for bit.
        return {"steps": self.steps, **{name: list(numbers) for name, numbers in self.memory.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember what `state_dict` returned; ShapeError if it is of other parameters."""
        memory = {name: list(numbers) for name, numbers in state.items() if name != "steps"}
        # All are looked at before one is taken, so that a wrong state changes nothing.
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


class SGD(Optimizer):
    """Stochastic gradient descent: p -= lr · (momentum · velocity + grad + weight_decay · p)."""

    def __init__(
        self, parameters: Iterable[Value], lr: Rate, momentum: float = 0.0, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, lr, "velocity")
        check_settings(momentum=momentum, weight_decay=weight_decay)
        self.momentum, self.weight_decay = momentum, weight_decay

    def _move(self, lr: float) -> None:
        velocity = self.memory["velocity"]
        for i, p in enumerate(self.parameters):
            p.data, velocity[i] = sgd(p.data, p.grad, velocity[i], lr, self.momentum, self.weight_decay)


class Adam(Optimizer):
    """Each step is the mean gradient over the root mean square gradient: about lr, whatever the scale.

    `weight_decay` is added to the gradient, so it is scaled away with it; AdamW keeps it apart.
    """

    decoupled = False

    def __init__(
        self,
        parameters: Iterable[Value],
        lr: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr, "mean", "square")
        check_settings(betas, eps=eps, weight_decay=weight_decay)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay

    def _move(self, lr: float) -> None:
        decay, shrink = (0.0, self.weight_decay) if self.decoupled else (self.weight_decay, 0.0)
        numbers = adam_numbers(self.steps, lr, self.betas, self.eps, shrink)
        means, squares = self.memory["mean"], self.memory["square"]
        for i, p in enumerate(self.parameters):
            g = p.grad + decay * p.data  # part of what is divided by its own size
            p.data, means[i], squares[i] = adam(p.data, g, means[i], squares[i], numbers, sqrt)


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter itself: p -= lr · weight_decay · p, then Adam's step."""

    decoupled = True

    def __init__(
        self,
        parameters: Iterable[Value],
        lr: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay)
