"""Weights that are not all needed: layers that are one layer, and inputs joined with themselves (family 19)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import nn

from ...case import Trial
from ...graph import has_own_backward
from ...patient import Patient
from ...report import Finding, Page
from ...tape import DROPOUTS, RESHAPES, Call, Tape, words

AFFINE = Page(
    id="layers-are-one",
    number=19,
    severity="warning",
    title="the whole model is linear: its layers come to one",
    why="Two linear layers in a row are a linear layer. However deep, the model only draws straight lines.",
    evidence="From the output back to the input there are only linear layers and convolutions, and none of them is "
    "narrower than what it lies between.",
    legitimate="Deep linear networks that are studied for themselves.",
    cure="Put an activation between every two of them: `nn.ReLU()`, `nn.GELU()`, `nn.Tanh()`.",
)
DOUBLED = Page(
    id="joined-with-itself",
    number=19,
    severity="warning",
    title="a tensor is joined with itself",
    why="The layer behind it sees everything twice, so half of its weights are of no use; what was meant to come "
    "in the second place, as the skip of a U-Net, does not arrive.",
    evidence="`cat` received the same computed tensor twice, a layer with weights reads the result along "
    "this axis, and another layer made a tensor of the same shape.",
    legitimate="Channels repeated to fit the weights of another model.",
    cure="Join it with the other one: `torch.cat([up, skip], dim=1)`.",
)
PAGES = (AFFINE, DOUBLED)
_LAYERS = words("linear conv1d conv2d conv3d")
_STRAIGHT = RESHAPES | DROPOUTS | words("batch_norm")
_MOST = 500


def check(patient: Patient) -> Iterator[Finding]:
    """The training pass."""
    yield from _affine(patient.training)
    yield from _doubled(patient.training.tape)


def _affine(trial: Trial) -> Iterator[Finding]:
    """Follow the one way from the output back to the input."""
    inputs = {id(one) for one in trial.batch.inputs}
    tensor, before, layers = trial.output, len(trial.tape.calls), list[Call]()
    for _ in range(_MOST):
        if id(tensor) in inputs:
            break
        call = trial.tape.maker(tensor, before)
        if call is None or call.name not in _STRAIGHT | _LAYERS:
            return
        if call.name in _LAYERS:
            if not isinstance(call.argument(1, "weight"), nn.Parameter):
                return
            layers.append(call)
        tensor, before = call.argument(0, "input"), call.index
    else:
        return
    for later, earlier in pairwise(layers):
        if has_own_backward(later.inputs[0], earlier.outputs[0]):
            continue
        if _one_place(later) and _width(earlier) >= min(_fan(earlier), _width(later)):
            names = " → ".join(str(_width(one)) for one in reversed(layers))
            yield AFFINE.found(f"{len(layers)} layers of widths {names}, and nothing between them", later.where)
            return


def _width(layer: Call) -> int:
    """The outputs of a layer."""
    return int(layer.argument(1, "weight").shape[0])


def _fan(layer: Call) -> int:
    """How many numbers each output of a layer is made of."""
    return int(layer.argument(1, "weight")[0].numel())


def _one_place(layer: Call) -> bool:
    """Does it read one place only? Two convolutions reach further than one, with fewer weights."""
    return layer.name == "linear" or layer.argument(1, "weight")[0, 0].numel() == 1


def _doubled(tape: Tape) -> Iterator[Finding]:
    for call in tape.calls:
        if call.name != "cat" or call.phase != "model" or not isinstance(call.out, torch.Tensor):
            continue
        parts, axis = list(call.argument(0, "tensors")), call.argument(1, "dim", 0)
        twice = [one for one in parts if sum(one is other for other in parts) > 1 and one.requires_grad]
        if not twice or not _is_read(tape, call, axis % call.out.ndim):
            continue
        other = _other(tape, call, twice[0])
        if other is not None:
            shape = tuple(twice[0].shape)
            evidence = f"`cat` of one {shape} twice; `{other.name}` made another one, which is not joined"
            yield DOUBLED.found(f"{evidence} ({other.where})" if other.where else evidence, call.where)
            return


def _is_read(tape: Tape, call: Call, axis: int) -> bool:
    """Do only layers that mix this axis read the result?"""
    readers = [later for later in tape.calls[call.index + 1 :] if any(one is call.out for one in later.inputs)]
    return bool(readers) and all(
        one.name in _LAYERS and axis == (call.out.ndim - 1 if one.name == "linear" else 1) for one in readers
    )


def _other(tape: Tape, call: Call, joined: torch.Tensor) -> Call | None:
    """The last call before that made something of this shape, and not just what the joined one was made of."""
    own = {id(joined)}
    for earlier in reversed(tape.calls[: call.index]):
        outs = earlier.outputs
        if any(id(out) in own for out in outs):
            if earlier.name in _LAYERS or earlier.name == "conv_transpose2d":
                break
            own |= {id(one) for one in earlier.inputs}
    for earlier in reversed(tape.calls[: call.index]):
        for out in earlier.outputs:
            if out.shape == joined.shape and out.requires_grad and id(out) not in own and out.ndim > 1:
                return earlier
    return None
