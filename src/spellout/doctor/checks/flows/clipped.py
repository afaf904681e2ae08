"""The clipped objective of a policy takes the worse of two estimates, of new by old probabilities (family 26)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page
from ...tape import RESHAPES, Call, Tape, words
from ..objectives.tapes import losses
from ..updates.objective import terms

WRONG = Page(
    id="clipped-objective-wrong",
    number=26,
    title="the clipped objective of the policy is the wrong way round",
    why="Clipping is there to stop what goes too far; "
    "the better of the two, or the ratio upside down, lets it go on.",
    evidence="Of r·A and clip(r)·A the loss has a negative multiple of the greater, or a positive one "
    "of the smaller; or r is exp(old - new) of log-probabilities, of which only the second has a gradient.",
    cure="`ratio = (new - old).exp()`; `loss = -torch.min(ratio * A, ratio.clamp(1 - e, 1 + e) * A).mean()`.",
)
PAGES = (WRONG,)
_DEEP = 40
_LEAST, _MOST = words("min minimum"), words("max maximum")


def check(patient: Patient) -> Iterator[Finding]:
    """Every loss that was differentiated."""
    groups = [group for one in patient.optimizers for group in one.param_groups]
    sign = -1.0 if groups and all(group.get("maximize") for group in groups) else 1.0
    for tape, loss in losses(patient):
        for call, ratio, times in _objectives(tape, loss, len(tape.calls), sign, 0):
            if _is_upside_down(tape, ratio, call.index):
                yield WRONG.found("the ratio is exp(old - new)", call.where)
                return
            if (call.name in _MOST) == (times < 0):
                which = "greater" if call.name in _MOST else "smaller"
                yield WRONG.found(
                    f"the loss has {'minus' if times < 0 else 'plus'} the {which} of the two", call.where
                )
                return


def _objectives(
    tape: Tape, tensor: object, before: int, factor: float, depth: int
) -> Iterator[tuple[Call, torch.Tensor, float]]:
    """The choices between r·A and clip(r)·A in a loss, with r, and by what they are multiplied."""
    if not isinstance(tensor, torch.Tensor) or not tensor.requires_grad or depth > _DEEP:
        return
    call = tape.maker(tensor, before)
    if call is None:
        return
    if call.name in _LEAST | _MOST:
        ratio = _ratio(tape, call)
        if ratio is not None and factor:
            yield call, ratio, factor
        return
    for inner, weight, _ in terms(call):
        yield from _objectives(tape, inner, call.index, factor * weight, depth + 1)


def _ratio(tape: Tape, call: Call) -> torch.Tensor | None:
    """What is multiplied on one side, and clamped first on the other."""
    if len(call.inputs) != 2:
        return None
    sides = [_factors(tape, one, call.index, 0) for one in call.inputs]
    for plain, other in (sides, sides[::-1]):
        for one in other:
            clamp = tape.source(one, RESHAPES, call.index)
            if clamp is not None and clamp.name == "clamp" and clamp.inputs:
                clamped = clamp.inputs[0]
                if any(each is clamped for each in plain):
                    return clamped
    return None


def _factors(tape: Tape, tensor: torch.Tensor, before: int, depth: int) -> list[torch.Tensor]:
    call = tape.maker(tensor, before)
    if call is None or call.name not in ("mul", "neg") or depth > 4:
        return [tensor]
    return [each for one in call.inputs for each in (one, *_factors(tape, one, call.index, depth + 1))]


def _is_upside_down(tape: Tape, ratio: torch.Tensor, before: int) -> bool:
    call = tape.source(ratio, RESHAPES, before)
    inner = tape.source(call.inputs[0], RESHAPES, call.index) if call is not None and call.name == "exp" else None
    if inner is None or inner.name != "sub" or len(inner.inputs) != 2:
        return False
    return not inner.inputs[0].requires_grad and inner.inputs[1].requires_grad
