"""The weights of attention and embedding: frozen in part, copied where they should be tied, of unlike scale."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from ...case import Trial
from ...patient import Patient
from ...report import Finding, Page
from ...tape import MOVES, Call
from .reading import attentions
from .seen import Attention

FROZEN = Page(
    id="attention-partly-frozen",
    number=26,
    severity="warning",
    title="a projection of attention is frozen, everything else is trained",
    why="Queries, keys or values stay as they were drawn.",
    evidence="`requires_grad` is False for the weights of these projections alone.",
    legitimate="Random features on purpose; with adapters the rest is frozen too, and nothing is reported.",
    cure="`requires_grad_(True)`, or freeze whole layers.",
)
COPIED = Page(
    id="tied-weights-broken",
    number=26,
    severity="warning",
    title="the head starts as a copy of the embedding and is not tied to it",
    why="The two have the same values and drift apart: the tie that was meant is not there.",
    evidence="Two parameters, one looked up and one in the last product, are equal in every number.",
    legitimate="A start that is equal on purpose.",
    cure="`head.weight = embedding.weight`, after everything that replaces either of them.",
)
SCALE = Page(
    id="embedding-scale",
    number=26,
    severity="note",
    title="tokens and positions have unlike scales",
    why="Of a sum in which one part is twenty times the other, the smaller one is hardly seen.",
    evidence="The spread of the token vectors and of the positions where they are added.",
    legitimate="Learned positions may start small; Marian starts its tokens small.",
    cure="`embedding(x) * math.sqrt(d)` for tokens of spread 1/√d, beside sines and cosines.",
)
PAGES = (FROZEN, COPIED, SCALE)


def check(patient: Patient) -> Iterator[Finding]:
    """In a training pass."""
    trial = patient.training
    found = attentions(trial)
    if found:
        yield from _frozen(patient, trial, found)
        yield from _scales(trial)
    yield from _copied(patient, trial)


def _frozen(patient: Patient, trial: Trial, found: list[Attention]) -> Iterator[Finding]:
    """Weights that need no gradient, if they are projections of attention and nothing else."""
    matrices = {name: one for name, one in patient.parameters() if one.ndim > 1}
    still = {name: one for name, one in matrices.items() if not one.requires_grad}
    if not still or len(still) * 2 > len(matrices):
        return
    projections: set[int] = set()
    for attention in found:
        for end in attention.inputs:
            call = _projection(trial, end, attention.call.index)
            projections.update(id(one) for one in (call.inputs if call else ()) if isinstance(one, nn.Parameter))
    if all(id(one) in projections for one in still.values()):
        names = sorted(still)
        yield FROZEN.found(f"{len(names)} of {len(matrices)} matrices: {', '.join(names[:4])}")


def _projection(trial: Trial, end: torch.Tensor, before: int) -> Call | None:
    """The product with a weight that an operand of attention comes from."""
    call = trial.tape.source(end, MOVES | {"mul", "div", "add"}, before)
    return call if call is not None and call.name in ("linear", "matmul", "einsum") else None


def _copied(patient: Patient, trial: Trial) -> Iterator[Finding]:
    calls = [call for call in trial.tape.calls if call.phase == "model"]
    tables = [call.argument(1, "weight") for call in calls if call.name == "embedding"]
    heads = [(call.argument(1, "weight"), call) for call in calls if call.name == "linear"]
    for head, call in heads[-2:]:
        for table in tables:
            pair = (table, head)
            if table is head or not all(isinstance(one, nn.Parameter) and one.requires_grad for one in pair):
                continue
            if (
                table.shape == head.shape
                and len(table) > 2
                and torch.equal(table, head)
                and len(table.unique()) > 2
            ):
                names = " and ".join(patient.names.get(id(one), "?") for one in pair)
                yield COPIED.found(f"{names}, {tuple(table.shape)}", call.where)
                return


def _scales(trial: Trial) -> Iterator[Finding]:
    """The first sum of looked-up tokens and something that is the same for all samples."""
    tape = trial.tape
    for call in tape.calls:
        if call.name != "add" or call.phase != "model" or len(call.inputs) != 2:
            continue
        for tokens, places in (call.inputs, call.inputs[::-1]):
            source = tape.source(tokens, MOVES | {"mul", "dropout"}, call.index)
            if source is None or source.name != "embedding" or id(tokens) not in trial.dependent:
                continue
            if id(places) in trial.dependent or places.shape[-1:] != tokens.shape[-1:] or places.ndim < 2:
                continue
            one, two = (float(part.detach().float().std()) for part in (tokens, places))
            if two > 20 * one or (one > 20 * two > 0 and not places.requires_grad):
                yield SCALE.found(f"spread of the tokens {one:.2g}, of the positions {two:.2g}", call.where)
            return
