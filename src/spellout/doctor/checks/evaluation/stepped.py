"""An evaluation that trains (family 28)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sized
from typing import Any

from torch.utils.data import DataLoader, SequentialSampler

from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page

TRAINS = Page(
    id="evaluation-trains",
    number=28,
    title="the evaluation trains the model",
    why="The model learns from the data that it is measured on, and the measure is worth nothing.",
    evidence="An optimizer stepped inside the user's evaluation.",
    legitimate="Methods that adapt to every test sample, and undo it.",
    cure="No `backward()` and no `step()` in the evaluation; `with torch.no_grad():` around it.",
)
PAGES = (TRAINS,)


def check(patient: Patient) -> Iterator[Finding]:
    """Steps of the model's optimizers in the phase of the evaluation, or where a script evaluates."""
    recording = patient.recording
    steps = [step for step in recording.steps if step.phase == "evaluate"]
    moved = [step for step in steps if step.movement is None or step.movement.update]
    if moved:
        yield TRAINS.found(f"{len(moved)} optimizer steps inside the evaluation", moved[0].where)
    elif patient.case.step is None and not patient.live:
        for look in (in_order_between_epochs, _in_eval_mode):
            found = look(recording)
            if found is not None:
                yield TRAINS.found(found[0], found[1], "warning")
                return


def in_order_between_epochs(recording: Recording) -> tuple[str, str | None] | None:
    """Between epochs over a shuffled data set, steps on all of another one that is gone through in its order."""
    taken = [step for step in recording.steps if step.source is not None]
    epochs = [list(some) for _, some in itertools.groupby(taken, key=lambda step: id(step.source))]
    for before, here, after in zip(epochs, epochs[1:], epochs[2:], strict=False):
        first, second, third = (one[0].source for one in (before, here, after))
        if first is None or second is None or third is None:
            continue
        ours, other = first.loader, second.loader
        again = third.loader.dataset is ours.dataset and ours.dataset is not other.dataset
        whole = second.batches == len(here) == _length(other) and first.batches == _length(ours)
        if again and whole and _shuffles(ours) and not _shuffles(other) and _size(other) <= _size(ours):
            said = f"{len(here)} optimizer steps on all of a second data set of {_size(other)}, in its order"
            return f"{said}, between shuffled epochs over one of {_size(ours)}", here[0].where
    return None


def _in_eval_mode(recording: Recording) -> tuple[str, str | None] | None:
    """Steps after passes in eval mode at a place of their own, between steps in train mode at others."""
    passes = zip(recording.steps, recording.passes_of(recording.steps), strict=True)
    seen = [(step, before[-1]) for step, before in passes if before]
    runs = [(mode, list(some)) for mode, some in itertools.groupby(seen, key=lambda pair: pair[1].training)]
    for (_, before), (training, here), (_, after) in zip(runs, runs[1:], runs[2:], strict=False):
        places = {one.frames for _, one in here}
        if not training and not places & {one.frames for _, one in (*before, *after)}:
            return f"{len(here)} optimizer steps on passes in eval mode, between others in train mode", here[0][
                0
            ].where
    return None


def _shuffles(loader: DataLoader[Any]) -> bool:
    return not isinstance(loader.sampler, SequentialSampler)


def _size(loader: DataLoader[Any]) -> int:
    return len(loader.dataset) if isinstance(loader.dataset, Sized) else 0


def _length(loader: DataLoader[Any]) -> int:
    return len(loader) if isinstance(loader.dataset, Sized) else -1
