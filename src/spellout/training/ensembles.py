"""Trains ensembles, and anything else: the members one after the other, then their weights, on lines held out.

Each member is trained as it would be alone, on the same lines, but for its seed, and with its part of the seconds.
What all of them have come to is kept in one run, from which the training goes on wherever it was interrupted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from ..errors import TrainingError
from ..generation.evaluation import evaluate, judging
from ..models.contract import Callback, Event, LanguageModel
from ..models.ensembles.ensemble import Ensemble
from ..models.ensembles.fitting import Fit, even
from ..models.family import Specification
from ..models.ngram.model import NgramConfig, NgramModel
from ..models.ngram.training import train_ngram
from .config import TrainingConfig
from .held_out import fit_on, held_out
from .loop import Reason
from .runs.folder import fitting
from .runs.members import Member, joined, parted
from .runs.run import Run, Trained
from .train import MEANWHILE, Job, facts_of, train


def train_any(job: Job) -> Trained:
    """Train one model (see `train`), or an ensemble."""
    return _Training(job).run() if job.specification.members else train(job)


class _Training:
    """One training of an ensemble."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.asked = job.specification.members
        self.prepared, self.lines = held_out(job.prepared)
        self.runs: list[Run | None] = [None] * len(self.asked)
        self.done: list[LanguageModel] = []
        self.priors: dict[NgramConfig, NgramModel] = {}
        self.going_on: list[Member | None] = [None] * len(self.asked)
        self.begun = 0.0
        if job.going_on is not None:
            with fitting(job.going_on.path):
                self.going_on = parted(job.going_on.checkpoint, len(self.asked))
            self.begun = job.going_on.checkpoint.state.seconds

    def run(self) -> Trained:
        """Train the members, fit the weights, and judge the ensemble on dev lines."""
        job, start, reasons = self.job, perf_counter() - self.begun, []
        for number in range(len(self.asked)):
            trained = self._member(number)
            self.runs[number] = trained.run
            if trained.stopped == "interrupted" or job.interrupted():
                run = self._now("interrupted")
                job.keep(run)
                return Trained(run, perf_counter() - start, None, "interrupted")
            self.done.append(trained.run.model)
            reasons += [trained.stopped] if trained.stopped else []
        job.callback({"event": "judging", "of": "the ensemble"})
        found = fit_on(job.prepared, self.done, self.lines)
        stopped = reasons[-1] if reasons else "steps"
        lines = judging(job.prepared) if job.plan is None else judging(job.prepared, work=MEANWHILE)
        dev = evaluate(found.ensemble, job.prepared.vocabulary, lines) if lines else None
        seconds = perf_counter() - start
        results = {
            "seconds": seconds,
            "held_out_nats_per_token": found.nats.get(found.ensemble.kind),
            "dev": dev and dev.to_json(),
            "stopped": stopped,
            "ensemble": self._told(found),
        }
        run = self._now(stopped, found.ensemble, results)
        job.keep(run)
        return Trained(run, seconds, dev, stopped)

    def _member(self, number: int) -> Trained:
        """Train one member, unless it was trained before."""
        job, specification, before = self.job, self.asked[number], self.going_on[number]
        training = before.training if before else self._budget(number)
        going_on = None
        if before is not None:
            assert job.going_on is not None
            events = _events_of(job.going_on.events, number + 1, before.checkpoint.state.step)
            if before.done:
                return self._again(specification, before, events, job.going_on.path)
            events.append(job.going_on.events[-1] | {"step": before.checkpoint.state.step})
            going_on = replace(
                job.going_on,
                specification=specification,
                training=training,
                checkpoint=before.checkpoint,
                events=events,
            )
        hear = self._hearing(number)

        def keep(run: Run) -> None:
            self.runs[number] = run
            diverged = run.last is not None and run.last.state.stopped == "diverged"
            job.keep(self._now("diverged" if diverged else None))

        member = replace(
            job,
            prepared=self.prepared,
            specification=specification,
            training=training,
            callback=hear,
            keep=keep,
            going_on=going_on,
            prior=self._prior(specification, hear),
            plan=job.plan and replace(job.plan, seconds=job.plan.seconds / len(self._in_steps)),
        )
        try:
            trained = train(member)
        except TrainingError as error:
            raise TrainingError(f"member {number + 1}, {specification.text}: {error}") from None
        if isinstance(trained.run.model, NgramModel):
            self.priors.setdefault(specification.config, trained.run.model)
        return trained

    @property
    def _in_steps(self) -> list[int]:
        """The numbers of the members that learn in steps."""
        return [number for number, one in enumerate(self.asked) if one.family.in_steps]

    def _budget(self, number: int) -> TrainingConfig:
        """Give one member its seed and its part of the seconds, which the members that learn in steps share."""
        training, texts = self.job.training, [one.text for one in self.asked]
        seed = (training.train_seed + texts[:number].count(texts[number])) % 2**64
        seconds = training.most_seconds
        if seconds is not None:
            left = sum(one >= number for one in self._in_steps) or 1
            if self.job.since is None:
                seconds /= len(self._in_steps) or 1
            else:  # they count from where the command began
                elapsed = perf_counter() - self.job.since
                seconds = max(elapsed + (seconds - elapsed) / left, seconds / len(self.asked))
        return replace(training, train_seed=seed, seconds=seconds)

    def _prior(self, specification: Specification, hear: Callback) -> NgramModel | None:
        """Train the n-gram that a member starts from, unless another one starts from the same."""
        if (config := specification.prior) is None:
            return None
        if config not in self.priors:
            size = self.prepared.vocabulary.size
            self.priors[config] = train_ngram(self.prepared.stream, size, config, hear)[0]
        return self.priors[config]

    def _again(self, specification: Specification, before: Member, events: Sequence[Event], path: Path) -> Trained:
        """Take a member as an earlier part of the training left it."""
        kept = before.checkpoint
        with fitting(path):
            model = specification.family.model.restore(kept.settings, kept.best)
            if model.vocabulary_size != self.prepared.vocabulary.size:
                raise ValueError("the vocabulary and the weights differ in size")
        facts = {"results": before.results, "training": asdict(before.training)}
        lines = self.prepared.split.train
        run = Run(specification.family.name, model, self.prepared.vocabulary, lines, facts, events, kept)
        return Trained(run, kept.state.seconds, None, kept.state.stopped)

    def _hearing(self, number: int) -> Callback:
        """Say of every event which member it is of, and how far the whole training is."""
        name, count = f"{number + 1}. {self.asked[number].text}", len(self.asked)

        def hear(event: Event) -> None:
            progress = {"progress": (number + event["progress"]) / count} if "progress" in event else {}
            self.job.callback(event | progress | {"of": name})

        return hear

    def _now(
        self, stopped: Reason | None, ensemble: Ensemble | None = None, results: dict[str, Any] | None = None
    ) -> Run:
        """Make a run of everything as it is now; without an `ensemble`, of the members that are ready."""
        job = self.job
        known = [one for one in self.runs if one is not None]
        members = [_member_of(one) for one in self.runs]
        last = joined(members, stopped)
        results = results or {"seconds": None, "held_out_nats_per_token": None, "dev": None, "stopped": stopped}
        results |= {"steps": last.state.step, "best_step": None}
        facts = facts_of(job.prepared, job.specification.text, results) | {"training": asdict(job.training)}
        ensemble = ensemble or even(self.done or [known[0].model])
        events = [
            event | {"member": number}
            for number, one in enumerate(self.runs, 1)
            for event in (one.events if one else ())
        ]
        if "ensemble" in results:
            events.append({"event": "trained", "model": job.specification.family.name, **results})
        vocabulary, lines = job.prepared.vocabulary, job.prepared.split.train
        return Run(job.specification.family.name, ensemble, vocabulary, lines, facts, events, last)

    def _told(self, found: Fit) -> dict[str, Any]:
        """Say in the run what the weights are, how they came about, and what each member is alone."""
        alone: list[float] | list[None] = found.members or [None] * len(self.asked)
        members = [
            {
                "specification": one.text,
                "weight": weight,
                "train_seed": (run.facts.get("training") or {}).get("train_seed"),
                "held_out_nats_per_token": nats,
                "results": run.facts["results"],
            }
            for one, weight, nats, run in zip(
                self.asked,
                found.ensemble.weights,
                alone,
                [one for one in self.runs if one is not None],
                strict=True,
            )
        ]
        return {
            "kind": found.ensemble.kind,
            "held_out": {"lines": len(self.lines), "tokens": found.places, "nats_per_token": found.nats},
            "members": members,
        }


def _member_of(run: Run | None) -> Member | None:
    """Where the training of a member is; None if it has not begun, or counts, which is soon done again."""
    if run is None or run.last is None:
        return None
    return Member(run.last, TrainingConfig(**run.facts["training"]), run.facts["results"])


def _events_of(events: Sequence[Event], number: int, step: int) -> list[Event]:
    """What an earlier part of the training told of a member, up to a step."""
    mine = [event for event in events if event.get("member") == number and event.get("step", 0) <= step]
    return [{name: value for name, value in event.items() if name != "member"} for event in mine]
