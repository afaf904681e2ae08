"""The blocks of a Transformer: residuals that are missing or double, layers that run twice, norms and dropout.

The residual stream is read off the tape: a part is bypassed if something that does not come from it is added to
what does. Everything here is asked only of models with attention, except where a module alone says it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import nn

from ... import walk
from ...case import Trial
from ...graph import has_own_backward
from ...patient import Patient
from ...report import Finding, Page
from ...tape import MOVES, Call, Tape, words
from .reading import attentions
from .seen import Attention

CUT = Page(
    id="residual-missing",
    number=26,
    severity="warning",
    title="a residual connection is missing",
    why="Everything must pass through this part, while its neighbours are bypassed: "
    "the gradient of all layers below goes through it.",
    evidence="Nothing that bypasses this part is added to its result; other parts of the same model are bypassed.",
    legitimate="A part between two stages that changes what is represented; "
    "attention among learned queries that have seen nothing of the input yet (DETR) is not meant.",
    cure="`x = x + attention(norm(x))`, `x = x + mlp(norm(x))`.",
)
DOUBLE = Page(
    id="residual-doubled",
    number=26,
    severity="warning",
    title="the residual is added twice",
    why="The stream doubles in every block (2, 4, 8, …): later layers count for nothing beside it.",
    evidence="The same tensor is added to a sum that holds it already.",
    legitimate="A stream that is doubled on purpose.",
    cure="Add `x` in one place: in the part itself or in the block around it.",
)
RUNS_TWICE = Page(
    id="layer-runs-twice",
    number=26,
    severity="warning",
    title="one of several equal layers runs more often than the others",
    why="The net is deeper than its list says, with weights that serve two places.",
    evidence="How often the weights of the layers of one list are used in one pass.",
    legitimate="Layers that are looped on purpose.",
    cure="Call each layer of the list once.",
)
REPEATED = Page(
    id="layer-repeated",
    number=26,
    severity="warning",
    title="a list holds the same layer several times",
    why="`[layer] * n` repeats one object: all n places have the same weights, and there is one layer to train.",
    evidence="One module with parameters stands in a ModuleList or Sequential more than once.",
    legitimate="Weights that are shared on purpose (ALBERT, Universal Transformers).",
    cure="`nn.ModuleList([Layer() for _ in range(n)])`, or `copy.deepcopy`.",
)
NO_GAIN = Page(
    id="norm-gain-zero",
    number=26,
    severity="warning",
    title="a norm before a layer starts with a gain of zero",
    why="The layer after it sees nothing of its input, only a constant.",
    evidence="All gains of the norm are 0, and its result goes into a product.",
    legitimate="At the end of a branch that is then added (Swin v2); that is not reported.",
    cure="Start gains at 1; only the last layer of a branch may start at 0.",
)
DROPOUT = Page(
    id="dropout-too-high",
    number=26,
    severity="warning",
    title="dropout leaves hardly anything",
    why="With p = 0.95 one number in twenty is left, twenty times as large: mostly noise is learned.",
    evidence="The p of a dropout module, or of a call in a training pass.",
    legitimate="Denoising on purpose.",
    cure="p is the share that is dropped: 0.1 to 0.5. `1 - keep` if you have the share that is kept.",
)
LINEAR = Page(
    id="linear-after-linear",
    number=26,
    severity="warning",
    title="two linear layers with nothing between them",
    why="Together they are one linear map, however wide the layer between them is.",
    evidence="The result of a linear layer, at least as wide as what goes in and what comes out, "
    "goes straight into another and nowhere else, and both learn.",
    legitimate="Narrow layers between (LoRA, low rank) are not reported; nets that are linear on purpose are.",
    cure="Put a GELU or ReLU between them.",
)
PAGES = (CUT, DOUBLE, RUNS_TWICE, REPEATED, NO_GAIN, DROPOUT, LINEAR)

_JOINS = words("add cat sub lerp addcmul stack mul")
_ACTIVATIONS = words("relu gelu silu tanh sigmoid elu leaky_relu relu6 mish hardswish glu softplus selu")
_MANY = 24
"""So many attentions are followed through the pass at most."""


def check(patient: Patient) -> Iterator[Finding]:
    """The modules by themselves, and what a training pass shows."""
    yield from _dropout(patient)
    yield from _repeated(patient)
    found = attentions(patient.training)
    yield from _straight(patient.training.tape)
    if not found:
        return
    yield from _gains(patient.training.tape)
    yield from _uses(patient)
    yield from _doubled(patient.training)
    yield from _cut(patient.training, found)


def _dropout(patient: Patient) -> Iterator[Finding]:
    for name, module in patient.modules():
        rate = module.p if isinstance(module, nn.modules.dropout._DropoutNd) else getattr(module, "dropout", 0.0)
        if isinstance(rate, float) and 0.9 <= rate <= 1 and isinstance(
            module, nn.modules.dropout._DropoutNd | nn.MultiheadAttention | nn.RNNBase
        ):  # fmt: skip
            yield DROPOUT.found(f"p = {rate:g}", f"{name or 'the model'} ({type(module).__name__})")
            return
    for call in patient.training.tape.calls:
        if call.drops >= 0.9:
            yield DROPOUT.found(f"p = {call.drops:g}", call.where)
            return


def _repeated(patient: Patient) -> Iterator[Finding]:
    for name, module in patient.modules():
        if not isinstance(module, nn.ModuleList | nn.Sequential):
            continue
        parts = [part for part in module._modules.values() if part is not None]
        for part in dict.fromkeys(parts):
            if parts.count(part) > 1 and any(one.numel() for _, one in walk.parameters(part)):
                kind = type(part).__name__
                yield REPEATED.found(f"{parts.count(part)} of {len(parts)} are one {kind}", name or "the model")
                break


def _gains(tape: Tape) -> Iterator[Finding]:
    for call in tape.calls:
        if call.name not in ("layer_norm", "rms_norm") or call.phase != "model" or not call.outputs:
            continue
        gain = call.argument(2, "weight")
        if isinstance(gain, torch.Tensor) and gain.numel() and not bool(gain.any()):
            users = list(_users(tape, call))
            if users and all(user.name in ("linear", "matmul", "multi_head_attention_forward") for user in users):
                yield NO_GAIN.found(f"all {gain.numel()} gains are 0", call.where)
                return


def _users(tape: Tape, call: Call) -> Iterator[Call]:
    """The calls that take a result, looking through those that only move it, or drop some of it."""
    held = {id(tensor) for tensor in call.outputs}
    for later in tape.calls[call.index + 1 :]:
        if any(id(tensor) in held for tensor in later.inputs):
            if later.name in MOVES or later.name == "dropout":
                held.update(id(tensor) for tensor in later.outputs)
            else:
                yield later


def _straight(tape: Tape) -> Iterator[Finding]:
    for call in tape.calls:
        if call.name != "linear" or call.phase != "model" or not call.outputs:
            continue
        source = tape.source(call.inputs[0], MOVES | {"dropout"}, call.index)
        if source is None or source.name != "linear":
            continue
        given, between, gone = source.inputs[0].shape[-1], source.outputs[0].shape[-1], call.outputs[0].shape[-1]
        if (
            between >= max(given, gone)
            and all(one.args[1:2] and _learns(one.args[1]) for one in (source, call))
            and call.inputs[0].shape[-1] == between
            and list(_users(tape, source)) == [call]
            and not has_own_backward(call.inputs[0], source.outputs[0])
        ):
            yield LINEAR.found(f"{given} → {between} → {gone}", call.where)
            return


def _learns(weight: object) -> bool:
    return isinstance(weight, torch.Tensor) and weight.requires_grad


def _uses(patient: Patient) -> Iterator[Finding]:
    """How often each of several equal layers runs."""
    used: dict[int, int] = {}
    for call in patient.training.tape.calls:
        for one in {id(tensor) for tensor in call.inputs if isinstance(tensor, nn.Parameter)}:
            used[one] = used.get(one, 0) + 1
    for name, module in patient.modules():
        parts = [part for part in module._modules.values() if part is not None]
        if not isinstance(module, nn.ModuleList | nn.Sequential) or len(parts) < 2:
            continue
        shapes = [[tuple(one.shape) for _, one in walk.parameters(part)] for part in parts]
        counts = [min((used.get(id(one), 0) for _, one in walk.parameters(part)), default=0) for part in parts]
        if not shapes[0] or any(one != shapes[0] for one in shapes) or 0 in counts:
            continue
        if len(set(counts)) == 2 and min(counts) == 1 and counts.count(max(counts)) * 2 <= len(counts):
            often = counts.index(max(counts))
            yield RUNS_TWICE.found(f"layer {often} runs {counts[often]} times, the others once", f"{name}.{often}")


def _doubled(trial: Trial) -> Iterator[Finding]:
    tape = trial.tape
    for call in tape.calls:
        if call.name != "add" or call.phase != "model" or len(call.inputs) != 2:
            continue
        for one, two in (call.inputs, call.inputs[::-1]):
            if one.ndim < 3 or id(one) not in trial.dependent or not one.requires_grad:
                continue
            inner = tape.maker(two, call.index)
            same = inner is not None and inner.name == "add" and any(one is part for part in inner.inputs)
            if one is two or (
                same and tape.maker(one, call.index) is tape.maker(one, inner.index if inner else None)
            ):
                yield DOUBLE.found(f"a sum of shape {tuple(one.shape)} holds one tensor twice", call.where)
                return


def _bypassed(trial: Trial, start: Call) -> bool:
    """Is something added later to what comes of a call, which does not come from it?"""
    below = {id(tensor) for tensor in start.outputs}
    for call in trial.tape.calls[start.index + 1 :]:
        mine = [tensor for tensor in call.inputs if id(tensor) in below]
        if not mine:
            continue
        below.update(id(tensor) for tensor in call.outputs)
        if call.name in _JOINS and call.phase == "model":
            for other in call.inputs:
                fits = other.shape == mine[0].shape or call.name in ("cat", "stack")
                if id(other) not in below and id(other) in trial.dependent and fits and other.is_floating_point():
                    return True
    return False


def _cut(trial: Trial, found: list[Attention]) -> Iterator[Finding]:
    square = [one for one in found if one.square and id(one.output) in trial.dependent][:_MANY]
    if len(square) < 2:
        return
    bypassed = [_bypassed(trial, attention.call) for attention in square]
    for attention, free in zip(square, bypassed, strict=True):
        if not free and (any(bypassed) or _has_residuals(trial)):
            yield CUT.found(
                f"{bypassed.count(False)} of {len(square)} attentions are not bypassed, other parts are",
                attention.where,
            )
            return
    if all(bypassed):
        for one, two in pairwise(square):
            if one.weights.shape == two.weights.shape:
                yield from _between(trial, one, two)


def _has_residuals(trial: Trial) -> bool:
    """Is anything added to what was computed from it?"""
    linear = [call for call in trial.tape.calls if call.name == "linear" and call.phase == "model"][:50]
    return any(_bypassed(trial, call) for call in linear)


def _between(trial: Trial, one: Attention, two: Attention) -> Iterator[Finding]:
    """The layers between two attentions that are bypassed themselves."""
    gap = trial.tape.calls[one.call.index + 1 : two.call.index]
    cut = [call for call in gap if call.name == "linear" and not _bypassed(trial, call)]
    if len(cut) > 1:
        first, last = cut[0], cut[-1]
        if any(call.name in _ACTIVATIONS for call in trial.tape.calls[first.index : last.index]):
            yield CUT.found(f"{len(cut)} layers between two attentions are not bypassed", last.where)
