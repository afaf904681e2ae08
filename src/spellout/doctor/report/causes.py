"""Which mistake explains which: where one is found, the other follows from it, and mending it may mend both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from .findings import ORDER, Finding

EXPLAINS: dict[str, tuple[str, ...]] = {
    "update-thrown-away": ("optimizer-never-steps",),
    "layers-are-one": ("linear-after-linear",),
    "does-not-run": ("optimizer-never-steps",),
    "nan-in-data": ("nan-in-forward", "nan-in-backward"),
    "nan-in-forward": ("nan-in-backward",),
    "training-explodes": ("update-too-large", "learning-rate-too-high"),
    "softmax-over-one": ("output-ignores-input", "parameter-without-gradient"),
    "softmax-over-batch": ("samples-mix",),
    "reduced-axis-broadcast": ("samples-mix",),
    "reshape-scrambles-axes": ("samples-mix",),
    "batchnorm-one-value": ("output-ignores-input", "parameter-without-gradient"),
    "foreign-parameters": ("parameter-not-in-optimizer", "no-gradient-arrives"),
    "zeroed-before-step": ("graph-reaches-back",),
    "learned-but-not-registered": ("parameter-not-in-optimizer",),
    "clip-limit-too-low": ("learning-rate-too-low", "update-too-small"),
    "targets-not-scaled": ("first-loss-too-high",),
    "inputs-not-scaled": ("first-loss-too-high", "saturated-units", "dead-relu", "learning-rate-too-high"),
}
"""By ids: the cause, and what follows from it alone."""

ECHOES = frozenset(
    (
        ("foreign-parameters", "no-gradient-arrives"),
        ("layers-are-one", "linear-after-linear"),
        ("zeroed-before-step", "graph-reaches-back"),
        ("learned-but-not-registered", "parameter-not-in-optimizer"),
    )
)
"""The same mistake seen a second time, in words that do not fit it: set aside beside its cause."""


def causes_first(findings: Iterable[Finding]) -> list[Finding]:
    """Order findings: the surest first, among these what explains others, and what is explained last."""
    found = list(findings)
    sure = {finding.id: ORDER.index(finding.severity) for finding in reversed(found)}

    def cause(finding: Finding) -> str | None:
        """The first of those found that explains it, and is at least as sure."""
        able = (one for one, effects in EXPLAINS.items() if finding.id in effects and one in sure)
        return next((one for one in able if sure[one] <= ORDER.index(finding.severity)), None)

    told = [replace(finding, because=cause(finding)) for finding in found]
    effects = {one.id: sum(other.because == one.id for other in told) for one in told}
    return sorted(
        told,
        key=lambda one: (ORDER.index(one.severity), one.because is not None, -effects[one.id], one.page.number),
    )
