"""An iterator cannot be wound back. A twin goes on from the same place: it is used up, and the iterator is not."""

from __future__ import annotations

import copy
import inspect
import itertools
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from types import GeneratorType
from typing import Any

from torch.utils.data.dataloader import _BaseDataLoaderIter, _SingleProcessDataLoaderIter

_SOURCES: tuple[Any, ...] = (
    [], (), range(1), range(2**70), {}, {}.values(), {}.items(), "", "ä", b"", bytearray(), set(),
)  # fmt: skip
_REVERSED: tuple[Any, ...] = ([], {}, {}.values(), {}.items(), range(1))
_BUILT_IN: tuple[Any, ...] = (
    zip, map, filter, enumerate, reversed, *(type(iter(source)) for source in _SOURCES),
    *(type(reversed(source)) for source in _REVERSED), type(iter(int, 1)),
)  # fmt: skip
_TEE: type = type(itertools.tee(())[0])
ITERATORS: frozenset[type] = frozenset(
    (*_BUILT_IN, *(kind for kind in vars(itertools).values() if isinstance(kind, type)))
)
"""Iterators in C, whose state is in no dictionary."""


class NoTwinError(Exception):
    """The iterator draws from something that only goes forwards."""


def twin(iterator: Any, known: dict[int, Any]) -> Any:
    """Another iterator at the same place; the data are shared, the iterators inside are twins too.

    Raises `NoTwinError` for a generator, a file, and what is made of them. `known` holds the twins by id, so that
    two iterators over one stay so; a twin lives there, and the caller keeps the iterator.
    """
    if id(iterator) in known:
        return known[id(iterator)]
    if isinstance(iterator, _TEE):
        made = copy.copy(iterator)
    else:
        make, arguments, state = _taken_apart(iterator)
        made = make(*(_inner(one, known) for one in arguments))
        if state is not None:
            made.__setstate__(_inner(state, known, own=True))
    known[id(iterator)] = made
    return made


def parts(iterator: Any) -> Iterator[Any]:
    """What the iterator is made of: lists that it runs over, functions that it calls, iterators inside."""
    try:
        _, arguments, state = _taken_apart(iterator)
    except NoTwinError:
        return
    yield from arguments
    yield from state if isinstance(state, tuple) else ()


def _taken_apart(iterator: Any) -> tuple[Any, tuple[Any, ...], Any]:
    try:
        with warnings.catch_warnings(action="ignore"):  # deprecated for itertools, until something replaces it
            make, arguments, *state = iterator.__reduce__()
    except (TypeError, AttributeError) as error:
        raise NoTwinError(type(iterator).__name__) from error
    return make, arguments, state[0] if state else None


def _inner(value: Any, known: dict[int, Any], own: bool = False) -> Any:
    if type(value) in ITERATORS:
        return twin(value, known)
    if isinstance(value, tuple):
        return tuple(_inner(one, known, own) for one in value)
    if own and isinstance(value, list):  # `cycle` writes down here what it has seen
        return list(value)
    if isinstance(value, Iterator) and not winds_back(value):
        raise NoTwinError(type(value).__name__)
    return value


def winds_back(iterator: Any) -> bool:
    """Is its state in attributes, which can be put back where they are?"""
    if isinstance(iterator, _BaseDataLoaderIter):
        return isinstance(iterator, _SingleProcessDataLoaderIter)
    return not isinstance(iterator, GeneratorType) and hasattr(iterator, "__dict__")


def indices_of(loader: _SingleProcessDataLoaderIter) -> tuple[Any, Callable[[], Any]] | None:
    """The indices that a DataLoader's iterator may use up now, and what gives it the same again later.

    They come from a generator. Of one that has begun, what is taken is remembered; one that has not begun is kept,
    and another runs in its place, as the first draws a random number when it begins.
    """
    indices = loader._sampler_iter
    if not isinstance(indices, GeneratorType):
        return None
    if inspect.getgeneratorstate(indices) == inspect.GEN_CREATED:
        return iter(loader._index_sampler), lambda: indices
    (held,) = itertools.tee(indices, 1)
    return copy.copy(held), partial(copy.copy, held)
