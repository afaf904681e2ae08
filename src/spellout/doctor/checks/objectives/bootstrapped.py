"""A target that is made with the model itself must be detached (family 26)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ... import graph
from ...patient import Patient
from ...report import Finding, Page
from ...tape import MOVES, REGRESSIONS, Call, Tape, words
from .tapes import once

ATTACHED = Page(
    id="target-not-detached",
    number=26,
    severity="warning",
    title="the target is computed by the model, and is not detached",
    why="The step moves the target towards the prediction as well as the prediction towards the target.",
    evidence="Both sides of the comparison are made with the same parameters, and one is data plus a share of the "
    "model's own output, as `reward + gamma * value`.",
    legitimate="Residual-gradient methods.",
    cure="Compute the target under `torch.no_grad()`, or `.detach()` it.",
)
PAGES = (ATTACHED,)
_SQUARES = words("pow square abs mul")
_THROUGH = MOVES | words("clamp where masked_fill")


def check(patient: Patient) -> Iterator[Finding]:
    """Regression losses, and differences that are squared, on every tape."""
    yield from once(patient, _on)


def _on(tape: Tape) -> Iterator[Finding]:
    squared = {id(one) for call in tape.calls if call.name in _SQUARES for one in call.inputs}
    for call in tape.calls:
        by_hand = call.name == "sub" and any(id(out) in squared for out in call.outputs)
        if (by_hand or call.name in REGRESSIONS) and len(call.inputs) > 1:
            one, other = call.inputs[:2]
            if one.requires_grad and other.requires_grad and _bootstraps(tape, call, one, other):
                yield ATTACHED.found(f"`{call.name}` of two tensors that both have gradients", call.where)


def _bootstraps(tape: Tape, call: Call, one: torch.Tensor, other: torch.Tensor) -> bool:
    for target, guess in ((other, one), (one, other)):
        source = tape.source(target, _THROUGH, call.index)
        if source is None or source.name != "add" or len(source.inputs) < 2:
            continue
        data = [x for x in source.inputs[:2] if not x.requires_grad and x.numel() > 1]
        if any((maker := tape.source(x, _THROUGH, source.index)) and maker.name == "grad" for x in data):
            continue  # a derivative of the model's is no data
        own = [x for x in source.inputs[:2] if x.requires_grad]
        if len(data) == len(own) == 1 and _scaled(tape, own[0], source.index):
            ours = {id(leaf) for leaf in graph.leaves(guess)}
            if ours and ours <= {id(leaf) for leaf in graph.leaves(own[0])}:
                return True
    return False


def _scaled(tape: Tape, value: torch.Tensor, before: int) -> bool:
    """A discounted value: a number (or a mask without gradient) times something with one."""
    call = tape.source(value, _THROUGH, before)
    if call is None or call.name not in ("mul", "rmul"):
        return False
    if any(isinstance(one, int | float) and 0 < one <= 1 for one in call.args):
        return True
    if any(not one.requires_grad and bool(((one >= 0) & (one <= 1)).all()) for one in call.inputs):
        return True
    return any(_scaled(tape, one, call.index) for one in call.inputs if one.requires_grad)
