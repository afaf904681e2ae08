"""A reshape that scrambles axes: view where permute was meant (family 12).

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
    why="view and reshape only cut the same row of numbers elsewhere. They do not swap axes; values of other "
    "samples, "
    "moments or channels end up in each place.",
    evidence="The shapes before and after, where batch and time were given lengths that nothing else has; an error "
    "where samples or moments were seen to mix.",
    legitimate="Tricks that shift rows by reshaping (relative positions in Transformer-XL).",
    cure="`x.permute(…)` or `x.transpose(a, b)`, then `.contiguous()` and view if needed.",
)
PAGES = (SCRAMBLES,)
_CUTS = frozenset(("view", "reshape", "flatten", "unflatten", "view_as", "reshape_as"))


def check(patient: Patient, findings: list[Finding]) -> Iterator[Finding]:
    """Every reshape of something computed from the input; `findings` says whether samples or moments mix."""
    relabelled = patient.relabelled
    if relabelled is None:
        return
    mixing = any(finding.page in (MIXES, AHEAD) for finding in findings)
    tape = relabelled.trial.tape
    dependent = tape.reached_from(*relabelled.trial.batch.inputs)
    marks = (relabelled.samples, relabelled.time) if relabelled.time else (relabelled.samples,)
    seen: set[str | None] = set()
    for call in tape.calls:
        if call.name not in _CUTS or id(call.args[0]) not in dependent or call.where in seen:
            continue
        before, after = tuple(call.args[0].shape), tuple(call.out.shape)
        reason = scrambled(before, after, marks)
        if reason is not None:
            seen.add(call.where)
            severity: Severity = "error" if mixing or reason == "batch" else "warning"
            yield SCRAMBLES.found(f"`{call.name}` {before} → {after}: {_WORDS[reason]}", call.where, severity)


_WORDS = {
    "batch": "the axis of the batch was moved by cutting, so samples are torn apart",
    "border": "the new rows begin in the middle of old ones",
    "swapped": "the same lengths in another order",
}


def scrambled(before: tuple[int, ...], after: tuple[int, ...], marks: tuple[int, ...]) -> str | None:
    """Why it scrambles (`batch`, `border`, `swapped`), or None; `marks` are prime lengths, the batch first."""
    old, new = [size for size in before if size != 1], [size for size in after if size != 1]
    if old == new or 0 in old:
        return None
    if _crossing(old, new):
        first_old = [size for size in old if size % marks[0] == 0]
        first_new = [size for size in new if size % marks[0] == 0]
        torn = len(first_old) == len(first_new) == 1 and _offset(old, marks[0]) != _offset(new, marks[0])
        return "batch" if torn else "border"
    if sorted(old) == sorted(new):
        return "swapped"
    if len(old) > 2 and new[-1] == old[1] and math.prod(new[:-1]) == old[0] * math.prod(old[2:]) and len(new) == 2:
        return "swapped" if old[-1] != old[1] else None  # (B, C, H, W) → (B·H·W, C)
    return None


def _offset(sizes: list[int], mark: int) -> int:
    place = next(place for place, size in enumerate(sizes) if size % mark == 0)
    return math.prod(sizes[:place])


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
