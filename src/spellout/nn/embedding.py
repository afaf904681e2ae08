"""Embedding: a table with one row of parameters per token; looking a token up gives its row."""

from __future__ import annotations

import random
from collections.abc import Sequence
from operator import index

from ..autograd.functions import Index
from ..autograd.value import Value
from ..errors import ShapeError, ValueTypeError
from .initialization import Randomness
from .module import Module


class Embedding(Module):
    """A table of `num` rows, each `dim` numbers drawn from a standard normal distribution.

    A row that is used twice in a graph is the same Values twice, so its gradients add up.
    """

    def __init__(self, num: int, dim: int, rng: Randomness | None = None) -> None:
        if num < 1 or dim < 1:
            raise ShapeError(f"an embedding needs at least one row and one column, got {num} by {dim}")
        generator: Randomness = rng or random  # the module itself: `random.seed` then decides, as in Neuron
        self.weight = [[Value(generator.gauss(0.0, 1.0)) for _ in range(dim)] for _ in range(num)]

    def __call__(self, token: int | Index) -> list[Value]:
        """Return the row of `token`, an integer from 0 to num - 1 (or an integer input of a recorded program)."""
        if isinstance(token, Index):  # every example picks its own row
            return token.of(self.weight)
        try:
            row = index(token)
        except TypeError:
            raise ValueTypeError(f"an embedding is looked up with an integer, got {token!r}") from None
        if not 0 <= row < len(self.weight):  # Python would take -1 for the last row
            raise ShapeError(f"token {row} is outside the embedding's rows 0 to {len(self.weight) - 1}")
        return self.weight[row]

    def rows(self, tokens: Sequence[int | Index]) -> list[list[Value]]:
        """Return one row per token."""
        return [self(token) for token in tokens]

    def __repr__(self) -> str:
        return f"Embedding({len(self.weight)}, {len(self.weight[0])})"
