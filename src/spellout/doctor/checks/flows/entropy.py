"""The sign of the bonus for a policy's entropy (family 26): it is known by its value, however written."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page
from ...tape import RESHAPES, Call, Tape
from ..objectives.tapes import losses
from ..updates.objective import terms

PUNISHED = Page(
    id="entropy-is-punished",
    number=26,
    severity="warning",
    title="the loss grows with the policy's entropy",
    why="What was meant as a bonus for exploring drives the policy to one action all the sooner.",
    evidence="A term of the loss is a positive multiple of the entropy of the probabilities that actions were "
    "drawn from, and another weights the log-probabilities of actions with numbers that do not learn.",
    legitimate="Policies that should become greedy.",
    cure="`loss = policy_loss - beta * entropy`: the bonus is subtracted from what is minimised.",
)
PAGES = (PUNISHED,)
_DEEP = 40
_LOG_SPREAD = 1.4189385
"""The entropy of N(m, s) without log s."""


def check(patient: Patient) -> Iterator[Finding]:
    """Every loss that was differentiated."""
    groups = [group for one in patient.optimizers for group in one.param_groups]
    sign = -1.0 if groups and all(group.get("maximize") for group in groups) else 1.0
    for tape, loss in losses(patient):
        sizes = _drawn_from(tape)
        if not sizes or not _weighs_actions(tape):
            continue
        found = [one for one in _entropies(tape, loss, len(tape.calls), sign, sizes, 0) if one[0]]
        if found and all(times > 0 for times, _ in found):
            yield PUNISHED.found("a term of the loss has the entropy with a plus sign", found[0][1])
            return


def _drawn_from(tape: Tape) -> set[int]:
    """Of how many actions one was drawn; 0 for a draw from a normal distribution."""
    sizes = set[int]()
    for call in tape.calls:
        if call.name == "multinomial" and isinstance(first := call.argument(0, "input"), torch.Tensor):
            sizes.add(first.shape[-1])
        elif call.name == "normal" and len(call.inputs) > 1:
            sizes.add(0)
    return sizes


def _weighs_actions(tape: Tape) -> bool:
    """Are log-probabilities of actions multiplied with numbers that do not learn, as advantages are?"""
    for call in tape.calls:
        if call.name != "mul" or len(call.inputs) != 2:
            continue
        learned = [one for one in call.inputs if one.requires_grad]
        fixed = [one for one in call.inputs if not one.requires_grad]
        # A ratio, an advantage, and their products lie beyond; rewards alone are of both signs or of several sizes.
        if len(learned) == len(fixed) == 1 and learned[0].shape == fixed[0].shape and _varies(fixed[0]):
            return True
        scalars = len(learned) == len(fixed) == 1 and learned[0].numel() == fixed[0].numel() == 1
        if scalars and _is_picked(tape, learned[0], call.index):
            return True
    return False


def _varies(tensor: torch.Tensor) -> bool:
    return tensor.numel() > 1 and bool((tensor != tensor.flatten()[0]).any())


def _is_picked(tape: Tape, tensor: torch.Tensor, before: int) -> bool:
    call = tape.source(tensor, RESHAPES, before)
    if call is not None and call.name == "neg":
        call = tape.source(call.argument(0, "input"), RESHAPES, call.index)
    return call is not None and call.name in ("gather", "getitem")


def _entropies(
    tape: Tape, tensor: object, before: int, factor: float, sizes: set[int], depth: int
) -> Iterator[tuple[float, str | None]]:
    """By what an entropy is multiplied in the loss, for every term that is one."""
    if not isinstance(tensor, torch.Tensor) or not tensor.requires_grad or depth > _DEEP:
        return
    call = tape.maker(tensor, before)
    if call is None:
        return
    if call.name == "mul" and _negative_entropy(call, sizes):
        yield -factor, call.where
    elif 0 in sizes and _of_a_normal(tape, call):
        yield factor, call.where
    else:
        for inner, weight, _ in terms(call):
            yield from _entropies(tape, inner, call.index, factor * weight, sizes, depth + 1)


def _negative_entropy(call: Call, sizes: set[int]) -> bool:
    """Is it `p * log p`, of probabilities of as many actions as were drawn from?"""
    if len(call.inputs) != 2 or call.inputs[0].shape != call.inputs[1].shape or call.inputs[0].ndim == 0:
        return False
    one, other = (given.detach() for given in call.inputs)
    if one.shape[-1] not in sizes:
        return False
    for share, logarithm in ((one, other), (other, one)):
        whole = bool((share >= 0).all()) and torch.allclose(
            share.sum(-1), torch.ones_like(share.sum(-1)), atol=1e-4
        )
        known = share > 1e-6  # smaller ones may have been clamped before their logarithm
        if whole and torch.allclose(share[known].log(), logarithm[known], atol=1e-3):
            return True
    return False


def _of_a_normal(tape: Tape, call: Call) -> bool:
    numbers = [one for one in call.args if isinstance(one, float)]
    if call.name != "add" or not any(abs(one - _LOG_SPREAD) < 1e-4 for one in numbers):
        return False
    made = tape.source(call.inputs[0], RESHAPES, call.index) if call.inputs else None
    return made is not None and (made.name == "log" or bool(call.inputs[0].requires_grad))
