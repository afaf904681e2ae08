"""Where the training of an ensemble is: the checkpoints of its members in one, so that one file holds them all.

The members' arrays stand under their number, from 1. Their loops' states, settings, trainings and results are JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ...models.stored import stored_config
from ...models.weights import under
from ..config import TrainingConfig
from ..loop import LoopState, Reason
from .checkpoint import Checkpoint


@dataclass(frozen=True)
class Member:
    """Holds where the training of one member is, how it is trained, and what came of it so far."""

    checkpoint: Checkpoint
    training: TrainingConfig
    results: dict[str, Any]

    @property
    def done(self) -> bool:
        """Say whether it is over."""
        return self.checkpoint.state.stopped not in (None, "interrupted")


def joined(members: Sequence[Member | None], stopped: Reason | None) -> Checkpoint:
    """Make one checkpoint of those of the members; None for one that has not begun, or that counts."""
    known = [(number, one) for number, one in enumerate(members, 1) if one is not None]
    states = [one.checkpoint.state for _, one in known]
    state = LoopState(
        step=sum(one.step for one in states), seconds=sum(one.seconds for one in states), stopped=stopped
    )
    learner = {f"{n}/{name}": array for n, one in known for name, array in one.checkpoint.learner.items()}
    best = {f"{n}/{name}": array for n, one in known for name, array in one.checkpoint.best.items()}
    return Checkpoint(state, learner, {"members": [None if one is None else _said(one) for one in members]}, best)


def parted(checkpoint: Checkpoint, count: int) -> list[Member | None]:
    """Invert `joined`. ValueError, KeyError and the like if it is not of so many members."""
    said = checkpoint.settings["members"]
    if not isinstance(said, list) or len(said) != count:
        raise ValueError("there are not as many members as the specification names")
    members: list[Member | None] = []
    for number, one in enumerate(said, 1):
        if one is None:
            members.append(None)
            continue
        learner, best = (under(f"{number}/", arrays) for arrays in (checkpoint.learner, checkpoint.best))
        kept = Checkpoint(stored_config(LoopState, one["loop"]), learner, one["settings"], best)
        members.append(Member(kept, stored_config(TrainingConfig, one["training"]), dict(one["results"])))
    return members


def _said(member: Member) -> dict[str, Any]:
    kept = member.checkpoint
    return {
        "loop": asdict(kept.state),
        "settings": kept.settings,
        "training": asdict(member.training),
        "results": member.results,
    }
