"""Training any model on lines, with its honest numbers: a `Job` says what is to be done, and `train` does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np

from ..errors import RunError, TrainingError
from ..generation.evaluation import Evaluation, evaluate
from ..models.contract import Callback, LanguageModel
from ..models.family import Specification
from ..models.learner import Learner
from ..models.ngram.model import NgramModel
from ..models.ngram.training import train_ngram
from ..models.stored import DAMAGE, said
from ..optional import require
from .config import TrainingConfig
from .loop import Loop
from .plan import Plan
from .prepared import Prepared, facts_of, losses
from .runs.checkpoint import Checkpoint
from .runs.log import Log
from .runs.run import Run, Trained
from .runs.unfinished import Unfinished

MEANWHILE = 1 << 23
"""The work of an evaluation while it trains (see `enough`), a tenth of a second or so."""


@dataclass(frozen=True)
class Job:
    """One training that is to be done. Models that count use neither `training` nor what stands below `keep`."""

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
    prior: NgramModel | None = None
    """The n-gram to start from, if it was trained on these lines before."""
    since: float | None = None
    """When the budget of seconds began (`perf_counter`)."""
    plan: Plan | None = None
    """A number of steps is made of it first; then the seconds of `training` are for emergencies, and the lines that
    judge meanwhile also judge the result."""


def train(job: Job) -> Trained:
    """Train one model on the training lines and evaluate it on the dev lines.

    Raises `TrainingError`, after `keep`, if the loss is not finite.
    """
    log = Log(job.callback, job.going_on.events if job.going_on else [])
    prepared, specification = job.prepared, job.specification
    family = specification.family
    if family.count is None:
        return _Learning(job, log).run()
    start = perf_counter()
    model, held_out = family.count(prepared.stream, prepared.vocabulary.size, specification.config, log)
    seconds = perf_counter() - start
    dev = evaluate(model, prepared.vocabulary, prepared.judging()) if prepared.split.dev else None
    results = {"seconds": seconds, "held_out_nats_per_token": held_out, "dev": losses(dev)}
    log({"event": "trained", "model": family.name, **model.settings(), **results})
    facts = facts_of(prepared, specification.text, results)
    run = Run(family.name, model, prepared.vocabulary, prepared.split.train, facts, log.events)
    job.keep(run)
    return Trained(run, seconds, dev)


class _Learning:
    """One training in steps: the learner, the n-gram it starts from, the loop and the log."""

    def __init__(self, job: Job, log: Log) -> None:
        prepared, going_on, training = job.prepared, job.going_on, job.training
        self._start = job.since or perf_counter() - (going_on.checkpoint.state.seconds if going_on else 0.0)
        self._job, self._log = job, log
        self._judged: dict[float, Evaluation] = {}
        self._judging = prepared.judging(work=MEANWHILE)
        self._judging_the_result = prepared.judging() if job.plan is None else self._judging  # which takes no time
        callback = (lambda event: None) if going_on else log
        size = prepared.vocabulary.size
        self._learner = learner_of(job.specification, prepared.stream, size, training, callback, job.prior)
        self._training = training if job.plan is None else job.plan.planned(self._learner, training)
        best = self._restore(going_on) if going_on else None
        self._loop = Loop(
            self._learner,
            self._training,
            self._judge if prepared.split.dev else None,
            callback=log,
            checkpoint=lambda: job.keep(self._run({"seconds": None, "held_out_nats_per_token": None, "dev": None})),
            interrupted=job.interrupted,
            state=replace(going_on.checkpoint.state) if going_on else None,
            best=best,
            since=job.since,
        )

    def run(self) -> Trained:
        """Train. `TrainingError` if the loss stops being finite, after the best model was kept."""
        stopped = self._loop.run()
        state, model = self._loop.state, self._loop.best
        dev = self._evaluation(model)
        seconds = perf_counter() - self._start
        results: dict[str, Any] = {
            "seconds": seconds,
            "held_out_nats_per_token": None,
            "dev": losses(dev),
            "steps": state.step,
            "best_step": state.best_step,
            "stopped": stopped,
        }
        if stopped != "interrupted":
            name = self._job.specification.family.name
            self._log({"event": "trained", "model": name, **model.settings(), **results})
        run = self._run(results)
        self._job.keep(run)
        if stopped == "diverged":
            raise TrainingError(
                f"the loss is not finite after {state.step:,} steps, most likely because the learning rate "
                f"{self._training.lr or self._learner.lr:g} is too high; train again with a smaller --lr, or ask "
                "`spellout lr-find` for one"
            )
        return Trained(run, seconds, dev, stopped)

    def _judge(self, model: LanguageModel) -> float:
        result = evaluate(model, self._job.prepared.vocabulary, self._judging)
        self._judged[result.nats_per_char] = result
        return result.nats_per_char

    def _evaluation(self, model: LanguageModel) -> Evaluation | None:
        """The best model on the dev lines, without doing again what the loop did."""
        lines = self._judging_the_result
        if not lines:
            return None
        known = self._judged.get(self._loop.state.best_loss or 0.0) if len(lines) == len(self._judging) else None
        return known or evaluate(model, self._job.prepared.vocabulary, lines)

    def _restore(self, going_on: Unfinished) -> LanguageModel | None:
        kept = going_on.checkpoint
        try:
            self._learner.load_state(kept.learner)
            restored = self._job.specification.family.model.restore(kept.settings, kept.best)
        except DAMAGE as error:
            raise RunError(
                f"{going_on.path} is damaged: its files do not fit together ({said(error)}); train again"
            ) from None
        return restored if kept.state.best_step is not None else None

    def _run(self, results: dict[str, Any]) -> Run:
        """Everything as it is now."""
        model, prepared, specification = self._loop.best, self._job.prepared, self._job.specification
        facts = facts_of(prepared, specification.text, results) | {"training": asdict(self._training)}
        last = Checkpoint(replace(self._loop.state), self._learner.state(), model.settings(), model.arrays())
        events = list(self._log.events)
        return Run(specification.family.name, model, prepared.vocabulary, prepared.split.train, facts, events, last)


def check_trainable(specification: Specification, training: TrainingConfig) -> None:
    """`UsageError` for what is known of a training beforehand: a device or a library that is not there.

    What is asked for first should cost no reading.
    """
    if specification.family.torch:
        require("torch", f"the model {specification.family.name}")
        from ..models.pytorch.device import check_device

        check_device(training.device)


def learner_of(
    specification: Specification,
    stream: np.ndarray,
    vocabulary_size: int,
    training: TrainingConfig,
    callback: Callback = lambda event: None,
    prior: NgramModel | None = None,
) -> Learner:
    """A fresh learner, and first the n-gram it starts from, trained on the same lines unless it is given."""
    if specification.prior is not None and prior is None:
        prior = train_ngram(stream, vocabulary_size, specification.prior, callback)[0]
    family = specification.family
    assert family.learner is not None, f"{family.name} counts"
    more = (training.device, training.threads, callback) if family.torch else ()
    try:
        return family.learner(stream, vocabulary_size, specification.config, prior, training.train_seed, *more)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise TrainingError(
            f"there is not enough memory to train {family.name} with these settings; make it smaller"
        ) from None
