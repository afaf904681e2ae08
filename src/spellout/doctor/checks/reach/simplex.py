"""Probabilities that add up to one, where several labels may be on at once (family 26)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page
from ...tape import MOVES, REGRESSIONS, Call, Tape, words
from ..objectives.tapes import once

SHARED = Page(
    id="softmax-for-several-labels",
    number=26,
    severity="warning",
    title="probabilities that add up to one are compared with several labels at once",
    why="A softmax shares out one certainty: where two labels are on, neither can come near 1, "
    "and where none is, one has to be.",
    evidence="Softmax over the very axis of which the targets, zeros and ones, have several ones in a row; "
    "the least loss that any answer on the simplex has.",
    legitimate="Rankings, of which only the order counts.",
    cure="`BCEWithLogitsLoss` on the logits, or a sigmoid instead of the softmax.",
)
PAGES = (SHARED,)
_COMPARES = REGRESSIONS | words("binary_cross_entropy")
_SAME = words("clamp nan_to_num add") | MOVES
_OFTEN = 0.05
"""The share of rows with several ones from which on it is no slip of the labels."""


def check(patient: Patient) -> Iterator[Finding]:
    """Losses that compare number with number, and the logarithms that one writes by hand."""
    yield from once(patient, _on)


def _on(tape: Tape) -> Iterator[Finding]:
    for call in tape.calls:
        if call.name in _COMPARES:
            output, target = call.argument(0, "input"), call.argument(1, "target")
        elif call.name == "mul" and len(call.inputs) == 2:  # y * log(p)
            output, target = _by_hand(tape, call)
        else:
            continue
        if not isinstance(output, torch.Tensor) or not isinstance(target, torch.Tensor):
            continue
        if output.requires_grad and output.shape == target.shape and _is_shared(tape, output, call.index):
            several = _several(target)
            if several >= _OFTEN:
                yield SHARED.found(_told(call, target, several), call.where)


def _by_hand(tape: Tape, call: Call) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """The probabilities and the labels of `y * log(p)`, if `(1 - p)` has its logarithm too."""
    logs = {id(out): one for one in tape.calls if one.name == "log" for out in one.outputs}
    given = [one for one in call.inputs if id(one) in logs]
    labels = [one for one in call.inputs if id(one) not in logs and not one.requires_grad]
    if len(given) != 1 or len(labels) != 1:
        return None, None
    inner = logs[id(given[0])].inputs[0]
    rest = (tape.source(one.inputs[0], _SAME, one.index) for one in logs.values() if one.inputs)
    both = any(one is not None and one.name in ("sub", "rsub") for one in rest)
    return (inner, labels[0]) if both else (None, None)


def _is_shared(tape: Tape, output: torch.Tensor, before: int) -> bool:
    """Is it a softmax whose rows add up to one as they are compared?"""
    source = tape.source(output, _SAME, before)
    if source is None or source.name != "softmax" or output.ndim < 2 or output.shape[-1] < 2:
        return False
    sums = output.detach().sum(-1)
    return bool(torch.allclose(sums, torch.ones_like(sums), atol=1e-3))


def _several(target: torch.Tensor) -> float:
    """The share of rows with several ones, of targets that are zeros and ones."""
    labels = target.detach().reshape(-1, target.shape[-1])
    if not labels.numel() or not bool(((labels == 0) | (labels == 1)).all()):
        return 0.0
    return float((labels.sum(1) > 1).float().mean())


def _told(call: Call, target: torch.Tensor, several: float) -> str:
    said = f"{several:.0%} of the rows have several labels on"
    if call.name != "binary_cross_entropy":
        return said
    counts = target.detach().reshape(-1, target.shape[-1]).sum(1).tolist()
    classes = target.shape[-1]
    # With k labels on the best is 1/k for each of them, with none 1/C for all.
    least = sum(
        n * math.log(n) - (n * (n - 1) * math.log(1 - 1 / n) if n > 1 else 0.0)
        if n
        else -classes * math.log(1 - 1 / classes)
        for n in counts
    )
    return (
        f"{said}: no softmax has a loss below {least / (len(counts) * classes):.3g} on them, a sigmoid comes to 0"
    )
