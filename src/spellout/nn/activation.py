"""PReLU: a leaky ReLU that learns its slope. All other activation functions are operations.

He et al. 2015, "Delving Deep into Rectifiers".
"""

from __future__ import annotations

from ..autograd.value import Value
from .module import Module


class PReLU(Module):
    """x where x > 0, else slope · x; give one to several neurons and they share its slope.

    `MLP(2, [8, 1], activation=PReLU())`
    """

    def __init__(self, slope: float = 0.25) -> None:
        self.slope = Value(slope)

    def __call__(self, x: Value) -> Value:
        """Return one Value."""
        return x.prelu(self.slope)

    def __repr__(self) -> str:
        return "PReLU"
