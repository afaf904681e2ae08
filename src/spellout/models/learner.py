"""What every model that learns in steps gives to the training loop, whatever engine runs it.

The loop in `training/` chooses examples, the learning rate, when to evaluate and when to stop. A learner knows
what an example is (a position of the stream, or a line), takes one step on some, and can say everything that it
would need to go on exactly where it is.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from .contract import LanguageModel

UPDATES_EVERY = 50
"""Learners that can, measure in so many steps once by how much the step moved their matrices."""


class Learner(Protocol):
    """Is a network in training. `tests/training/` holds the loop to it, `tests/models/` every learner.

    It may have `updates`, a dictionary: if the last step was measured, the `update_ratio` of every matrix.
    """

    examples: int
    """How many training examples there are; a batch is some of the numbers from 0 to examples - 1."""
    batch: int
    """How many examples a step takes, unless the loop is told otherwise."""
    lr: float
    """The highest learning rate of its schedule, unless the loop is told otherwise."""

    def step(self, chosen: np.ndarray, lr: float) -> float:
        """Learn from the examples `chosen` (N,) at a learning rate.

        Returns the mean loss over their tokens before the step, in nats per token. If it is not finite, nothing
        has moved.
        """
        ...

    def model(self) -> LanguageModel:
        """Give the model with the weights of now; later steps do not change it."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Copy weights, the optimizer's memory, and whatever else the next step depends on, by name."""
        ...

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Go on from what `state` returned. Raises ValueError or KeyError if it does not fit."""
        ...


def update_ratio(before: np.ndarray, after: np.ndarray) -> float:
    """Divide the deviation of what a step added to a matrix by that of its numbers; about 0.001 is usual.

    It is 0 for numbers that were all the same, such as the zeros that a last layer may begin with.
    """
    spread = float(before.std())
    return float((after - before).std()) / spread if spread > 0 else 0.0
