"""One tensor as it was: its bits in its own storage, its gradient, its hooks, its class."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

LARGE = 2**26
"""From so many numbers on a tensor that needs no gradient is data, which a pass only reads."""
_COMPRESSED = (torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)
_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


class KeptTensor:
    """What a tensor was; `restore` makes it so again, writing through an alias whose writes are not counted."""

    def __init__(self, value: torch.Tensor, whole: bool = True) -> None:
        self._value = value
        self._kind, self.leaf, self._needs = type(value), value.is_leaf, value.requires_grad
        self._alias = alias = _data(value)
        lazy = isinstance(value, UninitializedTensorMixin)
        self.counted = not lazy and not value.is_inference()
        """Does autograd count its writes?"""
        self._bits: torch.Tensor | None = None
        self._where: tuple[Any, ...] | None = None
        if not lazy and not value.is_meta:
            if in_memory(value):
                self._where = _place(alias)
            if whole or value.numel() <= LARGE or self._needs:
                self._bits = (_once(alias) if self._where is not None else alias).clone()
        self.grad = value.grad if self.leaf else None
        self._hooks = {name: getattr(value, name, None) for name in _HOOKS}
        self._kept = {name: list(found.items()) for name, found in self._hooks.items() if found is not None}

    def restore(self) -> None:
        """Put it back."""
        value = self._value
        if type(value) is not self._kind:
            value.__class__ = self._kind
        if self._where is None:
            # Sparse and other layouts hold their memory in parts: the tensor gets parts like the old ones.
            if self._bits is not None and value.layout in _COMPRESSED:
                value.copy_(self._bits)  # torch shares none of their parts with `data`
            elif self._bits is not None:
                value.data = self._bits.clone()
        else:
            self._write()
        if self.leaf and value.requires_grad != self._needs:
            value.requires_grad_(self._needs)
        if self.leaf and value.grad is not self.grad:
            value.grad = self.grad
        for name, found in self._hooks.items():  # the same dictionary with the same entries, or none
            if found is not None:
                found.clear()
                found.update(self._kept[name])
            elif getattr(value, name, None) is not None:
                setattr(value, name, None)

    def _write(self) -> None:
        value, alias = self._value, self._alias
        if self._bits is not None:
            there = _once(alias)
            # Compared first, as memory that is only mapped for reading must not be written.
            if not same_bits(there, self._bits):
                with torch.inference_mode() if not self.counted else nullcontext():
                    there.copy_(self._bits)
        current = _data(value)
        if not in_memory(current) or _place(current) != self._where:
            value.grad = None
            value.data = alias


def same_bits(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Are two tensors of one shape and type the same, NaN and the sign of zero too?"""
    if left.is_complex():
        left, right = torch.view_as_real(left.resolve_conj()), torch.view_as_real(right.resolve_conj())
    if left.is_floating_point():
        same_size = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[left.element_size()]
        left, right = left.resolve_neg().view(same_size), right.resolve_neg().view(same_size)
    return not left.is_quantized and torch.equal(left, right)


def in_memory(tensor: torch.Tensor) -> bool:
    """Does it lie in one piece of memory, with strides? Sparse, nested and opaque ones do not."""
    return tensor.layout == torch.strided and not tensor.is_nested


def _data(value: torch.Tensor) -> torch.Tensor:
    return torch.Tensor.data.__get__(value)  # type: ignore[attr-defined]


def _place(tensor: torch.Tensor) -> tuple[Any, ...]:
    return tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype


def _once(alias: torch.Tensor) -> torch.Tensor:
    """The same memory with every place once: expanded and overlapping tensors cannot be written otherwise."""
    if alias.is_contiguous() or alias.is_quantized:
        return alias
    extent = 1
    for stride, size in sorted(zip(alias.stride(), alias.shape, strict=True)):
        if size > 1 and stride:
            if stride < extent:  # windows over one another
                length = 1 + sum((n - 1) * step for step, n in zip(alias.stride(), alias.shape, strict=True))
                return alias.as_strided((length,), (1,))
            extent += (size - 1) * stride
    return alias.as_strided([n if step else 1 for step, n in zip(alias.stride(), alias.shape, strict=True)],
                            alias.stride())  # fmt: skip
