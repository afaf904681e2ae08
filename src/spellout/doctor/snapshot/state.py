"""The walk over all that the given objects reach: each thing says how it is put back and what it is made of."""

from __future__ import annotations

import array
import copy
import io
import random
import types
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.autograd.grad_mode import _unsafe_preserve_version_counter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data.dataloader import _SingleProcessDataLoaderIter

from .. import walk
from .iterators import ITERATORS, NoTwinError, indices_of, parts, twin, winds_back
from .settings import keep_settings
from .tensors import LARGE, KeptTensor
from .whose import (
    data_of,
    holds_state,
    is_users_class,
    is_users_file,
    is_users_module,
    module_of,
    names_in,
    slots_of,
)

_ATOMS = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device)
_PLAIN = frozenset((*_ATOMS, types.ModuleType))
_DATA = frozenset((*_PLAIN, torch.Tensor, tuple))
_LONG = 20_000
"""A list this long holds data: its tensors and tuples are not looked into."""
_OUR_OWN = ("torch.", "numpy.", "spellout.doctor")
_ABSENT = object()
_WRAPPERS = (staticmethod, classmethod, property, partial, types.MethodType, types.BuiltinMethodType)


class Snapshot:
    """The state of some objects, of the settings and of the random generators, at one moment.

    `whole=False` leaves out what a pass of the model only reads: long lists and large tensors without gradients.
    """

    def __init__(self, *roots: object, whole: bool = True) -> None:
        self._undo: list[Callable[[], object]] = []
        self._seen: dict[int, object] = {}  # the object is kept, so that its id stays its own
        self._held: set[tuple[int, str]] = set()
        self._twins: dict[int, Any] = {}
        self._versioned: list[torch.Tensor] = []
        self._whole = whole
        self._grad_enabled = torch.is_grad_enabled()
        self._undo += keep_settings()
        pending: list[Any] = list(roots)
        while pending:
            pending.extend(self._keep(pending.pop()))
        # Autograd counts the writes to a tensor, and refuses a graph whose tensors were written since.
        self._versions = _unsafe_preserve_version_counter(tuple(self._versioned))

    def restore(self) -> None:
        """Put everything back; may be called more than once. What cannot be put back raises when all else is."""
        # In reverse: an object is put back after what it holds, and the random state last of all.
        failed: Exception | None = None
        with torch.no_grad(), torch._C.DisableTorchFunctionSubclass():
            for undo in reversed(self._undo):
                try:
                    undo()
                except Exception as error:
                    failed = failed or error
        self._versions.__exit__()
        torch.set_grad_enabled(self._grad_enabled)
        if torch.is_autocast_cache_enabled():
            torch.clear_autocast_cache()  # weights that were cast while others stood in their place
        if failed is not None:
            raise failed

    def _keep(self, value: Any) -> Iterator[Any]:
        """Remember how to undo changes of `value`; gives what it is made of."""
        if type(value) in _PLAIN or type(value) in weakref.ProxyTypes or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, torch.Tensor):
            yield from self._keep_tensor(value)
        elif isinstance(value, dict | list | deque | set | bytearray | array.array):
            yield from self._keep_container(value)
            if module_of(type(value)) not in ("builtins", "collections", "array"):
                yield from self._keep_object(value)
        elif isinstance(value, tuple | frozenset):
            yield from self._items(value)
        elif isinstance(value, torch.Generator):
            self._undo.append(partial(value.set_state, value.get_state()))
        elif isinstance(value, random.Random):
            self._undo.append(partial(value.setstate, value.getstate()))
        elif module_of(type(value)).startswith("numpy"):
            yield from self._keep_numpy(value)
        elif isinstance(value, io.IOBase):
            self._keep_stream(value)
        elif type(value) in ITERATORS:
            yield from parts(value)
        elif isinstance(value, type):
            yield from self._keep_class(value)
        else:
            yield from self._keep_code_or_object(value)

    def _keep_code_or_object(self, value: Any) -> Iterator[Any]:
        if isinstance(value, types.FunctionType):
            yield from self._keep_function(value)
        elif isinstance(value, _WRAPPERS):
            for name in ("__self__", "__func__", "fget", "fset", "func", "args", "keywords"):
                yield getattr(value, name, None)
        elif isinstance(value, nn.Module | Optimizer | LRScheduler) or holds_state(value):
            if isinstance(value, _SingleProcessDataLoaderIter):
                self._keep_place(value)
            if not isinstance(value, Iterator) or winds_back(value):
                yield from self._keep_object(value)

    def _keep_object(self, value: Any) -> Iterator[Any]:
        kind: type = type(value)

        def undo() -> None:
            if type(value) is not kind:  # lazy modules become ordinary ones
                object.__setattr__(value, "__class__", kind)

        self._undo.append(undo)
        with suppress(AttributeError):  # slots alone
            yield object.__getattribute__(value, "__dict__")
        for slot in slots_of(kind):
            held = _content(slot, value)
            yield self._hold(held, partial(slot.__set__, value), partial(slot.__delete__, value))
        yield kind

    def _hold(self, value: Any, assign: Callable[[Any], object], drop: Callable[[], object] | None = None) -> Any:
        """Keep a variable, an attribute or a slot, and give what it holds."""
        if value is not _ABSENT:
            self._undo.append(partial(assign, value))
            if (other := self._twin(value)) is not None:
                assign(other)
            return value
        if drop is not None:

            def undo() -> None:
                with suppress(AttributeError, KeyError):
                    drop()

            self._undo.append(undo)
        return None

    def _twin(self, value: Any) -> Any:
        if type(value) not in ITERATORS:
            return None
        with suppress(NoTwinError):
            made = twin(value, self._twins)
            self._seen.setdefault(id(made), made)
            return made
        return None

    def _keep_container(self, value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            yield from self._keep_dictionary(value)
            return
        content = copy.copy(value) if type(value) in (list, deque, set) else list(value)
        if isinstance(value, set | deque):

            def undo() -> None:
                value.clear()
                (value.update if isinstance(value, set) else value.extend)(content)

        else:
            content = value[:] if isinstance(value, bytearray | array.array) else content

            def undo() -> None:  # a bytearray that torch looks into may not change its length
                value[:] = content

        self._undo.append(undo)
        if isinstance(value, list):
            for place, item in self._iterators_in(enumerate(content), len(content)):
                value[place] = item
        if not isinstance(value, bytearray | array.array):
            yield from self._items(content)

    def _keep_dictionary(self, value: dict[Any, Any]) -> Iterator[Any]:
        pairs, kind = list(value.items()), OrderedDict if isinstance(value, OrderedDict) else dict

        def undo() -> None:
            # Only where it changed: to fill a dictionary again is slow, and iterators over it would break.
            if _same(value, (key for key, _ in pairs), len(pairs)):
                for key, item in pairs:
                    if kind.__getitem__(value, key) is not item:
                        kind.__setitem__(value, key, item)
            else:
                kind.clear(value)
                for key, item in pairs:
                    kind.__setitem__(value, key, item)

        self._undo.append(undo)
        for key, item in self._iterators_in(pairs, len(pairs)):
            kind.__setitem__(value, key, item)
        yield from self._items([item for pair in pairs for item in pair if type(item) not in _PLAIN])

    def _iterators_in(self, pairs: Iterable[tuple[Any, Any]], length: int) -> list[tuple[Any, Any]]:
        if length > _LONG:
            return []
        found = [(place, self._twin(item)) for place, item in pairs if type(item) in ITERATORS]
        return [(place, item) for place, item in found if item is not None]

    def _items(self, content: Any) -> Iterator[Any]:
        """What stands in a container; of a long one only what no pass reads as data, and only in the whole."""
        if len(content) <= _LONG:
            yield from (item for item in content if type(item) not in _PLAIN)
        elif self._whole:
            yield from (item for item in content if type(item) not in _DATA)

    def _keep_tensor(self, value: torch.Tensor) -> Iterator[Any]:
        with torch._C.DisableTorchFunctionSubclass():
            kept = KeptTensor(value, self._whole)
        self._undo.append(kept.restore)
        if kept.counted:
            self._versioned.append(value)
        if kept.grad is not None:
            yield kept.grad
        if kept.leaf:
            yield getattr(value, "__dict__", None)

    def _keep_numpy(self, value: Any) -> Iterator[Any]:
        name = type(value).__name__
        if hasattr(value, "flags") and hasattr(value, "__array_interface__"):
            if value.flags.writeable and (self._whole or value.size <= LARGE):
                self._undo.append(partial(value.__setitem__, ..., value.copy()))
            if value.dtype.hasobject and value.dtype.names is None:
                yield from self._items(value.ravel().tolist())
        elif name == "Generator":
            bits = value.bit_generator
            self._undo.append(partial(setattr, bits, "state", copy.deepcopy(bits.state)))
        elif name == "RandomState":
            self._undo.append(partial(value.set_state, value.get_state()))

    def _keep_stream(self, stream: Any) -> None:
        """What is in memory is put back; of a file that is read, the place."""
        with suppress(OSError, ValueError):  # it is closed, or a line is being read
            place = stream.tell()
            self._undo.append(partial(stream.seek, place))
            if isinstance(stream, io.StringIO | io.BytesIO):
                content: Any = stream.getvalue()

                def undo() -> None:
                    if stream.getvalue() != content:
                        stream.seek(0)
                        stream.truncate()
                        stream.write(content)

                self._undo.append(undo)

    def _keep_place(self, loader: _SingleProcessDataLoaderIter) -> None:
        if (found := indices_of(loader)) is not None:
            loader._sampler_iter, later = found
            self._undo.append(lambda: setattr(loader, "_sampler_iter", later()))

    def _keep_class(self, kind: type) -> Iterator[Any]:
        """What the user's classes hold: counters, registries, and the functions, which name more."""
        for base in kind.__mro__:
            if (base is not kind and id(base) in self._seen) or not is_users_class(base):
                continue
            self._seen[id(base)] = base
            before = dict(data_of(base))
            self._undo.append(partial(_restore_class, base, before))
            yield from before.values()

    def _keep_function(self, function: types.FunctionType) -> Iterator[Any]:
        """The variables that a function of the user's closes over or names globally."""
        if function.__module__ and function.__module__.startswith(_OUR_OWN):
            return
        names = names_in(function.__code__)
        for cell in function.__closure__ or ():
            with suppress(ValueError):  # not yet assigned
                value = cell.cell_contents
                yield self._hold(value, partial(setattr, cell, "cell_contents"))
                yield from self._keep_module(value, names)
        yield from (function.__defaults__, function.__kwdefaults__, function.__dict__)
        if is_users_file(function.__code__.co_filename):
            yield from self._keep_names(function.__globals__, names)

    def _keep_names(self, variables: dict[str, Any], names: frozenset[str]) -> Iterator[Any]:
        for name in names:
            value = variables.get(name, _ABSENT)
            if (id(variables), name) not in self._held:
                self._held.add((id(variables), name))
                yield self._hold(value, partial(variables.__setitem__, name), partial(variables.__delitem__, name))
            yield from self._keep_module(value, names)

    def _keep_module(self, module: Any, names: frozenset[str]) -> Iterator[Any]:
        """What a function may set in a module of the user's: attributes that it names."""
        fresh = (
            frozenset(name for name in names if (id(vars(module)), name) not in self._held)
            if isinstance(module, types.ModuleType)
            else frozenset()
        )
        if fresh and is_users_module(module):
            yield from self._keep_names(vars(module), fresh)


@contextmanager
def borrowed(*roots: object, whole: bool = True) -> Iterator[None]:
    """Whatever happens inside to the roots and to the random state is undone at the end, exceptions included."""
    snapshot = Snapshot(*roots, whole=whole)
    try:
        with torch.enable_grad():
            yield
    finally:
        snapshot.restore()


def companions(optimizers: Iterable[Optimizer]) -> list[Any]:
    """The living schedulers of these optimizers; users seldom hand them over."""
    wanted = {id(optimizer) for optimizer in optimizers}
    return [one for one in walk.living(LRScheduler) if id(getattr(one, "optimizer", None)) in wanted]


def _content(slot: Any, value: object) -> Any:
    try:
        return slot.__get__(value, type(value))
    except AttributeError:  # empty
        return _ABSENT


def _restore_class(kind: type, before: dict[str, Any]) -> None:
    now = dict(data_of(kind))
    for name in now.keys() - before.keys():
        type.__delattr__(kind, name)
    for name, value in before.items():
        if now.get(name, _ABSENT) is not value:
            type.__setattr__(kind, name, value)


def _same(value: dict[Any, Any], keys: Iterable[Any], length: int) -> bool:
    return len(value) == length and all(one is key for one, key in zip(value, keys, strict=True))
