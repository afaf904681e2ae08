"""Softmax, sigmoid or logarithm are applied twice on the way to the loss, in whatever words (family 7)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page
from ...tape import MOVES, Call, Tape, words
from .tapes import once

TWICE = Page(
    id="squashed-twice",
    number=7,
    title="softmax or sigmoid is applied to what is already probabilities",
    why="Of numbers between 0 and 1 the second one makes nearly equal ones: the loss stops far above zero.",
    evidence="The second one received what the first returned, as modules, functions or written by hand.",
    legitimate="Never; log-probabilities may go through softmax again.",
    cure="Keep one of them: the loss's, or the model's.",
)
LOGARITHM = Page(
    id="logarithm-twice",
    number=7,
    title="the logarithm of a logarithm",
    why="Log-probabilities are negative: their logarithm is NaN, or, clamped, a constant without a gradient.",
    evidence="`log` received what `log`, `log_softmax` or `logsigmoid` returned.",
    cure="Use the log-probabilities as they are: `-log_p[range, target].mean()`.",
)
PAGES = (TWICE, LOGARITHM)
_LOGS = words("log log_softmax logsigmoid log_sigmoid log2 log10")
_THROUGH = MOVES | words("clamp clamp_min clamp_max getitem gather")


def check(patient: Patient) -> Iterator[Finding]:
    """Every squash on every tape, where what it received can be learned."""
    yield from once(patient, _on)


def _on(tape: Tape) -> Iterator[Finding]:
    for call in tape.calls:
        if not any(out.requires_grad for out in call.outputs):
            continue
        if call.name == "log" and call.inputs:
            source = tape.source(call.inputs[0], _THROUGH | {"add"}, call.index)
            if source is not None and source.name in _LOGS:
                yield LOGARITHM.found(f"`log` received what `{source.name}` returned", call.where)
            continue
        squash = _squash(tape, call)
        if squash is not None and _ends(tape, call):
            first = _first(tape, squash[1], call)
            if first is not None:
                yield TWICE.found(f"{squash[0]} received what {first} returned", call.where)


def _first(tape: Tape, given: torch.Tensor, call: Call) -> str | None:
    source = tape.source(given, MOVES, call.index)
    if source is not None and source.name == "sub" and source.args and isinstance(source.args[0], torch.Tensor):
        source = tape.source(source.args[0], MOVES, source.index)  # what was shifted by its maximum
    found = _squash(tape, source) if source is not None else None
    return found[0] if found is not None else None


def _squash(tape: Tape, call: Call) -> tuple[str, torch.Tensor] | None:
    """Is this call a softmax or a sigmoid, and of what?"""
    if call.name in ("softmax", "sigmoid"):
        given = call.argument(0, "input")
        return (f"`{call.name}`", given) if isinstance(given, torch.Tensor) and _wide(call, given) else None
    if call.name == "div" and len(call.inputs) > 1:
        top, bottom = (tape.source(one, MOVES, call.index) for one in call.inputs[:2])
        if top is None or bottom is None or (top.name, bottom.name) != ("exp", "sum"):
            return None
        if top.inputs and bottom.inputs and bottom.inputs[0] is top.out:
            return "a softmax by hand", top.inputs[0]
    elif call.name in ("rdiv", "reciprocal") or (call.name == "div" and len(call.inputs) == 1):
        plus = tape.maker(call.inputs[0], call.index) if call.inputs else None
        if plus is not None and plus.name == "add" and plus.inputs:
            power = tape.maker(plus.inputs[-1], plus.index)
            minus = tape.maker(power.inputs[0], power.index) if power is not None and power.name == "exp" else None
            if minus is not None and minus.name == "neg":
                return "a sigmoid by hand", minus.inputs[0]
    return None


def _wide(call: Call, given: torch.Tensor) -> bool:
    """A softmax over one value is another mistake."""
    dim = call.argument(1, "dim")
    return call.name == "sigmoid" or not isinstance(dim, int) or given.ndim == 0 or given.shape[dim] > 1


def _ends(tape: Tape, call: Call) -> bool:
    """Does its result go to a loss and not on through a layer? Attention may squash as it likes."""
    made = {id(out) for out in call.outputs}
    for later in tape.calls[call.index + 1 :]:
        if any(id(one) in made for one in later.inputs):
            if later.name in ("linear", "matmul", "bmm", "einsum", "conv1d", "conv2d", "mul", "rmul"):
                return later.phase == "loss"
            made |= {id(out) for out in later.outputs}
    return True
