"""Half precision near float32: what is left of the gradient in bfloat16 (family 31)?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch

from ...case import Trial
from ...patient import Patient
from ...report import Finding, Page
from .alike import Likeness, reached, vector

BFLOAT = Page(
    id="bfloat16-loses-the-gradient",
    number=31,
    severity="warning",
    title="in bfloat16 the gradient is another one",
    why="bfloat16 has 8 bits of precision: differences of near numbers, large positions and logarithms of 1 − p "
    "are lost, and the training goes elsewhere.",
    evidence="The loss and the gradient of one pass under autocast to bfloat16, beside those in float32.",
    legitimate="A program that is to run in float32 only.",
    cure="Keep the named part in float32: `with torch.autocast(device, enabled=False):`, with `.float()` inputs; "
    "scale inputs; use losses of logits.",
)
PAGES = (BFLOAT,)
_APART, _NEAR = 0.9, 0.98


def check(patient: Patient) -> Iterator[Finding]:
    """The same pass twice: under autocast, and without."""
    kind = next((p.device.type for _, p in patient.parameters()), "cpu")
    floats = {p.dtype for p in patient.trained.values()}
    if floats != {torch.float32}:
        patient.missing.append(f"bfloat16 beside float32: not compared, weights are {', '.join(map(str, floats))}")
        return
    full = _trial(patient, lambda: torch.autocast(kind, enabled=False))
    half = _trial(patient, lambda: torch.autocast(kind, dtype=torch.bfloat16))
    if half.error is not None or full.error is not None:
        first = (str(half.error or full.error).splitlines() or [""])[0][:120]
        patient.missing.append(f"bfloat16 beside float32: not compared ({first})")
        return
    if not full.learns or not math.isfinite(full.value):
        return
    names = reached(full, half)
    likeness = Likeness.of(vector(half, names), vector(full, names))
    losses = f"the loss is {half.value:.5g} in bfloat16 and {full.value:.5g} in float32"
    if not math.isfinite(half.value) or (not likeness.finite and bool(torch.isfinite(vector(full, names)).all())):
        yield BFLOAT.found(f"the loss or its gradient is not finite: {losses}{_worst(half, full)}")
    elif likeness.cosine < _NEAR:
        told = f"cosine of the gradients {likeness.cosine:.3f}, {likeness.ratio:.2f} times as long; {losses}"
        # A program that stays in float32 is in order as it is.
        warns = likeness.cosine < _APART and _is_cast(patient)
        yield BFLOAT.found(told + _worst(half, full), None, "warning" if warns else "note")
    else:
        patient.facts["bfloat16 cosine"] = round(likeness.cosine, 4)


def _trial(patient: Patient, within: Callable[[], AbstractContextManager[Any]]) -> Trial:
    return Patient(replace(patient.case, batch=patient.batch, within=within)).trial(train=True, gradients=True)


def _is_cast(patient: Patient) -> bool:
    """Does the program itself run under autocast, around the model or inside it?"""
    return any(
        out.dtype in (torch.bfloat16, torch.float16) for call in patient.training.tape.calls for out in call.outputs
    )


def _worst(half: Trial, full: Trial) -> str:
    """The parameter whose gradient is furthest from what it should be."""
    found = {name: Likeness.of(vector(half, [name]), vector(full, [name])).cosine for name in reached(full, half)}
    bad = {name: -2.0 if math.isnan(cosine) else cosine for name, cosine in found.items()}
    name = min(bad, key=lambda one: bad[one], default=None)
    return f"; worst: {name}" if name is not None else ""
