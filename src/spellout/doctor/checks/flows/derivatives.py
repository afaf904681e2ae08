"""A derivative of the model's in the loss, without the graph that training through it needs (family 26)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from ... import graph
from ...patient import Patient
from ...report import Finding, Page
from ...tape import MOVES, REGRESSIONS, Call, Tape, words
from ..objectives.tapes import losses

CUT = Page(
    id="derivative-without-graph",
    number=26,
    severity="warning",
    title="a derivative of the model goes into the loss as a constant",
    why="The term of the loss that asks something of the derivative does not train the model: no gradient flows.",
    evidence="`torch.autograd.grad` with respect to an input, without `create_graph`, of something that the "
    "trained parameters made; its result is added to, or is, a term of the loss.",
    legitimate="A derivative that is a target on purpose; say so with `.detach()`.",
    cure="`torch.autograd.grad(…, create_graph=True)`.",
)
PAGES = (CUT,)
_THROUGH = (MOVES - words("detach data")) | REGRESSIONS | words(
    """add sub rsub neg mul div rdiv pow square abs sum mean sqrt norm linalg_norm linalg_vector_norm vector_norm
    clamp clamp_min relu exp log1p"""
)  # fmt: skip
_MOST = 400


def check(patient: Patient) -> Iterator[Finding]:
    """Every loss that was differentiated."""
    trained = {id(one) for one in patient.trained.values()}
    for tape, loss in losses(patient):
        call = _constant_derivative(tape, loss, trained)
        if call is not None:
            yield CUT.found(
                "`autograd.grad` without create_graph, and the loss goes on with its result", call.where
            )
            return


def _constant_derivative(tape: Tape, loss: torch.Tensor, trained: set[int]) -> Call | None:
    pending: list[tuple[torch.Tensor, int]] = [(loss, len(tape.calls))]
    seen: set[int] = set()
    while pending and len(seen) < _MOST:
        tensor, before = pending.pop()
        call = tape.maker(tensor, before)
        if call is None or call.index in seen:
            continue
        seen.add(call.index)
        if call.name == "grad":
            if not tensor.requires_grad and _of_the_model(call, trained):
                return call
        elif call.name in _THROUGH:
            given = call.inputs
            if call.name in ("mul", "div", "rdiv") and any(one.requires_grad for one in given):
                given = [one for one in given if one.requires_grad]  # a weight may well be a constant
            pending += [(one, call.index) for one in given]
    return None


def _of_the_model(call: Call, trained: set[int]) -> bool:
    """Is it of what the model made, with respect to something that is no parameter, and without a graph?"""
    outputs, inputs = call.argument(0, "outputs"), call.argument(1, "inputs")
    outputs = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs or ())
    inputs = [inputs] if isinstance(inputs, torch.Tensor) else list(inputs or ())
    if call.argument(4, "create_graph", False) or any(isinstance(one, nn.Parameter) for one in inputs):
        return False
    return any(id(leaf) in trained for one in outputs for leaf in graph.leaves(one))
