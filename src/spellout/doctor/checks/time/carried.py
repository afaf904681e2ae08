"""The graph of a step reaches back into the steps before it (family 29)."""

from __future__ import annotations

from collections.abc import Iterator

from ... import walk
from ...patient import Patient
from ...report import Finding, Page
from ...sights.events import Step
from ...tape import Call, Tape
from ..updates.scaling import backwards

GROWS = Page(
    id="graph-reaches-back",
    number=29,
    title="the loss of a step is differentiated through the steps before it",
    why="Memory and time grow with every step, and gradients are taken at weights that are no longer there.",
    evidence="Backwards from the loss, a call was reached that was made before the same optimizer's last step.",
    legitimate="Differentiating through a training on purpose (meta-learning); then steps are no optimizer's.",
    cure="Detach the state that goes from one batch to the next: `h = h.detach()`; "
    "then `retain_graph=True` is not needed.",
)
PAGES = (GROWS,)


def check(patient: Patient) -> Iterator[Finding]:
    """Every step with the backward passes before it; a GAN's parts have optimizers of their own."""
    recording = patient.recording
    last: dict[int, Step] = {}
    for step, roots in backwards(recording):
        before = last.get(id(step.optimizer))
        last[id(step.optimizer)] = step
        if before is None or recording.tape is None:
            continue
        own = {id(one) for one in walk.listed_in(step.optimizer)}
        for root in roots:
            reached = _earliest(recording.tape, root, own)
            if reached is not None and reached.index < before.tick:
                across = sum(reached.index < one.tick < root.index for one in recording.steps_of(step.optimizer))
                told = f"from the loss back to a `{reached.name}` that was made {across} optimizer steps before"
                yield GROWS.found(told, root.where)
                return


def _earliest(tape: Tape, root: Call, own: set[int]) -> Call | None:
    """The first call with one of these weights that the graph of a loss reaches.

    What a GAN's generator made may lie behind a step of the discriminator, which did not change its weights.
    """
    pending, seen = [(one, root.index) for one in root.inputs], dict[int, Call]()
    while pending:
        tensor, before = pending.pop()
        call = tape.maker(tensor, before) if tensor.requires_grad and not tensor.is_leaf else None
        if call is None or call.index in seen or call.name == "detach":
            continue
        seen[call.index] = call
        pending += [(one, call.index) for one in call.inputs if one.requires_grad]
    used = [call.index for call in seen.values() if any(id(one) in own for one in call.inputs)]
    return seen[min(used)] if used else None
