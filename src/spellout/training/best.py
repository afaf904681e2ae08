"""The best model that the seconds allow, and the n-gram before it: how it is trained, and which of both is better.

Which network it is stands in `plans/choice.py`. How many steps it takes follows from the file and the seconds, and
is decided before it begins, so that the same command makes the same lines (see `plans/plan.py`).
"""

from __future__ import annotations

from dataclasses import replace

from ..data.prepared import Prepared
from ..errors import TrainingError
from ..models.arrays.mlp import MlpConfig
from ..models.counts.config import CountsConfig
from ..models.counts.model import CountsModel
from ..models.ensembles.ensemble import Ensemble
from ..models.family import Specification
from ..models.table import parse_specification
from .config import TrainingConfig
from .ensembles import train_any
from .job import Job
from .judging import Judging
from .plans.choice import Choice, chosen
from .plans.machine import Machine
from .plans.plan import Plan
from .plans.timing import (
    AROUND,
    BEGIN,
    MIXED_BEFORE,
    MIXING,
    READY,
    before_torch,
    evaluations,
    judged,
    learning,
    of_positions,
    the_end,
    until_the_network,
    until_the_ngram,
    usual_step,
)
from .plans.traits import Traits
from .runs.run import Trained

EPOCHS, TORCH_EPOCHS = 20, 60
"""Every position is seen so often, if there is time: more only overfits. Networks of PyTorch have dropout."""
FEWEST_STEPS = 100
LEAST = 0.5
"""Seconds of training that are worth it."""
LAST = 0.4
"""The clock takes so many of them for training too, before it ends it."""
OF_STEPS = "steps", "best_step", "stopped"
"""The results of a training that only one in steps has."""
NO_TIE = 1e-5
"""A network must be better by so many nats, or it would be so by a rounding error."""
SMALL = 60_000
"""Texts of fewer positions are learned more carefully: on 300 to 4,000 names that won 0.01 to 0.02 nats."""
SMALL_LR = 2e-3
MIXED_LR = 3e-3
"""An mlp that starts from mixed counts has less to learn: at 6e-3 it is no better, and forgets more."""
MIXED = (16, 400), (8, 200), (4, 100)
"""Views and steps of mixed counts where there is no time for a network, the best first."""
LEAVING = 0.15
"""Seconds that are kept for making lines and leaving."""


def best_counts(traits: Traits, seconds: float, elapsed: float) -> str | None:
    """Choose how many counts to mix after the n-gram, `elapsed` seconds after a command of so many began.

    For when there is no time for a network. None if there is none for that either, or if the text is too long or
    of too many different tokens.
    """
    if not traits.may_be_mixed:
        return None
    ready, left = until_the_ngram(traits), seconds - LEAVING
    for views, steps in MIXED:
        needed = views * (MIXING[0] * traits.positions + MIXING[1] * steps) + judged(traits, views)
        # How many follows from the file and the seconds; a clock takes some off only where a machine is slow.
        if ready + needed <= left and elapsed + max(1.0, elapsed / ready) * needed <= left:
            return f"counts:{views}:steps={steps}"
    return None


def best_training(traits: Traits, machine: Machine, seconds: float) -> tuple[Choice, TrainingConfig, Plan]:
    """Choose what to train on such a list in so many seconds, and how.

    It depends on nothing else. The seconds of the training are the last moment, counted from where the command
    began; those of the plan are what is usually left for the network.
    """
    choice = chosen(traits, machine, seconds)
    specification = parse_specification(choice.specification)
    mixed = starts_from_mixed_counts(specification)
    lr, most, last = None, None, LAST
    if specification.family.name == "mlp":
        lr = SMALL_LR if traits.positions < SMALL else MIXED_LR if mixed else None
        most = max(FEWEST_STEPS, EPOCHS * traits.positions // MlpConfig().batch)
    else:  # an example is a line
        first = next(one for one in specification.alone if one.family.in_steps)
        epochs = TORCH_EPOCHS if first.family.torch else EPOCHS
        most = max(FEWEST_STEPS, epochs * traits.lines // first.config.batch)
    if specification.members:
        last = the_end(traits)
    training = TrainingConfig(seconds=max(seconds - last, seconds / 2), lr=lr, threads=choice.threads)
    left = learning(traits, seconds) - (traits.positions * MIXED_BEFORE if mixed else 0.0)
    left -= before_torch(specification) + last - LAST
    plan = plan_for(traits.positions, left, usual_step(specification, traits), most)
    return choice, training, replace(plan, evaluations=evaluations(specification, traits, seconds))


def plan_for(positions: int, seconds: float, usual: float | None = None, most: int | None = None) -> Plan:
    """Plan the steps of a network on so many positions of text, in a command of so many seconds in all."""
    before = AROUND + of_positions(READY, positions) + of_positions(BEGIN, positions)
    return Plan(max(0.0, seconds - before), usual, most)


def is_time(traits: Traits, machine: Machine, seconds: float, elapsed: float) -> bool:
    """Say whether a network can still be trained, `elapsed` seconds after the command began, after the n-gram.

    What it starts from and how it is judged takes its time, too. A machine with other work has been slower up to
    now, and will be.
    """
    slower = max(1.0, elapsed / until_the_ngram(traits))
    usually = plan_for(traits.positions, learning(traits, seconds)).seconds
    specification = parse_specification(chosen(traits, machine, seconds).specification)
    before = until_the_network(traits, starts_from_mixed_counts(specification)) + before_torch(specification)
    return usually >= LEAST and seconds - LAST - elapsed >= slower * (before + LEAST)


def starts_from_mixed_counts(specification: Specification) -> bool:
    """Say whether a network, or a member of an ensemble, does."""
    return any(isinstance(one.prior, CountsConfig) for one in specification.alone)


def improve(job: Job) -> Trained | None:
    """Train a network of `best_training`, or mixed counts. None if it diverges.

    If no step of a network brought anything, it is the mixed counts that it started from.
    """
    try:
        trained = train_any(job)
    except TrainingError:
        return None
    run, prior = trained.run, getattr(trained.run.model, "prior", None)
    if run.last is None or run.last.state.best_step != 0 or not isinstance(prior, CountsModel):
        return trained
    results = {key: value for key, value in run.facts["results"].items() if key not in OF_STEPS}
    facts = {key: value for key, value in run.facts.items() if key != "training"}
    facts |= {"specification": job.specification.text.partition("+")[2], "results": results}
    return replace(trained, run=replace(run, family="counts", model=prior, facts=facts, last=None), stopped=None)


def is_better(trained: Trained, ngram: Trained, prepared: Prepared) -> bool:
    """Say whether a network, or mixed counts, are better than the n-gram.

    A network is judged as in its training; counts by their results, if these are of the same lines and exact.
    """
    last, found = trained.run.last, (trained, ngram)
    alike = len({one.dev and one.dev.lines for one in found}) == 1
    exact = not any(one.new and one.new.error for one in found)
    if last is None and exact and alike:
        return trained.loss < ngram.loss - NO_TIE
    judging, model = Judging(prepared), trained.run.model
    alone = last is not None and not isinstance(model, Ensemble)
    loss = last.state.best_loss if last is not None and alone else judging.loss(model)
    return loss is not None and loss < judging.loss(ngram.run.model) - NO_TIE
