"""What `.backward()` is called on, read backwards on the tape: which losses it is made of, and times what.

The factor of a loss is followed through sums, differences, products with constants and means. A factor is told in
units of the mean: of a sum over n numbers it is n.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ...tape import REGRESSIONS, Call, Tape, words

KNOWN = REGRESSIONS | words(
    """cross_entropy nll_loss binary_cross_entropy binary_cross_entropy_with_logits ctc_loss gaussian_nll_loss
    poisson_nll_loss hinge_embedding_loss margin_ranking_loss multi_margin_loss triplet_margin_loss
    soft_margin_loss"""
)
"""Losses of torch, which are the less the better the predictions are."""
_KEEPS = words("to float double half bfloat16 view reshape squeeze unsqueeze flatten clone contiguous nan_to_num")
_DEEP = 60


@dataclass(frozen=True)
class Part:
    """One loss in the sum that is differentiated."""

    call: Call
    """The call that made one number of many."""
    factor: float
    """What it is multiplied by, in units of the mean; the sign may be known where the size is not (then ±inf)."""
    scales: tuple[float, ...] = ()
    """Tensors of one number that it was multiplied by."""
    positive: bool = False
    """The call is known to grow with the error of a prediction."""


def parts_of(tape: Tape, root: Call) -> list[Part]:
    """The losses in what this call of `backward` differentiates."""
    tensor = root.argument(0, "self")
    return list(_walk(tape, tensor, root.index, 1.0, (), 0)) if isinstance(tensor, torch.Tensor) else []


def _walk(
    tape: Tape, tensor: Any, before: int, factor: float, scales: tuple[float, ...], depth: int
) -> Iterator[Part]:
    if not isinstance(tensor, torch.Tensor) or not tensor.requires_grad or depth > _DEEP:
        return
    call = tape.maker(tensor, before)
    if call is None or _dropped(call, tensor):
        return
    found = _number_made(tape, call, factor, scales)
    if found is not None:
        yield found
        return
    for inner, times, scale in terms(call):
        more = (*scales, scale) if scale else scales
        yield from _walk(tape, inner, call.index, factor * times, more, depth + 1)


def _dropped(call: Call, tensor: torch.Tensor) -> bool:
    """An in-place call that returned what it was given, and is not followed further."""
    return call.name == "requires_grad" or (call.argument(0, "input") is tensor and not call.name.endswith("add"))


def terms(call: Call) -> Iterator[tuple[Any, float, float]]:
    """What a linear call is made of: tensor, factor, and the factor again if it is a tensor of one number."""
    first, second = call.argument(0, "input"), call.argument(1, "other")
    if call.name in _KEEPS:
        yield first, 1.0, 0.0
    elif call.name == "neg":
        yield first, -1.0, 0.0
    elif call.name in ("add", "sub", "rsub"):
        alpha = float(call.kwargs.get("alpha", 1))
        yield first, -alpha if call.name == "rsub" else 1.0, 0.0
        yield second, {"sub": -alpha, "rsub": 1.0}.get(call.name, alpha), 0.0
    elif call.name in ("mul", "div"):
        for one, other in ((first, second), (second, first))[: 2 if call.name == "mul" else 1]:
            size, sign = constant(other)
            if sign:
                yield (
                    one,
                    1 / size if call.name == "div" else size,
                    size if isinstance(other, torch.Tensor) else 0.0,
                )
    elif call.name in ("stack", "cat"):
        for one in first if isinstance(first, list | tuple) else ():
            yield one, 1.0, 0.0
    elif call.name in ("sum", "mean") and isinstance(first, torch.Tensor):
        yield first, 1.0 if call.name == "sum" else 1 / max(1, first.numel()), 0.0


def constant(value: Any) -> tuple[float, int]:
    """The size and the sign of what does not learn; the sign is 0 where it is not one."""
    if isinstance(value, bool | int | float):
        return float(value), (value > 0) - (value < 0)
    if not isinstance(value, torch.Tensor) or value.requires_grad or value.numel() != 1 or value.is_complex():
        return 0.0, 0
    number = float(value.detach())
    return number, (number > 0) - (number < 0)


def _number_made(tape: Tape, call: Call, factor: float, scales: tuple[float, ...]) -> Part | None:
    """The part that ends here: a loss of torch, or a sum or mean of many numbers."""
    given = call.argument(0, "input")
    many = isinstance(given, torch.Tensor) and given.numel() > 1
    if call.name in KNOWN:
        if call.kwargs.get("reduction", "mean") == "sum":
            factor *= samples_of(call)
        return Part(call, factor, scales, positive=True)
    if call.name not in ("sum", "mean") or not many or not isinstance(given, torch.Tensor):
        return None
    maker = tape.maker(given, call.index)
    if maker is not None and maker.name in ("stack", "cat"):  # of losses that are numbers already
        return None
    if not call.outputs or call.outputs[0].numel() != 1:
        return None
    times = given.numel() if call.name == "sum" else 1
    return Part(call, factor * times, scales, positive=maker is not None and _compares(tape, maker))


def _compares(tape: Tape, call: Call) -> bool:
    """Is it a loss of torch for every sample, or the square or size of a prediction minus something given?"""
    given = call.argument(0, "input")
    if call.name in KNOWN:
        return True
    even = call.name in ("square", "abs") or (call.name == "pow" and call.argument(1, "exponent") == 2)
    if not even or not isinstance(given, torch.Tensor):
        return False
    source = tape.maker(given, call.index)
    if source is None or source.name not in ("sub", "rsub"):
        return False
    pair = (source.argument(0, "input"), source.argument(1, "other"))
    tensors = [one for one in pair if isinstance(one, torch.Tensor) and one.numel() > 1]
    return len(tensors) == 2 and sum(one.requires_grad for one in tensors) == 1


def samples_of(call: Call) -> int:
    """Over how many numbers a loss is summed."""
    target = call.argument(1, "target")
    return max(1, target.numel()) if isinstance(target, torch.Tensor) else 1


def value_of(root: Call) -> float:
    """The number that is differentiated."""
    tensor = root.argument(0, "self")
    one = isinstance(tensor, torch.Tensor) and tensor.numel() == 1
    return float(tensor.detach()) if one else math.nan


def share_of_penalty(tape: Tape, root: Call) -> float:
    """What part of a loss is a sum over parameters alone, as a penalty written by hand; 0.0 if it is not known."""
    penalty = rest = 0.0
    for part in parts_of(tape, root):
        given = part.call.argument(0, "input")
        unit = given.numel() if part.call.name == "sum" and isinstance(given, torch.Tensor) else 1
        size = abs(part.factor / unit * float(next(iter(part.call.outputs)).detach().sum()))
        maker = tape.maker(given, part.call.index) if isinstance(given, torch.Tensor) else None
        alone = (
            maker is not None
            and bool(maker.inputs)
            and all(isinstance(one, torch.nn.Parameter) for one in maker.inputs)
        )
        penalty, rest = penalty + size * alone, rest + size * (not alone)
    return penalty / (penalty + rest) if penalty + rest > 0 and rest else 0.0
