"""A schedule that waits for a number to get better waits for the right direction (family 26)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import torch

from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page
from ...tape import Call, tensors_in
from ..evaluation.windows import comparisons, evaluation
from .objective import KNOWN, value_of

WRONG = Page(
    id="plateau-mode-wrong",
    number=26,
    title="the learning rate is cut while training goes well",
    why="The schedule waits for the number to move the other way: it takes every improvement for none.",
    evidence="What `ReduceLROnPlateau` with mode='max' was given is, digit for digit, a loss, "
    "or what one with mode='min' was given is an accuracy.",
    cure="mode='min' for a loss, mode='max' for an accuracy.",
)
PAGES = (WRONG,)


def check(patient: Patient) -> Iterator[Finding]:
    """The best number of every such scheduler, as the recording ended."""
    recording = patient.recording
    for one in recording.ending.plateaus if recording.ending is not None else ():
        most = [group.get("maximize", False) for group in one.scheduler.optimizer.param_groups]
        if not math.isfinite(one.best) or any(most):
            continue
        errors, rates = list(_losses(recording)), list(_accuracies(recording))
        is_loss = any(_near(one.best, value) for value in errors)
        is_rate = any(_near(one.best, value) for value in rates)
        wrong = is_loss if one.scheduler.mode == "max" else is_rate
        if wrong and is_loss != is_rate:
            what = "a loss" if is_loss else "an accuracy"
            yield WRONG.found(f"mode='{one.scheduler.mode}', and {one.best:.6g} that it was given is {what}")


def _losses(recording: Recording) -> Iterator[float]:
    """All losses that were seen, of one batch or of all of an evaluation."""
    roots = [root for root in recording.calls_of("backward") if root.inputs and root.inputs[0].numel() == 1]
    if roots and all(_is_error(recording, root.inputs[0], root.index) for root in roots):
        values = recording.losses or [value_of(root) for root in roots]
        yield from values
        yield from (total / count for count, total in enumerate(itertools.accumulate(values), 1))
    calls = [call for call in evaluation(recording) if call.kwargs.get("reduction", "mean") == "mean"]
    known = [call for call in calls if call.name in KNOWN]
    values = [float(next(tensors_in(call.out)).detach().double()) for call in known]
    sizes = [_samples(call) for call in known]
    yield from values
    if len(values) > 1:
        yield sum(values) / len(values)
        yield sum(values)
        yield sum(value * size for value, size in zip(values, sizes, strict=True)) / sum(sizes)
    for call in calls:
        one = call.name == "mean" and bool(call.outputs) and call.outputs[0].numel() == 1
        if one and _is_error(recording, call.outputs[0], call.index + 1):
            yield float(call.outputs[0].detach())


def _is_error(recording: Recording, tensor: torch.Tensor, before: int) -> bool:
    """Is it a loss of torch, or the mean of squares or sizes of differences?"""
    tape = recording.tape
    call = tape.maker(tensor, before) if tape is not None else None
    if tape is None or call is None:
        return False
    if call.name in KNOWN:
        return True
    inner = tape.maker(call.inputs[0], call.index) if call.name == "mean" and call.inputs else None
    if inner is None or inner.name not in ("pow", "square", "abs") or not inner.inputs:
        return False
    source = tape.maker(inner.inputs[0], inner.index)
    return source is not None and source.name in ("sub", "rsub")


def _accuracies(recording: Recording) -> Iterator[float]:
    """The share of right answers in the evaluation, also in per cent."""
    found = [one.call for one in comparisons(recording, evaluation(recording)) if one.call.name == "eq"]
    samples = sum(call.out.numel() for call in found)
    hits = sum(int(call.out.sum()) for call in found)
    if samples and hits * 2 != samples and 0 < hits < samples:  # a half, or all, may be anything
        yield hits / samples
        yield 100 * hits / samples


def _samples(call: Call) -> int:
    target = call.argument(1, "target")
    return len(target) if isinstance(target, torch.Tensor) and target.ndim else 1


def _near(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=2e-6, abs_tol=1e-12)
