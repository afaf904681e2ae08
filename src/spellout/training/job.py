"""What is to be trained, and how: all that a training is told before it begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..data.prepared import Prepared
from ..models.contract import Callback
from ..models.counts.priors import Prior
from ..models.family import Specification
from .config import TrainingConfig
from .distillation.teacher import Teacher
from .plans.plan import Plan
from .pooled import Pool
from .runs.run import Run
from .runs.unfinished import Unfinished


@dataclass(frozen=True)
class Job:
    """Says what is to be trained, and how. Models that count use neither `training` nor what is below `keep`."""

    prepared: Prepared
    specification: Specification
    training: TrainingConfig = TrainingConfig()
    callback: Callback = lambda event: None
    """It hears every event as it happens; the run's log keeps those worth keeping."""
    keep: Callable[[Run], None] = lambda run: None
    """It is given the run at the end, and before that now and then."""
    interrupted: Callable[[], bool] = lambda: False
    """The training stops after the step in which this becomes true."""
    going_on: Unfinished | None = None
    """An earlier part of the same training."""
    prior: Prior | None = None
    """What to start from, if it was trained on these lines before; of mixed counts, their n-gram will do."""
    since: float | None = None
    """When the budget of seconds began (`perf_counter`)."""
    teacher: Teacher | None = None
    """The model is its student: it learns what that says of the training lines, and of lines that it makes."""
    plan: Plan | None = None
    """A number of steps is made of it first; then the seconds of `training` are for emergencies, and the lines that
    judge meanwhile also judge the result, as they do that of a model that counts."""
    at_once: int = 1
    """So many members of an ensemble train side by side."""
    pool: Pool | None = None
    """An n-gram is pooled with these lines (see `pooled`)."""
