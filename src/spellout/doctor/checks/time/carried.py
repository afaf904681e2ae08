"""The graph of a step reaches back into the steps before it (family 29)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ...patient import Patient
from ...report import Finding, Page
from ...tape import Call, Tape

GROWS = Page(
    id="graph-reaches-back",
    number=29,
    title="the loss of a step is differentiated through the steps before it",
    why="Memory and time grow with every step, and gradients are taken at weights that are no longer there.",
    evidence="Backwards from the loss, calls were reached that were made before the second last step.",
    legitimate="Differentiating through a training on purpose (meta-learning); then steps are no optimizer's.",
    cure="Detach the state that goes from one batch to the next: `h = h.detach()`; "
    "then `retain_graph=True` is not needed.",
)
PAGES = (GROWS,)


def check(patient: Patient) -> Iterator[Finding]:
    """Backward passes of one line, three of them or more."""
    recording = patient.recording
    tape = recording.tape
    if tape is None or len(recording.steps) < 3:
        return
    lines: dict[object, list[Call]] = defaultdict(list)
    for call in recording.calls_of("backward"):
        lines[call.code, call.line].append(call)
    ticks = [step.tick for step in recording.steps]
    for roots in lines.values():
        last = roots[-1]
        before = [tick for tick in ticks if tick < last.index]
        optimizers = max(1, len(recording.optimizers))
        if len(roots) < 3 or len(before) < 2 * optimizers:
            continue
        reached = _earliest(tape, last)
        if reached is not None and reached.index < before[-2 * optimizers]:
            across = sum(tick > reached.index for tick in before)
            yield GROWS.found(f"from the last loss back to a `{reached.name}` before {across} steps", reached.where)


def _earliest(tape: Tape, root: Call) -> Call | None:
    """The first call that the graph of a loss reaches."""
    pending, seen = [(one, root.index) for one in root.inputs], dict[int, Call]()
    while pending:
        tensor, before = pending.pop()
        call = tape.maker(tensor, before) if tensor.requires_grad and not tensor.is_leaf else None
        if call is None or call.index in seen or call.name == "detach":
            continue
        seen[call.index] = call
        pending += [(one, call.index) for one in call.inputs if one.requires_grad]
    return seen[min(seen)] if seen else None
