"""Sampling lines from any model that obeys the contract.

Candidate i has a random stream of its own: it reads NumPy's Philox generator, keyed by the seed, at counters that
belong to i alone (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). A character is chosen by
inverting the cumulative distribution. So the same seed gives the same lines whatever the batch size, and asking
for more lines gives the same ones first.

A candidate that reading a file could not give back (blank, or broken bytes) is thrown away, and so is one that
`accept` refuses, or `cut` if it did not end before the maximum length; the next candidate takes its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count, repeat
from typing import Any, NamedTuple, cast

import numpy as np

from ..data.labels import Labelled, parted, plain
from ..data.sources.config import TAB
from ..data.typed import typed_line
from ..data.vocabulary.protocol import Vocabulary
from ..models.automata.of_models import apart_from_shape, automaton_of
from ..models.contract import LanguageModel
from ..models.softmax import checked
from ..uniform import uniform
from .config import SamplingConfig
from .drawing.choices import inverted
from .drawing.numbers import Numbers
from .drawing.shaped import COLDEST, MOST_RUNS, ShapedTables, runs_of
from .drawing.tables import Drawing, StateTables, slots_for
from .drawing.texts import texts_of

LARGEST_BATCH = 2048
FEWEST_DRAWN, LARGEST_DRAWN = 512, 8192
"""So many at once are drawn from tables: fewer would not pay for them, more do not fit into a processor's cache."""
_GROWTH = 4
_LARGEST_TABLE = 1 << 23  # probabilities of one step: batch times vocabulary
_LARGEST_TEXT = 1 << 25  # tokens of one batch of the longest lines
_USUAL = 200

Candidates = Callable[[int, int], tuple[np.ndarray, np.ndarray]]
"""From the number of the first candidate and how many there are (B) to their tokens (B, T), padded with boundaries,
and which of them were cut at the maximum length."""


class Sample(NamedTuple):
    """One line made. `complete` is False if it was cut at the maximum length. `candidate` is its number.

    Where lines have labels, `label` is that of this line.
    """

    text: str
    complete: bool
    candidate: int
    label: str | None = None

    @property
    def line(self) -> str:
        """Give the line as training lines are, with its label if these have one."""
        return self.text if self.label is None else self.label + TAB + self.text


_sample = cast(Callable[[tuple[Any, ...]], Sample], partial(tuple.__new__, Sample))  # the fastest way


def sample(
    model: LanguageModel,
    vocabulary: Vocabulary,
    config: SamplingConfig,
    *,
    accept: Callable[[str], bool] = lambda line: True,
    cut: Callable[[Sample], bool] = lambda sample: True,
    patience: int = 10_000,
    batch: int | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Iterator[Sample]:
    """Yield lines without end, or until `patience` candidates in a row were refused.

    `cut` is asked first about each candidate that did not end before the maximum length, whether it will do.
    `NotFiniteError` if the model gives no probabilities.

    `batch` is the number of candidates worked on at once; it changes speed and memory, never the lines. By
    default it starts small and grows, so that the first lines come at once.
    `tick` is called before every token of a batch, and may raise to end the work.
    """
    prefix = encode_prefix(vocabulary, config.prefix)
    candidates, largest = _candidates(model, vocabulary, config, prefix, tick)
    size, most = (batch, batch) if batch else (64, largest)
    most = max(1, min(most, _LARGEST_TABLE // model.vocabulary_size, _LARGEST_TEXT // (config.max_length or 1)))
    texts = texts_of(vocabulary)
    first, refused = 0, 0
    while True:
        size = min(size, most, max(patience, 1))
        tokens, unfinished = candidates(first, size)
        complete = np.ones(len(tokens), bool)
        complete[unfinished] = False
        lines, labels = _parted(vocabulary, texts(tokens))
        for made in map(_sample, zip(lines, complete.tolist(), count(first), labels, strict=False)):
            text: str | None = made.text
            whole = text is None or made.complete or cut(made)
            if text is not None and whole and accept(text):
                refused = 0
                yield made
            else:
                refused += 1 if whole else cost_of_cut(config.max_length or 0)
                if refused >= patience:
                    return
        first, size = first + size, size * _GROWTH
        if config.greedy:
            return


def next_chances(model: LanguageModel, vocabulary: Vocabulary, config: SamplingConfig) -> np.ndarray:
    """Give the chance (V,) float64 of each token to follow the prefix where lines are drawn with these settings.

    Token 0 is the end of the line. All are 0 if no line begins so. Of lines with labels, those with the likeliest
    label (see `Labelled.given`).
    """
    prefix = encode_prefix(vocabulary, config.prefix).astype(np.int64).tolist()
    label = [plain(vocabulary).size + int(vocabulary.shares.argmax())] if isinstance(vocabulary, Labelled) else []
    reader = model.reader(1)
    for token in [0, *label, *prefix]:
        rows = reader.read(np.array([token]))
    banned = _banned(vocabulary)
    allowed = _allowed(rows, banned if prefix else [0, *banned])
    if not np.isfinite(allowed.max()):
        return np.zeros(vocabulary.size)
    weights: np.ndarray = _weights(allowed, config)[0]
    return weights / weights.sum()


def _banned(vocabulary: Vocabulary) -> list[int]:
    """List the tokens that are never drawn: no label stands anywhere but before a line."""
    return [*vocabulary.never_sampled, *range(plain(vocabulary).size, vocabulary.size)]


def cost_of_cut(max_length: int) -> int:
    """How much of the patience a refused line of this length takes: long ones more, as they cost more to make."""
    return 1 + max_length // _USUAL


def encode_prefix(vocabulary: Vocabulary, prefix: str) -> np.ndarray:
    """Token ids (P,) of the beginning of a line, without boundaries. `DataError` names an unknown character."""
    return plain(vocabulary).encode([typed_line(prefix, "the prefix")])[1:-1] if prefix else np.zeros(0, np.int64)


def beginnings(vocabulary: Vocabulary, prefix: str) -> list[np.ndarray]:
    """List the token ids with which a line may begin: of the prefix, or of each label and the prefix."""
    tokens = encode_prefix(vocabulary, prefix).astype(np.int64)
    if not isinstance(vocabulary, Labelled):
        return [tokens]
    return [np.insert(tokens, 0, plain(vocabulary).size + label) for label in np.flatnonzero(vocabulary.shares)]


def _candidates(
    model: LanguageModel,
    vocabulary: Vocabulary,
    config: SamplingConfig,
    prefix: np.ndarray,
    tick: Callable[[], None],
) -> tuple[Candidates, int]:
    """The way in which candidates of a model are made, and how many at once at most."""
    labels = vocabulary if isinstance(vocabulary, Labelled) else None
    prefix = prefix[: config.max_length]
    banned = _banned(vocabulary)
    read = partial(_read, model, config, prefix, banned, labels, tick)
    in_tables = labels is None and not config.greedy and slots_for(model.vocabulary_size)
    drawing = _drawing(model, config, prefix, banned) if in_tables else None
    if drawing is None:
        return read, LARGEST_BATCH
    drawn = partial(_drawn, drawing, config, prefix, tick)
    return lambda first, count: (drawn if count >= FEWEST_DRAWN else read)(first, count), LARGEST_DRAWN


def _drawing(model: LanguageModel, config: SamplingConfig, prefix: np.ndarray, banned: list[int]) -> Drawing | None:
    """The tables of a model; None for one that has no states."""

    def weigh(log_rows: np.ndarray, banned: list[int]) -> np.ndarray:
        return _weights(_allowed(log_rows, banned), config)

    if config.top_k is None and config.top_p is None and config.temperature >= COLDEST:
        apart = apart_from_shape(model)
        if apart is not None and len(runs_of(apart.shape.classes)) <= MOST_RUNS:
            return ShapedTables(apart, prefix, banned, weigh, config.temperature)
    automaton = automaton_of(model)
    return None if automaton is None else StateTables(automaton, prefix, banned, weigh)


def _read(
    model: LanguageModel,
    config: SamplingConfig,
    prefix: np.ndarray,
    banned: list[int],
    labels: Labelled | None,
    tick: Callable[[], None],
    first: int,
    count: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Make candidates, each token of all of them with the model's reader."""
    count = 1 if config.greedy else count
    longest = config.max_length or 1 << 30
    reader = model.reader(count)
    numbers = Numbers(config.seed, first)
    columns = [] if labels is None else [_drawn_labels(labels, config, numbers.at(0, np.arange(count)))]
    before, longest = len(columns), longest + len(columns)
    columns += [np.full(count, token, np.int64) for token in prefix]
    for column in [np.zeros(count, np.int64), *columns]:  # a line begins after a boundary
        log_rows = reader.read(column)
    rows = np.arange(count)  # the candidates still running
    while len(rows):
        tick()
        never = banned if len(columns) > before else [0, *banned]  # no blank lines
        chosen = _choose(log_rows, never, config, uniform(numbers.at(len(columns), rows)))
        if len(columns) >= longest:  # there is room for an end only
            rows = rows[chosen != 0]
            break
        column = np.zeros(count, np.int64)
        column[rows] = chosen
        columns.append(column)
        running = chosen != 0
        rows = rows[running]
        if len(rows):
            if not running.all():
                # lines that have ended are not read on: their rows leave the state
                reader.keep(running)
            log_rows = reader.read(chosen[running])
    return np.stack(columns, axis=1), rows


def _drawn_labels(labels: Labelled, config: SamplingConfig, numbers: np.ndarray) -> np.ndarray:
    """Draw the tokens of the labels (count,) that lines begin with, by their shares."""
    if config.greedy:
        return np.full(len(numbers), labels.plain.size + int(labels.shares.argmax()), np.int64)
    drawn = np.searchsorted(np.cumsum(labels.shares), uniform(numbers), side="right")
    there = np.flatnonzero(labels.shares)
    return labels.plain.size + np.minimum(drawn, there[-1])


def _parted(vocabulary: Vocabulary, made: list[str | None]) -> tuple[Iterable[str | None], Iterable[str | None]]:
    """Part lines that were made from their labels, if they have some."""
    if not isinstance(vocabulary, Labelled):
        return made, repeat(None)
    both = [(None, None) if line is None else parted(line) for line in made]
    return [text for _, text in both], [label for label, _ in both]


def _drawn(
    tables: Drawing, config: SamplingConfig, prefix: np.ndarray, tick: Callable[[], None], first: int, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Make candidates, the same ones, from tables."""
    longest = config.max_length or 1 << 30
    columns = [np.full(count, token, prefix.dtype) for token in prefix]
    rows, slots = np.arange(count), np.full(count, tables.start())
    numbers = Numbers(config.seed, first)
    while len(rows):
        tick()
        chosen = tables.tokens(slots, numbers.at(len(columns), rows))
        going_on = np.flatnonzero(chosen)
        if len(columns) >= longest:
            rows = rows[going_on]
            break
        column = np.zeros(count, chosen.dtype)
        column[rows] = chosen
        columns.append(column)
        if len(going_on) < len(rows):
            rows, slots, chosen = rows[going_on], slots[going_on], chosen[going_on]
        if len(rows):
            slots = tables.after(slots, chosen)
    return np.stack(columns, axis=1), rows


def _choose(log_rows: np.ndarray, banned: list[int], config: SamplingConfig, numbers: np.ndarray) -> np.ndarray:
    """One token a row: (B, V) log-probabilities and (B,) uniform numbers in [0, 1) to (B,) ids."""
    log_rows = _allowed(log_rows, banned)
    if config.greedy:
        return log_rows.argmax(axis=1)
    return inverted(_weights(log_rows, config), numbers)


def _allowed(log_rows: np.ndarray, banned: list[int]) -> np.ndarray:
    """Log-probabilities (B, V), those of banned tokens -inf."""
    if banned:
        log_rows = log_rows.copy()
        log_rows[:, banned] = -np.inf
    return checked(log_rows)


def _weights(log_rows: np.ndarray, config: SamplingConfig) -> np.ndarray:
    """(B, V) unnormalised probabilities after temperature, top-k and top-p. Ties go to the lower id."""
    if config.temperature != 1.0:
        log_rows = log_rows / config.temperature
    # less the largest, which becomes 1: at a low temperature all would round to 0 otherwise
    weights = np.exp(log_rows - log_rows.max(axis=1, keepdims=True))
    if config.top_k is None and config.top_p is None:
        return weights
    order = np.argsort(-weights, axis=1, kind="stable")
    ranked = np.take_along_axis(weights, order, axis=1)
    if config.top_k is not None:
        ranked[:, config.top_k :] = 0.0
    if config.top_p is not None:
        sums = np.cumsum(ranked, axis=1)  # one after the other, as exported models add up: ties are many
        # what comes before a token decides, so the likeliest one always stays
        ranked[sums - ranked >= config.top_p * sums[:, -1:]] = 0.0
    kept = np.zeros_like(weights)
    np.put_along_axis(kept, order, ranked, axis=1)
    return kept
