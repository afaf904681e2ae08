"""The events of a training: all are told as they happen, those worth keeping make up `log.jsonl`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path

from ...errors import RunError
from ...models.contract import Callback, Event
from ...models.stored import said

LOG = "log.jsonl"
"""The file of a run folder that holds the events, one a line."""
STEPS_KEPT = 200
"""How many of the events of steps are kept, and of those of updates, spread over the whole training."""


class Log:
    """Passes events on and keeps some, after those of an earlier part of the training."""

    def __init__(self, callback: Callback, earlier: Iterable[Event] = ()) -> None:
        self.events: list[Event] = list(earlier)
        self._callback = callback
        self._next = {"step": 0.0, "updates": 0.0}

    def __call__(self, event: Event) -> None:
        """Pass one event on, and keep it if it is worth that."""
        self._callback(event)
        if (name := event["event"]) in self._next:
            if event["progress"] < self._next[name]:
                return
            self._next[name] = event["progress"] + 1 / STEPS_KEPT
        self.events.append(event)


def read_log(path: Path) -> list[Event]:
    """Read the events of a run folder. `RunError` if they cannot be read."""
    try:
        events = [json.loads(line) for line in (path / LOG).read_text("utf-8").split("\n") if line]
        if not all(isinstance(event, dict) and isinstance(event.get("event"), str) for event in events):
            raise ValueError("a line is no event")
        return events
    except OSError as error:
        raise RunError(f"{path / LOG} cannot be read ({error.strerror}); train again") from None
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path / LOG} is damaged ({said(error)}); train again") from None


def number_of(event: Event, name: str) -> float:
    """Read a number that an event of a log holds. `RunError` if there is none, or if it is not finite."""
    value = event.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RunError(f"{LOG} is damaged: an event {event['event']} has no number {name!r}; train again")
    return float(value)
