"""What is only there at the end of a recording, before anything of the user's is put back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.utils.data import DataLoader

from .. import walk
from ..tape import Call, Tape

_DEEP = 6


@dataclass(frozen=True)
class Plateau:
    """A scheduler that waits for a number to get better."""

    scheduler: ReduceLROnPlateau
    best: float
    """The best that it was given so far."""
    steps: int


@dataclass(frozen=True)
class Stale:
    """A layer of a copy that follows the model's weights, and not its running statistics."""

    call: Call
    """The pass in eval mode."""
    name: str
    """The layer of the model whose weights it follows."""


@dataclass(frozen=True)
class Ending:
    """The state of schedulers, of copies of the model, and of loaders."""

    plateaus: tuple[Plateau, ...] = ()
    stale: tuple[Stale, ...] = ()
    loaders: tuple[DataLoader[object], ...] = ()
    """All that there are."""

    @classmethod
    def of(cls, model: nn.Module, schedulers: Iterable[LRScheduler], tape: Tape | None) -> Ending:
        """Look at what there is now."""
        waiting = [one for one in schedulers if isinstance(one, ReduceLROnPlateau) and one.last_epoch > 0]
        plateaus = tuple(Plateau(one, float(one.best), one.last_epoch) for one in waiting)
        return cls(plateaus, tuple(_stale(model, tape)) if tape is not None else (), tuple(walk.living(DataLoader)))


def _stale(model: nn.Module, tape: Tape) -> list[Stale]:
    """Layers of others that normalise with the statistics of a new layer, although weights flow to them."""
    own = {
        module.weight.data_ptr(): (name, module)
        for name, module in walk.modules(model)
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.weight is not None
    }
    moving = {place for place, (_, module) in own.items() if not _is_new(module.running_mean, module.running_var)}
    found: dict[int, Stale] = {}
    writes: list[tuple[Call, set[int]]] | None = None
    for call in tape.calls if moving else ():
        mean, var, weight = (
            call.argument(*one) for one in ((1, "running_mean"), (2, "running_var"), (3, "weight"))
        )
        if call.name != "batch_norm" or call.argument(5, "training", False) or not isinstance(weight, torch.Tensor):
            continue
        place = weight.data_ptr()
        if place in own or place in found or not _is_new(mean, var):
            continue
        writes = _writes(tape) if writes is None else writes
        sources = [source for write, places in writes if place in places for source in _sources(tape, write)]
        names = [own[one][0] for one in sources if one in moving]
        if names:
            found[place] = Stale(call, names[0])
    return list(found.values())


def _is_new(mean: object, var: object) -> bool:
    """Are these the statistics that a layer is made with?"""
    if not isinstance(mean, torch.Tensor) or not isinstance(var, torch.Tensor):
        return False
    return not bool(mean.any()) and bool((var == 1).all())


def _writes(tape: Tape) -> list[tuple[Call, set[int]]]:
    """The calls that wrote into tensors, and where those lie."""
    found = []
    for call in tape.calls:
        if call.changed is not None:
            found.append((call, {walk.address(call.changed)}))
        elif call.name.startswith("_foreach") and call.args and isinstance(call.args[0], list | tuple):
            found.append((call, {walk.address(one) for one in call.args[0] if isinstance(one, torch.Tensor)}))
    return found


def _sources(tape: Tape, write: Call) -> set[int]:
    """Where the tensors lie that a call was given, or that those were made of."""
    found: set[int] = set()
    pending = [(one, write.index, 0) for one in write.inputs]
    while pending:
        tensor, before, depth = pending.pop()
        found.add(walk.address(tensor))
        call = tape.maker(tensor, before)
        if call is not None and depth < _DEEP:
            pending += [(one, call.index, depth + 1) for one in call.inputs[:4]]
    return found
