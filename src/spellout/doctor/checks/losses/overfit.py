"""The model must learn one batch by heart: what cannot do that cannot learn (family 1).

A model that is wired correctly can memorise a few samples. Where it stops short, the value at which it stops often
names the cause.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from statistics import median

import torch

from ...batch import Batch
from ...patient import Patient
from ...report import Finding, Page
from .first_loss import best_constant, kind_of

STUCK = Page(
    id="cannot-overfit-one-batch",
    number=1,
    severity="warning",
    title="the model cannot learn one batch by heart",
    why="Before a model can generalise it must be able to memorise; "
    "if it cannot, something between input and loss is cut.",
    evidence="The best loss of three learning rates on one small batch, and the loss of the best constant.",
    legitimate="Losses with a floor of their own; models with very few parameters; "
    "the same input with different targets.",
    cure="Look at what the plateau says, then at the path from input to loss.",
    symptom=True,
)
PAGES = (STUCK,)
_SAMPLES, _STEPS = 16, 120


def check(patient: Patient) -> Iterator[Finding]:
    """Adam at three rates, within the case's budget."""
    if any(finding.severity == "warning" and not finding.page.symptom for finding in patient.findings):
        return  # which may explain it
    seconds = patient.case.overfit_seconds
    if kind_of(patient) is None or not patient.training.learns or not patient.trained or seconds <= 0:
        return
    batch = _small(patient)
    constant = best_constant(patient, batch)
    nothing = max(1e-6, 1e-4 * abs(patient.training.value))  # one label for all samples can be met at once
    if not math.isfinite(constant) or constant <= nothing or _repeats(batch):
        return
    # The thread's own time: what else the machine does must not change what is found.
    deadline = time.thread_time() + seconds
    best, steps, falls = math.inf, 0, False
    # The usual rate of Adam first: most healthy programs need no other.
    for rate in (3e-3, 3e-2, 3e-4):
        curve = _learn(patient, batch, rate, deadline, goal=0.5 * constant)
        steps += len(curve)
        falls |= _still_falls(curve, constant)
        best = min(best, *curve, math.inf)
        if best < 0.5 * constant:
            break
    patient.facts["loss of one batch learned by heart"] = best
    # Between a half and nine tenths it learns, only slowly: then nothing is said.
    if best > 0.9 * constant and steps >= _STEPS and not falls:
        cause = _cause(patient, batch, best, constant)
        yield STUCK.found(f"best loss {best:.4g} of {steps} steps, best constant {constant:.4g}{cause}")
    elif (steps < _STEPS or falls) and best > 0.5 * constant:
        patient.facts["overfit"] = f"not examined: {steps} steps in {seconds:g} s"


def _small(patient: Patient) -> Batch:
    """A few samples, spread over the batch; all of them if the program takes no other number."""
    size, axis = patient.batch.size(patient.batch_axis), patient.batch_axis
    if size <= _SAMPLES:
        return patient.batch
    small = patient.batch.taken(torch.linspace(0, size - 1, _SAMPLES).long(), axis)
    return patient.batch if patient.trial(small, train=True).error else small


def _repeats(batch: Batch) -> bool:
    """The same input twice in the batch: no model can tell them apart."""
    rows = next((x.detach().reshape(len(x), -1) for x in batch.inputs if x.ndim and not x.is_complex()), None)
    return rows is not None and len(torch.unique(rows, dim=0)) < 0.9 * len(rows)


def _still_falls(curve: list[float], constant: float) -> bool:
    """Was the loss below the constant's and on its way down when the steps or the time were over?"""
    third = len(curve) // 3
    if third < 10:
        return False
    early, late = median(curve[third:-third]), median(curve[-third:])
    return late < constant and early - late > 0.003 * constant


def _learn(patient: Patient, batch: Batch, rate: float, deadline: float, goal: float) -> list[float]:
    """The loss of every step."""
    with patient.borrowed(train=True):
        optimizer = torch.optim.Adam([*patient.trained.values()], lr=rate)
        losses: list[float] = []
        for _ in range(_STEPS):
            trial = patient.run(batch, gradients=True, taped=False)
            if trial.error or not trial.learns or time.thread_time() > deadline:
                return losses
            losses.append(trial.value)
            if trial.value < goal:
                return losses
            patient.descend(trial.gradients, [optimizer])
    return losses


def _cause(patient: Patient, batch: Batch, best: float, constant: float) -> str:
    """What the value of a plateau says."""
    main, target = patient.training.main, batch.targets
    classes = main.shape[1] if main.ndim > 1 else 1
    known = [(constant, "the best constant's: the output ignores the input")]
    if classes > 1:
        known.insert(0, (math.log(1 + (classes - 1) / math.e), "ln(1+(C−1)/e): softmax before cross entropy"))
        known.append((math.log(classes), "ln C: every class equally likely"))
    elif target is not None and target.is_floating_point():
        share, variance = float(target.float().mean()), float(target.float().var(correction=0))
        squashed = share * math.log(1 + 1 / math.e) + (1 - share) * math.log(2)
        known.insert(0, (squashed, "that of a sigmoid before binary cross entropy with logits"))
        known.append((variance, "the variance of the targets: broadcasting, or a cut path"))
    return next((f"; this is {words}" for value, words in known if abs(best - value) < 0.02 * value), "")
