"""More padding must not change what real tokens get (family 27).

Rows that are short enough are given once with all their padding and once with less.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from ...batch import Batch
from ...patient import Patient
from ...report import Finding, Page
from ...tape import Tape, words
from .places import Padding, inputs_with_padding

CHANGES = Page(
    id="padding-changes-output",
    number=27,
    severity="warning",
    title="the output depends on how much padding follows",
    why="The model reads what is empty: the last state after the padding (a recurrent net has then forgotten "
    "the tokens), a mean over all places, or attention to them.",
    evidence="The same rows with less padding; the change against the spread between samples.",
    legitimate="Models for one fixed length; what convolutions and the backward half of a recurrent net see behind "
    "the last tokens is allowed for.",
    cure="Read at `length - 1` or pack the sequences, divide by the number of real tokens, mask the keys.",
)
UNREAD = Page(
    id="only-padding-is-read",
    number=27,
    title="rows with padding are answered without their tokens",
    why="A mask is the wrong way round: what is read is the padding.",
    evidence="All real tokens of these rows were replaced, and not a bit of the output moved.",
    cure="Turn the mask round.",
)
PAGES = (CHANGES, UNREAD)
_RECURRENT = words("lstm gru rnn_tanh rnn_relu")
_WINDOWS = words("conv1d conv2d conv3d max_pool1d avg_pool1d unfold")
_LITTLE, _BORDER = 0.05, 0.35
"""A change not worth a word; one that begins at the padding's border, where a net also reads backwards."""


def check(patient: Patient) -> Iterator[Finding]:
    """The first input with padding behind its tokens."""
    for x, padding in inputs_with_padding(patient):
        if padding.right:
            unread = [] if patient.heavy else list(_unread(patient, x, padding))
            yield from unread or _changes(patient, x, padding)
            return


def _changes(patient: Patient, x: torch.Tensor, padding: Padding) -> Iterator[Finding]:
    lengths, size = padding.lengths, x.shape[1]
    reach = _reach(patient.training.tape)
    longest = min(int(lengths.median()), size - reach - 2) if reach else int(lengths.median())
    kept = longest + reach
    rows = (lengths <= longest).nonzero().flatten()
    if len(rows) < 2 or longest < 1 or size - kept < 2:
        return
    full = patient.batch.taken(rows, 0)
    one, other = (patient.trial(batch, train=False, loss=False) for batch in (full, full.cut(1, kept, size)))
    if one.error or other.error:
        return
    long, short = one.main.detach().double(), other.main.detach().double()
    backwards = _reads_backwards(patient.training.tape)
    if long.ndim > 1 and long.shape[1] == size and short.shape[1] == kept and long.shape[0] == len(rows):
        if backwards:
            return  # the places near the padding see it, and are no worse for it
        real = ~padding.mask[rows][:, :kept]
        long, short = long[:, :kept][real], short[real]
    if long.shape != short.shape or long.shape[0] < 2:
        return
    spread, change = float((long - long.mean(0)).norm()), float((long - short).norm())
    least = _BORDER if backwards else _LITTLE
    if change > least * spread and change > 1e-4 * float(long.norm()):
        yield CHANGES.found(
            f"{len(rows)} rows with {size - kept} places of padding less: the output changes by "
            f"{change / (spread + 1e-30):.2g} times what samples differ by",
            _reader(patient),
        )


def _reach(tape: Tape) -> int:
    """How many places behind its own one an output of the convolutions sees at most, were they all in a row."""
    reach, jump = 0, 1
    for call in tape.calls:
        if call.name not in _WINDOWS or call.phase != "model":
            continue
        if call.name.startswith("conv"):
            weight, stride = call.argument(1, "weight"), call.argument(3, "stride", 1)
            size, dilation = weight.shape[2], call.argument(5, "dilation", 1)
        else:
            size, dilation = call.argument(1, "kernel_size", 1), 1
            stride = call.argument(2, "stride") or size
        size, stride, dilation = (_first(one) for one in (size, stride, dilation))
        reach += (size - 1) * dilation * jump
        jump *= stride
    return reach


def _first(value: Any) -> int:
    one = value[0] if isinstance(value, tuple | list) and value else value
    return one if isinstance(one, int) else 1


def _reads_backwards(tape: Tape) -> bool:
    """Does a recurrent net go both ways, and is only asked for what it says at the places?"""
    # torch calls them with everything by place; the eighth says whether they go both ways
    both = [call for call in tape.calls if call.name in _RECURRENT and call.args[7:8] == (True,)]
    ends = {id(state) for call in both for state in call.outputs[1:]}
    return bool(both) and not any(id(one) in ends for call in tape.calls for one in call.inputs)


def _reader(patient: Patient) -> str | None:
    """The user's line after the last call that has all places: where they are read, or summed up."""
    calls = [call for call in patient.training.tape.calls if call.phase == "model" and call.where]
    size = patient.batch.inputs[0].shape[1]
    whole = [call for call in calls if any(out.ndim > 2 and out.shape[1] == size for out in call.outputs)]
    after = [call for call in calls if whole and call.index > whole[-1].index]
    return (after or whole or calls)[0].where if calls else None


def _unread(patient: Patient, x: torch.Tensor, padding: Padding) -> Iterator[Finding]:
    rows = padding.mask.any(1).nonzero().flatten()
    if len(rows) < 2 or int(padding.lengths[rows].min()) < 1:
        return
    other = _with_other_tokens(x, padding)
    if other is None:
        return
    batch: Batch = patient.batch.with_inputs(lambda given: other if given is x else given)
    base, changed = patient.exact(patient.batch), patient.exact(batch)
    if base.error or changed.error or base.main.shape != changed.main.shape or base.main.shape[0] != len(x):
        return
    if torch.equal(base.main[rows], changed.main[rows]):
        yield UNREAD.found(f"{len(rows)} rows with padding, all their tokens replaced", _reader(patient))


def _with_other_tokens(x: torch.Tensor, padding: Padding) -> torch.Tensor | None:
    """Every token that is not padding replaced, but for those that all rows share: a class token says nothing."""
    if x.is_floating_point():
        return torch.where(padding.mask[..., None], x, -1.5 * x + 1)
    values = torch.unique(x[~padding.mask])
    if len(values) < 2:
        return None
    place = torch.searchsorted(values, x.clamp(int(values.min()), int(values.max())))
    moved = values[(place.clamp(max=len(values) - 1) + 1) % len(values)]
    shared = (x == x[:1]).all(0)
    return torch.where(padding.mask | shared, x, moved.to(x.dtype))
