"""The learning rate, judged by what the user's optimizer does to the loss of one batch (family 20)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

import torch

from ...patient import Patient
from ...report import Finding, Page

TOO_HIGH = Page(
    id="learning-rate-too-high",
    number=20,
    severity="warning",
    title="the learning rate is too high",
    why="Each step jumps over the valley; the loss of the very batch that the step was made for rises.",
    evidence="The loss of one batch before and after steps of the user's optimizer, and with a tenth of its rate.",
    legitimate="Warm-up and normalisation that tame it later.",
    cure="Divide it by ten until the loss of one batch falls step by step; update:data ratios near 1e-3 are usual.",
    symptom=True,
)
TOO_LOW = Page(
    id="learning-rate-too-low",
    number=20,
    severity="warning",
    title="the learning rate is too low",
    why="The parameters hardly move: the ratio of update to data is far below 1e-3.",
    evidence="The loss of one batch after steps of the user's optimizer, and at a rate that makes update:data "
    "1e-3.",
    legitimate="The beginning of a warm-up (a scheduler is seen and silences this); fine-tuning.",
    cure="Multiply it by ten until the loss of one batch falls visibly.",
    symptom=True,
)
PAGES = (TOO_HIGH, TOO_LOW)
_STEPS, _FEW = 5, 2
"""Steps taken, and those taken with a heavy model."""


def check(patient: Patient, scheduled: bool) -> Iterator[Finding]:
    """Five steps with the user's rate; others only where these look wrong."""
    if not patient.optimizers or patient.training.loss is None or not patient.training.loss.requires_grad:
        return
    if any(isinstance(one, torch.optim.LBFGS) for one in patient.optimizers):
        return
    rates = [group["lr"] for one in patient.optimizers for group in one.param_groups]
    own = _losses(patient, 1.0)
    if own is None:
        return
    losses, ratio = own
    patient.facts["update:data ratio"] = ratio
    start, best, last = losses[0], min(losses[1:]), losses[-1]
    scale = max(abs(start), 1e-8)
    noise = 0.0
    if not last < start:
        noise = _noise(patient)  # dropout and sampling move the loss too
    if not math.isfinite(last) or (last > start + 0.3 * scale + 3 * noise and best > start - 0.5 * scale):
        slower = _losses(patient, 0.1) or ([start], 0.0)
        slowest = _losses(patient, 0.01) or ([start], 0.0)
        better = min(slower[0][-1], slowest[0][-1])
        if (
            math.isfinite(better)
            and better < start + noise
            and (not math.isfinite(last) or better < last - 0.3 * scale)
        ):
            yield TOO_HIGH.found(
                f"lr {rates[0]:g}: loss {start:.4g} → {last:.4g} in {_steps(patient)} steps on one batch, "
                "with a smaller "
                "rate "
                f"→ {better:.4g}; update:data {ratio:.1e}"
            )
    elif not scheduled and ratio < 1e-5 and start - last < 1e-3 * scale and min(rates) > 0:
        noise = _noise(patient)
        times = 1e-3 / max(ratio, 1e-9)
        faster = _losses(patient, times)
        gain = start - faster[0][-1] if faster is not None else 0.0
        if gain > 10 * max(start - last, 0) and gain > 3e-4 * scale + 3 * noise:
            yield TOO_LOW.found(
                f"lr {rates[0]:g}: loss {start:.5g} → {last:.5g} in {_steps(patient)} steps on one batch, with "
                f"{times:.0e} times the "
                f"rate → {faster[0][-1] if faster else 0:.5g}; update:data {ratio:.1e}"
            )


def _losses(patient: Patient, factor: float) -> tuple[list[float], float] | None:
    """The loss of the batch before and after each step, with one seed; the median update:data ratio."""
    with patient.borrowed(train=True, steps=True):
        for optimizer in patient.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["lr"] * factor
        losses, ratios = [], []
        steps = _steps(patient)
        for place in range(steps + 1):
            torch.manual_seed(0)
            first = place == 0  # then it is the pass that the examination began with
            trial = patient.training if first else patient.run(patient.batch, gradients=place < steps, taped=False)
            if trial.error:
                return None
            losses.append(trial.value)
            if place < steps:
                ratios += _step(patient, trial.gradients)
        return losses, median(ratios) if ratios else 0.0


def _step(patient: Patient, gradients: dict[str, torch.Tensor | None]) -> list[float]:
    before = {name: p.detach().clone() for name, p in patient.parameters() if p.requires_grad and p.ndim > 1}
    for name, parameter in patient.parameters():
        grad = gradients.get(name)
        parameter.grad = None if grad is None else grad.clone()
    for optimizer in patient.optimizers:
        optimizer.step()
    now = dict(patient.parameters())
    return [float((now[name].detach() - old).std() / (old.std() + 1e-12)) for name, old in before.items()
            if old.numel() > 1 and float(old.std()) > 0]  # fmt: skip


def _steps(patient: Patient) -> int:
    return _FEW if patient.heavy else _STEPS


def _noise(patient: Patient) -> float:
    """How much the first loss varies with the seed (dropout, sampling)."""
    values = [patient.trial(train=True, seed=seed).value for seed in (0, 1, 2)]
    return max(values) - min(values) if all(math.isfinite(value) for value in values) else 0.0
