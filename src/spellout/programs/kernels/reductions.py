"""Operations of any number of arguments, over a block of lanes: dot, sum, mean, largest and the softmax family.

Letters as in `interpreter.py`: R registers, G their gradients. `pool[at:]` holds, for each of `count` operations,
what the docstring lists.
"""

from __future__ import annotations

import math
from typing import Any

from .arithmetic import ONE, ZERO, exp, select
from .compiling import contracting, part, pasted


@pasted
def dots_forward(R: Any, pool: Any, at: int, count: int, lanes: int) -> None:
    """Sums of products: for each dot its result, n, whether there is a bias, n + n arguments, the bias."""
    for _ in range(count):
        y, n, biased = pool[at], pool[at + 1], pool[at + 2]
        at += 3
        bias = pool[at + 2 * n] if biased else y  # a register that exists, as it is read in any case
        for l in range(lanes):
            R[y, l] = R[bias, l] if biased else 0
        for i in range(n):  # lanes inside: neighbours in memory, and as many sums as a SIMD register holds
            a, b = pool[at + i], pool[at + n + i]
            for l in range(lanes):
                R[y, l] += R[a, l] * R[b, l]
        at += 2 * n + biased


@pasted
def dots_backward(R: Any, G: Any, pool: Any, at: int, count: int, lanes: int) -> None:
    """Gradients of `dots_forward`."""
    for _ in range(count):
        y, n, biased = pool[at], pool[at + 1], pool[at + 2]
        at += 3
        for i in range(n):
            a, b = pool[at + i], pool[at + n + i]
            # two loops: a and b may be the same register, and then one loop could not use SIMD
            for l in range(lanes):
                G[a, l] += G[y, l] * R[b, l]
            for l in range(lanes):
                G[b, l] += G[y, l] * R[a, l]
        if biased:
            d = pool[at + 2 * n]
            for l in range(lanes):
                G[d, l] += G[y, l]
        at += 2 * n + biased


@pasted
def sums_forward(R: Any, pool: Any, at: int, count: int, lanes: int, mean: bool) -> None:
    """Sums or means: for each its result, n, and n arguments."""
    for _ in range(count):
        y, n = pool[at], pool[at + 1]
        for l in range(lanes):
            R[y, l] = 0
        for i in range(n):
            x = pool[at + 2 + i]
            for l in range(lanes):
                R[y, l] += R[x, l]
        if mean:
            for l in range(lanes):  # divided, as in its row: times 1 / n would be rounded twice
                R[y, l] = R[y, l] / R.dtype.type(n)
        at += 2 + n


@pasted
def sums_backward(G: Any, pool: Any, at: int, count: int, lanes: int, mean: bool) -> None:
    """Gradients of `sums_forward`."""
    for _ in range(count):
        y, n = pool[at], pool[at + 1]
        share = G.dtype.type(1.0 / n if mean else 1.0)
        for i in range(n):
            d = pool[at + 2 + i]
            for l in range(lanes):
                G[d, l] += G[y, l] * share
        at += 2 + n


@pasted
def largest_forward(R: Any, pool: Any, at: int, count: int, lanes: int) -> None:
    """Maxima: for each its result, n, and n arguments."""
    for _ in range(count):
        largest(R, pool, at + 2, pool[at + 1], lanes, pool[at])
        at += 2 + pool[at + 1]


@part
def largest(R: Any, pool: Any, at: int, n: int, lanes: int, y: int) -> None:
    """Put the largest into register y; nan if one is nan."""
    first = pool[at]
    for l in range(lanes):
        R[y, l] = R[first, l]
    for i in range(1, n):
        x = pool[at + i]
        for l in range(lanes):
            # a nan stays: nothing is above it, and only another nan takes its place
            R[y, l] = select((R[x, l] > R[y, l]) | (R[x, l] != R[x, l]), R[x, l], R[y, l])


@pasted
def largest_backward(R: Any, G: Any, pool: Any, at: int, count: int, lanes: int, ties: Any) -> None:
    """Gradients of `largest_forward`: those that tie share it."""
    for _ in range(count):
        y, n = pool[at], pool[at + 1]
        for l in range(lanes):
            ties[l] = 0
        for i in range(n):
            x = pool[at + 2 + i]
            for l in range(lanes):
                ties[l] += select(R[x, l] == R[y, l], ONE, ZERO)
        for i in range(n):
            x = pool[at + 2 + i]
            for l in range(lanes):
                share = select(R[x, l] == R[y, l], G[y, l] / ties[l], ZERO)
                G[x, l] += select(R[y, l] == R[y, l], share, R[y, l])  # all get nan if the largest is nan
        at += 2 + n


@pasted
def log_totals_forward(R: Any, pool: Any, at: int, count: int, lanes: int, softmax: bool) -> None:
    """log(Σ exp x), or x - log(Σ exp x): for each its result, n, for a softmax the chosen x, and n arguments.

    The two registers after the result hold the logarithm in parts, which the gradient needs.
    """
    for _ in range(count):
        y, n, chosen = pool[at], pool[at + 1], pool[at + 2]
        first = at + 3 if softmax else at + 2
        log_total(R, pool, first, n, lanes, y + 1)
        for l in range(lanes):
            top, rest = R[y + 1, l], R[y + 2, l]
            # nan among infinite ones, as its row says
            R[y, l] = R[chosen, l] - top - rest + (top - top) if softmax else top + rest
        at = first + n


@contracting
def log_total(R: Any, pool: Any, at: int, n: int, lanes: int, top: int) -> None:
    """The maximum into a register, the rest into the next: 0 where the maximum is the answer, being not finite."""
    rest = top + 1
    largest(R, pool, at, n, lanes, top)
    for l in range(lanes):
        R[rest, l] = 0
    for i in range(n):
        x = pool[at + i]
        for l in range(lanes):
            R[rest, l] += exp(R[x, l] - R[top, l])  # at most 1, so it cannot overflow
    for l in range(lanes):
        R[rest, l] = math.log(R[rest, l]) if R[top, l] - R[top, l] == 0 else R.dtype.type(0)


@pasted
def log_totals_backward(R: Any, G: Any, pool: Any, at: int, count: int, lanes: int, softmax: bool) -> None:
    """Gradients of `log_totals_forward`: the softmax of the arguments, for a softmax taken off the chosen one's."""
    for _ in range(count):
        y, n, chosen = pool[at], pool[at + 1], pool[at + 2]
        first = at + 3 if softmax else at + 2
        if softmax:
            for l in range(lanes):
                G[chosen, l] += G[y, l]
        add_softmax(R, G, pool, first, n, lanes, y, -1.0 if softmax else 1.0)
        at = first + n


@contracting
def add_softmax(R: Any, G: Any, pool: Any, at: int, n: int, lanes: int, y: int, sign: float) -> None:
    """Add the softmax of n arguments, times the gradient of y, to theirs."""
    for i in range(n):
        x = pool[at + i]
        for l in range(lanes):
            # the largest first: next to it the rest could be rounded away
            G[x, l] += G.dtype.type(sign) * G[y, l] * exp(R[x, l] - R[y + 1, l] - R[y + 2, l])
