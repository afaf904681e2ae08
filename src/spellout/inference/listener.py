"""Who hears how it goes while a run is asked: a terminal shows it, an answer of the page repeats it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

T = TypeVar("T")


class Listener:
    """Hears what is worth saying, and what progress there is. This one keeps it to itself."""

    def note(self, message: str) -> None:
        """Hear what the asker may want to know."""

    def warn(self, message: str) -> None:
        """Hear what the asker should know before trusting the answer."""

    def track(self, items: Iterable[T], total: int, label: str) -> Iterator[T]:
        """Pass items through while they are made."""
        return iter(items)

    def progress(self, label: str) -> AbstractContextManager[Callable[[float], None]]:
        """Give a function that hears which share of some work is done."""
        return nullcontext(lambda share: None)

    def tick(self) -> None:
        """Hear that the work goes on, between two tokens. What is raised here ends it."""


QUIET = Listener()
