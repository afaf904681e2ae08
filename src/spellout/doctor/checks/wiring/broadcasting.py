"""Broadcasting has traps: (N, 1) against (N), a reduced axis that meets the wrong one (families 13 and 14)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page
from ...tape import REGRESSIONS, Call, Tape, words

PAIRS = Page(
    id="broadcast-output-target",
    number=13,
    title="output (N, 1) and target (N) broadcast to (N, N)",
    why="Every output is compared with every target; "
    "the best answer is then the mean of all targets, and the loss stops at their variance.",
    evidence="The two shapes and the shape of the result.",
    legitimate="All pairs on purpose: write both operands with two axes (`a[:, None] - b[None, :]`), "
    "which is not reported.",
    cure="`output.squeeze(-1)`, or `target.unsqueeze(-1)`, so that both have the same shape.",
)
WRONG_AXIS = Page(
    id="reduced-axis-broadcast",
    number=14,
    title="a reduced tensor meets the wrong axis",
    why="`P / P.sum(1)` divides the columns by the sums of the rows: "
    "shapes fit only because the matrix is square, and no row adds up to 1.",
    evidence="A tensor was divided by, or had subtracted, its own reduction "
    "over an axis that is not the first, without keepdim; the result was aligned with the last axes.",
    legitimate="Symmetric matrices, where both mean the same.",
    cure="`keepdim=True` in the reduction.",
)
PAGES = (PAIRS, WRONG_AXIS)

_COMPARISONS = REGRESSIONS | words("sub rsub eq ne")
_REDUCTIONS = words("sum mean amax amin max min std var norm linalg_vector_norm vector_norm logsumexp nansum")
_STILL = words("clamp clamp_min add sqrt maximum detach float double to rsqrt")


def check(patient: Patient) -> Iterator[Finding]:
    """On the pass that training starts with, and on the user's own steps."""
    for tape in patient.tapes:
        for call in tape.calls:
            if call.name in _COMPARISONS and len(call.inputs) > 1:
                yield from _pairs(tape, call)
            if call.name in ("div", "rdiv", "sub", "rsub") and len(call.inputs) > 1:
                yield from _wrong_axis(tape, call)


def _pairs(tape: Tape, call: Call) -> Iterator[Finding]:
    tensors = call.inputs[:2]
    short, long = sorted(tensors, key=lambda tensor: tensor.ndim)
    n = short.shape[0] if short.ndim else 0
    if short is long or not (n > 1 and long.shape == (*short.shape, 1)):
        return
    if short.ndim > 1 and short.shape[0] != short.shape[-1]:
        return
    # Two that both learn are no output and target; comparing all pairs of them is usual (distances, attention).
    compared = call.name in ("eq", "ne") or not (short.requires_grad and long.requires_grad)
    if compared and not _same_origin(tape, short, long):
        one, other = (tuple(tensor.shape) for tensor in tensors)
        yield PAIRS.found(f"`{call.name}` of {one} and {other} gives {(*long.shape[:-1], n)}", call.where)


def _same_origin(tape: Tape, short: torch.Tensor, long: torch.Tensor) -> bool:
    """Is one the other with an axis more, or has it the same numbers: all pairs of one set, on purpose?"""
    if torch.equal(short.flatten(), long.flatten()):
        return True
    call = tape.maker(long)
    if call is None or call.name not in ("unsqueeze", "getitem", "view", "reshape"):
        return False
    return any(one is short or one.data_ptr() == short.data_ptr() for one in call.inputs)


def _wrong_axis(tape: Tape, call: Call) -> Iterator[Finding]:
    whole, reduced = call.inputs[:2]
    if call.name in ("rdiv", "rsub"):
        whole, reduced = reduced, whole
    if reduced.ndim != whole.ndim - 1 or reduced.ndim < 1:
        return
    maker = tape.source(reduced, _STILL, call.index)
    if maker is None or maker.name not in _REDUCTIONS or not maker.inputs:
        return
    # Over axis 0 the result is aligned as it should be; with keepdim it cannot be misaligned.
    source, dim = maker.inputs[0], maker.argument(1, "dim", maker.kwargs.get("axis"))
    if isinstance(dim, tuple | list):
        dim = dim[0] if len(dim) == 1 else None
    if maker.argument(2, "keepdim", False) is True or not isinstance(dim, int) or source.shape != whole.shape:
        return
    dim %= whole.ndim
    if dim and whole.shape[dim] > 1 and _related(tape, source, whole):
        yield WRONG_AXIS.found(
            f"`{maker.name}` over axis {dim} of {tuple(source.shape)} gives {tuple(reduced.shape)}, "
            f"which `{call.name}` aligns with axis {whole.ndim - 1}",
            call.where,
        )


def _related(tape: Tape, source: torch.Tensor, whole: torch.Tensor) -> bool:
    """The tensor that was reduced is the one that is divided, or one step away from it."""
    if source is whole or source.data_ptr() == whole.data_ptr():
        return True
    near = {id(source), *(id(tensor) for call in [tape.maker(source)] if call for tensor in call.inputs)}
    maker = tape.maker(whole)
    return id(whole) in near or (maker is not None and any(id(tensor) in near for tensor in maker.inputs))
