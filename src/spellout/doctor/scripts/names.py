"""What a script calls its modules and tensors is read from the variables of the frames that are running."""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch
from torch import nn

from ..tape import is_users

_MANY = 200
"""Entries of a list, or attributes of an object, that are looked at."""


class Names:
    """The names of things by their ids, and the things by their names."""

    def __init__(self) -> None:
        self.of: dict[int, str] = {}
        self.things: dict[str, Any] = {}
        # So that an id stays the id of one thing; no list, for lists of losses are looked for among the user's.
        self._kept: dict[int, Any] = {}

    def read(self, frame: FrameType | None) -> None:
        """Read the frames of the user from this one outwards; what was named once keeps its name."""
        self.things = {}
        while frame is not None:
            if is_users(frame.f_code):
                for variables in (frame.f_locals, frame.f_globals):
                    for name, value in list(variables.items()):
                        self._add(name, value)
            frame = frame.f_back

    def _add(self, name: str, value: Any) -> None:
        if name.startswith("__"):
            return
        self.things.setdefault(name, value)
        # What has a name of its own is called so, and only otherwise by its place in something else.
        for inner, thing in ((name, value), *_entries(name, value)):
            if _is(thing, nn.Module, torch.Tensor) and id(thing) not in self.of:
                self.of[id(thing)] = inner
                self._kept[id(thing)] = thing
            self.things.setdefault(inner, thing)


def _entries(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if _is(value, list, tuple) and len(value) <= _MANY:
        yield from ((f"{name}[{place}]", one) for place, one in enumerate(value))
        for place, one in enumerate(value):
            yield from _attributes(f"{name}[{place}]", one)
    elif _is(value, dict) and len(value) <= _MANY:
        yield from ((f"{name}[{key!r}]", one) for key, one in value.items())
    else:
        yield from _attributes(name, value)


def _attributes(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if _is(value, nn.Module, torch.Tensor, type):
        return
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return
    if isinstance(attributes, dict) and len(attributes) <= _MANY:
        yield from ((f"{name}.{key}", one) for key, one in attributes.items())


def _is(value: object, *kinds: type) -> bool:
    """As `isinstance`, but no attribute is read: what is lazy loads by that, and what is deprecated warns."""
    return issubclass(type(value), kinds)
