"""The learning-rate finder of Smith 2015, "Cyclical Learning Rates for Training Neural Networks".

A fresh model takes a few hundred steps at rates that rise from far too low to far too high. The loss first stays,
then falls, then explodes. The suggestion is a tenth of the rate at which the smoothed loss was lowest: the other
usual choice, where the loss falls most steeply, is a difference of noisy numbers, and of little use for a network
that starts from an n-gram, whose loss falls by a few hundredths only. For its sake the noise of the batches is
taken away: every batch is also given to a second model that stays as it was, and the difference is smoothed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from ...data.prepared import Prepared
from ...errors import UsageError
from ...models.family import Specification
from ...models.learner import Learner
from ..config import TrainingConfig
from ..schedule import Order
from ..train import check_trainable, fitted, learner_of

LOWEST, HIGHEST = 1e-5, 10.0
SMOOTHING = 0.9
DIVERGED = 2.0
"""A smoothed loss so many times the lowest one is the end of the curve."""
WARMING = 0.1
"""In this first part of the steps nothing is learned: a lowest loss there means that no rate helps."""


@dataclass(frozen=True)
class LrCurve:
    """What was found: rates, the loss of the batch before the step at each (nats per token), the smoothed loss.

    The smoothed loss is what the untrained model has on all batches, less the smoothed gain over it.

    `suggestion` is None if the loss never fell. `diverged`: the rates end where the loss exploded.
    """

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float | None
    diverged: bool

    def to_json(self) -> dict[str, Any]:
        """Give the curve as one JSON object."""
        return {"suggestion": self.suggestion, "diverged": self.diverged, **asdict(self)}


def find_lr(
    learner: Learner,
    control: Learner,
    steps: int = 200,
    batch: int | None = None,
    seed: int = 0,
    advance: Callable[[int], None] = lambda done: None,
) -> LrCurve:
    """Try `steps` rates from `LOWEST` to `HIGHEST`, evenly spaced in their logarithm, or until the loss explodes.

    `control` is a learner like `learner`, and takes its steps at a rate of 0.
    """
    order = Order(learner.examples, batch or learner.batch, seed)
    rates: list[float] = []
    losses: list[float] = []
    untrained: list[float] = []
    gains: list[float] = []
    total = weight = 0.0
    diverged = False
    for step in range(steps):
        rate, chosen = LOWEST * (HIGHEST / LOWEST) ** (step / (steps - 1)), order.at(step)
        loss, before = float(learner.step(chosen, rate)), float(control.step(chosen, 0.0))
        total, weight = SMOOTHING * total + before - loss, SMOOTHING * weight + 1.0
        diverged = not math.isfinite(loss) or before - total / weight > DIVERGED * (before - max([0.0, *gains]))
        if diverged:
            break
        rates.append(rate)
        losses.append(loss)
        untrained.append(before)
        gains.append(total / weight)
        advance(1)
    start = sum(untrained) / max(1, len(untrained))
    best = max(range(len(gains)), key=gains.__getitem__, default=0)
    falls = best >= WARMING * steps and gains[best] > 0
    return LrCurve(rates, losses, [start - gain for gain in gains], rates[best] / 10 if falls else None, diverged)


def find_lr_for(
    prepared: Prepared,
    specification: Specification,
    steps: int = 200,
    batch: int | None = None,
    seed: int = 0,
    advance: Callable[[int], None] = lambda done: None,
) -> LrCurve:
    """Try rates on a fresh model that learns in steps (see `find_lr`)."""
    check_lr_find(specification, steps, batch)
    specification = fitted(specification, prepared)
    training, size = TrainingConfig(train_seed=seed), prepared.vocabulary.size
    classes = prepared.classes
    learner, control = (
        learner_of(specification, prepared.stream, size, training, classes=classes) for _ in range(2)
    )
    return find_lr(learner, control, steps, batch, seed, advance)


def check_lr_find(specification: Specification, steps: int, batch: int | None) -> None:
    """Raise `UsageError` if there is no curve of what is asked for."""
    check_trainable(specification, TrainingConfig(batch=batch))
    if steps < 10:
        raise UsageError(f"--steps {steps}: a curve needs at least 10")
