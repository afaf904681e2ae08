"""Going on from what is kept (keys and values, a state) must give what reading everything at once gives.

How a model takes its state back is found by trying: the part of its output that holds tensors and is not the
answer is given to each optional argument in turn.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import torch

from ...batch import Batch
from ...case import Trial, difference
from ...patient import Patient
from ...report import Finding, Page
from ...tape import tensors_in
from .reading import answers

DIFFERS = Page(
    id="cache-differs",
    number=26,
    title="going on from the cache differs from reading everything at once",
    why="Training reads everything at once and generation goes on from the cache: "
    "what is generated is not what the model has learned.",
    evidence="A causal model read the first places, and the rest with the keys and values it had kept; "
    "its outputs differ from those of one pass, in float64.",
    legitimate="Caches that keep only a window, or compress what they keep; then they do not grow with each place.",
    cure="Positions go on at the length of the cache, the mask is moved by it "
    "(`torch.ones(T, S).tril(S - T)`), and new keys stand after the old ones.",
)
PAGES = (DIFFERS,)

_FLAGS = 3


def check(patient: Patient) -> Iterator[Finding]:
    """A model with an output for every place, and a state that it takes back."""
    if len(patient.batch.inputs) != 1 or difference(*patient.settled):
        return
    x, axis = patient.batch.inputs[0], 1 - patient.batch_axis if patient.batch_axis < 2 else 1
    options = _optional(patient)
    if x.ndim not in (2, 3) or x.shape[axis] < 4 or not options:
        return
    length = x.shape[axis]
    first = length // 2
    # A model may have to be told to return its cache; each try is a pass.
    flags = [name for name, default in options.items() if default is False][: 0 if patient.heavy else _FLAGS]
    for extra in ({}, *({name: True} for name in flags)):
        whole = _run(patient, x, extra)
        if whole is None or not _has_time(whole, axis, length):
            continue
        begun = _run(patient, x.narrow(axis, 0, first), extra)
        if begun is None or not _is_prefix(begun, whole, axis, first):
            return  # it is not causal, or takes no other length
        for state in (one for one in _states(begun) if all(first in tensor.shape for tensor in tensors_in(one))):
            for name in options:
                rest = _run(patient, x.narrow(axis, first, length - first), {**extra, name: state})
                if rest is not None and _grows(state, rest, first, length):
                    yield from _compared(whole, rest, axis, first, name)
                    return


def _optional(patient: Patient) -> dict[str, Any]:
    """The arguments of the model that may be left out, and what they are then."""
    try:
        parameters = inspect.signature(patient.model.forward).parameters.values()
    except (TypeError, ValueError):
        return {}
    free = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {
        one.name: one.default
        for one in list(parameters)[1:]
        if one.kind in free and one.default is not inspect.Parameter.empty and one.name not in patient.batch.kwargs
    }


def _run(patient: Patient, x: torch.Tensor, extra: dict[str, Any]) -> Trial | None:
    given = patient.batch.with_inputs(lambda _: x)
    trial = patient.exact(Batch(given.args, {**given.kwargs, **extra}, None))
    return trial if answers(trial) else None


def _has_time(trial: Trial, axis: int, length: int) -> bool:
    return trial.main.ndim > 2 and trial.main.shape[axis] == length


def _is_prefix(begun: Trial, whole: Trial, axis: int, first: int) -> bool:
    """Does the beginning alone give what it gives as a part of the whole?"""
    if not _has_time(begun, axis, first):
        return False
    return _close(begun.main, whole.main.narrow(axis, 0, first))


def _close(one: torch.Tensor, two: torch.Tensor) -> bool:
    close = 1e-8 if one.dtype == torch.float64 else 1e-4
    return one.shape == two.shape and bool(((one - two).abs() <= close * (two.abs().max() + 1e-30)).all())


def _states(trial: Trial) -> Iterator[Any]:
    """The parts of an output, other than the answer, that hold tensors."""
    output = trial.output
    parts = list(output.values()) if isinstance(output, dict) else list(output) if isinstance(output, tuple) else []
    for part in parts:
        held = list(tensors_in(part))
        if held and all(tensor is not trial.main for tensor in held):
            yield part


def _grows(state: Any, rest: Trial, first: int, length: int) -> bool:
    """Is the new state like the old one, but as long as the whole in every tensor?"""
    before = [tuple(tensor.shape) for tensor in tensors_in(state)]
    grown = [tuple(length if size == first else size for size in shape) for shape in before]
    if any(one == two for one, two in zip(before, grown, strict=True)):
        return False
    return any(grown == [tuple(tensor.shape) for tensor in tensors_in(part)] for part in _states(rest))


def _compared(whole: Trial, rest: Trial, axis: int, first: int, name: str) -> Iterator[Finding]:
    expected = whole.main.narrow(axis, first, whole.main.shape[axis] - first)
    if rest.main.shape == expected.shape and not _close(rest.main, expected):
        apart = float((rest.main - expected).detach().abs().max())
        yield DIFFERS.found(
            f"{first} places, then {expected.shape[axis]} with `{name}`: outputs differ by up to {apart:.2g}"
        )
