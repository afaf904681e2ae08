"""How models that learn in steps are trained: the settings, apart from the work, so that help needs no NumPy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from ..errors import UsageError
from ..models.ranges import Choices, Numbers

Device = Literal["auto", "cpu", "cuda", "mps"]
Decay = Literal["linear", "cosine", "none"]
DEFAULT_SECONDS = 60.0
MOST = {"--threads": 1024, "--batch": 10_000_000}
"""More of these would fail for want of memory, some of them without a word."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How models that learn in steps are trained. Models that count have no use for it."""

    seconds: float | None = None
    """Train for so long; 60 unless --steps is given. With both, whichever ends first."""
    steps: int | None = None
    """Train for so many steps: then a repeated or resumed training ends with the same weights."""
    lr: Annotated[float | None, Numbers(0.2, 5.0, log=True)] = None
    """The highest learning rate; by default the model's own. `spellout lr-find` suggests one."""
    batch: Annotated[int | None, Choices((0.25, 0.5, 1.0, 2.0, 4.0))] = None
    """How many examples a step learns from; by default the model's own number."""
    warmup: float = 0.05
    """The part of the budget in which the learning rate rises from zero."""
    decay: Annotated[Decay, Choices(("linear", "cosine", "none"))] = "linear"
    """How the learning rate falls to zero afterwards; none: it stays."""
    patience: int = 5
    """Stop after so many evaluations on dev lines without a gain; 0: never."""
    evaluate_every: int | None = None
    """Steps between evaluations; by default about 20 in all, and a tenth of the time at most."""
    prior: str | None = None
    """Start from this n-gram and learn the rest, such as ngram or ngram:5; MODEL+ngram says the same."""
    train_seed: int = 0
    """Other first weights, and another order of the examples."""
    device: Device = "auto"
    """Where PyTorch trains; auto takes a GPU if there is one, and says what it took."""
    threads: int = 1
    """How many processor cores PyTorch trains with. Another number gives other weights (sums in another order)."""

    def __post_init__(self) -> None:
        for flag, value in [("--seconds", self.seconds), ("--lr", self.lr)]:
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise UsageError(f"{flag} {value:g}: must be above 0{' and finite' * (value > 0)}")
        for flag, number in [
            ("--steps", self.steps),
            ("--batch", self.batch),
            ("--evaluate-every", self.evaluate_every),
            ("--threads", self.threads),
        ]:
            if number is not None and number < 1:
                raise UsageError(f"{flag} {number}: must be at least 1")
            if number is not None and number > MOST.get(flag, number):
                raise UsageError(f"{flag} {number}: must be at most {MOST[flag]:,}")
        if not 0 <= self.warmup < 1:
            raise UsageError(
                f"--warmup {self.warmup:g}: must be at least 0 and below 1, as it is a part of the whole"
            )
        if self.patience < 0:
            raise UsageError(f"--patience {self.patience}: must be at least 1, or 0 for never")
        if not 0 <= self.train_seed < 2**64:
            raise UsageError(f"--train-seed {self.train_seed}: must be from 0 to 2^64 - 1")

    @property
    def most_seconds(self) -> float | None:
        """The budget in seconds, None if only steps end the training."""
        return DEFAULT_SECONDS if self.seconds is None and self.steps is None else self.seconds
