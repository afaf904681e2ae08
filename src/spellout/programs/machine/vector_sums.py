"""Operations of any number of arguments for generated code: sums, the largest, logarithms of sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...autograd.formulas import choose
from .vector_math import Number, exp, log


def largest(numbers: Sequence[Number]) -> Number:
    """The maximum; nan if any of them is nan."""
    top = numbers[0]
    for x in numbers[1:]:
        top = choose((x > top) | (x != x), x, top)
    return top


def total(numbers: Sequence[Number]) -> Number:
    """The sum, in four parts so that additions need not wait for each other."""
    parts = [numbers[start] for start in range(min(4, len(numbers)))]
    for i, x in enumerate(numbers[4:]):
        parts[i % 4] += x
    while len(parts) > 1:
        parts = [a + b for a, b in zip(parts[::2], parts[1::2], strict=False)] + parts[len(parts) & ~1 :]
    return parts[0]


def log_total(numbers: Sequence[Number]) -> tuple[Number, Number]:
    """log(Σ exp x) in two parts, the largest and the rest: 0 where the largest is the answer, being not finite."""
    top = largest(numbers)
    return top, choose(top - top == 0.0, log(total([exp(x - top) for x in numbers])), 0.0)


def shares_of_largest(g: Number, top: Number, numbers: Sequence[Number]) -> list[Number]:
    """What each number gets of the gradient of the largest: those that tie share it; nan passes nan."""
    hits = [x == top for x in numbers]
    share = choose(top == top, g / total([choose(hit, 1.0, 0.0) for hit in hits]), top)
    return [choose(hit | (top != top), share, 0.0) for hit in hits]


FORWARD_OF_MANY: dict[str, Callable[..., Number]] = {
    "sum": lambda *xs: total(xs),
    "mean": lambda *xs: total(xs) / len(xs),
    "largest": lambda *xs: largest(xs),
}
"""Arguments to the result."""
