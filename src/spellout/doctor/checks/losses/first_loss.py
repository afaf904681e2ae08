"""The first loss is compared with what the user's own loss says of no opinion at all (families 15 and 16)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median
from typing import Any

import torch

from ...batch import Batch
from ...case import UsersError, users_code
from ...patient import Patient
from ...report import Finding, Page, Severity
from ...snapshot import borrowed
from ...tape import AFFINE, MOVES, REGRESSIONS, tensors_in, words

TOO_HIGH = Page(
    id="first-loss-too-high",
    number=15,
    severity="warning",
    title="the first loss is far above that of no opinion",
    why="The untrained model is confidently wrong; the first steps only take that confidence away.",
    evidence="The user's own loss of the model's outputs, of zero outputs, and of the best constant.",
    legitimate="Models that were trained on something else before.",
    cure="Make the last layer's weights smaller (times 0.01) and its bias zero, "
    "or the mean of the targets; scale targets.",
    symptom=True,
)
FAR_TARGETS = Page(
    id="targets-not-scaled",
    number=15,
    severity="warning",
    title="the targets lie far from where the outputs start",
    why="Most of the training only moves the output's bias; "
    "the learning rate that suits the rest is too small for it.",
    evidence="The user's own loss of zero outputs is many times that of the best constant.",
    legitimate="Short runs where that is affordable.",
    cure="Subtract the targets' mean and divide by their spread, or start the last bias at their mean.",
    symptom=True,
)
NO_BIAS = Page(
    id="output-without-bias",
    number=16,
    severity="note",
    title="the output layer has no bias although the classes are uneven",
    why="The frequencies of the classes must then be learned by the other weights.",
    evidence="The classes' frequencies in the batch: entropy against ln C.",
    legitimate="Weights tied to an embedding; large vocabularies.",
    cure="`bias=True` in the last layer, started at the log frequencies.",
)
PAGES = (TOO_HIGH, FAR_TARGETS, NO_BIAS)

_CLASSIFIES = words("cross_entropy binary_cross_entropy_with_logits log_softmax")


def check(patient: Patient) -> Iterator[Finding]:
    """Compare three losses."""
    kind = kind_of(patient)
    if kind is None or _has_learned(patient):
        return
    own = patient.training.value
    zero = loss_of(patient, torch.zeros_like(patient.training.main), patient.batch.target)
    best = best_constant(patient)
    if own > 2 * zero or (kind == "numbers" and own > 2 * best):  # dropout may have been unlucky once
        own = median(patient.first_losses)
    patient.facts.update({"first loss": own, "loss of zero outputs": zero, "loss of the best constant": best})
    if not all(math.isfinite(value) for value in (own, zero, best)):
        return
    source = patient.training.tape.source(patient.training.main, MOVES)
    head = source.where if source is not None else None
    outputs = "logits" if kind == "classes" else "outputs"
    # One product alone is convex wherever it starts: there a bad start costs steps and nothing else.
    products = [call for call in patient.training.tape.calls if call.name in AFFINE and call.phase == "model"]
    severity: Severity = "note" if len(products) < 2 else "warning"
    evidence = f"first loss {own:.3g}, zero {outputs} {zero:.3g}, best constant {best:.3g}"
    # The factors are loose, since an initialisation of unit-scale logits costs about half a nat: what is reported
    # here costs hundreds of steps.
    if kind == "classes":
        if own > 2.5 * zero and own - zero > 1:
            yield TOO_HIGH.found(evidence, head, severity)
    elif own > 10 * max(zero, best) > 0:
        yield TOO_HIGH.found(evidence, head, severity)
    elif zero > 100 * best > 0 and own > 50 * best:
        yield FAR_TARGETS.found(evidence, head)
    yield from _bias(patient)


def _has_learned(patient: Patient) -> bool:
    """Was the layer that makes the outputs trained before, by another optimizer, or loaded?

    Then its outputs are opinions on what it has learned, as where adapters are put on a trained model.
    """
    states, main = patient.recording.states, patient.training.main
    known = states.learned(patient.optimizers) if states is not None else set()
    heads = [
        call
        for call in patient.training.tape.calls
        if call.name in AFFINE and call.phase == "model" and any(one.shape == main.shape for one in call.outputs)
    ]
    return any(id(one) in known for call in heads for one in call.inputs)


def kind_of(patient: Patient) -> str | None:
    """`classes` or `numbers`, if one known loss compares one output with one given target."""
    trial = patient.training
    target = patient.batch.targets
    if target is None or trial.loss is None or len(list(tensors_in(trial.output))) != 1:
        return None
    if any(x is target for x in patient.batch.inputs) and not target.is_floating_point():
        return None  # the model is given the answer, as for a margin, and no opinion of its own is asked
    names = [call.name for call in trial.tape.calls if call.phase == "loss"]
    if sum(name in _CLASSIFIES | REGRESSIONS for name in names) != 1:
        squares = [name for name in names if name not in MOVES]
        return "numbers" if squares in (["sub", "pow", "mean"], ["sub", "square", "mean"]) else None
    return "classes" if any(name in _CLASSIFIES for name in names) else "numbers"


def loss_of(patient: Patient, output: torch.Tensor, target: Any) -> float:
    """The user's loss of an output that the model did not make; nan if it refuses it."""
    # The model is not run: only what the loss holds or closes over may change.
    with borrowed(patient.case.loss, patient.batch.target), torch.no_grad():
        try:
            return float(patient.loss(output, target))
        except UsersError:
            return math.nan


def best_constant(patient: Patient, batch: Batch | None = None) -> float:
    """The least loss that one answer for all samples can have: Newton-like steps on a constant."""
    trial = patient.training if batch is None else patient.trial(batch, train=True)
    target = (batch or patient.batch).target
    if trial.error:
        return math.nan
    output = trial.main.detach()
    shape = [1] * output.ndim  # one answer for everything: only the classes keep their axis
    if output.ndim > 1:
        shape[_class_axis(patient, output)] = output.shape[_class_axis(patient, output)]
    constant = output.new_zeros(shape).requires_grad_(True)
    # Of one constant every usual loss is convex, so that a line search cannot go astray.
    optimizer = torch.optim.LBFGS([constant], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = patient.loss(constant.expand_as(output), target)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    with borrowed(patient.case.loss, patient.batch.target):
        try:
            with users_code():  # a loss may refuse made-up outputs
                optimizer.step(closure)  # type: ignore[no-untyped-call]
        except UsersError:
            return math.nan
    return loss_of(patient, constant.expand_as(output), target)


def _class_axis(patient: Patient, output: torch.Tensor) -> int:
    """Axis 1 where cross entropy is given the output as it is, otherwise the last."""
    losses = [call for call in patient.training.tape.calls if call.name == "cross_entropy" and call.phase == "loss"]
    return 1 if any(call.argument(0, "input").ndim == output.ndim for call in losses) else output.ndim - 1


def _bias(patient: Patient) -> Iterator[Finding]:
    tape = patient.training.tape
    for call in tape.calls:
        if call.name != "cross_entropy":
            continue
        logits, target = call.argument(0, "input"), call.argument(1, "target")
        source = tape.source(logits, MOVES, call.index)
        if source is None or source.name not in ("linear", "conv2d") or target.is_floating_point():
            continue
        weight, bias = source.argument(1, "weight"), source.argument(2, "bias")
        if bias is not None or sum(weight is tensor for one in tape.calls for tensor in one.inputs) > 1:
            continue
        # The usual `ignore_index` is negative, and counts as class 0 here.
        counts = torch.bincount(target.flatten().clamp(min=0), minlength=logits.shape[1]).double()
        shares = counts / counts.sum()
        entropy = float(-(shares * shares.clamp(min=1e-30).log()).sum())
        # With fewer than ten labels a class, even classes look uneven.
        if counts.sum() >= 10 * len(counts) and entropy < 0.9 * math.log(len(counts)):
            yield NO_BIAS.found(
                f"entropy of the classes {entropy:.2f}, ln {len(counts)} = {math.log(len(counts)):.2f}",
                source.where,
            )
