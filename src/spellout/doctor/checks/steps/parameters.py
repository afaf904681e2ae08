"""Parameters and optimizers: which are stepped, which are reached by a gradient (family 21)."""

from __future__ import annotations

from collections.abc import Iterator

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
    severity="error",
    title="parameters get gradients but no optimizer has them",
    why="They keep their first values for ever.",
    evidence="The parameter has requires_grad and received a gradient; no optimizer lists it.",
    legitimate="Training only a part; then freeze the rest with `requires_grad_(False)`.",
    cure="Build the optimizer after the whole model (lazy layers too), from `model.parameters()`.",
)
FOREIGN = Page(
    id="foreign-parameters",
    number=21,
    severity="error",
    title="the optimizer holds parameters that are not the model's",
    why="It steps on tensors that nothing computes with; the model that is trained is not the one that moves.",
    evidence="Tensors in the optimizer that the model does not have and that received no gradient.",
    legitimate="Learned weights of a loss receive gradients, and are not reported.",
    cure="Build the optimizer after the model got its final parameters (after loading, replacing a head, moving "
    "it).",
)
TWICE = Page(
    id="parameter-twice",
    number=21,
    severity="error",
    title="a parameter is stepped twice",
    why="Its learning rate is in effect doubled, and its momentum counted twice.",
    evidence="The parameter is listed twice, or two optimizers step on it after the same gradient.",
    legitimate="Optimizers that take turns, each after its own backward pass.",
    cure="List each parameter once; tied weights appear once in `model.parameters()`.",
)
UNREACHED = Page(
    id="parameter-without-gradient",
    number=21,
    severity="error",
    title="parameters are never reached by a gradient",
    why="They are not part of what computes the loss: unused, detached, or made anew from numbers.",
    evidence="The gradient was None in forward and backward passes with three seeds, and in the user's own steps.",
    legitimate="Experts that were not chosen for these samples; layers used only in another phase of training.",
    cure="Look for `.detach()`, `.data`, `.item()`, `torch.tensor(…)`, `no_grad`, argmax, or a layer that "
    "forward forgot.",
)
FROZEN = Page(
    id="frozen-but-moved",
    number=21,
    severity="error",
    title="frozen parameters are moved by the optimizer",
    why="Weight decay and momentum move a parameter that has an old gradient, even if it needs none now.",
    evidence="requires_grad is False, and the value changed during `optimizer.step()`.",
    legitimate="Never; averages of another model are not moved by an optimizer.",
    cure="Give the optimizer only parameters that need gradients, or set their `.grad` to None when freezing.",
)
PAGES = (MISSING, FOREIGN, TWICE, UNREACHED, FROZEN)


def check(patient: Patient, recording: Recording | None) -> Iterator[Finding]:
    """All of it; without a recording the user's steps are not known, and only given optimizers are."""
    reached = _reached(patient)
    if recording is not None:
        reached |= {id(account.parameter) for account in recording.accounts.values() if account.reached}
    optimizers = recording.optimizers if recording is not None else patient.optimizers
    listed = [parameter for one in optimizers for group in one.param_groups for parameter in group["params"]]
    held = {id(parameter) for parameter in listed}
    trained = [(name, p) for name, p in patient.parameters() if p.requires_grad]
    if optimizers:
        lost = [name for name, p in trained if id(p) in reached and id(p) not in held]
        if lost:
            yield MISSING.found(
                f"{len(lost)} of {len(trained)} parameters: {_list(lost)}", _place(patient, lost[0])
            )
        yield from _foreign(patient, listed, reached, recording)
    if reached:
        dead = [name for name, p in trained if id(p) not in reached and (not optimizers or id(p) in held)]
        if dead:
            yield UNREACHED.found(
                f"{len(dead)} of {len(trained)} parameters: {_list(dead)}", _place(patient, dead[0])
            )
    if patient.training.loss is not None and not patient.training.loss.requires_grad and trained:
        yield UNREACHED.found("the loss has no gradient at all: it is detached from every parameter")
    yield from _twice(patient, recording)
    if recording is not None:
        moved = sorted({name for step in recording.steps for name in step.moved_frozen})
        if moved:
            yield FROZEN.found(f"{len(moved)} parameters: {_list(moved)}", recording.steps[0].where)


def check_seen(patient: Patient, recording: Recording) -> Iterator[Finding]:
    """What a watched loop shows without running anything."""
    held = {id(p) for one in recording.optimizers for group in one.param_groups for p in group["params"]}
    trained = {id(p): name for name, p in patient.parameters() if p.requires_grad}
    reached = {id(account.parameter) for account in recording.accounts.values() if account.reached}
    lost = [name for key, name in trained.items() if key in reached and key not in held]
    dead = [name for key, name in trained.items() if key not in reached and key in held]
    if lost:
        yield MISSING.found(f"{len(lost)} of {len(trained)} parameters: {_list(lost)}", _place(patient, lost[0]))
    if dead:
        steps = len(recording.steps)
        yield UNREACHED.found(
            f"{len(dead)} of {len(trained)} parameters in {steps} steps: {_list(dead)}", _place(patient, dead[0])
        )
    yield from _twice(patient, recording)


def _reached(patient: Patient) -> set[int]:
    """Parameters that received a gradient in any of a few passes, three of them with noise on the parameters."""
    parameters = dict(patient.parameters())
    reached: set[int] = set()
    for seed in range(3):
        trial = patient.training
        if seed:
            trial = patient.trial(train=True, seed=seed, gradients=True, before=patient.perturb)
        reached |= {id(parameters[name]) for name, grad in trial.gradients.items() if grad is not None}
        if len(reached) == sum(p.requires_grad for p in parameters.values()):
            break
    return reached


def _foreign(
    patient: Patient, listed: list[torch.Tensor], reached: set[int], recording: Recording | None
) -> Iterator[Finding]:
    own = {id(p) for _, p in patient.parameters()}
    if isinstance(patient.case.loss, nn.Module):
        own |= {id(p) for _, p in walk.parameters(patient.case.loss)}
    foreign = [p for p in listed if id(p) not in own and id(p) not in reached]
    if not foreign:
        return
    shapes = {p.shape for _, p in patient.parameters() if not isinstance(p, UninitializedParameter)}
    twins = sum(not isinstance(p, UninitializedParameter) and p.shape in shapes for p in foreign)
    if (recording is not None and recording.steps) or twins == len(foreign) == len(listed):
        yield FOREIGN.found(
            f"{len(foreign)} of the optimizer's {len(listed)} tensors, {twins} of them shaped like the model's"
        )


def _twice(patient: Patient, recording: Recording | None) -> Iterator[Finding]:
    optimizers = recording.optimizers if recording is not None else patient.optimizers
    for optimizer in optimizers:
        listed = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
        double = [patient.names.get(one, "?") for one in dict.fromkeys(listed) if listed.count(one) > 1]
        if double:
            yield TWICE.found(f"{type(optimizer).__name__} lists twice: {_list(double)}")
    if recording is None:
        return
    for before, after in zip(recording.steps, recording.steps[1:], strict=False):
        arrived = any(before.tick < tick <= after.tick for tick in recording.arrivals)
        if before.optimizer is not after.optimizer and not arrived:
            one, other = (
                {id(p) for group in step.optimizer.param_groups for p in group["params"]}
                for step in (before, after)
            )
            shared = [patient.names[name] for name in one & other if name in patient.names]
            if shared:
                yield TWICE.found(
                    f"two optimizers step on {_list(sorted(shared))} after the same gradient", after.where
                )
                return


def _list(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _place(patient: Patient, name: str) -> str | None:
    """The module that owns a parameter."""
    path = name.rpartition(".")[0]
    owner = dict(patient.modules()).get(path)
    return f"{path or 'the model'} ({type(owner).__name__})" if owner is not None else None
