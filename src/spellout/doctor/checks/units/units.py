"""Units can be dead or saturated, and signals can fade or explode (families 18 and 19).

What the user's initialisation does is compared with the same model initialised afresh as torch does it, three
times, on the same batch: a ReLU that is dead for a small batch by chance is dead there as often.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import torch

from ...case import Trial
from ...patient import Patient
from ...report import Finding, Page, Severity
from ...tape import AFFINE, Call, Tape

DEAD = Page(
    id="dead-relu",
    number=18,
    severity="warning",
    title="ReLU units are dead",
    why="A unit that is negative for every sample gives zero and gets no gradient: it stays dead.",
    evidence="The share of units that are zero for the whole batch, "
    "and the share in the same model initialised afresh.",
    legitimate="Sparse codes; trained models with spare units.",
    cure="Smaller weights or learning rate, bias at zero, inputs of zero mean; Kaiming initialisation; LeakyReLU.",
    symptom=True,
)
SATURATED = Page(
    id="saturated-units",
    number=18,
    severity="warning",
    title="tanh or sigmoid units are saturated",
    why="Where |tanh| is near 1 its slope is near 0, and no gradient passes.",
    evidence="The share of outputs beyond 0.97 of the range, and the share in the same model initialised afresh.",
    legitimate="Gates that are meant to be open or closed; "
    "units that training drove there (a note, once the optimizer has stepped).",
    cure="Smaller weights before the activation (gain/√fan_in), scaled inputs, or a normalisation.",
    symptom=True,
)
FADES = Page(
    id="signal-fades-or-explodes",
    number=19,
    severity="warning",
    title="the signal changes its scale through depth",
    why="Layers far from the loss get gradients that are too small to learn from, "
    "or so large that the first step breaks them.",
    evidence="The spread between samples after the first and the last hidden layer, "
    "and the layers' gradients relative to their weights.",
    legitimate="Scales that a later normalisation undoes; layers that start at zero, which are asked with "
    "ordinary weights instead.",
    cure="Weights of standard deviation gain/√fan_in, residual connections, or a normalisation.",
    symptom=True,
)
PAGES = (DEAD, SATURATED, FADES)

_SAMPLES = 64
"""Enough to see the spread between samples change by a factor of ten thousand."""
Shares = dict[int, tuple[float, str | None, int]]
"""By the index of a call: the share of its units or outputs, the user's line, and how many units there are."""


def check(patient: Patient) -> Iterator[Finding]:
    """Dead, saturated, fading: against the same model initialised afresh."""
    own = patient.training.tape
    # Training may drive units to their ends for good reasons: then that they are there is only worth knowing.
    ends: Severity = "note" if any(optimizer.state for optimizer in patient.optimizers) else "warning"
    measures: tuple[tuple[Page, Callable[[Tape, float], Shares], str, Severity], ...] = (
        (DEAD, _dead, "of the units are zero for the whole batch", "warning"),
        (SATURATED, _saturated, "of the outputs are beyond 0.97", ends),
    )
    found = [measure(own, least) for (_, measure, _, _), least in zip(measures, (0.4, 0.5), strict=True)]
    fresh = _fresh(patient) if any(found) else []
    for (page, measure, what, severity), places in zip(measures, found, strict=True):
        usual = [measure(tape, 0.0) for tape in fresh]
        for index, (share, where, units) in places.items():
            middle = median(shares.get(index, (0.0, None, 0))[0] for shares in usual) if usual else 0.0
            # Well beyond what three fresh models differ by, and what so few units do by chance.
            if share > middle + 0.3 + 0.5 / math.sqrt(units):
                yield page.found(f"{share:.0%} {what}; initialised afresh {middle:.0%}", where, severity)
    yield from _fading(patient)


def _fresh(patient: Patient) -> list[Tape]:
    """The tapes of three models initialised afresh: one alone may be unlucky."""
    trials = [patient.trial(train=True, seed=seed, before=lambda: _reinitialise(patient)) for seed in (11, 12, 13)]
    return [trial.tape for trial in trials if trial.error is None]


def _hidden(tape: Tape, *names: str) -> Iterator[Call]:
    """The model's calls of these names that return a tensor."""
    for call in tape.calls:
        if call.name in names and call.phase == "model" and isinstance(call.out, torch.Tensor):
            yield call


def _dead(tape: Tape, least: float) -> Shares:
    """The share of units that are zero for the whole batch, if it is larger than `least`."""
    found = {}
    for call in _hidden(tape, "relu", "relu6"):
        if call.out.ndim > 1:
            # (samples and places, units): channels are axis 1 of images, the last axis of everything else
            silent = (call.out.detach() <= 0).movedim(1 if call.out.ndim == 4 else -1, -1).flatten(0, -2)
            # Fewer than four samples or units make any share look large.
            share = float(silent.all(0).double().mean()) if min(silent.shape) >= 4 else 0.0
            if share > least:
                found[call.index] = (share, call.where, silent.shape[-1])
    return found


def _saturated(tape: Tape, least: float) -> Shares:
    """The share of outputs near the ends of the range, if it is larger than `least`."""
    found = {}
    for call in _hidden(tape, "tanh", "sigmoid"):
        values = call.out.detach().float()
        values = values * 2 - 1 if call.name == "sigmoid" else values
        share = float((values.abs() > 0.97).double().mean()) if values.numel() >= 16 else 0.0
        if share > least:
            found[call.index] = (share, call.where, values.numel())
    return found


def _fading(patient: Patient) -> Iterator[Finding]:
    """The spread between samples through the affine layers, if it changes by a factor of ten thousand."""
    trial, sizes = _without_zeros(patient)
    if trial.error is not None:
        return
    spreads = []
    for call in _hidden(trial.tape, *AFFINE):
        out = call.out.detach()
        if out.ndim > 1 and out.shape[0] > 1 and out.numel() and any(t.requires_grad for t in call.inputs):
            out = out[:: max(1, len(out) // _SAMPLES)].float()
            spreads.append(float((out - out.mean(0)).norm()) / out.numel() ** 0.5)
    norms = [
        float(grad.norm()) / (sizes[name] + 1e-12)
        for name, grad in trial.gradients.items()
        if grad is not None and grad.ndim > 1
    ]
    if len(spreads) < 4 or len(norms) < 3 or not all(map(math.isfinite, spreads)) or spreads[0] == 0:
        return
    first, last = spreads[0], spreads[-2]  # the output has a scale of its own
    gradient = norms[0] / norms[-1] if norms[-1] else math.inf
    # A signal that changes by 10⁴ is harmless where the gradients keep their scale; 10⁵ never is.
    if 1e-5 < last / first < 1e5 and (1e-4 < last / first < 1e4 or 1e-3 < gradient < 1e3):
        return
    yield FADES.found(
        f"spread between samples {first:.2g} after the first layer, {last:.2g} after the last hidden one; "
        f"gradient by weight of the first layer {gradient:.2g} of the last's"
    )


def _without_zeros(patient: Patient) -> tuple[Trial, dict[str, float]]:
    """The training pass, and the norms of its weights; what starts at zero on purpose has ordinary weights."""
    zeros = [p for p in patient.trained.values() if p.ndim > 1 and not bool(p.detach().any())]
    sizes = {name: float(p.detach().norm()) for name, p in patient.trained.items()}
    if not zeros:
        return patient.training, sizes

    def fill() -> None:
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for p in zeros:
                fan_in = p[0].numel()
                p.copy_(torch.randn(p.shape, generator=generator).to(p) / fan_in**0.5)
        sizes.update((name, float(p.detach().norm())) for name, p in patient.trained.items())

    return patient.trial(train=True, gradients=True, before=fill), sizes


def _reinitialise(patient: Patient) -> None:
    """As torch does it, never by the user's own methods; parameters of the user's own: normal, over √fan_in."""
    with torch.no_grad():
        done: set[int] = set()
        for _, module in patient.modules():
            kind: Any = type(module)
            if kind.__module__.startswith("torch.nn.modules.") and hasattr(kind, "reset_parameters"):
                kind.reset_parameters(module)
                done.update(id(p) for p in module._parameters.values() if p is not None)
        for _, parameter in patient.parameters():
            if id(parameter) not in done and parameter.is_floating_point() and parameter.requires_grad:
                if parameter.ndim > 1:
                    parameter.copy_(torch.randn_like(parameter) / max(parameter.shape[0], 1) ** 0.5)
                elif float(parameter.abs().max()) > 3:
                    parameter.zero_()
