"""What the evaluation gives the model, beside what the training gave it (family 28)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import fmean

from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page
from ...sights.events import Forward
from ...sights.sight import Sight
from ...tape import RANDOM, Call, Tape, words
from . import splits
from .windows import Comparison, comparisons, window

SCALED = Page(
    id="evaluation-scaled-otherwise",
    number=28,
    severity="warning",
    title="the evaluation's inputs are scaled otherwise than the training's",
    why="The model is asked about numbers of a kind that it has never seen.",
    evidence="Mean and spread of the inputs in the user's steps and in the evaluation.",
    legitimate="Data that really are that different; outputs beyond the range of the training.",
    cure="Apply the same normalisation, with the training data's mean and spread, to both.",
)
AUGMENTED = Page(
    id="random-inputs-in-evaluation",
    number=28,
    severity="warning",
    title="the evaluation's inputs are changed at random",
    why="It measures the augmentation too: the rate is lower, and another one each time.",
    evidence="Random numbers went into what the model was given in the evaluation, and labels did not change.",
    legitimate="Measuring how well a model withstands noise.",
    cure="Use the augmentation in training only.",
)
KNOWN_DATA = Page(
    id="evaluated-on-training-data",
    number=28,
    severity="note",
    title="all that is evaluated was trained on",
    why="The number says how well the model remembers, not how well it does on new data.",
    evidence="The rows of the inputs in the evaluation were all among those of several training steps; or rows are "
    "masked in the evaluation and not in the loss. A warning where a split is in no loader, or the mask is random.",
    legitimate="The training's own accuracy; programs that show how something works.",
    cure="Keep some data apart, and evaluate on them.",
)
PAGES = (SCALED, AUGMENTED, KNOWN_DATA)
_PICKS = words("randperm randint multinomial random_")
_DEEP = 30
_MOST = 0.94
"""The part of the evaluation's rows: the very first pass is not seen."""


def check(patient: Patient) -> Iterator[Finding]:
    """Compare the first inputs of all passes."""
    recording = patient.recording
    trained = [one for one in recording.trained if one.inputs]
    measured = [one for one in recording.measured if one.inputs]
    if not trained or not measured:
        return
    yield from _scaled(trained, measured)
    yield from _augmented(recording, measured)
    rows = {row for one in trained for row in one.inputs[0].rows}
    asked = {row for one in measured for row in one.inputs[0].rows}
    # Where one step sees all there is, the program shows how something works, and nobody is deceived.
    whole = any(asked <= set(one.inputs[0].rows) for one in trained)
    if len(asked) > 1 and len(asked & rows) > _MOST * len(asked) and not whole:
        said, left = f"{len(asked)} different rows, {len(rows)} trained on", splits.unread(recording)
        if left:
            said += f"; a split of {left} other samples is in no loader"
        yield KNOWN_DATA.found(said, measured[0].where, "warning" if left else None)
    found = splits.masked(recording)
    if found is not None:
        said = f"{found.apart} of {found.rows} rows are evaluated apart, and all {found.rows} are in the loss"
        yield KNOWN_DATA.found(said, found.call.where, "warning" if found.at_random else None)


def _scaled(trained: list[Forward], measured: list[Forward]) -> Iterator[Finding]:
    ours, theirs = ([one.inputs[0] for one in passes] for passes in (trained, measured))
    shapes = {one.shape[1:] for one in ours}
    theirs = [one for one in theirs if one.shape[1:] in shapes and one.real and one.spread > 0]
    if not theirs or not all(one.real for one in ours):
        return
    if not all(math.isfinite(one.spread) for one in (*ours, *theirs)):
        return  # NaN among the data is another mistake
    (mean, spread), (other_mean, other) = _pooled(ours), _pooled(theirs)
    many = min(sum(math.prod(one.shape) for one in side) for side in (ours, theirs)) >= 1000
    ratio, away = other / spread if spread else 1.0, abs(other_mean - mean) / max(spread, other)
    limit, far = (2.5, 1.5) if many else (5.0, 3.0)
    if spread and (not 1 / limit < ratio < limit or away > far):
        yield SCALED.found(
            f"training: mean {mean:.3g}, spread {spread:.3g}; "
            f"evaluation: mean {other_mean:.3g}, spread {other:.3g}",
            measured[0].where,
        )


def _pooled(sights: list[Sight]) -> tuple[float, float]:
    mean = fmean(one.mean for one in sights)
    return mean, math.sqrt(fmean(one.spread**2 + (one.mean - mean) ** 2 for one in sights))


def _augmented(recording: Recording, measured: list[Forward]) -> Iterator[Finding]:
    tape = recording.tape
    if tape is None:
        return
    for forward in measured:
        draws = _drawn(tape, forward.given[0], forward.tick) if forward.given else None
        labels = [one for one in comparisons(recording, window(recording, forward)) if one.decided is not None]
        if draws is not None and labels and not any(_random_labels(tape, one) for one in labels):
            yield AUGMENTED.found(f"`{draws.name}` draws numbers that go into the inputs", draws.where)
            return


def _random_labels(tape: Tape, one: Comparison) -> bool:
    return _drawn(tape, one.labels, one.call.index, picks=True) is not None


def _drawn(tape: Tape, tensor: object, before: int, picks: bool = False) -> Call | None:
    """A call that drew random numbers of which this tensor is made, besides other tensors."""
    pending, seen = [(tensor, before)], set[int]()
    found: Call | None = None
    data = False
    while pending and len(seen) < _DEEP * 20:
        one, until = pending.pop()
        call = tape.maker(one, until)
        if call is None:
            data = data or getattr(one, "ndim", 0) > 0
            continue
        if call.index in seen:
            continue
        seen.add(call.index)
        if call.name in RANDOM and (picks or call.name not in _PICKS):
            found = found or call
        given = call.inputs[:1] if call.name in ("getitem", "index_select") and not picks else call.inputs
        pending += [(inner, call.index) for inner in given]
    return found if found is not None and (data or picks) else None
