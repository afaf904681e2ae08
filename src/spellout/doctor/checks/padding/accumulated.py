"""Means over unequal numbers of tokens are added up before one optimizer step (family 27)."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ...patient import Patient
from ...report import Finding, Page
from ...tape import Call

MEANS = Page(
    id="means-of-unequal-parts",
    number=27,
    severity="warning",
    title="accumulated means count tokens unequally",
    why="Each part's loss is a mean over its own tokens: a token in a part with few of them counts for more.",
    evidence="How many labels each part's loss counted, between two steps of the optimizer.",
    legitimate="Parts of nearly the same number of tokens.",
    cure="`reduction='sum'` in every part, divided by the number of tokens of all parts.",
)
PAGES = (MEANS,)
_UNEQUAL = 2.0
"""Below such a factor it is only told."""


def check(patient: Patient) -> Iterator[Finding]:
    """The losses between the optimizer's steps, as they lie on the tape of the user's steps."""
    tape, begin = patient.recording.tape, 0
    if tape is None:
        return
    for step in patient.recording.steps:
        calls = tape.calls[begin : step.tick]
        begin = step.tick
        backwards = [call.index for call in calls if call.name == "backward"]
        counts, padded = [], False
        for since, until in zip([0, *backwards], backwards, strict=False):
            losses = [call for call in calls if since <= call.index < until and _is_mean(call)]
            if losses:
                target = losses[-1].argument(1, "target")
                counted = target != losses[-1].argument(4, "ignore_index", -100)
                counts.append(int(counted.sum()))
                padded |= not bool(counted.all())
                where = losses[-1].where
        if padded and len(counts) > 1 and max(counts) > 1.2 * min(counts) > 0:
            ratio = max(counts) / min(counts)
            evidence = (
                f"{len(counts)} parts with {min(counts)} to {max(counts)} labels: up to {ratio:.2g} times as much"
            )
            yield MEANS.found(evidence, where, "warning" if ratio >= _UNEQUAL else "note")
            return


def _is_mean(call: Call) -> bool:
    if call.name not in ("cross_entropy", "nll_loss") or call.argument(6, "reduction", "mean") != "mean":
        return False
    target = call.argument(1, "target")
    return isinstance(target, torch.Tensor) and not target.is_floating_point()
