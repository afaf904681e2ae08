"""A batch is what the model is given and what the loss compares its output with; it is also made in other sizes.

A batch is `(x, y)`, `(x1, x2, ..., y)`, `((x1, x2), y)`, `({"name": x, ...}, y)`, a dictionary with a target
among its keys, one tensor (no target), or a `DataLoader`, of which the first batch is taken.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import nn

from ..errors import ExaminationError
from .tape import tensors_in

TARGETS = ("y", "target", "targets", "label", "labels")
"""The names under which a dictionary holds what the loss compares with."""
# A prime divides no product of other sizes, so an axis that it divides carries that axis, flattened or not.
_PRIMES = (5, 7, 11, 13, 17, 19, 23, 29, 31)
Change = Callable[[torch.Tensor], torch.Tensor]
TARGET = object()
"""Stands among the arguments where the model itself is given the target."""


@dataclass(frozen=True)
class Batch:
    """The arguments of one forward pass, and its target."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    target: Any

    @classmethod
    def of(cls, batch: Any, model: nn.Module, own_loss: bool = False) -> Batch:
        """Read what the user gave; `own_loss` says that the model computes its loss, if it is given the target."""
        if isinstance(batch, Batch):
            return batch
        if isinstance(batch, torch.utils.data.DataLoader):
            batch = next(iter(batch))
        if isinstance(batch, Mapping):
            key = next((name for name in TARGETS if name in batch), None)
            if key is None or (key in _parameters(model) and not own_loss):
                return cls((), dict(batch), batch)
            if key in _parameters(model):
                return cls((), {**batch, key: TARGET}, batch[key])
            return cls(*_arguments({name: batch[name] for name in batch if name != key}, model), batch[key])
        if isinstance(batch, torch.Tensor):
            return cls((batch,), {}, None)
        if isinstance(batch, tuple | list) and len(batch) == 2:
            args, kwargs = _arguments(batch[0], model)
            if own_loss and not kwargs and len(args) < _places(model):
                args = (*args, TARGET)
            return cls(args, kwargs, batch[1])
        if isinstance(batch, tuple | list) and len(batch) > 2:
            return cls(tuple(batch[:-1]), {}, batch[-1])
        raise ExaminationError(
            f"the batch is a {type(batch).__name__}; "
            "give (x, y), a dictionary with a target such as 'y' or 'labels', one tensor, or a DataLoader"
        )

    def given(self, arguments: Any) -> Any:
        """The arguments with the target where the model is given it."""
        if isinstance(arguments, dict):
            return {name: self.target if one is TARGET else one for name, one in arguments.items()}
        return tuple(self.target if one is TARGET else one for one in arguments)

    @property
    def inputs(self) -> list[torch.Tensor]:
        """All input tensors that can be changed number by number: sparse ones go to the model as they are.

        A target that the model is given too is none of them.
        """
        return [one for one in tensors_in((self.args, self.kwargs)) if one.layout == torch.strided]

    @property
    def targets(self) -> torch.Tensor | None:
        """The target, or the first tensor of several."""
        return next(tensors_in(self.target), None)

    def size(self, axis: int) -> int:
        """How many samples."""
        return next((tensor.shape[axis] for tensor in self.inputs if tensor.ndim > axis), 0)

    def mapped(self, change: Change) -> Batch:
        """A batch with every tensor changed, the target's too."""
        return replace(self.with_inputs(change), target=_mapped(self.target, change))

    def with_inputs(self, change: Change) -> Batch:
        """A batch with every input changed."""
        return replace(self, args=_mapped(self.args, change), kwargs=_mapped(self.kwargs, change))

    def wide(self) -> Batch:
        """The same numbers in float64."""
        return self.mapped(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)

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
        return self.mapped(lambda t: t.narrow(axis, 0, length) if t.ndim > axis and t.shape[axis] == size else t)

    @cached_property
    def shifted(self) -> tuple[int, int] | None:
        """Which input the targets are, shifted by one place, and along which axis, that of time."""
        target = self.targets
        for place, x in enumerate(self.inputs):
            if target is None or x.ndim < 2 or target.numel() != x.numel():
                continue
            y = target.reshape(x.shape).to(x.dtype)
            for axis in range(1, -1, -1):  # (B, T) is more usual than (T, B)
                length = x.shape[axis]
                if length < 3:
                    continue
                ahead, now = x.narrow(axis, 1, length - 1), y.narrow(axis, 0, length - 1)
                if torch.equal(ahead, now) and not torch.equal(ahead, x.narrow(axis, 0, length - 1)):
                    return place, axis
        return None

    @cached_property
    def batch_axis(self) -> int:
        """Which axis of the inputs seems to count the samples."""
        target, x = self.targets, self.inputs[0] if self.inputs else None
        if x is None or target is None or x.ndim < 2 or target.ndim == 0 or target is x:
            return 0
        time_first = target.ndim < x.ndim and target.shape[0] not in (x.shape[0], x.shape[0] * x.shape[1])
        if time_first and target.shape[0] == x.shape[1]:
            return 1
        return int(self.shifted is not None and self.shifted[1] == 0)


@dataclass(frozen=True)
class Relabelled:
    """A batch whose numbers of samples and, if it may be, of moments are primes that nothing else in the model has.

    Then "which axis is this?" is read off the shapes on the tape: an axis whose length that prime divides carries
    the samples.
    """

    batch: Batch
    samples: int
    batch_axis: int
    time_axis: int


def relabellings(batch: Batch, axis: int, sizes: Iterable[int], few: bool) -> Iterator[Relabelled]:
    """The batch in other sizes, the best first; `sizes` are those of the model, `few` asks for few choices."""
    size = batch.size(axis)
    if size < 2 or not batch.inputs:
        return
    x = batch.inputs[0]
    primes = _unused(batch, axis, set(sizes))
    others = [length for place, length in enumerate(x.shape) if place != axis]
    samples = next((prime for prime in primes if all(length % prime for length in others)), None)
    if samples is None:
        return
    resized = batch.taken(torch.arange(samples) % size, axis)
    features = x.ndim == 2 and x.is_floating_point()  # then there is no time
    places = [place for place in (1 - axis, 2) if 0 <= place < x.ndim and x.shape[place] > 2 and place != axis]
    for time_axis in places if not features else []:
        length = x.shape[time_axis]
        lengths = [prime for prime in reversed(primes) if prime <= length and prime != samples]
        if few:  # as short as may be, and if that is refused, as long as may be
            lengths = [*[time for time in lengths if 2 * time > length][-1:], *lengths[:1]]
        for time in dict.fromkeys(lengths[:2]):
            yield Relabelled(resized.cut(time_axis, time, length), samples, axis, time_axis)
        if batch.shifted is not None and batch.shifted[1] == time_axis:
            yield Relabelled(resized, samples, axis, time_axis)
            return
    yield Relabelled(resized, samples, axis, 1 - axis if axis < 2 else 1)


def _unused(batch: Batch, batch_axis: int, sizes: set[int]) -> list[int]:
    """Primes that divide no size of a parameter, nor of an input's other axes."""
    for tensor in batch.inputs:
        sizes |= {size for axis, size in enumerate(tensor.shape) if axis != batch_axis}
    lengths = set(batch.inputs[0].shape)
    others = {size for size in sizes if size} - lengths
    return [
        prime
        for prime in _PRIMES
        if all(size % prime for size in others) and all(size % prime or size == prime for size in lengths)
    ]


def _parameters(model: nn.Module) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(model.forward).parameters)
    except (TypeError, ValueError):
        return {}


def _places(model: nn.Module) -> int:
    """How many arguments the model takes by position."""
    positional = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    return sum(parameter.kind in positional for parameter in _parameters(model).values())


def _arguments(x: Any, model: nn.Module) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """How the model takes its input: as one object, as several, or by name."""
    parameters = _parameters(model)
    kinds = [parameter.kind for parameter in parameters.values()]
    if isinstance(x, Mapping) and (set(x) <= set(parameters) or inspect.Parameter.VAR_KEYWORD in kinds):
        return (), dict(x)
    if isinstance(x, tuple | list):
        positional = [p for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if len(positional) != 1 or inspect.Parameter.VAR_POSITIONAL in kinds:
            return tuple(x), {}
    return (x,), {}


def _mapped(value: Any, change: Change) -> Any:
    if isinstance(value, torch.Tensor):
        return change(value) if value.layout == torch.strided else value  # sparse ones have no axis to choose from
    if isinstance(value, Mapping):
        return {key: _mapped(item, change) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_mapped(item, change) for item in value))
    if isinstance(value, tuple | list):
        return type(value)(_mapped(item, change) for item in value)
    return value
