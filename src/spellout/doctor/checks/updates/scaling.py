"""The loss is multiplied or divided on its way to the optimizer, and once too often or too seldom (family 26)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from torch.optim import Optimizer

from ...patient import Patient
from ...recording import Recording
from ...report import Finding, Page
from ...sights.events import Step
from ...tape import Call
from .objective import Part, parts_of

DIVIDED = Page(
    id="loss-divided-twice",
    number=26,
    title="the loss of accumulated parts is divided twice by their number",
    why="Each part already is a mean. Divided once by their number the gradients add up to the mean of all; "
    "divided twice the step is as many times too small, like a learning rate that much lower.",
    evidence="The number of backward passes before one optimizer step, and what each loss was divided by.",
    legitimate="Never; lower the learning rate instead.",
    cure="Divide once by the number of accumulated parts.",
)
SCALED = Page(
    id="scaled-gradients-stepped",
    number=26,
    title="the optimizer steps on scaled gradients",
    why="The loss was multiplied by a loss scale so that small gradients survive half precision; "
    "the step is too large by that factor, and clipping cuts everything.",
    evidence="The factor of the loss before `.backward()`, and that the gradients were not divided by it again.",
    legitimate="Never.",
    cure="`scaler.step(optimizer)` and `scaler.update()` instead of `optimizer.step()`.",
)
CLIPPED = Page(
    id="clip-before-unscale",
    number=26,
    title="gradients are clipped before they are unscaled",
    why="The limit is compared with gradients that are multiplied by the loss scale, "
    "so that nearly everything is cut away; what is left is then divided by the scale.",
    evidence="The order of clipping and unscaling between backward and step, and the scale.",
    legitimate="Never; a limit that is multiplied by the scale is easier to read after unscaling.",
    cure="Call `scaler.unscale_(optimizer)` before `clip_grad_norm_`.",
)
SHRUNK = Page(
    id="gradient-scaled-down",
    number=26,
    severity="warning",
    title="gradients are divided away between the loss and the step",
    why="The step is smaller than the loss's mean asks for, as with a learning rate that much lower.",
    evidence="The factor of the loss in units of its mean, and the part of the arrived gradients that was left.",
    legitimate="One loss that is weighted down on purpose; a learning rate chosen for it.",
    cure="Divide by the number of samples, or unscale, once.",
)
CUT = Page(
    id="clip-limit-too-low",
    number=26,
    severity="warning",
    title="clipping leaves hardly anything of the gradient",
    why="Every step has the same tiny length, whatever the gradient says: like a learning rate that much lower, "
    "and momentum and Adam see only the limit.",
    evidence="The limit, and the part of the arrived gradients that it left, in every step.",
    legitimate="Gradients that are all as small as that; then nothing is cut.",
    cure="A limit near the norm that the gradients usually have: 1.0, or what `clip_grad_norm_` returns.",
)
PAGES = (DIVIDED, SCALED, CLIPPED, SHRUNK, CUT)
_LOW = 2e-3
"""A limit that nobody chooses for the norm of gradients, which is near 1 as training starts."""


def check(patient: Patient) -> Iterator[Finding]:
    """Look at every optimizer step that was recorded with a tape."""
    recording = patient.recording
    for page, found in _seen(recording).items():
        # A loss scale changes while it is searched for, and an odd last batch is no rule: all steps or nothing.
        if len(found) == len(recording.placed):
            evidence, where = found[-1]
            yield page.found(evidence, where)


def _seen(recording: Recording) -> dict[Page, list[tuple[str, str | None]]]:
    seen: dict[Page, list[tuple[str, str | None]]] = {}
    if recording.tape is None:
        return seen
    for step, roots in backwards(recording):
        parts = [parts_of(recording.tape, root) for root in roots]
        for look in (_divided, _scaled, _clipped, _shrunk, _cut):
            found = look(recording, step, roots, parts)
            if found is not None:
                page, evidence, where = found
                seen.setdefault(page, []).append((evidence, where))
                break
    return seen


def backwards(recording: Recording, only: Optimizer | None = None) -> Iterator[tuple[Step, list[Call]]]:
    """Every step on the tape (of one optimizer) and the calls of `backward` since any step before it."""
    calls = recording.calls_of("backward")
    ticks = [0, *(step.tick for step in recording.placed)]
    for (after, until), step in zip(pairwise(ticks), recording.placed, strict=True):
        if not step.closure and (only is None or step.optimizer is only):
            yield step, [call for call in calls if after <= call.index < until]


_Found = tuple[Page, str, str | None] | None


def _divided(recording: Recording, step: Step, roots: list[Call], parts: list[list[Part]]) -> _Found:
    count = len(roots)
    lines = {(root.code, root.instruction) for root in roots}
    if count < 2 or len(lines) > 1 or not all(len(one) == 1 for one in parts) or step.kept < 0.99:
        return None
    factors = [abs(one[0].factor) for one in parts]
    if abs(sum(factors) * count - 1) > 0.01 or max(factors) > 1.5 * min(factors):
        return None
    return (
        DIVIDED,
        f"{count} backward passes before the step, each loss divided by {1 / factors[0]:.4g}",
        roots[0].where,
    )


def _unscales(recording: Recording, step: Step, after: int) -> list[Call]:
    calls = recording.calls_of("_amp_foreach_non_finite_check_and_unscale")
    return [call for call in calls if after < call.index < step.tick]


def _scaled(recording: Recording, step: Step, roots: list[Call], parts: list[list[Part]]) -> _Found:
    scale = max((math.prod(part.scales) for one in parts for part in one), default=1.0)
    # A loss scale is a power of two; a weight of the loss hardly ever is a large one.
    if scale < 8 or math.frexp(scale)[0] != 0.5 or _unscales(recording, step, roots[0].index):
        return None
    clipped = any(roots[-1].index < call.index < step.tick for call in recording.clips)
    if not clipped and not 0.5 < step.kept < 2:
        return None  # divided by hand
    left = "clipped" if clipped else "used as they were"
    return SCALED, f"the loss was multiplied by {scale:g}, and its gradients were {left}", step.where


def _clipped(recording: Recording, step: Step, roots: list[Call], parts: list[list[Part]]) -> _Found:
    if not roots:
        return None
    unscales = _unscales(recording, step, roots[-1].index)
    early = [call for call in recording.clips if unscales and roots[-1].index < call.index < unscales[0].index]
    scale = max((math.prod(part.scales) for one in parts for part in one), default=1.0)
    if not early or scale <= 1:
        return None
    return CLIPPED, f"clipped while gradients were multiplied by {scale:g}, unscaled after it", early[0].where


def _shrunk(recording: Recording, step: Step, roots: list[Call], parts: list[list[Part]]) -> _Found:
    factors = [max((abs(part.factor) for part in one), default=math.inf) for one in parts]
    clipped = any(roots[-1].index < call.index < step.tick for call in recording.clips) if roots else True
    whole = sum(factors) * step.kept
    if clipped or not roots or not math.isfinite(whole) or whole > 0.01 or step.kept > 2:
        return None
    times = f"the loss times {sum(factors):.3g}, {step.kept:.3g} of its gradients left at the step"
    return SHRUNK, times, roots[-1].where


def _cut(recording: Recording, step: Step, roots: list[Call], parts: list[list[Part]]) -> _Found:
    clips = [call for call in recording.clips if roots and roots[-1].index < call.index < step.tick]
    if not clips or min(call.limit for call in clips) > _LOW or step.kept > 0.02:
        return None
    least = min(clips, key=lambda call: call.limit)
    return CUT, f"a limit of {least.limit:g} leaves {step.kept:.1e} of the gradients", least.where
