"""Every attention is found on a tape: written by hand, fused, or in torch's own module.

By hand it is a product of two things that are computed (the scores), made into weights W place by place, and a
second product, of W with a third thing (the values). That is read off the tape, whatever it was written with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import torch
from torch import nn

from ...batch import Batch
from ...case import Trial
from ...patient import Patient
from ...tape import RESHAPES, Call, tensors_in, words
from . import fused
from .seen import Attention

POINTWISE = RESHAPES | words(
    """softmax exp div mul add sub rsub masked_fill where dropout tril triu clamp sigmoid relu nan_to_num tanh neg
    pow square softplus masked_scatter setitem copy clamp_min clamp_max sqrt fill_diagonal exp2"""
)
"""Calls whose result has at each place what its argument had there, changed or not."""
PRODUCTS = words("matmul bmm mm einsum baddbmm")
"""Products of two tensors."""
_MAY_BE = PRODUCTS | fused.NAMES
_WEIGHTS = ("softmax", "exp", "sigmoid", "relu", "exp2")
"""What makes weights of scores."""
_FEW = 4
"""So many samples are enough to see what depends on what."""
_PRECISE: WeakKeyDictionary[Patient, tuple[Batch, Trial]] = WeakKeyDictionary()
_READ: WeakKeyDictionary[Patient, tuple[Trial, list[Attention]]] = WeakKeyDictionary()


def evaluated(patient: Patient) -> tuple[Trial, list[Attention]]:
    """A pass in eval mode with the weights as they are, and all its attentions in their order.

    A program without a product that may be one is not run again: then it is the training pass.
    """
    if patient not in _READ:
        may_be = any(call.name in _MAY_BE for call in patient.training.tape.calls)
        trial = patient.trial(train=False, loss=False) if may_be else patient.training
        _READ[patient] = trial, [] if trial.error else attentions(trial)
    return _READ[patient]


def precise(patient: Patient) -> tuple[Batch, Trial]:
    """A few samples, and a pass over them in float64 and eval mode with noise on the weights.

    All samples, where the model takes no fewer; with the loss, if that takes them. The pass may have failed.
    """
    axes = patient.relabelled if patient.batch.inputs and patient.batch.inputs[0].ndim < 4 else None
    if axes is not None and axes[1].loss is not None:
        return axes[0].batch, axes[1]
    if patient not in _PRECISE:
        size, axis = patient.batch.size(patient.batch_axis), patient.batch_axis
        few = [patient.batch.taken(torch.arange(_FEW), axis)] if size > _FEW else []
        for batch, loss in [(one, loss) for loss in (True, False) for one in (*few, patient.batch)]:
            _PRECISE[patient] = batch, patient.exact(batch, loss=loss)
            if _PRECISE[patient][1].error is None:
                break
    return _PRECISE[patient]


def attentions(trial: Trial) -> list[Attention]:
    """All attentions of a trial, in their order."""
    found = (one for one in (*_by_hand(trial), *fused.read(trial.tape)) if one.weights.numel())
    return sorted(found, key=lambda one: one.call.index)


def answers(trial: Trial) -> bool:
    """Did the pass succeed, and is there a number to compare in its output?"""
    return trial.error is None and any(tensor.is_floating_point() for tensor in _outputs(trial))


def _outputs(trial: Trial) -> Iterator[torch.Tensor]:
    yield from tensors_in((trial.output, getattr(trial.output, "logits", None)))


@dataclass(eq=False)
class _Score:
    product: Call
    steps: list[Call] = field(default_factory=list)
    held: set[int] = field(default_factory=set)
    """The ids of the scores and of all that was made of them."""
    weighs: bool = False
    """Something has made weights of the scores."""


def _by_hand(trial: Trial) -> Iterator[Attention]:
    tracked: dict[int, _Score] = {}
    for call in trial.tape.calls:
        if call.phase != "model":
            return
        held = [tensor for tensor in call.inputs if id(tensor) in tracked]
        if call.name in PRODUCTS and len(call.inputs) >= 2:
            one, two = call.inputs[-2:]
            if len(held) == 1 and tracked[id(held[0])].weighs:
                yield from _attention(call, held[0], tracked[id(held[0])])
            elif (
                not held and _computed(trial, one) and _computed(trial, two) and isinstance(call.out, torch.Tensor)
            ):
                tracked[id(call.out)] = _Score(call, held={id(call.out)})
        elif held and call.name in POINTWISE:
            score = tracked[id(held[0])]
            score.steps.append(call)
            score.weighs |= call.name in _WEIGHTS
            for out in call.outputs:
                if out.numel() >= held[0].numel():
                    tracked[id(out)] = score
                    score.held.add(id(out))


def _computed(trial: Trial, tensor: torch.Tensor) -> bool:
    """Not a weight, and dependent on the input."""
    return not isinstance(tensor, nn.Parameter) and tensor.ndim > 1 and id(tensor) in trial.dependent


def _attention(call: Call, weights: torch.Tensor, score: _Score) -> Iterator[Attention]:
    axes = product_axes(call, weights)
    if axes is None or not isinstance(call.out, torch.Tensor):
        return
    values = [tensor for tensor in call.inputs if tensor is not weights]
    masks = [
        tensor
        for step in score.steps
        for tensor in step.inputs
        if id(tensor) not in score.held and not tensor.requires_grad and step.name not in RESHAPES
    ]
    stood = weights.detach().movedim(axes, (-2, -1))
    made = [*score.product.inputs[-2:], *values]
    yield Attention(call, stood, call.out, made, weights.detach(), axes[1], score.product, list(score.steps), masks)


def product_axes(call: Call, weights: torch.Tensor) -> tuple[int, int] | None:
    """The axes of `weights` that the product keeps (queries) and sums over (keys); None if there is no one pair."""
    if call.name == "einsum":
        return _of_einsum(call, weights)
    operands = call.inputs[-2:]
    if weights.ndim < 2:
        return None
    if operands[0] is weights:
        return weights.ndim - 2, weights.ndim - 1
    return weights.ndim - 1, weights.ndim - 2


def summed(call: Call) -> int:
    """Over how many numbers each entry of a product is a sum; 1 if that cannot be read."""
    one = call.inputs[-2]
    if call.name != "einsum":
        return one.shape[-1]
    terms = _terms(call)
    if terms is None:
        return 1
    left, right, out = terms
    size = 1
    for letter, length in zip(left, one.shape, strict=False):
        if letter in right and letter not in out:
            size *= length
    return size


def _terms(call: Call) -> tuple[str, str, str] | None:
    equation = call.args[0] if call.args else None
    if not isinstance(equation, str) or "..." in equation or "->" not in equation:
        return _spelled(call, equation) if isinstance(equation, str) else None
    given, out = equation.replace(" ", "").split("->")
    names = given.split(",")
    return (names[0], names[1], out) if len(names) == 2 else None


def _spelled(call: Call, equation: str) -> tuple[str, str, str] | None:
    """An equation with dots, whose axes get names of their own."""
    given, arrow, out = equation.replace(" ", "").partition("->")
    names = given.split(",")
    if not arrow or len(names) != 2:
        return None
    spare = "ΑΒΓΔΕΖΗΘ"
    lengths = [
        tensor.ndim - len(name.replace("...", "")) for name, tensor in zip(names, call.inputs[-2:], strict=True)
    ]
    most = max(lengths)
    if most > len(spare):
        return None
    left, right = (
        name.replace("...", spare[most - length : most]) for name, length in zip(names, lengths, strict=True)
    )
    return left, right, out.replace("...", spare[:most])


def _of_einsum(call: Call, weights: torch.Tensor) -> tuple[int, int] | None:
    terms = _terms(call)
    if terms is None:
        return None
    left, right, out = terms
    mine, other = (left, right) if call.inputs[-2] is weights else (right, left)
    keys = [place for place, letter in enumerate(mine) if letter in other and letter not in out]
    queries = [place for place, letter in enumerate(mine) if letter not in other and letter in out]
    if len(keys) != 1 or len(queries) != 1:
        return None
    return queries[0], keys[0]
