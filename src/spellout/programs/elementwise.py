"""Operations of a fixed number of arguments, over a block of lanes: the rows of `autograd/ops.py` once more.

The table's rows are Python functions of one number; these are for the compiler: no branches between lanes (`select`
instead of `if`), so that it runs many lanes at once, and float32 stays float32. Where a row's partial is None, the
gradient that arrives is masked. `tests/programs/test_kernels.py` compares every line with its row, at the edges
too.

A tape's instruction does the same operation for `count` registers; `pool[at:]` holds the registers of the results,
then those of the first arguments, and so on.
"""

from __future__ import annotations

import math
from typing import Any

from .arithmetic import HALF, ONE, ZERO, exp, expm1, select, sigmoid, softplus, tanh
from .compiling import part

ELEMENTWISE = (
    "add",
    "sub",
    "mul",
    "div",
    "neg",
    "pow",
    "maximum",
    "minimum",
    "abs",
    "exp",
    "expm1",
    "log",
    "log1p",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "erf",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "silu",
    "gelu",
    "softplus",
    "where",
)
(
    ADD,
    SUB,
    MUL,
    DIV,
    NEG,
    POW,
    MAXIMUM,
    MINIMUM,
    ABS,
    EXP,
    EXPM1,
    LOG,
    LOG1P,
    SQRT,
    SIN,
    COS,
    TAN,
    ERF,
    SIGMOID,
    TANH,
    RELU,
    LEAKY_RELU,
    ELU,
    SILU,
    GELU,
    SOFTPLUS,
    WHERE,
) = range(len(ELEMENTWISE))
_ROOT_HALF = math.sqrt(0.5)
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)
_ERF_SLOPE = 2.0 / math.sqrt(math.pi)


@part
def elementwise_forward(op: int, R: Any, pool: Any, at: int, count: int, arity: int, lanes: int) -> None:
    """Results from arguments."""
    for r in range(count):
        y, a = R[pool[at + r]], R[pool[at + count + r]]
        b = R[pool[at + min(2, arity) * count + r]]
        c = R[pool[at + min(3, arity) * count + r]]
        if op == ADD:
            for l in range(lanes):
                y[l] = a[l] + b[l]
        elif op == SUB:
            for l in range(lanes):
                y[l] = a[l] - b[l]
        elif op == MUL:
            for l in range(lanes):
                y[l] = a[l] * b[l]
        elif op == DIV:
            for l in range(lanes):
                y[l] = a[l] / b[l]
        elif op == NEG:
            for l in range(lanes):
                y[l] = -a[l]
        elif op == POW:
            for l in range(lanes):
                y[l] = math.pow(a[l], b[l])
        elif op == MAXIMUM:
            for l in range(lanes):
                y[l] = select((a[l] >= b[l]) | (a[l] != a[l]), a[l], b[l])
        elif op == MINIMUM:
            for l in range(lanes):
                y[l] = select((a[l] <= b[l]) | (a[l] != a[l]), a[l], b[l])
        elif op == ABS:
            for l in range(lanes):
                y[l] = abs(a[l])
        elif op == EXP:
            for l in range(lanes):
                y[l] = exp(a[l])
        elif op == EXPM1:
            for l in range(lanes):
                y[l] = expm1(a[l])
        elif op == LOG:
            for l in range(lanes):
                y[l] = math.log(a[l])
        elif op == LOG1P:
            for l in range(lanes):
                y[l] = math.log1p(a[l])
        elif op == SQRT:
            for l in range(lanes):
                y[l] = math.sqrt(a[l])
        elif op == SIN:
            for l in range(lanes):
                y[l] = math.sin(a[l])
        elif op == COS:
            for l in range(lanes):
                y[l] = math.cos(a[l])
        elif op == TAN:
            for l in range(lanes):
                y[l] = math.tan(a[l])
        elif op == ERF:
            for l in range(lanes):
                y[l] = math.erf(a[l])
        elif op == SIGMOID:
            for l in range(lanes):
                y[l] = sigmoid(a[l])
        elif op == TANH:
            for l in range(lanes):
                y[l] = tanh(a[l])
        elif op == RELU:
            for l in range(lanes):
                y[l] = select(a[l] <= ZERO, ZERO, a[l])
        elif op == LEAKY_RELU:
            for l in range(lanes):
                y[l] = select(a[l] > ZERO, a[l], b[l] * a[l])
        elif op == ELU:
            for l in range(lanes):
                y[l] = select(a[l] <= ZERO, b[l] * expm1(a[l]), a[l])
        elif op == SILU:
            for l in range(lanes):
                y[l] = a[l] / (ONE + exp(-a[l]))
        elif op == GELU:
            for l in range(lanes):
                y[l] = HALF * a[l] * (ONE + math.erf(a[l] * _ROOT_HALF))
        elif op == SOFTPLUS:
            for l in range(lanes):
                y[l] = softplus(a[l])
        elif op == WHERE:
            for l in range(lanes):
                y[l] = select(a[l] > ZERO, b[l], c[l])


@part
def elementwise_backward(
    op: int, which: int, R: Any, G: Any, pool: Any, at: int, count: int, arity: int, lanes: int
) -> None:
    """Add to the gradient of argument `which` (0, 1, 2) what the results' gradients give."""
    for r in range(count):
        y, g, a = R[pool[at + r]], G[pool[at + r]], R[pool[at + count + r]]
        b = R[pool[at + min(2, arity) * count + r]]
        d = G[pool[at + (1 + which) * count + r]]
        code = op + which * len(ELEMENTWISE)
        if code in (ADD, SUB):
            for l in range(lanes):
                d[l] += g[l]
        elif code == MUL:
            for l in range(lanes):
                d[l] += g[l] * b[l]
        elif code == DIV:
            for l in range(lanes):
                d[l] += g[l] * (ONE / b[l])
        elif code == NEG:
            for l in range(lanes):
                d[l] += -g[l]
        elif code == POW:
            for l in range(lanes):
                d[l] += select(b[l] == ZERO, ZERO, g[l] * (b[l] * math.pow(a[l], b[l] - ONE)))
        elif code == MAXIMUM:
            for l in range(lanes):
                d[l] += select(a[l] == b[l], HALF * g[l], select(a[l] < b[l], ZERO, g[l]))
        elif code == MINIMUM:
            for l in range(lanes):
                d[l] += select(a[l] == b[l], HALF * g[l], select(a[l] > b[l], ZERO, g[l]))
        elif code == ABS:
            for l in range(lanes):
                d[l] += g[l] * select(a[l] > ZERO, ONE, select(a[l] < ZERO, -ONE, ZERO))
        elif code == EXP:
            for l in range(lanes):
                d[l] += g[l] * y[l]
        elif code == EXPM1:
            for l in range(lanes):
                d[l] += g[l] * (y[l] + ONE)
        elif code == LOG:
            for l in range(lanes):
                d[l] += g[l] * (ONE / a[l])
        elif code == LOG1P:
            for l in range(lanes):
                d[l] += g[l] * (ONE / (ONE + a[l]))
        elif code == SQRT:
            for l in range(lanes):
                d[l] += g[l] * (HALF / y[l])
        elif code == SIN:
            for l in range(lanes):
                d[l] += g[l] * math.cos(a[l])
        elif code == COS:
            for l in range(lanes):
                d[l] += -(g[l] * math.sin(a[l]))
        elif code == TAN:
            for l in range(lanes):
                d[l] += g[l] * (ONE + y[l] * y[l])
        elif code == ERF:
            for l in range(lanes):
                d[l] += g[l] * (_ERF_SLOPE * exp(-(a[l] * a[l])))
        elif code == SIGMOID:
            for l in range(lanes):
                d[l] += g[l] * (y[l] * (ONE - y[l]))
        elif code == TANH:
            for l in range(lanes):
                d[l] += g[l] * (ONE - y[l] * y[l])
        elif code == RELU:
            for l in range(lanes):
                d[l] += select(a[l] <= ZERO, ZERO, g[l])
        elif code == LEAKY_RELU:
            for l in range(lanes):
                d[l] += select(a[l] > ZERO, g[l], g[l] * b[l])
        elif code == ELU:
            for l in range(lanes):
                d[l] += select(a[l] <= ZERO, g[l] * (b[l] * exp(a[l])), g[l])
        elif code == SILU:
            for l in range(lanes):
                d[l] += g[l] * (sigmoid(a[l]) * (ONE + a[l] * (ONE - sigmoid(a[l]))))
        elif code == GELU:
            for l in range(lanes):
                d[l] += g[l] * (
                    HALF * (ONE + math.erf(a[l] * _ROOT_HALF)) + a[l] * (_DENSITY * exp(-HALF * (a[l] * a[l])))
                )
        elif code == SOFTPLUS:
            for l in range(lanes):
                d[l] += g[l] * sigmoid(a[l])
        elif code == ADD + len(ELEMENTWISE):
            for l in range(lanes):
                d[l] += g[l]
        elif code == SUB + len(ELEMENTWISE):
            for l in range(lanes):
                d[l] += -g[l]
        elif code == MUL + len(ELEMENTWISE):
            for l in range(lanes):
                d[l] += g[l] * a[l]
        elif code == DIV + len(ELEMENTWISE):
            for l in range(lanes):
                d[l] += -(g[l] * (y[l] / b[l]))
        elif code == POW + len(ELEMENTWISE):
            for l in range(lanes):
                d[l] += select((a[l] == ZERO) & (b[l] >= ZERO), ZERO, g[l] * (y[l] * math.log(a[l])))
        elif code == MAXIMUM + len(ELEMENTWISE):
            for l in range(lanes):
                d[l] += select(a[l] == b[l], HALF * g[l], select(b[l] < a[l], ZERO, g[l]))
        elif code == MINIMUM + len(ELEMENTWISE):
            for l in range(lanes):
                d[l] += select(a[l] == b[l], HALF * g[l], select(b[l] > a[l], ZERO, g[l]))
        elif code == LEAKY_RELU + len(ELEMENTWISE):
            for l in range(lanes):
                d[l] += select(a[l] > ZERO, ZERO, g[l] * a[l])
        elif code == ELU + len(ELEMENTWISE):
            for l in range(lanes):
                d[l] += select(a[l] <= ZERO, g[l] * expm1(a[l]), ZERO)
        elif code == WHERE + len(ELEMENTWISE):
            for l in range(lanes):
                d[l] += select(a[l] > ZERO, g[l], ZERO)
        elif code == WHERE + 2 * len(ELEMENTWISE):
            for l in range(lanes):
                d[l] += select(a[l] > ZERO, ZERO, g[l])
