"""Which parameters does an optimizer step on, and which does a gradient reach (family 21)?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from ... import walk
from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page

MISSING = Page(
    id="parameter-not-in-optimizer",
    number=21,
    title="parameters get gradients but no optimizer has them",
    why="They keep their first values for ever.",
    evidence="The parameter has requires_grad and received a gradient; no optimizer lists it.",
    legitimate="Training only a part; then freeze the rest with `requires_grad_(False)`.",
    cure="Build the optimizer after the whole model (lazy layers too), from `model.parameters()`.",
)
FOREIGN = Page(
    id="foreign-parameters",
    number=21,
    title="the optimizer holds parameters that are not the model's",
    why="It steps on tensors that nothing computes with; the model that is trained is not the one that moves.",
    evidence="Tensors in the optimizer that the model does not have and that received no gradient.",
    legitimate="Learned weights of a loss receive gradients, and are not reported.",
    cure="Build the optimizer after the model got its final parameters "
    "(after loading, replacing a head, moving it).",
)
TWICE = Page(
    id="parameter-twice",
    number=21,
    title="a parameter is stepped twice",
    why="Its learning rate is in effect doubled, and its momentum counted twice.",
    evidence="The parameter is listed twice, or two optimizers step on it after the same gradient.",
    legitimate="Optimizers that take turns, each after its own backward pass.",
    cure="List each parameter once; tied weights appear once in `model.parameters()`.",
)
UNREACHED = Page(
    id="parameter-without-gradient",
    number=21,
    title="parameters are never reached by a gradient",
    why="They are not part of what computes the loss: unused, detached, or made anew from numbers.",
    evidence="The gradient was None in forward and backward passes with three seeds, and in the user's own steps.",
    legitimate="Experts that were not chosen for these samples; layers used only in another phase of training.",
    cure="Look for `.detach()`, `.data`, `.item()`, `torch.tensor(…)`, `no_grad`, argmax, "
    "or a layer that forward forgot.",
)
FROZEN = Page(
    id="frozen-but-moved",
    number=21,
    title="frozen parameters are moved by the optimizer",
    why="Weight decay and momentum move a parameter that has an old gradient, even if it needs none now.",
    evidence="requires_grad is False, and the value changed during `optimizer.step()`.",
    legitimate="Never; averages of another model are not moved by an optimizer.",
    cure="Give the optimizer only parameters that need gradients, or set their `.grad` to None when freezing.",
)
PAGES = (MISSING, FOREIGN, TWICE, UNREACHED, FROZEN)


def check(patient: Patient) -> Iterator[Finding]:
    """All of it; without a recording the user's steps are not known, and only given optimizers are."""
    recording, live, trained = patient.recording, patient.live, patient.trained
    steps, optimizers = recording.steps, recording.optimizers
    reached = {id(account.parameter) for account in recording.accounts.values() if account.reached}
    if live and not (steps and reached):
        return
    reached |= set() if live else _reached_in_passes(patient)
    listed = [parameter for optimizer in optimizers for parameter in walk.listed_in(optimizer)]
    held = {id(parameter) for parameter in listed}
    if optimizers:
        yield from _some(
            MISSING, patient, [n for n, p in trained.items() if id(p) in reached and id(p) not in held]
        )
        if not live:
            yield from _foreign(patient, listed, reached, bool(steps))
    if reached:
        dead = [n for n, p in trained.items() if id(p) not in reached and (not optimizers or id(p) in held)]
        yield from _some(UNREACHED, patient, dead, f" in {len(steps)} steps" if live else "")
    if not live and patient.training.loss is not None and not patient.training.learns and trained:
        yield UNREACHED.found("the loss has no gradient at all: it is detached from every parameter")
    yield from _twice(patient, recording)
    moved = sorted({name for step in steps for name in step.moved_frozen})
    if moved and not live:
        yield FROZEN.found(f"{len(moved)} parameters: {_list(moved)}", steps[0].where)


def _some(page: Page, patient: Patient, names: list[str], when: str = "") -> Iterator[Finding]:
    """What these of the trained parameters show, if there are any, at the module that owns the first."""
    if names:
        path = names[0].rpartition(".")[0]
        owner = type(dict(patient.modules())[path]).__name__
        evidence = f"{len(names)} of {len(patient.trained)} parameters{when}: {_list(names)}"
        yield page.found(evidence, f"{path or 'the model'} ({owner})")


def _reached_in_passes(patient: Patient) -> set[int]:
    """Parameters that received a gradient in any of three passes, two of them with noise on the parameters."""
    parameters, reached = patient.trained, set[int]()
    # A layer that starts at zero passes no gradient on, and dropout may cut a path: so three seeds, and noise.
    for seed in range(3):
        trial = patient.training
        if seed:
            trial = patient.trial(train=True, seed=seed, gradients=True, before=patient.perturb)
        reached |= {id(parameters[name]) for name, grad in trial.gradients.items() if grad is not None}
        if len(reached) == len(parameters):
            break
    return reached


def _foreign(patient: Patient, listed: list[torch.Tensor], reached: set[int], stepped: bool) -> Iterator[Finding]:
    own = {id(p) for _, p in patient.parameters()}
    if isinstance(patient.case.loss, nn.Module):
        own |= {id(p) for _, p in walk.parameters(patient.case.loss)}
    foreign = [p for p in listed if id(p) not in own and id(p) not in reached]
    shapes = {p.shape for _, p in patient.parameters() if not isinstance(p, UninitializedParameter)}
    twins = sum(not isinstance(p, UninitializedParameter) and p.shape in shapes for p in foreign)
    if foreign and (stepped or twins == len(foreign) == len(listed)):
        yield FOREIGN.found(
            f"{len(foreign)} of the optimizer's {len(listed)} tensors, {twins} of them shaped like the model's"
        )


def _twice(patient: Patient, recording: Recording) -> Iterator[Finding]:
    for optimizer in recording.optimizers:
        listed = [id(parameter) for parameter in walk.listed_in(optimizer)]
        double = [patient.names.get(one, "?") for one in dict.fromkeys(listed) if listed.count(one) > 1]
        if double:
            yield TWICE.found(f"{type(optimizer).__name__} lists twice: {_list(double)}")
    # Optimizers that take turns have a backward pass of their own between their steps.
    for before, after in pairwise(recording.steps):
        arrived = any(before.tick < tick <= after.tick for tick in recording.arrivals)
        if before.optimizer is not after.optimizer and not arrived:
            one, other = ({id(p) for p in walk.listed_in(step.optimizer)} for step in (before, after))
            shared = [patient.names[name] for name in one & other if name in patient.names]
            if shared:
                yield TWICE.found(
                    f"two optimizers step on {_list(sorted(shared))} after the same gradient", after.where
                )
                return


def _list(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
