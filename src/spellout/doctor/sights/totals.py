"""Losses that the user's code goes on holding after their backward pass."""

from __future__ import annotations

import gc
import sys

import torch

from ..tape import Tape, tensors_in


def losses_in_one_list(losses: list[torch.Tensor], tape: Tape) -> int:
    """How many of these losses one list of the user's holds."""
    if not _held_elsewhere(losses, tape):
        return 0
    known = {id(one) for one in losses}
    lists = [one for one in gc.get_referrers(*losses) if type(one) is list and one is not losses]
    return max((len(known & {id(item) for item in one}) for one in lists), default=0)


def _held_elsewhere(losses: list[torch.Tensor], tape: Tape) -> bool:
    """Do any but the last have references besides those of the tape?

    A look through all objects is dear, and to count references is not.
    """
    written = [id(one) for call in tape.calls for one in tensors_in((call.args, call.kwargs, call.out))]
    asked = [*losses, torch.empty(())]  # the last is held by this list alone, the others by the caller's too
    free = [sys.getrefcount(one) - written.count(id(one)) for one in asked]
    return any(count > free[-1] + 1 for count in free[:-2])
