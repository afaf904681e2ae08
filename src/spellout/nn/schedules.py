"""Learning-rate schedules: functions of the step, counted from 0. Give one to an optimizer as its `lr`.

`training/schedule.py` makes the schedule of language models of them, with parts of a budget instead of steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi


@dataclass(frozen=True)
class Constant:
    """The same rate at every step."""

    lr: float

    def __call__(self, step: float) -> float:
        """Return the rate of `step`."""
        return self.lr


@dataclass(frozen=True)
class StepDecay:
    """Multiply the rate by `factor` after every `every` steps."""

    lr: float
    factor: float
    every: int

    def __call__(self, step: float) -> float:
        """Return the rate of `step`."""
        return self.lr * self.factor ** (step // self.every)


@dataclass(frozen=True)
class Linear:
    """A straight line from `lr` to `end` in `steps` steps, then `end`; micrograd's demo: (1.0, 100, 0.1)."""

    lr: float
    steps: float
    end: float = 0.0

    def __call__(self, step: float) -> float:
        """Return the rate of `step`."""
        part = min(1.0, step / self.steps)
        return self.lr * (1.0 - part) + self.end * part  # exact at both ends


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from `lr` to `end` in `steps` steps, then `end` (Loshchilov & Hutter 2017, "SGDR")."""

    lr: float
    steps: float
    end: float = 0.0

    def __call__(self, step: float) -> float:
        """Return the rate of `step`."""
        # min: past the end a cosine would rise again
        return self.end + (self.lr - self.end) * 0.5 * (1.0 + cos(pi * min(1.0, step / self.steps)))
