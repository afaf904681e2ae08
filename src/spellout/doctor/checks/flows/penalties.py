"""A term of the loss that nothing feels: a penalty of constants, or of decisions (family 26)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page
from ...tape import Call, Tape, words
from ..objectives.tapes import losses
from ..updates.objective import terms

CONSTANT = Page(
    id="penalty-without-gradient",
    number=26,
    title="a penalty of the weights has no gradient",
    why="The loss shows it and the weights do not feel it: nothing is regularised.",
    evidence="A term of the loss is computed from parameters alone, and does not need a gradient: they went in "
    "through `.data` or `.detach()`, or under `no_grad`.",
    legitimate="A number that is only shown; then it does not belong into the loss.",
    cure="`sum(p.pow(2).sum() for p in model.parameters())` without `.data`, or the optimizer's `weight_decay`.",
)
DECIDED = Page(
    id="term-of-decisions",
    number=26,
    title="a term of the loss is made of decisions, and has no gradient",
    why="The loss shows it and nothing feels it: a comparison has no slope, so the model is not trained on it.",
    evidence="A term of the differentiated sum needs no gradient, though it is made of what needs one: on every "
    "way a comparison, rounding or choice lies between.",
    legitimate="A number that is only shown; then it does not belong into the loss.",
    cure="Compute the term of the probabilities themselves: `p = torch.sigmoid(logits)`, without `p > 0.5`.",
)
PAGES = (CONSTANT, DECIDED)
_DECISIONS = words("gt lt ge le eq ne round floor ceil sign argmax argmin")
_DEEP, _MOST = 40, 2000


def check(patient: Patient) -> Iterator[Finding]:
    """Every loss that was differentiated."""
    trained = {id(one) for one in patient.trained.values()}
    places = {one.data_ptr() for one in patient.trained.values()}
    for tape, loss in losses(patient):
        for tensor, before in _constants(tape, loss, len(tape.calls), 0):
            if _is_of_weights(tape, tensor, before, trained, places):
                call = tape.maker(tensor, before)
                yield CONSTANT.found("a term that is made of the weights alone", call.where if call else None)
                return
            decision = _decision(tape, tensor, before)
            if decision is not None:
                what = f"a term that is made behind `{decision.name}`, of what needs a gradient"
                yield DECIDED.found(what, decision.where)
                return


def _constants(tape: Tape, tensor: object, before: int, depth: int) -> Iterator[tuple[torch.Tensor, int]]:
    """The terms of a sum that have no gradient, where others have one."""
    if not isinstance(tensor, torch.Tensor) or depth > _DEEP:
        return
    if not tensor.requires_grad:
        if tensor.numel() == 1:
            yield tensor, before
        return
    call = tape.maker(tensor, before)
    for inner, _, _ in terms(call) if call is not None else ():
        yield from _constants(tape, inner, call.index if call is not None else before, depth + 1)


def _is_of_weights(tape: Tape, tensor: torch.Tensor, before: int, trained: set[int], places: set[int]) -> bool:
    """Do all ways back from it end in parameters that are trained?"""
    pending, ends, seen = [(tensor, before)], 0, 0
    while pending:
        one, until = pending.pop()
        seen += 1
        if seen > _MOST:
            return False
        if id(one) in trained or (one.ndim and one.data_ptr() in places):
            ends += 1
            continue
        call = tape.maker(one, until)
        if call is None or not call.inputs or call.name == "grad":
            if one.ndim:  # a number may be the total that one begins with
                return False
            continue
        pending += [(each, call.index) for each in call.inputs]
    return ends > 0


def _decision(tape: Tape, tensor: torch.Tensor, before: int) -> Call | None:
    """Where the gradient ends, if it ends in decisions alone: not at a `detach` that was meant."""
    pending, found = [(tensor, before)], list[Call]()
    for _ in range(_MOST):
        if not pending:
            return found[0] if found else None
        one, until = pending.pop()
        call = tape.maker(one, until)
        if call is None:
            continue
        felt = any(each.requires_grad for each in call.inputs)
        if felt and call.name not in _DECISIONS:
            return None
        if felt:
            found.append(call)
        else:
            pending += [(each, call.index) for each in call.inputs]
    return None
