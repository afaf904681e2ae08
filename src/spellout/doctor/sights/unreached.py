"""Optimizers that step and never see a gradient: the loss was made anew from numbers, or nobody asked for one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch.optim import Optimizer

from .. import walk
from ..tape import Call, users_line

_FEW = 2
"""Steps without a gradient, of which fewer say nothing."""


@dataclass(eq=False)
class _Silent:
    optimizer: Optimizer
    where: str | None
    steps: int = 0
    driven: bool = False
    """A gradient was there, whoever wrote it."""


class Unreached:
    """Counts the steps of optimizers that no backward pass has reached."""

    def __init__(self) -> None:
        self._silent: dict[int, _Silent] = {}
        self._cut: Call | None = None
        self._maker: Call | None = None
        self._asked = False

    @property
    def steps(self) -> int:
        """The most steps that one of them took."""
        return max((one.steps for one in self._silent.values() if not one.driven), default=0)

    @property
    def by_hand(self) -> list[tuple[str, int]]:
        """The optimizers that stepped on gradients which no backward pass has brought, and how often."""
        return [(type(one.optimizer).__name__, one.steps) for one in self._silent.values() if one.driven]

    @property
    def asked(self) -> bool:
        """Was a gradient asked for that reached nothing an optimizer holds?"""
        return self._asked

    def backward(self, cut: Call | None, maker: Call | None) -> None:
        """What is asked for a gradient reaches nothing an optimizer holds.

        The path ends at the one call, and the other one made what is asked; where they are known.
        """
        self._asked = True
        self._cut, self._maker = self._cut or cut, self._maker or maker

    def step(self, optimizer: Optimizer) -> None:
        """It steps, and no backward pass has reached it."""
        one = self._silent.setdefault(id(optimizer), _Silent(optimizer, users_line()))
        one.steps += 1
        one.driven = one.driven or any(p.grad is not None for p in walk.listed_in(optimizer))

    def told(self, reached: Sequence[Optimizer]) -> Iterator[tuple[str, str | None]]:
        """The evidence and the line for each that was not reached up to the end."""
        for one in self._silent.values():
            learns = any(p.requires_grad for p in walk.listed_in(one.optimizer))
            if one.driven or one.steps < _FEW or not learns or any(one.optimizer is other for other in reached):
                continue
            why, where = "`backward` was never called", one.where
            if self._asked:
                why = "`backward` began where no parameter was used"
            if self._asked and self._cut is not None:
                why, where = f"the loss is cut off from the model at `{self._cut.name}`", self._cut.where
            elif self._asked and self._maker is not None:
                why, where = f"{why}, at what `{self._maker.name}` made", self._maker.where
            yield f"{one.steps} optimizer steps, no gradient at all: {why}", where or one.where
