"""From streams of tokens to an n-gram model: choose the order, fit discounts on held-out training lines, count.

The last tenth of the lines is held out while the discounts are fitted (see `search.py`), but counted in the end,
so nothing is lost. Then the shapes of lines are fitted (see `shape/`).

A text that comes in blocks is counted block by block, and the tables are merged as they come: memory is bounded by
the distinct n-grams, not by the text. Its lines are not kept, so such a model knows no shapes.
"""

from __future__ import annotations

import numpy as np

from ..contract import Callback
from ..shape.ngrams import shaped
from .config import NgramConfig
from .counts import Counts
from .discounts import Discounts
from .levels import build_levels
from .model import NgramModel
from .search import fitted_model, search
from .streams import hold_out

ORDER_WITHOUT_HELD_OUT = 3
"""For lists of under five lines, of which none can be held out."""


class NgramCounter:
    """Counts blocks of one or many streams, all of them or nine tenths apart from one tenth."""

    def __init__(self, order: int, hold_out: bool) -> None:
        self.order = order
        self._hold_out = hold_out
        self._kept: list[Counts] = []
        self._held: list[Counts] = []

    def add(self, stream: np.ndarray, vocabulary_size: int) -> None:
        """Count one stream of whole lines. The vocabulary may have grown since the last one."""
        cut = hold_out(stream) if self._hold_out else len(stream) - 1
        self._store(self._kept, Counts.of(stream[: cut + 1], self.order, vocabulary_size))
        if cut < len(stream) - 1:
            self._store(self._held, Counts.of(stream[cut:], self.order, vocabulary_size))

    @staticmethod
    def _store(tables: list[Counts], table: Counts) -> None:
        """Add a table; merge it with smaller ones, so that each n-gram is merged a few times only."""
        # Of sizes that at least halve, as in a merge sort: else the first n-grams would be merged with every block.
        while tables and len(tables[-1].counts) <= 2 * len(table.counts):
            table = Counts.merged([tables.pop(), table])
        tables.append(table)

    def renumber(self, new_ids: np.ndarray) -> None:
        """Give every token another id: `new_ids[old]`."""
        for tables in (self._kept, self._held):
            tables[:] = [table.renumbered(new_ids) for table in tables]

    def parts(self) -> tuple[Counts, Counts | None]:
        """The counts, and the held-out counts if there are any. The tables are merged the first time only."""
        for tables in (self._kept, self._held):
            if len(tables) > 1:
                tables[:] = [Counts.merged(tables)]
        return self._kept[0], self._held[0] if self._held else None


def fit_counts(counter: NgramCounter, config: NgramConfig) -> tuple[Discounts | None, float | None]:
    """Discounts for what was counted, and the nats per token they give its held-out part; None without one."""
    kept, held_out = counter.parts()
    if held_out is None:
        return None, None
    model, nats = fitted_model(build_levels(kept), held_out, config)
    return model.discounts, nats


def model_of_counts(counter: NgramCounter, config: NgramConfig, discounts: Discounts | None) -> NgramModel:
    """The model of everything counted, the held-out part too."""
    discounts = discounts if config.smoothing == "fitted" else None
    return NgramModel.estimate(Counts.merged([part for part in counter.parts() if part]), config, discounts)


def train_ngram(
    stream: np.ndarray,
    vocabulary_size: int,
    config: NgramConfig,
    callback: Callback,
    classes: np.ndarray | None = None,
) -> tuple[NgramModel, float | None]:
    """Train on one stream `0 line 0 line 0`; with the classes (V,) of its tokens, the shapes of lines, too.

    The order, if none is set, and fitted discounts come from `search`. Also returns the nats per token that
    they give held-out lines, without shapes; None if no line was held out, or if the text is too long to be
    searched whole.
    """
    found = None
    if config.order is None or config.smoothing == "fitted":
        found = search(stream, vocabulary_size, config, callback)
    order = config.order or (found.order if found else ORDER_WITHOUT_HELD_OUT)
    discounts = found.discounts if found and config.smoothing == "fitted" else None
    # Everything is counted in the end, the held-out lines too; the discounts stay as they are.
    model = NgramModel.estimate(Counts.of(stream, order, vocabulary_size), config, discounts)
    if config.smoothing == "fitted" and config.shape == "auto":
        model = shaped(model, stream, classes)
    return model, found.nats if found and found.whole else None
