"""Steps by hand whose new values nobody keeps (family 6): a name in a loop is bound, and no weight is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page
from ...tape import Call, Tape

LOST = Page(
    id="update-thrown-away",
    number=6,
    title="the new values of the weights are computed and thrown away",
    why="`p = p - rate * gradient` names a new tensor; the model goes on with the old one and never learns.",
    evidence="The same tensors have something of a gradient's shape subtracted in every round; no result is "
    "used by anything, none of the tensors is written into, and the next pass takes them again.",
    cure="Write into the tensor, `p.sub_(rate * gradient)` under `no_grad`, or put the new one in its place, "
    "`params[name] = p - rate * gradient`.",
)
PAGES = (LOST,)
_ROUNDS = 3
_DEEP = 200


def check(patient: Patient) -> Iterator[Finding]:
    """The user's own steps, where no optimizer steps."""
    recording = patient.recording
    moved = any(account.moved for account in recording.accounts.values())
    if recording.tape is not None and not recording.optimizers and not moved:
        yield from lost_on(recording.tape)


def lost_on(tape: Tape) -> Iterator[Finding]:
    """The first line on a tape whose differences come to nothing."""
    places = defaultdict[object, list[Call]](list)
    for call in tape.calls:
        if call.name in ("sub", "add") and call.code is not None and _is_update(call):
            places[call.code, call.instruction].append(call)
    for calls in places.values():
        rounds = defaultdict[int, list[Call]](list)
        for call in calls:
            rounds[call.args[0].data_ptr()].append(call)
        again = [one for one in rounds.values() if len(one) >= _ROUNDS]
        if len(again) == len(rounds) and _are_lost(tape, calls) and all(map(_is_new, again)):
            evidence = f"{len(again)} tensors, {min(map(len, again))} times, and no result of it is used"
            yield LOST.found(evidence, calls[0].where)
            return


def _is_update(call: Call) -> bool:
    """A new tensor of the shape of both of its parts."""
    if len(call.args) < 2 or not all(isinstance(one, torch.Tensor) for one in (*call.args[:2], call.out)):
        return False
    weight, change = call.args[:2]
    fits = weight.shape == change.shape == call.out.shape and weight.is_floating_point()
    return fits and call.out is not weight and weight.ndim > 0 and call.changed is None


def _are_lost(tape: Tape, calls: list[Call]) -> bool:
    """Does no call read a result, and does none of the tensors change?"""
    made, weights = {id(call.out) for call in calls}, {call.args[0].data_ptr() for call in calls}
    if weights & {call.out.data_ptr() for call in calls}:  # `p.data = p - …`
        return False
    for call in tape.calls[calls[0].index :]:
        written = call.changed
        if (written is not None and written.data_ptr() in weights) or any(id(one) in made for one in call.inputs):
            return False
    return all(_is_of_gradients(tape, call) for call in calls[: len(weights)])


def _is_new(rounds: list[Call]) -> bool:
    """Is what is subtracted new in every round?"""
    changes = [call.args[1] for call in rounds]
    return len({id(one) for one in changes}) == len(changes)


def _is_of_gradients(tape: Tape, call: Call) -> bool:
    """Is what is subtracted made of a tensor of this shape that `grad` gave, or that no call has made?"""
    weight, pending = call.args[0], [(call.args[1], call.index)]
    for _ in range(_DEEP):
        if not pending:
            return False
        one, until = pending.pop()
        maker = tape.maker(one, until)
        if maker is None or maker.name == "grad":
            if one is not weight and one.shape == weight.shape:
                return True
        else:
            pending += [(each, maker.index) for each in maker.inputs]
    return False
