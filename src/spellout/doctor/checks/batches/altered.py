"""Stored data that change by being read: an augmentation in place (family 27)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader

from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page
from ...sights.events import Forward
from ...snapshot import borrowed
from ...tape import Call, Tape, words
from .rows import origin_of

ALTERED = Page(
    id="data-change-by-reading",
    number=27,
    title="the stored data change by being read",
    why="Noise, scaling or cropping adds up from epoch to epoch, until nothing of the data is left.",
    evidence="The same sample was read twice: what the first reading gave lies in the data set's own memory, and "
    "the second reading changed it; or a batch that is a part of the data was changed in place.",
    cure="`x = x + noise` instead of `x += noise`; `.clone()` a sample before it is changed.",
)
PAGES = (ALTERED,)
_ARITHMETIC = words("add sub mul div pow neg clamp exp log sqrt abs")
_MOST = 3
"""So many passes are looked at."""
_NEAR = 200
"""So many calls before a pass."""


def check(patient: Patient) -> Iterator[Finding]:
    """Data sets of loaders are read again; batches that are made by hand stand on the tape."""
    recording = patient.recording
    loaders = {id(one.loader): one.loader for one in recording.drawn}
    for loader in loaders.values():
        if _changes(loader):
            yield ALTERED.found(f"sample 0 of {type(loader.dataset).__name__}, read twice")
            return
    call = _written(recording)
    if call is not None:
        yield ALTERED.found(f"`{call.name}` in place on rows of the data, which several steps read", call.where)


def _changes(loader: DataLoader[Any]) -> bool:
    """Does a second reading of a sample change what the first one gave?"""
    dataset: Any = loader.dataset
    if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
        return False
    try:
        with borrowed(dataset), torch.random.fork_rng(devices=[]):
            if len(dataset) < 2:
                return False
            one, other = _arrays(dataset[0]), _arrays(dataset[1])
            before = [tensor.clone() for tensor in one]
            again = _arrays(dataset[0])
            places = {tensor.data_ptr() for tensor in other}
            return any(
                tensor.data_ptr() == second.data_ptr() and tensor.data_ptr() not in places
                and not torch.equal(tensor, first)
                for tensor, first, second in zip(one, before, again, strict=True)
            )  # fmt: skip
    except Exception:  # the user's own, which may want to be read by its loader only
        return False


def _arrays(item: Any) -> list[torch.Tensor]:
    """The tensors and arrays of a sample, as tensors that share their memory."""
    if isinstance(item, dict):
        item = list(item.values())
    parts = item if isinstance(item, list | tuple) else [item]
    found = []
    for part in parts:
        if isinstance(part, torch.Tensor):
            found.append(part)
        elif type(part).__module__ == "numpy" and hasattr(part, "dtype") and part.ndim and part.dtype.kind in "fiu":
            found.append(torch.from_numpy(part))
    return [one.detach() for one in found if one.ndim and one.numel()]


def _written(recording: Recording) -> Call | None:
    """A call that changed a batch in place which is a part of a tensor that other passes read too."""
    tape = recording.tape
    passes = [one for one in recording.trained if one.given][:_MOST]
    if tape is None or len(passes) < 2:
        return None
    found = [_in_place(tape, one) for one in passes]
    bases = {id(base) for base, _ in found if base is not None}
    if len(bases) != 1 or any(base is None for base, _ in found):
        return None
    return found[0][1]


def _in_place(tape: Tape, forward: Forward) -> tuple[torch.Tensor | None, Call | None]:
    """The tensor of which the pass was given rows, and the arithmetic that was done in those rows themselves."""
    given = forward.given[0]
    calls = tape.calls[max(0, forward.tick - _NEAR) : forward.tick]
    changes = [call for call in calls if call.name in _ARITHMETIC and call.changed is not None]
    change = next((one for one in changes if one.args[0].data_ptr() == given.data_ptr()), None)
    origin = origin_of(tape, change.args[0], change.index) if change is not None else None
    if origin is None or len(origin.index) >= len(origin.base):
        return None, None
    same = given.untyped_storage().data_ptr() == origin.base.untyped_storage().data_ptr()
    return (origin.base, change) if same else (None, None)
