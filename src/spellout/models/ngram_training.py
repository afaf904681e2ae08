"""From streams of tokens to an n-gram model: count, fit discounts on held-out training lines, choose the order.

The last tenth of every block's lines is held out while the discounts are fitted and joins the counts afterwards,
so nothing is lost. Blocks are merged as they come: memory is bounded by the distinct n-grams, not by the text.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from .contract import Listener
from .ngram import NgramConfig, NgramModel
from .ngram_counts import Counts
from .ngram_discounts import Discounts, fit

HELD_OUT = 0.1
HIGHEST_ORDER_TRIED = 12
WORSE_IN_A_ROW = 2
"""After so many orders without a gain no longer one is tried."""
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
        if not self._hold_out:
            self._store(self._kept, Counts.of(stream, self.order, vocabulary_size))
            return
        ends = np.flatnonzero(stream == 0)
        cut = ends[-1 - int(HELD_OUT * (len(ends) - 1) + 0.5)]
        self._store(self._kept, Counts.of(stream[: cut + 1], self.order, vocabulary_size))
        if cut < ends[-1]:
            self._store(self._held, Counts.of(stream[cut:], self.order, vocabulary_size))

    @staticmethod
    def _store(tables: list[Counts], table: Counts) -> None:
        """Add a table; merge it with smaller ones, so that each n-gram is merged a few times only."""
        while tables and len(tables[-1].counts) <= 2 * len(table.counts):
            table = Counts.merged([tables.pop(), table])
        tables.append(table)

    def renumber(self, new_ids: np.ndarray) -> None:
        """Give every token another id: `new_ids[old]`."""
        for tables in (self._kept, self._held):
            tables[:] = [table.renumbered(new_ids) for table in tables]

    @property
    def smallest_gain(self) -> float:
        """Nats per held-out token that are no accident: one nat in all, and at least 0.0001 a token."""
        return max(1e-4, 1.0 / max(1, sum(int(table.counts.sum()) for table in self._held)))

    def parts(self) -> tuple[Counts, Counts | None]:
        """The counts, and the held-out counts if there are any. The tables are merged the first time only."""
        for tables in (self._kept, self._held):
            if len(tables) > 1:
                tables[:] = [Counts.merged(tables)]
        return self._kept[0], self._held[0] if self._held else None


def fit_counts(
    counter: NgramCounter, config: NgramConfig, start: Discounts | None = None
) -> tuple[Discounts | None, float | None]:
    """Discounts for what was counted, and the nats per token they give its held-out part; None without one."""
    kept, held_out = counter.parts()
    if held_out is None:
        return None, None
    model = NgramModel.estimate(kept, config)
    if config.smoothing == "fitted":
        model = NgramModel(model.levels, fit(model.levels, held_out, start))
    return model.discounts, model.nats_per_token(held_out)


def model_of_counts(counter: NgramCounter, config: NgramConfig, discounts: Discounts | None) -> NgramModel:
    """The model of everything counted, the held-out part too."""
    discounts = discounts if config.smoothing == "fitted" else None
    return NgramModel.estimate(Counts.merged([part for part in counter.parts() if part]), config, discounts)


def train_ngram(
    stream: np.ndarray, vocabulary_size: int, config: NgramConfig, tell: Listener
) -> tuple[NgramModel, float | None]:
    """Train on one stream `0 line 0 line 0`; with the nats per token on its held-out lines, if some were held out.

    Without a set order, orders are tried from 1 upwards until `WORSE_IN_A_ROW` bring nothing.
    """
    orders = range(1, HIGHEST_ORDER_TRIED + 1) if config.order is None else [config.order]
    best, worse, start = math.inf, 0, None
    for order in orders:
        counter = NgramCounter(order, hold_out=config.smoothing == "fitted" or config.order is None)
        counter.add(stream, vocabulary_size)
        start, nats = fit_counts(counter, config, start)
        if nats is None and config.order is None:
            return train_ngram(stream, vocabulary_size, replace(config, order=ORDER_WITHOUT_HELD_OUT), tell)
        tell({"event": "order", "order": order, "held_out_nats_per_token": nats})
        if nats is None or nats < best - counter.smallest_gain:
            chosen, best, worse = (counter, start, nats), nats or 0.0, 0
        else:
            worse += 1
        if worse == WORSE_IN_A_ROW:
            break
    counter, discounts, nats = chosen
    return model_of_counts(counter, config, discounts), nats
