"""LayerNorm and RMSNorm: bring one vector to a standard size, then let the network choose scale and offset.

Ba et al. 2016 ("Layer Normalization"); Zhang & Sennrich 2019 ("Root Mean Square Layer Normalization").
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import float_info

from ..autograd.functions import mean
from ..autograd.value import Value
from ..errors import ShapeError
from .module import Module


def rms_norm(x: Sequence[Value], eps: float = float_info.epsilon) -> list[Value]:
    """Return x / sqrt(mean(x²) + eps): as many Values as were given, whose mean square is 1."""
    size = (mean([value * value for value in x]) + eps).sqrt()  # eps inside: the root of 0 has no slope
    return [value / size for value in x]


class RMSNorm(Module):
    """Computes x / sqrt(mean(x²) + eps) · weight, over one vector of `dim` numbers."""

    def __init__(self, dim: int, eps: float = float_info.epsilon) -> None:
        self.weight = [Value(1.0) for _ in range(dim)]
        self.eps = eps

    def __call__(self, x: Sequence[Value]) -> list[Value]:
        """Return `dim` Values."""
        self._check(x)
        return [value * w for value, w in zip(rms_norm(x, self.eps), self.weight, strict=True)]

    def _check(self, x: Sequence[Value]) -> None:
        if len(x) != len(self.weight):
            raise ShapeError(f"{self!r} takes {len(self.weight)} numbers, got {len(x)}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.weight)})"


class LayerNorm(RMSNorm):
    """Computes (x - mean) / sqrt(variance + eps) · weight + bias, over one vector of `dim` numbers."""

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__(dim, eps)
        self.bias = [Value(0.0) for _ in range(dim)]

    def __call__(self, x: Sequence[Value]) -> list[Value]:
        """Return `dim` Values."""
        self._check(x)
        center = mean(x)
        # the root mean square of what is centred is the standard deviation
        scaled = super().__call__([value - center for value in x])
        return [value + b for value, b in zip(scaled, self.bias, strict=True)]
