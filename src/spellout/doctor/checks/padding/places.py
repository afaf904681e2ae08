"""Which places of tokens are padding? A value that ends rows of several lengths and stands nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ...patient import Patient

_ROWS, _LENGTH = 4, 4
"""Fewer rows, or shorter ones, show nothing."""


@dataclass(frozen=True)
class Padding:
    """Padding in a tensor (samples, places), or (samples, places, columns) of vectors."""

    value: int
    mask: torch.Tensor
    """True where there is padding."""
    right: bool
    """Behind the tokens, not before them."""

    @property
    def lengths(self) -> torch.Tensor:
        """How many places of every row are not padding."""
        return (~self.mask).sum(1)

    @property
    def share(self) -> float:
        """Of all places, how many are padding."""
        return float(self.mask.float().mean())

    def __str__(self) -> str:
        return f"{self.share:.0%} of the places hold padding (filled with {self.value})"


def padding_in(x: torch.Tensor) -> Padding | None:
    """The padding of one tensor of whole numbers, if it has any."""
    if x.ndim != 2 or x.is_floating_point() or x.is_complex() or x.dtype == torch.bool:
        return None
    if x.shape[0] < _ROWS or x.shape[1] < _LENGTH:
        return None
    x = x.detach()
    for right in (True, False):
        ends = x[:, -1] if right else x[:, 0]
        value = int(ends.mode().values)
        mask = x == value
        runs = _run(mask) if right else _run(mask.flip(1)).flip(1)
        lengths = runs.sum(1)
        kinds = len(torch.unique(x[~mask]))
        if kinds < 2:  # ones and then zeros are no sentence
            continue
        # A token that ends a sentence stands once; padding stands several times, and more in shorter rows.
        several = int((lengths > 1).sum())
        if torch.equal(mask, runs) and several >= max(3, len(x) // 4) and int(lengths.min()) < int(lengths.max()):
            return Padding(value, mask, right)
    return None


def empty_rows_in(x: torch.Tensor) -> Padding | None:
    """The padding of vectors (samples, places, columns) that end in zeros alone, as `pad_sequence` makes them."""
    if x.ndim != 3 or not x.is_floating_point() or x.shape[0] < _ROWS or x.shape[1] < _LENGTH:
        return None
    mask = (x.detach() == 0).all(2)
    runs = _run(mask)
    lengths = runs.shape[1] - runs.sum(1)
    several = int((lengths < runs.shape[1] - 1).sum())
    # A dead place inside a row is data that are zero: then the zeros at the end may be, too.
    fits = torch.equal(mask, runs) and several >= max(3, len(x) // 4) and len(torch.unique(lengths)) > 2
    return Padding(0, mask, right=True) if fits and int(lengths.min()) > 0 else None


def _tells(other: torch.Tensor, padding: Padding) -> bool:
    """Is it the lengths of the rows, or a mask of their places? The lower rows of a digit are zero without one."""
    if other.ndim == 1:
        return other.shape == padding.lengths.shape and torch.equal(other.detach().long(), padding.lengths)
    fits = other.dtype == torch.bool and other.shape == padding.mask.shape
    return fits and (torch.equal(other, padding.mask) or torch.equal(~other, padding.mask))


def _run(mask: torch.Tensor) -> torch.Tensor:
    """True from where on a row is nothing else."""
    return mask.flip(1).long().cumprod(1).flip(1).bool()


def inputs_with_padding(patient: Patient) -> Iterator[tuple[torch.Tensor, Padding]]:
    """The model's inputs that have padding, samples first."""
    if patient.batch_axis == 0:
        for x in patient.batch.inputs:
            padding = padding_in(x)
            empty = empty_rows_in(x) if padding is None else None
            if empty is not None and any(_tells(other, empty) for other in patient.batch.inputs):
                padding = empty
            if padding is not None:
                yield x, padding
