"""Does a loss add samples up or take their mean? Twice the same samples tell (family 26)."""

from __future__ import annotations

import math
from collections.abc import Iterator

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
    legitimate="Penalties that do not depend on the samples are not meant.",
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
    kinds = [(kind, call) for call, ratio, share in _terms(once, twice) if share > 1e-3 and (kind := _kind(ratio))]
    sums, means = ([call for kind, call in kinds if kind == name] for name in ("sum", "mean"))
    if sums and means:
        yield MIXED.found(
            f"twice the samples double {len(sums)} of {len(sums) + len(means)} terms: "
            f"`{sums[0].name}` at {sums[0].where}, not `{means[0].name}` at {means[0].where}",
            sums[0].where,
        )
    elif once.value and math.isfinite(once.value) and _kind(twice.value / once.value) == "sum":
        evidence = f"{once.value:.4g} for {size} samples, {twice.value:.4g} for the same twice: a sum"
        yield SUMMED.found(evidence, once.last_line)


def _kind(ratio: float) -> str:
    # Sampling inside the model moves both a little.
    return "mean" if 0.9 < ratio < 1.1 else "sum" if 1.85 < ratio < 2.15 else ""


def _terms(once: Trial, twice: Trial) -> Iterator[tuple[Call, float, float]]:
    """The terms that the loss adds up: their call, their ratio in the two passes, and their share of the loss."""
    first, second = _summands(once), _summands(twice)
    if len(first) < 2 or len(first) != len(second) or once.loss is None:
        return
    whole = sum(abs(float(out)) for _, out in first) or 1.0
    for (call, one), (_, two) in zip(first, second, strict=True):
        depends = id(one) in once.dependent
        if depends and float(one) != 0:
            yield call, float(two) / float(one), abs(float(one)) / whole


def _summands(trial: Trial) -> list[tuple[Call, torch.Tensor]]:
    """The single numbers that are added up to the loss, through factors; each with the call that made it."""
    found, pending = [], [(trial.loss, len(trial.tape.calls))]
    while pending:
        value, before = pending.pop()
        if not isinstance(value, torch.Tensor):
            continue
        call = trial.tape.maker(value, before)
        if call is None:
            continue
        single = [one for one in call.inputs if one.numel() == 1]
        if call.name in ("add", "sub") and len(single) == len(call.inputs) > 1:
            pending += [(one, call.index) for one in single]
        elif call.name in ("mul", "rmul", "div", "neg", "reshape", "view", "squeeze") and len(single) == 1:
            pending.append((single[0], call.index))
        else:
            found.append((call, value))
    return sorted(found, key=lambda pair: pair[0].index)
