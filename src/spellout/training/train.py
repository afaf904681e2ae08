"""Training any model of the table on lines, with its honest numbers."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from ..errors import UsageError
from ..generation.evaluation import evaluate
from ..models.contract import Callback
from ..models.ngram.model import NgramModel
from .config import TrainingConfig
from .learning import Learning
from .plan import Plan
from .prepared import Prepared, facts_of, losses
from .prior import parse
from .resume import Unfinished
from .runs.log import Log
from .runs.run import Run, Trained


def train(
    prepared: Prepared,
    specification: str,
    callback: Callback = lambda event: None,
    *,
    training: TrainingConfig = TrainingConfig(),
    keep: Callable[[Run], None] = lambda run: None,
    interrupted: Callable[[], bool] = lambda: False,
    going_on: Unfinished | None = None,
    prior: NgramModel | None = None,
    since: float | None = None,
    plan: Plan | None = None,
) -> Trained:
    """Train one model on the training lines and evaluate it on the dev lines.

    `callback` hears every event as it happens; the run's log keeps those worth keeping. Models that learn in steps
    follow `training`, are given to `keep` now and then and at the end, and stop after the step in which
    `interrupted` becomes true. `going_on` is an earlier part of the same training. `prior` is the n-gram to start
    from, if it was trained on these lines before; `since` is when the budget of seconds began (`perf_counter`).
    With a `plan`, a number of steps is made of it first, the seconds of `training` are for emergencies, and the
    lines that judge meanwhile also judge the result.

    Raises `UsageError` if `callback` is no function, and `TrainingError`, after `keep`, if the loss is not finite.
    """
    if not callable(callback):
        way = (
            "; settings are given by name, training=TrainingConfig(...)"
            if isinstance(callback, TrainingConfig)
            else ""
        )
        raise UsageError(f"the third argument of train is a function that hears every event, got {callback!r}{way}")
    asked = parse(specification, training.prior)
    log = Log(callback, going_on.events if going_on else [])
    if asked.family.train is None:
        return Learning(
            prepared, specification, asked, training, log, keep, interrupted, going_on, prior, since, plan
        ).run()
    start = perf_counter()
    model, held_out = asked.family.train(prepared.stream, prepared.vocabulary.size, asked.config, log)
    seconds = perf_counter() - start
    dev = evaluate(model, prepared.vocabulary, prepared.judging()) if prepared.split.dev else None
    results = {"seconds": seconds, "held_out_nats_per_token": held_out, "dev": losses(dev)}
    log({"event": "trained", "model": asked.family.name, **model.settings(), **results})
    facts = facts_of(prepared, specification, results)
    run = Run(asked.family.name, model, prepared.vocabulary, prepared.split.train, facts, log.events)
    keep(run)
    return Trained(run, seconds, dev)
