"""The account of a parameter: which gradients arrived, and what became of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import Optimizer

from ..tape import dense


@dataclass
class Account:
    """The gradient of one parameter."""

    name: str
    parameter: torch.Tensor
    reached: bool = False
    """A gradient has arrived, ever."""
    waiting: bool = False
    """A gradient that is not zero has arrived since the optimizer's last step."""
    stepped: bool = False
    """The optimizer has stepped and no gradient has arrived since."""
    stepper: Optimizer | None = None
    """The optimizer that stepped last."""
    stale: bool = False
    """`.grad` holds something that the optimizer has already used."""
    old: float = 0.0
    """The norm of that part."""
    held: bool = False
    """`.grad` was not zero before the last arrival."""
    value: torch.Tensor | None = None
    """The parameter when the last gradient arrived, to see updates without an optimizer."""
    broken: bool = False
    """A gradient that is not finite has arrived."""
    moved: bool = False
    """The value changed between two arrivals without an optimizer's step."""
    arrived: float = 0.0
    """The norm of `.grad` after the last arrival."""
    since: int = 0
    """The tick of the last arrival."""
    weight: float = 0.0
    """The norm of the parameter then."""
    identity: int = 0
    """Which tensor `.grad` was then."""

    @property
    def grad(self) -> torch.Tensor | None:
        """What lies in `.grad`."""
        grad = self.parameter.grad
        return None if grad is None else dense(grad)


class Heard:
    """Hooks before and after a gradient arrives at a parameter; without them it is as bare as it was.

    Torch goes on calling an empty dictionary of hooks in every backward pass.
    """

    def __init__(self, parameter: torch.Tensor, before: Callable[[], None], after: Callable[[], None]) -> None:
        self._parameter = parameter
        self._bare = [name for name in _HOOKS if getattr(parameter, name) is None]
        hooked: Any = parameter
        self._handles = [
            hooked.register_hook(lambda grad: before()),
            hooked.register_post_accumulate_grad_hook(lambda _: after()),
        ]

    def remove(self) -> None:
        """Take both off."""
        for handle in self._handles:
            handle.remove()
        for name in self._bare:
            if not getattr(self._parameter, name):
                setattr(self._parameter, name, None)


_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


@dataclass(frozen=True)
class Thrown:
    """A gradient that was gone when the next one arrived, and no optimizer had stepped."""

    account: Account
    since: int
    until: int
    """The ticks of the two arrivals."""
    identity: int
    """Which tensor it was."""
