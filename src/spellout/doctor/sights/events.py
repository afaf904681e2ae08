"""What a recording notes: a forward pass of the model, and a step of an optimizer."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import CodeType

import torch
from torch.optim import Optimizer

from .account import Account
from .loaders import Drawn
from .movement import Movement
from .sight import Sight


@dataclass
class Forward:
    """One call of the whole model."""

    phase: str
    """`step`, `evaluate`, or `data`: without gradients, to make what another pass learns from."""
    training: bool
    tracking: bool
    """Gradients were enabled."""
    all_eval: bool
    """The model is in eval mode, and so is every part whose mode matters."""
    where: str | None
    tick: int
    inputs: tuple[Sight, ...] = ()
    """What the model was given."""
    given: tuple[torch.Tensor, ...] = ()
    """The tensors themselves, where a tape keeps them alive anyway."""
    order: int = 0
    """Its place among all passes and steps."""
    source: Drawn | None = None
    """The iteration over a loader of which a batch was taken last."""
    frames: tuple[tuple[CodeType, int], ...] = ()
    """The calls of the user's that it was in, each with its instruction."""
    idle: bool = False
    """Gradients were enabled, but a loss or a rate was computed from it and no gradient asked for."""

    @property
    def measures(self) -> bool:
        """Is it part of an evaluation?"""
        return self.phase == "evaluate" or (self.all_eval and (self.idle or not self.tracking))


@dataclass
class Step:
    """One optimizer step."""

    optimizer: Optimizer
    where: str | None
    tick: int
    closure: bool
    schedulers: list[int]
    """Steps of the optimizer's schedulers so far."""
    stale: list[Account] = field(default_factory=list)
    zeroed: bool = False
    """A gradient that had arrived was gone."""
    repeated: int = 0
    """How many gradients had been used already."""
    moved_frozen: list[str] = field(default_factory=list)
    stale_share: float = 0.0
    """The largest ratio of an old part to the whole gradient."""
    driven: set[int] = field(default_factory=set)
    """The ids of the parameters whose gradient was not zero."""
    kept: float = 1.0
    """The norm of the gradients at the step, by that of what had arrived: clipping and unscaling change it."""
    movement: Movement | None = None
    """What it did to the weights."""
    phase: str = "step"
    placed: bool = True
    """What came before it is on the tape."""
    order: int = 0
    """Its place among all passes and steps."""
    source: Drawn | None = None
    """The iteration over a loader of which a batch was taken last."""
