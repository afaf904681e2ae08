"""Does a loss add samples up or take their mean? Twice the same samples tell (family 26)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ...case import Trial
from ...patient import Patient
from ...report import Finding, Page
from ...tape import Call

MIXED = Page(
    id="reductions-mixed",
    number=26,
    severity="warning",
    title="one term of the loss is a sum over the batch, another a mean",
    why="Their balance changes with the batch size: twice the samples double the one and not the other.",
    evidence="Every term with the batch, and with the batch twice.",
    legitimate="Penalties that do not depend on the samples are not meant; a sum whose own weight divides it "
    "by the batch and more (1e-5 times a total variation) is only a note.",
    cure="The same reduction for both: sum over the features, mean over the batch.",
)
SUMMED = Page(
    id="loss-sums-over-batch",
    number=26,
    severity="note",
    title="the loss is a sum over the batch",
    why="The step grows with the batch: a learning rate that suits a mean is as many times too high.",
    evidence="The loss with the batch, and with the batch twice.",
    legitimate="A learning rate that was found for this batch size.",
    cure="`reduction='mean'`, or divide by the number of samples.",
)
PAGES = (MIXED, SUMMED)


def check(patient: Patient) -> Iterator[Finding]:
    """Two passes without gradients."""
    size = patient.batch.size(patient.batch_axis)
    if size < 2 or patient.training.loss is None or patient.batch.targets is None or patient.heavy:
        return
    once = patient.trial(train=False)
    twice = patient.trial(patient.batch.taken(torch.arange(2 * size) % size, patient.batch_axis), train=False)
    if once.error or twice.error:
        return
    kinds = [(kind, one) for one, ratio, share in _terms(once, twice) if share > 1e-3 and (kind := _kind(ratio))]
    sums, means = ([one for kind, one in kinds if kind == name] for name in ("sum", "mean"))
    if sums and means:
        weighed = max(one.factor for one in sums) * size <= 1 and min(one.factor for one in means) == 1
        first, other = sums[0].call, means[0].call
        yield MIXED.found(
            f"twice the samples double {len(sums)} of {len(sums) + len(means)} terms: "
            f"`{first.name}` at {first.where}, not `{other.name}` at {other.where}",
            first.where,
            "note" if weighed else None,
        )
    elif once.value and math.isfinite(once.value) and _kind(twice.value / once.value) == "sum":
        evidence = f"{once.value:.4g} for {size} samples, {twice.value:.4g} for the same twice: a sum"
        yield SUMMED.found(evidence, once.last_line)


def _kind(ratio: float) -> str:
    # Sampling inside the model moves both a little.
    return "mean" if 0.9 < ratio < 1.1 else "sum" if 1.85 < ratio < 2.15 else ""


@dataclass(frozen=True)
class _Term:
    """A single number that is added up to the loss."""

    call: Call
    """What made it."""
    value: torch.Tensor
    factor: float
    """By what plain numbers it is multiplied on its way."""


def _terms(once: Trial, twice: Trial) -> Iterator[tuple[_Term, float, float]]:
    """The terms that the loss adds up, their ratio in the two passes, and their share of the loss."""
    first, second = _summands(once), _summands(twice)
    if len(first) < 2 or len(first) != len(second) or once.loss is None:
        return
    whole = sum(abs(float(one.value)) for one in first) or 1.0
    for one, two in zip(first, second, strict=True):
        if id(one.value) in once.dependent and float(one.value) != 0:
            yield one, float(two.value) / float(one.value), abs(float(one.value)) / whole


def _summands(trial: Trial) -> list[_Term]:
    """The terms, looking through sums and factors."""
    found, pending = [], [(trial.loss, len(trial.tape.calls), 1.0)]
    while pending:
        value, before, factor = pending.pop()
        if not isinstance(value, torch.Tensor):
            continue
        call = trial.tape.maker(value, before)
        if call is None:
            continue
        single = [one for one in call.inputs if one.numel() == 1]
        if call.name in ("add", "sub") and len(single) == len(call.inputs) > 1:
            pending += [(one, call.index, factor) for one in single]
        elif call.name in ("mul", "rmul", "div", "neg", "reshape", "view", "squeeze") and len(single) == 1:
            pending.append((single[0], call.index, factor * _number_in(call)))
        else:
            found.append(_Term(call, value, factor))
    return sorted(found, key=lambda term: term.call.index)


def _number_in(call: Call) -> float:
    """What a call multiplies its tensor by, without the sign."""
    if call.name not in ("mul", "rmul", "div"):
        return 1.0
    number = next((abs(float(one)) for one in call.args if isinstance(one, int | float)), 1.0)
    return 1 / number if call.name == "div" and number else number
