"""Modules, parameters and living objects are found without calling any method that a user may override."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

MODE_SENSITIVE = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)
"""Modules that compute something else in train mode (if a dropout's p is not 0)."""


def modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every module once, by its first dotted name; the model itself is ''."""
    seen: set[int] = set()
    pending = [("", model)]
    while pending:
        name, module = pending.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield name, module
        inner = [
            (f"{name}.{key}" if name else key, child) for key, child in module._modules.items() if child is not None
        ]
        pending.extend(reversed(inner))


def parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Every parameter once, by its first dotted name."""
    seen: set[int] = set()
    for name, module in modules(model):
        for key, parameter in module._parameters.items():
            if parameter is not None and id(parameter) not in seen:
                seen.add(id(parameter))
                yield f"{name}.{key}" if name else key, parameter


def listed_in(optimizer: Optimizer) -> list[torch.Tensor]:
    """The parameters that an optimizer steps on, as often as it lists them."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def set_mode(model: nn.Module, train: bool) -> None:
    """Train or eval mode; a model in train mode keeps the parts that its user put into eval mode."""
    if train and model.training:
        return
    for _, module in modules(model):
        module.training = train


def living(kind: type) -> list[Any]:
    """All objects of a kind that there are; types are compared first, which are few where objects are many."""
    there = gc.get_objects()
    kinds = {one for one in set(map(type, there)) if issubclass(one, kind)}
    return [thing for thing in there if type(thing) in kinds] if kinds else []


def any_learns(model: nn.Module) -> bool:
    """Is a part in train mode whose mode matters, or does none matter outside what is frozen?"""
    found = list(modules(model))
    minds = [(name, one) for name, one in found if isinstance(one, MODE_SENSITIVE)]
    if not minds:
        return any(one.training for _, one in found)
    by_name = dict(found)
    thawed = [one for name, one in minds if _has_trained(one) or _has_trained(by_name[name.rpartition(".")[0]])]
    return any(one.training for _, one in minds) or not thawed


def _has_trained(module: nn.Module) -> bool:
    return any(parameter.requires_grad for _, parameter in parameters(module))


def address(tensor: torch.Tensor) -> int:
    """Say where a tensor lies in memory; 0 where it is lazy, sparse, or of a kind that lies nowhere."""
    try:
        return tensor.data_ptr()
    except (RuntimeError, ValueError, NotImplementedError):
        return 0
