"""Where a graph is cut by mistake: `math.exp(value)` takes the number out of a Value and leaves the graph.

Python asks the Value for `__float__` in `math.exp(value)` and in `float(value)` alike, and only the second is
meant. What the caller is doing stands in its instructions: each knows which part of the source it is from (PEP
657), so the names inside that part can be looked up, and show whether a function of `math` is at work. That takes
a fraction of a millisecond, once for every place in a program.
"""

from __future__ import annotations

import dis
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType, CodeType, FrameType, ModuleType
from typing import Any

from ..errors import GraphCutWarning

_HARMLESS = {"ceil", "floor", "isclose", "isfinite", "isinf", "isnan", "trunc"}  # nobody wants their gradient
_SAME = ("cos", "erf", "exp", "expm1", "log", "log1p", "sin", "sqrt", "tan", "tanh")
_INSTEAD = {name: f"spellout.{name}" for name in _SAME} | {"pow": "**", "fabs": "abs", "fsum": "sum"}
_looked_at: dict[tuple[int, int], CodeType] = {}  # the value keeps the code alive, whose id is in the key
_MOST_PLACES = 10_000


class _Thread(threading.local):
    unwarned = False


_thread = _Thread()


@contextmanager
def unwarned() -> Iterator[None]:
    """Warn of nothing in this thread. `warnings.catch_warnings` would be of all threads."""
    before, _thread.unwarned = _thread.unwarned, True
    try:
        yield
    finally:
        _thread.unwarned = before


_Part = tuple[tuple[int, int], tuple[int, int]]  # of the source: (line, column) of its start and its end


def warn_of_math(caller: FrameType | None) -> None:
    """Warn, once for each place in a program, if `caller` gives a Value to a function of `math`.

    To be called by `Value.__float__`.
    """
    if caller is None or _thread.unwarned:  # nobody in Python; or nobody who needs it
        return
    place = id(caller.f_code), caller.f_lasti
    if place in _looked_at:
        return
    if len(_looked_at) >= _MOST_PLACES:
        _looked_at.clear()
    _looked_at[place] = caller.f_code
    function = _function_of_math(caller)
    if function is not None:
        instead = _INSTEAD.get(function.__name__, "an operation declared with spellout.operation")
        warnings.warn(
            f"{function.__module__}.{function.__name__} takes the plain number out of a Value, so no gradient goes "
            f"through it; use {instead} instead, or give it the value's .data if no gradient is meant to",
            GraphCutWarning,
            stacklevel=3,
        )


def _function_of_math(frame: FrameType) -> Any:
    """The function of `math` that is called, or handed on as in `map(math.exp, values)`, where `frame` stands."""
    instructions = list(dis.get_instructions(frame.f_code))
    whole = next((_part(i) for i in instructions if i.offset == frame.f_lasti), None)
    if whole is None:
        return None
    calls = [_part(i) for i in instructions if i.opname.startswith(("CALL", "PRECALL"))]
    for function, part in _functions_within(frame, instructions, whole):
        # the part of a call begins where the part of its function begins
        its_calls = [call for call in calls if call and call[0] == part[0] and call[1] > part[1]]
        if not its_calls or min(its_calls, key=lambda call: call[1]) == whole:
            return function
    return None


def _functions_within(
    frame: FrameType, instructions: list[dis.Instruction], whole: _Part
) -> Iterator[tuple[Any, _Part]]:
    """Yield each function of `math` that the instructions of a part of the source load, and its own part."""
    module: Any = None  # loaded by the instruction before
    for instruction in instructions:
        part, kind, name = _part(instruction), instruction.opname, instruction.argval
        things: list[Any] = []
        if part is None or part[0] < whole[0] or part[1] > whole[1] or kind == "PUSH_NULL":
            continue
        if kind in ("LOAD_ATTR", "LOAD_METHOD"):
            things = [vars(module).get(name)] if isinstance(module, ModuleType) else []
        elif kind.startswith("LOAD_") and kind != "LOAD_CONST":
            # from Python 3.13 on, one instruction may load two local names
            things = [_look_up(frame, one) for one in (name if isinstance(name, tuple) else (name,))]
        for thing in things:
            of_math = isinstance(thing, BuiltinFunctionType) and thing.__module__ in ("math", "cmath")
            if of_math and thing.__name__ not in _HARMLESS:
                yield thing, part
        module = things[-1] if things else None


def _look_up(frame: FrameType, name: Any) -> Any:
    for names in (frame.f_locals, frame.f_globals, frame.f_builtins):
        if name in names:
            return names[name]
    return None


def _part(instruction: dis.Instruction) -> _Part | None:
    at = instruction.positions
    if at is None or None in (at.lineno, at.end_lineno, at.col_offset, at.end_col_offset):
        return None
    return (at.lineno, at.col_offset), (at.end_lineno, at.end_col_offset)  # type: ignore[return-value]
