"""What belongs together is a group: the optimizers of one model, and everything that is known about it."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import nn
from torch.optim import Optimizer

from .. import walk
from ..patient import Patient
from ..recording import Recording
from .capture import Backward


@dataclass(eq=False)
class Group:
    """Optimizers and what they train."""

    optimizers: list[Optimizer]
    name: str
    recording: Recording
    backward: Backward
    backwards: int = 0
    steps: int = 0
    patient: Patient | None = None
    missing: list[str] = field(default_factory=list)


class Leaves(nn.Module):
    """The tensors that a backward pass reaches, where nothing more is known."""

    def __init__(self, backward: Backward) -> None:
        super().__init__()
        for place, (name, leaf) in enumerate(backward.leaves.items()):
            title = backward.names.get(name, f"parameter {place}").replace(".", "_")
            self._parameters[title] = leaf  # type: ignore[assignment]


def together(optimizers: Sequence[Optimizer], backward: Backward) -> list[list[Optimizer]]:
    """Optimizers of one module are one group."""
    modules = {id(visit.module): {id(one) for one in visit.trained} for visit in backward.visits if not visit.depth}
    groups: list[tuple[set[int], list[Optimizer]]] = []
    for optimizer in optimizers:
        held = set(map(id, walk.listed_in(optimizer)))
        touched = held.union(*(inside for inside in modules.values() if inside & held))
        shared = [group for group in groups if group[0] & touched]
        merged = (
            touched.union(*(group[0] for group in shared)),
            [one for g in shared for one in g[1]] + [optimizer],
        )
        groups = [group for group in groups if not any(group is one for one in shared)] + [merged]
    return [group for _, group in groups]


def living_optimizers() -> list[Optimizer]:
    """All optimizers there are, without those that only pass on to another one."""
    living = gc.get_objects()
    kinds = {kind for kind in set(map(type, living)) if issubclass(kind, Optimizer)}
    found = [thing for thing in living if type(thing) in kinds and hasattr(thing, "param_groups")] if kinds else []
    return [one for one in found if not isinstance(getattr(one, "optimizer", None), Optimizer)]
