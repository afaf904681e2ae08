"""Which sample is whose partner: the labels of a table of similarities within the batch (family 26)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from ...patient import Patient
from ...report import Finding, Page
from ...tape import RESHAPES, Call, Tape, words
from ..objectives.tapes import once

SAME = Page(
    id="one-partner-for-all",
    number=26,
    severity="warning",
    title="every sample of the batch is to find the same partner",
    why="In a table of similarities within the batch, row i belongs to column i. If all labels are one number, "
    "every sample is drawn to the same one, and all become alike.",
    evidence="Cross entropy of a square table, (B, B), which is a product of two sets of B computed vectors, and "
    "whose B labels are equal.",
    legitimate="A first column that is every row's partner; then the table is joined from parts and is not square.",
    cure="`labels = torch.arange(len(logits))`.",
)
PAGES = (SAME,)
_FEW = 4
_SCALED = RESHAPES | words("mul rmul div add sub clamp masked_fill")
_PRODUCTS = words("matmul mm einsum rmatmul")
_MOST = 2000


def check(patient: Patient) -> Iterator[Finding]:
    """Every cross entropy on every tape."""
    yield from once(patient, _on)


def _on(tape: Tape) -> Iterator[Finding]:
    for call in tape.calls:
        if call.name != "cross_entropy" or call.out is None:
            continue
        logits, target = call.argument(0, "input"), call.argument(1, "target")
        if logits.ndim != 2 or logits.shape[0] != logits.shape[1] or len(logits) < _FEW:
            continue
        whole = target.ndim == 1 and not target.is_floating_point()
        if whole and bool((target == target[0]).all()) and _is_table(tape, logits, call.index):
            evidence = (
                f"a table of {tuple(logits.shape)} similarities, and all {len(target)} labels are {int(target[0])}"
            )
            yield SAME.found(evidence, call.where)


def _is_table(tape: Tape, logits: torch.Tensor, before: int) -> bool:
    """Is it a product of two sets of vectors, both made of samples, and not of weights alone?"""
    call = tape.maker(logits, before)
    while call is not None and call.name in _SCALED:
        inner = next((one for one in call.inputs if one.numel() == logits.numel()), None)
        call = tape.maker(inner, call.index) if inner is not None else None
    if call is None or call.name not in _PRODUCTS or len(call.inputs) != 2:
        return False
    return all(_is_of_samples(tape, one, call) for one in call.inputs)


def _is_of_samples(tape: Tape, tensor: torch.Tensor, user: Call) -> bool:
    """Does some way back from it end in a tensor that is no parameter?"""
    pending, seen = [(tensor, user.index)], 0
    while pending and seen < _MOST:
        one, until = pending.pop()
        seen += 1
        call = tape.maker(one, until)
        if call is not None and call.inputs:
            pending += [(each, call.index) for each in call.inputs]
        elif one.ndim > 1 and not isinstance(one, nn.Parameter):
            return True
    return False
