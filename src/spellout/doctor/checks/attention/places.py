"""Which places are read, and which must not be: padding, places that count for nothing, all but one.

Padding is what fills up the shorter sequences of a batch: one value at the end of the rows and nowhere else. Less
of it must not change what the real places get.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...batch import Batch
from ...case import Trial, difference
from ...patient import Patient
from ...report import Finding, Page
from ...tape import MOVES, words
from .reading import PRODUCTS, answers, attentions, evaluated, precise
from .seen import Attention

PADDING = Page(
    id="padding-is-seen",
    number=26,
    severity="warning",
    title="padding changes the answer",
    why="What a sentence gets depends on how long the longest one in its batch is: "
    "the mask hides the wrong side, lies along the wrong axis, is missing, or the pooling counts what fills up.",
    evidence="The batch was cut to fewer places of padding, and outputs of real places moved; "
    "how much of the attention lies on padding.",
    legitimate="Lengths that carry meaning, read from the padding.",
    cure="Mask keys, not queries: `mask[:, None, None, :]`; True means *hide* for `key_padding_mask` "
    "and *show* for `scaled_dot_product_attention`; pool with the mask.",
)
IGNORED = Page(
    id="places-ignored",
    number=26,
    severity="warning",
    title="outputs at some places are the same whatever the input",
    why="They were overwritten, zeroed or masked; the loss there teaches nothing.",
    evidence="Every input was replaced, and these places of the output did not move while others did.",
    legitimate="Places that are padding in every sample; a first output that comes from a start token alone.",
    cure="Look for slices that are set to zero, and masks over the places of the output.",
)
ONE = Page(
    id="reads-one-place",
    number=26,
    severity="warning",
    title="the output depends on one place of the sequence only",
    why="A causal model's first place has seen nothing but itself; everything else is thrown away.",
    evidence="Places of the input were changed one at a time, and one alone moved the output.",
    legitimate="The answer stands at one place.",
    cure="Read the last real place of a causal model, the class token of one that sees both sides, or a mean.",
)
ZEROED = Page(
    id="attention-output-zeroed",
    number=26,
    severity="warning",
    title="a part of what attention gives is zero",
    why="Places (or heads) for which it is zero get nothing, and what led there learns nothing.",
    evidence="Before the projection whole slices are exactly zero, with noise on all parameters.",
    legitimate="Heads that are pruned on purpose.",
    cure="Look for slices set to zero, masks multiplied on the wrong axis, and tables of zeros.",
)
PAGES = (PADDING, IGNORED, ONE, ZEROED)

_KEEPS = MOVES | words("mul masked_fill where setitem dropout index_copy index_fill")
"""What may put zeros into a tensor and keep the rest."""


def check(patient: Patient) -> Iterator[Finding]:
    """Padding in eval mode as the weights are; the rest in float64, with noise on them."""
    trial, found = evaluated(patient)
    if not found or trial.error is not None or difference(*patient.settled):
        return
    if answers(trial):
        yield from _padding(patient, trial, found)
    batch, base = precise(patient)
    if answers(base) and batch.inputs:
        yield from _zeroed(base)
        yield from _read(patient, batch, base)


def _real(x: torch.Tensor) -> torch.Tensor | None:
    """How many real places each row of an input has, if the rest is padding at the end."""
    if x.ndim != 2 + x.is_floating_point() or x.shape[1] < 5 or len(x) < 3 or x.dtype == torch.bool:
        return None
    if x.is_floating_point():
        filled = (x == 0).all(-1)
    else:
        last = torch.bincount((x[:, -1] - x.min()).long()).argmax() + x.min()
        filled = x == last
    tail = filled.long().flip(1).cumprod(1).flip(1).bool()
    lengths = (~tail).sum(1)
    varied = len(torch.unique(lengths)) > 2 and int((tail.sum(1) > 1).sum()) > 1
    return lengths if varied and torch.equal(filled, tail) and bool((lengths > 0).all()) else None


def _padding(patient: Patient, base: Trial, found: list[Attention]) -> Iterator[Finding]:
    for x in patient.batch.inputs:
        lengths = _real(x) if patient.batch_axis == 0 else None
        if lengths is None:
            continue
        size = x.shape[1]
        kept = int(lengths.sort().values[(len(lengths) - 1) // 2])
        whole = [attention for attention in found if attention.weights.shape[-1] == size]
        if not whole or not 1 < kept < size:
            return
        cut = patient.trial(patient.batch.cut(1, kept, size), train=False, loss=False)
        if cut.error is not None or cut.main.shape[0] != base.main.shape[0]:
            return
        moved = _moved(base.main.detach(), cut.main.detach(), lengths, size, kept)
        if moved > 1e-3:
            yield PADDING.found(
                f"with {size - kept} places of padding less, outputs moved by {moved:.0%} of their spread"
                + _on_padding(whole, lengths),
                whole[0].where,
            )
        return


def _moved(whole: torch.Tensor, cut: torch.Tensor, lengths: torch.Tensor, size: int, kept: int) -> float:
    """By how much of their spread the outputs of real places moved, in rows that lost nothing but padding."""
    rows = lengths <= kept
    if whole.shape == cut.shape:
        one, two = whole[rows], cut[rows]
    elif whole.ndim > 1 and whole.shape[1] == size and cut.shape[1] == kept:
        real = (torch.arange(kept, device=lengths.device) < lengths[:, None]) & rows[:, None]
        one, two = whole[:, :kept][real], cut[real]
    else:
        return 0.0
    spread = float(whole.float().std()) if whole.numel() > 1 else 0.0
    return float((one - two).abs().max()) / (spread + 1e-12)


def _on_padding(found: list[Attention], lengths: torch.Tensor) -> str:
    """How much of the attention of real places lies on padding."""
    weights = found[0].weights
    if weights.ndim < 3 or weights.shape[0] != len(lengths):
        return ""
    places = torch.arange(weights.shape[-1], device=weights.device)
    pads = (places >= lengths[:, None]).to(weights)
    shared = (weights.flatten(1, -3).mean(1) if weights.ndim > 3 else weights)[:, 0]
    share = float((shared * pads).sum(-1)[pads.any(-1)].mean())
    return f"; {share:.0%} of the first place's attention lies on padding"


def _zeroed(base: Trial) -> Iterator[Finding]:
    """Slices of zeros between the values of attention and the next product."""
    tape = base.tape
    for attention in attentions(base):
        if attention.call.name == "multi_head_attention_forward" or not bool(attention.output.any()):
            continue
        held = {id(attention.output)}
        for call in tape.calls[attention.call.index + 1 :]:
            mine = [tensor for tensor in call.inputs if id(tensor) in held]
            if mine and call.name in _KEEPS:
                held.update(id(tensor) for tensor in call.outputs)
            elif mine and (call.name in PRODUCTS or call.name == "linear"):
                said = _slices(mine[0], attention)
                if said is not None:
                    yield ZEROED.found(said, call.where)
                break


def _slices(tensor: torch.Tensor, attention: Attention) -> str | None:
    if bool((attention.weights.nan_to_num().sum(-1) < 1e-3).any()):  # queries that may see nothing
        return None
    present = tensor.detach() != 0
    for axis in range(1, tensor.ndim):
        empty = ~present.movedim(axis, 0).flatten(1).any(1)
        if bool(empty.any()) and not bool(empty.all()):
            return f"{int(empty.sum())} of {len(empty)} slices of axis {axis} of {tuple(tensor.shape)} are zero"
    return None


def _read(patient: Patient, batch: Batch, base: Trial) -> Iterator[Finding]:
    """What moves when all places change, and when one does."""
    x = batch.inputs[0]
    axis = 1 - patient.batch_axis if patient.batch_axis < 2 else 1
    if x.ndim not in (2, 3) or x.shape[axis] < 4 or (x.ndim == 2 and x.is_floating_point()):
        return
    length, out = x.shape[axis], base.main.detach()
    if out.ndim > 2 and out.shape[axis] == length:
        rows = _change(patient, base, x, axis, None)
        still = [] if rows is None else (~rows).nonzero().flatten().tolist()
        if rows is not None and rows.any() and still and still != [0] and _real(x) is None:
            yield IGNORED.found(f"places {still[:8]} of {length}")
    elif out.ndim == 2 and out.shape[0] == batch.size(patient.batch_axis):
        asked = sorted({int(one) for one in torch.linspace(0, length - 1, 4 if patient.heavy else 6).tolist()})
        moves = [moment for moment in asked if _change(patient, base, x, axis, moment) is not None]
        if len(moves) == 1 and len(asked) > 3 and _change(patient, base, x, axis, None, but=moves[0]) is None:
            yield ONE.found(f"place {moves[0]} of {length} alone moves the output")


def _change(
    patient: Patient, base: Trial, x: torch.Tensor, axis: int, moment: int | None, but: int | None = None
) -> torch.Tensor | None:
    """Which places of the output move if the input is changed at one place, or at all; None if nothing does."""
    other = x.clone()
    view = other.movedim(axis, 0)
    fresh = x.movedim(axis, 0).flip(1) + 1.0 if x.is_floating_point() else _others(x.movedim(axis, 0))
    chosen = torch.ones(x.shape[axis], dtype=torch.bool) if moment is None else torch.zeros(x.shape[axis]) > 0
    if moment is not None:
        chosen[moment] = True
    if but is not None:
        chosen[but] = False
    view[chosen] = fresh[chosen]
    trial = patient.exact(precise(patient)[0].with_inputs(lambda given: other if given is x else given))
    if trial.error is not None or trial.main.shape != base.main.shape:
        return torch.ones(x.shape[axis], dtype=torch.bool)
    one, two = base.main.detach().double().nan_to_num(), trial.main.detach().double().nan_to_num()
    moved = (one - two).abs() > 1e-9 * (one.abs().max() + 1e-30)
    if not moved.any():
        return None
    along = moved.ndim > axis and moved.shape[axis] == x.shape[axis]
    return moved.movedim(axis, 0).flatten(1).any(1) if along else moved.flatten()


def _others(x: torch.Tensor) -> torch.Tensor:
    """At each place another token that occurs."""
    known, index = torch.unique(x, return_inverse=True)
    return known[(index + 1) % len(known)]
