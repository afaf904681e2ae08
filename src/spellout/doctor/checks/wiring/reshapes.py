"""A reshape scrambles axes: view stands where permute was meant (family 12).

A healthy reshape merges neighbouring axes or splits one. With axes of prime length, a reshape that does neither
tears rows apart: one of its borders falls inside an axis that it cannot divide.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...patient import Patient
from ...report import Finding, Page, Severity
from .dependence import AHEAD, MIXES

SCRAMBLES = Page(
    id="reshape-scrambles-axes",
    number=12,
    severity="warning",
    title="a reshape scrambles axes: view where permute was meant",
    why="view and reshape only cut the same row of numbers elsewhere. They do not swap axes; "
    "values of other samples, moments or channels end up in each place.",
    evidence="The shapes before and after, where batch and time were given lengths that nothing else has; "
    "an error where samples or moments were seen to mix.",
    legitimate="Tricks that shift rows by reshaping (relative positions in Transformer-XL).",
    cure="`x.permute(…)` or `x.transpose(a, b)`, then `.contiguous()` and view if needed.",
)
PAGES = (SCRAMBLES,)
_CUTS = ("view", "reshape", "flatten", "unflatten", "view_as", "reshape_as")
_WORDS = {
    "batch": "the axis of the batch was moved by cutting, so samples are torn apart",
    "border": "the new rows begin in the middle of old ones",
    "swapped": "the same lengths in another order",
}


def check(patient: Patient) -> Iterator[Finding]:
    """Every reshape of something computed from the input, and those that pictures went through before."""
    yield from _of_pictures(patient)
    if patient.relabelled is None:
        return
    axes, trial = patient.relabelled
    mixing = bool({finding.id for finding in patient.findings} & {MIXES.id, AHEAD.id})
    seen: set[str | None] = set()
    for call in trial.tape.calls:
        if call.name not in _CUTS or not call.outputs or call.where in seen:
            continue
        if id(call.inputs[0]) not in trial.dependent:
            continue
        before, after = tuple(call.inputs[0].shape), tuple(call.outputs[0].shape)
        reason = scrambled(before, after, axes.samples)
        if reason is not None:
            seen.add(call.where)
            severity: Severity = "error" if mixing or reason == "batch" else "warning"
            yield SCRAMBLES.found(f"`{call.name}` {before} → {after}: {_WORDS[reason]}", call.where, severity)


def _of_pictures(patient: Patient) -> Iterator[Finding]:
    """Channels last, cut into channels first: (N, H, W, C) → (N, C, H, W), where the user made the batch."""
    for call in patient.recording.tape.calls if patient.recording.tape is not None else ():
        if call.name not in _CUTS or len(call.outputs) != 1 or call.inputs[0].requires_grad:
            continue
        before, after = tuple(call.inputs[0].shape), tuple(call.outputs[0].shape)
        if len(before) == len(after) == 4 and after == (before[0], before[3], *before[1:3]) and _is_flat(before):
            yield SCRAMBLES.found(f"`{call.name}` {before} → {after}: {_WORDS['swapped']}", call.where)
            return


def _is_flat(shape: tuple[int, ...]) -> bool:
    """Has a picture fewer channels than rows and columns?"""
    return 1 < shape[3] < min(shape[1:3])


def scrambled(before: tuple[int, ...], after: tuple[int, ...], samples: int) -> str | None:
    """Why it scrambles (`batch`, `border`, `swapped`), or None; `samples` is the prime length of the batch."""
    old, new = [size for size in before if size != 1], [size for size in after if size != 1]
    if old == new or 0 in old:
        return None
    if _crossing(old, new):
        places = [[place for place, size in enumerate(sizes) if size % samples == 0] for sizes in (old, new)]
        if any(len(one) != 1 for one in places):
            return "border"
        torn = math.prod(old[: places[0][0]]) != math.prod(new[: places[1][0]])
        return "batch" if torn else "border"
    if sorted(old) == sorted(new):
        return "swapped"
    if len(old) > 2 and len(new) == 2 and new[-1] == old[1] != old[-1]:
        return "swapped"  # (B, C, H, W) → (B·H·W, C)
    return None


def _crossing(old: list[int], new: list[int]) -> bool:
    """Does a border between two new axes fall where it cuts no old axis evenly?"""
    borders = [math.prod(old[:place]) for place in range(len(old) + 1)]
    for place in range(1, len(new)):
        border = math.prod(new[:place])
        low = max(one for one in borders if one <= border)
        high = min(one for one in borders if one >= border)
        if border % low or high % border:
            return True
    return False
