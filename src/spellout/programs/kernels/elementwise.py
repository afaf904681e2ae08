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
        y, a = pool[at + r], pool[at + count + r]
        b = pool[at + min(2, arity) * count + r]
        c = pool[at + min(3, arity) * count + r]
        if op == ADD:
            for l in range(lanes):
                R[y, l] = R[a, l] + R[b, l]
        elif op == SUB:
            for l in range(lanes):
                R[y, l] = R[a, l] - R[b, l]
        elif op == MUL:
            for l in range(lanes):
                R[y, l] = R[a, l] * R[b, l]
        elif op == DIV:
            for l in range(lanes):
                R[y, l] = R[a, l] / R[b, l]
        elif op == NEG:
            for l in range(lanes):
                R[y, l] = -R[a, l]
        elif op == POW:
            for l in range(lanes):
                R[y, l] = math.pow(R[a, l], R[b, l])
        elif op == MAXIMUM:
            for l in range(lanes):
                R[y, l] = select((R[a, l] >= R[b, l]) | (R[a, l] != R[a, l]), R[a, l], R[b, l])
        elif op == MINIMUM:
            for l in range(lanes):
                R[y, l] = select((R[a, l] <= R[b, l]) | (R[a, l] != R[a, l]), R[a, l], R[b, l])
        elif op == ABS:
            for l in range(lanes):
                R[y, l] = abs(R[a, l])
        elif op == EXP:
            for l in range(lanes):
                R[y, l] = exp(R[a, l])
        elif op == EXPM1:
            for l in range(lanes):
                R[y, l] = expm1(R[a, l])
        elif op == LOG:
            for l in range(lanes):
                R[y, l] = math.log(R[a, l])
        elif op == LOG1P:
            for l in range(lanes):
                R[y, l] = math.log1p(R[a, l])
        elif op == SQRT:
            for l in range(lanes):
                R[y, l] = math.sqrt(R[a, l])
        elif op == SIN:
            for l in range(lanes):
                R[y, l] = math.sin(R[a, l])
        elif op == COS:
            for l in range(lanes):
                R[y, l] = math.cos(R[a, l])
        elif op == TAN:
            for l in range(lanes):
                R[y, l] = math.tan(R[a, l])
        elif op == ERF:
            for l in range(lanes):
                R[y, l] = math.erf(R[a, l])
        elif op == SIGMOID:
            for l in range(lanes):
                R[y, l] = sigmoid(R[a, l])
        elif op == TANH:
            for l in range(lanes):
                R[y, l] = tanh(R[a, l])
        elif op == RELU:
            for l in range(lanes):
                R[y, l] = select(R[a, l] <= ZERO, ZERO, R[a, l])
        elif op == LEAKY_RELU:
            for l in range(lanes):
                R[y, l] = select(R[a, l] > ZERO, R[a, l], R[b, l] * R[a, l])
        elif op == ELU:
            for l in range(lanes):
                R[y, l] = select(R[a, l] <= ZERO, R[b, l] * expm1(R[a, l]), R[a, l])
        elif op == SILU:
            for l in range(lanes):
                R[y, l] = R[a, l] / (ONE + exp(-R[a, l]))
        elif op == GELU:
            for l in range(lanes):
                R[y, l] = HALF * R[a, l] * (ONE + math.erf(R[a, l] * _ROOT_HALF))
        elif op == SOFTPLUS:
            for l in range(lanes):
                R[y, l] = softplus(R[a, l])
        elif op == WHERE:
            for l in range(lanes):
                R[y, l] = select(R[a, l] > ZERO, R[b, l], R[c, l])


@part
def elementwise_backward(
    op: int, which: int, R: Any, G: Any, pool: Any, at: int, count: int, arity: int, lanes: int
) -> None:
    """Add to the gradient of argument `which` (0, 1, 2) what the results' gradients give."""
    for r in range(count):
        y, a = pool[at + r], pool[at + count + r]
        b = pool[at + min(2, arity) * count + r]
        d = pool[at + (1 + which) * count + r]
        code = op + which * len(ELEMENTWISE)
        if code in (ADD, SUB):
            for l in range(lanes):
                G[d, l] += G[y, l]
        elif code == MUL:
            for l in range(lanes):
                G[d, l] += G[y, l] * R[b, l]
        elif code == DIV:
            for l in range(lanes):
                G[d, l] += G[y, l] * (ONE / R[b, l])
        elif code == NEG:
            for l in range(lanes):
                G[d, l] += -G[y, l]
        elif code == POW:
            for l in range(lanes):
                G[d, l] += select(R[b, l] == ZERO, ZERO, G[y, l] * (R[b, l] * math.pow(R[a, l], R[b, l] - ONE)))
        elif code == MAXIMUM:
            for l in range(lanes):
                G[d, l] += select(R[a, l] == R[b, l], HALF * G[y, l], select(R[a, l] < R[b, l], ZERO, G[y, l]))
        elif code == MINIMUM:
            for l in range(lanes):
                G[d, l] += select(R[a, l] == R[b, l], HALF * G[y, l], select(R[a, l] > R[b, l], ZERO, G[y, l]))
        elif code == ABS:
            for l in range(lanes):
                G[d, l] += G[y, l] * select(R[a, l] > ZERO, ONE, select(R[a, l] < ZERO, -ONE, ZERO))
        elif code == EXP:
            for l in range(lanes):
                G[d, l] += G[y, l] * R[y, l]
        elif code == EXPM1:
            for l in range(lanes):
                G[d, l] += G[y, l] * (R[y, l] + ONE)
        elif code == LOG:
            for l in range(lanes):
                G[d, l] += G[y, l] * (ONE / R[a, l])
        elif code == LOG1P:
            for l in range(lanes):
                G[d, l] += G[y, l] * (ONE / (ONE + R[a, l]))
        elif code == SQRT:
            for l in range(lanes):
                G[d, l] += G[y, l] * (HALF / R[y, l])
        elif code == SIN:
            for l in range(lanes):
                G[d, l] += G[y, l] * math.cos(R[a, l])
        elif code == COS:
            for l in range(lanes):
                G[d, l] += -(G[y, l] * math.sin(R[a, l]))
        elif code == TAN:
            for l in range(lanes):
                G[d, l] += G[y, l] * (ONE + R[y, l] * R[y, l])
        elif code == ERF:
            for l in range(lanes):
                G[d, l] += G[y, l] * (_ERF_SLOPE * exp(-(R[a, l] * R[a, l])))
        elif code == SIGMOID:
            for l in range(lanes):
                G[d, l] += G[y, l] * (R[y, l] * (ONE - R[y, l]))
        elif code == TANH:
            for l in range(lanes):
                G[d, l] += G[y, l] * (ONE - R[y, l] * R[y, l])
        elif code == RELU:
            for l in range(lanes):
                G[d, l] += select(R[a, l] <= ZERO, ZERO, G[y, l])
        elif code == LEAKY_RELU:
            for l in range(lanes):
                G[d, l] += select(R[a, l] > ZERO, G[y, l], G[y, l] * R[b, l])
        elif code == ELU:
            for l in range(lanes):
                G[d, l] += select(R[a, l] <= ZERO, G[y, l] * (R[b, l] * exp(R[a, l])), G[y, l])
        elif code == SILU:
            for l in range(lanes):
                G[d, l] += G[y, l] * (sigmoid(R[a, l]) * (ONE + R[a, l] * (ONE - sigmoid(R[a, l]))))
        elif code == GELU:
            for l in range(lanes):
                G[d, l] += G[y, l] * (
                    HALF * (ONE + math.erf(R[a, l] * _ROOT_HALF))
                    + R[a, l] * (_DENSITY * exp(-HALF * (R[a, l] * R[a, l])))
                )
        elif code == SOFTPLUS:
            for l in range(lanes):
                G[d, l] += G[y, l] * sigmoid(R[a, l])
        elif code == ADD + len(ELEMENTWISE):
            for l in range(lanes):
                G[d, l] += G[y, l]
        elif code == SUB + len(ELEMENTWISE):
            for l in range(lanes):
                G[d, l] += -G[y, l]
        elif code == MUL + len(ELEMENTWISE):
            for l in range(lanes):
                G[d, l] += G[y, l] * R[a, l]
        elif code == DIV + len(ELEMENTWISE):
            for l in range(lanes):
                G[d, l] += -(G[y, l] * (R[y, l] / R[b, l]))
        elif code == POW + len(ELEMENTWISE):
            for l in range(lanes):
                G[d, l] += select(
                    (R[a, l] == ZERO) & (R[b, l] >= ZERO), ZERO, G[y, l] * (R[y, l] * math.log(R[a, l]))
                )
        elif code == MAXIMUM + len(ELEMENTWISE):
            for l in range(lanes):
                G[d, l] += select(R[a, l] == R[b, l], HALF * G[y, l], select(R[b, l] < R[a, l], ZERO, G[y, l]))
        elif code == MINIMUM + len(ELEMENTWISE):
            for l in range(lanes):
                G[d, l] += select(R[a, l] == R[b, l], HALF * G[y, l], select(R[b, l] > R[a, l], ZERO, G[y, l]))
        elif code == LEAKY_RELU + len(ELEMENTWISE):
            for l in range(lanes):
                G[d, l] += select(R[a, l] > ZERO, ZERO, G[y, l] * R[a, l])
        elif code == ELU + len(ELEMENTWISE):
            for l in range(lanes):
                G[d, l] += select(R[a, l] <= ZERO, G[y, l] * expm1(R[a, l]), ZERO)
        elif code == WHERE + len(ELEMENTWISE):
            for l in range(lanes):
                G[d, l] += select(R[a, l] > ZERO, G[y, l], ZERO)
        elif code == WHERE + 2 * len(ELEMENTWISE):
            for l in range(lanes):
                G[d, l] += select(R[a, l] > ZERO, ZERO, G[y, l])
