"""Between plain numbers and Values: what may come into a graph, and where a number is taken out by mistake.

Real numbers become floats; NumPy arrays are taken element by element (NumPy is not imported: whoever has an array
or one of its scalars has imported it).

`math.exp(value)` takes the number out of a Value and leaves the graph. Python asks the Value for `__float__` in
`math.exp(value)` and in `float(value)` alike, and only the second is meant. What the caller is doing stands in
its instructions: each knows which part of the source it is from (PEP 657), so the names inside that part can be
looked up, and show whether a function of `math` is at work. That takes a fraction of a millisecond, once for
every place in a program.
"""

from __future__ import annotations

import dis
import sys
import threading
import warnings
from collections import ChainMap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from numbers import Real
from types import BuiltinFunctionType, CodeType, FrameType, ModuleType
from typing import Any

from ..errors import GraphCutWarning, ValueTypeError

_HARMLESS = {"ceil", "floor", "isclose", "isfinite", "isinf", "isnan", "trunc"}  # nobody wants their gradient
_SAME = ("cos", "erf", "exp", "expm1", "log", "log1p", "sin", "sqrt", "tan", "tanh")
_INSTEAD = {name: f"spellout.{name}" for name in _SAME} | {"pow": "**", "fabs": "abs", "fsum": "sum"}
_looked_at: dict[tuple[int, int], CodeType] = {}  # the value keeps the code alive, whose id is in the key
_MOST_PLACES = 10_000


# In: numbers and arrays ---------------------------------------------------------------------------------


def as_float(number: object) -> float:
    """Return any real scalar (int, float, bool, Fraction, Decimal, every NumPy scalar) as a float.

    Raises:
        ValueTypeError: it is text, None, a complex number, an array or something else; the message says what to do.
    """
    kind, remedy = type(number), ""
    # NumPy registers its scalars as `numbers.Real`, except its bool
    if isinstance(number, Real | Decimal) or (kind.__module__ == "numpy" and kind.__name__ in ("bool", "bool_")):
        try:
            return float(number)  # type: ignore[arg-type]
        except OverflowError:
            remedy = "it is too large for a 64-bit float"
    raise ValueTypeError(
        f"not one real number: {shortened(repr(number))} ({kind.__name__}); {remedy or _remedy(number)}"
    )


def _remedy(thing: object) -> str:
    if isinstance(thing, str | bytes):
        return "convert text with float(...) first"
    if thing is None:
        return "did a function forget to return its result?"
    if isinstance(thing, complex):
        return "gradients here are of real numbers"
    if hasattr(thing, "_apply"):
        return "it is a Value already; use it as it is, or its .data for a copy without history"
    if hasattr(thing, "__len__") or hasattr(thing, "shape"):
        return "a Value holds one number; make one Value per element"
    return "give an int, a float or a NumPy scalar"


def shortened(text: str) -> str:
    """Return what a message shows of `text`: at most 60 characters."""
    return text if len(text) <= 60 else f"{text[:57]}..."


def is_array(thing: object) -> bool:
    """Return whether `thing` is a NumPy array."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(thing, numpy.ndarray)


def each(function: Callable[[Any], Any], array: Any, dtype: type = object) -> Any:
    """Return the array of `function(x)` for every number or Value x in `array`; of an array of no axis, the result.

    Raises:
        ValueTypeError: the array is masked, as the result would not be.
    """
    numpy = sys.modules["numpy"]
    if isinstance(array, numpy.ma.MaskedArray):
        raise ValueTypeError("a masked array cannot be combined with a Value; use .filled(number) or .compressed()")
    results = numpy.empty(array.size, dtype)
    for position, number in enumerate(array.ravel().tolist()):
        results[position] = function(number)
    return results.reshape(array.shape) if array.ndim else results[0]


# Out: by mistake ----------------------------------------------------------------------------------------


class _Thread(threading.local):
    unwarned = False


_thread = _Thread()


@contextmanager
def unwarned() -> Iterator[None]:
    """Let nothing be warned of in this thread; `warnings.catch_warnings` would silence all threads."""
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
    """Return the function of `math` that is called where `frame` stands, or handed on as by `map(math.exp, xs)`."""
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
    names = ChainMap(frame.f_locals, frame.f_globals, frame.f_builtins)
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
            things = [names.get(one) for one in (name if isinstance(name, tuple) else (name,))]
        for thing in things:
            of_math = isinstance(thing, BuiltinFunctionType) and thing.__module__ in ("math", "cmath")
            if of_math and thing.__name__ not in _HARMLESS:
                yield thing, part
        module = things[-1] if things else None


def _part(instruction: dis.Instruction) -> _Part | None:
    at = instruction.positions
    if at is None or None in (at.lineno, at.end_lineno, at.col_offset, at.end_col_offset):
        return None
    return (at.lineno, at.col_offset), (at.end_lineno, at.end_col_offset)  # type: ignore[return-value]
