"""The places at which a running script is heard: calls of modules, backward passes, optimizer steps.

Everything is hung on torch itself, so that it does not matter who made a module or an optimizer, and taken off
without a trace. Other threads, and processes that the script forks, are not heard.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import torch
from torch import nn, overrides
from torch.nn.modules import module as modules
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from .. import tape as tape_module
from ..sights.loaders import Loaders
from ..sights.patches import Patches
from ..sights.states import States
from ..tape import Tape, asker, users_place
from .replay import Visit

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT
_PASSING = (tempfile.gettempdir() + os.sep, os.devnull, "/dev/", "/proc/")


_TAPES = (tape_module.__file__, overrides.__file__)
_OF_OUR_HOOKS = "Using `torch.compile(module)` when there are global hooks on modules"


class Listener(Protocol):
    """Who is told; whatever it raises goes into the script."""

    def enters(self, visit: Visit) -> None:
        """A module is called."""

    def left(self, visit: Visit) -> None:
        """A module has returned."""

    def backward(self, loss: torch.Tensor) -> None:
        """The gradient of this is asked for."""

    def asks(self) -> None:
        """A tensor is about to ask for gradients, and the tape may be taken off."""

    def backed(self) -> None:
        """Gradients have arrived."""

    def steps(self, optimizer: Optimizer) -> None:
        """An optimizer is about to step."""

    def exits(self, code: int) -> None:
        """The process is about to end at once."""

    def saves(self, path: object) -> None:
        """Something is about to be saved."""

    def stepped(self, optimizer: Optimizer) -> None:
        """An optimizer has stepped."""

    def schedules(self, scheduler: LRScheduler) -> None:
        """A scheduler is about to step."""


class Hooks:
    """Tells a listener what the script does, and keeps the tape and the visits on it."""

    def __init__(self, listener: Listener, eager: bool = False) -> None:
        self.listener, self.tape = listener, Tape()
        self.eager = eager
        """Compiled modules are run as they were written: to compile them would take longer than all the rest."""
        self._stance: Any = None
        self.visits: list[Visit] = []
        self.loaders = Loaders(lambda: (len(self.tape.calls), "step") if self.heard else None)
        self._taping = False
        self.deaf = False
        """Nothing is told: the doctor itself is at work."""
        self._open: list[Visit] = []
        self._handles: list[Any] = []
        self._patches = Patches()
        self.states = States(self.tape, lambda: self.heard)
        self.ran = 0
        """Outermost calls of modules."""
        self.elsewhere = 0
        """Calls of modules and optimizer steps in other threads of the script's process."""
        self._thread, self._process = threading.get_ident(), os.getpid()

    def __enter__(self) -> Hooks:
        self._handles += [
            modules.register_module_forward_pre_hook(self._enters),
            modules.register_module_forward_hook(self._left, with_kwargs=True, always_call=True),
            register_optimizer_step_pre_hook(self._steps),
            register_optimizer_step_post_hook(self._stepped),
        ]
        self.loaders.listen()
        self._handles.append(self.loaders)
        self._patches.wrap(torch.Tensor, "backward", self._asks)
        self._patches.wrap(torch.autograd, "backward", self._heard_backward)
        self._patches.wrap(torch.amp.GradScaler, "scale", self._heard_scale)
        self._patches.wrap(torch, "save", self._heard_save)
        self._patches.wrap(os, "_exit", self._heard_exit)
        self._patches.wrap(warnings, "_showwarnmsg", self._heard_warning)
        self._patches.wrap(LRScheduler, "step", self._heard_schedule)
        self.states.__enter__()
        _LIVING.add(self)
        self._taping = True
        self.tape.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *_: object) -> None:
        if self._taping:
            self.tape.paused = True
            self._taping = not self.tape.leave()
        if not self._handles:
            return
        for handle in self._handles:
            handle.remove()
        self.states.__exit__()
        self._patches.undo()
        if self._stance is not None:
            self._stance.__exit__(None, None, None)
        self._handles.clear()
        self.forget()

    def forget(self) -> None:
        """Drop what was written down; the tensors on the tape may go."""
        self.tape.calls.clear()
        self.visits.clear()
        self._open.clear()
        self.scaled: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    @property
    def at_rest(self) -> bool:
        """Is no module at work?"""
        return not self._open

    def cut(self, begin: int, end: int) -> None:
        """Drop the calls of a part of the tape, and the visits that began in it."""
        self.tape.forget(begin, end)
        self.states.forget(begin, end)
        self.visits[:] = [one for one in self.visits if one.begin < begin or one.begin >= end]
        for one in self.visits:
            if one.begin >= end:
                one.begin, one.end = one.begin - (end - begin), one.end - (end - begin)

    scaled: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # noqa: RUF012
    """By the id of a scaled loss: itself, and the loss."""

    @property
    def heard(self) -> bool:
        """Is it the script that acts, in the thread and the process that were started?"""
        here = threading.get_ident() == self._thread and self.is_at_home
        return here and not self.deaf and bool(self._handles)

    @property
    def is_at_home(self) -> bool:
        """Is it the process that was started, and none that the script has forked?"""
        return os.getpid() == self._process

    def _overhear(self) -> None:
        if threading.get_ident() != self._thread and self.is_at_home:
            self.elsewhere += 1

    def _enters(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if not self.heard:
            self._overhear()
            return
        self.ran += not self._open
        if self.eager and self._stance is None and hasattr(module, "_orig_mod"):
            self._stance = torch.compiler.set_stance("force_eager")
        code, instruction = users_place(sys._getframe(1))
        visit = Visit(module, args, len(self.tape.calls), len(self._open), code, instruction)
        visit.casts = tuple(
            (device, torch.get_autocast_dtype(device))
            for device in ("cpu", "cuda")
            if torch.is_autocast_enabled(device)
        )
        self._open.append(visit)
        self.listener.enters(visit)

    def _left(self, module: nn.Module, args: tuple[Any, ...], *more: Any) -> None:
        if not self.heard:
            return
        # Where the module has raised, torch forgets the keyword arguments.
        kwargs, output = more if len(more) == 2 else ({}, *more)
        while self._open:  # what raised is not left one by one
            visit = self._open.pop()
            if visit.module is module:
                visit.args, visit.kwargs, visit.output, visit.end = args, kwargs, output, len(self.tape.calls)
                if not self.tape.paused and visit.depth < 2:
                    self.visits.append(visit)
                self.listener.left(visit)
                return

    def _steps(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self.heard:
            self.listener.steps(optimizer)
        else:
            self._overhear()

    def _stepped(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if self.heard:
            self.listener.stepped(optimizer)

    def _asks(self, before: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.heard and self.tape.listens:  # torch comes here a second time, to have the tape answer it
            self.listener.asks()
        return before(*args, **kwargs)

    def _heard_backward(self, before: Callable[..., Any], tensors: Any, *args: Any, **kwargs: Any) -> Any:
        one = tensors[0] if isinstance(tensors, list | tuple) and len(tensors) == 1 else tensors
        if self.heard and isinstance(one, torch.Tensor):
            self.listener.backward(self.scaled[id(one)][1] if id(one) in self.scaled else one)
        result = before(tensors, *args, **kwargs)
        if self.heard:
            self.listener.backed()
        return result

    def _heard_warning(self, before: Callable[..., Any], told: Any) -> Any:
        """What would name a line of the tape's names the line that called it, and is shown as Python shows it."""
        if str(told.message).startswith(_OF_OUR_HOOKS):
            return None
        if told.filename not in _TAPES:
            return before(told)
        for module in (tape_module, overrides):  # one line of theirs stands for all lines of the script
            vars(module).get("__warningregistry__", {}).clear()
        frame = asker(sys._getframe(1))
        if frame is None:
            return before(told)
        names = frame.f_globals
        return warnings.warn_explicit(
            told.message, told.category, frame.f_code.co_filename, frame.f_lineno, names.get("__name__"),
            names.setdefault("__warningregistry__", {}), source=told.source,
        )  # fmt: skip

    def _heard_exit(self, before: Callable[..., Any], code: int) -> Any:
        if self.heard:
            self.listener.exits(code)
        return before(code)

    def _heard_save(self, before: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.heard:
            self.listener.saves(args[1] if len(args) > 1 else kwargs.get("f"))
        return before(*args, **kwargs)

    def _heard_schedule(self, before: Callable[..., Any], scheduler: LRScheduler, *args: Any, **kwargs: Any) -> Any:
        if self.heard and scheduler._step_count:  # one that is made sets the first rate by a step
            self.listener.schedules(scheduler)
        return before(scheduler, *args, **kwargs)

    def _heard_scale(self, before: Callable[..., Any], scaler: Any, outputs: Any) -> Any:
        scaled = before(scaler, outputs)
        if self.heard and isinstance(outputs, torch.Tensor):
            self.scaled[id(scaled)] = scaled, outputs
        return scaled


_LIVING: weakref.WeakSet[Hooks] = weakref.WeakSet()


def _in_child() -> None:
    """A forked process (a worker that loads data) computes as it would alone."""
    for hooks in list(_LIVING):
        with suppress(Exception):
            hooks.__exit__()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def opened_to_write(args: tuple[Any, ...]) -> bool:
    """Do these arguments of Python's event of `open` (path, mode, flags) open a file that outlasts the script?"""
    path, mode, flags = args[:3]
    if not isinstance(path, str) or "__pycache__" in path or path.startswith(_PASSING):
        return False
    return any(letter in mode for letter in "wxa+") if isinstance(mode, str) else bool(flags & _WRITING)
