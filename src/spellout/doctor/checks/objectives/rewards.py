"""The user's own loss is asked about better and worse answers (family 26).

Better and worse are made of the very numbers that the model gave, only exchanged with each other: what was a
probability, a logit or a log-probability stays one. So no formula needs to be recognised.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page
from ...snapshot import borrowed
from ...tape import MOVES, REGRESSIONS, Call, tensors_in, words
from ..losses.first_loss import loss_of

UPWARDS = Page(
    id="loss-rewards-mistakes",
    number=26,
    title="the loss falls when the answers get worse",
    why="Training makes the answers worse: a sign is wrong, or the optimizer maximises what should be minimised.",
    evidence="The user's own loss of the model's outputs, exchanged so that they fit the targets best and worst.",
    legitimate="Unlearning and attacks; `maximize=True` together with a score is right, and not reported.",
    cure="Take the minus away (or `maximize=True`).",
)
CONSTANT = Page(
    id="loss-is-constant",
    number=26,
    title="the loss is the same whatever the outputs are",
    why="Nothing can be learned from it.",
    evidence="The gradient with respect to the outputs is exactly zero, and other outputs give the same loss.",
    legitimate="A margin that is kept already.",
    cure="Cross entropy needs at least two classes (with one unit: `binary_cross_entropy_with_logits`); "
    "look for a softmax over one value, rounding, or a mask that is zero everywhere.",
)
PAGES = (UPWARDS, CONSTANT)
_BINARY = words("binary_cross_entropy binary_cross_entropy_with_logits")
_FREE = words("sub rsub pow square abs mean sum neg mul rmul div add sqrt getitem")
_VALUES = REGRESSIONS | words("pow square abs where")
"""With one of these a number that the target picks is compared with another."""
_LOSSES = words("cross_entropy nll_loss")
_OVERLAP = words("sigmoid mul rmul sum mean add sub rsub div rdiv neg clamp_min")
"""What the overlap of two masks is computed with."""


def check(patient: Patient) -> Iterator[Finding]:
    """Only where one output is compared with one target."""
    trial, target = patient.training, patient.batch.target
    if trial.loss is None or not isinstance(target, torch.Tensor) or trial.output is not trial.main:
        return
    if not trial.learns or not math.isfinite(trial.value):
        return
    yield from _constant(patient)
    if any(_turns(call, trial.main) for call in trial.tape.calls if call.phase == "loss"):
        return
    pair = _exchanged(patient, trial.main.detach(), target)
    if pair is None or not _learns_mostly(patient):
        return
    better, worse = (loss_of(patient, one, target) for one in pair)
    most = [group.get("maximize", False) for one in patient.optimizers for group in one.param_groups]
    gain = worse - better if not (most and all(most)) else better - worse
    if gain < -1e-4 * (abs(better) + abs(worse)):
        how = " and the optimizer has maximize=True" if most and all(most) else ""
        yield UPWARDS.found(
            f"loss of the best order {better:.4g}, of the worst {worse:.4g}{how}", patient.training.last_line
        )


def _learns_mostly(patient: Patient) -> bool:
    """Does most of the model learn? Against frozen weights a few of an adversary's may well go uphill."""
    sizes = [(p.numel(), p.requires_grad) for _, p in patient.parameters()]
    return sum(size for size, learns in sizes if learns) > 0.5 * sum(size for size, _ in sizes)


def _constant(patient: Patient) -> Iterator[Finding]:
    own, value = patient.training.main.detach(), patient.training.value
    with borrowed(patient.case.loss, patient.batch.target):  # the model is not run
        probe = own.clone().requires_grad_(True)
        loss = patient.loss(probe, patient.batch.target)
        slope = torch.autograd.grad(loss, probe, allow_unused=True)[0] if loss.requires_grad else None
    if slope is not None and bool(slope.any()):
        return
    generator = torch.Generator().manual_seed(5)
    share = own.numel() and bool(((own >= 0) & (own <= 1)).all())  # then other probabilities
    for _ in range(3):
        noise = torch.rand(own.shape, generator=generator) if share else torch.randn(own.shape, generator=generator)
        other = noise.to(own) if share else own + 3 * noise.to(own)
        if not abs(loss_of(patient, other, patient.batch.target) - value) <= 1e-6 * abs(value):
            return
    yield CONSTANT.found(
        f"loss {value:.4g} for the model's outputs and for three others", patient.training.last_line
    )


def _exchanged(
    patient: Patient, output: torch.Tensor, target: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The outputs in the best and in the worst order, if it is known what the target asks for."""
    calls = [call for call in patient.training.tape.calls if call.phase == "loss"]
    names = {call.name for call in calls}
    if not target.is_floating_point():
        if names & _VALUES and not names & _LOSSES:  # a picked value that is compared, as of an action, is no score
            return None
        return _rows(output, target) if any(_picks(call, output, target) for call in calls) else None
    free = names - MOVES <= _FREE and bool(names & words("sub rsub")) and bool(names & words("pow square abs mul"))
    masks = bool(((target == 0) | (target == 1)).all())
    free |= masks and names - MOVES <= _OVERLAP and "mul" in names and bool(names & words("div rdiv"))
    if target.numel() == output.numel() > 1 and (names & (REGRESSIONS | _BINARY) or free):
        order, values = target.reshape(-1).argsort(), output.reshape(-1).sort().values
        best, worst = torch.empty_like(values), torch.empty_like(values)
        best[order], worst[order] = values, values.flip(0)
        return best.view_as(output), worst.view_as(output)
    return None


def _turns(call: Call, output: torch.Tensor) -> bool:
    """Are scores turned round (distances), or samples weighted with both signs (advantages)?"""
    if call.name in ("mul", "rmul", "div"):
        if any(isinstance(one, int | float) and one < 0 for one in call.args):
            return any(one.numel() == output.numel() > 1 for one in call.outputs)
        fixed = [one for one in call.inputs if not one.requires_grad and one.numel() > 1]
        return any(bool((one < 0).any()) for one in fixed)
    turned = call.name == "neg" and any(one.numel() == output.numel() > 1 for one in call.outputs)
    return turned and any(one is output for one in call.inputs)


def _picks(call: Call, output: torch.Tensor, target: torch.Tensor) -> bool:
    """Does the target choose one of the output's numbers here?"""
    if call.name in ("cross_entropy", "nll_loss"):
        chosen = call.argument(1, "target")
    elif call.name == "gather":
        chosen = call.argument(2, "index")
    elif call.name == "getitem" and isinstance(call.args[1], tuple):  # an index alone picks whole rows
        chosen = call.args[1]
    elif call.name == "one_hot" and call.outputs and call.outputs[0].shape[-1] in output.shape[1:]:
        chosen = call.argument(0, "tensor", call.args[:1])
    else:
        return False
    return any(one.numel() and one.data_ptr() == target.data_ptr() for one in tensors_in(chosen))


def _rows(output: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """In every row the score of the right class is exchanged with the highest, and with the lowest."""
    axes = [axis for axis in (1, -1) if output.ndim > 1 and output.numel() // output.shape[axis] == target.numel()]
    if not axes:
        return None
    scores = output.movedim(axes[0], -1)
    labels = target.reshape(-1)
    classes = scores.shape[-1]
    known = ((labels >= 0) & (labels < classes)).nonzero().flatten()
    if classes < 2 or not len(known):
        return None
    made = []
    for pick in (scores.reshape(-1, classes).argmax(1), scores.reshape(-1, classes).argmin(1)):
        flat = scores.reshape(-1, classes).clone()
        right, other = flat[known, labels[known]], flat[known, pick[known]]
        flat[known, labels[known]], flat[known, pick[known]] = other, right
        made.append(flat.view(scores.shape).movedim(-1, axes[0]))
    return made[0], made[1]
