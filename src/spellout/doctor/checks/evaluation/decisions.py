"""How an output becomes a decision that is compared with a label (family 28)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page
from ...tape import AFFINE, RESHAPES, Call, Tape
from .windows import DECIDES, Comparison, comparisons, computed, evaluation

CONSTANT = Page(
    id="argmax-of-one-column",
    number=28,
    title="the largest of one number is always number 0",
    why="Every prediction is class 0, whatever the model says; "
    "the accuracy is the share of class 0 and cannot move.",
    evidence="The shape of what `argmax` was called on, and its axis.",
    cure="One output is a score: compare it with a threshold, `logits > 0`; or make one output per class.",
)
WRONG_AXIS = Page(
    id="argmax-over-wrong-axis",
    number=28,
    title="the decision is taken over the samples instead of the classes",
    why="What is compared with the labels is no prediction of a class.",
    evidence="The shape of the output, the axis of `argmax`, and the labels it is compared with.",
    cure="`argmax(dim=1)` for logits of shape (N, C), `argmax(dim=-1)` for (B, T, C).",
)
UNDECIDED = Page(
    id="output-compared-undecided",
    number=28,
    title="numbers with fractions are compared with labels for equality",
    why="A probability is hardly ever equal to a label, so the rate is 0 and stays there.",
    evidence="The values that were compared.",
    cure="Decide first: `argmax`, `logits > 0`, or `round` of a probability.",
)
HALF = Page(
    id="logits-compared-with-half",
    number=28,
    severity="warning",
    title="logits are compared with 0.5",
    why="A logit of 0.5 is a probability of 0.62: uncertain positives are counted as negatives.",
    evidence="The loss takes the output as logits, and the evaluation compares the same output with 0.5.",
    legitimate="A threshold that was chosen on purpose.",
    cure="`logits > 0`, or `torch.sigmoid(logits) > 0.5`.",
)
PAGES = (CONSTANT, WRONG_AXIS, UNDECIDED, HALF)


def check(patient: Patient) -> Iterator[Finding]:
    """Every comparison, also of an accuracy that is measured inside the step."""
    recording = patient.recording
    if recording.tape is None:
        return
    found = list(comparisons(recording, recording.tape.calls))
    for one in found:
        yield from _axis(one)
        yield from _undecided(recording.tape, one)
    measured = evaluation(recording)
    compared = {id(one.decided) for one in found}
    learned = computed(recording)
    for call in measured:
        loose = call.name == "argmax" and id(call) not in compared and call.module is None
        if loose and call.inputs and id(call.inputs[0]) in learned and _over_one(call):
            yield _constant(call)
    yield from _half(recording, measured, learned)


def _dim(call: Call) -> Any:
    place = 2 if call.name == "topk" else 1
    return call.argument(place, "dim", call.kwargs.get("axis", -1 if call.name == "topk" else None))


def _over_one(call: Call) -> bool:
    output, dim = call.argument(0, "input"), _dim(call)
    if not isinstance(dim, int) or not isinstance(output, torch.Tensor) or output.ndim < 2:
        return False
    return output.is_floating_point() and output.shape[dim] == 1 and output.numel() > 1


def _constant(call: Call) -> Finding:
    return CONSTANT.found(f"`{call.name}` over axis {_dim(call)} of {tuple(call.inputs[0].shape)}", call.where)


def _axis(one: Comparison) -> Iterator[Finding]:
    call = one.decided
    if call is None or call.name not in DECIDES or not call.inputs:
        return
    output, dim = call.inputs[0], _dim(call)
    shape, labels = tuple(output.shape), tuple(one.labels.shape)
    if _over_one(call):
        yield _constant(call)
    elif dim is None and output.ndim > 1 and shape[0] > 1 and call.name == "argmax":
        yield WRONG_AXIS.found(
            f"`argmax()` of all {output.numel()} numbers of {shape}, labels {labels}", call.where
        )
    elif output.ndim == 2 and len(labels) == 1 and isinstance(dim, int) and dim % 2 == 0 and not _symmetric(one):
        yield WRONG_AXIS.found(f"`{call.name}` over axis 0 of {shape}, labels {labels}", call.where)


def _symmetric(one: Comparison) -> bool:
    """Every sample is its own class, as where pairs are matched: then both axes count samples."""
    flat = one.labels.flatten()
    return bool((flat == torch.arange(len(flat), device=flat.device)).all())


def _undecided(tape: Tape, one: Comparison) -> Iterator[Finding]:
    values, labels = one.predicted.detach(), one.labels
    whole = not labels.is_floating_point() or bool((labels == labels.round()).all())
    if not values.is_floating_point() or values.numel() < 4 or not whole:
        return
    broken = float((values != values.round()).float().mean())
    if broken > 0.99:
        low, high = float(values.min()), float(values.max())
        evidence = f"`{one.call.name}` of numbers from {low:.3g} to {high:.3g} with labels: none is equal"
        yield UNDECIDED.found(evidence, one.call.where)


def _half(recording: Recording, measured: list[Call], learned: set[int]) -> Iterator[Finding]:
    tape = recording.tape
    if tape is None:
        return
    logits = {_weights(tape, call.argument(0, "input"), call.index) for call in _with_logits(tape)} - {0}
    for call in measured:
        limit = call.argument(1, "other")
        if call.name in ("gt", "ge", "lt", "le") and isinstance(limit, float) and limit == 0.5:
            output = call.argument(0, "input")
            if id(output) in learned and _weights(tape, output, call.index) in logits:
                yield HALF.found("binary_cross_entropy_with_logits takes the same output", call.where)
                return


def _with_logits(tape: Tape) -> list[Call]:
    return [call for call in tape.calls if call.name == "binary_cross_entropy_with_logits"]


def _weights(tape: Tape, output: Any, before: int) -> int:
    """The id of the weights that an output is made with directly; 0 if something lies between."""
    source = tape.source(output, RESHAPES, before)
    weight = source.argument(1, "weight") if source is not None and source.name in AFFINE else None
    return id(weight) if isinstance(weight, torch.nn.Parameter) else 0
