"""A tape keeps every torch function that is called: its name, arguments and result, and the user's line.

It sees functional calls, methods and operators alike (`TorchFunctionMode`), and each call once: what torch calls
inside itself is not on it. The tape keeps the tensors alive, so that an id names one tensor.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from types import CodeType, FrameType
from typing import Any

import torch
from torch import overrides
from torch.overrides import (
    TorchFunctionMode,
    _get_current_function_mode_stack,
    _pop_mode,
    _push_mode,
)

from .place import Place


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


QUIET = words(
    """__get__ __set__ size dim numel __len__ is_floating_point is_complex stride data_ptr ndimension
    _set_grad_enabled register_hook requires_grad_ is_contiguous __format__ __repr__ tolist element_size is_cuda"""
)
"""Not worth a line on the tape."""
PROPERTIES = words("T mT H mH data")
"""Attributes that are calls all the same."""
ALIASES = {
    "truediv": "div", "rtruediv": "rdiv", "true_divide": "div", "itruediv": "div", "divide": "div", "isub": "sub",
    "subtract": "sub", "iadd": "add", "imul": "mul", "multiply": "mul", "radd": "add", "rmul": "mul", "ipow": "pow",
    "special_expit": "sigmoid", "hardsigmoid": "sigmoid", "special_softmax": "softmax", "clip": "clamp",
    "special_log_softmax": "log_softmax", "negative": "neg", "concat": "cat", "concatenate": "cat",
}  # fmt: skip
DROPOUTS = words("dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout feature_dropout")
RANDOM = DROPOUTS | words(
    """rand randn randint rand_like randn_like randint_like randperm normal bernoulli multinomial poisson
    gumbel_softmax rrelu uniform exponential normal_ uniform_ bernoulli_ exponential_ random_ log_normal cauchy
    geometric"""
)
"""Functions that draw random numbers."""
RESHAPES = words(
    """view reshape flatten unflatten squeeze unsqueeze permute transpose t T mT H mH data contiguous clone to float
    double expand swapaxes swapdims movedim bfloat16 half type_as view_as reshape_as cpu cuda detach"""
)
"""Calls whose result holds all values of their first argument, moved."""
AFFINE = words("linear conv1d conv2d conv3d matmul addmm")
"""Products of an input with weights."""
REGRESSIONS = words("mse_loss l1_loss smooth_l1_loss huber_loss")
"""Losses that compare numbers, which broadcast where their shapes differ."""
MOVES = RESHAPES | words("getitem select narrow chunk split unbind stack cat")
"""Calls whose result holds values of their first argument, moved or chosen."""

_TORCH = os.path.dirname(torch.__file__) + os.sep
_DOCTOR = os.path.dirname(__file__) + os.sep
_MODULES = os.path.join(_TORCH, "nn", "modules") + os.sep
_WRITES = frozenset(
    f"__i{name}__" for name in words("add sub mul truediv floordiv mod pow and or xor lshift rshift")
)
_CLIPS = frozenset(("clip_grad_norm_", "clip_grad_value_"))
_TORCHS, _USERS, _OURS, _START, _AGAIN, _FORWARD, _CLIPPING = range(7)
"""Whose code it is: torch's (or Python's own), the user's, the doctor's, where the doctor calls the user's, where
it replays a call of the user's, a module's `forward` in torch, a function that clips gradients."""
_CALLS_THE_USERS = {"forward_pass": _START, "loss_pass": _START, "call_again": _AGAIN}


class Call:
    """One call on the tape."""

    __slots__ = (
        "args", "clips", "code", "func", "index", "instruction", "kwargs", "limit", "limits_norm", "module", "name",
        "out", "phase",
    )  # fmt: skip

    name: str
    """`relu`, `add`, `getitem`: one name for the function, the method, the operator and their in-place forms."""

    def __init__(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], index: int, phase: str) -> None:
        self.name, self.args, self.kwargs, self.index, self.phase = name, args, kwargs, index, phase
        self.func: Any = None
        self.out: Any = None
        self.code: CodeType | None = None
        self.instruction = 0  # where in the code: the line is looked up only for what is told
        self.module: Any = None
        self.clips = self.limits_norm = False
        self.limit = float("inf")

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
    def drops(self) -> float:
        """The share that a dropout sets to zero; 0.0 for any other call, and where it is off."""
        if self.name not in DROPOUTS or not self.argument(2, "training", True):
            return 0.0
        return float(self.argument(1, "p", 0.5))

    @property
    def changed(self) -> torch.Tensor | None:
        """The argument that it wrote into (`x.add_(y)`, `x += y`, `x[i] = y`), if it is such a call."""
        raw = self.func.__name__ if self.func is not None else ""
        inside = raw == "__setitem__" or (raw.endswith("_") and not raw.endswith("__")) or raw in _WRITES
        first = self.args[0] if inside and self.args else None
        return first if isinstance(first, torch.Tensor) else None

    @property
    def where(self) -> str | None:
        """`file:line` of the user's code, or the torch module."""
        inside = f"{type(self.module).__name__}()" if self.module is not None else None
        if self.code is None:
            return inside
        return Place.of(self.code, self.instruction, f", in {inside}" if inside else "")


class Tape(TorchFunctionMode):
    """Records while it is entered."""

    def __init__(self, limit: int = 200_000) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._limit = limit
        self._makers: dict[int, list[Call]] = {}
        self._read = 0
        """How many calls it was made of: a tape grows also after it was looked at."""
        self.phase = "model"
        self.paused = False
        """Nothing is written down."""
        self.rolls = False
        """Of what is written down now, only the last will be kept."""
        self.blind: tuple[CodeType | None, int] | None = None
        """Where gradients were switched off, if they were not switched on again."""
        self.failed: Call | None = None
        """The call that raised."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call through, and write it down."""
        if self.paused or len(self.calls) >= self._limit or torch._C._get_tracing_state() is not None:
            return func(*args, **(kwargs or {}))
        raw = func.__name__
        if raw == "__get__" and func.__self__.__name__ in PROPERTIES:
            raw = func.__self__.__name__
        elif raw in QUIET:
            if raw == "_set_grad_enabled":
                self.blind = None if args[0] else users_place(sys._getframe(1))
            return func(*args, **(kwargs or {}))
        call = Call(_named(raw), args, kwargs or {}, len(self.calls), self.phase)
        call.func = func
        _locate(call, sys._getframe(1))
        self.calls.append(call)  # before it is called: one that raises is on the tape too
        try:
            call.out = func(*args, **call.kwargs)
        except Exception:
            self.failed = self.failed or call
            raise
        return call.out

    @property
    def listens(self) -> bool:
        """Does it lie on the stack of modes? While it answers a torch function it does not."""
        return any(mode is self for mode in _get_current_function_mode_stack())  # type: ignore[no-untyped-call]

    def leave(self) -> bool:
        """Take it off the stack of modes, wherever it lies there: a program may have entered others after it.

        False while a torch function is being answered: then it does not lie there.
        """
        above, found = [], False
        while _get_current_function_mode_stack():  # type: ignore[no-untyped-call]
            mode = _pop_mode()  # type: ignore[no-untyped-call]
            if mode is self:
                found = True
                break
            above.append(mode)
        for mode in reversed(above):
            _push_mode(mode)  # type: ignore[no-untyped-call]
        return found

    def forget(self, begin: int, end: int) -> None:
        """Take these calls off; those after them move up."""
        del self.calls[begin:end]
        for place, call in enumerate(self.calls[begin:], begin):
            call.index = place
        self._read, self._makers = 0, {}

    @property
    def makers(self) -> dict[int, list[Call]]:
        """The calls that returned a tensor, by its id, in their order."""
        if self._read > len(self.calls):
            self._read, self._makers = 0, {}
        for call in self.calls[self._read :]:
            for tensor in call.outputs:
                self._makers.setdefault(id(tensor), []).append(call)
        self._read = len(self.calls)
        return self._makers

    def maker(self, tensor: object, before: int | None = None) -> Call | None:
        """The last call that returned this tensor (before the call of that index)."""
        calls = reversed(self.makers.get(id(tensor), []))
        return next((call for call in calls if before is None or call.index < before), None)

    def source(self, tensor: object, through: frozenset[str], before: int | None = None) -> Call | None:
        """The call a tensor comes from, looking through calls that only move values."""
        call = self.maker(tensor, before)
        while call is not None and call.name in through:
            moved = call.argument(0, "input")
            if not isinstance(moved, torch.Tensor):  # several are joined, and there is no one source
                break
            call = self.maker(moved, call.index)
        return call


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """All tensors in nested lists, tuples, dictionaries and dataclass-like outputs."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from tensors_in(item)
    elif hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        yield from tensors_in(vars(value))


def dense(gradient: torch.Tensor) -> torch.Tensor:
    """The gradient as an ordinary tensor; embeddings may give sparse ones."""
    return gradient if gradient.layout == torch.strided else gradient.to_dense()


def span(tensor: torch.Tensor) -> str:
    """Its least and its largest number, in words."""
    values = tensor.detach()
    return f"{float(values.min()):.3g} … {float(values.max()):.3g}" if values.numel() else "an empty tensor"


def users_line() -> str | None:
    """The user's line that is running, seen from inside a hook."""
    call = Call("", (), {}, 0, "")
    _locate(call, sys._getframe(1))
    return call.where


def asker(frame: FrameType | None) -> FrameType | None:
    """The frame that called what a tape answers just now, seen from inside: where torch says that it stands."""
    inner = None
    while frame is not None and frame.f_code is not Tape.__torch_function__.__code__:
        inner, frame = frame, frame.f_back
    frame = None if frame is None else frame.f_back
    while frame is not None and frame.f_code.co_filename == overrides.__file__:
        frame = frame.f_back
    if frame is not None and inner is not None and frame.f_code is inner.f_code:
        frame = frame.f_back  # the same function, once before the tape answers and once after it
    return frame


def users_frames(frame: FrameType | None) -> list[FrameType]:
    """The calls of the user's that are going on, the innermost first; four of them at most."""
    found: list[FrameType] = []
    while frame is not None and len(found) < 4:
        if is_users(frame.f_code):
            found.append(frame)
        elif frame.f_code.co_filename.startswith(_DOCTOR) and found:
            break
        frame = frame.f_back
    return found


def users_place(frame: FrameType | None) -> tuple[CodeType | None, int]:
    """The user's code that is running in this frame or outside it, and its instruction."""
    while frame is not None and not is_users(frame.f_code):
        frame = frame.f_back
    return (None, 0) if frame is None else (frame.f_code, frame.f_lasti)


@cache
def _named(raw: str) -> str:
    """`__iadd__`, `add_`, `add` and `torch.add` are one."""
    name = raw[2:-2] if raw.startswith("__") and raw.endswith("__") else raw
    if name.endswith("_") and name not in RANDOM:
        name = name[:-1]
    return ALIASES.get(name, name)


class _Whose(dict[CodeType, int]):
    """Whose each piece of code is; a dictionary, as it is asked for every frame of every call."""

    def __missing__(self, code: CodeType) -> int:
        self[code] = found = _whose(code)
        return found


_KNOWN = _Whose()


def _whose(code: CodeType) -> int:
    name = code.co_filename
    if name.startswith(_TORCH) or name.endswith((f"{os.sep}contextlib.py", f"{os.sep}functools.py")):
        if code.co_name in _CLIPS:
            return _CLIPPING
        return _FORWARD if name.startswith(_MODULES) and code.co_name == "forward" else _TORCHS
    if name.startswith(_DOCTOR):
        return _CALLS_THE_USERS.get(code.co_name, _OURS)
    return _USERS


def is_users(code: CodeType) -> bool:
    """Is it the user's code, neither torch's nor the doctor's?"""
    return _KNOWN[code] == _USERS


def _locate(call: Call, frame: FrameType | None) -> None:
    """Walk out of torch to the user's line; remember the torch module and function that the user called."""
    known = _KNOWN
    while frame is not None:
        whose = known[frame.f_code]
        if whose:  # most frames are torch's
            if whose == _USERS:
                call.code, call.instruction = frame.f_code, frame.f_lasti
                return
            if whose == _START:
                return
            if whose == _AGAIN:
                again = frame.f_locals["call"]
                call.code, call.instruction, call.module = again.code, again.instruction, again.module
                return
            if whose == _FORWARD and call.module is None:
                call.module = frame.f_locals.get("self")
            elif whose == _CLIPPING:
                norm = "max_norm" in frame.f_locals
                call.limit = float(frame.f_locals["max_norm" if norm else "clip_value"])
                call.clips = call.limit != float("inf")  # without a limit it only measures
                call.limits_norm = norm
        frame = frame.f_back
