"""The learning rate is judged by what the user's optimizer does to the loss of one batch (family 20)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

import torch

from ...case import UsersError
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
    evidence="The loss of one batch after steps of the user's optimizer, "
    "and at a rate that makes update:data 1e-3.",
    legitimate="The beginning of a warm-up (a scheduler is seen and silences this); fine-tuning.",
    cure="Multiply it by ten until the loss of one batch falls visibly.",
    symptom=True,
)
PAGES = (TOO_HIGH, TOO_LOW)
_STEPS, _FEW = 5, 2
"""Steps taken, and those taken with a heavy model."""


def check(patient: Patient) -> Iterator[Finding]:
    """Five steps with the user's rate; others only where these look wrong."""
    if not patient.optimizers or not patient.training.learns:
        return
    # L-BFGS needs a closure, and looks for the length of its step itself.
    if any(isinstance(one, torch.optim.LBFGS) for one in patient.optimizers):
        return
    rates = [group["lr"] for one in patient.optimizers for group in one.param_groups]
    losses, ratio = _losses(patient, 1.0)
    if not losses:
        return
    if math.isfinite(ratio):
        patient.facts["update:data ratio"] = ratio
    start, best, last = losses[0], min(losses[1:]), losses[-1]
    scale = max(abs(start), 1e-8)
    noise = 0.0 if last < start else _noise(patient)
    steps = f"{len(losses) - 1} steps on one batch"
    # One bad step is no proof: it must end above the start, and never have been far below.
    # Where the user clips, a step without clipping is not the user's: `updates` judges the recorded ones.
    if patient.recording.clips and not last <= start:
        return
    if not math.isfinite(last) or (last > start + 0.3 * scale + 3 * noise and best > start - 0.5 * scale):
        better = min(_last(patient, 0.1, start), _last(patient, 0.01, start))
        helps = math.isfinite(better) and better < start + noise
        if helps and (not math.isfinite(last) or better < last - 0.3 * scale):
            yield TOO_HIGH.found(
                f"lr {rates[0]:g}: loss {start:.4g} → {last:.4g} in {steps}, "
                f"with a smaller rate → {better:.4g}; update:data {ratio:.1e}"
            )
    elif not patient.schedulers and ratio < 1e-5 and start - last < 1e-3 * scale and min(rates) > 0:
        times = 1e-3 / max(ratio, 1e-9)  # an update of a thousandth of the weights is the usual rule
        faster = _last(patient, times, start)
        gain = start - faster
        if gain > 10 * max(start - last, 0) and gain > 3e-4 * scale + 3 * _noise(patient):
            yield TOO_LOW.found(
                f"lr {rates[0]:g}: loss {start:.5g} → {last:.5g} in {steps}, "
                f"with {times:.0e} times the rate → {faster:.5g}; update:data {ratio:.1e}"
            )


def _losses(patient: Patient, factor: float) -> tuple[list[float], float]:
    """The losses of the batch before and after each step, none if one failed; the median update:data ratio."""
    steps = _FEW if patient.heavy else _STEPS
    with patient.borrowed(train=True, steps=True):
        for optimizer in patient.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["lr"] * factor
        trial = patient.training  # the first pass is the one that the examination began with
        losses, ratios = [trial.value], []
        for left in reversed(range(steps)):
            try:
                ratios += _step(patient, _clipped(patient, trial.gradients))
            except UsersError as error:  # one that wants a closure, or a loop of its own
                patient.missing.append(f"the learning rate: the optimizer takes no step of ours ({error})")
                return [], 0.0
            torch.manual_seed(0)  # the same units are dropped each time, or the losses could not be compared
            trial = patient.run(patient.batch, gradients=left > 0, taped=False)
            if trial.error:
                return [], 0.0
            losses.append(trial.value)
        return losses, median(ratios) if ratios else math.nan  # no matrix learns


def _clipped(patient: Patient, gradients: dict[str, torch.Tensor | None]) -> dict[str, torch.Tensor | None]:
    """The gradients as the user's own step clips or unscales them: the tightest limit that was seen there."""
    clips = patient.recording.clips
    norm = min((call.limit for call in clips if call.limits_norm), default=math.inf)
    value = min((call.limit for call in clips if not call.limits_norm), default=math.inf)
    whole = math.sqrt(sum(float(grad.norm()) ** 2 for grad in gradients.values() if grad is not None))
    factor = norm / whole if whole > norm else patient.shrunk
    scaled = {name: None if grad is None else grad * factor for name, grad in gradients.items()}
    if value == math.inf:  # complex numbers have no order, and torch refuses to clamp them
        return scaled
    return {name: None if grad is None else grad.clamp(-value, value) for name, grad in scaled.items()}


def _last(patient: Patient, factor: float, start: float) -> float:
    """The loss after all steps with so many times the rate; that of the start, if that fails."""
    losses, _ = _losses(patient, factor)
    return losses[-1] if losses else start


def _step(patient: Patient, gradients: dict[str, torch.Tensor | None]) -> list[float]:
    """One step of the user's optimizers; the update:data ratio of every matrix."""
    before = [(p, p.detach().clone()) for p in patient.trained.values() if p.ndim > 1 and p.numel() > 1]
    patient.descend(gradients, patient.optimizers)
    spreads = [(p.detach() - old, float(old.std())) for p, old in before]
    return [float(update.std() / (spread + 1e-12)) for update, spread in spreads if spread > 0]


def _noise(patient: Patient) -> float:
    """How much the first loss varies with the seed (dropout, sampling)."""
    values = patient.first_losses
    return max(values) - min(values) if all(map(math.isfinite, values)) else 0.0
