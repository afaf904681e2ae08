"""Saved, loaded and gone on with: is it what an uninterrupted training would have been (family 31)?

The doctor steps twice, takes the states of model and optimizers, goes back to the beginning, as a new process would
begin, gives the states back and steps twice more. What differs then lies outside the states.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from torch import nn

from ... import walk
from ...case import UsersError, users_code
from ...patient import Patient
from ...report import Finding, Page
from ...tape import MOVES, RANDOM, words

OUTSIDE = Page(
    id="state-outside-checkpoint",
    number=31,
    severity="warning",
    title="something that the training goes on with is not in the state",
    why="A resumed run begins with its first value: it is another training than the uninterrupted one.",
    evidence="Parameters after two steps, states taken and given back, and two more steps, "
    "beside four steps in one go, on the same batch and random numbers; "
    "or a tensor that was drawn at random and is in no state.",
    legitimate="The state of a recurrent net within one text.",
    cure="`self.register_buffer(name, tensor)`, or `get_extra_state` and `set_extra_state`; "
    "an optimizer's own in `self.state[p]`.",
)
PAGES = (OUTSIDE,)
_BEFORE, _AFTER = 2, 2
_BASE = frozenset(vars(nn.Module()))
_SCALES = words("mul div add sub neg sqrt rsqrt pow")
_States = tuple[dict[str, Any], list[dict[str, Any]]]
_Numbers = dict[str, torch.Tensor]


def check(patient: Patient) -> Iterator[Finding]:
    """Four steps in one go, beside two and two."""
    found: list[Finding] = []
    if not patient.optimizers:
        patient.missing.append("saved and loaded as uninterrupted: no optimizer is known")
    else:
        try:
            found = list(_compared(patient))
        except UsersError as error:
            patient.missing.append(f"saved and loaded as uninterrupted: not compared ({error})")
    yield from found or _drawn(patient)


def _compared(patient: Patient) -> Iterator[Finding]:
    states, between, whole, moved = _uninterrupted(patient)
    begun, resumed = _resumed(patient, states, {})
    apart = _apart(whole, resumed)
    if not moved or apart <= 1e-3 * moved:
        return
    if _apart(_uninterrupted(patient)[2], whole):
        patient.missing.append("saved and loaded as uninterrupted: not compared, the step is not reproducible")
        return
    changed = {name: now for name, now in between.items() if not _same(begun.get(name), now)}
    told = [name for name in changed if _matters(patient, states, changed, name, whole)] or [*changed]
    named = ", ".join(told[:4])
    what = f"{named} changed and is in no state" if told else "it lies outside of model and optimizer"
    effect = f"after {_AFTER} steps parameters differ by up to {apart:.3g}, where these move them {moved:.3g}"
    yield OUTSIDE.found(f"{what}; {effect}", _line(patient, told))


def _uninterrupted(patient: Patient) -> tuple[_States, _Numbers, _Numbers, float]:
    with patient.borrowed(train=True, steps=True):
        _steps(patient, 0, _BEFORE)
        with users_code():
            states: _States = copy.deepcopy(
                (patient.model.state_dict(), [one.state_dict() for one in patient.optimizers])
            )
        between, before = _outside(patient), _weights(patient)
        _steps(patient, _BEFORE, _BEFORE + _AFTER)
        return states, between, _weights(patient), _apart(before, _weights(patient))


def _resumed(patient: Patient, states: _States, given: _Numbers) -> tuple[_Numbers, _Numbers]:
    """What lay outside the states at the beginning, and the parameters at the end; `given` is put there before."""
    with patient.borrowed(train=True, steps=True):
        begun = _outside(patient)
        model, optimizers = copy.deepcopy(states)
        with users_code():
            patient.model.load_state_dict(model)
            for one, state in zip(patient.optimizers, optimizers, strict=True):
                one.load_state_dict(state)
        for name, value in given.items():
            _put(patient, name, value)
        _steps(patient, _BEFORE, _BEFORE + _AFTER)
        return begun, _weights(patient)


def _steps(patient: Patient, first: int, end: int) -> None:
    for place in range(first, end):
        torch.manual_seed(place)
        trial = patient.run(patient.batch, gradients=True, taped=False)
        if trial.error is not None:
            raise UsersError(trial.error)
        patient.descend(trial.gradients, patient.optimizers)


def _matters(patient: Patient, states: _States, changed: _Numbers, name: str, whole: _Numbers) -> bool:
    """Do the ends differ where all but this one are given back?"""
    if len(changed) > 5:
        return True
    rest = {key: value for key, value in changed.items() if key != name}
    return bool(_apart(_resumed(patient, states, rest)[1], whole))


def _weights(patient: Patient) -> _Numbers:
    return {name: p.detach().clone() for name, p in patient.parameters()}


def _apart(one: _Numbers, other: _Numbers) -> float:
    pairs = [(a, other[name]) for name, a in one.items() if name in other and a.shape == other[name].shape]
    return max((float((a - b).abs().max().nan_to_num(1.0)) for a, b in pairs if a.numel()), default=0.0)


def _same(one: torch.Tensor | None, other: torch.Tensor) -> bool:
    return one is not None and one.shape == other.shape and torch.equal(one.nan_to_num(), other.nan_to_num())


def _holders(patient: Patient) -> Iterator[tuple[str, dict[str, Any], frozenset[str]]]:
    """What has attributes of its own: a name, the attributes, and which of them are torch's."""
    for path, module in patient.modules():
        yield (f"{path}." if path else "self."), vars(module), _BASE
        unsaved = {key: one for key, one in module._buffers.items() if key in module._non_persistent_buffers_set}
        yield (f"{path}." if path else "self."), unsaved, frozenset()
    for one in patient.optimizers:
        yield f"{type(one).__name__}.", vars(one), _optimizers_own()


@cache
def _optimizers_own() -> frozenset[str]:
    """The attributes of every optimizer; to make one imports torch's compiler, so not before there is another."""
    return frozenset(vars(torch.optim.SGD([torch.zeros(1)], lr=0.1)))


def _outside(patient: Patient) -> _Numbers:
    """Tensors and numbers that no state holds, by name."""
    found: _Numbers = {}
    for prefix, attributes, known in _holders(patient):
        for key, value in attributes.items():
            if key not in known:
                found |= {f"`{prefix}{key}`{place}": one for place, one in _numbers(value)}
    return found


def _numbers(value: Any, depth: int = 2) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        if not isinstance(value, nn.Parameter) and value.layout == torch.strided:
            yield "", value.detach().clone()
    elif isinstance(value, bool | int | float):
        yield "", torch.tensor(value)
    elif depth and isinstance(value, dict | list | tuple) and len(value) <= 100:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in items:
            place = key if isinstance(key, str | int) else "…"
            yield from ((f"[{place!r}]{inner}", it) for inner, it in _numbers(one, depth - 1))


def _put(patient: Patient, name: str, value: torch.Tensor) -> None:
    """Give an attribute the value that it had."""
    for prefix, attributes, _ in _holders(patient):
        for key, there in attributes.items():
            if f"`{prefix}{key}`" == name:
                if isinstance(there, torch.Tensor) and there.shape == value.shape:
                    there.copy_(value)
                else:
                    attributes[key] = value.clone() if isinstance(there, torch.Tensor) else value.item()
                return


def _drawn(patient: Patient) -> Iterator[Finding]:
    """Tensors that the model computes with, that were drawn at random, and that no state holds."""
    tape = patient.recording.tape
    if tape is None:
        return
    used = {id(one) for call in patient.training.tape.calls for one in call.inputs}
    for prefix, attributes, known in _holders(patient):
        for key, value in attributes.items():
            if key in known or not isinstance(value, torch.Tensor) or value.requires_grad or id(value) not in used:
                continue
            source = tape.source(value, MOVES | _SCALES)
            if source is not None and source.name in RANDOM:
                shape = tuple(value.shape)
                yield OUTSIDE.found(f"`{prefix}{key}` {shape} was drawn by `{source.name}`", source.where)
                return


def _line(patient: Patient, names: list[str]) -> str | None:
    """The module that holds the first of them."""
    for path, module in walk.modules(patient.model):
        if names and names[0].startswith(f"`{path}." if path else "`self."):
            return f"{path or 'the model'} ({type(module).__name__})"
    return None
