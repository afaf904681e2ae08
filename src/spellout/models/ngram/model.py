"""n-gram: counts of what followed each context, smoothed by what followed shorter ones.

Interpolated modified Kneser–Ney (Chen & Goodman 1998, "An Empirical Study of Smoothing Techniques for Language
Modeling"), with one change: every level also has a concentration θ, as in the Pitman–Yor process behind
Kneser–Ney (Teh 2006), and discounts and concentrations are fitted on held-out training lines:

    p_m(w | c) = (count - D[count] + (θ + Σ_j D[j] N_j(c)) · p_{m-1}(w | shorter c)) / (total(c) + θ)

down to p_{-1} = 1/V. With θ = 0 and the closed-form discounts it is the textbook's model, the one KenLM
estimates. `add-k` adds k to every count of the longest context, as the first lecture does with its bigram.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import Any, Self

import numpy as np

from ..shape.automaton import Shape
from .config import NgramConfig
from .counts import Columns, Counts, context_columns, numbered_rows
from .discounts import Discounts, LeftOut, checked_discounts, closed_form, weights_of
from .level import Level, checked_level, walk
from .levels import build_levels
from .reader import NgramReader

_POSITIONS_AT_ONCE = 1 << 18
_MANY = 1 << 8  # so many contexts at once are worth tables
_LARGEST_TABLE = 1 << 22  # numbers in all of these
_STORED = ("keys", "offsets", "tokens", "counts")


class NgramModel:
    """An n-gram model over sorted arrays (`level.py`). Obeys `contract.LanguageModel`.

    Attributes:
        levels: the counts, level m for contexts of m tokens.
        discounts: what is taken from them, and what is given to the shorter context.
        interpolated: whether shorter contexts are mixed in; if not (add-k), the uniform distribution is.
        continuation: whether counts below the longest context are of different longer ones (Kneser & Ney 1995); if
            not, they are of occurrences.
        shape: what the length and the pattern of a line so far say beside the last tokens, or None.
        order: the n of the n-grams; `context` is one less, or None with a shape.
    """

    def __init__(
        self,
        levels: list[Level],
        discounts: Discounts,
        *,
        interpolated: bool = True,
        continuation: bool = True,
        shape: Shape | None = None,
    ) -> None:
        self.levels, self.discounts = levels, discounts
        self.interpolated, self.continuation, self.shape = interpolated, continuation, shape
        self.order = len(levels)
        self.context: int | None = self.order - 1 if shape is None else None
        self._past = max(self.order - 1, 1)  # columns of context, at least one to give the shape
        self.vocabulary_size = levels[0].vocabulary_size
        self.parameters = sum(len(level.counts) for level in levels) + (shape.size if shape else 0)

    @classmethod
    def estimate(cls, counts: Counts, config: NgramConfig, discounts: Discounts | None = None) -> Self:
        """The model of some counts; `discounts` if they were fitted before, else the closed form or add-k."""
        return cls.of_levels(build_levels(counts), config, discounts)

    @classmethod
    def of_levels(
        cls,
        levels: list[Level],
        config: NgramConfig,
        discounts: Discounts | None = None,
        *,
        continuation: bool = True,
    ) -> Self:
        """The same of counts that were sorted into levels before."""
        if config.smoothing == "add-k":
            # (count + k) / (total + k V): the formula above with θ = k V, no discounts, and 1/V below it.
            nothing = np.zeros((len(levels), 4))
            pseudo = np.full(len(levels), config.k * levels[0].vocabulary_size)
            return cls(levels, Discounts(nothing, pseudo), interpolated=False)
        return cls(levels, discounts or closed_form(levels), continuation=continuation)

    def counted_anew(self, stream: np.ndarray) -> Self:
        """Give the same of another text `0 line 0 line 0`, with the order and the discounts that it has."""
        counts = Counts.of(stream, self.order, self.vocabulary_size)
        return type(self)(build_levels(counts), self.discounts, interpolated=self.interpolated, shape=self.shape)

    def with_shape(self, shape: Shape | None) -> Self:
        """Give the same with what a shape says beside it, or without any."""
        kinds = {"interpolated": self.interpolated, "continuation": self.continuation}
        return type(self)(self.levels, self.discounts, **kinds, shape=shape)

    # What the contract asks for.

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """(B, T) token ids to (B, T, V) log-probabilities, float64, nats."""
        rows = self._distributions(self.contexts_of(self._columns(tokens)))
        if self.shape is not None:
            self.shape.weigh(rows, self.shape.states_of(tokens).ravel())
        return np.log(rows).reshape(*tokens.shape, self.vocabulary_size)

    def score(self, tokens: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Log-probability (B, T) of each target after its tokens; only these are computed."""
        columns, wanted = self._columns(tokens), targets.ravel()
        states = None if self.shape is None else self.shape.states_of(tokens).ravel()
        chances = np.empty(targets.size)
        for start in range(0, targets.size, _POSITIONS_AT_ONCE):  # so that a huge line needs no huge arrays
            piece = slice(start, start + _POSITIONS_AT_ONCE)
            some = [column[piece] for column in columns]
            if self.shape is None or states is None:
                chances[piece] = self._chances(some, wanted[piece])
            else:
                chances[piece] = self._shaped_chances(some, wanted[piece], self.shape, states[piece])
        return np.log(chances).reshape(targets.shape)

    def nats_per_token(self, counts: Counts) -> float:
        """Minus the mean log-probability of counted n-grams, which may be of a higher order; without the shape."""
        nats = 0.0
        for start in range(0, len(counts.counts), _POSITIONS_AT_ONCE):
            piece = slice(start, start + _POSITIONS_AT_ONCE)
            *columns, targets = (column[piece] for column in counts.columns)
            chances = self._chances(columns or [targets], targets)
            nats -= float((counts.counts[piece] * np.log(chances)).sum())
        return nats / float(counts.counts.sum())

    def nats_of_stream(self, stream: np.ndarray) -> float:
        """Minus the log-probability of a stream `0 line 0 line 0`; what stands there often is looked up once."""
        if self.shape is not None:
            return -float(self.score(stream[:-1], stream[1:]).sum())
        return self.nats_per_token(Counts.of(stream, self.order, self.vocabulary_size)) * (len(stream) - 1)

    def nats_of_ends(self, stream: np.ndarray) -> float:
        """Give minus the log-probability of the line ends of such a stream."""
        ends = stream[1:] == 0
        if self.shape is not None:
            return -float(self.score(stream[:-1], stream[1:])[ends].sum())
        columns = [column[:-1] for column in context_columns(stream, self._past)]
        chances = self._chances([column[ends] for column in columns], stream[1:][ends])
        return -float(np.log(chances).sum())

    def reader(self, lines: int) -> NgramReader:
        """A reader that remembers the last tokens of every line."""
        return NgramReader(self._past, self.contexts_of, self._distributions, self.shape, lines)

    def leave_one_out_rows(
        self, columns: Columns, targets: np.ndarray, tokens: np.ndarray | None = None
    ) -> np.ndarray:
        """Log-probabilities (N, V) at training positions, each as if its own occurrence had not been counted.

        `columns` are the contexts of the positions, newest token first, and `targets` what followed, (N,) each.
        With `tokens` (T,), different ones, only of these: (N, T). What a shape says is not in them.
        """
        contexts = self.contexts_of(columns)
        return np.log(self._distributions(contexts, self._entries(contexts, targets), tokens))

    def rows(self, columns: Columns) -> np.ndarray:
        """Give log-probabilities (N, V), without the shape, of what follows columns (N,), newest token first."""
        return np.log(self._distributions(self.contexts_of(columns)))

    def class_chances(
        self, contexts: list[np.ndarray], classes: np.ndarray, targets: np.ndarray | None = None
    ) -> np.ndarray:
        """Give the probabilities (N, K) of classes of tokens, whose numbers are `classes` (V,), without the shape.

        With `targets` (N,), what followed, each as if its own occurrence had not been counted.
        """
        own = None if targets is None else self._entries(contexts, targets)
        gone = None if own is None else self._gone(own)
        rows = np.tile(np.bincount(classes) / self.vocabulary_size, (len(contexts[0]), 1))
        for depth, ids in enumerate(contexts):
            if (places := np.flatnonzero(ids >= 0)).size:
                left_out = (own[depth][places], gone[depth][places]) if own and gone else None
                # The recursion is linear: sums of tokens follow it, too.
                self._interpolate_some(depth, rows, places, ids[places], left_out, classes)
        return rows

    # Persistence.

    def settings(self) -> dict[str, Any]:
        """The order, the vocabulary's size, and whether shorter contexts are mixed in."""
        size = self.vocabulary_size
        return {"order": self.order, "interpolated": self.interpolated, "vocabulary_size": size}

    def arrays(self) -> dict[str, np.ndarray]:
        """The trie's sorted arrays by level, and the discounts."""
        stored = {"discounts": self.discounts.amounts, "concentrations": self.discounts.concentrations}
        stored |= self.shape.arrays() if self.shape else {}
        for depth, level in enumerate(self.levels):
            stored |= {f"level{depth}.{name}": getattr(level, name) for name in _STORED}
        return stored

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """The inverse of `settings` and `arrays`. Every array is checked, so a damaged run cannot fail later."""
        order, size = int(settings["order"]), int(settings["vocabulary_size"])
        if not 0 < size < 2**32:
            raise ValueError(f"a vocabulary of {size} tokens")
        levels = [
            checked_level([arrays[f"level{depth}.{name}"] for name in _STORED], size) for depth in range(order)
        ]
        discounts = checked_discounts(arrays["discounts"], arrays["concentrations"], order)
        if not levels or len(levels[0].keys) != 1:
            raise ValueError("there are no counts of single tokens")
        # Runs of before have no word on continuation, and count so.
        continuation = bool(settings.get("continuation", True))
        shape = Shape.restore(arrays, size)
        return cls(
            levels, discounts, interpolated=bool(settings["interpolated"]), continuation=continuation, shape=shape
        )

    # The recursion over levels, for whole distributions and for single tokens.

    def _columns(self, tokens: np.ndarray) -> Columns:
        """The context of every position, (B * T,) a column."""
        return [column.ravel() for column in context_columns(tokens, self._past)]

    def contexts_of(self, columns: Columns) -> list[np.ndarray]:
        """The id at each level of contexts given as columns (N,), newest token first; -1 where not seen."""
        ids = walk(self.levels, columns)
        if not self.interpolated:  # only the longest context counts; a line's start makes it shorter
            reaches = np.ones(len(columns[0]), bool)
            for depth, column in enumerate(columns[: self.order - 1], 1):
                ids[depth - 1][reaches] = -1
                ids[depth][~reaches] = -1
                reaches = reaches & (column != 0)
        return ids

    def distributions(self, contexts: list[np.ndarray]) -> np.ndarray:
        """Give probabilities (N, V) after contexts given by their ids (N,) at each level; -1 where not seen."""
        return self._distributions(contexts)

    def _entries(self, contexts: list[np.ndarray], targets: np.ndarray) -> list[np.ndarray]:
        """The entry of each target (N,) in its context at every level; -1 where it was not seen."""
        return [level.find_entries(ids, targets) for level, ids in zip(self.levels, contexts, strict=True)]

    def _chances(self, columns: Columns, targets: np.ndarray) -> np.ndarray:
        """(N,) probabilities of one token after each context: `_distributions` at that token alone."""
        contexts = self.contexts_of(columns)
        chances = np.full(len(targets), 1.0 / self.vocabulary_size)
        for depth, (level, entries) in enumerate(zip(self.levels, self._entries(contexts, targets), strict=True)):
            places = np.flatnonzero(contexts[depth] >= 0)
            total, weight = self._weights(depth, contexts[depth][places])  # (places,) each
            counts = level.counts_of(entries[places])
            chances[places] = self._discounted(depth, counts) / total + weight * chances[places]
        return chances

    def _shaped_chances(
        self, columns: Columns, targets: np.ndarray, shape: Shape, states: np.ndarray
    ) -> np.ndarray:
        """Give the same with the shape; an n-gram that stands at many places is looked up once."""
        numbers, where = numbered_rows([*columns, targets], self.vocabulary_size)
        some = [column[where] for column in columns]
        of_classes = self.class_chances(self.contexts_of(some), shape.classes)[numbers]
        return self._chances(some, targets[where])[numbers] * shape.ratios(states, targets, of_classes)

    def _distributions(
        self, contexts: list[np.ndarray], own: list[np.ndarray] | None = None, tokens: np.ndarray | None = None
    ) -> np.ndarray:
        """Give (N, V) probabilities, or (N, T) of some tokens (T,). `own`: the entry of each row's own token at
        each level, counted once less."""
        gone = self._gone(own) if own else None
        rows, done = self._begun(contexts, gone, tokens)
        place_of = None
        if tokens is not None:
            place_of = np.full(self.vocabulary_size, -1, np.int32)
            place_of[tokens] = np.arange(len(tokens))
        for depth, ids in enumerate(contexts):
            places = np.flatnonzero((ids >= 0) & (done < depth))
            if places.size:
                left_out = (own[depth][places], gone[depth][places]) if own and gone else None
                self._interpolate(depth, rows, places, ids[places], left_out, place_of)
        return rows

    def _interpolate(
        self,
        depth: int,
        rows: np.ndarray,
        places: np.ndarray,
        contexts: np.ndarray,
        left_out: LeftOut | None = None,
        place_of: np.ndarray | None = None,
    ) -> None:
        """Make of `rows[places]`, which hold what the shorter contexts say, what these contexts say, in place.

        `place_of` (V,) is the column of each token, -1 for one that has none; without it, a token is its column.
        """
        level = self.levels[depth]
        if place_of is not None:
            self._interpolate_some(depth, rows, places, contexts, left_out, place_of)
            return
        total, weight = self._weights(depth, contexts, left_out)
        owners, entries = level.entries_of(contexts)  # (S,) each: S tokens were seen after these contexts
        columns, counts = level.tokens[entries], level.counts[entries]
        if left_out:
            own, gone = left_out
            counts = counts - (gone[owners] & (entries == own[owners]))
        if len(places) == len(rows):  # then nothing need be copied
            rows *= weight[:, None]
        else:
            rows[places] *= weight[:, None]
        share = self._discounted(depth, counts) / total[owners]
        rows.reshape(-1)[places[owners] * rows.shape[1] + columns] += share

    def _interpolate_some(
        self,
        depth: int,
        rows: np.ndarray,
        places: np.ndarray,
        contexts: np.ndarray,
        left_out: LeftOut | None,
        place_of: np.ndarray,
    ) -> None:
        """`_interpolate` for rows (N, T) of some tokens, or of classes, whose columns `place_of` (V,) gives."""
        level = self.levels[depth]
        total, weight = self._weights(depth, contexts, left_out)
        # A frequent word stands in many rows, with thousands of followers: each context is looked up once.
        distinct, which = np.unique(contexts, return_inverse=True)
        owners, entries = level.entries_of(distinct)
        columns = place_of[level.tokens[entries]]
        here = np.flatnonzero(columns >= 0)
        cells, width = owners[here] * rows.shape[1] + columns[here], rows.shape[1]
        discounted = self._discounted(depth, level.counts[entries[here]])
        counted: np.ndarray = np.bincount(cells, discounted, minlength=len(distinct) * width).reshape(-1, width)
        new = rows[places]
        new *= weight[:, None]
        new += counted[which] / total[:, None]  # of nothing at all, bincount gives whole numbers
        rows[places] = new
        if left_out:
            own, gone = left_out
            column = place_of[level.tokens[own]]
            less = np.flatnonzero(gone & (column >= 0))
            counts = level.counts[own[less]]
            change = self._discounted(depth, counts - 1) - self._discounted(depth, counts)
            rows[places[less], column[less]] += change / total[less]

    def _begun(
        self, contexts: list[np.ndarray], gone: list[np.ndarray] | None, tokens: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows (N, V) that need only the levels above `done` (N,): as usual up to there, and known from tables."""
        done = np.full(len(contexts[0]), -1)
        if len(done) < _MANY or not self.interpolated:
            size = self.vocabulary_size if tokens is None else len(tokens)
            return np.full((len(done), size), 1.0 / self.vocabulary_size), done
        starts, table = self._tables
        # The row of the table for the longest context that is in it and counts nothing less.
        place = np.full(len(done), len(table) - 1)
        for depth, start in enumerate(starts):
            usual = contexts[depth] >= 0
            if gone:
                usual &= ~gone[depth]  # once gone at a level, an occurrence is gone at all above
            done[usual], place[usual] = depth, start + contexts[depth][usual]
        if tokens is None:
            return table[place], done
        return (table[:, tokens][place] if len(table) <= len(place) else table[place][:, tokens]), done

    @cached_property
    def _tables(self) -> tuple[list[int], np.ndarray]:
        """The distributions of all contexts (S, V) of the lower levels, as many as are not too large, and where
        each level begins. The last row is the uniform distribution, on which the lowest level stands."""
        size = self.vocabulary_size
        starts = np.cumsum([0, *(len(level.keys) for level in self.levels)])
        starts = starts[starts * size <= _LARGEST_TABLE]
        table = np.empty((starts[-1] + 1, size))
        below = table[-1:]
        below[:] = 1.0 / size
        for depth, (start, end) in enumerate(pairwise(starts)):
            rows, everyone = table[start:end], np.arange(end - start)
            # A context's key is made of the id of its suffix (see `level.py`), one level below.
            suffixes = (self.levels[depth].keys // np.uint64(size)).astype(np.int64)
            np.take(below, suffixes, axis=0, out=rows, mode="clip")
            self._interpolate(depth, rows, everyone, everyone)
            below = rows
        return starts[:-1].tolist(), table

    def _discounted(self, depth: int, counts: np.ndarray) -> np.ndarray:
        """count - D[count]; the last discount is for 3 and more."""
        return counts - self.discounts.amounts[depth][np.minimum(counts, 3)]

    def _weights(
        self, depth: int, contexts: np.ndarray, left_out: LeftOut | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The denominator, and the weight of the shorter context (Chen & Goodman's γ), (N,) each."""
        return weights_of(self.levels[depth], self.discounts, depth, contexts, left_out)

    def _gone(self, entries: list[np.ndarray]) -> list[np.ndarray]:
        """At which levels leaving out one occurrence takes one from the count: the longest context's, and each
        shorter one's as long as the n-gram above it was seen once only and so vanishes. Those count different older
        tokens (Kneser & Ney 1995)."""
        reaches = np.ones(len(entries[0]), bool)
        gone = []
        for level, own in zip(reversed(self.levels), reversed(entries), strict=True):
            seen = own >= 0
            gone.append(seen & reaches)
            if self.continuation:
                reaches = np.where(seen, gone[-1] & (level.counts_of(own) == 1), reaches)
        return gone[::-1]
