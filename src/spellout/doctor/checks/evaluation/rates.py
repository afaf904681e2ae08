"""What the evaluation returned, worked out again from what it compared (family 28)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch

from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page
from ...tape import Call, tensors_in
from ..updates.objective import KNOWN
from .windows import Comparison, comparisons, evaluation

COUNT = Page(
    id="rate-by-wrong-count",
    number=28,
    title="an accuracy is divided by another number than that of the samples",
    why="It is no share of the samples: it may be above 1, and does not compare with anything.",
    evidence="The number of right predictions by the number returned, and how many were compared.",
    legitimate="Samples that were left out on purpose and count as wrong.",
    cure="Add up how many were right and how many there were, and divide at the end.",
)
LOSS = Page(
    id="mean-loss-by-wrong-count",
    number=28,
    severity="warning",
    title="means over batches are divided by the number of samples, or sums by that of batches",
    why="The loss that is told is too small or too large by the batch size, "
    "and does not compare with the training loss.",
    evidence="The number returned, and the losses of the batches.",
    cure="`total += loss.item() * len(x)` and divide by the number of samples.",
)
UNEVEN = Page(
    id="mean-of-uneven-batches",
    number=28,
    severity="note",
    title="batches of different sizes count the same",
    why="The samples of the small last batch weigh more than the others.",
    evidence="The number returned is the mean of the batches' means, and not that of the samples.",
    legitimate="Where the last batch is hardly smaller, or one of many.",
    cure="Weigh each batch by its number of samples.",
)
PAGES = (COUNT, LOSS, UNEVEN)


def check(patient: Patient) -> Iterator[Finding]:
    """The first evaluation that was recorded with what it returned."""
    recording = patient.recording
    values = [number for result in recording.results[:1] for number in _numbers(result)]
    # Nobody hands over what a script's evaluation returns, but a variable holds it.
    loose = [number for number in recording.kept if number > 1] if not recording.results else []
    if not values + recording.kept or recording.tape is None:
        return
    calls = [call for call in evaluation(recording) if call.index < _end(recording)]
    compared = [one for one in comparisons(recording, calls) if one.call.out.numel() == one.labels.numel()]
    losses = [call for call in calls if call.name in KNOWN and call.kwargs.get("reduction", "mean") == "mean"]
    for value in values:
        yield from _rate(value, compared)
        yield from _loss(value, losses)
    for value in loose:
        yield from (one for one in _rate(value, compared) if one.severity == "error")
    for value in recording.kept if not recording.results else ():
        odd = 1000 * value != round(1000 * value) if math.isfinite(value) else False  # no setting of somebody's
        yield from (one for one in _loss(value, losses) if one.page is LOSS or odd)
        yield from (one for one in _rate(value, compared) if one.page is UNEVEN and odd)


def _end(recording: Recording) -> int:
    """Where the first evaluation ended: at the next training pass after it."""
    first = min((one.tick for one in recording.measured), default=0)
    return min((one.tick for one in recording.trained if one.tick > first), default=10**9)


def _numbers(result: Any) -> Iterator[float]:
    if isinstance(result, bool):
        return
    if isinstance(result, int | float):
        yield float(result)
    elif isinstance(result, torch.Tensor):
        yield from [float(result.detach())] if result.numel() == 1 else []
    elif isinstance(result, dict):
        for value in result.values():
            yield from _numbers(value)
    elif isinstance(result, tuple | list) and len(result) < 20:
        for value in result:
            yield from _numbers(value)
    elif type(result).__module__ == "numpy" and getattr(result, "ndim", 1) == 0:
        yield float(result)


def _rate(value: float, compared: list[Comparison]) -> Iterator[Finding]:
    hits = [int(one.call.out.sum()) for one in compared if one.call.name == "eq"]
    sizes = [one.call.out.numel() for one in compared if one.call.name == "eq"]
    right, samples = sum(hits), sum(sizes)
    if len(hits) < 2 or not right or not value or not math.isfinite(value):
        return
    for unit in (1, 100):
        by = right * unit / value
        count = round(by)
        if abs(by - count) > 1e-5 * by or count in (0, unit, samples) or _near(value, unit * right / samples):
            continue
        if count == len(hits):
            said = f"{right} right of {samples}, divided by the {count} batches: {value:.4g}"
            yield COUNT.found(said, compared[0].call.where)
            return
        if count > samples / 2 and _near(count, len(hits) * sizes[0]):
            said = f"{right} right of {samples}, divided by {count}, the batches times the size of the first"
            yield COUNT.found(said, compared[0].call.where, "note" if count < 1.05 * samples else "warning")
            return
    shares = [hit / size for hit, size in zip(hits, sizes, strict=True)]
    yield from _uneven(value, shares, sizes, compared[0].call)


def _uneven(value: float, means: list[float], sizes: list[int], call: Call) -> Iterator[Finding]:
    plain = sum(means) / len(means)
    weighted = sum(mean * size for mean, size in zip(means, sizes, strict=True)) / sum(sizes)
    for unit in (1, 100):
        if _near(value, unit * plain) and abs(plain - weighted) > 1e-4 * abs(weighted):
            far = abs(plain - weighted) > 0.1 * abs(weighted)
            said = f"{value:.4g} is the mean of {len(means)} batches of {min(sizes)} to {max(sizes)}"
            told = f"{said}; of all samples it is {unit * weighted:.4g}"
            yield UNEVEN.found(told, call.where, "warning" if far else None)


def _loss(value: float, losses: list[Call]) -> Iterator[Finding]:
    if len(losses) < 2 or not math.isfinite(value):
        return
    means = [float(next(tensors_in(call.out)).detach()) for call in losses]
    sizes = [_samples(call) for call in losses]
    weighted = sum(mean * size for mean, size in zip(means, sizes, strict=True))
    for number, said in (
        (sum(means) / sum(sizes), "the sum of {} means, divided by the {} samples"),
        (weighted / len(means), "a sum over samples, divided by {} batches of {} samples in all"),
    ):
        if _near(value, number) and not _near(value, weighted / sum(sizes)):
            told = said.format(len(means), sum(sizes))
            yield LOSS.found(f"{value:.4g} is {told}; the mean is {weighted / sum(sizes):.4g}", losses[0].where)
            return
    yield from _uneven(value, means, sizes, losses[0])


def _samples(call: Call) -> int:
    target = call.argument(1, "target")
    return len(target) if isinstance(target, torch.Tensor) and target.ndim else 1


def _near(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-12)
