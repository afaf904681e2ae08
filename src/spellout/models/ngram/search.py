"""The order and the discounts of an n-gram, found with work that does not grow with the text.

Models of rising order are fitted to most training lines and judged on the rest. Of a long text only some positions
are looked at: not a random tenth of the lines, in which every n-gram would be ten times as rare and a shorter order
best, but *all* positions that follow some of the contexts of one to three tokens. Below such a context a trie that
grows backwards in time holds exactly what it holds of the whole text, counts and all, and so the order and the
discounts are the whole text's (cluster sampling, Cochran 1977, ch. 9, with contexts for clusters).

What is done follows from the text alone, never from a clock: the same text has the same order on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from ..contract import Callback
from .config import NgramConfig
from .counts import Columns, Counts, back_in_time, count_rows
from .discounts import Discounts, fit
from .level import Level
from .levels import build_levels, one_order_more
from .model import NgramModel
from .streams import hold_out, some_lines

HIGHEST_ORDER_TRIED = 12
WORSE_IN_A_ROW = 2
"""After so many orders without a gain no longer one is tried."""
SEARCHED = 200_000
"""Positions of text on which models are fitted and judged, at most."""
CONSIDERED = 32 * SEARCHED
"""Tokens of text from which these are taken, about: of a longer text, every k-th line is considered."""
CONTEXTS_A_SHARE = 16
"""If every k-th context is taken, there must be k times so many, or chance would rule."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: its multiples spread evenly (Knuth, The Art of Computer Programming, vol. 3, 6.4)."""


@dataclass(frozen=True)
class Found:
    """An order, its discounts, and the nats per held-out token that they give."""

    order: int
    discounts: Discounts
    nats: float
    whole: bool
    """Whether every line was looked at, so that `nats` is about the text and not about some contexts of it."""


def search(stream: np.ndarray, vocabulary_size: int, config: NgramConfig, callback: Callback) -> Found | None:
    """The best order for a stream, unless `config` sets one, and its discounts. None if no line can be held out."""
    excerpt = Excerpt(stream, vocabulary_size, config.order or HIGHEST_ORDER_TRIED)
    if not excerpt.held_out_tokens:
        return None
    # What is no accident: one nat in all, and at least 0.0001 a token.
    gain = max(1e-4, 1.0 / excerpt.held_out_tokens)
    best: Found | None = None
    for one in _tries(excerpt, config):
        callback({"event": "order", "order": one.order, "held_out_nats_per_token": one.nats})
        if best is None or one.nats < best.nats - gain:
            best = one
        elif one.order - best.order == WORSE_IN_A_ROW:
            break
    return best


def _tries(excerpt: Excerpt, config: NgramConfig) -> Iterator[Found]:
    """The model of the order that is set, or models of rising order: their lower levels are shared, and each starts
    from the last one's discounts."""
    if config.order:
        kept, held_out = excerpt.counts(config.order)
        model, nats = fitted_model(build_levels(kept), held_out, config)
        yield Found(config.order, model.discounts, nats, excerpt.whole)
        return
    levels: list[Level] = []
    start: Discounts | None = None
    for order in range(1, HIGHEST_ORDER_TRIED + 1):
        kept, held_out = excerpt.positions(order)
        levels = one_order_more(levels, kept)
        if order >= excerpt.lowest:
            model, nats = fitted_model(levels, held_out, config, start)
            start = model.discounts
            yield Found(order, start, nats, excerpt.whole)


def fitted_model(
    levels: list[Level], held_out: Counts, config: NgramConfig, start: Discounts | None = None
) -> tuple[NgramModel, float]:
    """The model of some counts, whose discounts are fitted to held-out n-grams if they are to be fitted, and the
    nats per held-out token that it gives."""
    discounts = fit(levels, held_out, start) if config.smoothing == "fitted" else None
    model = NgramModel.of_levels(levels, config, discounts)
    return model, model.nats_per_token(held_out)


class Excerpt:
    """Lines and positions of a stream to try models on, for orders up to `highest`.

    `whole` says whether these are all; `lowest` is the lowest order that can be compared with others on them.
    """

    def __init__(self, stream: np.ndarray, vocabulary_size: int, highest: int) -> None:
        self._vocabulary_size = vocabulary_size
        self._lines = some_lines(stream, CONSIDERED)
        places, length = _after_some_contexts(self._lines, vocabulary_size)
        if len(places) < min(len(self._lines) - 1, SEARCHED // 2):
            # A few contexts hold nearly all of the text, and can only be taken whole: fewer lines have to do.
            self._lines = some_lines(stream, SEARCHED)
            places, length = np.arange(len(self._lines) - 1), 0
        self.lowest = length + 1
        self.whole = len(places) == len(stream) - 1
        # Held out are whole lines: what is known of a line's beginning would help with its end.
        self._cut = hold_out(self._lines)
        self._kept = places < self._cut
        self.held_out_tokens = int(np.count_nonzero(~self._kept))
        self._columns = _contexts(self._lines, places, highest - 1)
        self._followers = self._lines[places + 1]

    def counts(self, order: int) -> tuple[Counts, Counts]:
        """The training and the held-out n-grams of one order, counted; for a low order of all lines, as these are
        few n-grams and there are no low orders below some contexts only."""
        if order >= self.lowest:
            return self.positions(order)
        parts = self._lines[: self._cut + 1], self._lines[self._cut :]
        kept, held_out = (Counts.of(part, order, self._vocabulary_size) for part in parts)
        return kept, held_out

    def positions(self, order: int) -> tuple[Counts, Counts]:
        """The training and the held-out n-grams of one order at the positions, counted."""
        kept, held_out = (self._counted(order, rows) for rows in (self._kept, ~self._kept))
        return kept, held_out

    def _counted(self, order: int, rows: np.ndarray) -> Counts:
        columns = [column[rows] for column in (*self._columns[: order - 1], self._followers)]
        return count_rows(columns, self._vocabulary_size)


def _after_some_contexts(lines: np.ndarray, vocabulary_size: int) -> tuple[np.ndarray, int]:
    """Positions of some lines that follow some contexts, at most `SEARCHED`, and the length of these contexts.

    The shortest contexts are taken of which there are enough. All positions and 0 if there are no more.
    """
    tokens = lines[:-1]
    if len(tokens) <= SEARCHED:
        return np.arange(len(tokens)), 0
    wanted = CONTEXTS_A_SHARE * -(-len(tokens) // SEARCHED)
    length, numbers = 1, tokens.astype(np.int64)  # every position's context of this length, as a number
    sizes = np.bincount(numbers)
    for column in islice(back_in_time(tokens), 1, HIGHEST_ORDER_TRIED - 1):
        if np.count_nonzero(sizes) >= wanted:
            break
        ranks = np.cumsum(sizes > 0) - 1  # smaller numbers for the same contexts, so that the next ones fit
        length, numbers = length + 1, ranks[numbers] * vocabulary_size + column
        sizes = np.bincount(numbers)
    # Every k-th context, as it were, skipping those that would leave no room for others. In order of their ids they
    # would be those of the same letters, so they are taken in an order that is mixed, and the same every time.
    contexts = np.flatnonzero(sizes)
    contexts = contexts[np.argsort(np.arange(len(contexts), dtype=np.uint64) * _GOLDEN)]
    contexts = contexts[sizes[contexts] <= SEARCHED // 2]
    contexts = contexts[np.cumsum(sizes[contexts]) <= SEARCHED]
    taken = np.zeros(len(sizes), bool)
    taken[contexts] = True
    return np.flatnonzero(taken[numbers]), length


def _contexts(lines: np.ndarray, places: np.ndarray, length: int) -> Columns:
    """The last `length` tokens at some places of a stream, the newest first, 0 beyond the start of a line."""
    columns = [lines[places]]
    for back in range(1, length):
        older = lines[np.maximum(places - back, 0)]
        columns.append(older * (columns[-1] != 0))  # nothing before a boundary is part of this line
    return columns[:length]
