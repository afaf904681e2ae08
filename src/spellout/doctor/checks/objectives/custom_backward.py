"""A user's own `autograd.Function` is compared with numerical derivatives (family 26)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.autograd.function import BackwardCFunction

from ... import graph
from ...case import UsersError, users_code
from ...patient import Patient
from ...place import Place
from ...report import Finding, Page
from ...tape import tensors_in

WRONG = Page(
    id="custom-backward-wrong",
    number=26,
    severity="warning",
    title="a backward of your own is not the derivative of its forward",
    why="Everything before it learns from wrong gradients.",
    evidence="The derivative along single inputs, by `backward` and by differences in float64.",
    legitimate="Straight-through estimators, surrogates of jumps and reversed gradients are not reported; "
    "gradients clipped on purpose.",
    cure="Derive it again; `torch.autograd.gradcheck` compares all of it.",
)
PAGES = (WRONG,)
_PLACES, _STEP = 12, 1e-5
"""How many single inputs are moved, and by how much."""


def check(patient: Patient) -> Iterator[Finding]:
    """Every class of functions in the loss's graph, with the arguments of its first call."""
    nodes = (node for node in graph.nodes(patient.training.loss) if isinstance(node, BackwardCFunction))
    kinds = {kind for node in nodes if isinstance(kind := getattr(node, "_forward_cls", None), type)}
    for kind in sorted(kinds, key=lambda one: one.__qualname__):
        if kind.__module__.split(".")[0] == "torch":
            continue
        given: list[tuple[Any, ...]] = []
        with _listened(kind, given):
            patient.trial(train=True)
        if given:
            yield from _compare(patient, kind, given[0])


@contextmanager
def _listened(kind: type, given: list[tuple[Any, ...]]) -> Iterator[None]:
    """While it is open, the arguments of the function's calls are kept."""
    own, forward = vars(kind).get("forward"), kind.forward  # type: ignore[attr-defined]
    skip = 1 if kind.setup_context is torch.autograd.Function.setup_context else 0  # type: ignore[attr-defined]

    def listening(*args: Any) -> Any:
        given.append(args[skip:])
        return forward(*args)

    kind.forward = staticmethod(listening)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        if own is None:
            del kind.forward  # type: ignore[attr-defined]
        else:
            kind.forward = own  # type: ignore[attr-defined]


def _compare(patient: Patient, kind: type, args: tuple[Any, ...]) -> Iterator[Finding]:
    given = [one.detach().double() if _is_real(one) else one for one in args]

    def run(values: list[Any]) -> list[torch.Tensor]:
        with users_code():
            return [out for out in tensors_in(kind.apply(*values)) if out.is_floating_point()]  # type: ignore[attr-defined]

    for place_, one in enumerate(args):
        if not _is_real(one) or not one.requires_grad or not one.numel():
            continue
        try:
            with patient.borrowed(), torch.enable_grad():
                outs = run(given)
                same = all(torch.equal(a, b) for a, b in zip(outs, run(given), strict=True))
                if not same or any(out.dtype != torch.float64 for out in outs):  # it draws, or rounds
                    return
                pairs = list(_slopes(run, given, place_))
        except UsersError:  # it insists on float32
            return
        felt = [(ours, theirs) for ours, theirs in pairs if abs(ours) > 1e-6]  # jumps have no slope to compare
        wrong = [(a, b) for a, b in felt if abs(a - b) > 0.02 * max(abs(a), abs(b))]
        if len(wrong) > 0.5 * len(felt) and not _is_same(run(given), given[place_]):
            ours, theirs = wrong[0]
            code = kind.backward.__code__  # type: ignore[attr-defined]
            yield WRONG.found(
                f"{kind.__name__}, argument {place_ + 1}: backward gives {theirs:.4g}, differences {ours:.4g} "
                f"({len(wrong)} of {len(felt)} places)",
                Place.of(code, 0),
            )


def _slopes(
    run: Callable[[list[Any]], list[torch.Tensor]], given: list[Any], which: int
) -> Iterator[tuple[float, float]]:
    """The derivatives along single numbers, by differences and by backward."""
    x = given[which].clone().requires_grad_(True)
    outs = run([*given[:which], x, *given[which + 1 :]])
    generator = torch.Generator().manual_seed(11)
    weights = [torch.randn(out.shape, generator=generator).to(out) for out in outs]

    def value(x: torch.Tensor) -> torch.Tensor:
        return _weighed(weights, run([*given[:which], x, *given[which + 1 :]]))

    with users_code():
        theirs = torch.autograd.grad(_weighed(weights, outs), x, allow_unused=True)[0]
    if theirs is None:
        return
    for index in torch.linspace(0, x.numel() - 1, min(_PLACES, x.numel())).long().tolist():
        move = torch.zeros_like(x.detach()).view(-1)
        move[index] = _STEP
        move = move.view_as(x)
        with torch.no_grad():
            ours = float(value(x + move) - value(x - move)) / (2 * _STEP)
        yield ours, float(theirs.reshape(-1)[index])


def _weighed(weights: list[torch.Tensor], outs: list[torch.Tensor]) -> torch.Tensor:
    """One number of several results."""
    return torch.stack([(weight * out).sum() for weight, out in zip(weights, outs, strict=True)]).sum()


def _is_same(outs: list[torch.Tensor], given: torch.Tensor) -> bool:
    """A function that returns its argument is there for its backward: reversed or scaled gradients."""
    return len(outs) == 1 and outs[0].shape == given.shape and torch.equal(outs[0], given)


def _is_real(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()
