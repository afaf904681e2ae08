"""Tuning: many short trainings with other settings, each learning from the earlier ones where to look.

Optuna (Akiba et al. 2019) proposes settings by a tree-structured Parzen estimator (Bergstra et al. 2011) and stops
trials that are worse than the median at the same part of their budget. Everything is kept in a folder: `study.db`,
and `run-N`, the run of each trial N that was the best when it ended. Several processes may work in it at once.
Only dev lines judge; the first trial has the model's own settings, so the best is never worse than those.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from ...data.prepared import Prepared
from ...errors import RunError, TrainingError, UsageError
from ...generation.evaluation import evaluate
from ...models.contract import Callback, Event
from ...models.counts.training import train_prior
from ...models.family import Specification
from ...models.ranges import Choices, Numbers
from ..config import TrainingConfig
from ..job import Job
from ..judging import judging
from ..runs.places import check_file, check_folder, holds, writing
from ..runs.run import read_run, save_run
from ..train import fitted, train
from .results import TuningTrial
from .space import Space

DATABASE = "study.db"
PARTS = 10
"""Trials are compared after so many parts of their budgets."""
UNTOUCHED, PATIENCE = 4, 2
"""So many trials end before any is stopped early, and none in so many first parts."""
HEARTBEAT = 30
"""A trial that has not been heard of for so many seconds, twice, was killed."""
_ATTEMPTS = 5
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
_OF_THE_MACHINE = ("device", "threads")
"""Settings of a training that are not meant to change its result."""


class Tuning:
    """Keeps a study in a folder. The same arguments go on with it; others are refused by `UsageError`."""

    def __init__(
        self, folder: Path, prepared: Prepared, specification: Specification, training: TrainingConfig
    ) -> None:
        prepared.config.check_keeps("dev")
        self._folder, self._prepared, self._training = folder, prepared, training
        self._space = Space.of(specification, training)
        self._study = _opened(folder)
        lines, config = prepared.lines, prepared.config
        data: dict[str, Any] = {
            "name": Path(lines.name).name,
            "fingerprint": lines.fingerprint,
            "unit": config.unit,
        }
        data |= {"min_count": config.min_count, "split": prepared.split.name, "split_seed": config.split_seed}
        data |= {} if config.tokens is None else {"tokens": config.tokens}  # studies of before had none
        data |= {part: there.fingerprint for part, there in prepared.given.items()}
        asked = {"specification": specification.text, "training": _said(training), "data": data}
        self._agree(asked | {"judge": "new lines"})  # studies of before were judged otherwise
        # Trained once for all trials.
        self._prior = None
        if (prior := fitted(specification, prepared).prior) is not None:
            size, classes = prepared.vocabulary.size, prepared.classes
            self._prior = train_prior(prepared.stream, size, prior, lambda event: None, classes=classes)

    def run(self, trials: int, callback: Callback = lambda event: None) -> Iterator[TuningTrial]:
        """Give trials as they end, until `trials` of all processes have ended or are on their way."""
        study = self._study
        ended: list[FrozenTrial] = []
        while True:
            with _quiet():
                optuna.storages.fail_stale_trials(study)
                known = study.get_trials(deepcopy=False)
                if not known:
                    study.enqueue_trial(self._space.defaults)
                if sum(one.state in (*_ENDED, TrialState.RUNNING) for one in known) >= trials:
                    return
                # Processes differ in how many trials they see, and so in where they look first.
                seed = (self._training.train_seed * 1_000_003 + len(known)) % 2**32
                study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
                attempt = partial(self._try, callback=callback)
                study.optimize(attempt, n_trials=1, callbacks=[lambda _, trial: ended.append(trial)])
            yield from map(_trial_of, ended)
            ended.clear()

    def best(self) -> list[TuningTrial]:
        """List the trials that were not stopped, the best first."""
        done = self._study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
        return [_trial_of(one) for one in sorted(done, key=lambda one: (one.value, one.number))]

    def count(self) -> tuple[int, int]:
        """Count the trials that have ended, and those of them that were stopped early."""
        ended = self._study.get_trials(deepcopy=False, states=_ENDED)
        return len(ended), sum(one.state == TrialState.PRUNED for one in ended)

    def run_folder(self, trial: TuningTrial) -> Path:
        """Say where the run of a trial is, if it was the best when it ended."""
        return self._folder / f"run-{trial.number}"

    def test(self, trial: TuningTrial) -> dict[str, float | None]:
        """Judge a trial's run on test lines: they are looked at once, and asked again, the answer is the same."""
        seen, number = self._study.user_attrs.get("test", {}), str(trial.number)
        if number not in seen:
            self._prepared.config.check_keeps("test")
            family = self._space.specification.family
            run = read_run(self.run_folder(trial), {family.name: family})
            seen = seen | {number: evaluate(run.model, run.vocabulary, judging(self._prepared, "test")).to_json()}
            self._study.set_user_attr("test", seen)
        found: dict[str, float | None] = seen[number]
        return found

    def _try(self, trial: optuna.Trial, callback: Callback) -> float:
        specification, training = self._space.settled(lambda name, where: _suggested(trial, name, where))
        trial.set_user_attr("specification", specification.text)
        trial.set_user_attr("training", _said(training))
        judged = {0}  # before the first step all are alike

        def judge(event: Event) -> None:
            """Stop a trial that is worse than the median at the same part of the budget."""
            callback(event)
            if event["event"] == "evaluation" and (part := round(PARTS * event["progress"])) not in judged:
                judged.add(part)
                trial.report(event["new_lines" if "new_lines" in event else "nats_per_char"], part)
                if trial.should_prune():
                    raise optuna.TrialPruned

        start = perf_counter()
        try:
            trained = train(Job(self._prepared, specification, training, judge, prior=self._prior))
        except TrainingError:  # the learning rate was too high: worse than anything
            raise optuna.TrialPruned from None
        finally:
            trial.set_user_attr("seconds", perf_counter() - start)
        assert trained.dev is not None
        loss = trained.loss
        trial.set_user_attr("as_it_is", trained.dev.nats_per_char)
        earlier = self._study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
        if all(one.value is None or loss < one.value for one in earlier):
            save_run(trained.run, self._folder / f"run-{trial.number}", overwrite=True)
        return loss

    def _agree(self, asked: dict[str, Any]) -> None:
        """Refuse to go on with a study of something else: what is compared must be comparable."""
        asked = json.loads(json.dumps(asked))
        there = self._study.user_attrs.get("asked")
        if there is None:
            self._study.set_user_attr("asked", asked)
        elif there != asked:
            different = ", ".join(name for name in asked if asked[name] != there.get(name))
            raise UsageError(
                f"{self._folder} holds a study with another {different} "
                f"({there['specification']}, {there['data']['name']}); give the same again, or another -o"
            )


def check_study(folder: Path) -> None:
    """Raise `RunError` if a folder cannot be that of a study: to be asked before the reading."""
    if holds(folder, DATABASE, "study"):
        check_file(folder / DATABASE)
    else:
        check_folder(folder)


def _opened(folder: Path) -> optuna.Study:
    """Open the study in a folder; it is made if there is none."""
    check_study(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=UNTOUCHED, n_warmup_steps=PATIENCE)
    for attempt in range(_ATTEMPTS):
        try:
            with _quiet():
                storage = optuna.storages.RDBStorage(
                    f"sqlite:///{(folder / DATABASE).absolute()}",
                    engine_kwargs={"connect_args": {"timeout": 60}},
                    heartbeat_interval=HEARTBEAT,
                )
                return optuna.create_study(
                    storage=storage, pruner=pruner, study_name="spellout", load_if_exists=True
                )
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
            if attempt == _ATTEMPTS - 1:
                reason, *_ = str(error.__cause__ or error).split(
                    "\n"
                )  # without the statement and the link below it
                raise RunError(f"{folder / DATABASE} cannot be used ({reason}); choose another -o") from None
            sleep(0.2 * (attempt + 1))  # another process is just making the tables
    raise AssertionError("the last attempt returns or raises")


def _suggested(trial: optuna.Trial, name: str, where: Numbers | Choices) -> Any:
    if isinstance(where, Choices):
        return trial.suggest_categorical(name, where.values)
    if isinstance(where.low, int) and isinstance(where.high, int):
        return trial.suggest_int(name, where.low, where.high, step=where.step, log=where.log)
    return trial.suggest_float(name, where.low, where.high, log=where.log)


def _trial_of(one: FrozenTrial) -> TuningTrial:
    said = one.user_attrs
    value = one.value if one.state == TrialState.COMPLETE else None
    plain = None if value is None else said["as_it_is"]
    return TuningTrial(
        one.number,
        plain,
        said.get("specification", ""),
        said.get("training", {}),
        said.get("seconds", 0.0),
        None if value == plain else value,
    )


def _said(training: TrainingConfig) -> dict[str, Any]:
    """Pick what is not as it is by default, of what changes the result."""
    plain = asdict(TrainingConfig())
    said = {name: value for name, value in asdict(training).items() if value != plain[name]}
    return {name: value for name, value in said.items() if name not in _OF_THE_MACHINE}


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Optuna's remarks that heartbeats and the constant liar are new."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
