"""What a script computed is computed again with other tensors: the calls of the tape, with some inputs replaced.

A node is a call of a torch function, or a visit of a module with everything that the module did. Nodes that depend
on what is replaced, or on something that is trained, are computed anew; all other tensors are constants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from types import CodeType
from typing import Any

import torch
from torch import nn

from .. import walk
from ..tape import RANDOM, Call, tensors_in, words

_SHAPED = words("view reshape expand repeat unflatten broadcast_to new_zeros new_ones new_full zeros ones arange")
"""Calls whose numbers are sizes."""


@dataclass(eq=False, slots=True)
class Visit:
    """One call of a module by the user's code."""

    module: nn.Module
    args: tuple[Any, ...]
    begin: int
    """How many calls were on the tape before it."""
    depth: int
    """In how many other visits it happened."""
    code: CodeType | None = None
    instruction: int = 0
    kwargs: dict[str, Any] = field(default_factory=dict)
    output: Any = None
    end: int = -1
    casts: tuple[tuple[str, torch.dtype], ...] = ()
    """The devices on which autocast was on, and its type."""

    @property
    def name(self) -> str:
        """As calls have one."""
        return type(self.module).__name__

    @property
    def changed(self) -> None:
        """A module is not taken for one that writes into its arguments."""
        return None

    @property
    def index(self) -> int:
        """Its place among the calls."""
        return self.begin

    @property
    def inputs(self) -> list[torch.Tensor]:
        """All tensors among the arguments."""
        return list(tensors_in((self.args, self.kwargs)))

    @property
    def outputs(self) -> list[torch.Tensor]:
        """All tensors among the results."""
        return list(tensors_in(self.output))

    @property
    def trained(self) -> list[nn.Parameter]:
        """The parameters of its module that need a gradient."""
        return [parameter for _, parameter in walk.parameters(self.module) if parameter.requires_grad]

    def within(self) -> AbstractContextManager[Any]:
        """The types of numbers that were chosen when it happened."""
        stack = ExitStack()
        for device, dtype in self.casts:
            stack.enter_context(torch.autocast(device, dtype=dtype))
        return stack


Node = Call | Visit


def is_live(tensor: torch.Tensor) -> bool:
    """Is it trained?"""
    try:
        return tensor.requires_grad and tensor.is_leaf
    except RuntimeError:  # torch refuses to say it of some views, once another view was written into
        return False


def nodes_of(calls: Sequence[Call], visits: Iterable[Visit]) -> list[Node]:
    """Visits, and the calls outside them, in their order."""
    nodes: list[Node] = []
    place = calls[0].index if calls else 0
    first, last = place, place + len(calls)
    for visit in sorted(visits, key=lambda visit: visit.begin):
        if first <= visit.begin and visit.begin >= place and visit.end <= last:
            nodes += calls[place - first : visit.begin - first]
            nodes.append(visit)
            place = visit.end
    return nodes + list(calls[place - first :])


def made_by(node: Node) -> set[int]:
    """The ids of the tensors that hold something new after it."""
    made = {id(tensor) for tensor in node.outputs}
    return made if node.changed is None else made | {id(node.changed)}


def ancestors(
    nodes: Sequence[Node], ends: Iterable[torch.Tensor], stop: frozenset[int] = frozenset(), graph: bool = False
) -> list[Node]:
    """The nodes that the ends were computed from, not looking beyond `stop`; `graph`: only where gradients flow."""
    wanted, kept = {id(end) for end in ends} - stop, []
    for node in reversed(nodes):
        if node.changed is not None and is_live(node.changed):
            continue  # what is trained was given its numbers, and has them
        written = node.changed is not None and id(node.changed) in stop
        if not written and not made_by(node) & wanted:
            continue
        if (
            graph
            and node.changed is None
            and not any(one.requires_grad and not is_live(one) for one in node.outputs)
        ):
            continue  # no gradient goes back from it: what it made needs none, or is a leaf of its own
        kept.append(node)
        wanted |= {id(one) for one in node.inputs if one.requires_grad or not graph} - stop
    return kept[::-1]


def dependent(nodes: Sequence[Node], sources: Iterable[torch.Tensor]) -> tuple[list[Node], list[torch.Tensor]]:
    """The nodes that depend on the sources or on something trained, and the constants that these are given."""
    reached, kept = {id(source) for source in sources}, list[Node]()
    constants: dict[int, torch.Tensor] = {}
    for node in nodes:
        given = node.inputs
        if not any(id(one) in reached or is_live(one) for one in given) and not (
            isinstance(node, Visit) and node.trained
        ):
            continue
        kept.append(node)
        constants |= {id(one): one for one in given if id(one) not in reached and not is_live(one)}
        reached |= made_by(node)
    return kept, list(constants.values())


class Replay:
    """Computes `ends` from other tensors in the place of `sources`."""

    __slots__ = ("constants", "ends", "nodes", "sources", "training", "types", "visited")  # no state to be put back

    def __init__(
        self, nodes: Sequence[Node], sources: Sequence[torch.Tensor], ends: Sequence[torch.Tensor]
    ) -> None:
        self.sources, self.ends = list(sources), list(ends)
        # A source is given, also where the script made it of another one.
        replaced = set(map(id, sources))
        self.nodes, constants = dependent([node for node in nodes if not made_by(node) <= replaced], sources)
        # Numbers as they are now, without the graph that they came from, which a backward pass has freed.
        self.constants = {id(one): one.detach() if one.requires_grad else one for one in constants}
        live = (one for node in self.nodes for one in node.inputs if is_live(one))
        self.types = {id(one): (one, one.dtype) for one in live}
        self.visited = [node.module for node in self.nodes if isinstance(node, Visit)]
        self.training = True

    def __call__(self, given: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The ends, computed anew."""
        values = {id(source): one for source, one in zip(self.sources, given, strict=False)}
        wide = any(
            one.dtype is torch.float64 != source.dtype for source, one in zip(self.sources, given, strict=False)
        )
        wide = wide or any(one.dtype is not dtype for one, dtype in self.types.values())
        sizes = {
            old: new
            for source, one in zip(self.sources, given, strict=False)
            for old, new in zip(source.shape, one.shape, strict=False)
            if old != new
        }
        for node in self.nodes:
            swap = partial(self._swapped, values, wide)
            args, kwargs = substituted(node.args, swap), substituted(node.kwargs, swap)
            if isinstance(node, Call):
                args, kwargs = self._fitted(node, args, kwargs, sizes)
                if node.changed is not None and id(node.changed) not in values:
                    args = (args[0].clone(), *args[1:])  # a constant that is written into
            made = call_again(node, args, kwargs)
            values |= {id(old): new for old, new in zip(node.outputs, tensors_in(made), strict=False)}
            if node.changed is not None:
                values[id(node.changed)] = args[0]
        return [values.get(id(end), end) for end in self.ends]

    def _swapped(self, values: dict[int, torch.Tensor], wide: bool, tensor: torch.Tensor) -> torch.Tensor:
        if id(tensor) in values:
            return values[id(tensor)]
        constant = self.constants.get(id(tensor), tensor)
        return constant.double() if wide and constant.is_floating_point() and not is_live(constant) else constant

    def _fitted(
        self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any], sizes: dict[int, int]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Sizes that stand among the arguments as numbers are those of the tensors given now."""
        if sizes and call.name in _SHAPED:
            args = (*args[:1], *resized(args[1:], sizes)) if call.inputs else resized(args, sizes)
        if "dropout" in call.name and call.name in RANDOM and not self.training:
            kwargs = {**kwargs, "training": False}
            args = args[:2] if len(args) > 2 else args
        return args, kwargs


def call_again(call: Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Do what the user's line did; the tape reads that line off this frame."""
    if isinstance(call, Visit):
        with call.within():
            return call.module(*args, **kwargs)
    return call.func(*args, **kwargs)


def substituted(value: Any, swap: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """The same nested value with other tensors."""
    if isinstance(value, torch.Tensor):
        return swap(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(substituted(one, swap) for one in value))
    if type(value) in (tuple, list):
        return type(value)(substituted(one, swap) for one in value)
    if type(value) is dict:
        return {key: substituted(one, swap) for key, one in value.items()}
    return value


def resized(sizes: Any, changed: dict[int, int]) -> Any:
    """Sizes after some lengths have changed, alone or multiplied with each other or with one that has not."""
    if isinstance(sizes, tuple | list):
        return type(sizes)(resized(one, changed) for one in sizes)
    if not isinstance(sizes, int) or isinstance(sizes, bool) or sizes < 2:
        return sizes
    return next(_products(sizes, changed), sizes)


def _products(size: int, changed: dict[int, int]) -> Iterator[int]:
    if size in changed:
        yield changed[size]
    for one, now in changed.items():
        for other, then in changed.items():
            if one is not other and one * other == size:
                yield now * then
    for one, now in changed.items():
        if one > 1 and size % one == 0:
            yield size // one * now
