"""An advantage through which the policy's loss trains what estimates it (family 26)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from ... import graph
from ...patient import Patient
from ...report import Finding, Page
from ...tape import MOVES, RANDOM, RESHAPES, Call, Tape, words
from ..objectives.tapes import losses

LEARNED = Page(
    id="advantage-not-detached",
    number=26,
    severity="warning",
    title="the advantage is not detached in the policy's loss",
    why="The policy's loss also falls when the estimate is moved: the value is pulled away from the returns, the "
    "further the less likely the action was.",
    evidence="The log-probability of a drawn action is multiplied with a tensor that has a gradient of its own, "
    "to parameters that the log-probability does not rest on, and one optimizer steps both.",
    legitimate="A weight of the log-probability that is meant to be learned from it.",
    cure="`-(log_prob * advantage.detach()).mean()`.",
)
PAGES = (LEARNED,)
_LOG_ROOT = math.log(math.sqrt(2 * math.pi))
_DRAWS = MOVES | words("long int argmax broadcast_tensors")
_SCALED = (RESHAPES | words("neg stack cat sum mean getitem clamp exp mul div sub add unbind")) - words(
    "detach data"
)
_DEEP = 10


def check(patient: Patient) -> Iterator[Finding]:
    """Every loss that was differentiated."""
    together = [{id(p) for group in one.param_groups for p in group["params"]} for one in patient.optimizers]
    for tape, loss in losses(patient):
        ends = {id(leaf) for leaf in graph.leaves(loss)}
        for call, score, factor in _products(tape):
            makers, others = (_leaves(one) for one in (score, factor))
            alone = (others - makers) & ends
            if len(others) > 1 and any(alone & group and makers & group for group in together):
                said = (
                    f"the log-probability of what was drawn is multiplied with a tensor of shape "
                    f"{tuple(factor.shape)} that has a gradient, to {_named(patient, alone)}"
                )
                yield LEARNED.found(said, call.where)
                return


def _leaves(tensor: torch.Tensor) -> set[int]:
    return {id(leaf) for leaf in graph.leaves(tensor)}


def _named(patient: Patient, leaves: set[int]) -> str:
    known = sorted(patient.names[one] for one in leaves if one in patient.names)
    return ", ".join(f"`{name}`" for name in known[:3]) or f"{len(leaves)} tensors"


def _products(tape: Tape) -> Iterator[tuple[Call, torch.Tensor, torch.Tensor]]:
    """Where the log-probability of a draw, or a ratio of two, is multiplied with what is learned itself."""
    scores: dict[int, torch.Tensor] = {}
    for call in tape.calls:
        out = call.out
        if isinstance(out, torch.Tensor) and out.requires_grad and _is_score(tape, call):
            scores[id(out)] = out
            continue
        given = call.inputs
        held = [one for one in given if id(one) in scores]
        if not held or call.name not in _SCALED:
            continue
        learned = [one for one in given if id(one) not in scores and one.requires_grad]
        if call.name == "mul" and len(learned) == 1 and learned[0].shape == held[0].shape:
            yield call, scores[id(held[0])], learned[0]
        elif not learned:  # scaled by what is given, or put together with others of its kind
            scores.update((id(one), scores[id(held[0])]) for one in call.outputs if one.requires_grad)


def _is_score(tape: Tape, call: Call) -> bool:
    """Is it the log-probability of a draw: one of a row of logarithms, or that of a normal distribution?"""
    first = call.argument(0, "input")
    if not isinstance(first, torch.Tensor) or not first.requires_grad:
        return False
    if call.name in ("gather", "getitem"):
        picks = [one for one in call.inputs[1:] if not one.is_floating_point()]
        return any(_is_drawn(tape, one, call.index) for one in picks) and _is_logarithm(first)
    constant = call.argument(1, "other")
    if call.name == "sub" and isinstance(constant, float) and abs(constant - _LOG_ROOT) < 1e-6:
        return _of_a_draw(tape, first, call.index)
    return False


def _is_drawn(tape: Tape, tensor: torch.Tensor, before: int) -> bool:
    """Was it drawn, and perhaps stacked with other draws?"""
    for _ in range(_DEEP):
        call = tape.maker(tensor, before)
        if call is None:
            return False
        if call.name in RANDOM:
            return True
        if call.name not in _DRAWS or not call.inputs:
            return False
        tensor, before = call.inputs[0], call.index
    return False


def _is_logarithm(table: torch.Tensor) -> bool:
    """Do the exponentials of its last axis add up to one?"""
    sums = table.detach().exp().sum(-1)
    return table.ndim > 0 and bool(torch.allclose(sums, torch.ones_like(sums), atol=1e-3))


def _of_a_draw(tape: Tape, tensor: torch.Tensor, before: int) -> bool:
    """Does a normal's log-probability measure how far a draw without a gradient lies from a mean that has one?"""
    for _ in range(_DEEP):
        call = tape.maker(tensor, before)
        if call is None or not call.inputs:
            return False
        if call.name == "sub" and len(call.inputs) == 2 and not call.inputs[0].requires_grad:
            return call.inputs[1].requires_grad and _is_drawn(tape, call.inputs[0], call.index)
        tensor, before = call.inputs[0], call.index
    return False
