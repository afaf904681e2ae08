"""One process or two: is the mean of the halves' gradients the gradient of the whole (family 31)?

That is what data-parallel training computes, and accumulation in parts, too. The comparison is made in float64 and
in eval mode, so that neither dropout nor BatchNorm has a part in it; BatchNorm is then asked by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import nn

from ...batch import Batch
from ...case import Trial
from ...patient import Patient
from ...report import Finding, Page
from ...walk import MODE_SENSITIVE
from .alike import Likeness, reached, vector

LOCAL = Page(
    id="loss-counts-locally",
    number=31,
    severity="warning",
    title="the loss is normalised by a count of its own part of the batch",
    why="In two processes, or in accumulated parts, what stands in the part with the smaller count weighs more.",
    evidence="The gradient of a whole batch as a weighted sum of those of its halves: "
    "the weights are not a half each.",
    legitimate="One process and one part per step; parts of about the same count.",
    cure="Sum the loss, and divide by the count of the whole batch (`all_reduce` it over the processes).",
)
MIXED = Page(
    id="loss-mixes-samples",
    number=31,
    severity="note",
    title="the loss of a batch is not made of those of its halves",
    why="Two processes, or accumulated parts, train on another loss than one batch does.",
    evidence="No weighted sum of the halves' gradients gives that of the whole, or the weights do not add up to 1.",
    legitimate="Contrastive losses, roots of means: then more parts are another loss on purpose.",
    cure="Gather the outputs of all processes before the loss.",
)
STATISTICS = Page(
    id="statistics-per-process",
    number=31,
    severity="note",
    title="BatchNorm in two processes is not BatchNorm in one",
    why="Each process normalises by its own half of the batch.",
    evidence="The mean of the halves' gradients beside that of the whole, in train mode without dropout.",
    legitimate="One process; halves that are large themselves.",
    cure="`nn.SyncBatchNorm.convert_sync_batchnorm(model)`, or GroupNorm.",
)
PAGES = (LOCAL, MIXED, STATISTICS)
_NAME = "one process as two"
_NORMS = nn.modules.batchnorm._BatchNorm
_UNEQUAL = 2.0
"""Below such a factor it is only told."""


def check(patient: Patient) -> Iterator[Finding]:
    """The captured batch, and its halves."""
    axis = patient.batch_axis
    half = patient.batch.size(axis) // 2
    if half < 1 or "samples-mix" in patient.errors:
        why = "samples influence each other" if half else "the batch holds one sample"
        patient.missing.append(f"{_NAME}: not compared, {why}")
        return
    # In the order in which a loader would shuffle them: a batch that is sorted tells nothing of others.
    index = torch.randperm(patient.batch.size(axis), generator=torch.Generator().manual_seed(0))[: 2 * half]
    batches = [patient.batch.taken(one, axis) for one in (index, index[:half], index[half:])]
    refusal = _refused(patient, batches, torch.arange(2 * half).flip(0))
    if refusal is not None:
        patient.missing.append(f"{_NAME}: not compared, {refusal}")
        return
    trials = [patient.exact(one, gradients=True) for one in batches]
    failed = next((one.error for one in trials if one.error is not None), None)
    if failed is not None or not all(one.learns for one in trials):
        first = (str(failed or "the loss has no gradient").splitlines() or [""])[0][:100]
        patient.missing.append(f"{_NAME}: not compared, half a batch fails ({first})")
        return
    yield from _weighed(trials)
    if any(isinstance(one, _NORMS) and one.training for _, one in patient.modules()) and half > 1:
        yield from _normalised(patient, batches)


def _refused(patient: Patient, batches: list[Batch], turned: torch.Tensor) -> str | None:
    """Why halves tell nothing, if they do not."""
    whole, left, _ = batches
    if whole.targets is not None and left.targets is not None and left.targets.shape == whole.targets.shape:
        return "the targets cannot be cut in halves"
    if _is_random(patient):
        return "the model or its loss draws random numbers"
    one, other = patient.exact(whole, loss=True), patient.exact(whole.taken(turned, patient.batch_axis), loss=True)
    if not math.isclose(one.value, other.value, rel_tol=1e-5, abs_tol=1e-9):
        return "the loss takes other data by the place of a sample, or looks at their order"
    return None


def _is_random(patient: Patient) -> bool:
    """Is the loss or its gradient another one with another seed, dropout aside?"""
    one, other = (patient.trial(train=False, seed=seed, gradients=True) for seed in (0, 1))
    return one.value != other.value or not torch.equal(vector(one, reached(one)), vector(other, reached(other)))


def _weighed(trials: list[Trial]) -> Iterator[Finding]:
    names = reached(*trials)
    whole, left, right = (vector(one, names) for one in trials)
    if not whole.numel() or not all(
        bool(torch.isfinite(one).all()) and bool(one.any()) for one in (whole, left, right)
    ):
        return
    if abs(Likeness.of(left, right).cosine) > 0.9999:  # then any weights will do
        return
    halves = torch.stack([left, right], 1)
    weights = torch.linalg.lstsq(halves, whole[:, None], driver="gelsd").solution[:, 0]
    rest = float((halves @ weights - whole).norm() / whole.norm())
    a, b = weights.tolist()
    # Equal weights are a mean (of which a sum is twice, and a penalty beside it still fits).
    if rest < 1e-4 and (max(abs(a - b), abs(a + b - 1)) < 1e-3 or max(abs(a - 1), abs(b - 1)) < 1e-3):
        return
    told = f"{a:.3g} and {b:.3g} times the gradients of the halves, {rest:.1%} is left over"
    if rest < 1e-4 and min(a, b) > 0 and abs(a + b - 1) < 1e-3:
        ratio = max(a, b) / min(a, b)
        evidence = f"{told}: in two processes a sample of one half would count {ratio:.2f} times as much"
        yield LOCAL.found(evidence, None, "warning" if ratio >= _UNEQUAL else "note")
    elif rest >= 0.01 or abs(a + b - 1) > 0.01:
        yield MIXED.found(f"the gradient of the whole is nearest to {told}")


def _normalised(patient: Patient, batches: list[Batch]) -> Iterator[Finding]:
    def without_dropout() -> None:
        for _, module in patient.modules():
            if isinstance(module, MODE_SENSITIVE) and not isinstance(module, _NORMS):
                module.training = False

    trials = [patient.trial(one, train=True, gradients=True, before=without_dropout) for one in batches]
    if any(one.error is not None or not one.learns for one in trials):
        return
    names = reached(*trials)
    whole, left, right = (vector(one, names) for one in trials)
    likeness = Likeness.of((left + right) / 2, whole)
    if not math.isnan(likeness.distance) and likeness.distance > 1e-3:
        count = sum(isinstance(one, _NORMS) for _, one in patient.modules())
        evidence = (
            f"{count} BatchNorm layers: the gradients differ by {likeness.distance:.1%} of their length "
            f"(cosine {likeness.cosine:.3f}) in halves of {batches[1].size(patient.batch_axis)}"
        )
        yield STATISTICS.found(evidence)
