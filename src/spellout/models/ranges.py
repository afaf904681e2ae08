"""Where tuning looks: the range of a setting stands at the field of its config, in the type of the field.

`hidden: Hidden = 128` is an `int` that tuning tries between 32 and 512; a field of a plain type stays as it is.
Another range than these is written at the field: `Annotated[int, Numbers(1, 9)]`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Annotated, Any, Literal, get_type_hints

_written = count()


@dataclass(frozen=True)
class Numbers:
    """Spans numbers from `low` to `high`, whole if they are; `log`: as many below as above the geometric middle."""

    low: float
    high: float
    log: bool = False
    step: int = 1
    """Of whole numbers; the low one must be a multiple, and the high one."""
    written: int = field(default_factory=_written.__next__, repr=False, compare=False)
    """Ranges are drawn from in the order in which they were written, so that a seed proposes the same trials
    whatever the order of a config's fields."""


@dataclass(frozen=True)
class Choices:
    """Lists a few values, one of which is taken."""

    values: tuple[Any, ...]
    written: int = field(default_factory=_written.__next__, repr=False, compare=False)


Hidden = Annotated[int, Numbers(32, 512, log=True)]
Width = Annotated[int, Numbers(16, 256, step=16)]
Embedding = Annotated[int, Numbers(4, 64, log=True)]
Context = Annotated[int, Numbers(2, 12)]
Levels = Annotated[int, Numbers(1, 4)]
Layers = Annotated[int, Numbers(1, 4)]
Heads = Annotated[int, Choices((1, 2, 4, 8))]
LongContext = Annotated[int, Numbers(8, 24)]
Dropout = Annotated[float, Numbers(0.0, 0.5)]
WeightDecay = Annotated[float, Numbers(0.0, 0.3)]
Optimizer = Annotated[Literal["adamw", "muon"], Choices(("adamw", "muon"))]
Tied = Annotated[Literal["no", "yes"], Choices(("no", "yes"))]
Wide = Annotated[int, Choices((0, 128, 256))]


def ranges_of(config: type[Any]) -> dict[str, Numbers | Choices]:
    """Find the fields of a config whose type says where to look, and where."""
    found = {
        name: one
        for name, hint in get_type_hints(config, include_extras=True).items()
        for one in getattr(hint, "__metadata__", ())
        if isinstance(one, Numbers | Choices)
    }
    return dict(sorted(found.items(), key=lambda item: item[1].written))
