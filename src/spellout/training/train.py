"""Trains any model on lines and gives honest numbers: a `Job` says what is to be done, and `train` does it."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ..data.labels import Labelled
from ..data.prepared import Prepared, longest, usual_length
from ..errors import TrainingError
from ..generation.judge import Judged
from ..models.contract import Callback, LanguageModel
from ..models.counts.config import CountsConfig
from ..models.counts.priors import Prior
from ..models.counts.training import train_prior
from ..models.ensembles.ensemble import Ensemble
from ..models.family import ENSEMBLE, Specification, keeping_first
from ..models.learner import Learner
from ..optional import require
from .config import TrainingConfig
from .distillation.lessons import lessons_from
from .job import Job
from .judging import Judging, losses_of
from .loop import Loop, Reason
from .pooled import facts_of_pool, train_pooled, with_letters_of
from .runs.checkpoint import Checkpoint
from .runs.folder import fitting
from .runs.log import Log
from .runs.run import Run, Trained
from .runs.unfinished import Unfinished


def train(job: Job) -> Trained:
    """Train one model on the training lines and evaluate it on the dev lines.

    Raises `TrainingError`, after `keep`, if the loss is not finite. With a teacher, `UsageError` or `DataError`
    says what does not fit it.
    """
    log = Log(job.callback, job.going_on.events if job.going_on else [])
    job = replace(job, specification=fitted(job.specification, job.prepared))
    if job.teacher is not None:
        job.teacher.check_student(job.specification)
        job = replace(job, prepared=job.teacher.fitted(job.prepared))
    if job.pool is not None:
        job = replace(job, prepared=with_letters_of(job.pool, job.prepared))
    prepared, family = job.prepared, job.specification.family
    if family.count is None:
        return _learn(job, log)
    start = perf_counter()
    known = {"first": job.prior} if isinstance(job.specification.config, CountsConfig) else {}
    size, classes = prepared.vocabulary.size, prepared.classes
    model: LanguageModel
    if job.pool is None:
        config = job.specification.config
        model, held_out = family.count(prepared.stream, size, config, log, classes=classes, **known)
    else:
        model, held_out = train_pooled(prepared, job.pool, log)
    seconds = perf_counter() - start
    judged = Judging(prepared).result(model, planned=job.plan is not None)
    results = {"seconds": seconds, "held_out_nats_per_token": held_out, **losses_of(judged)}
    log({"event": "trained", "model": family.name, **model.settings(), **results})
    return finished(job, _run(job, model, results, log), judged, seconds)


def finished(job: Job, run: Run, judged: Judged | None, seconds: float, stopped: Reason | None = None) -> Trained:
    """Keep the run with what judging it has brought."""
    if judged is None:
        job.keep(run)
        return Trained(run, seconds, None, stopped)
    if judged.ratios is not None:
        run = replace(run, ratios=judged.ratios, sharpness=judged.sharpness)
    job.keep(run)
    return Trained(run, seconds, judged.as_it_is, stopped, judged.new)


def _run(job: Job, model: LanguageModel, results: dict[str, Any], log: Log) -> Run:
    """Make a run of what has been trained so far."""
    prepared, specification = job.prepared, job.specification
    facts = facts_of(prepared, specification.text, results)
    if job.teacher is not None:
        facts["teacher"] = job.teacher.facts()
    if job.pool is not None:
        facts["pooled"] = facts_of_pool(model, job.pool)
    lines = prepared.split.train
    family = ENSEMBLE if isinstance(model, Ensemble) else specification.family.name
    return Run(family, model, prepared.vocabulary, lines, facts, list(log.events))


def facts_of(prepared: Prepared, specification: str, results: dict[str, Any]) -> dict[str, Any]:
    """Write the part of `config.json` that people read, and `--resume` to prepare the lines again."""
    lines, split, config = prepared.lines, prepared.split, prepared.config
    given = {
        part: {"name": Path(there.name).name, "fingerprint": there.fingerprint}
        for part, there in prepared.given.items()
    }
    return {
        "specification": specification,
        "data": {
            "name": Path(lines.name).name,
            "lines": len(lines),
            "distinct": len(lines.distinct),
            "fingerprint": lines.fingerprint,
            "unit": config.unit,
            "min_count": config.min_count,
            **({} if config.tokens is None else {"tokens": config.tokens}),
            "source": config.asked(),
            "between": lines.between,
        },
        "split": {
            "name": split.name,
            "seed": config.split_seed,
            "train": len(split.train),
            "dev": len(split.dev),
            "test": len(split.test),
            **({"given": given} if given else {}),
        },
        "usual_length": usual_length(prepared.stream),
        "longest": longest(prepared.stream),
        "results": results,
    }


def _learn(job: Job, log: Log) -> Trained:
    """Train in steps, from the learner and what it starts from to the run."""
    prepared, going_on = job.prepared, job.going_on
    begun = going_on.checkpoint.state if going_on else None
    start = job.since or perf_counter() - (begun.seconds if begun else 0.0)
    callback = (lambda event: None) if going_on else log
    stream, soft_targets, since = prepared.stream, None, job.since
    if job.teacher is not None:
        lessons = lessons_from(job.teacher, prepared, job.training.train_seed, callback)
        stream, soft_targets = lessons.stream, lessons.soft_targets
        since = since if begun else since or start  # making them takes part of the seconds
    size = prepared.vocabulary.size
    learner = learner_of(
        job.specification, stream, size, job.training, callback, job.prior, soft_targets, prepared.classes
    )
    training = job.training if job.plan is None else job.plan.planned(learner, job.training)
    best = _restored(going_on, learner) if going_on else None
    judging = Judging(prepared)
    if begun and best is not None:  # an earlier version may have judged otherwise
        begun = replace(begun, best_loss=judging.loss(best))

    def now(results: dict[str, Any]) -> Run:
        """Make a run of everything as it is now."""
        model, state = loop.best, replace(loop.state)
        run = _run(job, model, results, log)
        run.facts["training"] = asdict(training)
        return replace(run, last=Checkpoint(state, learner.state(), model.settings(), model.arrays()))

    loop = Loop(
        learner,
        training,
        judging.loss if prepared.split.dev else None,
        described=judging.described,
        callback=log,
        checkpoint=lambda: job.keep(now({"seconds": None, "held_out_nats_per_token": None, **losses_of(None)})),
        interrupted=job.interrupted,
        state=replace(begun) if begun else None,
        best=best,
        since=since,
        afterwards=judging.afterwards(planned=job.plan is not None),
    )
    stopped = loop.run()
    state, model = loop.state, loop.best
    judged = judging.result(model, state.best_loss, planned=job.plan is not None)
    seconds = perf_counter() - start
    results: dict[str, Any] = {"seconds": seconds, "held_out_nats_per_token": None, **losses_of(judged)}
    results |= {"steps": state.step, "best_step": state.best_step, "stopped": stopped}
    if stopped != "interrupted":
        log({"event": "trained", "model": job.specification.family.name, **model.settings(), **results})
    trained = finished(job, now(results), judged, seconds, stopped)
    if stopped == "diverged":
        raise TrainingError(
            f"the loss is not finite after {state.step:,} steps, most likely because the learning rate "
            f"{training.lr or learner.lr:g} is too high; train again with a smaller --lr, or ask "
            "`spellout lr-find` for one"
        )
    return trained


def _restored(going_on: Unfinished, learner: Learner) -> LanguageModel | None:
    """Let the learner go on after an earlier part of the training, and give that part's best model."""
    kept = going_on.checkpoint
    with fitting(going_on.path):
        learner.load_state(kept.learner)
        restored = going_on.specification.family.model.restore(kept.settings, kept.best)
    return restored if kept.state.best_step is not None else None


def fitted(specification: Specification, prepared: Prepared) -> Specification:
    """Give what is to be trained on these lines: where they have labels, a model that keeps these in view."""
    if not isinstance(prepared.vocabulary, Labelled):
        return specification
    return keeping_first(specification, prepared.vocabulary.size)


def check_trainable(specification: Specification, training: TrainingConfig) -> None:
    """Raise `UsageError` for what is known of a training beforehand: a device or a library that is not there.

    What is asked for first should cost no reading.
    """
    for family in (one.family for one in specification.alone if one.family.torch):
        require("torch", f"the model {family.name}")
        from ..models.pytorch.device import check_device

        check_device(training.device)


def learner_of(
    specification: Specification,
    stream: np.ndarray,
    vocabulary_size: int,
    training: TrainingConfig,
    callback: Callback = lambda event: None,
    prior: Prior | None = None,
    soft_targets: np.ndarray | None = None,
    classes: np.ndarray | None = None,
) -> Learner:
    """Make a fresh learner, and first train the n-gram it starts from on the same lines, unless it is given.

    With the `classes` (V,) of the tokens, that knows the shapes of lines, too. A student learns from
    `soft_targets`, what a teacher says at every position (positions, V).
    """
    if specification.prior is not None:
        prior = train_prior(stream, vocabulary_size, specification.prior, callback, prior, classes)
    family = specification.family
    assert family.learner is not None, f"{family.name} counts"
    more = (training.device, training.threads, callback) if family.torch else ()
    named = {} if soft_targets is None else {"soft_targets": soft_targets}
    named |= {"classes": classes} if family.shaped and classes is not None else {}
    try:
        return family.learner(
            stream, vocabulary_size, specification.config, prior, training.train_seed, *more, **named
        )
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise TrainingError(
            f"there is not enough memory to train {family.name} with these settings; make it smaller"
        ) from None
