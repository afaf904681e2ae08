"""The calls on the tape that belong to an evaluation, and what in them is a prediction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ...recording import Recording
from ...sights.events import Forward
from ...tape import RESHAPES, Call, Tape

DECIDES = ("argmax", "max", "topk")


@dataclass(frozen=True)
class Comparison:
    """Predictions and labels are compared for equality."""

    call: Call
    predicted: torch.Tensor
    labels: torch.Tensor
    decided: Call | None
    """The call that made a decision of the output."""


def window(recording: Recording, forward: Forward) -> list[Call]:
    """The calls from a pass of the evaluation up to the next pass, or the next backward pass."""
    if recording.tape is None:
        return []
    ends = [one.tick for one in recording.forwards if one.tick > forward.tick]
    ends += [call.index for call in recording.calls_of("backward") if call.index > forward.tick]
    return recording.tape.calls[forward.tick : min(ends, default=None)]


def evaluation(recording: Recording) -> list[Call]:
    """All calls of the evaluations."""
    return [call for forward in recording.measured for call in window(recording, forward)]


def comparisons(recording: Recording, calls: list[Call]) -> Iterator[Comparison]:
    """Every `==` of something that a parameter went into with something that none did."""
    if recording.tape is None:
        return
    learned = computed(recording)
    for call in calls:
        pair = call.inputs[:2]
        if call.name not in ("eq", "ne") or len(pair) != 2:
            continue
        predicted = [one for one in pair if id(one) in learned]
        given = [one for one in pair if id(one) not in learned]
        if len(predicted) == len(given) == 1 and given[0].numel() > 1:
            yield Comparison(call, predicted[0], given[0], _decision(recording.tape, predicted[0], call.index))


def computed(recording: Recording) -> set[int]:
    """The ids of all tensors on the tape that a parameter of the model went into."""
    reached = set(recording.accounts)
    for call in recording.tape.calls if recording.tape is not None else []:
        if call.name.endswith("_like") or call.name.startswith("new_"):
            continue  # only the shape went in
        if any(id(tensor) in reached for tensor in call.inputs):
            reached.update(id(tensor) for tensor in call.outputs)
    return reached


def _decision(tape: Tape, tensor: torch.Tensor, before: int) -> Call | None:
    call = tape.source(tensor, RESHAPES, before)
    return call if call is not None and call.name in DECIDES else None
