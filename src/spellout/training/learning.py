"""One training in steps, from lines to a run: the learner, the n-gram it starts from, the loop and the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from time import perf_counter
from typing import Any

from ..errors import RunError, TrainingError
from ..generation.evaluation import Evaluation, evaluate
from ..models.contract import LanguageModel
from ..models.ngram.model import NgramModel
from ..models.stored import DAMAGE, said
from .config import TrainingConfig
from .loop import Loop
from .plan import Plan
from .prepared import Prepared, facts_of, losses
from .prior import Asked, learner_of
from .resume import Unfinished
from .runs.checkpoint import Checkpoint
from .runs.log import Log
from .runs.run import Run, Trained

MEANWHILE = 1 << 23
"""The work of an evaluation while it trains (see `enough`), a tenth of a second or so."""


class Learning:
    """One training; its arguments are those of `train`, understood."""

    def __init__(
        self,
        prepared: Prepared,
        specification: str,
        asked: Asked,
        training: TrainingConfig,
        log: Log,
        keep: Callable[[Run], None],
        interrupted: Callable[[], bool],
        going_on: Unfinished | None,
        prior: NgramModel | None,
        since: float | None,
        plan: Plan | None,
    ) -> None:
        self._start = since or perf_counter() - (going_on.checkpoint.state.seconds if going_on else 0.0)
        self._prepared, self._specification, self._training = prepared, specification, training
        self._family, self._log, self._keep = asked.family, log, keep
        self._judged: dict[float, Evaluation] = {}
        self._judging = prepared.judging(work=MEANWHILE)
        self._judging_the_result = prepared.judging() if plan is None else self._judging  # which takes no time
        callback = (lambda event: None) if going_on else log
        self._learner = learner_of(asked, prepared.stream, prepared.vocabulary.size, training, callback, prior)
        if plan is not None:
            self._training = plan.planned(self._learner, training)
        best = self._restore(going_on) if going_on else None
        self._loop = Loop(
            self._learner,
            self._training,
            self._judge if prepared.split.dev else None,
            callback=log,
            checkpoint=lambda: keep(self._run({"seconds": None, "held_out_nats_per_token": None, "dev": None})),
            interrupted=interrupted,
            state=replace(going_on.checkpoint.state) if going_on else None,
            best=best,
            since=since,
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
            self._log({"event": "trained", "model": self._family.name, **model.settings(), **results})
        run = self._run(results)
        self._keep(run)
        if stopped == "diverged":
            raise TrainingError(
                f"the loss is not finite after {state.step:,} steps, most likely because the learning rate "
                f"{self._training.lr or self._learner.lr:g} is too high; train again with a smaller --lr, or ask "
                "`spellout lr-find` for one"
            )
        return Trained(run, seconds, dev, stopped)

    def _judge(self, model: LanguageModel) -> float:
        result = evaluate(model, self._prepared.vocabulary, self._judging)
        self._judged[result.nats_per_char] = result
        return result.nats_per_char

    def _evaluation(self, model: LanguageModel) -> Evaluation | None:
        """The best model on the dev lines, without doing again what the loop did."""
        lines = self._judging_the_result
        if not lines:
            return None
        known = self._judged.get(self._loop.state.best_loss or 0.0) if len(lines) == len(self._judging) else None
        return known or evaluate(model, self._prepared.vocabulary, lines)

    def _restore(self, going_on: Unfinished) -> LanguageModel | None:
        kept = going_on.checkpoint
        try:
            self._learner.load_state(kept.learner)
            restored = self._family.model.restore(kept.settings, kept.best)
        except DAMAGE as error:
            raise RunError(
                f"{going_on.path} is damaged: its files do not fit together ({said(error)}); train again"
            ) from None
        return restored if kept.state.best_step is not None else None

    def _run(self, results: dict[str, Any]) -> Run:
        """Everything as it is now."""
        model, prepared = self._loop.best, self._prepared
        facts = facts_of(prepared, self._specification, results) | {"training": asdict(self._training)}
        last = Checkpoint(replace(self._loop.state), self._learner.state(), model.settings(), model.arrays())
        events = list(self._log.events)
        return Run(self._family.name, model, prepared.vocabulary, prepared.split.train, facts, events, last)
