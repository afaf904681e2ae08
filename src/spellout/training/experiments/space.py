"""The space that tuning searches: the settings of a model that have a range, and how it is trained.

What a specification or a flag already says stays as it is. How many steps fit into the seconds follows from the
rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import lcm
from typing import Any

from ...errors import UsageError
from ...models.family import Specification
from ...models.ranges import Choices, Numbers, ranges_of
from ..config import TrainingConfig

Suggest = Callable[[str, Numbers | Choices], Any]


@dataclass(frozen=True)
class Space:
    """Says where to look for better settings of one specification.

    Attributes:
        ranges: field → where to look.
        defaults: field → the model's own setting, in every range: the first trial.
    """

    specification: Specification
    training: TrainingConfig
    ranges: dict[str, Numbers | Choices]
    defaults: dict[str, Any]

    @classmethod
    def of(cls, specification: Specification, training: TrainingConfig) -> Space:
        """Find what may vary of a model that learns in steps. `UsageError` if everything is said."""
        family, config = specification.family, specification.config
        parts = specification.text.partition("+")[0].strip().split(":")[1:]
        said = {part.partition("=")[0] if "=" in part else family.dial for part in parts}
        ranges = {name: where for name, where in ranges_of(family.config).items() if name not in said}
        if hasattr(config, "heads"):
            _divide(ranges, config.width, config.heads)
        defaults = {name: getattr(config, name) for name in ranges}
        # Learning rate and batch are multiples of the model's own.
        own = {"lr": 1.0, "batch": 1.0, "decay": training.decay}
        for name, where in ranges_of(TrainingConfig).items():
            if name not in said and getattr(training, name) == getattr(TrainingConfig(), name):
                ranges[name], defaults[name] = where, own[name]
        if not ranges:
            raise UsageError("everything is said and nothing is left to tune; leave some settings out")
        return cls(specification, training, ranges, defaults)

    def settled(self, suggest: Suggest) -> tuple[Specification, TrainingConfig]:
        """Settle the specification and the training of one trial."""
        values = {name: _rounded(suggest(name, where)) for name, where in self.ranges.items()}
        trained = {name: values.pop(name) for name in ranges_of(TrainingConfig) if name in values}
        name, plus, start = self.specification.text.partition("+")
        text = ":".join([name, *(f"{field}={value}" for field, value in values.items())]) + plus + start
        config = replace(self.specification.config, **values)
        training = self.training
        if trained.get("lr", 1.0) != 1.0:
            training = replace(training, lr=_rounded(config.lr * trained["lr"]))
        if trained.get("batch", 1.0) != 1.0:  # else the model's own, which is less for few lines
            training = replace(training, batch=max(1, int(config.batch * trained["batch"])))
        if "decay" in trained:
            training = replace(training, decay=trained["decay"])
        return replace(self.specification, text=text, config=config), training


def _divide(ranges: dict[str, Numbers | Choices], width: int, heads: int) -> None:
    """Keep the width a multiple of the heads, also if one of them is said."""
    if "heads" in ranges and "width" not in ranges:
        ranges["heads"] = Choices(tuple(sorted({h for h in (1, 2, 4, 8) if width % h == 0} | {heads})))
    if "width" in ranges and "heads" not in ranges:
        step = lcm(16, heads)
        ranges["width"] = Numbers(step, max(256, step), step=step)


def _rounded(value: Any) -> Any:
    """Round to three digits: what is printed is then what was tried."""
    return float(f"{value:.3g}") if isinstance(value, float) else value
