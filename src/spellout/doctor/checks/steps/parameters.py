"""Which parameters does an optimizer step on: all that learn, each once, and only those (family 21)?"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter
from torch.optim import Optimizer

from ... import walk
from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page
from .gradients import UNREACHED, how_cut, listed, some, users_of

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
FROZEN = Page(
    id="frozen-but-moved",
    number=21,
    title="frozen parameters are moved by the optimizer",
    why="Weight decay and momentum move a parameter that has an old gradient, even if it needs none now.",
    evidence="requires_grad is False, and the value changed during `optimizer.step()`.",
    legitimate="Never; averages of another model are not moved by an optimizer.",
    cure="Give the optimizer only parameters that need gradients, or set their `.grad` to None when freezing.",
)
STILL = Page(
    id="frozen-parameters",
    number=21,
    severity="note",
    title="some parameters are frozen",
    why="They keep their values: right for what was trained before, and for nothing that starts at random.",
    evidence="requires_grad is False.",
    legitimate="Fine-tuning a part; a teacher; averages.",
    cure="`nn.Embedding.from_pretrained(…, freeze=False)`, or `requires_grad_(True)`, if they are to learn.",
)
PAGES = (MISSING, FOREIGN, TWICE, FROZEN, STILL)


def check(patient: Patient) -> Iterator[Finding]:
    """All of it; without a recording the user's steps are not known, and only given optimizers are."""
    recording, live, trained = patient.recording, patient.live, patient.trained
    steps, optimizers = recording.steps, recording.optimizers
    reached = {id(account.parameter) for account in recording.accounts.values() if account.reached}
    if live and not (steps and reached):
        return
    reached |= set() if live else patient.reached_in_passes
    given = [parameter for optimizer in optimizers for parameter in walk.listed_in(optimizer)]
    held = {id(parameter) for parameter in given}
    if optimizers:
        lost = [name for name, p in trained.items() if id(p) in reached and id(p) not in held]
        yield from some(MISSING, patient, lost, _empty(optimizers))
        if not live:
            yield from _foreign(patient, given, reached, bool(steps))
    elif not any(account.moved for account in recording.accounts.values()):
        for one in recording.strangers[:1]:
            evidence = (
                f"{type(one).__name__} steps on {len(walk.listed_in(one))} tensors, all shaped like the model's"
            )
            where = recording.states.lines.get(one) if recording.states is not None else None
            yield FOREIGN.found(f"{evidence}, while the model's get gradients that nobody steps on", where)
    yield from _twice(patient, recording)
    yield from _one_memory(patient, optimizers)
    moved = sorted({name for step in steps for name in step.moved_frozen})
    if moved and not live:
        yield FROZEN.found(f"{len(moved)} parameters: {listed(moved)}", steps[0].where)
    yield from _still(patient, optimizers)


def _empty(optimizers: list[Optimizer]) -> str:
    """A generator of parameters gives them once; used before, it is empty."""
    empty = sum(not group["params"] for one in optimizers for group in one.param_groups)
    return " (a group of the optimizer is empty: a generator that was used before?)" if empty else ""


def _one_memory(patient: Patient, optimizers: list[Optimizer]) -> Iterator[Finding]:
    """Two parameters tied through `.data` are two for the optimizer, and one in memory."""
    places: dict[tuple[int, torch.Size], list[str]] = {}
    given = {id(p): p for one in optimizers for p in walk.listed_in(one)}
    for key, p in given.items():
        if not isinstance(p, UninitializedParameter) and p.numel() and p.requires_grad and key in patient.names:
            places.setdefault((p.data_ptr(), p.shape), []).append(patient.names[key])
    double = [names for names in places.values() if len(names) > 1]
    if double:
        yield TWICE.found(f"{' and '.join(double[0])} lie in the same memory (tied through `.data`?)")


def _still(patient: Patient, optimizers: list[Optimizer]) -> Iterator[Finding]:
    """What is frozen is only told."""
    frozen = [name for name, p in patient.parameters() if not p.requires_grad]
    if frozen and patient.trained and optimizers:
        yield STILL.found(f"{len(frozen)} of {len(frozen) + len(patient.trained)} parameters: {listed(frozen)}")


def _foreign(patient: Patient, given: list[torch.Tensor], reached: set[int], stepped: bool) -> Iterator[Finding]:
    own = {id(p) for _, p in patient.parameters()}
    if isinstance(patient.case.loss, nn.Module):
        own |= {id(p) for _, p in walk.parameters(patient.case.loss)}
    foreign = [p for p in given if id(p) not in own and id(p) not in reached]
    tape = patient.recording.tape
    used = users_of(tape, {id(p) for p in foreign}) if tape is not None and stepped else {}
    if used:  # by a part of the program that the loss's gradient does not come to
        call = next(iter(used.values()))
        told = f"{len(used)} of the optimizer's {len(given)} tensors in your own steps: {how_cut(call)}"
        yield UNREACHED.found(told, call.where)
        foreign = [p for p in foreign if id(p) not in used]
    shapes = {p.shape for _, p in patient.parameters() if not isinstance(p, UninitializedParameter)}
    twins = sum(not isinstance(p, UninitializedParameter) and p.shape in shapes for p in foreign)
    if foreign and (stepped or twins == len(foreign) == len(given)):
        yield FOREIGN.found(
            f"{len(foreign)} of the optimizer's {len(given)} tensors, {twins} of them shaped like the model's"
        )


def _twice(patient: Patient, recording: Recording) -> Iterator[Finding]:
    for optimizer in recording.optimizers:
        ids = [id(parameter) for parameter in walk.listed_in(optimizer)]
        double = [patient.names.get(one, "?") for one in dict.fromkeys(ids) if ids.count(one) > 1]
        if double:
            yield TWICE.found(f"{type(optimizer).__name__} lists twice: {listed(double)}")
    # Optimizers that take turns have a backward pass of their own between their steps.
    for before, after in pairwise(recording.placed):
        arrived = any(before.tick < tick <= after.tick for tick in recording.arrivals)
        if before.optimizer is not after.optimizer and not arrived:
            one, other = ({id(p) for p in walk.listed_in(step.optimizer)} for step in (before, after))
            shared = [patient.names[name] for name in one & other if name in patient.names]
            if shared:
                yield TWICE.found(
                    f"two optimizers step on {listed(sorted(shared))} after the same gradient", after.where
                )
                return
