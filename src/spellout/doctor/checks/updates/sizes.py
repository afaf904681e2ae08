"""How far the user's steps move the weights: not at all, hardly, too far, or only by decay (family 26)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

from torch.optim import LBFGS, Optimizer

from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page
from ...sights.events import Step
from ...sights.movement import Movement
from .objective import parts_of, share_of_penalty, value_of
from .scaling import backwards
from .schedules import rates_ahead

ZERO = Page(
    id="update-is-zero",
    number=26,
    title="the optimizer steps and nothing moves",
    why="Gradients arrive and the optimizer runs, but the weights stay what they are.",
    evidence="The parameters before and after every optimizer step are the same bit for bit, "
    "and the gradients are not zero; the learning rate at each step, and what the scheduler makes of it.",
    legitimate="The first step of a warm-up.",
    cure="Look at the learning rate: a warm-up from 0 must not divide integers, nor last a whole epoch.",
)
TINY = Page(
    id="update-too-small",
    number=26,
    severity="warning",
    title="the steps are too small to matter",
    why="The weights change by so little that no number of steps that anyone takes will bring them anywhere.",
    evidence="The norm of the change by the norm of the weights, in every step that was seen.",
    legitimate="Weights that are almost right already.",
    cure="Find what makes it small: the learning rate, the limit of clipping, a loss that is divided.",
)
HUGE = Page(
    id="update-too-large",
    number=26,
    severity="warning",
    title="the steps throw the weights about",
    why="One step changes the weights by as much as they are, and the loss grows.",
    evidence="The norm of the change by the norm of the weights in the user's own steps, and the loss at each.",
    legitimate="The first steps of a model that begins at zero.",
    cure="Divide the learning rate by ten until the loss falls; "
    "where the loss is a sum over the batch, take the mean.",
)
DECAY = Page(
    id="weight-decay-dominates",
    number=26,
    severity="warning",
    title="weight decay is stronger than the gradient of the loss",
    why="The optimizer follows the decay, and all weights go to zero whatever the data say.",
    evidence="The norm of what weight decay adds to the gradient, by the norm of the gradient, in every step.",
    legitimate="A model that has learned, whose gradients have become small.",
    cure="Values from 1e-5 to 1e-2 are usual for SGD and Adam; AdamW decays apart from the gradient.",
)
PAGES = (ZERO, TINY, HUGE, DECAY)


def check(patient: Patient) -> Iterator[Finding]:
    """Every optimizer by itself."""
    recording = patient.recording
    if recording.finite.first is not None:
        return  # what is not finite has no size, and is told
    for optimizer in recording.optimizers:
        steps = [step for step in recording.steps_of(optimizer) if not step.closure and step.movement is not None]
        moves = [step.movement for step in steps if step.movement is not None]
        if len(moves) < 2 or isinstance(optimizer, LBFGS) or not all(map(_finite, moves[:1])):
            continue
        for look in (_zero, _decay, _huge, _tiny):
            found = look(recording, optimizer, steps, moves)
            if found is not None:
                yield found
                break


def _finite(move: Movement) -> bool:
    return math.isfinite(move.weights) and math.isfinite(move.gradient)


def _zero(recording: Recording, optimizer: Optimizer, steps: list[Step], moves: list[Movement]) -> Finding | None:
    later = moves[1:]  # a warm-up may begin at zero
    if any(move.update or not move.gradient for move in later):
        return None
    rate = max(max(move.rates) for move in later)
    if rate:
        evidence = f"lr {rate:.3g}: the change is lost in rounding in {len(later)} steps"
        return ZERO.found(evidence, steps[-1].where, "warning")
    ahead = [rates_ahead(one) for one in recording.schedulers if one.optimizer is optimizer]
    first = min((_first_above(rates) for rates in ahead if rates), default=0.0)
    if first == math.inf:
        said = f"; its scheduler keeps it there for {max(map(len, ahead)) - 1} steps"
    else:
        said = f"; after {first:.0f} steps of its scheduler it is above zero" if first else ""
    early = 0 < first <= 2  # a warm-up by epochs wastes the first of them, and no more
    return ZERO.found(
        f"the learning rate is 0 in {len(moves)} steps{said}", steps[-1].where, "warning" if early else None
    )


def _first_above(rates: list[float]) -> float:
    return next((place for place, rate in enumerate(rates) if rate > 0), math.inf)


def _tiny(recording: Recording, optimizer: Optimizer, steps: list[Step], moves: list[Movement]) -> Finding | None:
    ratio = max(move.ratio for move in moves)
    if not ratio < 1e-6 or not all(move.gradient for move in moves):
        return None
    if any(rates and max(rates) > 10 * max(rates[:3]) for rates in map(rates_ahead, recording.schedulers)):
        return None  # a warm-up
    kept, rate = median(step.kept for step in steps), max(moves[-1].rates)
    said = f"; clipping leaves {kept:.1e} of the gradient" if kept < 0.01 else ""
    return TINY.found(
        f"update:weights at most {ratio:.1e} in {len(moves)} steps, lr {rate:.3g}{said}: "
        f"to change the weights by a hundredth takes {0.01 / max(ratio, 1e-30):.0e} steps",
        steps[-1].where,
    )


def _decay(recording: Recording, optimizer: Optimizer, steps: list[Step], moves: list[Movement]) -> Finding | None:
    shares = [move.decay / move.gradient if move.gradient else 0.0 for move in moves]
    if min(shares) < 0.5 or median(shares) < 1:
        return _penalty(recording, optimizer)
    decay = max(float(group.get("weight_decay") or 0.0) for group in optimizer.param_groups)
    strength = f"{median(shares):.1f} times the gradient of the loss in the middle of {len(moves)} steps"
    return DECAY.found(f"weight_decay={decay:g}: {strength}", steps[0].where)


def _penalty(recording: Recording, optimizer: Optimizer) -> Finding | None:
    """The same, written as a part of the loss."""
    tape = recording.tape
    if tape is None:
        return None
    roots = [roots[0] for _, roots in backwards(recording, optimizer) if roots]
    shares = [share_of_penalty(tape, root) for root in roots]
    if len(shares) < 2 or min(shares) < 0.95:
        return None
    return DECAY.found(
        f"a penalty on the weights is {min(shares):.0%} of the loss in {len(shares)} steps", roots[0].where
    )


def _huge(recording: Recording, optimizer: Optimizer, steps: list[Step], moves: list[Movement]) -> Finding | None:
    ratios = [move.ratio if math.isfinite(move.update) else math.inf for move in moves]
    losses = _losses(recording, optimizer)
    if median(ratios) < 0.3 or len(losses) < 2:
        return None
    first, last = losses[0], losses[-1]
    if math.isfinite(last) and not last > 3 * abs(first) + 1e-6:
        return None
    said = _summed(recording, optimizer)
    return HUGE.found(
        f"update:weights {median(ratios):.2g} in {len(moves)} steps, the loss went {first:.4g} → {last:.4g}{said}",
        steps[0].where,
    )


def _losses(recording: Recording, optimizer: Optimizer) -> list[float]:
    return [sum(map(value_of, roots)) for _, roots in backwards(recording, optimizer) if roots]


def _summed(recording: Recording, optimizer: Optimizer) -> str:
    """Is the loss a sum over the batch?"""
    if recording.tape is None:
        return ""
    for _, roots in backwards(recording, optimizer):
        parts = [part for root in roots for part in parts_of(recording.tape, root)]
        largest = max((abs(part.factor) for part in parts if not part.scales), default=1.0)
        if 8 <= largest < math.inf:
            return f"; the loss is {largest:.0f} times its mean: a sum over the batch (reduction='sum')"
    return ""
