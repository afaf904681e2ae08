"""What the user does with states: `state_dict`, `load_state_dict`, `torch.save` and `torch.load` are heard.

A state of torch's is made of the living tensors: who keeps one keeps what goes on changing. So the tensors of each
are remembered weakly, with a few of their numbers, and at the end it is asked whose they still are.
"""

from __future__ import annotations

import gc
import itertools
import os
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler
from torch.optim.optimizer import register_optimizer_step_post_hook

from .. import walk
from ..place import Place
from ..tape import Tape, users_place
from .contents import Contents, contents_of
from .patches import Patches

_MANY = 50
"""Tensors of a state that are remembered."""
_QUIETLY = torch._C.DisableTorchFunction


def _number(tensor: torch.Tensor) -> tuple[float, ...]:
    with _QUIETLY(), torch.no_grad():
        flat = tensor.detach().reshape(-1)
        flat = torch.view_as_real(flat.resolve_conj()).reshape(-1) if flat.is_complex() else flat
        return tuple(flat[:: max(1, len(flat) // 16)][:16].float().tolist())


@dataclass(eq=False)
class Taken:
    """One call of a module's `state_dict`."""

    module: weakref.ref[nn.Module]
    where: str | None
    tick: int
    """Where on the tape it was."""
    began: bool
    """An optimizer had stepped before it."""
    taped: bool
    """The tape was running, so that it is known what its tensors were used for."""
    tensors: dict[str, weakref.ref[torch.Tensor]]
    numbers: dict[str, tuple[float, ...]]
    saved: bool = False

    @property
    def living(self) -> dict[str, torch.Tensor]:
        """Those of its tensors that there still are."""
        return {name: one for name, ref in self.tensors.items() if (one := ref()) is not None}

    @property
    def moved(self) -> int:
        """How many of its tensors hold other numbers now than when it was taken."""
        return sum(_number(one) != self.numbers[name] for name, one in self.living.items())


@dataclass(eq=False)
class Loaded:
    """One call of a module's `load_state_dict`."""

    module: weakref.ref[nn.Module]
    where: str | None
    given: int
    missed: tuple[str, ...]
    """Names of the module's that were not given."""
    strange: tuple[str, ...]
    """Names that were given and are not the module's."""
    same: bool
    """It was given the module's own living tensors, all of them."""
    own: Taken | None = None
    """When these were taken, if they have moved since."""
    moved: int = 0
    file: File | None = None
    """Where the tensors came from."""


@dataclass(frozen=True)
class Running:
    """An optimizer in the middle of a training."""

    remembers: bool
    """It holds tensors as large as its parameters, as moments are."""
    rates: tuple[tuple[float | None, float], ...]
    """Of every group: the learning rate that a schedule began with, and the present one."""
    size: int
    """How many parameters it steps on."""

    @classmethod
    def of(cls, optimizer: Optimizer) -> Running:
        """Look at one as it is now."""
        held = [(p, one) for p, state in optimizer.state.items() for one in dict(state).values()]
        moments = any(isinstance(one, torch.Tensor) and one.ndim and one.shape == p.shape for p, one in held)
        rates = ((group.get("initial_lr"), float(group.get("lr", 0.0))) for group in optimizer.param_groups)
        return cls(moments, tuple(rates), len(walk.listed_in(optimizer)))


@dataclass(eq=False)
class File:
    """An object that was saved, or came from `torch.load`."""

    where: str | None
    contents: Contents
    path: str | None
    owned: frozenset[int] = frozenset()
    """Of a saved one, where in memory its weights lie: whose they are."""
    running: dict[int, Running] = field(default_factory=dict)
    """By the ids of the optimizers that had stepped when it was saved."""


@dataclass(eq=False)
class Kept:
    """A state that is still somebody's at the end."""

    taken: Taken
    moved: int
    others: int
    """How many more from the same line are kept, with the same numbers now."""
    sure: bool
    """It was taken in the midst of training, and what its line takes was seen not to be computed with."""


class States:
    """Hears what is done with states while it is entered."""

    def __init__(self, tape: Tape | None = None, heard: Callable[[], bool] = lambda: True) -> None:
        self.tape, self._heard = tape, heard
        self.taken: list[Taken] = []
        self.loaded: list[Loaded] = []
        self.saved: list[File] = []
        self.read: list[File] = []
        self.restored: weakref.WeakSet[Any] = weakref.WeakSet()
        """Optimizers and schedulers that were given a state."""
        self.stepped: weakref.WeakKeyDictionary[Optimizer, int] = weakref.WeakKeyDictionary()
        """How often every optimizer has stepped, whoever it belongs to."""
        self.lines: weakref.WeakKeyDictionary[Optimizer, str | None] = weakref.WeakKeyDictionary()
        """Where each did so first."""
        self._trained: list[tuple[weakref.ref[Optimizer], list[weakref.ref[torch.Tensor]]]] = []
        self._patches, self._depth = Patches(), 0
        self._handle: Any = None

    def __enter__(self) -> States:
        self._patches.wrap(nn.Module, "state_dict", self._takes)
        self._patches.wrap(nn.Module, "load_state_dict", self._loads)
        owners = [one for one in vars(lr_scheduler).values() if isinstance(one, type)]
        for owner in (Optimizer, *(one for one in owners if "load_state_dict" in vars(one))):
            self._patches.wrap(owner, "load_state_dict", self._restores)
        self._patches.wrap(torch, "save", self._saves)
        self._patches.wrap(torch, "load", self._reads)
        self._handle = register_optimizer_step_post_hook(self._stepped)
        return self

    def __exit__(self, *_: object) -> None:
        self._patches.undo()
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _stepped(self, optimizer: Optimizer, *_: Any) -> None:
        if not self._heard():
            return
        if optimizer not in self.stepped:
            self._trained.append((weakref.ref(optimizer), [weakref.ref(p) for p in walk.listed_in(optimizer)]))
        self.stepped[optimizer] = self.stepped.get(optimizer, 0) + 1
        self.lines.setdefault(optimizer, _line())

    def learned(self, optimizers: Sequence[Optimizer]) -> set[int]:
        """The ids of the parameters that others than these optimizers have stepped on, or that were loaded."""
        others = [refs for ref, refs in self._trained if ref() not in optimizers]
        living = [one() for refs in others for one in refs]
        modules = [one.module() for one in self.loaded]
        living += [p for module in modules if module is not None for _, p in walk.parameters(module)]
        return {id(one) for one in living if one is not None}

    def _takes(self, before: Callable[..., Any], module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if not self._heard() or self._depth:
            return before(module, *args, **kwargs)
        self._depth += 1
        try:
            state = before(module, *args, **kwargs)
        finally:
            self._depth -= 1
        if isinstance(state, Mapping) and not args and not kwargs.get("keep_vars"):
            self._note(module, state)
        return state

    def _note(self, module: nn.Module, state: Mapping[str, Any]) -> None:
        with _QUIETLY():
            trained = {walk.address(one) for _, one in walk.parameters(module) if one.requires_grad} - {0}
            found = {
                name: one
                for name, one in state.items()
                if isinstance(one, torch.Tensor) and walk.address(one) in trained
            }
            found = dict(list(found.items())[:_MANY])
        self.taken.append(
            Taken(
                weakref.ref(module),
                _line(),
                len(self.tape.calls) if self.tape is not None else 0,
                bool(self.stepped),
                self.tape is not None and not (self.tape.paused or self.tape.rolls),
                {name: weakref.ref(one) for name, one in found.items()},
                {name: _number(one) for name, one in found.items()},
            )
        )

    def _loads(self, before: Callable[..., Any], module: nn.Module, state: Any, *args: Any, **kwargs: Any) -> Any:
        if not self._heard() or not isinstance(state, Mapping):
            return before(module, state, *args, **kwargs)
        own, file = self._own(module, state), self._file_of(state)
        moved, same = own.moved if own is not None else 0, _shared(module, state)
        found = before(module, state, *args, **kwargs)
        missed = tuple(getattr(found, "missing_keys", ()))
        strange = tuple(getattr(found, "unexpected_keys", ()))
        there = weakref.ref(module)
        self.loaded.append(Loaded(there, _line(), len(state), missed, strange, same, own, moved, file))
        return found

    def _own(self, module: nn.Module, state: Mapping[str, Any]) -> Taken | None:
        """The taken state of this module whose living tensors are just what it is given, and that has moved."""
        for one in reversed(self.taken):
            living = one.living
            if one.module() is module and living and all(state.get(name) is it for name, it in living.items()):
                return one if len(living) == len(one.tensors) and one.moved else None
        return None

    def _file_of(self, state: Mapping[str, Any]) -> File | None:
        given = {id(one) for one in state.values() if isinstance(one, torch.Tensor)}
        there = (file for file in reversed(self.read) if any(id(one) in given for one in file.contents.tensors))
        return next(there, None)

    def _restores(self, before: Callable[..., Any], owner: Any, *args: Any, **kwargs: Any) -> Any:
        if self._heard():
            self.restored.add(owner)
        return before(owner, *args, **kwargs)

    def _saves(self, before: Callable[..., Any], thing: Any, *args: Any, **kwargs: Any) -> Any:
        if self._heard():
            with _QUIETLY():
                contents = contents_of(thing)
                kept = {id(one) for one in contents.tensors}
                owned = frozenset(map(walk.address, contents.tensors)) - {0}
                running = {id(one): Running.of(one) for one in self.stepped}
            for taken in self.taken:
                taken.saved |= any(id(tensor) in kept for tensor in taken.living.values())
            path = args[0] if args else kwargs.get("f")
            self.saved.append(File(_line(), contents, _path(path), owned, running))
        return before(thing, *args, **kwargs)

    def _reads(self, before: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        thing = before(*args, **kwargs)
        if self._heard():
            with _QUIETLY():
                contents = contents_of(thing)
            self.read.append(File(_line(), contents, _path(args[0] if args else kwargs.get("f"))))
        return thing

    def forget(self, begin: int, end: int) -> None:
        """These calls are taken off the tape: what came after them moves up."""
        for taken in self.taken:
            if taken.tick > begin:
                taken.tick = max(begin, taken.tick - (end - begin))

    def kept(self) -> list[Kept]:
        """The states that somebody still keeps in a dictionary; asked before anything of the user's is put back."""
        read = {one.where for one in self.taken if one.taped and self._was_read(one)}
        taped = {one.where for one in self.taken if one.taped}
        known = [one for one in self.taken if one.tensors and len(one.living) == len(one.tensors)]
        known = [one for one in known if not one.saved and one.where not in read and one.moved]
        if not known:
            return []
        tensors = [list(one.living.values()) for one in known]  # no dictionary of ours may be among the holders
        holders = [one for one in gc.get_referrers(*itertools.chain(*tensors)) if isinstance(one, dict)]
        found = [one for one in known if any(_holds(holder, one.living) for holder in holders)]
        return [
            Kept(
                one,
                one.moved,
                sum(other.where == one.where and other.numbers != one.numbers for other in found),
                one.began and one.where in taped,
            )
            for one in found
        ]

    def _was_read(self, taken: Taken) -> bool:
        """Did the user compute with its tensors?"""
        ids = {id(one) for one in taken.living.values()}
        calls = self.tape.calls[taken.tick :] if self.tape is not None else []
        return any(id(one) in ids and call.out is not one for call in calls for one in call.inputs)


def _holds(holder: dict[Any, Any], tensors: dict[str, torch.Tensor]) -> bool:
    return all(dict.get(holder, name) is one for name, one in tensors.items())


def _shared(module: nn.Module, state: Mapping[str, Any]) -> bool:
    with _QUIETLY():
        own = {name: walk.address(one) for name, one in walk.parameters(module)}
        given = {name: walk.address(one) for name, one in state.items() if isinstance(one, torch.Tensor)}
        return bool(own) and all(place and given.get(name) == place for name, place in own.items())


def _path(file: Any) -> str | None:
    return os.fspath(file) if isinstance(file, str | os.PathLike) else None


def _line() -> str | None:
    code, instruction = users_place(sys._getframe(1))
    return Place.of(code, instruction) if code is not None else None
