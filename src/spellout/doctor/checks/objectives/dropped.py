"""Dropout after the last layer: what the loss compares are logits of which some were set to zero (family 7)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page
from ...tape import AFFINE, MOVES, REGRESSIONS, Call, Tape, words
from .tapes import once

DROPPED = Page(
    id="dropout-on-logits",
    number=7,
    severity="warning",
    title="dropout after the last layer sets logits to zero",
    why="A class whose logit is dropped competes with 0 instead of its own score: the training loss stays high, "
    "and what is learned has to outvote the noise.",
    evidence="The loss, or the softmax before it, received what a dropout in train mode returned.",
    legitimate="Noise on the answers themselves, on purpose.",
    cure="Move the dropout before the last layer: `nn.Sequential(..., nn.Dropout(p), nn.Linear(d, classes))`.",
)
PAGES = (DROPPED,)
_OF_LOGITS = words(
    "cross_entropy nll_loss binary_cross_entropy binary_cross_entropy_with_logits multi_margin_loss log_softmax"
)
_THROUGH = MOVES | words("div mul log softmax log_softmax sigmoid logsigmoid clamp")


def check(patient: Patient) -> Iterator[Finding]:
    """On every tape, the user's steps first."""
    yield from once(patient, _on)


def _on(tape: Tape) -> Iterator[Finding]:
    for call in tape.calls:
        drop = _dropped(tape, call)
        if drop is not None:
            shape = tuple(drop.inputs[0].shape)
            yield DROPPED.found(f"`{call.name}` received {shape} after dropout of p = {drop.drops:g}", drop.where)


def _dropped(tape: Tape, call: Call) -> Call | None:
    """The dropout in train mode from which a loss gets its predictions, with nothing learned in between."""
    numbers = call.name in REGRESSIONS
    given = call.argument(0, "input") if numbers or call.name in _OF_LOGITS else None
    if not isinstance(given, torch.Tensor) or not given.requires_grad or given.ndim == 0:
        return None
    drop = tape.source(given, _THROUGH, call.index)
    if drop is None or not drop.inputs or not 0 < drop.drops < 1:
        return None
    if not numbers:
        return drop
    # Features may be pulled towards others with noise on them; numbers right out of a layer towards data may not.
    made, other = tape.source(drop.inputs[0], MOVES | {"add"}, drop.index), call.argument(1, "target")
    answers = made is not None and made.name in AFFINE and tape.maker(other, call.index) is None
    return drop if answers and isinstance(other, torch.Tensor) and not other.requires_grad else None
