"""Every batch holds one class: the data are in the order of their classes (family 27)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page
from ...tape import RESHAPES, Call
from .repeated import tensors_of
from .rows import Pass, origin_of, training_passes

PURE = Page(
    id="batches-of-one-class",
    number=27,
    severity="warning",
    title="the batches are sorted by class",
    why="Every step learns to say one class, and the next ones unlearn it; BatchNorm sees one class at a time.",
    evidence="Each batch of the user's steps holds one class, and there are others: "
    "in other batches, or in the labels that it was taken from.",
    legitimate="Nearly all samples are of one class (then the chance of it is not small, and nothing is said).",
    cure="`DataLoader(..., shuffle=True)`, or pick rows with `torch.randperm`.",
)
PAGES = (PURE,)
_CLASSIFIES = frozenset(("cross_entropy", "nll_loss", "binary_cross_entropy_with_logits", "binary_cross_entropy"))


def check(patient: Patient) -> Iterator[Finding]:
    """The labels of every training pass."""
    recording, tape = patient.recording, patient.recording.tape
    passes = {id(one.forward): one for one in training_passes(recording)}
    if tape is None:
        return
    steps = [
        [call for forward in group for call in passes[id(forward)].losses if _labels(call)]
        for group in recording.passes_of(recording.placed)
    ]
    # What counts is what a step sees: accumulated parts are one batch, and a batch again tells nothing.
    batches = {tuple(id(call.argument(1, "target")) for call in calls): calls for calls in steps if calls}
    labels = [[label for call in calls for label in _labels(call)] for calls in batches.values()]
    if len(labels) < 3 or any(len(one) < 8 for one in labels):
        return
    pure = [one for one in labels if len(set(one)) == 1]
    if 2 * len(pure) < len(labels) or any(one != sorted(one) for one in labels):
        return
    calls = [call for calls in batches.values() for call in calls]
    first = calls[0]
    around = Counter(label for one in labels for label in one)
    origins = [origin_of(tape, call.argument(1, "target"), call.index) for call in calls]
    if origins[0] is not None:
        around += Counter(_flat(origins[0].base))
    classes = first.argument(0, "input").shape[1] if first.name == "cross_entropy" else 2
    for one in _of_loader(passes.values()):
        if one.dtype == first.argument(1, "target").dtype and 0 <= float(one.min()) <= float(one.max()) < classes:
            around += Counter(_flat(one))
    if patient.batch.targets is not None:
        around += Counter(_flat(patient.batch.targets))
    # A GAN's real and made samples come batch by batch, with labels that are made of nothing.
    sources = [tape.source(call.argument(1, "target"), RESHAPES, call.index) for call in calls]
    made = any(map(_made_of_nothing, sources))
    binary = first.name.startswith("binary") and None in origins
    share = max(around.values()) / sum(around.values())
    chance = share ** sum(len(one) - 1 for one in pure)
    if len(around) > 1 and chance < 1e-6 and not made and not binary:
        evidence = f"{len(pure)} of {len(labels)} batches hold one class, of {len(around)} that there are"
        yield PURE.found(evidence, first.where)


def _of_loader(passes: Iterable[Pass]) -> list[torch.Tensor]:
    """What the data set holds that the training batches are taken of, if they are all of one."""
    drawn = [one.forward.source for one in passes]
    sets = {id(one.loader.dataset) if one is not None else None for one in drawn}
    if len(sets) != 1 or drawn[0] is None:
        return []
    return [one for one in tensors_of(drawn[0].loader.dataset) if one.numel()]


def _made_of_nothing(call: Call | None) -> bool:
    return call is not None and call.name.removeprefix("new_").removesuffix("_like") in ("zeros", "ones", "full")


def _labels(call: Call) -> list[float]:
    """The labels of one batch, if it has one for each sample and they are not made of constants."""
    target = call.argument(1, "target")
    if call.name not in _CLASSIFIES or not isinstance(target, torch.Tensor):
        return []
    return _flat(target) if call.name in ("cross_entropy", "nll_loss") or target.is_floating_point() else []


def _flat(target: torch.Tensor) -> list[float]:
    """One label for each sample, if that is what it holds."""
    one_each = target.ndim == 1 or (target.ndim == 2 and target.shape[1] == 1)
    return [float(label) for label in target.detach().reshape(-1)[:10_000].tolist()] if one_each else []
