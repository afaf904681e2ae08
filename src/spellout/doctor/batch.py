"""One batch: what the model is given, what the loss compares its output with, and batches like it of other sizes.

A batch is `(x, y)`, `(x1, x2, ..., y)`, `((x1, x2), y)`, `({"name": x, ...}, y)`, a dictionary with a target
among its keys, one tensor (no target), or a `DataLoader`, of which the first batch is taken.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from ..errors import ExaminationError
from .tape import tensors_in

_TARGETS = ("y", "target", "targets", "label", "labels")


@dataclass(frozen=True)
class Batch:
    """The arguments of one forward pass, and its target."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    target: Any

    @classmethod
    def of(cls, batch: Any, model: nn.Module) -> Batch:
        """Read what the user gave."""
        if isinstance(batch, torch.utils.data.DataLoader):
            batch = next(iter(batch))
        if isinstance(batch, Mapping):
            key = next((name for name in _TARGETS if name in batch), None)
            if key is None or key in _parameters(model):
                return cls((), dict(batch), batch)
            return cls(*_arguments({name: batch[name] for name in batch if name != key}, model), batch[key])
        if isinstance(batch, torch.Tensor):
            return cls((batch,), {}, None)
        if isinstance(batch, tuple | list) and len(batch) == 2:
            return cls(*_arguments(batch[0], model), batch[1])
        if isinstance(batch, tuple | list) and len(batch) > 2:
            return cls(tuple(batch[:-1]), {}, batch[-1])
        raise ExaminationError(
            f"the batch is a {type(batch).__name__}; give (x, y), a dictionary with a target such as 'y' or "
            "'labels', one tensor, or a DataLoader"
        )

    @property
    def inputs(self) -> list[torch.Tensor]:
        """All input tensors."""
        return list(tensors_in((self.args, self.kwargs)))

    def floats(self) -> list[torch.Tensor]:
        """The input tensors that can have a gradient."""
        return [tensor for tensor in self.inputs if tensor.is_floating_point()]

    def size(self, axis: int) -> int:
        """How many samples."""
        sizes = [tensor.shape[axis] for tensor in self.inputs if tensor.ndim > axis]
        return sizes[0] if sizes else 0

    def mapped(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        """A batch with every tensor changed, the target's too."""
        return Batch(_mapped(self.args, change), _mapped(self.kwargs, change), _mapped(self.target, change))

    def with_inputs(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        """A batch with every input changed."""
        return replace(self, args=_mapped(self.args, change), kwargs=_mapped(self.kwargs, change))

    def taken(self, index: torch.Tensor, axis: int) -> Batch:
        """The samples of these indices, in that order; tensors without the batch axis stay."""
        size = self.size(axis)

        def take(tensor: torch.Tensor) -> torch.Tensor:
            for place in (axis, 1 - axis):
                if tensor.ndim > place and tensor.shape[place] == size:
                    return tensor.index_select(place, index.to(tensor.device))
            return tensor

        return self.mapped(take)

    def cut(self, axis: int, length: int, size: int) -> Batch:
        """The first `length` places along an axis of that size, in all tensors that have it."""

        def take(tensor: torch.Tensor) -> torch.Tensor:
            if tensor.ndim > axis and tensor.shape[axis] == size:
                repeats = -(-length // size)
                return torch.cat([tensor] * repeats, axis).narrow(axis, 0, length)
            return tensor

        return self.mapped(take)


def _parameters(model: nn.Module) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(model.forward).parameters)
    except (TypeError, ValueError):
        return {}


def _arguments(x: Any, model: nn.Module) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """How the model takes its input: as one object, as several, or by name."""
    parameters = _parameters(model)
    kinds = [parameter.kind for parameter in parameters.values()]
    if isinstance(x, Mapping):
        if set(x) <= set(parameters) or inspect.Parameter.VAR_KEYWORD in kinds:
            return (), dict(x)
        return (x,), {}
    if isinstance(x, tuple | list):
        positional = [p for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if len(positional) == 1 and inspect.Parameter.VAR_POSITIONAL not in kinds:
            return (x,), {}
        return tuple(x), {}
    return (x,), {}


def _mapped(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _mapped(item, change) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_mapped(item, change) for item in value))
    if isinstance(value, tuple | list):
        return type(value)(_mapped(item, change) for item in value)
    return value
