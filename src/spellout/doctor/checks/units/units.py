"""Units that are dead, saturated, silent, or twins (families 18 and 19).

What the user's initialisation does is compared with the same model initialised afresh as torch does it, three
times, on the same batch: a ReLU that is dead for a small batch by chance is dead there as often.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

import torch
from torch import nn

from ...names import AFFINE
from ...patient import Patient
from ...report import Finding, Page, Severity
from ...tape import Tape

DEAD = Page(
    id="dead-relu",
    number=18,
    severity="warning",
    title="ReLU units are dead",
    why="A unit that is negative for every sample gives zero and gets no gradient: it stays dead.",
    evidence="The share of units that are zero for the whole batch, and the share in the same model initialised "
    "afresh.",
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
    legitimate="Gates that are meant to be open or closed; units that training drove there (a note, once the "
    "optimizer has stepped).",
    cure="Smaller weights before the activation (gain/√fan_in), scaled inputs, or a normalisation.",
    symptom=True,
)
FADES = Page(
    id="signal-fades-or-explodes",
    number=19,
    severity="warning",
    title="the signal changes its scale through depth",
    why="Layers far from the loss get gradients that are too small to learn from, or so large that the first "
    "step breaks them.",
    evidence="The spread between samples after the first and the last hidden layer, and the layers' gradients "
    "relative to their weights.",
    legitimate="Scales that a later normalisation undoes.",
    cure="Weights of standard deviation gain/√fan_in, residual connections, or a normalisation.",
    symptom=True,
)
TWINS = Page(
    id="symmetry-never-broken",
    number=19,
    severity="error",
    title="units of a layer are identical and stay so",
    why="Units with the same weights in and out get the same gradients for ever; the layer is one unit wide.",
    evidence="All rows of a weight are equal, and so are all rows of its gradient.",
    legitimate="Zero weights in a last layer or at the end of a residual branch get different gradients and are "
    "not reported.",
    cure="Initialise with random numbers; only biases may start at one value.",
)
PAGES = (DEAD, SATURATED, FADES, TWINS)


def check_exact(patient: Patient) -> Iterator[Finding]:
    """Twins: equal to the last bit, in the weight and in its gradient, now and after two steps."""
    suspects = {name for name, p in patient.parameters() if p.requires_grad and _equal_rows(p.detach())}
    if not suspects:
        return
    with patient.borrowed(train=True):
        for _ in range(3):
            torch.manual_seed(0)
            trial = patient.run(patient.batch, gradients=True, taped=False)
            if trial.error:
                return
            parameters = dict(patient.parameters())
            for name in list(suspects):
                grad = trial.gradients.get(name)
                if grad is None or not _equal_rows(grad):
                    suspects.discard(name)
            with torch.no_grad():
                for name, grad in trial.gradients.items():
                    if grad is not None:
                        parameters[name].data = parameters[name].data - 0.1 * grad
    silent = all(
        float(g.norm()) == 0 for n, g in patient.training.gradients.items() if n in suspects and g is not None
    )
    names = sorted(suspects)
    if names and not (silent and len(names) == 1):
        rows = dict(patient.parameters())[names[0]].shape[0]
        yield TWINS.found(
            f"{', '.join(names[:3])}: all {rows} rows equal, and all rows of the gradient, for three steps"
        )


def _equal_rows(weight: torch.Tensor) -> bool:
    if weight.ndim < 2 or weight.shape[0] < 2:
        return False
    spread = (weight - weight[:1]).abs().max()
    return bool(spread <= 1e-7 * weight.abs().max())


def check(patient: Patient) -> Iterator[Finding]:
    """Dead, saturated, fading: against the same model initialised afresh."""
    tape = patient.training.tape
    dead, saturated, fading = _dead(tape), _saturated(tape), _fading(patient)
    if not dead and not saturated and fading is None:
        return
    fresh = [patient.trial(train=True, seed=seed, before=lambda: reinitialise(patient)) for seed in (11, 12, 13)]
    usual_dead = _usual([_dead(trial.tape) for trial in fresh if trial.error is None])
    usual_saturated = _usual([_saturated(trial.tape) for trial in fresh if trial.error is None])
    for place, (share, where) in dead.items():
        usual = usual_dead.get(place, 0.0)
        if share > 0.4 and share > usual + 0.3:
            yield DEAD.found(
                f"{share:.0%} of the units are zero for the whole batch; initialised afresh {usual:.0%}", where
            )
    # Training may drive units to their ends for good reasons: then that they are there is only worth knowing.
    severity: Severity = "note" if any(optimizer.state for optimizer in patient.optimizers) else "warning"
    for place, (share, where) in saturated.items():
        usual = usual_saturated.get(place, 0.0)
        if share > 0.5 and share > usual + 0.3:
            yield SATURATED.found(
                f"{share:.0%} of the outputs are beyond 0.97; initialised afresh {usual:.0%}", where, severity
            )
    if fading is not None:
        yield FADES.found(fading)


def _usual(trials: list[dict[int, tuple[float, str | None]]]) -> dict[int, float]:
    places = {place for trial in trials for place in trial}
    return {place: median(trial.get(place, (0.0, None))[0] for trial in trials) for place in places}


def _dead(tape: Tape) -> dict[int, tuple[float, str | None]]:
    """By call: the share of units that are zero for the whole batch."""
    found = {}
    for call in tape.calls:
        if (
            call.name in ("relu", "relu6")
            and call.phase == "model"
            and isinstance(call.out, torch.Tensor)
            and call.out.ndim > 1
        ):
            silent = _by_unit(call.out.detach() <= 0)
            if silent.shape[0] >= 4 and silent.shape[1] >= 4:
                share = float(silent.all(0).double().mean())
                if share > 0.4:
                    found[call.index] = (share, call.where)
    return found


def _saturated(tape: Tape) -> dict[int, tuple[float, str | None]]:
    """By call: the share of outputs near the ends of the range."""
    found = {}
    for call in tape.calls:
        if call.name in ("tanh", "sigmoid") and call.phase == "model" and isinstance(call.out, torch.Tensor):
            values = call.out.detach().float()
            values = values * 2 - 1 if call.name == "sigmoid" else values
            share = float((values.abs() > 0.97).double().mean()) if values.numel() >= 16 else 0.0
            if share > 0.5:
                found[call.index] = (share, call.where)
    return found


_SAMPLES = 64
"""Enough to see the spread between samples change by a factor of ten thousand."""


def _by_unit(values: torch.Tensor) -> torch.Tensor:
    """Samples (and places) down, units across: channels are axis 1 of images, the last axis of everything else."""
    axis = 1 if values.ndim == 4 else values.ndim - 1
    return values.movedim(axis, -1).reshape(-1, values.shape[axis])


def _fading(patient: Patient) -> str | None:
    """The spread between samples through the affine layers, if it changes by a factor of ten thousand."""
    spreads = []
    for call in patient.training.tape.calls:
        if call.name in AFFINE and call.phase == "model":
            out = call.out.detach()
            if out.ndim > 1 and out.shape[0] > 1 and any(t.requires_grad for t in call.inputs):
                out = out[:: max(1, len(out) // _SAMPLES)].float()
                spreads.append(float((out - out.mean(0)).norm()) / out.numel() ** 0.5)
    if len(spreads) < 4 or min(spreads) < 0 or not all(math.isfinite(spread) for spread in spreads):
        return None
    first, last = spreads[0], spreads[-2]
    norms = _gradient_norms(patient)
    if len(norms) < 3 or first == 0:
        return None
    gradient = norms[0] / norms[-1] if norms[-1] else math.inf
    ratio = last / first
    if not 1e-5 < ratio < 1e5 or (not 1e-4 < ratio < 1e4 and not 1e-3 < gradient < 1e3):
        return (
            f"spread between samples {first:.2g} after the first layer, {last:.2g} after the last hidden one; "
            f"gradient by weight of the first layer {gradient:.2g} of the last's"
        )
    return None


def _gradient_norms(patient: Patient) -> list[float]:
    gradients = patient.training.gradients
    return [float(g.norm()) / float(p.detach().norm() + 1e-12) for name, p in patient.parameters()
            if p.ndim > 1 and (g := gradients.get(name)) is not None]  # fmt: skip


_STANDARD = (
    nn.Linear, nn.Bilinear, nn.Embedding, nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell, nn.RNNCell, nn.Conv1d,
    nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.LayerNorm, nn.GroupNorm,
    nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d,
)  # fmt: skip


def reinitialise(patient: Patient) -> None:
    """As torch does it, never by the user's own methods; parameters of the user's own: normal, over √fan_in."""
    with torch.no_grad():
        done: set[int] = set()
        for _, module in patient.modules():
            kind = next((kind for kind in _STANDARD if type(module) is kind), None)
            if kind is not None:
                kind.reset_parameters(module)  # type: ignore[arg-type]
                done.update(id(p) for p in module._parameters.values() if p is not None)
        for _, parameter in patient.parameters():
            if id(parameter) not in done and parameter.is_floating_point() and parameter.requires_grad:
                if parameter.ndim > 1:
                    parameter.copy_(torch.randn_like(parameter) / max(parameter.shape[0], 1) ** 0.5)
                elif float(parameter.abs().max()) > 3:
                    parameter.zero_()
