"""The learning rate of the next steps, as the scheduler will make it: a copy of it is stepped (family 26)."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, ReduceLROnPlateau

from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page
from ...sights.events import Step

DIES = Page(
    id="learning-rate-dies",
    number=26,
    severity="warning",
    title="the schedule makes the learning rate vanish within some steps",
    why="A schedule that was meant for epochs is stepped after every batch; soon nothing moves any more.",
    evidence="How often the scheduler was stepped per optimizer step, "
    "and the rate that a copy of it gives after so many more.",
    legitimate="Trainings that are as short as that.",
    cure="Call `scheduler.step()` once per epoch, or give the lengths of the schedule in batches.",
)
RISES = Page(
    id="cosine-passes-its-end",
    number=26,
    severity="warning",
    title="the cosine schedule is stepped past its end, and the learning rate rises again",
    why="`T_max` counts calls of `scheduler.step()`. Given in epochs and stepped after every batch, the rate "
    "swings between its peak and nothing all through the training.",
    evidence="How often the scheduler was stepped within the steps that were watched, and its `T_max`.",
    legitimate="A rate that swings on purpose; `CosineAnnealingWarmRestarts` says so, and is not reported.",
    cure="Call `scheduler.step()` once per epoch, or give `T_max = epochs * len(loader)`.",
)
PAGES = (DIES, RISES)
_AHEAD, _GONE = 1000, 1e-3
"""How far it is looked ahead, and the part of its peak at which a rate is as good as nothing."""


def check(patient: Patient) -> Iterator[Finding]:
    """Schedulers that are stepped with the batches."""
    recording = patient.recording
    varied = _batches_vary(recording)
    for scheduler in recording.schedulers:
        steps = recording.steps_of(scheduler.optimizer)
        pace = _pace(recording, scheduler, steps)
        # A script's scheduler has gone on; of what is examined it was put back.
        past = _past(steps, pace) if recording.scripted and pace > 0 else []
        rates = past + rates_ahead(scheduler) if pace > 0 else []
        last = 0 if _by_epochs(recording, scheduler, steps) else dies_at(rates)
        # Where all data are one batch, a step is an epoch, and only the quickest decay is a mistake.
        if last and last / pace <= (100 if varied else 20):
            yield DIES.found(
                f"{type(scheduler).__name__} is stepped {pace:.3g} times per optimizer step: "
                f"the rate goes from {max(rates):.3g} to {rates[last]:.3g} in {last / pace:.0f} steps, and stays",
                steps[-1].where,
            )
        elif varied and pace > 0.5 and not _by_epochs(recording, scheduler, steps):
            yield from _rises(recording, scheduler, steps, pace)


def _rises(recording: Recording, scheduler: LRScheduler, steps: list[Step], pace: float) -> Iterator[Finding]:
    """Has a cosine come to its end and gone on, while a few batches were seen?"""
    if type(scheduler) is not CosineAnnealingLR:
        return
    seen = scheduler.last_epoch + (0 if recording.scripted else round(pace * (len(steps) - 1)))
    if seen > scheduler.T_max + 1:
        yield RISES.found(
            f"T_max={scheduler.T_max:g}, stepped {pace:.3g} times per optimizer step, {seen} times already",
            steps[-1].where,
        )


def _past(steps: list[Step], pace: float) -> list[float]:
    """The rates of the steps that were seen, one for each step of the scheduler."""
    rates = [max(step.movement.rates) for step in steps if step.movement is not None]
    return rates[:: max(1, round(1 / pace))] if pace <= 1 else []


def _batches_vary(recording: Recording) -> bool:
    return len({one.inputs[0].rows for one in recording.trained if one.inputs}) > 1


def _pace(recording: Recording, scheduler: LRScheduler, steps: list[Step]) -> float:
    """Steps of the scheduler per step of its optimizer."""
    if len(steps) < 2:
        return 0.0
    return _stepped(recording, scheduler, steps) / (len(steps) - 1)


def _stepped(recording: Recording, scheduler: LRScheduler, steps: list[Step]) -> int:
    """How often the scheduler was stepped between the first and the last of these steps."""
    if not steps:
        return 0
    place = [one for one in recording.schedulers if one.optimizer is scheduler.optimizer].index(scheduler)
    # One that was made in between was not counted before.
    first, last = (one.schedulers[place] if place < len(one.schedulers) else 0 for one in (steps[0], steps[-1]))
    return last - first


def _by_epochs(recording: Recording, scheduler: LRScheduler, steps: list[Step]) -> bool:
    """Was it stepped no more often than loaders of several batches were gone through?"""
    whole = [one for one in recording.drawn if one.batches > 1 and one.batches == len(one.loader)]
    return _stepped(recording, scheduler, steps) <= len(whole)


def dies_at(rates: list[float]) -> int:
    """From which step on the rate is gone for ever, having fallen by factors; 0 if it is not."""
    peak = max(rates, default=0.0)
    alive = [place for place, rate in enumerate(rates) if rate > 1.01 * _GONE * peak]
    if not alive or len(rates) < _AHEAD or alive[-1] + 1 >= len(rates):
        return 0
    end = alive[-1] + 1
    # A line or a cosine that ends at zero is the end of the training, and has half its height half way.
    return end if rates[end // 2] < 0.15 * peak else 0


def rates_ahead(scheduler: Any, count: int = _AHEAD) -> list[float]:
    """The highest rate of all groups now and after each of `count` steps; fewer if the schedule ends before."""
    if not isinstance(scheduler, LRScheduler) or isinstance(scheduler, ReduceLROnPlateau):
        return []
    rates: list[float] = []
    # The user's own schedule may refuse to be copied, or end.
    with warnings.catch_warnings(action="ignore"), suppress(Exception):
        double = _copied(scheduler)
        rates.append(_highest(double.optimizer))
        for _ in range(count):
            double.step()
            rates.append(_highest(double.optimizer))
    return rates


def _highest(optimizer: Optimizer) -> float:
    return max(float(group["lr"]) for group in optimizer.param_groups)


def _copied(scheduler: LRScheduler) -> Any:
    """A scheduler of its own, on an optimizer that has rates and no parameters."""
    optimizer = object.__new__(Optimizer)
    groups = [{**group, "params": []} for group in scheduler.optimizer.param_groups]
    optimizer.__dict__.update(param_groups=groups, defaults=dict(scheduler.optimizer.defaults), state={})
    own = list(getattr(scheduler, "lr_lambdas", ()))
    known = {id(one): one for one in own}  # a schedule that is a method would bring its object with it
    return copy.deepcopy(scheduler, {id(scheduler.optimizer): optimizer, **known})
