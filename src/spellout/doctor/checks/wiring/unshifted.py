"""Targets that are the inputs: does the output that is compared with a token see that very token (family 23)?

Models and losses may shift by themselves, so the batch alone says nothing. Which outputs a target is compared with
is read off the loss: where its gradient changes when only that target changes. Then the input that holds the same
token is changed: a model that copies moves exactly there, one that shifts does not, and one that must pass a
bottleneck (an autoencoder of lines) moves everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from ...batch import TARGETS, Batch
from ...case import Trial, users_code
from ...patient import Patient
from ...report import Finding, Page
from ...tape import tensors_in

UNSHIFTED = Page(
    id="targets-not-shifted",
    number=23,
    severity="warning",
    title="the targets are the inputs, not the next tokens",
    why="A causal model that sees token t learns to repeat it; "
    "the loss goes to zero and sampling repeats one letter.",
    evidence="Integer inputs and targets are equal in every place; the output that the loss compares with a token "
    "moves when the input that holds this token is changed, and over three times as far as earlier outputs.",
    legitimate="Autoencoders of text with a bottleneck, and models or losses that shift by themselves, "
    "are not reported.",
    cure="`x, y = tokens[:, :-1], tokens[:, 1:]`.",
)
PAGES = (UNSHIFTED,)

_DIRECT = 3.0
"""How many times farther a copied token moves its own output than earlier ones; a bottleneck moves all alike."""


def check(patient: Patient) -> Iterator[Finding]:
    """Change a token in the middle and one near the end, in the target and in the input."""
    batch = patient.batch
    name = next((key for key in batch.kwargs if key in TARGETS), None)
    y = batch.targets if name is None else batch.kwargs[name]
    given = replace(batch, kwargs={key: item for key, item in batch.kwargs.items() if key != name})
    x = next((x for x in given.inputs if isinstance(y, torch.Tensor) and _equal(x, y)), None)
    if x is None or y is None or not patient.training.learns:
        return
    axis = 0 if patient.batch_axis == 1 else 1
    length = x.shape[axis]

    def with_input(new: torch.Tensor) -> Batch:
        changed = given.with_inputs(lambda tensor: new if tensor is x else tensor)
        return changed if name is None else replace(changed, kwargs={**changed.kwargs, name: y})

    def with_target(new: torch.Tensor) -> Batch:
        if name is not None:
            return replace(batch, kwargs={**batch.kwargs, name: new})
        return replace(batch, target=_put(batch.target, y, new))

    for moment in sorted({length // 2, length - 1}):
        targets = [with_target(_changed(y, axis, when)) for when in (moment, moment - 1)]
        if not _sees(patient, targets, with_input(_changed(x, axis, moment))):
            return
    yield UNSHIFTED.found(
        f"{x.numel()} places, all equal; the output compared with token {length // 2} moves with that very token"
    )


def _equal(x: torch.Tensor, y: torch.Tensor) -> bool:
    """Are these tokens in time, and the same?"""
    tokens = x.shape == y.shape and x.ndim > 1 and x.shape[1] > 2 and not x.is_floating_point()
    return tokens and torch.equal(x, y.to(x.dtype)) and len(torch.unique(x)) > 2


def _sees(patient: Patient, targets: list[Batch], moved: Batch) -> bool:
    """Do the outputs compared with the token that was changed move farther than those compared with the one before?

    `targets` are the batches with one or the other target changed, `moved` the one with the input changed.
    """
    with patient.borrowed(train=False):
        patient.perturb()  # what starts at zero must not hide a path
        base, slope = _run(patient, patient.batch)
        slopes = [_run(patient, one)[1] for one in targets]
        other, _ = _run(patient, moved)
        if base.error is not None or other.error is not None:
            return False
        one, two = _answer(base), _answer(other)
        if one.shape != two.shape:
            return False
        far = (two - one).detach().abs()
    compared = [far[(one - slope).abs() > 1e-12] for one in slopes if one is not None and slope is not None]
    if len(compared) < 2 or not all(map(len, compared)):
        return False
    own, earlier = (float(part.mean()) for part in compared)
    return own > _DIRECT * earlier and own > 1e-6


def _run(patient: Patient, batch: Batch) -> tuple[Trial, torch.Tensor | None]:
    """A pass, and the gradient of its loss at the output; None if the loss does not come from there."""
    torch.manual_seed(0)
    trial = patient.run(batch, taped=False)
    if trial.error is not None or not trial.learns or not _answer(trial).requires_grad:
        return trial, None
    with users_code():
        (slope,) = torch.autograd.grad(trial.loss, _answer(trial), allow_unused=True)  # type: ignore[arg-type]
    return trial, slope


def _answer(trial: Trial) -> torch.Tensor:
    """The largest floating-point tensor of the output: the logits, whatever stands beside them."""
    found = [one for one in tensors_in(trial.output) if one.is_floating_point()]
    return max(found, key=torch.numel, default=trial.main)


def _changed(tokens: torch.Tensor, axis: int, moment: int) -> torch.Tensor:
    """The next token that occurs, at one moment of every line."""
    values, place = torch.unique(tokens, return_inverse=True)
    other = tokens.clone()
    other.select(axis, moment).copy_(values[(place.select(axis, moment) + 1) % len(values)])
    return other


def _put(target: Any, old: torch.Tensor, new: torch.Tensor) -> Any:
    """The target with one tensor exchanged."""
    if isinstance(target, dict):
        return {key: _put(item, old, new) for key, item in target.items()}
    if isinstance(target, list | tuple):
        return type(target)(_put(item, old, new) for item in target)
    return new if target is old else target
