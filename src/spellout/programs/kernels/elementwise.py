"""Operations of a fixed number of arguments, over a block of lanes: made from the rows of `autograd/ops.py`.

Each row is asked with letters, and its formulas are written into two functions that Numba compiles, with one loop
over lanes for each formula: `for l in range(lanes): R[y, l] = exp(R[a, l])`. There are no branches between lanes
(`select` instead of `if`), so that the compiler runs many lanes at once, and float32 stays float32.
`tests/programs/test_kernels.py` compares every loop with its row, at the edges too.

An instruction does the same operation for `count` registers; `pool[at:]` holds the registers of the results,
then those of the first arguments, and so on.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from ...autograd.formulas import GRADIENT, LETTERS, OUT, PYTHON, call, gradients_of, write
from ...autograd.ops import ELEMENTWISE as ROWS
from .arithmetic import exp, expm1, select, tanh
from .compiling import part

ELEMENTWISE = tuple([op.name for op in ROWS])
"""Their places are their codes in bytecode."""


def _number(number: float) -> str:
    """A constant. As a float32 it widens neither type; what float32 cannot hold exactly is worth the wider type."""
    return f"np.float32({number!r})" if float(np.float32(number)) == number else repr(number)


# with SIMD, which those of `math` have not
_OURS: dict[str, Any] = {"exp": exp, "expm1": expm1, "tanh": tanh}
_LANGUAGE: dict[str, Any] = {
    **{op.name: partial(call, f"math.{op.name}") for op in ROWS if not op.meaning},
    **PYTHON,
    **{name: partial(call, name) for name in _OURS},
    "div": PYTHON["/"],  # infinities instead of errors: see `compiling.py`
    "choose": partial(call, "select"),
    # bits, not Python's `and`, which would be a jump
    "&": "({} & {})".format,
    "|": "({} | {})".format,
    "number": _number,
}
_LETTERS = {OUT.name: "R[y, l]", GRADIENT.name: "G[y, l]"} | {a.name: f"R[{a.name}, l]" for a in LETTERS}

_FORWARD = """
def elementwise_forward(op, R, pool, at, count, arity, lanes):
    for r in range(count):
        y, a = pool[at + r], pool[at + count + r]
        b = pool[at + min(2, arity) * count + r]
        c = pool[at + min(3, arity) * count + r]
"""
_BACKWARD = """
def elementwise_backward(op, which, R, G, pool, at, count, arity, lanes):
    code = op + which * {operations}
    for r in range(count):
        y, a = pool[at + r], pool[at + count + r]
        b = pool[at + min(2, arity) * count + r]
        c = pool[at + min(3, arity) * count + r]
        d = pool[at + (1 + which) * count + r]
"""


def _cases(name: str, loops: dict[str, list[int]]) -> str:
    """One after the other, so that only one is run: which loop belongs to which codes."""
    cases = []
    for body, codes in loops.items():
        condition = " or ".join([f"{name} == {code}" for code in codes])
        cases.append(f"if {condition}:\n            for l in range(lanes):\n                {body}\n")
    return " " * 8 + "        el".join(cases)


def _source() -> str:
    forward: dict[str, list[int]] = {}
    backward: dict[str, list[int]] = {}
    for code, op in enumerate(ROWS):
        forward[f"R[y, l] = {write(op(*LETTERS[: op.arity]), _LETTERS, _LANGUAGE)}"] = [code]
        # a loop for each argument: those that do not learn cost nothing
        for which, gradient in enumerate(gradients_of(op)):
            if gradient is not None:
                body = f"G[d, l] += {write(gradient, _LETTERS, _LANGUAGE)}"
                # operations that pass on the same, such as add and sub, share a loop: less to compile
                backward.setdefault(body, []).append(code + which * len(ROWS))
    head = _BACKWARD.format(operations=len(ROWS))
    return _FORWARD + _cases("op", forward) + head + _cases("code", backward)


SOURCE = _source()
"""What is compiled, in Python."""
_functions: dict[str, Any] = {"math": math, "np": np, "__name__": __name__, "select": select, **_OURS}
exec(SOURCE, _functions)
elementwise_forward = part(_functions["elementwise_forward"])
"""Results from arguments."""
elementwise_backward = part(_functions["elementwise_backward"])
"""Add to the gradient of argument `which` (0, 1, 2) what the results' gradients give."""
