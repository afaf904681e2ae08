"""What is inside a network when it reads text, as numbers that can be drawn.

What can be seen of a model follows from its class, which has in its own file what there is of these:
`token_vectors()`, what stands for each token; `inspect(stream)`, activations and gradients; `bounded`, whether the
activations can be saturated; `attention(tokens)`, which position looks at which.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SATURATED = 0.97
"""A unit of tanh beyond this has almost no slope, and learns next to nothing."""


@dataclass(frozen=True)
class Activations:
    """The units of one layer at N positions of a text.

    Attributes:
        name: which layer, and its function.
        before: what the function was given, (N, H); None where a fused kernel hides it.
        after: what it gave, (N, H).
        gradient: of the mean loss with respect to `after`, (N, H).
        bounded: whether `after` is between -1 and 1, so that a unit can be saturated.
    """

    name: str
    before: np.ndarray | None
    after: np.ndarray
    gradient: np.ndarray
    bounded: bool


@dataclass(frozen=True)
class Inside:
    """All layers, the first one first, and the gradients of the matrices by name."""

    layers: list[Activations]
    gradients: dict[str, np.ndarray]
