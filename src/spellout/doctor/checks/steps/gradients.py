"""Which parameters does a gradient reach: in the user's own steps, and in passes of the doctor's (family 21)?"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

import torch
from torch import nn

from ... import graph, walk
from ...patient import Patient
from ...report import Finding, Page
from ...tape import Call, Tape, words

UNREACHED = Page(
    id="parameter-without-gradient",
    number=21,
    title="parameters are never reached by a gradient",
    why="They are not part of what computes the loss: unused, detached, or made anew from numbers.",
    evidence="The gradient was None in forward and backward passes with three seeds, and in the user's own steps; "
    "or the user's steps computed with them and never gave them one.",
    legitimate="Experts that were not chosen for these samples; layers used only in another phase of training.",
    cure="Look for `.detach()`, `.data`, `.item()`, `torch.tensor(…)`, `no_grad`, argmax, "
    "or a layer that forward forgot.",
)
NOTHING = Page(
    id="no-gradient-arrives",
    number=21,
    title="the optimizer steps, but no gradient ever arrives",
    why="Nothing is learned: an optimizer passes over parameters whose gradient is None.",
    evidence="Not one gradient in all of the user's steps; or no parameter of the optimizer needs one.",
    legitimate="Gradients written into `.grad` by other means are seen, and are not meant.",
    cure="Call `loss.backward()` (with parentheses) on the loss itself, not on a new tensor made from its number.",
)
STEPS = Page(
    id="slope-is-zero",
    number=21,
    title="rounding or comparing cuts the gradient",
    why="The result is constant but for jumps: its derivative is exactly zero, and so is every gradient before it.",
    evidence="The gradient of every parameter before the call is exactly zero, also with noise on the parameters.",
    legitimate="Straight-through estimators, whose gradient is not zero, are not reported.",
    cure="Train with the value before rounding, or pass the gradient on: `x + (x.round() - x).detach()`.",
)
ZERO = Page(
    id="gradient-exactly-zero",
    number=21,
    severity="warning",
    title="gradients arrive and are exactly zero",
    why="The loss does not feel these parameters: they never move.",
    evidence="Every number of the gradient is 0, with three seeds and with noise on the parameters.",
    legitimate="A term whose weight is still 0, or a margin that is kept already.",
    cure="Look for a factor of zero, a clamp that holds every value, or a mask that is zero everywhere.",
    symptom=True,
)
PAGES = (UNREACHED, NOTHING, STEPS, ZERO)
_JUMPS = words("round floor ceil trunc fix sign sgn heaviside")
_UNUSED = words("data norm linalg_vector_norm _foreach_norm copy mul add sub lerp zero backward grad")
"""Calls that read or write a parameter without computing the loss with it."""
_CUTS = words(
    "argmax argmin eq ne gt lt ge le detach data item tolist numpy tensor as_tensor round long int bool topk sort"
)
"""Calls after which no gradient goes back."""


def check(patient: Patient) -> Iterator[Finding]:
    """In the user's steps nothing is run again; what the doctor's passes show is added where there is a batch."""
    recording, live, trained = patient.recording, patient.live, patient.trained
    seen = {id(account.parameter) for account in recording.accounts.values() if account.reached}
    yield from _nothing(patient, seen)
    if live and not (recording.steps and seen):
        return
    held = {id(p) for one in recording.optimizers for p in walk.listed_in(one)}
    reached = seen | (set() if live else patient.reached_in_passes)
    if reached:
        dead = [n for n, p in trained.items() if id(p) not in reached and (not held or id(p) in held)]
        when = f" in {len(recording.steps)} steps" if live else ""
        yield from some(UNREACHED, patient, dead, when)
        if not live and not dead:
            yield from _only_in_the_step(patient, seen)
    if live:
        return
    if patient.training.loss is not None and not patient.training.learns and trained:
        cut = cut_in(patient.training.tape.calls)
        why = f": the path ends at `{cut.name}`" if cut is not None else ""
        evidence = f"the loss has no gradient at all: it is detached from every parameter{why}"
        yield UNREACHED.found(evidence, cut.where if cut is not None else None)
    yield from _zero(patient)


def some(
    page: Page, patient: Patient, names: list[str], when: str = "", where: str | None = None
) -> Iterator[Finding]:
    """What these of the trained parameters show, if there are any, at the module that owns the first."""
    if names:
        path = names[0].rpartition(".")[0]
        owner = type(dict(patient.modules())[path]).__name__
        evidence = f"{len(names)} of {len(patient.trained)} parameters{when}: {listed(names)}"
        yield page.found(evidence, where or f"{path or 'the model'} ({owner})")


def listed(names: list[str]) -> str:
    """The first names, and how many more."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _nothing(patient: Patient, seen: set[int]) -> Iterator[Finding]:
    """Optimizers stepped, and no gradient was there, neither by backward nor written by hand."""
    recording = patient.recording
    own = {id(p) for _, p in patient.parameters()}
    mine = [p for one in recording.optimizers for p in walk.listed_in(one) if id(p) in own]
    if mine and not any(p.requires_grad for p in mine):
        yield NOTHING.found(f"none of the optimizer's {len(mine)} parameters needs a gradient: all are frozen")
    silent = not seen and not any(step.driven for step in recording.steps)
    if len(recording.steps) > 1 and silent and recording.error is None and any(p.requires_grad for p in mine):
        why, where = cause_of_silence(recording.tape)
        said = f"{len(recording.steps)} optimizer steps, no gradient at all: {why}"
        yield NOTHING.found(said, where or recording.steps[0].where)


def cause_of_silence(tape: Tape | None) -> tuple[str, str | None]:
    """Why no gradient arrives anywhere, and the user's line."""
    if tape is None:
        return "no backward pass reached one", None
    end = next(graph.ends(tape), None)
    if end is None:
        return "`backward` was never called", None
    maker, why = tape.maker(end), "`backward` began where no parameter was used"
    return (why, None) if maker is None else (f"{why}, at what `{maker.name}` made", maker.where)


def _only_in_the_step(patient: Patient, seen: set[int]) -> Iterator[Finding]:
    """What the user's steps compute with and never give a gradient, although the optimizer that has it steps."""
    recording = patient.recording
    if recording.tape is None or not seen or recording.error is not None:
        return
    often = [one for one in recording.optimizers if len(recording.steps_of(one)) > 1]
    stepped = {id(p) for one in often for p in walk.listed_in(one)}
    missing = {id(p): name for name, p in patient.trained.items() if id(p) in stepped and id(p) not in seen}
    used = users_of(recording.tape, missing)
    names = [name for key, name in missing.items() if key in used]
    if names:
        first = used[next(key for key in missing if key in used)]
        when = f" in {len(recording.steps)} of your own steps: {how_cut(first)}"
        yield from some(UNREACHED, patient, names, when, first.where)


def users_of(tape: Tape, wanted: Container[int]) -> dict[int, Call]:
    """The first call that computed with each of these tensors, by their ids."""
    used: dict[int, Call] = {}
    for call in tape.calls:
        for one in call.inputs if call.name not in _UNUSED else ():
            if id(one) in wanted:
                used.setdefault(id(one), call)
    return used


def how_cut(call: Call) -> str:
    """Why what was used in a call gets no gradient."""
    blind = not any(out.requires_grad for out in call.outputs)
    return "used under `no_grad`" if blind else "used, and cut off later"


def cut_in(calls: Sequence[object]) -> Call | None:
    """The last of the calls that was given something with a gradient and returned something without."""
    return next((call for call in reversed(calls) if isinstance(call, Call) and _cuts(call)), None)


def _cuts(call: Call) -> bool:
    had = call.name in _CUTS and any(one.requires_grad for one in call.inputs)
    return had and not any(out.requires_grad and out.grad_fn is not None for out in call.outputs)


def _zero(patient: Patient) -> Iterator[Finding]:
    """Gradients that are exactly zero, whatever the seed and also beside the first values."""
    trial = patient.training
    zero = _without_slope(trial.gradients)
    if not zero or trial.value == 0:  # of a loss of zero nothing is left to learn
        return
    for seed in (1, 2):
        zero &= _without_slope(
            patient.trial(train=True, seed=seed, gradients=True, before=patient.perturb).gradients
        )
    # One moment alone gives a recurrent net's own weights nothing to do.
    kinds = {path for path, module in patient.modules() if isinstance(module, nn.RNNBase)}
    names = [name for name in patient.trained if name in zero and name.rpartition(".")[0] not in kinds]
    if not names:
        return
    jump = next((call for call in trial.tape.calls if call.name in _JUMPS and _passes(call)), None)
    if jump is not None:
        yield from some(STEPS, patient, names, f": the gradient is exactly 0, cut at `{jump.name}`", jump.where)
    elif len(names) == len(trial.gradients) or not _has_zero_factor(trial.tape):
        yield from some(ZERO, patient, names)


def _without_slope(gradients: dict[str, torch.Tensor | None]) -> set[str]:
    return {name for name, grad in gradients.items() if grad is not None and grad.ndim > 1 and not bool(grad.any())}


def _passes(call: Call) -> bool:
    return any(one.requires_grad for one in call.inputs) and any(out.requires_grad for out in call.outputs)


def _has_zero_factor(tape: Tape) -> bool:
    """Is something multiplied by the number 0, as a term is whose weight grows later?"""
    for call in tape.calls:
        if call.name in ("mul", "rmul"):
            for one in call.args:
                number = one.item() if isinstance(one, torch.Tensor) and one.numel() == 1 else one
                if isinstance(number, int | float) and number == 0:
                    return True
    return False
