"""More padding must not change what real tokens get (family 27).

Rows that are short enough are given once with all their padding and once with less.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...batch import Batch
from ...patient import Patient
from ...report import Finding, Page
from ...tape import words
from .places import Padding, inputs_with_padding

CHANGES = Page(
    id="padding-changes-output",
    number=27,
    severity="warning",
    title="the output depends on how much padding follows",
    why="The model reads what is empty: the last state after the padding (a recurrent net has then forgotten "
    "the tokens), a mean over all places, or attention to them.",
    evidence="The same rows with less padding; the change against the spread between samples.",
    legitimate="Models for one fixed length.",
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
_WINDOWS = words("conv1d conv2d conv3d max_pool1d avg_pool1d unfold")
_MARGIN, _LITTLE = 8, 0.05
"""Places of padding that stay where a convolution sees what follows a row; a change not worth a word."""


def check(patient: Patient) -> Iterator[Finding]:
    """The first input with padding behind its tokens."""
    for x, padding in inputs_with_padding(patient):
        if padding.right:
            unread = [] if patient.heavy else list(_unread(patient, x, padding))
            yield from unread or _changes(patient, x, padding)
            return


def _changes(patient: Patient, x: torch.Tensor, padding: Padding) -> Iterator[Finding]:
    lengths, size = padding.lengths, x.shape[1]
    longest = int(lengths.median())
    wide = any(call.name in _WINDOWS for call in patient.training.tape.calls)
    kept = longest + (min(_MARGIN, (size - longest) // 2) if wide else 0)
    rows = (lengths <= longest).nonzero().flatten()
    if len(rows) < 2 or size - kept < 2:
        return
    full = patient.batch.taken(rows, 0)
    one, other = (patient.trial(batch, train=False, loss=False) for batch in (full, full.cut(1, kept, size)))
    if one.error or other.error:
        return
    long, short = one.main.detach().double(), other.main.detach().double()
    if long.ndim > 1 and long.shape[1] == size and short.shape[1] == kept and long.shape[0] == len(rows):
        real = ~padding.mask[rows][:, :kept]
        long, short = long[:, :kept][real], short[real]
    if long.shape != short.shape or long.shape[0] < 2:
        return
    spread, change = float((long - long.mean(0)).norm()), float((long - short).norm())
    if change > _LITTLE * spread and change > 1e-4 * float(long.norm()):
        yield CHANGES.found(
            f"{len(rows)} rows with {size - kept} places of padding less: the output changes by "
            f"{change / (spread + 1e-30):.2g} times what samples differ by",
            _reader(patient),
        )


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
    values = torch.unique(x[~padding.mask])
    if len(values) < 2:
        return
    place = torch.searchsorted(values, x.clamp(int(values.min()), int(values.max())))
    moved = values[(place.clamp(max=len(values) - 1) + 1) % len(values)]
    other = torch.where(padding.mask, x, moved.to(x.dtype))
    batch: Batch = patient.batch.with_inputs(lambda given: other if given is x else given)
    base, changed = patient.exact(patient.batch), patient.exact(batch)
    if base.error or changed.error or base.main.shape != changed.main.shape or base.main.shape[0] != len(x):
        return
    if torch.equal(base.main[rows], changed.main[rows]):
        yield UNREAD.found(f"{len(rows)} rows with padding, all their tokens replaced", _reader(patient))
