"""What a saved object holds, told by the forms that torch gives the states of its parts."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

_DEEP = 5
_RANDOM_BYTES = 5000
"""The state of a Mersenne twister is a little longer; one of a GPU is 16 bytes and comes beside it."""


@dataclass(eq=False)
class Remembered:
    """The state of an optimizer, without its tensors."""

    groups: list[dict[str, Any]]
    """The settings of every group."""
    counts: list[int]
    """How many parameters every group has."""
    remembers: int
    """For how many parameters it holds something."""

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Remembered:
        """Read what `Optimizer.state_dict` gives."""
        groups = state["param_groups"]
        settings = [{key: one for key, one in group.items() if key != "params"} for group in groups]
        return cls(settings, [len(group["params"]) for group in groups], len(state["state"]))


@dataclass(eq=False)
class Contents:
    """The parts of a saved object; its tensors are not kept alive."""

    weights: list[dict[str, weakref.ref[torch.Tensor]]] = field(default_factory=list)
    """States of models: tensors by name."""
    optimizers: list[Remembered] = field(default_factory=list)
    schedulers: int = 0
    scalers: int = 0
    random: bool = False

    @property
    def tensors(self) -> list[torch.Tensor]:
        """The weights, as far as they are still there."""
        found = (ref() for one in self.weights for ref in one.values())
        return [one for one in found if one is not None]


def contents_of(saved: Any) -> Contents:
    """Read a saved object; what has no known form is left alone."""
    found = Contents()
    for part in _parts(saved, _DEEP):
        _note(found, part)
    return found


def _parts(value: Any, depth: int) -> Iterator[Any]:
    yield value
    if depth and not _is_state(value):
        inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
        if len(inner) <= 10_000:
            for one in inner:
                yield from _parts(one, depth - 1)


def _is_state(value: Any) -> bool:
    """Is it the state of one part, whose own parts are none?"""
    if not isinstance(value, Mapping):
        return isinstance(value, tuple) and len(value) == 3 and isinstance(value[1], tuple)
    return "param_groups" in value or "last_epoch" in value or are_weights(value)


def are_weights(value: Mapping[Any, Any]) -> bool:
    """Does it look like the state of a module: tensors under dotted names?"""
    names = all(isinstance(key, str) for key in value)
    tensors = sum(isinstance(one, torch.Tensor) for one in value.values())
    return names and any("." in key for key in value) and 2 * tensors > len(value)


def _note(found: Contents, part: Any) -> None:
    if isinstance(part, nn.Module):
        found.weights.append({name: weakref.ref(one) for name, one in part.named_parameters()})
    elif isinstance(part, Optimizer):
        found.optimizers.append(Remembered.of({"state": part.state, "param_groups": part.param_groups}))
    elif isinstance(part, torch.Tensor):
        found.random |= part.dtype is torch.uint8 and part.ndim == 1 and part.numel() >= _RANDOM_BYTES
    elif isinstance(part, tuple):
        found.random |= len(part) == 3 and isinstance(part[1], tuple) and len(part[1]) == 625
    elif isinstance(part, Mapping):
        if isinstance(part.get("state"), Mapping) and isinstance(part.get("param_groups"), list):
            found.optimizers.append(Remembered.of(part))
        elif "last_epoch" in part and "_last_lr" in part:
            found.schedulers += 1
        elif "growth_factor" in part and "scale" in part:
            found.scalers += 1
        elif are_weights(part):
            tensors = {key: one for key, one in part.items() if isinstance(one, torch.Tensor)}
            found.weights.append({key: weakref.ref(one) for key, one in tensors.items()})
