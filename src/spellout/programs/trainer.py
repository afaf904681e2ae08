"""Trainer: follows the gradient of a program's mean result, step by step, without going through Values.

The parameters live in one array meanwhile; `write_back` gives them to the Values, so that the trained net can be
drawn, explained and saved. Between steps nothing is copied, which is why a step can take microseconds.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import NotFiniteError, ShapeError
from .lanes import Lanes
from .nonfinite import all_finite, explain
from .optimizers import Optimizer, rate_of
from .program import Program


class Trainer:
    """Trains the parameters of a program that returns a single number, a loss.

    Args:
        program: what to make small, on average over examples.
        optimizer: such as `AdamW(lr=1e-3)` of `spellout.programs.optimizers`.
        dtype: float64, or float32 for half the memory and twice the lanes at once.
        threads: at most so many; results do not depend on it.

    Attributes:
        steps: how many were taken.
        weights: the parameters' numbers of now, (P,).
        memory: what the optimizer remembers, arrays (P,) by name.
    """

    def __init__(
        self, program: Program, optimizer: Optimizer, dtype: Any = np.float64, threads: int | None = None
    ) -> None:
        if program.shape:
            raise ShapeError(f"a loss is one number; this program returns an array of {program.shape}")
        self.program = program
        self.optimizer = optimizer
        self.steps = 0
        self._lanes = Lanes(program, dtype, threads)
        self._lanes.read_values()
        self.memory = optimizer.memory(self._lanes.weights)

    @property
    def weights(self) -> np.ndarray:
        """The parameters' numbers of now, in the program's order: a view, to be changed in place."""
        return self._lanes.weights

    def step(self, *examples: Any) -> float:
        """Take one step on N examples, one array per argument of the function; the mean loss before it.

        Raises:
            ShapeError: an array does not fit what was recorded.
            NotFiniteError: the loss or its gradient is nan or infinite; nothing has moved.
        """
        floats, integers = self._lanes.arrange(*examples)
        lanes = max(floats.shape[1], integers.shape[1])
        results, gradient = self._lanes.backward(floats, integers, 1.0 / lanes)
        loss = float(results.sum(dtype=np.float64)) / lanes
        if not (math.isfinite(loss) and all_finite(gradient)):
            raise NotFiniteError(explain(self._lanes, floats, integers))
        lr = rate_of(self.optimizer, self.steps)
        self.optimizer.move(self._lanes.weights, gradient, self.memory, self.steps, lr)
        self.steps += 1
        return loss

    def write_back(self) -> None:
        """Give the parameters' numbers to the Values they were recorded from."""
        self._lanes.write_values()
