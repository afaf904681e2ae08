"""Is there something that learns, but that nobody owns (family 21)?

The leaves of the loss's own graph are compared with the model's parameters and with what optimizers hold.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from ... import graph, walk
from ...patient import Patient
from ...report import Finding, Page
from ...tape import Tape

UNOWNED = Page(
    id="learned-but-not-registered",
    number=21,
    title="tensors get gradients, but neither the model nor an optimizer has them",
    why="`model.parameters()` does not list them: they keep their first values, are not saved, and do not move "
    "to another device.",
    evidence="Leaves of the loss's graph that are no parameters of the model, no data, and in no optimizer.",
    legitimate="Inputs whose gradient is asked for (`autograd.grad`) and tensors updated by hand are not reported.",
    cure="`nn.Parameter(…)` for tensors; `nn.ModuleList` or `nn.ModuleDict` for layers in a list or dictionary.",
)
PAGES = (UNOWNED,)
_DEPTH = 4
"""How deep lists of lists are looked through."""


def check(patient: Patient) -> Iterator[Finding]:
    """On the training pass, and wherever the user's own steps called `backward`."""
    known = {id(p) for _, p in patient.parameters()} | {id(x) for x in (*patient.batch.inputs, *_targets(patient))}
    known |= {id(p) for one in patient.recording.optimizers for p in walk.listed_in(one)}
    found: dict[int, tuple[torch.Tensor, Tape]] = {}
    for tape, end in patient.losses:
        for leaf in graph.leaves(end):
            new = id(leaf) not in known and id(leaf) not in found and tape.maker(leaf) is None
            if new and not any(_is_handled(one, leaf) for one in patient.tapes):
                found[id(leaf)] = leaf, tape
    if not found:
        return
    stepped = {id(p) for one in walk.living(Optimizer) if hasattr(one, "param_groups") for p in walk.listed_in(one)}
    lost = {key: pair for key, pair in found.items() if key not in stepped}
    held = _held(patient)
    inside = [key for key in lost if key in held]
    if inside:
        yield _held_by_the_model(patient, [(held[key], *lost[key]) for key in inside])
    elif (outside := [pair for pair in lost.values() if _is_weight(patient, *pair)]) and patient.optimizers:
        leaf, tape = outside[0]
        shapes = ", ".join(str(tuple(one.shape)) for one, _ in outside[:3])
        yield UNOWNED.found(f"{len(outside)} tensors outside the model: {shapes}", _line(tape, leaf), "warning")


def _held_by_the_model(patient: Patient, lost: list[tuple[str, torch.Tensor, Tape]]) -> Finding:
    names = list(dict.fromkeys(name for name, _, _ in lost))
    layers = any(isinstance(leaf, nn.Parameter) for _, leaf, _ in lost)
    what = "layers in a plain list or dictionary" if layers else "plain tensors with requires_grad, not registered"
    evidence = f"{len(lost)} tensors of {', '.join(names[:3])}: {what}, not in any optimizer"
    return UNOWNED.found(evidence, _line(lost[0][2], lost[0][1]), None if patient.optimizers else "warning")


def _line(tape: Tape, leaf: torch.Tensor) -> str | None:
    users = (call for call in tape.calls if any(one is leaf for one in call.inputs))
    return next((call.where for call in users), None)


def _targets(patient: Patient) -> list[torch.Tensor]:
    return [patient.batch.targets] if patient.batch.targets is not None else []


def _is_handled(tape: Tape, leaf: torch.Tensor) -> bool:
    """Does the user ask for its gradient, or move it by hand?"""
    place = leaf.data_ptr()
    for call in tape.calls:
        if call.name == "grad" and any(one is leaf for one in call.inputs):
            return True
        written = call.out is not None and call.args and call.out is call.args[0]
        if written and isinstance(call.out, torch.Tensor) and call.out.data_ptr() == place:
            return True
    return False


def _is_weight(patient: Patient, leaf: torch.Tensor, tape: Tape) -> bool:
    """A tensor that carries no samples; a parameter of another network only where the model itself uses it."""
    if isinstance(leaf, nn.Parameter):
        users = [call for call in tape.calls if any(one is leaf for one in call.inputs)]
        return patient.runs and tape is patient.training.tape and any(call.phase == "model" for call in users)
    size = patient.batch.size(patient.batch_axis)
    return leaf.ndim == 0 or size < 2 or leaf.shape[0] != size


def _held(patient: Patient) -> dict[int, str]:
    """The names of the tensors that lie in the attributes of the model's modules, by their ids."""
    names: dict[int, str] = {}
    for path, module in patient.modules():
        own = {key: value for key, value in vars(module).items() if key not in nn.Module().__dict__}
        for key, value in own.items():
            for tensor in _inside(value, _DEPTH):
                names.setdefault(id(tensor), f"`{path}.{key}`" if path else f"`self.{key}`")
    return names


def _inside(value: Any, depth: int) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, nn.Module):
        yield from (parameter for _, parameter in walk.parameters(value))
        yield from (one for _, module in walk.modules(value) for one in _plain(module))
    elif depth and isinstance(value, list | tuple | set | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _inside(item, depth - 1)
    elif depth and type(value).__module__.partition(".")[0] not in sys.stdlib_module_names | {"torch", "numpy"}:
        for item in list(getattr(value, "__dict__", {}).values()):  # an object of the user's that holds layers
            yield from _inside(item, depth - 1)


def _plain(module: nn.Module) -> list[torch.Tensor]:
    return [value for value in vars(module).values() if isinstance(value, torch.Tensor)]
