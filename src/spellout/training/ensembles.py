"""Trains ensembles, and anything else: the members, then their weights, on lines that these did not learn from.

Each member is trained as it would be alone, on the same lines, but for its seed, and with its part of the seconds;
one by one, or some side by side. What all of them have come to is kept in one run, from which the training goes on
wherever it was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import Any

from ..errors import TrainingError
from ..models.contract import Callback, Event
from ..models.counts.config import PriorConfig
from ..models.counts.priors import Prior
from ..models.counts.training import train_prior
from ..models.ensembles.ensemble import Ensemble
from ..models.ensembles.fitting import Fit, even
from ..models.family import Specification
from .config import TrainingConfig
from .held_out import counted_anew, fit_on, held_out
from .job import Job
from .judging import Judging, losses_of
from .loop import Reason
from .runs.events import TOLD
from .runs.folder import fitting
from .runs.members import Member, joined, parted
from .runs.run import Run, Trained
from .side_by_side import train_side_by_side
from .train import facts_of, finished, train


def train_any(job: Job) -> Trained:
    """Train one model (see `train`), or an ensemble."""
    return _Training(job).run() if job.specification.members else train(job)


class _Training:
    """One training of an ensemble, and how far each member is."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.asked = job.specification.members
        self.prepared, self.lines = held_out(job.prepared)
        self.runs: list[Run | None] = [None] * len(self.asked)
        self.done: dict[int, Trained] = {}
        self.progress = [0.0] * len(self.asked)
        self.priors: dict[PriorConfig, Prior] = {}
        self.going_on: list[Member | None] = [None] * len(self.asked)
        self.begun = 0.0
        if job.going_on is not None:
            with fitting(job.going_on.path):
                self.going_on = parted(job.going_on.checkpoint, len(self.asked))
            self.begun = job.going_on.checkpoint.state.seconds

    def run(self) -> Trained:
        """Train the members, fit the weights, and judge the ensemble on dev lines."""
        job, start = self.job, perf_counter() - self.begun
        for number, trained in self._side_by_side() if job.at_once > 1 else self._one_by_one():
            self.runs[number] = trained.run
            if trained.stopped != "interrupted":
                self.done[number] = trained
        if len(self.done) < len(self.asked):
            run = self._now("interrupted")
            job.keep(run)
            return Trained(run, perf_counter() - start, None, "interrupted")
        members = [self.done[number] for number in range(len(self.asked))]
        job.callback({"event": "judging", "of": "the ensemble"})
        found = fit_on(self.prepared, [one.run.model for one in members], self.lines)
        stopped: Reason = next((one.stopped for one in reversed(members) if one.stopped), "steps")
        all_counted = counted_anew(found.ensemble.members, job.prepared.stream)
        ensemble = type(found.ensemble)(all_counted, found.ensemble.weights)
        judged = Judging(job.prepared).result(ensemble, planned=job.plan is not None)
        seconds = perf_counter() - start
        results = {
            "seconds": seconds,
            "held_out_nats_per_token": found.nats.get(found.ensemble.kind),
            **losses_of(judged),
            "stopped": stopped,
            "ensemble": self._told(found),
        }
        return finished(job, self._now(stopped, ensemble, results), judged, seconds, stopped)

    def _one_by_one(self) -> Iterator[tuple[int, Trained]]:
        """Train the members in their order, until one is interrupted."""
        for number, specification in enumerate(self.asked):
            trained = self._before(number)
            if trained is None:
                try:
                    trained = train(self._job_of(number))
                except TrainingError as error:
                    raise TrainingError(f"member {number + 1}, {specification.text}: {error}") from None
            if isinstance(trained.run.model, Prior):
                self.priors.setdefault(specification.config, trained.run.model)
            yield number, trained
            if trained.stopped == "interrupted" or self.job.interrupted():
                return

    def _side_by_side(self) -> Iterator[tuple[int, Trained]]:
        """Train the members as far as there are cores, and give them as they are done."""
        left = []
        for number in range(len(self.asked)):
            trained = self._before(number)
            if trained is None:
                left.append(number)
            else:
                yield number, trained
        jobs = [self._job_of(number) for number in left]
        for index, trained in train_side_by_side(jobs, self.job.at_once, train):
            self.progress[left[index]] = 1.0
            yield left[index], trained

    def _before(self, number: int) -> Trained | None:
        """Take a member that an earlier part of the training finished; None if it did not."""
        before, going_on = self.going_on[number], self.job.going_on
        if before is None or going_on is None or not before.done:
            return None
        kept = before.checkpoint
        events = _events_of(going_on.events, number, kept.state.step)
        return self._again(self.asked[number], before, events, going_on.path)

    def _job_of(self, number: int) -> Job:
        """Say how one member is trained, or goes on."""
        job, specification, before = self.job, self.asked[number], self.going_on[number]
        going_on, hear = job.going_on, self._hearing(number)
        training = before.training if before else self._budget(number)
        if before is not None and going_on is not None:
            step = before.checkpoint.state.step
            events = [*_events_of(going_on.events, number, step), going_on.events[-1] | {"step": step}]
            going_on = replace(
                going_on,
                specification=specification,
                training=training,
                checkpoint=before.checkpoint,
                events=events,
            )

        def keep(run: Run) -> None:
            self.runs[number] = run
            diverged = run.last is not None and run.last.state.stopped == "diverged"
            job.keep(self._now("diverged" if diverged else None))

        return replace(
            job,
            prepared=self.prepared,
            specification=specification,
            training=training,
            callback=hear,
            keep=keep,
            going_on=going_on if before else None,
            prior=self._prior(specification, hear),
            plan=job.plan and replace(job.plan, seconds=job.plan.seconds / self._rounds),
        )

    @property
    def _in_steps(self) -> list[int]:
        """Give the numbers of the members that learn in steps."""
        return [number for number, one in enumerate(self.asked) if one.family.in_steps]

    @property
    def _rounds(self) -> int:
        """Say how many times as long as one of them all take that learn in steps."""
        return ceil(len(self._in_steps) / self.job.at_once) or 1

    def _budget(self, number: int) -> TrainingConfig:
        """Give one member its seed and its part of the seconds.

        Members that learn in steps share them equally; what trains side by side has the same seconds.
        """
        training, texts = self.job.training, [one.text for one in self.asked]
        seed = (training.train_seed + texts[:number].count(texts[number])) % 2**64
        seconds = training.most_seconds
        if seconds is not None:
            rounds = self._rounds
            if self.job.since is None:
                seconds /= rounds
            else:  # which is when the command began, and members one by one
                elapsed = perf_counter() - self.job.since
                left = sum(one >= number for one in self._in_steps) or 1
                seconds = max(elapsed + (seconds - elapsed) / left, seconds / rounds)
        return replace(training, train_seed=seed, seconds=seconds)

    def _prior(self, specification: Specification, hear: Callback) -> Prior | None:
        """Train the counts that a member starts from, unless another one starts from the same."""
        if (config := specification.prior) is None:
            return None
        if config not in self.priors:
            size, classes = self.prepared.vocabulary.size, self.prepared.classes
            self.priors[config] = train_prior(self.prepared.stream, size, config, hear, classes=classes)
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
        """Say of every event which member it is of, and how far the whole training is.

        Of members side by side, only the first that is not yet done says more than how it began.
        """
        name = f"{number + 1}. {self.asked[number].text}"

        def hear(event: Event) -> None:
            self.progress[number] = max(self.progress[number], float(event.get("progress", 0.0)))
            first = min(one for one in range(len(self.asked)) if one not in self.done)
            if number == first or event["event"] in TOLD:
                whole = {"progress": sum(self.progress) / len(self.asked)} if "progress" in event else {}
                self.job.callback(event | whole | {"of": name})

        return hear

    def _now(
        self, stopped: Reason | None, ensemble: Ensemble | None = None, results: dict[str, Any] | None = None
    ) -> Run:
        """Make a run of everything as it is now; without an `ensemble`, of the members that are ready."""
        job = self.job
        known = [one for one in self.runs if one is not None]
        members = [_member_of(one) for one in self.runs]
        last = joined(members, stopped)
        results = results or {
            "seconds": None,
            "held_out_nats_per_token": None,
            **losses_of(None),
            "stopped": stopped,
        }
        results |= {"steps": last.state.step, "best_step": None}
        facts = facts_of(job.prepared, job.specification.text, results) | {"training": asdict(job.training)}
        finished = [self.done[number].run.model for number in sorted(self.done)]
        ensemble = ensemble or even(finished or [known[0].model])
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
    """Say where the training of a member is; None if it has not begun, or counts, which is soon done again."""
    if run is None or run.last is None:
        return None
    return Member(run.last, TrainingConfig(**run.facts["training"]), run.facts["results"])


def _events_of(events: Sequence[Event], number: int, step: int) -> list[Event]:
    """Say what an earlier part of the training told of a member, which it numbered from 1, up to a step."""
    mine = [event for event in events if event.get("member") == number + 1 and event.get("step", 0) <= step]
    return [{name: value for name, value in event.items() if name != "member"} for event in mine]
