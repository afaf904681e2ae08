"""The operations of the table as LLVM's instructions: those of a fixed number of arguments from the rows' formulas.

Those of any number of arguments are written here: how a sum is best added up depends on the machine.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ...autograd.formulas import LETTERS, choose, gradients_of, write
from ...autograd.ops import ELEMENTWISE, Op
from .vector_math import Number, address_of, exp, expm1, from_c, from_llvm, sigmoid, tanh

_LANGUAGE: dict[str, Callable[..., Any]] = {
    **{name: getattr(operator, name) for name in ("add", "sub", "mul", "neg")},
    **dict.fromkeys(("/", "div"), operator.truediv),
    **dict(zip(("<", "<=", ">", ">="), (operator.lt, operator.le, operator.gt, operator.ge), strict=True)),
    **{"==": operator.eq, "!=": operator.ne, "&": operator.and_, "|": operator.or_},
    **{"choose": choose, "number": float, "abs": partial(from_llvm, "fabs"), "sqrt": partial(from_llvm, "sqrt")},
    **{"exp": exp, "expm1": expm1, "tanh": tanh, "sigmoid": sigmoid},
}
# the rest by C's functions, lane by lane: a row that is new needs nothing here
_FROM_C = tuple([op.name for op in ELEMENTWISE if not op.meaning and op.name not in _LANGUAGE])
_LANGUAGE |= {name: from_c(name) for name in _FROM_C}


def available() -> bool:
    """Return whether all functions of the C library were found."""
    return all(address_of(name, bits) for name in _FROM_C for bits in (64, 32))


def result_of(op: Op, arguments: Sequence[Number]) -> Any:
    """Write an operation of a fixed number of arguments, and return its result."""
    letters = [letter.name for letter in LETTERS[: op.arity]]
    return write(op(*LETTERS[: op.arity]), dict(zip(letters, arguments, strict=True)), _LANGUAGE)


def gradient_of(op: Op, which: int, g: Number, y: Number, arguments: Sequence[Number]) -> Any:
    """Write what an argument's gradient gets from the result's gradient g, and return it; None if it gets nothing.

    One argument at a time: nothing is computed for those that do not learn, such as the logarithm in x**3.
    """
    gradient = gradients_of(op)[which]
    letters = {"out": y, "g": g} | {letter.name: a for letter, a in zip(LETTERS, arguments, strict=False)}
    return None if gradient is None else write(gradient, letters, _LANGUAGE)


def largest(*numbers: Number) -> Number:
    """Return the maximum; nan if any of them is nan."""
    top = numbers[0]
    for x in numbers[1:]:
        top = choose((x > top) | (x != x), x, top)
    return top


def total(*numbers: Number) -> Any:
    """Return the sum, in four parts so that additions need not wait for each other."""
    parts = list(numbers[:4])  # an addition takes about four cycles, and one may begin in each
    for i, x in enumerate(numbers[4:]):
        parts[i % 4] += x
    while len(parts) > 1:
        parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=False)] + parts[len(parts) & ~1 :]
    return parts[0]


def log_total(numbers: Sequence[Number]) -> tuple[Number, Number]:
    """Return log(Σ exp x) in two parts: the largest, and the rest, which is 0 where the largest is not finite."""
    top = largest(*numbers)
    # shifted by the largest, so that exp cannot overflow
    rest = _LANGUAGE["log"](total(*[exp(x - top) for x in numbers]))
    return top, choose(top - top == 0.0, rest, 0.0)


def shares_of_largest(g: Number, top: Number, numbers: Sequence[Number]) -> list[Number]:
    """Return what each number gets of the gradient of the largest: those that tie share it; nan passes nan."""
    hits: list[Any] = [x == top for x in numbers]
    nan: Any = top != top
    share = choose(nan, top, g / total(*[choose(hit, 1.0, 0.0) for hit in hits]))
    return [choose(hit | nan, share, 0.0) for hit in hits]


OF_MANY: dict[str, Callable[..., Number]] = {
    "sum": total,
    "mean": lambda *numbers: total(*numbers) / len(numbers),
    "largest": largest,
}
"""Operations of any number of arguments."""
