"""exp and its relatives for the kernels: those of the machine code, as functions that Numba compiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from ..machine import vector_math
from ..machine.vector_math import Number

ZERO, ONE = np.float32(0.0), np.float32(1.0)  # as float32, they widen neither type


@intrinsic
def _select(typing_context: Any, condition: Any, a: Any, b: Any) -> Any:
    """`a if condition else b` in the wider type, both computed: an `if` would keep the compiler from SIMD."""
    real = typing_context.unify_types(a, b)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(*arguments)

    return real(types.boolean, real, real), generate


select: Any = _select  # called with three arguments in compiled code; the first above is Numba's own


class _Lane(Number):
    """One lane in a loop of the kernels, where the function around it says whether instructions may be joined."""

    __slots__ = ()
    flags = ()

    def polynomial(self, coefficients: Sequence[float]) -> Any:
        """c0 + x · (c1 + x · (c2 + ...)), the fewest instructions: many lanes wait, not one for another."""
        return reduce(lambda sum, c: c + self * sum, reversed(coefficients))


def _compiled(function: Callable[[Any], Number]) -> Any:
    # an intrinsic is written into the loop that uses it, where a call would keep the compiler from SIMD
    @intrinsic
    def lanewise(typing_context: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return function(_Lane(builder, arguments[0])).value

        return x(x), generate

    return lanewise


exp, expm1, tanh = [_compiled(called.body) for called in (vector_math.exp, vector_math.expm1, vector_math.tanh)]
