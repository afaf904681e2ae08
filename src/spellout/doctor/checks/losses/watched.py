"""A loss, gradient or weight that was finite as training started and became NaN or infinite later (family 22)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...finite import Broken, bad
from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page
from .nonfinite import BACKWARD, FORWARD, INPUT

EXPLODES = Page(
    id="training-explodes",
    number=22,
    title="the weights grow from step to step until the numbers are not finite",
    why="Every step jumps farther than the one before; what comes after NaN is NaN.",
    evidence="The losses, the norm of the change by the norm of the weights, and the step and what was not finite "
    "first.",
    cure="Divide the learning rate by ten until the loss falls step by step; inputs and targets near unit scale, "
    "and a limit on the norm of gradients, let it be larger.",
)
WEIGHTS = Page(
    id="step-makes-nan",
    number=22,
    title="an optimizer step makes weights that are not finite, of gradients that are",
    why="What is computed with them is NaN from then on.",
    evidence="The weights after each step, and the gradients before it.",
    cure="Look at the optimizer's own numbers: a learning rate that is not finite, `eps=0`, or half precision.",
)
PAGES = (EXPLODES, WEIGHTS)
_KINDS = {"data": INPUT, "loss": FORWARD, "gradients": BACKWARD, "weights": WEIGHTS}


def check(patient: Patient) -> Iterator[Finding]:
    """What was not finite first; what the first pass has shown already is not said again."""
    recording = patient.recording
    first = recording.finite.first
    if first is None or (patient.runs and _began_so(patient)):
        return
    sure = recording.finite.is_sure or any(bad(one.parameter) for one in recording.accounts.values())
    if not sure and first.kind != "loss":
        return  # as loss scaling leaves a step out
    growth = _growth(recording, first)
    page = EXPLODES if growth and first.kind != "data" else _KINDS[first.kind]
    evidence = f"step {first.step}: {first.evidence}{growth if page is EXPLODES else ''}"
    yield page.found(evidence, first.where, None if sure else "warning")


def _began_so(patient: Patient) -> bool:
    trial = patient.training
    gradients = [grad for grad in trial.gradients.values() if grad is not None]
    return any(map(bad, [*gradients, *([] if trial.loss is None else [trial.loss])]))


def _growth(recording: Recording, first: Broken) -> str:
    """Did the steps before it throw the weights about?"""
    moves = [step.movement for step in recording.steps[: first.step - 1] if step.movement is not None]
    ratios = [move.ratio for move in moves if math.isfinite(move.weights)]
    losses = [f"{loss:.3g}" for loss in recording.losses[: first.step]]
    grown = [loss for loss in recording.losses[: first.step] if math.isfinite(loss)]
    by_losses = not moves and len(grown) > 1 and abs(grown[-1]) > 100 * abs(grown[0])
    if not by_losses and not any(ratio > 1 for ratio in ratios[-3:]):
        return ""
    shown = losses if len(losses) < 6 else [*losses[:2], "…", *losses[-3:]]
    said = f"; the loss went {' → '.join(shown)}" if losses else ""
    rates = sorted({rate for move in moves for rate in move.rates})
    told = f"; update:weights {', '.join(f'{ratio:.2g}' for ratio in ratios[-4:])}" if ratios else ""
    return f"{said}{told}" + (f"; lr {rates[-1]:g}" if rates else "")
