"""What a loss is given is compared with what it expects (family 26)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page
from ...tape import REGRESSIONS, Call, Tape, span
from .tapes import once

KL = Page(
    id="kl-div-arguments",
    number=26,
    title="kl_div received something else than log-probabilities",
    why="`kl_div(input, target)` wants input as log-probabilities and target as probabilities "
    "(or both as logarithms, with log_target=True); else it is no distance, and may fall without bound.",
    evidence="A log-probability is never above 0; a probability never below it.",
    legitimate="Never.",
    cure="`F.kl_div(F.log_softmax(logits, -1), target_probabilities, reduction='batchmean')`.",
)
ROWS = Page(
    id="soft-targets-not-normalised",
    number=26,
    severity="warning",
    title="soft targets of cross entropy do not add up to 1",
    why="Cross entropy with probabilities asks one distribution per row; several ones in a row (many labels) "
    "make the classes of a sample compete.",
    evidence="The sums of the target's rows along the class axis.",
    legitimate="Rows weighted on purpose; rows of zeros are left out.",
    cure="Divide every row by its sum; for several labels at once `binary_cross_entropy_with_logits`.",
)
AXIS = Page(
    id="cross-entropy-over-wrong-axis",
    number=26,
    title="cross entropy takes the wrong axis for the classes",
    why="Classes stand on axis 1, (B, C, T); with (B, T, C) the moments compete instead of the classes.",
    evidence="The last axis was made by a linear layer (or normalised by softmax), and goes in as it is.",
    cure="`logits.transpose(1, 2)`, or `logits.flatten(0, 1)` with `target.flatten()`.",
)
CTC = Page(
    id="ctc-arguments",
    number=26,
    title="ctc_loss received what it does not expect",
    why="It wants log-probabilities (T, N, C), labels without the blank, and as many moments as the labels need.",
    evidence="The labels, the sums of the rows, and the lengths.",
    cure="`log_softmax(-1)`, labels from 1 on with blank=0, and lengths after subsampling.",
)
SHAPES = Page(
    id="regression-shapes-differ",
    number=26,
    severity="warning",
    title="a regression loss compares tensors of different shapes",
    why="They are broadcast: every output of a sample is compared with the same number.",
    evidence="The two shapes.",
    legitimate="One target for several outputs on purpose.",
    cure="Give the last layer one unit per target; for class ids use cross entropy.",
)
IDS = Page(
    id="regression-on-class-ids",
    number=26,
    severity="note",
    title="a regression loss is given whole numbers 0 … C−1",
    why="If they are names of classes, class 1 is not between 0 and 2.",
    evidence="The targets' values.",
    legitimate="Counts, ratings, ordered levels.",
    cure="For classes: C outputs and cross entropy.",
)
PAGES = (KL, ROWS, AXIS, CTC, SHAPES, IDS)
_ROUNDING = 1e-3


def check(patient: Patient) -> Iterator[Finding]:
    """Every loss on every tape."""
    yield from once(patient, _on)


def _on(tape: Tape) -> Iterator[Finding]:
    for call in tape.calls:
        if call.out is None:
            continue
        if call.name == "kl_div":
            yield from _kl(call)
        elif call.name in ("cross_entropy", "nll_loss"):
            yield from _rows(call)
            yield from _axis(tape, call)
        elif call.name == "ctc_loss":
            yield from _ctc(call)
        elif call.name in REGRESSIONS:
            yield from _regression(call)


def _kl(call: Call) -> Iterator[Finding]:
    given, target = call.argument(0, "input").detach(), call.argument(1, "target").detach()
    in_logs = bool(call.argument(5, "log_target", False))
    if not given.numel() or not target.numel():
        return
    if float(given.max()) > _ROUNDING:
        what = "probabilities" if float(given.min()) >= 0 and float(given.max()) <= 1 else "logits"
        yield KL.found(f"the input is {span(given)}: {what}, not log-probabilities", call.where)
    elif in_logs and float(target.max()) > _ROUNDING:
        yield KL.found(f"log_target=True, and the target is {span(target)}: no logarithms", call.where)
    elif not in_logs and float(target.min()) < -_ROUNDING:
        yield KL.found(f"the target is {span(target)}: no probabilities (log_target=True?)", call.where)


def _rows(call: Call) -> Iterator[Finding]:
    target = call.argument(1, "target")
    if not target.is_floating_point() or target.ndim < 1 or call.name != "cross_entropy":
        return
    sums = target.detach().sum(1 if target.ndim > 1 else 0).flatten()
    sums = sums[sums != 0]
    wrong = (sums - 1).abs() > 0.02
    if len(sums) and float(wrong.float().mean()) > 0.05:
        evidence = f"{float(wrong.float().mean()):.0%} of the rows do not: sums {span(sums)}"
        yield ROWS.found(evidence, call.where)


def _axis(tape: Tape, call: Call) -> Iterator[Finding]:
    """(B, T, C) straight from the layer whose outputs are the classes."""
    given, target = call.argument(0, "input"), call.argument(1, "target")
    if given.ndim < 3 or target.is_floating_point():
        return
    through = frozenset(("contiguous", "float", "to", "double", "clone", "clamp", "div", "mul"))
    source = tape.source(given, through, call.index)
    if source is None:
        return
    last = source.name == "linear"
    if source.name in ("log_softmax", "softmax"):
        dim = source.argument(1, "dim")
        last = dim in (-1, given.ndim - 1)
    if last:
        evidence = (
            f"logits of shape {tuple(given.shape)}: axis 1 has {given.shape[1]} places, the classes are on the last"
        )
        yield AXIS.found(evidence, call.where)


def _ctc(call: Call) -> Iterator[Finding]:
    given, labels = call.argument(0, "log_probs").detach(), call.argument(1, "targets").detach()
    times, lengths = (torch.as_tensor(call.argument(place, name)).flatten().cpu() for place, name in _LENGTHS)
    blank = call.argument(4, "blank", 0)
    worst = float(given.double().logsumexp(-1).abs().max())
    if worst > 0.05:
        yield CTC.found(f"the logarithm of a row's sum of exp(input) is up to {worst:.3g}, not 0", call.where)
    rows = list(labels.cpu().split(lengths.tolist())) if labels.ndim == 1 else list(labels.cpu())
    rows = [row[:length] for row, length in zip(rows, lengths.tolist(), strict=False)]
    inside = sum(int((row == blank).sum()) for row in rows)
    if inside:
        yield CTC.found(f"the blank, {blank}, stands {inside} times among the labels", call.where)
    # Between two equal labels a blank must stand.
    needed = [len(row) + int((row[1:] == row[:-1]).sum()) for row in rows]
    short = sum(need > time for need, time in zip(needed, times.tolist(), strict=False))
    if short:
        yield CTC.found(f"{short} of {len(rows)} samples have fewer moments than their labels need", call.where)


_LENGTHS = ((2, "input_lengths"), (3, "target_lengths"))


def _regression(call: Call) -> Iterator[Finding]:
    output, target = call.argument(0, "input"), call.argument(1, "target")
    if output.shape != target.shape and output.numel() != target.numel():
        if output.ndim == target.ndim and output.ndim > 1:
            yield SHAPES.found(f"`{call.name}` of {tuple(output.shape)} and {tuple(target.shape)}", call.where)
        return
    values = target.detach().unique()
    whole = 3 <= len(values) <= 50 and bool((values == torch.arange(len(values)).to(values)).all())
    if whole and target.numel() >= 4 * len(values) and not target.requires_grad:
        yield IDS.found(f"every target is one of 0 … {len(values) - 1}", call.where)
