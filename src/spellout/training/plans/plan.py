"""From seconds to steps, before a training begins, so that the same command trains the same weights again.

A clock never says the same twice. So a few steps are timed, and their time is rounded so coarsely that it comes out
the same on the same machine, whatever else that does: only the processor time of this thread counts, and of several
steps the fastest. What the clock still decides is an emergency (`Loop` hurries, and says so).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, log2
from time import thread_time

from ...models.learner import Learner
from ..config import TrainingConfig
from ..schedule import Order

TIMED = 6
"""Steps on one batch that are timed, two at least; the first may have to make something ready."""
TIMED_SECONDS = 0.3
"""It may take so long to time them."""
SHARE = 0.72
"""The part of the seconds that the steps should take: evaluations and slower moments need the rest."""
SLACK = 1.3
"""A step may take so much longer than it usually does before fewer steps are planned."""
EVALUATIONS = 10
"""How many evaluations a planned training usually has, besides the first."""


@dataclass(frozen=True)
class Plan:
    """Gives a budget to the steps of one training.

    Attributes:
        seconds: how long the steps may take in all, evaluations included.
        usual: seconds that a step of this model usually takes, as on the machine where they were measured; None if
            that is not known. Where it is, machines of about that speed take the same number of steps.
        most: no more steps than that.
        evaluations: how many it has, besides the first.
    """

    seconds: float
    usual: float | None = None
    most: int | None = None
    evaluations: int = EVALUATIONS

    def planned(self, learner: Learner, training: TrainingConfig) -> TrainingConfig:
        """Give the training as many steps as fit, at least 1. The learner is left as it was."""
        took = step_seconds(learner, training.batch or learner.batch, training.train_seed)
        steps = max(1, int(SHARE * self.seconds / rounded(took, self.usual)))
        steps = steps if self.most is None else min(steps, self.most)
        return replace(
            training, steps=steps, evaluate_every=training.evaluate_every or -(-steps // self.evaluations)
        )


def step_seconds(learner: Learner, batch: int, seed: int) -> float:
    """Time the fastest of some steps, in seconds of the processor; they leave the learner as it was."""
    before, chosen = learner.state(), Order(learner.examples, batch, seed).at(0)
    times: list[float] = []
    while len(times) < 2 or (len(times) < TIMED and sum(times) < TIMED_SECONDS):
        start = thread_time()
        learner.step(chosen, 0.0)
        times.append(thread_time() - start)
    learner.load_state(before)
    return max(min(times), 1e-6)


def rounded(seconds: float, usual: float | None) -> float:
    """Round the time of a step to a power of two of milliseconds, or of the `usual` time, and not below it."""
    if usual is None:
        return 1e-3 * 2.0 ** ceil(log2(seconds / 1e-3))
    return usual * 2.0 ** max(0, ceil(log2(seconds / (SLACK * usual))))
