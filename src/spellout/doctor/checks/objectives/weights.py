"""The weights of classes are compared with how often the classes occur in the batch (family 26)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

from ...patient import Patient
from ...report import Finding, Page
from ...tape import Call, Tape
from .tapes import once

INVERTED = Page(
    id="class-weights-inverted",
    number=26,
    severity="warning",
    title="the classes' weights make the rare ones rarer",
    why="A weight is meant to make up for rarity: `pos_weight` = negatives / positives, `weight` ∝ 1 / count. "
    "The other way round the frequent class counts for even more.",
    evidence="The weights, and the shares of the classes among the targets of the batch.",
    legitimate="Precision wanted above all; a sampler that has already balanced the classes, and more.",
    cure="Turn the fraction round.",
)
MISPLACED = Page(
    id="class-weights-misplaced",
    number=26,
    severity="warning",
    title="the classes' weights belong to other classes",
    why="Weight i must belong to class i; counts in the order of their size or first occurrence do not.",
    evidence="In another order the weights are the inverse frequencies of the batch, in theirs they are not.",
    legitimate="Weights that say something else than frequency.",
    cure="`torch.bincount(labels, minlength=C)`, which counts in the order of the classes.",
)
PAGES = (INVERTED, MISPLACED)
_ENOUGH = 30
"""Samples from which on shares in a batch say something."""


def check(patient: Patient) -> Iterator[Finding]:
    """Every weighted loss on every tape, and every sampler with weights."""
    yield from once(patient, _on)
    for loader in {id(one.loader): one.loader for one in patient.recording.drawn}.values():
        yield from _sampled(loader)


def _sampled(loader: DataLoader[Any]) -> Iterator[Finding]:
    """A sampler's weights, where the data set holds one class for every sample."""
    weights = getattr(loader.sampler, "weights", None)
    if not isinstance(weights, torch.Tensor) or weights.ndim != 1 or not isinstance(loader.dataset, TensorDataset):
        return
    labels = loader.dataset.tensors[-1]
    if labels.ndim != 1 or labels.is_floating_point() or labels.numel() != len(weights) or int(labels.min()) < 0:
        return
    counts = torch.bincount(labels).double()
    drawn = torch.zeros_like(counts).index_add_(0, labels, weights.double() / weights.double().sum())
    shares, rare = counts / counts.sum(), int(torch.where(counts > 0, counts, torch.inf).argmin())
    if len(weights) >= _ENOUGH and float(drawn[rare]) < 0.5 * float(shares[rare]):
        share = float(shares[rare])
        yield INVERTED.found(
            f"the sampler draws class {rare} in {float(drawn[rare]):.1%}; it has {share:.1%} of all"
        )


def _on(tape: Tape) -> Iterator[Finding]:
    for call in tape.calls:
        if call.out is not None and call.name == "binary_cross_entropy_with_logits":
            yield from _positive(call)
        elif call.out is not None and call.name in ("cross_entropy", "nll_loss"):
            yield from _classes(call)


def _positive(call: Call) -> Iterator[Finding]:
    target, weight = call.argument(1, "target"), call.kwargs.get("pos_weight", call.argument(5, "pos_weight"))
    if not isinstance(weight, torch.Tensor) or not target.numel() or not target.is_floating_point():
        return
    rows = target.detach().double().reshape(-1, 1 if weight.numel() == 1 else target.shape[-1])
    if len(rows) < _ENOUGH or rows.shape[1] != weight.numel():
        return
    share = rows.mean(0).clamp(1 / (2 * len(rows)), 1 - 1 / (2 * len(rows)))
    wanted, given = ((1 - share) / share).log(), weight.detach().double().flatten().clamp(min=1e-9).log()
    # Opposite signs, both beyond a factor of two: the weight answers to an imbalance, in the wrong direction.
    clear = (wanted.abs() > math.log(2)) & (given.abs() > math.log(2))
    wrong = clear & (wanted.sign() != given.sign())
    if bool(wrong.any()) and float(wrong.sum()) > 0.5 * float(clear.sum()):
        place = int(wrong.nonzero()[0])
        yield INVERTED.found(
            f"pos_weight {float(given[place].exp()):.3g}, {float(share[place]):.1%} positive targets: "
            f"negatives / positives = {float(wanted[place].exp()):.3g}",
            call.where,
        )


def _classes(call: Call) -> Iterator[Finding]:
    target, weight = call.argument(1, "target"), call.argument(2, "weight")
    if not isinstance(weight, torch.Tensor) or target.is_floating_point() or weight.numel() < 2:
        return
    labels = target.detach().flatten()
    labels = labels[(labels >= 0) & (labels < weight.numel())]
    counts = torch.bincount(labels, minlength=weight.numel()).double()
    if len(labels) < max(_ENOUGH, 8 * weight.numel()) or float(weight.min()) <= 0:
        return
    given, rarity = weight.detach().double().log(), -((counts + 0.5) / len(labels)).log()
    if float(given.max() - given.min()) < math.log(2) or float(rarity.max() - rarity.min()) < math.log(2):
        return
    related, sorted_related = _slope(given, rarity), _slope(given.sort().values, rarity.sort().values)
    evidence = (
        f"weights {[round(one, 3) for one in weight.tolist()[:6]]}, "
        f"shares {[round(one, 3) for one in (counts / len(labels)).tolist()[:6]]}"
    )
    if related[0] < -0.8:
        yield INVERTED.found(evidence, call.where)
    elif weight.numel() > 2 and related[0] < 0.5 and sorted_related[0] > 0.95 and 0.7 < sorted_related[1] < 1.4:
        yield MISPLACED.found(evidence, call.where)


def _slope(one: torch.Tensor, other: torch.Tensor) -> tuple[float, float]:
    """Correlation, and how steeply the first rises with the second."""
    a, b = one - one.mean(), other - other.mean()
    return float((a @ b) / (a.norm() * b.norm())), float((a @ b) / (b @ b))
