"""Where tuning looks: a visible table of the settings that a model may have, and the range of each.

The space of a model is the rows whose field its config has, and how it is trained. What a specification or a flag
already says stays as it is. How many steps fit into the seconds follows from the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from math import lcm
from typing import Any

from ...errors import UsageError
from ...models.table import MODELS
from ..config import TrainingConfig
from ..prior import parse


@dataclass(frozen=True)
class Numbers:
    """Numbers from `low` to `high`, whole if they are; `log`: as many below as above the geometric middle."""

    low: float
    high: float
    log: bool = False
    step: int = 1
    """Of whole numbers; the low one must be a multiple, and the high one."""


@dataclass(frozen=True)
class Choices:
    """One of a few."""

    values: tuple[Any, ...]


SPACE: dict[str, Numbers | Choices] = {
    "hidden": Numbers(32, 512, log=True),
    "width": Numbers(16, 256, step=16),
    "embedding": Numbers(4, 64, log=True),
    "context": Numbers(2, 12),
    "levels": Numbers(1, 4),
    "layers": Numbers(1, 4),
    "heads": Choices((1, 2, 4, 8)),
    "block": Numbers(8, 24),
    "dropout": Numbers(0.0, 0.5),
    "weight_decay": Numbers(0.0, 0.3),
    "optimizer": Choices(("adamw", "muon")),
    "tied": Choices(("no", "yes")),
}
"""Field of a model's config → where to look."""
TRAINED: dict[str, Numbers | Choices] = {
    "lr": Numbers(0.2, 5.0, log=True),
    "batch": Choices((0.25, 0.5, 1.0, 2.0, 4.0)),
    "decay": Choices(("linear", "cosine", "none")),
}
"""Field of the training → where to look; learning rate and batch as multiples of the model's own."""
Suggest = Callable[[str, Numbers | Choices], Any]


@dataclass(frozen=True)
class Space:
    """The space of one specification.

    Attributes:
        ranges: field → where to look.
        defaults: field → the model's own setting, in every range: the first trial.
    """

    specification: str
    training: TrainingConfig
    ranges: dict[str, Numbers | Choices]
    defaults: dict[str, Any]

    @classmethod
    def of(cls, specification: str, training: TrainingConfig) -> Space:
        """What may vary. `UsageError` for a model that counts, or if everything is said."""
        asked = parse(specification, training.prior)
        family = asked.family
        if not family.in_steps:
            others = ", ".join(one.name for one in MODELS.values() if one.in_steps)
            raise UsageError(
                f"--model {specification}: {family.name} counts and has nothing to tune; models that have: {others}"
            )
        said = {part.partition("=")[0] if "=" in part else family.dial for part in _parts(specification)}
        own = {field.name: getattr(asked.config, field.name) for field in fields(family.config)}
        ranges = {name: where for name, where in SPACE.items() if name in own and name not in said}
        if "heads" in own:
            _divide(ranges, own["width"], own["heads"])
        defaults = {name: own[name] for name in ranges}
        for name, default in {"lr": 1.0, "batch": 1.0, "decay": "linear"}.items():
            unsaid = getattr(training, name) == getattr(TrainingConfig(), name)
            if unsaid and name not in said:
                ranges[name], defaults[name] = TRAINED[name], default
        if not ranges:
            raise UsageError("everything is said and nothing is left to tune; leave some settings out")
        return cls(specification, training, ranges, defaults)

    def settled(self, suggest: Suggest) -> tuple[str, TrainingConfig]:
        """The specification and the training of one trial."""
        values = {name: _rounded(suggest(name, where)) for name, where in self.ranges.items()}
        chosen = {name: value for name, value in values.items() if name not in TRAINED}
        name, plus, start = self.specification.partition("+")
        full = ":".join([name, *(f"{field}={value}" for field, value in chosen.items())])
        config = parse(full).config
        training = self.training
        if values.get("lr", 1.0) != 1.0:
            training = replace(training, lr=_rounded(config.lr * values["lr"]))
        if values.get("batch", 1.0) != 1.0:  # else the model's own, which is less for few lines
            training = replace(training, batch=max(1, int(config.batch * values["batch"])))
        if "decay" in values:
            training = replace(training, decay=values["decay"])
        return full + plus + start, training


def _divide(ranges: dict[str, Numbers | Choices], width: int, heads: int) -> None:
    """The width must be a multiple of the heads, also if one of them is said."""
    if "heads" in ranges and "width" not in ranges:
        ranges["heads"] = Choices(tuple(sorted({h for h in (1, 2, 4, 8) if width % h == 0} | {heads})))
    if "width" in ranges and "heads" not in ranges:
        step = lcm(16, heads)
        ranges["width"] = Numbers(step, max(256, step), step=step)


def _parts(specification: str) -> list[str]:
    return specification.partition("+")[0].strip().split(":")[1:]


def _rounded(value: Any) -> Any:
    """Three digits: what is printed is then what was tried."""
    return float(f"{value:.3g}") if isinstance(value, float) else value
