"""The training loop: drives any `Learner` through its budget and keeps the best model.

It evaluates on held-out lines, stops early, and publishes events without knowing who listens. With a budget of
steps, everything it decides depends on the step alone, so that a training that was interrupted and resumed ends
with the same weights, the same best model and the same evaluations. With a budget of seconds, the clock decides.
With both, steps decide until it is clear that the seconds will not do; from then on it hurries, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

from ..models.contract import Callback, LanguageModel
from ..models.learner import Learner
from .config import TrainingConfig
from .schedule import Order, learning_rate

Reason = Literal["steps", "seconds", "patience", "interrupted", "diverged"]
EVALUATIONS = 20
"""How many evaluations a training has, unless they would take too long or their distance is given."""
EVALUATION_SHARE = 0.1
"""The part of the time that evaluations may take."""
SMOOTHING = 0.98
"""The weight of the past in the training loss that is shown."""
GRACE = 0.1
"""With two budgets, the clock has no say before this part of it, so that a slow start changes nothing."""
HURRY = 0.8
"""With two budgets, it hurries once the part of the time that is left is less than so much of the part of the steps
that is left: early enough for the learning rate still to fall to zero."""
SECONDS_BETWEEN_EVENTS = 0.1
SECONDS_BETWEEN_CHECKPOINTS = 10.0
CHECKPOINT_SHARE = 0.05
"""The part of the time that checkpoints may take, if they take long."""


@dataclass
class LoopState:
    """Says where a training is; with the learner's state and the best model, it is all that going on needs."""

    step: int = 0
    """Steps taken."""
    seconds: float = 0.0
    """Time taken by them and by the evaluations."""
    loss: float = 0.0
    """Exponentially weighted sum of the losses of the steps, and below, of their weights."""
    weight: float = 0.0
    evaluated: int | None = None
    """After which step the last evaluation was, and below, at how many seconds it ended."""
    evaluated_at: float = 0.0
    best_step: int | None = None
    best_loss: float | None = None
    """Nats per character of the best model on dev lines, as `judge` gave it."""
    without_gain: int = 0
    """How many evaluations have brought none since."""
    hurried: bool = False
    """Whether the clock took over, since the seconds do not suffice for the steps."""
    stopped: Reason | None = None


class Loop:
    """Drives one training. `judge` gives the nats per character of a model on dev lines; None if there are none.
    `described` gives what the event of an evaluation says of them.

    `checkpoint` is called now and then between two steps, when everything fits together. `interrupted` is asked
    after every step whether to stop. `state` and `best` are given to go on; the learner has its own state back.
    `since` is when the budget of seconds began (a `perf_counter`); by default after the first step, which may
    compile something.
    """

    def __init__(
        self,
        learner: Learner,
        config: TrainingConfig,
        judge: Callable[[LanguageModel], float] | None = None,
        *,
        described: Callable[[float], dict[str, Any]] = lambda loss: {"nats_per_char": loss},
        callback: Callback = lambda event: None,
        checkpoint: Callable[[], None] = lambda: None,
        interrupted: Callable[[], bool] = lambda: False,
        state: LoopState | None = None,
        best: LanguageModel | None = None,
        since: float | None = None,
    ) -> None:
        self.state = state or LoopState()
        self._learner, self._config, self._judge, self._described = learner, config, judge, described
        self._callback, self._checkpoint, self._interrupted = callback, checkpoint, interrupted
        self._best = best
        self._order = Order(learner.examples, config.batch or learner.batch, config.train_seed)
        self._highest = config.lr or learner.lr
        # The first evaluation and the first step of a process may compile something: the clock starts after them.
        self._clock = since
        self._begun: float | None = None
        self._cost: float | None = None
        self._told = perf_counter()
        self._keep_at = self._told + SECONDS_BETWEEN_CHECKPOINTS

    @property
    def best(self) -> LanguageModel:
        """Give the best model on dev lines, or the last one where there are none."""
        return self._learner.model() if self._best is None else self._best

    def run(self) -> Reason:
        """Train until something ends it, and say what. Non-finite losses end it before the weights move."""
        state = self.state
        state.stopped = None
        while True:
            if self._evaluation_is_due():
                self._evaluate()
            state.stopped = state.stopped or self._reason()
            if state.stopped:
                break
            if perf_counter() >= self._keep_at:
                self._keep()
            self._step()
        self._publish("stopped", reason=state.stopped, best_step=state.best_step, best_loss=state.best_loss)
        return state.stopped

    def _step(self) -> None:
        state, config = self.state, self._config
        if self._begun is None and self._clock is not None:
            self._tick()
            self._begun = state.seconds
        lr = learning_rate(self._highest, config.warmup, config.decay, self._progress(0.5))
        loss = float(self._learner.step(self._order.at(state.step), lr))
        if not math.isfinite(loss):
            state.stopped = "diverged"
            return
        state.step += 1
        state.loss = SMOOTHING * state.loss + loss
        state.weight = SMOOTHING * state.weight + 1.0
        self._tick()
        self._look_at_the_clock()
        if updates := getattr(self._learner, "updates", None):
            self._publish("updates", ratios=updates)
        if perf_counter() - self._told >= SECONDS_BETWEEN_EVENTS:
            self._publish("step", nats_per_token=state.loss / state.weight, lr=lr)
            self._told = perf_counter()

    def _evaluate(self) -> None:
        assert self._judge is not None
        state, start, model = self.state, perf_counter(), self._learner.model()
        loss = float(self._judge(model))
        self._cost = 0.0 if self._cost is None else perf_counter() - start
        if self._clock is not None:
            self._tick()
        state.evaluated, state.evaluated_at = state.step, state.seconds
        if not math.isfinite(loss):
            state.stopped = "diverged"
            return
        gain = state.best_loss is None or loss < state.best_loss
        state.without_gain = 0 if gain else state.without_gain + 1
        if gain:
            self._best, state.best_loss, state.best_step = model, loss, state.step
        self._publish("evaluation", **self._described(loss), best=gain)

    def _keep(self) -> None:
        start = perf_counter()
        self._checkpoint()
        took = perf_counter() - start
        self._keep_at = start + max(SECONDS_BETWEEN_CHECKPOINTS, took / CHECKPOINT_SHARE)

    def _evaluation_is_due(self) -> bool:
        state = self.state
        if self._judge is None or state.stopped or state.evaluated == state.step:
            return False
        if state.evaluated is None or self._spent():
            return True
        steps, every = self._config.steps, self._config.evaluate_every
        if every is None and steps is not None and not state.hurried:
            every = max(1, steps // EVALUATIONS)
        if every is not None:
            return state.step % every == 0
        return state.seconds - state.evaluated_at >= self._gap()  # the clock decides

    def _gap(self) -> float:
        """Say how many seconds pass from one evaluation to the next."""
        budget = self._config.most_seconds
        assert budget is not None, "without seconds, steps are between evaluations"
        return max(budget / EVALUATIONS, (self._cost or 0.0) * (1.0 / EVALUATION_SHARE - 1.0))

    def _reason(self) -> Reason | None:
        if self._config.patience and self.state.without_gain >= self._config.patience:
            return "patience"
        return self._spent() or ("interrupted" if self._interrupted() else None)

    def _spent(self) -> Reason | None:
        steps, deadline = self._config.steps, self._deadline()
        if steps is not None and self.state.step >= steps:
            return "steps"
        return "seconds" if deadline is not None and self.state.seconds >= deadline else None

    def _deadline(self) -> float | None:
        """Say when to stop, so that the last evaluation still fits into the budget."""
        budget = self._config.most_seconds
        return None if budget is None else max(budget / 2, budget - (self._cost or 0.0))

    def _progress(self, ahead: float = 0.0) -> float:
        """Say which part of the budget is spent, or will be `ahead` steps later."""
        steps = self._config.steps
        by_steps = 0.0 if steps is None else (self.state.step + ahead) / steps
        by_seconds = self._part_of_time() if steps is None or self.state.hurried else 0.0
        return min(1.0, max(by_steps, by_seconds))

    def _part_of_time(self) -> float:
        """Say which part of the time between the first step and the deadline is over."""
        begun, deadline = self._begun or 0.0, self._deadline()
        return 0.0 if deadline is None else (self.state.seconds - begun) / max(1e-9, deadline - begun)

    def _look_at_the_clock(self) -> None:
        """Hurry from now on, with both budgets, if the steps would not be done in time."""
        state, steps = self.state, self._config.steps
        if steps is None or state.hurried:
            return
        over = self._part_of_time()
        if over >= GRACE and 1.0 - over < HURRY * (1.0 - state.step / steps):
            state.hurried = True
            self._publish("hurried", steps=steps)

    def _tick(self) -> None:
        if self._clock is None:
            self._clock = perf_counter() - self.state.seconds
        self.state.seconds = perf_counter() - self._clock

    def _publish(self, name: str, **facts: object) -> None:
        state = self.state
        self._callback(
            {"event": name, "step": state.step, "seconds": state.seconds, "progress": self._progress(), **facts}
        )
