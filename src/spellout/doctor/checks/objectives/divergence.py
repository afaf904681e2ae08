"""Is the divergence of a variational model minimised (family 26)? It is known by its value, however written."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page
from ...tape import Tape, words
from ..updates.objective import terms
from .tapes import losses

MAXIMISED = Page(
    id="divergence-is-maximised",
    number=26,
    title="the divergence from the prior is made larger",
    why="It grows without bound: what is encoded runs away from what is sampled, the rest of the loss drowns.",
    evidence="Number for number a term of the loss is a negative multiple of the Kullback-Leibler divergence "
    "between N(m, s) and N(0, 1), of two tensors m and s that it was computed from.",
    cure="`-0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum()`, added to the reconstruction's loss.",
)
PAGES = (MAXIMISED,)
_ELEMENTWISE = words("add sub rsub mul div rdiv neg pow square exp log log1p expm1 sqrt reciprocal")
_ENOUGH, _MOST = 8, 4096
_EXACT = 1e-3
_DEEP = 12


def check(patient: Patient) -> Iterator[Finding]:
    """Every loss whose gradient was asked for, of the user's steps if there are any."""
    groups = [group for one in patient.optimizers for group in one.param_groups]
    sign = -1.0 if groups and all(group.get("maximize") for group in groups) else 1.0
    for tape, loss in losses(patient):
        found = [one for one in _multiples(tape, loss, len(tape.calls), sign, 0) if one[0]]
        if found and all(times < 0 for times, _ in found):
            times, where = found[0]
            yield MAXIMISED.found(f"a term is {times:.3g} times the divergence, in every number", where)
            return


def _multiples(
    tape: Tape, tensor: object, before: int, factor: float, depth: int
) -> Iterator[tuple[float, str | None]]:
    """By what the divergence is multiplied in the loss, for every term that is one."""
    if not isinstance(tensor, torch.Tensor) or not tensor.requires_grad or depth > _DEEP:
        return
    call = tape.maker(tensor, before)
    if call is None:
        return
    times = _multiple(tape, tensor, before) if tensor.numel() >= _ENOUGH else 0.0
    if times:
        yield factor * times, call.where
        return
    for inner, weight, _ in terms(call):
        yield from _multiples(tape, inner, call.index, factor * weight, depth + 1)


def _multiple(tape: Tape, tensor: torch.Tensor, before: int) -> float:
    """How many times the divergence this is, number for number; 0.0 if it is not."""
    parts = _parts(tape, tensor, before)
    if len(parts) < 3:  # a mean, a spread, and something made of them
        return 0.0
    value, *given = (one.detach().double().reshape(-1)[:_MOST] for one in (tensor, *parts))
    for spread in given:
        for logarithm in (spread, spread.log(), 2 * spread.log()):
            if not bool(torch.isfinite(logarithm).all()):
                continue
            for mean in given:
                times = _ratio(value, (mean**2 + logarithm.exp() - logarithm - 1) / 2)
                if times and mean is not spread:
                    return times
    return 0.0


def _ratio(value: torch.Tensor, divergence: torch.Tensor) -> float:
    size = float(divergence.square().sum())
    if not 0 < size < float("inf") or float(divergence.std()) < _EXACT * float(divergence.abs().max()):
        return 0.0
    times = float((value * divergence).sum()) / size
    close = float((value - times * divergence).abs().max()) <= _EXACT * float(value.abs().max())
    return times if close else 0.0


def _parts(tape: Tape, tensor: torch.Tensor, before: int) -> list[torch.Tensor]:
    """The tensors of its shape that it was computed from, number by number."""
    found: dict[int, torch.Tensor] = {}
    pending = [(tensor, before, 0)]
    while pending:
        one, until, depth = pending.pop()
        call = tape.maker(one, until)
        if call is None or call.name not in _ELEMENTWISE or depth > _DEEP:
            continue
        for given in call.inputs:
            if given.requires_grad and given.shape == tensor.shape and id(given) not in found:
                found[id(given)] = given
                pending.append((given, call.index, depth + 1))
    return list(found.values())
