"""Which loaders are iterated, and how many batches are taken of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _BaseDataLoaderIter


@dataclass
class Drawn:
    """One iteration over a DataLoader that was begun."""

    loader: DataLoader[Any]
    tick: int
    phase: str
    batches: int = 0
    """How many batches were taken of it."""


class LoaderHook:
    """Notes which loaders are iterated, and how many batches are taken."""

    def __init__(self, begins: Callable[[DataLoader[Any]], Drawn]) -> None:
        begin, following = DataLoader.__iter__, _BaseDataLoaderIter.__next__
        open_ones: dict[int, Drawn] = {}

        def __iter__(loader: DataLoader[Any]) -> Any:
            iterator = begin(loader)
            open_ones[id(iterator)] = begins(loader)
            return iterator

        def __next__(iterator: Any) -> Any:
            batch = following(iterator)
            if id(iterator) in open_ones:
                open_ones[id(iterator)].batches += 1
            return batch

        self._old, self._new = (begin, following), (__iter__, __next__)
        DataLoader.__iter__, _BaseDataLoaderIter.__next__ = self._new  # type: ignore[method-assign, assignment]

    def remove(self) -> None:
        """Put the methods of before back."""
        DataLoader.__iter__, _BaseDataLoaderIter.__next__ = self._old  # type: ignore[method-assign]
