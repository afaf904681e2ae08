"""Module: whatever has parameters. It finds them among its own attributes, in the order they were set.

`save_state` and `load_state` keep them in a safetensors file: numbers by name, and nothing that could run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..autograd.conversion import shortened
from ..autograd.value import Value
from ..errors import RunError, ShapeError
from ..files import told


class Module:
    """The base of layers and models; set Values, Modules, or lists of them as attributes and they are found.

    Attributes:
        training: True until `eval()`; only layers that behave differently in training (Dropout) look at it.
    """

    training = True

    def parameters(self) -> list[Value]:
        """Return every parameter once, in the order of the attributes."""
        # tied weights are one Value with two names; a dict keeps the order, which optimizers rely on
        return list(dict.fromkeys(value for _, tree in self.named_parameters() for value in _leaves(tree)))

    def named_parameters(self) -> Iterator[tuple[str, Any]]:
        """Yield (name, parameters): a Value, or a list of Values nested as deep as its shape is long.

        Names are paths such as `layers.0.neurons.3.w`.
        """
        for name, thing in _children("", vars(self).items()):
            if isinstance(thing, Module):
                yield from [(f"{name}.{inner}", tree) for inner, tree in thing.named_parameters()]
            else:
                yield name, thing

    def modules(self) -> Iterator[tuple[str, Module]]:
        """Yield (name, module) for this module (name "") and every module inside it."""
        yield "", self
        for name, thing in _children("", vars(self).items()):
            if isinstance(thing, Module):
                yield from [(f"{name}.{inner}" if inner else name, module) for inner, module in thing.modules()]

    def zero_grad(self) -> None:
        """Set every parameter's gradient to zero; forgetting it adds each step's gradient to all before."""
        for parameter in self.parameters():
            parameter.grad = 0.0

    def train(self, mode: bool = True) -> Module:
        """Switch this module and all inside to training (or, with False, to evaluation); returns itself."""
        for _, module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Switch this module and all inside to evaluation; returns itself."""
        return self.train(False)

    def count_parameters(self) -> int:
        """Return how many numbers this module learns."""
        return len(self.parameters())

    def summary(self) -> str:
        """Return one line per module inside: its name, what it is, and how many numbers it learns."""
        rows = [(name or "total", repr(m), m.count_parameters()) for name, m in self.modules()]
        rows.append(rows.pop(0))  # the total stands last
        width = max(len(name) for name, _, _ in rows)
        return "\n".join([f"{name:<{width}}  {count:>8,}  {shortened(kind)}" for name, kind, count in rows])

    def state_dict(self) -> dict[str, Any]:
        """Return {name: numbers}, nested lists of floats in the shape of the parameters."""
        return {name: _numbers(tree) for name, tree in self.named_parameters()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set every parameter from `state_dict`'s form; nothing is changed unless everything fits.

        Raises:
            ShapeError: a name is missing or unknown, or a shape differs.
        """
        own = dict(self.named_parameters())  # all is compared before anything is set
        if missing := sorted(own.keys() - state.keys()):
            raise ShapeError(f"the state has no {missing[0]!r} ({len(missing)} of {len(own)} names are missing)")
        if unknown := sorted(state.keys() - own.keys()):
            raise ShapeError(f"the state has {unknown[0]!r}, which this {type(self).__name__} has not")
        for name, tree in own.items():
            if _shape(tree) != _shape(state[name]):
                raise ShapeError(f"{name} has the shape {_shape(tree)}, the state's is {_shape(state[name])}")
        for name, tree in own.items():
            for parameter, number in zip(_leaves(tree), _leaves(state[name]), strict=True):
                parameter.data = number


def save_state(module: Module, path: str | os.PathLike[str]) -> None:
    """Write every parameter as float64 to `path`; an interrupted write leaves the old file as it was."""
    import numpy  # here and not above: a network that is not saved needs neither
    from safetensors.numpy import save

    arrays = {name: numpy.array(numbers, dtype=numpy.float64) for name, numbers in module.state_dict().items()}
    target = Path(path)
    partial = target.with_name(f"{target.name}.partial")  # in the same folder, so that renaming it is one step
    with told(target, "written"):
        with open(partial, "wb") as file:
            file.write(save(arrays))
            file.flush()  # else the new name could reach the disk before what it stands for
            os.fsync(file.fileno())
        os.replace(partial, target)


def load_state(module: Module, path: str | os.PathLike[str]) -> None:
    """Set every parameter from a file that `save_state` wrote.

    Raises:
        RunError: the file is missing or damaged.
        ShapeError: it is of a module with other names or shapes.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        with told(path, "read"):
            arrays = load(Path(path).read_bytes())
    except SafetensorError as error:
        raise RunError(f"{path} is not a safetensors file, or damaged: {error}") from None
    module.load_state_dict({name: array.tolist() for name, array in arrays.items()})


def _children(prefix: str, things: Iterable[tuple[Any, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield (name, thing) for every module, and for every array of parameters, among things and lists of them."""
    for name, thing in things:
        if isinstance(thing, Module | Value) or _is_array(thing):
            yield f"{prefix}{name}", thing
        elif isinstance(thing, list | tuple):
            yield from _children(f"{prefix}{name}.", enumerate(thing))


def _is_array(thing: Any) -> bool:
    """Return whether nested lists hold Values only, in a rectangle: then they have one name and one shape."""
    if not isinstance(thing, list | tuple) or not thing:
        return False
    if all(isinstance(item, Value) for item in thing):
        return True  # a vector
    return all(_is_array(item) for item in thing) and len({_shape(item) for item in thing}) == 1


def _shape(tree: Any) -> tuple[int, ...]:
    return (len(tree), *_shape(tree[0])) if isinstance(tree, list | tuple) and tree else ()


def _leaves(tree: Any) -> list[Any]:
    return [leaf for item in tree for leaf in _leaves(item)] if isinstance(tree, list | tuple) else [tree]


def _numbers(tree: Any) -> Any:
    return [_numbers(item) for item in tree] if isinstance(tree, list | tuple) else tree.data
