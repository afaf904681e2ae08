"""How lines are drawn: the settings, apart from the work, so that help needs no NumPy."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..data.typed import typed_line
from ..errors import UsageError

LONGEST_MADE = 10_000
"""Longer lines are made only when they are asked for: a model that ends none would take very long."""

LEAST_TEMPERATURE = 1e-300
"""Below this temperature, logarithms divided by it are no numbers any more."""


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How lines are drawn."""

    temperature: float = 1.0
    """Below 1 plays safe, above 1 takes risks."""
    top_k: int | None = None
    """Choose among the k likeliest tokens only."""
    top_p: float | None = None
    """Choose among the likeliest tokens that together have probability p (nucleus sampling)."""
    greedy: bool = False
    """Always take the likeliest token: one line, the same every time."""
    prefix: str = ""
    """Every line begins with this."""
    max_length: int | None = None
    """The most tokens in a line; longer ones are cut there."""
    seed: int = 0
    """The same seed gives the same lines."""

    def __post_init__(self) -> None:
        if not (self.temperature >= LEAST_TEMPERATURE and math.isfinite(self.temperature)):
            raise UsageError(
                f"--temperature {self.temperature:g}: must be above 0; for the likeliest line use --greedy"
            )
        if self.top_k is not None and self.top_k < 1:
            raise UsageError(f"--top-k {self.top_k}: must be at least 1")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise UsageError(f"--top-p {self.top_p:g}: must be above 0 and at most 1")
        if self.max_length is not None and self.max_length < 1:
            raise UsageError(f"--max-length {self.max_length}: must be at least 1")
        prefix = typed_line(self.prefix, "--prefix")
        if prefix != prefix.lstrip():
            raise UsageError(f"--prefix {prefix!r}: lines never begin with white space; leave it out")
        object.__setattr__(self, "prefix", prefix)
        if not 0 <= self.seed < 2**64:
            raise UsageError(f"--seed {self.seed}: must be from 0 to 2^64 - 1")
