"""Lines that are not in a list: the trie, one pass of a model along it, and models of weighted lines."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spellout.models.new_lines.known import Known, asked
from spellout.models.new_lines.model import Weighted
from spellout.models.new_lines.trie import NOWHERE, Trie
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.training import train_ngram
from two_parts import of_two_parts

V, LONGEST = 3, 4
EVERY_LINE = [line for length in range(LONGEST + 1) for line in product(range(1, V), repeat=length)]
LISTS = st.lists(st.sampled_from([line for line in EVERY_LINE if line]), min_size=2, max_size=12)


def stream_of(lines):
    return np.array([0, *(token for line in lines for token in [*line, 0])], np.int64)


class Short:
    """An n-gram whose lines end after `LONGEST` letters at most, so that all of its lines can be written down."""

    def __init__(self, lines):
        stream = stream_of(lines).astype(np.uint8)
        self._model = train_ngram(stream, V, NgramConfig(order=3, smoothing="add-k"), lambda event: None)[0]
        self.vocabulary_size, self.context, self.parameters = V, None, 0

    def log_probabilities(self, tokens):
        rows = self._model.log_probabilities(tokens).copy()
        rows[:, LONGEST:] = [0.0, *[-np.inf] * (V - 1)]
        return rows

    def score(self, tokens, targets):
        return np.take_along_axis(self.log_probabilities(tokens), targets[..., None], axis=-1)[..., 0]

    def reader(self, lines):
        return Again(self, lines)


class Again:
    """Reads by asking the model again about all that was read."""

    def __init__(self, model, lines):
        self._model, self._tokens = model, np.zeros((lines, 0), np.int64)

    def read(self, tokens):
        self._tokens = np.column_stack([self._tokens, tokens])
        return self._model.log_probabilities(self._tokens)[:, -1]

    def keep(self, rows):
        self._tokens = self._tokens[rows]


def chances(model):
    """The probability of every line, by `log_probabilities`, by `score` and by a reader: the same three times."""
    tokens = np.array([[0, *line, *[0] * (LONGEST - len(line))] for line in EVERY_LINE])
    targets = np.column_stack([tokens[:, 1:], np.zeros(len(tokens), int)])
    inside = np.arange(LONGEST + 1) <= np.array([len(line) for line in EVERY_LINE])[:, None]
    rows = np.take_along_axis(model.log_probabilities(tokens), targets[..., None], axis=-1)[..., 0]
    scores = model.score(tokens, targets)
    reader = model.reader(len(tokens))
    read = np.stack([reader.read(column) for column in tokens.T], axis=1)
    read = np.take_along_axis(read, targets[..., None], axis=-1)[..., 0]
    ways = [np.exp(np.where(inside, found, 0.0).sum(axis=1)) for found in (rows, scores, read)]
    # after what the model finds impossible, anything may stand
    np.testing.assert_allclose(ways[1], ways[0], rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(ways[2], ways[0], rtol=1e-9, atol=1e-300)
    return dict(zip(EVERY_LINE, ways[0].tolist(), strict=True))


@given(LISTS)
def test_a_trie_holds_every_beginning_once(lines):
    trie = Trie(stream_of(lines), V)
    inner = {line[:length] for line in lines for length in range(len(line) + 1)}
    assert len(trie) == len(inner) + len(set(lines))
    assert sorted(trie.times.tolist()) == sorted(lines.count(line) for line in set(lines))
    for line in inner:
        node = trie.walk(np.array([[0, *line]]))[0, -1]
        assert node != NOWHERE
        _, tokens, children = trie.edges_of(np.array([node]))
        after = {other[len(line)] if len(other) > len(line) else 0 for other in lines if other[: len(line)] == line}
        assert tokens.tolist() == sorted(after)
        assert (trie.child(np.full(len(tokens), node), tokens) == children).all()
    outside = [line for line in EVERY_LINE if line not in inner]
    assert all(trie.walk(np.array([[0, *line]]))[0, -1] == NOWHERE for line in outside)


@given(LISTS, LISTS)
def test_a_trie_finds_its_lines(lines, others):
    trie = Trie(stream_of(lines), V)
    found = trie.find(stream_of(others))
    in_order = sorted(set(lines), key=lambda line: (len(line), line))  # a leaf is one level below its line
    assert [None if one == NOWHERE else in_order[one] for one in found] == [
        line if line in lines else None for line in others
    ]


@given(LISTS, st.integers(1, 5))
def test_the_blocks_of_a_trie_are_lines_in_their_order(lines, size):
    trie = Trie(stream_of(lines), V)
    in_order = sorted(set(lines))
    for length, level in enumerate(trie.spans(size), 1):
        ended = [(*line, 0) for line in in_order]
        beginnings = sorted({line[:length] for line in ended if len(line) >= length})
        nodes = dict(zip(beginnings, range(trie.levels[length], trie.levels[length + 1]), strict=True))
        for block, (first, last) in enumerate(level):
            some = ended[block * size : (block + 1) * size]
            expected = {nodes[line[:length]] for line in some if len(line) >= length}
            assert expected == set(range(first, last + 1))


@given(LISTS)
@settings(deadline=None)
def test_new_lines_have_the_models_probability_over_what_is_left(lines):
    model = Short(lines)
    plain = chances(model)
    known = Known.of(model, Trie(stream_of(lines), V))
    mass = sum(plain[line] for line in set(lines))
    assert np.exp(known.lines()).sum() == pytest.approx(mass, rel=1e-9)
    new = chances(Weighted.of_new_lines(model, known))
    assert sum(new.values()) == pytest.approx(1.0, rel=1e-9)
    for line, chance in plain.items():
        assert new[line] == pytest.approx(0.0 if line in lines else chance / (1.0 - mass), rel=1e-9)


@given(LISTS, st.floats(0.0, 1.0))
@settings(deadline=None)
def test_two_parts_give_known_lines_their_shares_of_the_chance(lines, chance):
    model = Short(lines)
    plain = chances(model)
    known = Known.of(model, Trie(stream_of(lines), V))
    shares = known.trie.times / known.trie.times.sum()
    both = chances(of_two_parts(model, known, chance, np.log(shares)))
    assert sum(both.values()) == pytest.approx(1.0, rel=1e-9)
    mass = sum(plain[line] for line in set(lines))
    for line, probability in plain.items():
        expected = (1.0 - chance) * probability / (1.0 - mass)
        if line in lines:
            expected = chance * lines.count(line) / len(lines)
        assert both[line] == pytest.approx(expected, rel=1e-9)


@given(LISTS, st.lists(st.lists(st.integers(1, V - 1), min_size=5, max_size=60), min_size=1, max_size=5))
@settings(deadline=None)
def test_what_is_left_of_long_lines_is_asked_at_once_and_the_same(lines, long):
    stream = stream_of([*lines, *long]).astype(np.uint8)
    trie = Trie(stream, V)
    model = train_ngram(stream, V, NgramConfig(order=3), lambda event: None)[0]
    logs = Known.of(model, trie).lines()
    which = trie.find(stream_of([*lines, *long]))
    for line, one in zip([*lines, *long], which.tolist(), strict=True):
        assert logs[one] == pytest.approx(model.score(np.array([[0, *line]]), np.array([[*line, 0]])).sum())
    asked_of = np.concatenate([nodes for nodes, _ in asked(model, trie)])
    assert sorted(asked_of.tolist()) == sorted(set(range(len(trie))) - set(trie.leaves.tolist()))


def test_lines_known_by_heart_leave_what_subtraction_would_lose():
    lines = [(1, 2, 1), (2, 1)]

    class ByHeart(Short):
        def log_probabilities(self, tokens):
            rows = np.full((*tokens.shape, V), np.log(1e-30))
            for line in lines:
                for length in range(len(line) + 1):
                    target = [*line, 0][length]
                    if length < tokens.shape[1]:
                        at = (tokens[:, : length + 1] == [0, *line[:length]]).all(axis=1)
                        rows[at, length, target] = np.log(0.5 if length == 0 else 1.0)
            return rows

    model = ByHeart(lines)
    known = Known.of(model, Trie(stream_of(lines), V))
    weighted = Weighted.of_new_lines(model, known)
    # Of order 1e-30: 1 - Σ P(t) is 0 in float64.
    assert 1e-30 < weighted.new_share < 1e-28
    assert np.exp(weighted.log_probabilities(np.array([[0]]))).sum() == pytest.approx(1.0, rel=1e-9)


def test_a_model_that_makes_nothing_new_is_refused():
    class Only(Short):
        def log_probabilities(self, tokens):
            rows = np.full((*tokens.shape, V), -np.inf)
            rows[:, 0, 1], rows[:, 1:, 0] = 0.0, 0.0
            return rows

    lines = [(1,)]
    model = Only([(1,), (2,)])
    with pytest.raises(ValueError, match="makes no line"):
        Weighted.of_new_lines(model, Known.of(model, Trie(stream_of(lines), V)))
