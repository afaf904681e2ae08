"""Whose an object is: the user's, whose state is kept, or a library's."""

from __future__ import annotations

import os
import sys
import sysconfig
import types
from collections.abc import Iterator
from functools import cache
from typing import Any

_LIBRARIES = tuple(sysconfig.get_paths()[name] + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_FOREIGN = ("torch", "numpy", "hypothesis", "_pytest", "pytest")
_OF_TORCH = ("torch.amp", "torch.cuda.amp", "torch.optim", "torch.utils.data", "torch.distributions")
_OF_PYTHON = ("types", "argparse", "collections", "queue", "configparser")


def holds_state(value: object) -> bool:
    """Is it an ordinary object of the user's, or one of a library's that holds the state of a training?"""
    kind: Any = type(value)
    if issubclass(kind, type | types.ModuleType) or not (hasattr(value, "__dict__") or slots_of(kind)):
        return False
    module = module_of(kind)
    root = module.partition(".")[0]
    if module.startswith(_OF_TORCH) or root in _OF_PYTHON:
        return hasattr(value, "__dict__")
    ours = module.startswith("spellout.doctor")  # the learners of this package are patients like any other
    return root not in sys.stdlib_module_names and root not in _FOREIGN and not ours


def module_of(kind: type) -> str:
    """The name of the module of a class; some classes in C say it of their instances only."""
    name = kind.__module__
    return name if isinstance(name, str) else ""


@cache
def slots_of(kind: Any) -> tuple[types.MemberDescriptorType, ...]:
    """The slots of a class and of those above it."""
    bases = [base for base in kind.__mro__ if "__slots__" in vars(base)]
    inherited = (thing for base in bases for thing in vars(base).values())
    return tuple(thing for thing in inherited if isinstance(thing, types.MemberDescriptorType))


@cache
def is_users_class(kind: type) -> bool:
    """Is it written in the user's code?"""
    return is_users_module(sys.modules.get(module_of(kind)))


def is_users_module(module: Any) -> bool:
    """Does its file lie outside the libraries? One without a file is a notebook, or runs from a string."""
    name = getattr(module, "__name__", "")
    if name.partition(".")[0] in sys.stdlib_module_names - {"__main__"} or f"{name}.".startswith(
        ("torch.", "spellout.doctor.")
    ):
        return False
    return is_users_file(getattr(module, "__file__", None) or f"<{name}>")


@cache
def is_users_file(name: str) -> bool:
    """Is it no library's?"""
    return not name.startswith((*_LIBRARIES, "<frozen"))


@cache
def names_in(code: types.CodeType) -> frozenset[str]:
    """Every global variable and attribute that a function names, in the functions inside it too."""
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return frozenset(code.co_names).union(*(names_in(one) for one in inner))


def data_of(kind: type) -> Iterator[tuple[str, Any]]:
    """What a class holds beside what Python puts there."""
    for name, value in list(vars(kind).items()):
        hidden = name.startswith("__") and name.endswith("__") and not isinstance(value, types.FunctionType)
        if not hidden and name != "_abc_impl" and not isinstance(value, types.MemberDescriptorType):
            yield name, value
