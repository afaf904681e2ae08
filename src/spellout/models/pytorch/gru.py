"""The gru over lines side by side on a CPU, with its derivative by hand (Cho 2014, as in `torch.nn.GRU`).

    r, z = σ(x_r + U_r h + b_r), σ(x_z + U_z h + b_z)     what is forgotten, what is kept
    n = tanh(x_n + r (U_n h + b_n))                       what is new
    h' = n + z (h - n)

PyTorch's own takes the steps one after the other too, but then the derivative of every step is an array as large as
the whole batch, nearly all of it zeros, and the weights' derivative is summed step by step. Here each step writes
where it belongs, and the weights' derivative is one product at the end, which takes an eighth less time
(bench/torch_family.py).

    N tokens in a batch · T longest line · H hidden
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear
from torch.nn.utils.rnn import PackedSequence


class PackedGru(nn.GRU):
    """A `torch.nn.GRU` that reads packed lines on a CPU in this file's way, and all else in PyTorch's."""

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        """See `torch.nn.GRU`."""
        packed = isinstance(input, PackedSequence) and input.sorted_indices is None and hx is None
        plain = self.num_layers == 1 and self.bias and not self.bidirectional
        if not (packed and plain and input.data.device.type == "cpu"):
            return super().forward(input, hx)
        weight_ih, weight_hh, bias_ih, bias_hh = self.all_weights[0]
        inputs, sizes = linear(input.data, weight_ih, bias_ih), input.batch_sizes
        remembered: Tensor = _Gru.apply(inputs, weight_hh, bias_hh, sizes.tolist())  # type: ignore[no-untyped-call]
        lines = torch.arange(int(sizes[0]))
        last = (sizes[:, None] > lines).sum(0) - 1  # the last step of each line
        return PackedSequence(remembered, sizes), remembered[(sizes.cumsum(0) - sizes)[last] + lines][None]


class _Gru(Function):
    """From what the input says to the gates (N, 3H), the weights (3H, H) and bias (3H,) of what is remembered, and
    how many lines go on at each step, (T,) and falling, to what is remembered after each token, (N, H)."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, sizes: list[int]) -> Tensor:
        """See the file."""
        hidden = weight.shape[1]
        gates, new = inputs[:, : 2 * hidden].clone(), inputs[:, 2 * hidden :].clone()
        remembered, before, recalled = (torch.empty_like(new) for _ in range(3))
        h = new.new_zeros(sizes[0], hidden)
        for step in _steps(sizes):
            h = before[step] = h[: step.stop - step.start]
            said = torch.addmm(bias, h, weight.t())
            gates[step].add_(said[:, : 2 * hidden]).sigmoid_()
            recalled[step] = said[:, 2 * hidden :]
            new[step].addcmul_(gates[step, :hidden], recalled[step]).tanh_()
            h = torch.lerp(new[step], h, gates[step, hidden:], out=remembered[step])
        ctx.save_for_backward(gates, new, before, recalled, weight)
        ctx.sizes = sizes
        return remembered

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """By the chain rule from the last step to the first."""
        (outer,) = gradients
        gates, new, before, recalled, weight = ctx.saved_tensors
        hidden = weight.shape[1]
        r, z = gates[:, :hidden], gates[:, hidden:]
        by_new = (1 - z) * (1 - new * new)  # dh' / d(inside tanh)
        by_z = (before - new) * z * (1 - z)  # dh' / d(inside the gate z)
        by_r = recalled * r * (1 - r)  # d(inside tanh) / d(inside the gate r)
        inside, of_inputs = (outer.new_empty(len(outer), 3 * hidden) for _ in range(2))
        later = outer.new_zeros(0, hidden)
        for step in reversed(_steps(ctx.sizes)):
            of_h = outer[step].clone()
            of_h[: len(later)] += later
            of_new = torch.mul(of_h, by_new[step], out=of_inputs[step, 2 * hidden :])
            torch.mul(of_new, by_r[step], out=inside[step, :hidden])
            torch.mul(of_h, by_z[step], out=inside[step, hidden : 2 * hidden])
            torch.mul(of_new, r[step], out=inside[step, 2 * hidden :])
            later = torch.addcmul(inside[step] @ weight, of_h, z[step])
        of_inputs[:, : 2 * hidden] = inside[:, : 2 * hidden]
        return of_inputs, inside.t() @ before, inside.sum(0), None


def _steps(sizes: list[int]) -> list[slice]:
    """The tokens of each step."""
    return [slice(*ends) for ends in pairwise(accumulate(sizes, initial=0))]
