"""Where the rows of a batch come from: which rows of which larger tensor, read off the tape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ...recording import Recording
from ...sights.events import Forward
from ...tape import RESHAPES, Call, Tape
from ..updates.objective import KNOWN

_DEEP = 12


@dataclass(frozen=True)
class Origin:
    """Rows of a tensor, in the order in which a batch has them."""

    base: torch.Tensor
    index: tuple[int, ...]


def origin_of(tape: Tape, tensor: torch.Tensor, before: int, depth: int = 0) -> Origin | None:
    """The rows that a tensor was picked from; None if it was not, or not in a way that is understood."""
    call = tape.source(tensor, RESHAPES, before)
    if depth > _DEEP or call is None:
        return _of_view(tensor) if tensor.ndim else None
    if call.name in ("stack", "cat"):
        return _stacked(tape, call, depth)
    base = call.argument(0, "input")
    if not isinstance(base, torch.Tensor) or base.ndim == 0:
        return None
    index = picked(call, len(base))
    if index is None:
        return None
    inner = origin_of(tape, base, call.index, depth + 1)
    if inner is not None and len(inner.index) == len(base):
        return Origin(inner.base, tuple(inner.index[place] for place in index))
    return Origin(base, index)


def picked(call: Call, length: int) -> tuple[int, ...] | None:
    """The rows that a call picks of so many."""
    if call.name == "flip" and call.argument(1, "dims") in (0, (0,), [0]):
        return tuple(range(length))[::-1]
    if call.name == "index_select" and call.argument(1, "dim") in (0,):
        return _listed(call.argument(2, "index"), length)
    if call.name == "narrow" and call.argument(1, "dim") == 0:
        start, count = int(call.argument(2, "start")), int(call.argument(3, "length"))
        return tuple(range(start, start + count))
    if call.name != "getitem":
        return None
    index = call.argument(1, "index")
    if isinstance(index, tuple):
        index = index[0] if index and not any(isinstance(one, torch.Tensor | list) for one in index[1:]) else None
    return _listed(index, length)


def _listed(index: Any, length: int) -> tuple[int, ...] | None:
    if isinstance(index, slice):
        return tuple(range(*index.indices(length)))
    if isinstance(index, bool) or index is None:
        return None
    if isinstance(index, int):
        return (index % length,)
    try:
        numbers = torch.as_tensor(index).detach()
    except (TypeError, ValueError, RuntimeError):
        return None
    if numbers.ndim > 1 or numbers.is_floating_point() or numbers.numel() > 100_000:
        return None
    if numbers.dtype == torch.bool:
        numbers = numbers.nonzero().flatten()
    return tuple(int(one) % length for one in numbers.reshape(-1).tolist())


def _stacked(tape: Tape, call: Call, depth: int) -> Origin | None:
    """Samples of a dataset, put side by side."""
    parts = call.argument(0, "tensors")
    if not isinstance(parts, Sequence) or not parts:
        return None
    origins = [origin_of(tape, one, call.index, depth + 1) for one in parts if isinstance(one, torch.Tensor)]
    found = [one for one in origins if one is not None and (call.name == "cat" or len(one.index) == 1)]
    if len(found) != len(parts) or any(one.base is not found[0].base for one in found):
        return None
    return Origin(found[0].base, tuple(place for one in found for place in one.index))


def _of_view(tensor: torch.Tensor) -> Origin | None:
    """A slice that was taken before the recording began."""
    base = tensor._base
    if base is None or base.ndim != tensor.ndim or not base.stride(0) or base.stride()[1:] != tensor.stride()[1:]:
        return None
    offset, step = tensor.storage_offset() - base.storage_offset(), tensor.stride(0)
    if offset % base.stride(0) or step % base.stride(0):
        return None
    start, by = offset // base.stride(0), step // base.stride(0)
    return Origin(base, tuple(start + by * place for place in range(len(tensor))))


@dataclass(frozen=True)
class Pass:
    """A training pass and the losses that followed it."""

    forward: Forward
    losses: list[Call]

    @property
    def targets(self) -> list[torch.Tensor]:
        """What the predictions were compared with."""
        found = (call.argument(1, "target") for call in self.losses)
        return [one for one in found if isinstance(one, torch.Tensor) and one.ndim and not one.requires_grad]


def training_passes(recording: Recording) -> list[Pass]:
    """All training passes, each with the losses up to the next pass of whatever kind."""
    if recording.tape is None:
        return []
    losses = [call for call in recording.tape.calls if call.name in KNOWN]
    forwards = recording.forwards
    ends = [*(one.tick for one in forwards[1:]), len(recording.tape.calls)]
    ends = [end if end >= one.tick else len(recording.tape.calls) for one, end in zip(forwards, ends, strict=False)]
    last = max((step.order for step in recording.placed), default=len(forwards) + len(recording.steps))
    learned = {id(one) for one in recording.trained if one.order < last}  # what came later is not on the tape
    return [
        Pass(one, [call for call in losses if one.tick <= call.index < end])
        for one, end in zip(forwards, ends, strict=False)
        if id(one) in learned
    ]
