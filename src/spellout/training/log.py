"""The events of a training: all are told as they happen, those worth keeping make up `log.jsonl`."""

from __future__ import annotations

from collections.abc import Iterable

from ..models.contract import Event, Listener

STEPS_KEPT = 200
"""How many of the events of steps are kept, spread over the whole training."""


class Log:
    """A listener that passes events on and keeps some, after those of an earlier part of the training."""

    def __init__(self, tell: Listener, earlier: Iterable[Event] = ()) -> None:
        self.events: list[Event] = list(earlier)
        self._tell = tell
        self._next = 0.0

    def __call__(self, event: Event) -> None:
        """Hear one event."""
        self._tell(event)
        if event["event"] == "step":
            if event["progress"] < self._next:
                return
            self._next = event["progress"] + 1 / STEPS_KEPT
        self.events.append(event)
