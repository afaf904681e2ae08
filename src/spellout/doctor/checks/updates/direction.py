"""Does the step go uphill: a loss that is maximised (family 26)?"""

from __future__ import annotations

from collections.abc import Iterator

from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page
from ...sights.events import Step
from ...tape import Call
from .objective import Part, parts_of
from .scaling import backwards

UPHILL = Page(
    id="loss-is-maximised",
    number=26,
    title="the optimizer makes the loss larger",
    why="The predictions become worse with every step, and the loss falls or rises without end.",
    evidence="Every loss that was differentiated has a negative sign, or the optimizer maximises.",
    legitimate="An adversary, or forgetting on purpose; then another loss, or another part, is minimised.",
    cure="Take the minus sign away, or `maximize=True`.",
)
PAGES = (UPHILL,)


def check(patient: Patient) -> Iterator[Finding]:
    """All steps go uphill, and most of the model moves with them: an adversary's few weights do not count."""
    recording = patient.recording
    judged = [(step, roots, _direction(recording, step, roots)) for step, roots in backwards(recording)]
    if not judged or any(sign != -1 for _, _, sign in judged) or not _moves_the_model(patient):
        return
    step, roots, _ = judged[0]
    part = next(iter(_parts(recording, roots)))
    maximised = any(group.get("maximize") for group in step.optimizer.param_groups)
    if maximised:
        yield UPHILL.found(f"`maximize=True` and a `{part.call.name}` with a positive sign", step.where)
    else:
        yield UPHILL.found(f"`{part.call.name}` enters the sum times {part.factor:.3g}", part.call.where)


def _parts(recording: Recording, roots: list[Call]) -> list[Part]:
    tape = recording.tape
    return [part for root in roots for part in parts_of(tape, root)] if tape is not None else []


def _direction(recording: Recording, step: Step, roots: list[Call]) -> int:
    """1: downhill, -1: uphill, 0: not known, or some of both."""
    parts = _parts(recording, roots)
    known = {(part.factor > 0) - (part.factor < 0) for part in parts if part.positive}
    if len(known) != 1 or not all(part.positive or part.factor > 0 for part in parts):
        return 0
    groups = step.optimizer.param_groups
    maximised = {bool(group.get("maximize")) for group in groups}
    return known.pop() * (-1 if maximised == {True} else 1) if len(maximised) == 1 else 0


def _moves_the_model(patient: Patient) -> bool:
    listed = {id(p) for one in patient.recording.optimizers for group in one.param_groups for p in group["params"]}
    sizes = [(p.numel(), id(p) in listed) for _, p in patient.parameters()]
    return sum(size for size, moves in sizes if moves) > 0.5 * sum(size for size, _ in sizes)
