"""Multi-head attention: every position looks at the others (or only at those before) and takes what it needs.

Vaswani et al. 2017, "Attention Is All You Need". Letters: T positions, C numbers each, H heads of C/H
numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from ..autograd.functions import dot, softmax
from ..autograd.value import Value
from ..errors import ShapeError
from .initialization import Randomness
from .layers import Layer
from .module import Module


def attend(
    query: Sequence[Value], keys: Sequence[Sequence[Value]], values: Sequence[Sequence[Value]], heads: int = 1
) -> list[Value]:
    """Return what one position takes from those it sees: each head's weighted mean of the values, side by side.

    Args:
        query: C numbers of the position that looks.
        keys, values: C numbers of every position that it sees.
        heads: H, which divides C; every head compares and takes its own C/H numbers.
    """
    width = len(query) // heads
    together: list[Value] = []  # C at the end
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)  # of query, keys and values alike
        # a sum of C/H products grows with sqrt(C/H); unscaled, the softmax would start saturated
        scores = [dot(query[part], key[part]) * (1.0 / sqrt(width)) for key in keys]
        weights = softmax(scores)  # one per position that is seen, 1 in all
        together += [dot(weights, column) for column in zip(*[v[part] for v in values], strict=True)]
    return together


class Attention(Module):
    """Computes softmax(q·k / sqrt(C/H)) · v in H heads, then a linear layer.

    Args:
        dim: C, a multiple of `heads`.
        heads: H.
        causal: True lets position t see only positions 0 to t.
        init, rng: as for Neuron.
    """

    def __init__(
        self,
        dim: int,
        heads: int = 1,
        *,
        causal: bool = True,
        init: str = "xavier_uniform",
        rng: Randomness | None = None,
    ) -> None:
        if heads < 1 or dim % heads:
            raise ShapeError(f"attention needs a width that is a multiple of its heads, got {dim} and {heads}")
        self.query, self.key, self.value, self.out = [
            Layer(dim, dim, nonlin=False, init=init, rng=rng) for _ in range(4)
        ]
        self.heads = heads
        self.causal = causal

    def __call__(self, x: Sequence[Sequence[Value]]) -> list[list[Value]]:
        """Return T vectors of C Values for T vectors of C Values."""
        # each T vectors of C
        queries, keys, values = [
            [layer.outputs(vector) for vector in x] for layer in (self.query, self.key, self.value)
        ]
        result = []
        for t, query in enumerate(queries):
            # a shorter list instead of a mask: nothing is computed in vain
            seen = t + 1 if self.causal else len(keys)
            result.append(self.out.outputs(attend(query, keys[:seen], values[:seen], self.heads)))
        return result

    def __repr__(self) -> str:
        return f"Attention({len(self.query.neurons)}, heads={self.heads})"
