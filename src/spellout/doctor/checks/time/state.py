"""A recurrent state goes from one batch to the next although the samples are others (family 29)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch

from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page
from ...sights.events import Forward
from ...tape import Tape
from ..batches.rows import Origin, origin_of
from ..evaluation.windows import computed

MIXED = Page(
    id="state-of-other-samples",
    number=29,
    severity="warning",
    title="the state of one batch's samples begins the next batch's",
    why="A sequence starts with what the model remembers of an unrelated one.",
    evidence="What the model was given was computed from an earlier step's batch, "
    "and the rows of the two batches were picked in no constant distance.",
    legitimate="Batches that continue one another: row by row, or one long text in its order.",
    cure="Begin every batch with a state of zeros; "
    "or cut long sequences so that row i of a batch goes on in row i of the next.",
)
PAGES = (MIXED,)


def check(patient: Patient) -> Iterator[Finding]:
    """Training passes of several arguments."""
    recording = patient.recording
    last = max((step.order for step in recording.placed), default=0)
    passes = [one for one in recording.trained if len(one.given) > 1 and one.order < last]
    if recording.tape is None or len(passes) < 3:
        return
    learned = computed(recording)
    carried = [one for one in passes if _carries(recording, one, learned)]
    if len(carried) < 2:
        return
    origins = [origin_of(recording.tape, one.given[0], one.tick) for one in carried]
    if all(map(_unrelated, *zip(*pairwise(origins), strict=True))):
        yield MIXED.found(f"in {len(carried)} of {len(passes)} training passes", carried[0].where)


def _carries(recording: Recording, one: Forward, learned: set[int]) -> bool:
    """Is a state among its arguments, for as many samples, that an earlier step computed?"""
    before = [step.tick for step in recording.steps if step.tick < one.tick]
    if not before or recording.tape is None:
        return False
    samples = len(one.given[0]) if one.given[0].ndim else 0
    states = [part for part in one.given[1:] if id(part) in learned and samples in part.shape]
    return any(_made(recording.tape, part, one.tick, before[-1]) for part in states)


def _made(tape: Tape, state: torch.Tensor, until: int, step: int) -> bool:
    source = tape.source(state, frozenset(("detach", "data", "clone")), until)
    return source is not None and source.index < step


def _unrelated(one: Origin | None, other: Origin | None) -> bool:
    if one is None or other is None or one.base is not other.base or len(one.index) != len(other.index) > 1:
        return False
    return len({a - b for a, b in zip(one.index, other.index, strict=True)}) > 1
