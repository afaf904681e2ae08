"""Trainer: follows the gradient of a program's mean result, step by step, without going through Values.

The parameters live in one array meanwhile; `write_back` gives them to the Values, so that the trained net can be
drawn, explained and saved. Between steps nothing is copied, which is why a step can take microseconds.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..errors import InterpretedWarning, NotFiniteError, ShapeError, UsageError
from ..nn.rules import rate_of
from .lanes import Lanes
from .machine.machine_code import MachineCode, obstacle
from .optimizers import Optimizer, all_finite
from .program import Program


class Trainer:
    """Trains the parameters of a program that returns a single number, a loss.

    Args:
        program: what to make small, on average over examples.
        optimizer: such as `AdamW(lr=1e-3)` of `spellout.programs.optimizers`.
        dtype: float64, or float32 for half the memory and twice as many examples at once.
        threads: at most so many; results do not depend on it.
        compiled: make machine code of the program, if it is small (`machine_code.obstacle`). That takes up to two
            seconds, and then steps a fifth to a half of the time: it pays after 10,000 to 40,000 of them. The
            numbers are the interpreter's but for the last few bits. InterpretedWarning: the program is too large.

    Attributes:
        compiled: whether machine code runs, and not the interpreter.
        obstacle: why it does not though it was asked for, with the numbers; else empty.
        steps: how many were taken.
        weights: the parameters' numbers of now, (P,).
        memory: what the optimizer remembers, arrays (P,) by name.

    A copy (`copy.deepcopy`) or a pickle goes on with the same numbers; to keep its Values those of a model, copy or
    pickle both together.

    Raises:
        ShapeError: the program returns more than one number.
        UsageError: another dtype, or an optimizer of another kind.
    """

    def __init__(
        self,
        program: Program,
        optimizer: Optimizer,
        dtype: Any = np.float64,
        threads: int | None = None,
        compiled: bool = False,
    ) -> None:
        if program.shape:
            raise ShapeError(f"a loss is one number; this program returns an array of {program.shape}")
        if not hasattr(optimizer, "move"):  # one of `spellout.nn.optimizers`, which steps Values
            raise UsageError(
                f"a Trainer takes an optimizer of spellout.programs.optimizers, got {type(optimizer).__name__} of "
                f"{type(optimizer).__module__}"
            )
        self.program = program
        self.optimizer = optimizer
        self.steps = 0
        self._lanes = Lanes(program, dtype, threads)
        self._lanes.read_values()
        self.memory = optimizer.memory(self._lanes.weights)
        self.obstacle = obstacle(program) if compiled else ""
        self._compile(compiled)

    def _compile(self, compiled: bool) -> None:
        self.compiled = compiled and not self.obstacle
        if compiled and self.obstacle:
            warnings.warn(f"the program is interpreted: {self.obstacle}", InterpretedWarning, stacklevel=3)
        self._code = MachineCode(self.program, self._lanes.weights) if self.compiled else None

    def __getstate__(self) -> dict[str, Any]:
        return {name: part for name, part in vars(self).items() if name != "_code"}  # code of this process

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if self.compiled:  # there; perhaps it cannot be on this machine
            self.obstacle = obstacle(self.program)
        self._compile(self.compiled)

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
        loss, gradient = self._gradient(*examples)
        # Before anything moves, so that the weights are still those that made it.
        if not (math.isfinite(loss) and all_finite(gradient)):
            raise NotFiniteError(self._lanes.explain(*examples))
        lr = rate_of(self.optimizer.lr, self.steps)
        self.optimizer.move(self._lanes.weights, gradient, self.memory, self.steps, lr)
        self.steps += 1
        return loss

    def _gradient(self, *examples: Any) -> tuple[float, np.ndarray]:
        """The mean loss, and its gradient."""
        if self._code is not None:
            # Examples of the last shape need no checks but of their integers, which the code itself counts.
            if not self._code.load_alike(*examples):
                self._code.load(*self._lanes.arrange(*examples))
            total, gradient = self._code.run(1.0 / self._code.lanes)
            if self._code.outside:
                self._lanes.arrange(*examples)  # raises
            return total / self._code.lanes, gradient
        return self._lanes.mean(*examples)

    def write_back(self) -> None:
        """Give the parameters' numbers to the Values they were recorded from."""
        self._lanes.write_values()
