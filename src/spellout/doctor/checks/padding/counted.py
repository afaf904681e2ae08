"""Does the loss feel the outputs at padding (family 27)? Its gradient with respect to them says so exactly."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page
from .places import Padding, inputs_with_padding, padding_in

COUNTED = Page(
    id="padding-in-the-loss",
    number=27,
    severity="warning",
    title="padding counts in the loss",
    why="Predicting padding is easy: the loss looks better than it is, and the gradient is spent on it.",
    evidence="The gradient of the loss is not zero with respect to outputs at places of padding.",
    legitimate="One end-of-line token per row is not meant.",
    cure="`ignore_index=` the padding's label, or a mask: `(loss * mask).sum() / mask.sum()`.",
)
ONLY = Page(
    id="only-padding-in-the-loss",
    number=27,
    title="only padding counts in the loss",
    why="The mask is the wrong way round: no real token is learned.",
    evidence="The gradient of the loss is exactly zero with respect to every output that is not at padding.",
    cure="Turn the mask round (`target != pad`).",
)
IGNORED = Page(
    id="ignore-index-is-a-label",
    number=27,
    severity="warning",
    title="ignore_index is a real label, not the padding's",
    why="That label is never learned, and the padding is.",
    evidence="The labels at padding and elsewhere.",
    legitimate="A class that shall not count.",
    cure="Give the label that stands at padding.",
)
PAGES = (COUNTED, ONLY, IGNORED)
_LITTLE = 0.05
"""A share of places that is not worth a word."""


def check(patient: Patient) -> Iterator[Finding]:
    """Outputs and targets with one place per token."""
    target, trial = patient.batch.targets, patient.training
    if target is None or target.ndim != 2 or trial.loss is None or not trial.learns or patient.batch_axis != 0:
        return
    given = list(inputs_with_padding(patient))
    # Labels may end in equal ones by themselves: it is padding where the inputs have padding, too.
    own = padding_in(target) if given or _empty_rows(patient, target) else None
    padding = own or next((padding for x, padding in given if x.shape == target.shape), None)
    if padding is None:
        return
    yield from _ignored(patient, target, padding)
    felt = _felt(patient, target)
    if felt is None:
        return
    real, empty = felt[~padding.mask], felt[_beyond_the_first(padding)]
    if not bool(real.any()) and bool(felt[padding.mask].any()):
        yield ONLY.found(f"{padding}, and no other place has a gradient", _line(patient))
    elif len(empty) and float(empty.float().mean()) > 0.9 and len(empty) > _LITTLE * felt.numel():
        yield COUNTED.found(f"{padding}, and the loss counts them", _line(patient))


def _empty_rows(patient: Patient, target: torch.Tensor) -> bool:
    """Are vectors zero wherever the targets end in equal ones?"""
    padding = padding_in(target)
    wide = (x for x in patient.batch.inputs if x.ndim > 2 and x.shape[:2] == target.shape)
    return padding is not None and any(not bool(x[padding.mask].any()) for x in wide)


def _beyond_the_first(padding: Padding) -> torch.Tensor:
    """The first place of padding may be the end of a line, which is worth learning."""
    mask = padding.mask
    inner = mask.clone()
    if padding.right:
        inner[:, 1:] &= mask[:, :-1]
        inner[:, 0] = False
    return inner


def _felt(patient: Patient, target: torch.Tensor) -> torch.Tensor | None:
    """At which places of the target the loss feels the output; None if that cannot be read off the shapes."""
    main = patient.training.main
    if not main.requires_grad or patient.training.loss is None:
        return None
    slope = torch.autograd.grad(patient.training.loss, main, retain_graph=True, allow_unused=True)[0]
    if slope is None:
        return None
    moved = slope != 0
    if moved.numel() == target.numel():
        return moved.reshape(target.shape)
    if moved.ndim == 3 and moved.shape[:2] == target.shape:
        return moved.any(2)
    if moved.ndim == 3 and (moved.shape[0], moved.shape[2]) == tuple(target.shape):
        return moved.any(1)
    if moved.ndim == 2 and moved.shape[0] == target.numel():
        return moved.any(1).reshape(target.shape)
    return None


def _line(patient: Patient) -> str | None:
    names = ("cross_entropy", "nll_loss", "log_softmax", "mse_loss")
    calls = patient.training.tape.calls
    return next((call.where for call in reversed(calls) if call.name in names), calls[-1].where if calls else None)


def _ignored(patient: Patient, target: torch.Tensor, padding: Padding) -> Iterator[Finding]:
    for call in patient.training.tape.calls:
        if call.name not in ("cross_entropy", "nll_loss"):
            continue
        index = call.argument(4, "ignore_index", -100)
        count = int(((target == index) & ~padding.mask).sum())
        labels = target[padding.mask]
        if count and not bool((labels == index).any()) and index >= 0:
            evidence = f"ignore_index={index} stands at {count} real places, at padding {int(labels[0])}"
            yield IGNORED.found(evidence, call.where)
