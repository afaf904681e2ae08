"""Cosines lie between -1 and 1: a softmax of them needs a scale, or it cannot decide (family 26)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page
from ...tape import MOVES, Call, Tape, words
from ..objectives.tapes import once

NARROW = Page(
    id="logits-too-narrow",
    number=26,
    severity="warning",
    title="the logits are cosines of a scale at which no answer can be certain",
    why="The loss starts near ln N and can hardly fall, however well the directions are learned.",
    evidence="Both factors of a product are rows of length one, and it is multiplied by a fixed number: the "
    "greatest difference of two logits bounds the loss from below.",
    legitimate="Never with so small a scale; learned scales are not reported.",
    cure="Divide by the temperature: `logits = a @ b.T / 0.07`.",
)
ITSELF = Page(
    id="compared-with-itself",
    number=26,
    severity="warning",
    title="every sample's similarity with itself counts among the wrong answers",
    why="Nothing is more alike than a sample and itself: the loss cannot fall below ln 2, and most of the "
    "gradient pushes against what cannot change.",
    evidence="The logits are cosines of a set of rows with itself, their diagonal is the greatest possible in "
    "every row, and no target lies on it.",
    legitimate="Never.",
    cure="`sim.fill_diagonal_(-torch.inf)` (or `masked_fill` with `torch.eye`) before the cross entropy.",
)
PAGES = (NARROW, ITSELF)
_PRODUCTS = words("matmul mm bmm einsum linear inner")
_LOSSES = words("cross_entropy log_softmax logsumexp")
_HIDES = words("masked_fill where clamp")
_DEEP = 20
_NEAR = 0.8
"""The part of ln N below which the loss cannot fall, from which on it is reported."""


def check(patient: Patient) -> Iterator[Finding]:
    """Whatever a softmax in the logarithm is given."""
    yield from once(patient, _on)


def _on(tape: Tape) -> Iterator[Finding]:
    for call in tape.calls:
        logits = call.argument(0, "input")
        if call.name not in _LOSSES or not isinstance(logits, torch.Tensor) or logits.ndim < 2:
            continue
        axis = 1 if call.name == "cross_entropy" else call.argument(1, "dim", -1)
        if not isinstance(axis, int) or not logits.requires_grad:
            continue
        scale, count = _bound(tape, logits, call.index, 0), logits.shape[axis]
        if scale is None or count < 4:
            continue
        if _has_itself(call, logits, scale):
            yield ITSELF.found(f"{count} samples: the diagonal of the logits is {scale:.3g} everywhere", call.where)
        least = math.log1p((count - 1) * math.exp(-2 * scale))
        if least > _NEAR * math.log(count):
            yield NARROW.found(
                f"cosines times {scale:.3g}: with {count} of them the loss is at least {least:.3g}, "
                f"and ln {count} = {math.log(count):.3g}",
                call.where,
            )


def _has_itself(call: Call, logits: torch.Tensor, scale: float) -> bool:
    """Is the diagonal as large as a cosine times the scale can be, in every row, and never the answer?"""
    target = call.argument(1, "target")
    if call.name != "cross_entropy" or logits.ndim != 2 or logits.shape[0] != logits.shape[1]:
        return False
    own = logits.detach().diagonal().double()
    whole = bool(torch.isclose(own, torch.full_like(own, scale), rtol=1e-3).all())
    given = isinstance(target, torch.Tensor) and target.ndim == 1 and not target.is_floating_point()
    return whole and given and not bool((target == torch.arange(len(own), device=target.device)).any())


def _bound(tape: Tape, tensor: object, before: int, depth: int) -> float | None:
    """How large its numbers can become at most, if they are cosines times something fixed."""
    call = tape.maker(tensor, before)
    if call is None or depth > _DEEP:
        return None
    first, second = call.argument(0, "input"), call.argument(1, "other")
    if call.name in ("stack", "cat") and isinstance(first, list | tuple):
        parts = [_bound(tape, one, call.index, depth + 1) for one in first]
        known = [one for one in parts if one is not None]
        return max(known) if known and len(known) == len(parts) else None
    if call.name in MOVES | _HIDES | {"neg"}:
        inner = second if call.name == "where" and isinstance(second, torch.Tensor) else first
        return _bound(tape, inner, call.index, depth + 1)
    if call.name in ("mul", "div"):
        pair = ((first, second), (second, first))[: 2 if call.name == "mul" else 1]
        for one, other in pair:
            factor = _fixed(other)
            if factor and (inside := _bound(tape, one, call.index, depth + 1)) is not None:
                return inside / factor if call.name == "div" else inside * factor
        return None
    return 1.0 if _is_cosine(tape, call) else None


def _fixed(value: object) -> float:
    """The size of a number that does not learn; 0.0 if it is none."""
    if isinstance(value, torch.Tensor):
        return 0.0 if value.requires_grad or value.numel() != 1 else abs(float(value.detach()))
    return abs(float(value)) if isinstance(value, int | float) else 0.0


def _is_cosine(tape: Tape, call: Call) -> bool:
    if call.name == "cosine_similarity":
        return True
    given = call.inputs
    if call.name == "sum" and given:  # of the products of two rows
        product = tape.maker(given[0], call.index)
        given = product.inputs if product is not None and product.name == "mul" else []
    elif call.name not in _PRODUCTS:
        return False
    return len(given) == 2 and all(_has_unit_rows(one) for one in given)


def _has_unit_rows(tensor: torch.Tensor) -> bool:
    if tensor.ndim < 2 or not tensor.is_floating_point() or min(tensor.shape[-2:]) < 2:
        return False
    values = tensor.detach().double()
    for axis in (-1, -2):
        size = values.norm(dim=axis)
        if torch.allclose(size, torch.ones_like(size), atol=1e-3):
            return True
    return False
