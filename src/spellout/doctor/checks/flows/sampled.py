"""A draw that the loss goes through, without a way back to what made the distribution (family 26)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from ... import graph
from ...patient import Patient
from ...report import Finding, Page
from ...tape import AFFINE, RANDOM, RESHAPES, Call, Tape, words
from ..objectives.tapes import losses

CUT = Page(
    id="sample-without-gradient",
    number=26,
    severity="warning",
    title="a draw cuts the gradient to the distribution that it is drawn from",
    why="What the loss says about the draw never reaches what made its mean and spread, which learn nothing of it.",
    evidence="A draw whose mean has a gradient has none itself, goes into the loss, and nowhere meets "
    "what it was drawn from again, as it would in a log-probability.",
    legitimate="Draws that are meant as data, where the distribution learns from another term only.",
    cure="Use `rsample()` instead of `sample()`, or write `mean + spread * torch.randn_like(spread)`, "
    "outside of `torch.no_grad()`.",
)
PAGES = (CUT,)
_VIEWS = (RESHAPES | words("expand expand_as broadcast_to getitem")) - words("detach data")
_SHIFTS = words("add sub rsub")
_DEEP = 8


def check(patient: Patient) -> Iterator[Finding]:
    """Every loss that was differentiated."""
    for tape, loss in losses(patient):
        ends = {id(leaf) for leaf in graph.leaves(loss)}
        for call in tape.calls:
            made = _made_of(tape, call)
            if made is not None and _is_cut(tape, call, made, loss, ends):
                said = (
                    f"`{call.name}` of a mean of shape {tuple(made.shape)} that has a gradient; the draw has none"
                )
                yield CUT.found(said, call.where)
                return


def _made_of(tape: Tape, call: Call) -> torch.Tensor | None:
    """The mean of a draw that has no gradient although its mean has one."""
    out = call.out
    if call.name not in _SHIFTS | {"normal"} or not isinstance(out, torch.Tensor) or out.requires_grad:
        return None
    if not out.is_floating_point() or out.ndim == 0:
        return None
    given = call.inputs[:2]
    live = (_live(tape, one, call.index) for one in given)
    made = next((one for one in live if one is not None), None)
    if made is None or (call.name in _SHIFTS and not _drawn(tape, given, call.index)):
        return None
    return made


def _live(tape: Tape, tensor: torch.Tensor, before: int) -> torch.Tensor | None:
    """The tensor with a gradient that this one is a view of; one that was detached is none."""
    for _ in range(_DEEP):
        if _is_made(tensor):
            return tensor
        call = tape.maker(tensor, before)
        inner = call.argument(0, "input") if call is not None and call.name in _VIEWS else None
        if call is None or not isinstance(inner, torch.Tensor):
            return None
        tensor, before = inner, call.index
    return None


def _is_made(tensor: torch.Tensor) -> bool:
    """Was it computed with gradients? A view that was taken without them says that it is a leaf, or refuses."""
    try:
        return tensor.requires_grad and not tensor.is_leaf
    except RuntimeError:
        return False


def _drawn(tape: Tape, tensors: Sequence[torch.Tensor], before: int) -> bool:
    """Was one of these made of random numbers, a few calls before?"""
    asked, seen = [(one, before, 0) for one in tensors], set[int]()
    while asked:
        tensor, until, depth = asked.pop()
        call = tape.maker(tensor, until)
        if call is None or depth > _DEEP or call.index in seen:
            continue
        if call.name in RANDOM:
            return True
        seen.add(call.index)  # what goes in twice is asked once: in a recurrent net there are too many ways
        asked += [(one, call.index, depth + 1) for one in call.inputs[:3]]
    return False


def _is_cut(tape: Tape, draw: Call, mean: torch.Tensor, loss: torch.Tensor, ends: set[int]) -> bool:
    """Does the draw go into a loss that trains all that made its mean, and never meets it again?"""
    makers = {id(leaf) for leaf in graph.leaves(mean)}
    if not makers or not makers <= ends:
        return False
    near, reached = {id(draw.out)}, {id(draw.out)}
    for call in tape.calls[draw.index + 1 :]:
        given = call.inputs
        if not any(id(one) in reached for one in given):
            continue
        if call.name in words("detach data"):
            continue
        if any(id(one) in near for one in given) and call.name not in AFFINE:
            others = [one for one in given if id(one) not in near]
            if any(_is_made(one) and _shares(one, makers) for one in others):
                if call.name not in ("cat", "stack"):
                    return False
            elif not others:
                near.update(id(one) for one in call.outputs)
        reached.update(id(one) for one in call.outputs)
    return id(loss) in reached


def _shares(tensor: torch.Tensor, makers: set[int]) -> bool:
    return any(id(leaf) in makers for leaf in graph.leaves(tensor))
