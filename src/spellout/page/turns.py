"""Work on a model, in turn: requests are answered in threads, and one thread at a time asks the model.

Models may keep room to work in, so two threads must not ask one at the same moment. Between two tokens a long work
lets others go first that have waited, so that a score need not wait until a thousand lines are made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock
from time import monotonic

from ..inference.listener import Listener

SLICE = 0.05
"""Seconds that a work may go on while others wait: ten lines are made without a change of threads."""


class Ended(Exception):
    """The work is to end: its time is over, or nobody waits for the answer."""


class Turns:
    """Lets one thread at a time work, in the order in which they came."""

    def __init__(self) -> None:
        self._lock, self._waiting, self._taken = Lock(), deque[Event](), False

    def take(self) -> None:
        """Wait for a turn."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            mine = Event()
            self._waiting.append(mine)
        mine.wait()  # who gives the turn leaves it taken

    def give(self) -> None:
        """Give the turn to who waits longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False

    def pass_on(self) -> None:
        """Let those who wait go first."""
        if self._waiting:
            self.give()
            self.take()


class Work(Listener):
    """One piece of work: keeps what is said of it, and ends when its seconds are over or when it is told to."""

    def __init__(self, turns: Turns, seconds: float) -> None:
        self._turns, self._seconds, self._stop = turns, seconds, Event()
        self._until = self._since = 0.0
        self.notes: list[str] = []

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Have a turn. The seconds begin with it."""
        self._turns.take()
        self._since = monotonic()
        self._until = self._since + self._seconds
        try:
            yield
        finally:
            self._turns.give()

    def stop(self) -> None:
        """End the work, at its next token."""
        self._stop.set()

    def note(self, message: str) -> None:
        """Keep it for the answer."""
        self.notes.append(message)

    def warn(self, message: str) -> None:
        """Keep it for the answer."""
        self.notes.append(message)

    def tick(self) -> None:
        """Go on, after others. `Ended` if there is no reason to."""
        now = monotonic()
        if self._stop.is_set():
            raise Ended("nobody waits for the answer")
        if now > self._until:
            raise Ended(f"{self._seconds:g} seconds are over")
        if now > self._since + SLICE:
            self._turns.pass_on()
            self._since = monotonic()
