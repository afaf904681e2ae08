"""Accumulated in parts as in one batch: what do the user's own parts add up to (family 31)?"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page
from ...sights.events import Forward, Step
from ...tape import Call
from ..updates.objective import Part, parts_of
from ..updates.scaling import backwards

PARTS = Page(
    id="accumulated-unlike-one-batch",
    number=31,
    severity="warning",
    title="the accumulated parts do not add up to the gradient of one batch",
    why="Means that are added up and not divided are a step as many times too large, "
    "and a mean over few samples counts as much as one over many.",
    evidence="What the loss of every part between two steps is multiplied by, in units of its mean, "
    "and the samples of every part.",
    legitimate="A sum over tasks on purpose; a learning rate chosen for the sum.",
    cure="Weight each part by its samples over those of all parts: `(loss * len(x) / total).backward()`.",
)
PAGES = (PARTS,)
_UNEQUAL = 2.0


def check(patient: Patient) -> Iterator[Finding]:
    """All steps with several backward passes from one line."""
    recording = patient.recording
    if recording.tape is None:
        return
    seen = [(step, found) for step, roots in backwards(recording) if (found := _parts(patient, step, roots))]
    if not seen or len(seen) < len(recording.placed):
        return
    step, (roots, weights, sizes) = seen[0]
    count, total = len(roots), sum(weights)
    if abs(total - count) < 0.01 * count and max(weights) < 1.01 * min(weights):
        free = _is_free_of_scale(patient, step, count)
        how = f"; {type(step.optimizer).__name__} takes the same step all the same" if free else ""
        evidence = (
            f"{count} means are added up and none is divided: {total:.3g} times the gradient of one batch{how}"
        )
        yield PARTS.found(evidence, roots[0].where, "note" if free else "warning")
    elif len(sizes) == count and max(sizes) > min(sizes) and max(weights) < 1.01 * min(weights):
        ratio = max(sizes) / min(sizes)
        listed = ", ".join(map(str, sizes[:8]))
        evidence = f"parts of {listed} samples count the same: one sample counts up to {ratio:.2g} times as much"
        yield PARTS.found(evidence, roots[0].where, "warning" if ratio >= _UNEQUAL else "note")


_Found = tuple[list[Call], list[float], list[int]]


def _parts(patient: Patient, step: Step, roots: list[Call]) -> _Found | None:
    """The backward passes of a step, their factors, and the samples of each."""
    recording = patient.recording
    assert recording.tape is not None
    if len(roots) < 2 or len({(root.code, root.instruction) for root in roots}) > 1 or not 0.99 < step.kept < 1.01:
        return None
    parts: list[list[Part]] = [parts_of(recording.tape, root) for root in roots]
    if not all(len(one) == 1 and one[0].call.name not in ("sum",) for one in parts):
        return None
    weights = [abs(one[0].factor) for one in parts]
    begin = [0, *(root.index for root in roots)]
    between = [
        [one for one in recording.trained if after <= one.tick < root.index]
        for after, root in zip(begin, roots, strict=False)
    ]
    return roots, weights, [size for one in between if len(one) == 1 and (size := _samples(patient, one[0]))]


def _samples(patient: Patient, forward: Forward) -> int:
    given = next((one for one in forward.given if isinstance(one, torch.Tensor) and one.ndim), None)
    axis = patient.batch_axis if patient.case.batch is not None else 0
    return given.shape[axis] if given is not None and given.ndim > axis else 0


def _is_free_of_scale(patient: Patient, step: Step, times: int) -> bool:
    """Does the optimizer make the same step of a gradient that is so many times as large?"""
    if not patient.runs:
        return False
    moves = []
    for scale in (1.0, float(times)):
        with patient.borrowed(steps=True):
            before = [p.detach().clone() for _, p in patient.parameters()]
            gradients = {n: None if g is None else scale * g for n, g in patient.training.gradients.items()}
            step.optimizer.state.clear()
            patient.descend(gradients, [step.optimizer])
            pairs = zip(patient.parameters(), before, strict=True)
            moves.append(sum(float((p.detach() - old).norm()) ** 2 for (_, p), old in pairs) ** 0.5)
    return moves[0] > 0 and moves[1] < (1 + 0.1 * (times - 1)) * moves[0]
