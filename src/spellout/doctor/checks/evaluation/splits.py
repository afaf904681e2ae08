"""How data were split, and whether the parts were then kept apart: by subsets in loaders, by masks over rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Subset

from ... import walk
from ...recording import Recording
from ...tape import RANDOM, RESHAPES, Call, Tape
from ..batches.rows import training_passes
from .windows import evaluation

_MOST = 300
"""So many calls are looked through for what a mask was made of."""


@dataclass(frozen=True)
class Masked:
    """Rows that an evaluation looks at apart, and that count in the training's loss with all others."""

    call: Call
    apart: int
    rows: int
    at_random: bool
    """The mask was made with random numbers, as a split is and a property of the rows is not."""


def unread(recording: Recording) -> int:
    """The size of a split of the data that no loader has, where two loaders read another split of them; or 0."""
    loaders = recording.ending.loaders if recording.ending is not None else ()
    held = [one.dataset for one in loaders]
    twice = {
        id(dataset): dataset
        for dataset in (one.loader.dataset for one in recording.drawn)
        if isinstance(dataset, Subset) and sum(other is dataset for other in held) > 1
    }
    for split in walk.living(Subset) if twice else ():
        if any(split is one for one in held) or any(getattr(one, "dataset", None) is split for one in held):
            continue
        for dataset in twice.values():
            if split.dataset is dataset.dataset and not set(split.indices) & set(dataset.indices):
                return len(split)
    return 0


def masked(recording: Recording) -> Masked | None:
    """Rows that are masked for the evaluation and not for the training."""
    tape = recording.tape
    if tape is None:
        return None
    learned = {_key(one) for passed in training_passes(recording) for one in passed.targets}
    for call in evaluation(recording):
        mask = call.argument(1, "index")
        base = call.argument(0, "input")
        if call.name != "getitem" or not isinstance(mask, torch.Tensor) or mask.dtype != torch.bool:
            continue
        apart, rows = int(mask.sum()), len(mask) if mask.ndim == 1 else 0
        if not 0 < apart < rows or not isinstance(base, torch.Tensor):
            continue
        if any(_key(one) in learned and len(one) == rows for one in _labels(tape, base, call)):
            return Masked(call, apart, rows, _is_random(tape, mask, call.index))
    return None


def _key(tensor: torch.Tensor) -> tuple[int, tuple[int, ...]]:
    return tensor.data_ptr(), tuple(tensor.shape)


def _labels(tape: Tape, base: torch.Tensor, call: Call) -> Iterator[torch.Tensor]:
    """The masked tensor itself, or what was compared in it."""
    yield base
    source = tape.source(base, RESHAPES, call.index)
    yield from source.inputs if source is not None and source.name == "eq" else ()


def _is_random(tape: Tape, mask: torch.Tensor, before: int) -> bool:
    pending: list[tuple[Any, int]] = [(mask, before)]
    seen: set[int] = set()
    while pending and len(seen) < _MOST:
        tensor, until = pending.pop()
        makers = [call for call in tape.makers.get(id(tensor), []) if call.index < until]
        writers = [call for call in tape.calls[:until] if call.name == "setitem" and call.args[0] is tensor]
        for call in (*makers[-1:], *writers):
            if call.index in seen:
                continue
            seen.add(call.index)
            if call.name in RANDOM:
                return True
            pending += [(one, call.index) for one in call.inputs if one is not tensor]
    return False
