"""A tape of every torch function that is called: name, arguments, result, and the user's line.

It sees functional calls, methods and operators alike (`TorchFunctionMode`), and each call once: what torch calls
inside itself is not on it. The tape keeps the tensors alive, so that an id names one tensor.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from .names import ALIASES, PROPERTIES, QUIET, RANDOM

_TORCH = os.path.dirname(torch.__file__) + os.sep
_DOCTOR = os.path.dirname(__file__) + os.sep
_MODULES = os.path.join(_TORCH, "nn", "modules") + os.sep
_CLIPS = frozenset(("clip_grad_norm_", "clip_grad_value_"))
LINES: dict[CodeType, int] = {}
"""Whose code it is: 0 the user's, 1 torch's (or Python's own), 2 the doctor's, 3 a module's `forward` in torch."""


class Call:
    """One call on the tape."""

    __slots__ = ("args", "code", "entry", "index", "kwargs", "line", "module", "name", "out", "phase")

    name: str
    """`relu`, `add`, `getitem`: one name for the function, the method, the operator and their in-place forms."""

    def __init__(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], index: int, phase: str) -> None:
        self.name, self.args, self.kwargs, self.index, self.phase = name, args, kwargs, index, phase
        self.out: Any = None
        self.code: CodeType | None = None
        self.line = 0
        self.module: Any = None
        self.entry = ""

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument given by position or by name."""
        return self.args[position] if len(self.args) > position else self.kwargs.get(name, default)

    @property
    def inputs(self) -> list[torch.Tensor]:
        """All tensors among the arguments."""
        return list(tensors_in((self.args, self.kwargs)))

    @property
    def outputs(self) -> list[torch.Tensor]:
        """All tensors among the results."""
        return list(tensors_in(self.out))

    @property
    def where(self) -> str | None:
        """`file:line` of the user's code, or the torch module."""
        inside = f"{type(self.module).__name__}()" if self.module is not None else None
        if self.code is None:
            return inside
        return place(self.code, self.line) + (f", in {inside}" if inside else "")


class Tape(TorchFunctionMode):
    """Records while it is entered."""

    def __init__(self, limit: int = 200_000) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._limit = limit
        self.phase = "model"
        self.failed: Call | None = None
        """The call that raised."""
        self._makers: dict[int, list[Call]] | None = None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call through, and write it down."""
        raw = func.__name__
        if raw == "__get__" and func.__self__.__name__ in PROPERTIES:
            raw = func.__self__.__name__
        elif raw in QUIET or len(self.calls) >= self._limit:
            return func(*args, **(kwargs or {}))
        name = _NAMES.get(raw) or _named(raw)
        call = Call(name, args, kwargs or {}, len(self.calls), self.phase)
        _locate(call, sys._getframe(1))
        self.calls.append(call)
        try:
            call.out = func(*args, **call.kwargs)
        except Exception:
            self.failed = self.failed or call
            raise
        return call.out

    @property
    def makers(self) -> dict[int, list[Call]]:
        """The calls that returned a tensor, by its id, in their order."""
        if self._makers is None:
            self._makers = {}
            for call in self.calls:
                for tensor in call.outputs:
                    self._makers.setdefault(id(tensor), []).append(call)
        return self._makers

    def maker(self, tensor: object, before: int | None = None) -> Call | None:
        """The last call that returned this tensor (before the call of that index)."""
        for call in reversed(self.makers.get(id(tensor), [])):
            if before is None or call.index < before:
                return call
        return None

    def source(self, tensor: object, through: frozenset[str], before: int | None = None) -> Call | None:
        """The call a tensor comes from, looking through calls that only move values."""
        call = self.maker(tensor, before)
        while call is not None and call.name in through and call.args and isinstance(call.args[0], torch.Tensor):
            call = self.maker(call.args[0], call.index)
        return call

    def uses(self, tensor: object) -> list[Call]:
        """The calls that take this tensor."""
        return [call for call in self.calls if any(one is tensor for one in call.inputs)]

    def reached_from(self, *roots: object) -> set[int]:
        """The ids of all tensors that are computed from the roots."""
        reached = {id(root) for root in roots}
        for call in self.calls:
            if any(id(tensor) in reached for tensor in call.inputs):
                reached.update(id(tensor) for tensor in call.outputs)
        return reached


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """All tensors in nested lists, tuples, dictionaries and dataclass-like outputs."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from tensors_in(item)
    elif hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        for item in vars(value).values():
            yield from tensors_in(item)


def dense(gradient: torch.Tensor) -> torch.Tensor:
    """The gradient as an ordinary tensor; embeddings may give sparse ones."""
    return gradient if gradient.layout == torch.strided else gradient.to_dense()


def users_line() -> str | None:
    """The user's line that is running, seen from inside a hook."""
    call = Call("", (), {}, 0, "")
    _locate(call, sys._getframe(1))
    return call.where


def place(code: CodeType, line: int) -> str:
    """`file:line`, short where the file lies under the current folder."""
    name = code.co_filename
    try:
        short = os.path.relpath(name)
    except ValueError:  # another drive
        short = name
    return f"{name if short.startswith('..') or name.startswith('<') else short}:{line}"


_NAMES: dict[str, str] = {}


def _named(raw: str) -> str:
    """`__iadd__`, `add_`, `add` and `torch.add` are one."""
    name = raw[2:-2] if raw.startswith("__") and raw.endswith("__") else raw
    if name.endswith("_") and name not in RANDOM:
        name = name[:-1]
    _NAMES[raw] = name = ALIASES.get(name, name)
    return name


def _whose(code: CodeType) -> int:
    name = code.co_filename
    if name.startswith(_TORCH) or name.endswith((f"{os.sep}contextlib.py", f"{os.sep}functools.py")):
        whose = 3 if name.startswith(_MODULES) and code.co_name == "forward" else 1
    else:
        whose = 2 if name.startswith(_DOCTOR) else 0
    LINES[code] = whose
    return whose


def _locate(call: Call, frame: FrameType | None) -> None:
    """Walk out of torch to the user's line; remember the torch module and function that the user called."""
    while frame is not None:
        code = frame.f_code
        whose = LINES.get(code)
        if whose is None:
            whose = _whose(code)
        if whose == 0:
            call.code, call.line = code, frame.f_lineno
            return
        if whose == 2 and code.co_name in ("forward_pass", "loss_pass"):  # the doctor called it itself
            return
        if whose == 3 and call.module is None:
            call.module = frame.f_locals.get("self")
        elif code.co_name in _CLIPS:
            limit = frame.f_locals.get("max_norm", 0.0)
            call.entry = "clip" if float(limit) != float("inf") else ""  # without a limit it only measures
        frame = frame.f_back
