"""Which loaders are iterated, and how many batches are taken of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _BaseDataLoaderIter


@dataclass(eq=False)
class Drawn:
    """One iteration over a DataLoader that was begun."""

    loader: DataLoader[Any]
    tick: int
    phase: str
    batches: int = 0
    """How many batches were taken of it."""


class Loaders:
    """Notes which loaders are iterated, and how many batches are taken; `now` tells the tick and the phase.

    Where `now` returns None, nobody listens.
    """

    def __init__(self, now: Callable[[], tuple[int, str] | None]) -> None:
        self.drawn: list[Drawn] = []
        self.last: Drawn | None = None
        """What the last batch was taken of."""
        self._now = now

    def listen(self) -> None:
        """Hang it on torch's loaders; `remove` takes it off."""
        begin, following = DataLoader.__iter__, _BaseDataLoaderIter.__next__
        open_ones: dict[int, Drawn] = {}

        def __iter__(loader: DataLoader[Any]) -> Any:
            iterator = begin(loader)
            now = self._now()
            if now is not None:
                open_ones[id(iterator)] = drawn = Drawn(loader, *now)
                self.drawn.append(drawn)
            return iterator

        def __next__(iterator: Any) -> Any:
            batch = following(iterator)
            drawn = open_ones.get(id(iterator))
            if drawn is not None:
                drawn.batches += 1
                self.last = drawn
            return batch

        self._old = (begin, following)
        DataLoader.__iter__, _BaseDataLoaderIter.__next__ = __iter__, __next__  # type: ignore[method-assign, assignment]

    def remove(self) -> None:
        """Put the methods of before back."""
        DataLoader.__iter__, _BaseDataLoaderIter.__next__ = self._old  # type: ignore[method-assign]
