"""Layers are the same object where several were meant, or two where one was meant (family 21)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from ... import walk
from ...patient import Patient
from ...report import Finding, Page

REPEATED = Page(
    id="same-layer-repeated",
    number=21,
    severity="warning",
    title="a list holds the same layer several times",
    why="`[layer] * n` makes n names for one layer: the net has the weights of one, used n times.",
    evidence="The same module, with weights that learn, stands several times in one container.",
    legitimate="Weights shared through depth on purpose.",
    cure="`nn.ModuleList(Layer() for _ in range(n))`, or `copy.deepcopy`.",
)
UNTIED = Page(
    id="tied-weights-apart",
    number=21,
    severity="warning",
    title="an embedding and the output layer began equal, and are two tensors",
    why="A copy is equal only until the first step; each then learns by itself.",
    evidence="The table of an embedding and the weight of a product are equal to the last bit, and both learn.",
    legitimate="An output layer that is only initialised with the embedding.",
    cure="`self.out.weight = self.embedding.weight`, the Parameter itself, after everything that makes it anew.",
)
PAGES = (REPEATED, UNTIED)


def check(patient: Patient) -> Iterator[Finding]:
    """Both need only the modules, and the tape for what each weight is used for."""
    for path, module in patient.modules():
        if isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict):
            inner = [one for one in module._modules.values() if one is not None]
            for one in {id(one): one for one in inner}.values():
                count = sum(one is other for other in inner)
                if count > 1 and any(p.requires_grad for _, p in walk.parameters(one)):
                    evidence = f"`{path or 'the model'}` holds the same {type(one).__name__} {count} times"
                    yield REPEATED.found(evidence, f"{path or 'the model'} ({type(module).__name__})")
    yield from _untied(patient)


def _untied(patient: Patient) -> Iterator[Finding]:
    calls = patient.training.tape.calls
    tables = {id(one): one for call in calls if call.name == "embedding" for one in call.inputs[1:2]}
    weights = {
        id(one): one
        for call in calls
        if call.name in ("linear", "matmul")
        for one in call.inputs[1:2]
        if one.ndim == 2
    }
    for table in tables.values():
        for key, weight in weights.items():
            pair = isinstance(table, nn.Parameter) and isinstance(weight, nn.Parameter)
            if not pair or id(table) == key or table.shape != weight.shape or table.data_ptr() == weight.data_ptr():
                continue
            learn = table.requires_grad and weight.requires_grad
            if (
                learn
                and torch.equal(table, weight)
                and table.numel() > 1
                and not bool((table == table.flatten()[0]).all())
            ):
                one, other = (patient.names.get(id(p), "?") for p in (table, weight))
                yield UNTIED.found(f"{one} and {other}, both of shape {tuple(table.shape)}")
