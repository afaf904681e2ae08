"""Graphs that are kept although nothing is differentiated, and work that is done anew (family 30): notes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

import torch

from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page
from ...sights.events import Forward
from ...tape import Tape
from ..updates.scaling import backwards

TOTAL = Page(
    id="total-keeps-graphs",
    number=30,
    severity="note",
    title="a running total keeps the graph of every loss",
    why="All activations of all steps stay in memory until the total is dropped.",
    evidence="A loss was added to a tensor that belongs to the graph of an earlier step, "
    "or losses of several steps with their graphs lie in one list.",
    legitimate="A sum that is differentiated later.",
    cure="`total += loss.item()`, or `loss.detach()`.",
)
GRAPH = Page(
    id="evaluation-keeps-graph",
    number=30,
    severity="note",
    title="the evaluation builds a graph that nobody uses",
    why="It needs the memory and time of a training pass.",
    evidence="A forward pass of the evaluation ran with gradients enabled, and no backward pass followed.",
    legitimate="Gradients by the inputs, for explanations.",
    cure="`with torch.no_grad():` (or `torch.inference_mode()`) around the evaluation.",
)
REBUILT = Page(
    id="loader-rebuilt-every-step",
    number=30,
    severity="note",
    title="a loader is begun anew for every step",
    why="Each begin shuffles all indices and starts the workers again; "
    "one batch of each is used and an epoch is never gone through.",
    evidence="How many iterations over loaders were begun, and how many batches were taken of each.",
    legitimate="Loaders of one batch.",
    cure="`for x, y in loader:` around the step.",
)
ITEMS = Page(
    id="many-items-a-step",
    number=30,
    severity="note",
    title="numbers are read out one by one in the step",
    why="Every `.item()` waits for the device; a GPU stands still meanwhile.",
    evidence="How many calls of `item` there were in one step.",
    legitimate="Small programs on a CPU.",
    cure="Keep tensors (detached), and read them once, after the epoch.",
)
TWICE = Page(
    id="graph-of-gradients-kept",
    number=30,
    severity="warning",
    title="every backward pass builds a graph of the gradients, and nothing is computed with it",
    why="It takes twice the memory and time, and parameters and their gradients hold each other: memory leaks.",
    evidence="`backward(create_graph=True)` before every step, and no gradient was asked for again.",
    legitimate="Optimizers that ask for second derivatives; these are seen, and are not meant.",
    cure="`loss.backward()`; for a penalty on gradients `torch.autograd.grad(…, create_graph=True)`.",
)
PAGES = (TOTAL, GRAPH, TWICE, REBUILT, ITEMS)
_MANY = 30


def check(patient: Patient) -> Iterator[Finding]:
    """Look at everything that was recorded."""
    recording = patient.recording
    yield from _totals(recording)
    yield from _graphs(patient)
    yield from _of_gradients(recording)
    begun = [one for one in recording.drawn if one.phase == "step" and one.batches == 1 and _several(one.loader)]
    if len(recording.steps) > 1 and len(begun) >= len(recording.steps):
        yield REBUILT.found(f"{len(begun)} begun in {len(recording.steps)} steps, one batch taken of each")
    own = {step.where for step in recording.steps}  # an optimizer reads its counters out
    items = [call for call in recording.calls_of("item") if call.module is None and call.where not in own]
    steps = len(recording.placed)
    if steps and len(items) >= _MANY * steps:
        line = max(items, key=lambda call: sum(call.instruction == one.instruction for one in items[:200]))
        yield ITEMS.found(f"{len(items)} in {steps} steps", line.where)


def _of_gradients(recording: Recording) -> Iterator[Finding]:
    """Each step has one backward pass, and that one keeps the graph of its gradients."""
    rounds = list(backwards(recording))
    roots = [root for _, roots in rounds for root in roots]
    twice = [root for root in roots if root.argument(3, "create_graph") is True]
    if len(rounds) > 1 and len(twice) == len(roots) == len(rounds) and not recording.calls_of("grad"):
        yield TWICE.found(f"in {len(rounds)} of {len(rounds)} steps", twice[0].where)


def _several(loader: object) -> bool:
    try:
        return len(loader) > 1  # type: ignore[arg-type]
    except TypeError:
        return True


def _totals(recording: Recording) -> Iterator[Finding]:
    tape = recording.tape
    if tape is None or len(recording.steps) < 2:
        return
    ticks = [step.tick for step in recording.steps]
    used = {id(one) for call in recording.calls_of("backward") for one in call.inputs}
    for call in recording.calls_of("add"):
        if id(call.out) in used or not _one_number(call.out):
            continue
        places = sorted(filter(None, (_first_loss(tape, one, call.index) for one in call.inputs)))
        if len(places) == 2 and any(places[0] < tick <= places[1] for tick in ticks):
            yield TOTAL.found("a loss with its graph is added to one of a step before", call.where)
            return
    if recording.keepers > 1:
        yield TOTAL.found(f"a list holds {recording.keepers} losses with their graphs")


def _first_loss(tape: Tape, tensor: torch.Tensor, before: int) -> int | None:
    """Where the first of the losses was made that a running total holds."""
    call = tape.maker(tensor, before) if _one_number(tensor) else None
    while call is not None and call.name == "add":
        makers = [tape.maker(one, call.index) for one in call.inputs if _one_number(one)]
        call = min((one for one in makers if one is not None), key=lambda one: one.index, default=None)
    return call.index if call is not None else None


def _one_number(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.requires_grad and value.numel() == 1 and not value.is_leaf


def _graphs(patient: Patient) -> Iterator[Finding]:
    recording = patient.recording
    if recording.tape is None or not patient.trained:
        return
    ends = [call.index for name in ("backward", "grad") for call in recording.calls_of(name)]
    written = [one for one in recording.forwards if one.tick < len(recording.tape.calls)]  # a tape may have ended
    for forward, following in zip_longest(written, written[1:]):
        if _idle(forward, following, ends):
            yield GRAPH.found("gradients were enabled, and no backward pass followed", forward.where)
            return


def _idle(forward: Forward, following: Forward | None, ends: list[int]) -> bool:
    measures = forward.phase == "evaluate" or forward.all_eval
    if not forward.tracking or not measures or (following is None and forward.phase != "evaluate"):
        return False
    until = following.tick if following is not None else 10**9
    return not any(forward.tick <= end < until for end in ends)
