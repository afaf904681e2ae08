"""The graph of a loss is walked from its end: which leaves it rests on, and which functions it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from .tape import Tape


def nodes(loss: torch.Tensor | None) -> Iterator[Any]:
    """Every node once; a graph that was used by backward has its nodes still."""
    pending = [loss.grad_fn] if loss is not None and loss.grad_fn is not None else []
    seen: set[Any] = set(pending)
    while pending:
        node = pending.pop()
        yield node
        after = [one for one, _ in node.next_functions if one is not None and one not in seen]
        seen.update(after)
        pending.extend(after)


def leaves(loss: torch.Tensor | None) -> list[torch.Tensor]:
    """The tensors that `backward` on this loss would give a gradient to."""
    if loss is not None and loss.is_leaf:
        return [loss] if loss.requires_grad else []
    return [node.variable for node in nodes(loss) if hasattr(node, "variable")]


def ends(tape: Tape | None) -> Iterator[torch.Tensor]:
    """The tensors on which the user called `backward`."""
    for call in tape.calls if tape is not None else ():
        if call.name == "backward" and call.inputs:
            yield call.inputs[0]


def has_own_backward(given: torch.Tensor, made: torch.Tensor) -> bool:
    """Does a function with a derivative of its own stand between, as one that reverses gradients?"""
    node = given.grad_fn
    while node is not None and node is not made.grad_fn:
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            return True
        node = node.next_functions[0][0] if node.next_functions else None
    return False
