"""Every step is given the same few samples although there are more (family 27)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import Dataset

from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page
from ...sights.events import Forward
from ...sights.sight import Sight, sight_of
from .rows import origin_of

SAME = Page(
    id="same-batch-every-step",
    number=27,
    severity="warning",
    title="every step sees the same few samples",
    why="The rest of the data is never learned from: "
    "the loss falls because one batch is learned by heart, and nothing else gets better.",
    evidence="The inputs of all training steps are equal, and they are a small part of a larger tensor, "
    "of the loader's data set or of what is evaluated.",
    legitimate="Learning one batch by heart on purpose, to see that the model can.",
    cure="Draw the next batch inside the loop: `for x, y in loader:`; `next(iter(loader))` begins anew each time.",
)
PAGES = (SAME,)
_PARTS, _NESTED = 64, 3
"""How many parts of a data set are looked at, and how deep in each other."""
_FEW = 256
"""More rows than that are all of somebody's data."""


def check(patient: Patient) -> Iterator[Finding]:
    """Three steps that are equal in every input."""
    recording = patient.recording
    groups = [passes for passes in recording.passes_of(recording.steps) if passes]
    if len(groups) < 3 or not all(passes[0].inputs for passes in groups):
        return
    keys = [tuple(one.inputs for one in passes) for passes in groups]
    if any(key != keys[0] for key in keys):
        return
    rows = {row for one in groups[0] for row in one.inputs[0].rows}
    seen = sum(one.inputs[0].shape[0] for one in groups[0])
    if not 0 < len(rows) <= seen <= _FEW or (len(rows) < 2 and seen > 1):
        return
    more = _restarted(recording) or _larger(patient, groups[0], rows)
    if more:
        yield SAME.found(
            f"the same {seen} rows in each of {len(recording.steps)} steps, {more}", groups[0][0].where
        )


def _restarted(recording: Recording) -> str:
    """A loader of many batches that is begun anew in every step."""
    begun = [one for one in recording.drawn if one.phase == "step" and one.batches == 1 and _length(one.loader) > 1]
    if len(begun) < max(2, len(recording.steps) - 1):
        return ""
    return f"the first batch of a loader of {_length(begun[0].loader)} that was begun anew {len(begun)} times"


def _length(loader: Any) -> int:
    try:
        return len(loader)
    except TypeError:
        return 0


def _larger(patient: Patient, passes: list[Forward], rows: set[int]) -> str:
    """Something that holds these rows and at least four times as many."""
    recording = patient.recording
    enough = 4 * len(rows)
    if recording.tape is not None:
        # A part that was taken once for all may be meant; one that is taken anew is not meant to be the same.
        anew = len({id(one.given[0]) for one in recording.trained if one.given}) > len(passes)
        origins = [origin_of(recording.tape, one.given[0], one.tick) for one in passes if one.given and anew]
        bases = {id(one.base): len(one.base) for one in origins if one is not None}
        if len(bases) == 1 and (whole := next(iter(bases.values()))) >= enough:
            return f"of the {whole} of the tensor that they are taken from"
    evaluated = [one.inputs[0] for one in recording.measured if one.inputs]
    given = [sight for one in patient.batch.inputs[:1] if (sight := sight_of(one)) is not None]
    stored = [sight for tensor in _stored(recording) if (sight := sight_of(tensor)) is not None]
    for what, sights in (("evaluated", evaluated), ("in the given batch", given), ("in the data set", stored)):
        around = [one for one in sights if one.shape[1:] == passes[0].inputs[0].shape[1:]]
        if _holds(around, rows, enough):
            return f"of {len({row for one in around for row in one.rows})} {what}"
    return ""


def _holds(sights: list[Sight], rows: set[int], enough: int) -> bool:
    known = {row for one in sights for row in one.rows}
    return len(known) >= enough and rows <= known


def _stored(recording: Recording) -> list[torch.Tensor]:
    """The tensors that the data sets of the loaders hold."""
    sets = {id(one.loader.dataset): one.loader.dataset for one in recording.drawn}
    return [tensor for one in sets.values() for tensor in tensors_of(one)]


def tensors_of(dataset: object, depth: int = 0) -> list[torch.Tensor]:
    """The tensors that a data set holds, or those that it is made of, as joined ones and parts are."""
    held = getattr(dataset, "__dict__", {}).values()
    flat = [item for value in held for item in (value if isinstance(value, tuple | list) else [value])[:_PARTS]]
    inner = [one for one in flat if isinstance(one, Dataset)] if depth < _NESTED else []
    own = [one for one in flat if isinstance(one, torch.Tensor) and one.ndim]
    return own + [tensor for one in inner for tensor in tensors_of(one, depth + 1)]
