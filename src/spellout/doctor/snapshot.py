"""A snapshot keeps everything that a training step may touch, and puts it back exactly.

What is kept: modules (modes, hooks, parameters, buffers, attributes), tensors (bits, storage, gradients, hooks),
optimizers, schedulers, scalers, the variables that the given functions close over or name globally, random
generators, and torch's global modes. Restoring writes the old bits into the old storage, so aliases stay aliases.
"""

from __future__ import annotations

import copy
import gc
import random
import sys
import types
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

_BORROWED_ITERATORS = tuple(map(type, (iter([]), iter(()), iter(range(1)), iter({}), iter(""), iter(set()))))
_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device, types.ModuleType, type)
_LONG, _LARGE = 20_000, 2**26
"""A list this long holds data, not state; so does a tensor this large that needs no gradient."""
_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")
_OUR_OWN = ("torch.", "numpy.", "spellout.doctor")


class Snapshot:
    """The state of some objects, and of the random generators, at one moment."""

    def __init__(self, *roots: object) -> None:
        self._undo: list[Callable[[], object]] = []
        self._seen: dict[int, object] = {}  # the object is kept, so that its id stays its own
        self._keep_globals()
        pending: list[Any] = list(roots)
        while pending:
            pending.extend(self._keep(pending.pop()))

    def restore(self) -> None:
        """Put everything back; may be called more than once."""
        # In reverse: an object is put back after what it holds, and the random state last of all.
        with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
            for undo in reversed(self._undo):
                undo()
        torch.set_grad_enabled(self._grad_enabled)

    def _keep(self, value: Any) -> Iterator[Any]:
        """Remember how to undo changes of `value`; gives what it is made of."""
        if isinstance(value, _PLAIN) or id(value) in self._seen or type(value) in weakref.ProxyTypes:
            return
        self._seen[id(value)] = value
        if isinstance(value, torch.Tensor):
            yield from self._keep_tensor(value)
        elif isinstance(value, dict | list | deque | set | bytearray):
            yield from self._keep_container(value)
        elif isinstance(value, tuple):
            yield from value
        elif isinstance(value, torch.Generator):
            self._undo.append(partial(value.set_state, value.get_state()))
        elif isinstance(value, random.Random):
            self._undo.append(partial(value.setstate, value.getstate()))
        elif type(value).__module__.startswith("numpy."):
            self._keep_numpy(value)
        elif isinstance(value, types.FunctionType):
            yield from self._keep_function(value)
        elif isinstance(value, types.MethodType):
            yield from (value.__self__, value.__func__)
        elif isinstance(value, partial):
            yield from (value.func, value.args, value.keywords)
        elif isinstance(value, nn.Module | Optimizer | LRScheduler) or _is_state(value):
            yield from self._keep_object(value)

    def _keep_object(self, value: Any) -> Iterator[Any]:
        attributes = object.__getattribute__(value, "__dict__")
        kind = type(value)

        def undo() -> None:
            if type(value) is not kind:  # lazy modules become ordinary ones
                object.__setattr__(value, "__class__", kind)

        self._undo.append(undo)
        yield attributes

    def _keep_container(self, value: Any) -> Iterator[Any]:
        content = copy.copy(value) if type(value) in (list, deque, set, bytearray) else list(value)
        if isinstance(value, dict):
            pairs, kind = list(value.items()), OrderedDict if isinstance(value, OrderedDict) else dict

            def undo() -> None:
                # Only where it changed: to fill a dictionary again is slow, and iterators over it would break.
                if not _same_pairs(value, pairs):
                    kind.clear(value)
                    for key, item in pairs:
                        kind.__setitem__(value, key, item)

            content = [item for pair in pairs for item in pair if not isinstance(item, _PLAIN)]
        elif isinstance(value, list | bytearray):  # a bytearray that torch looks into may not change its length

            def undo() -> None:
                value[:] = content

        else:

            def undo() -> None:
                value.clear()
                (value.update if isinstance(value, set) else value.extend)(content)

        self._undo.append(undo)
        if len(content) <= _LONG:
            yield from content

    def _keep_tensor(self, value: torch.Tensor) -> Iterator[Any]:
        lazy = isinstance(value, UninitializedTensorMixin)
        if not lazy and value.numel() > _LARGE and not value.requires_grad:
            return
        with torch._C.DisableTorchFunctionSubclass():
            kind, leaf, needs = type(value), value.is_leaf, value.requires_grad
            alias = torch.Tensor.data.__get__(value)  # type: ignore[attr-defined]
            bits = None if lazy else alias.clone()
            grad = value.grad if leaf else None
            hooks = {name: getattr(value, name, None) for name in _HOOKS}
            kept = {name: list(found.items()) for name, found in hooks.items() if found is not None}

        def undo() -> None:
            if type(value) is not kind:
                value.__class__ = kind
            if bits is not None:
                alias.copy_(bits)
            current = torch.Tensor.data.__get__(value)  # type: ignore[attr-defined]
            if (current.data_ptr(), current.shape, current.dtype) != (alias.data_ptr(), alias.shape, alias.dtype):
                value.grad = None
                value.data = alias
            if leaf and value.requires_grad != needs:
                value.requires_grad_(needs)
            if leaf and value.grad is not grad:
                value.grad = grad
            for name, found in hooks.items():  # the same dictionary with the same entries, or none
                if found is not None:
                    found.clear()
                    found.update(kept[name])
                elif getattr(value, name, None) is not None:
                    setattr(value, name, None)

        self._undo.append(undo)
        if grad is not None:
            yield grad
        if leaf:
            yield getattr(value, "__dict__", None)

    def _keep_numpy(self, value: Any) -> None:
        name = type(value).__name__
        if name == "ndarray" and value.dtype != object and value.flags.writeable:
            self._undo.append(partial(value.__setitem__, ..., value.copy()))
        elif name == "Generator":
            bits = value.bit_generator
            self._undo.append(partial(setattr, bits, "state", copy.deepcopy(bits.state)))
        elif name == "RandomState":
            self._undo.append(partial(value.set_state, value.get_state()))

    def _keep_function(self, function: types.FunctionType) -> Iterator[Any]:
        """The variables that a function of the user's closes over or names globally."""
        if function.__module__ and function.__module__.startswith(_OUR_OWN):
            return
        for cell in function.__closure__ or ():
            with suppress(ValueError):  # not yet assigned
                yield self._keep_variable(cell.cell_contents, partial(setattr, cell, "cell_contents"))
        yield from (function.__defaults__ or ())
        names, variables = _names(function.__code__), function.__globals__
        for name in names:
            if name in variables and not isinstance(variables[name], types.ModuleType):
                yield self._keep_variable(variables[name], partial(variables.__setitem__, name))

    def _keep_variable(self, value: Any, assign: Callable[[Any], None]) -> Any:
        self._undo.append(partial(assign, value))
        if isinstance(value, _BORROWED_ITERATORS):
            assign(copy.copy(value))  # an iterator cannot be wound back: the copy is used up instead
        return value

    def _keep_globals(self) -> None:
        self._grad_enabled = torch.is_grad_enabled()
        self._undo += [
            partial(random.setstate, random.getstate()),
            partial(torch.set_rng_state, torch.get_rng_state()),
            partial(torch.set_default_dtype, torch.get_default_dtype()),
            partial(torch.set_anomaly_enabled, torch.is_anomaly_enabled()),
        ]
        # Neither CUDA nor numpy is started for this: what is not in use has no state to keep.
        if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            self._undo.append(partial(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()))
        if (numpy := sys.modules.get("numpy")) is not None:
            self._undo.append(partial(numpy.random.set_state, numpy.random.get_state()))


@contextmanager
def borrowed(*roots: object) -> Iterator[None]:
    """Whatever happens inside to the roots and to the random state is undone at the end, exceptions included."""
    snapshot = Snapshot(*roots)
    try:
        with torch.enable_grad():
            yield
    finally:
        snapshot.restore()


def companions(optimizers: Iterable[Optimizer]) -> list[Any]:
    """The living schedulers of these optimizers; users seldom hand them over."""
    wanted = {id(optimizer) for optimizer in optimizers}
    living = gc.get_objects()
    kinds = {kind for kind in set(map(type, living)) if issubclass(kind, LRScheduler)}  # few types, many objects
    alive = [thing for thing in living if type(thing) in kinds] if kinds else []
    return [thing for thing in alive if id(getattr(thing, "optimizer", None)) in wanted]


def _is_state(value: object) -> bool:
    """An ordinary object of the user's, or one of torch's that holds training state."""
    kind = type(value)
    if not hasattr(value, "__dict__") or issubclass(kind, type | types.ModuleType):
        return False
    module = kind.__module__ or ""
    if module.startswith(("torch.amp", "torch.cuda.amp", "torch.optim", "torch.utils.data", "torch.distributions")):
        return True
    root = module.partition(".")[0]
    return root not in sys.stdlib_module_names and root not in ("torch", "numpy", "hypothesis", "_pytest", "pytest")


def _names(code: types.CodeType) -> set[str]:
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return set(code.co_names).union(*(_names(one) for one in inner))


def _same_pairs(value: dict[Any, Any], pairs: list[tuple[Any, Any]]) -> bool:
    return len(value) == len(pairs) and all(
        one is key and other is item for (one, other), (key, item) in zip(value.items(), pairs, strict=True)
    )
