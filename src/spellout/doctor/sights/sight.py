"""What a batch looked like: its shape, mean and spread, and a number for every row to know it again."""

from __future__ import annotations

from dataclasses import dataclass

import torch

_ROWS, _COLUMNS = 4096, 256
"""How many rows, and how many numbers of a row, are read."""


@dataclass(frozen=True)
class Sight:
    """One tensor that a model was given."""

    shape: tuple[int, ...]
    real: bool
    """Floating-point numbers, not indices."""
    mean: float
    spread: float
    """Standard deviation of all numbers read."""
    rows: tuple[int, ...]
    """One number for each entry along the first axis: equal rows have equal numbers."""


def sight_of(tensor: torch.Tensor) -> Sight | None:
    """Look at a tensor; None for what has no rows or no real numbers."""
    plain = tensor.layout == torch.strided and not tensor.is_complex() and not tensor.is_quantized
    if not plain or tensor.is_meta or tensor.ndim == 0 or tensor.numel() == 0:
        return None
    flat = tensor.detach()[:_ROWS].reshape(min(len(tensor), _ROWS), -1)
    flat = flat[:, :: max(1, flat.shape[1] // _COLUMNS)].double().cpu()
    # Whole numbers add up to the same in every order, which batches of other sizes bring about.
    bits = (flat + 0.0).contiguous().view(torch.int64)
    key = torch.cos(torch.arange(1, flat.shape[1] + 1, dtype=torch.float64)).view(torch.int64) | 1
    rows = tuple(((bits ^ (bits >> 29)) * key).sum(1).tolist())
    return Sight(
        tuple(tensor.shape), tensor.is_floating_point(), float(flat.mean()), float(flat.std(correction=0)), rows
    )
