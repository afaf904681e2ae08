"""Sampling lines from any model that obeys the contract.

Candidate i has a random stream of its own: it reads NumPy's Philox generator, keyed by the seed, at counters that
belong to i alone (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). A character is chosen by
inverting the cumulative distribution. So the same seed gives the same lines whatever the batch size, and asking
for more lines gives the same ones first.

A candidate that reading a file could not give back (blank, or broken bytes) is thrown away, and so is one that
`accept` refuses, or `cut` if it did not end before the maximum length; the next candidate takes its place.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..data.labels import Labelled, parted, plain
from ..data.sources.config import TAB
from ..data.typed import typed_line
from ..data.vocabulary import Vocabulary
from ..models.contract import LanguageModel
from ..models.softmax import checked
from .config import SamplingConfig

LARGEST_BATCH = 2048
_LARGEST_TABLE = 1 << 23  # probabilities of one step: batch times vocabulary
_LARGEST_TEXT = 1 << 25  # tokens of one batch of the longest lines
_USUAL = 200
_PAGE = 32  # uniform numbers drawn for a candidate at a time
_BLOCK = 4  # 64-bit numbers in one step of Philox's counter


@dataclass(frozen=True)
class Sample:
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


def sample(
    model: LanguageModel,
    vocabulary: Vocabulary,
    config: SamplingConfig,
    *,
    accept: Callable[[str], bool] = lambda line: True,
    cut: Callable[[Sample], bool] = lambda sample: True,
    patience: int = 10_000,
    batch: int | None = None,
) -> Iterator[Sample]:
    """Yield lines without end, or until `patience` candidates in a row were refused.

    `cut` is asked first about each candidate that did not end before the maximum length, whether it will do.
    `NotFiniteError` if the model gives no probabilities.

    `batch` is the number of candidates worked on at once; it changes speed and memory, never the lines. By
    default it starts small and doubles, so that the first lines come at once.
    """
    prefix = encode_prefix(vocabulary, config.prefix)
    size, most = (batch, batch) if batch else (64, LARGEST_BATCH)
    most = max(1, min(most, _LARGEST_TABLE // model.vocabulary_size, _LARGEST_TEXT // (config.max_length or 1)))
    first, refused = 0, 0
    while True:
        size = min(size, most, max(patience, 1))
        for made in _candidates(model, vocabulary, config, prefix, first, size):
            whole = made is None or made.complete or cut(made)
            if made is not None and whole and accept(made.text):
                refused = 0
                yield made
            else:
                refused += 1 if whole else cost_of_cut(config.max_length or 0)
                if refused >= patience:
                    return
        first, size = first + size, size * 2
        if config.greedy:
            return


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
    model: LanguageModel, vocabulary: Vocabulary, config: SamplingConfig, prefix: np.ndarray, first: int, count: int
) -> list[Sample | None]:
    """Candidates first .. first + count - 1, None for those that are not lines."""
    count = 1 if config.greedy else count
    longest = config.max_length or 1 << 30
    reader = model.reader(count)
    columns = _labels(vocabulary, config, first, count)
    labels, longest = len(columns), longest + len(columns)
    columns += [np.full(count, token, np.int64) for token in prefix[: longest - labels]]
    for column in [np.zeros(count, np.int64), *columns]:  # a line begins after a boundary
        log_rows = reader.read(column)
    rows = np.arange(count)  # the candidates still running
    uniforms = itertools.islice(_uniforms(config.seed, first, count), len(columns), None)
    forbidden = [*vocabulary.never_sampled, *range(plain(vocabulary).size, vocabulary.size)]
    while len(rows):
        banned = forbidden if len(columns) > labels else [0, *forbidden]  # no blank lines
        chosen = _choose(log_rows, banned, config, next(uniforms)[rows])
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
    return _texts(vocabulary, np.stack(columns, axis=1), set(rows.tolist()), first)


def _texts(vocabulary: Vocabulary, tokens: np.ndarray, cut: set[int], first: int) -> list[Sample | None]:
    """Decode (B, T) tokens padded with boundaries, whatever their lengths."""
    lengths = (tokens != 0).sum(axis=1)
    ended = np.column_stack([tokens, np.zeros(len(tokens), np.int64)])
    keep = np.arange(ended.shape[1]) <= lengths[:, None]
    texts = vocabulary.decode(ended[keep])
    if not isinstance(vocabulary, Labelled):
        return [None if one is None else Sample(one, row not in cut, first + row) for row, one in enumerate(texts)]
    made = [None if one is None else parted(one)[::-1] for one in texts]
    return [
        None if one is None else Sample(one[0], row not in cut, first + row, one[1]) for row, one in enumerate(made)
    ]


def _labels(vocabulary: Vocabulary, config: SamplingConfig, first: int, count: int) -> list[np.ndarray]:
    """Draw the labels (count,) that lines begin with, by their shares; nothing where lines have none."""
    if not isinstance(vocabulary, Labelled):
        return []
    if config.greedy:
        return [np.full(count, plain(vocabulary).size + int(vocabulary.shares.argmax()), np.int64)]
    uniform = next(_uniforms(config.seed, first, count))
    drawn = np.searchsorted(np.cumsum(vocabulary.shares), uniform, side="right")
    there = np.flatnonzero(vocabulary.shares)
    return [plain(vocabulary).size + np.minimum(drawn, there[-1])]


def _uniforms(seed: int, first: int, count: int) -> Iterator[np.ndarray]:
    """Uniform numbers (count,) in [0, 1) of candidates first .. first + count - 1, for each step of their lines."""
    for page in itertools.count():
        # Both parts of the counter are needed: who the candidate is, and how far its line has come.
        source = np.random.Philox(key=seed, counter=[first * (_PAGE // _BLOCK), page, 0, 0])
        raw = source.random_raw(count * _PAGE).reshape(count, _PAGE)
        yield from ((raw >> np.uint64(11)) * 2.0**-53).T  # the 53 bits that a float64 holds


def _choose(log_rows: np.ndarray, banned: list[int], config: SamplingConfig, uniform: np.ndarray) -> np.ndarray:
    """One token a row: (B, V) log-probabilities and (B,) uniform numbers to (B,) ids."""
    if banned:
        log_rows = log_rows.copy()
        log_rows[:, banned] = -np.inf
    if config.greedy:
        return checked(log_rows).argmax(axis=1)
    weights = _weights(checked(log_rows), config)
    cumulative = np.cumsum(weights, axis=1)
    wanted = uniform * cumulative[:, -1]
    # <= and not <: a token without any weight is not chosen even where the number drawn is 0
    chosen = (cumulative <= wanted[:, None]).sum(axis=1)
    # Rounding can put `wanted` on the total itself: then the last token with any weight is meant.
    last = weights.shape[1] - 1 - (weights[:, ::-1] > 0).argmax(axis=1)
    return np.minimum(chosen, last)


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
        before = np.cumsum(ranked, axis=1) - ranked
        # what comes before a token decides, so the likeliest one always stays
        ranked[before >= config.top_p * ranked.sum(axis=1, keepdims=True)] = 0.0
    kept = np.zeros_like(weights)
    np.put_along_axis(kept, order, ranked, axis=1)
    return kept
