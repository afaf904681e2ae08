"""An n-gram makes lines that will do exactly as if it made any, and others were thrown away."""

import re
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spellout.data.vocabulary.characters import Characters
from spellout.generation.asked.automaton import of_lengths
from spellout.generation.asked.backward import Backward
from spellout.generation.asked.conditioned import Conditioned
from spellout.generation.asked.expression import deterministic, positions_of
from spellout.generation.asked.spelling import Spelling
from spellout.generation.asked.states import States, with_shape
from spellout.generation.scoring import batches
from spellout.models.new_lines.sharper import sharper
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.counts import Counts
from spellout.models.ngram.model import NgramModel

LETTERS = "abc"
EVERY_LINE = ["".join(line) for size in range(1, 6) for line in product(LETTERS, repeat=size)]
lists = st.lists(st.sampled_from(EVERY_LINE[:120]), min_size=2, max_size=15).map(lambda lines: [*lines, LETTERS])
patterns = st.sampled_from(
    [
        ".*a",
        ".*b.*",
        ".{2,4}",
        "(ab?)+",
        "[ab]{3}|c",
        ".*ab",
        "a.*|.*c.*b",
        "aa",
        ".{3}",
        "(?:(?:a|b)c)*.",
        "[^a]+",
        ".*",
    ]
)


def ngram_of(lines, order=3):
    vocabulary = Characters.of(lines)
    config = NgramConfig(order=order, smoothing="closed-form")
    return vocabulary, NgramModel.estimate(Counts.of(vocabulary.encode(lines), order, vocabulary.size), config)


def automaton_of(pattern, vocabulary):
    spelling = Spelling.of(vocabulary, None)
    letters = deterministic(positions_of(pattern, "it"), spelling.letters, "it")
    return spelling.over_tokens(letters.both(of_lengths(1, None, len(spelling.letters)))).minimal()


def conditioned(pattern, vocabulary, model, power=1.0):
    backward = Backward.of(States(model, power), automaton_of(pattern, vocabulary))
    return Conditioned(sharper(model, power), backward)


def log_chances(model, vocabulary, lines):
    logs = np.empty(len(lines))
    for numbers, tokens, targets, lengths in batches(vocabulary.encode(lines)):
        inside = np.arange(targets.shape[1]) < lengths[:, None]
        logs[numbers] = np.where(inside, model.score(tokens, targets), 0.0).sum(axis=1)
    return logs


@given(lists, patterns, st.sampled_from([2, 3, 4]), st.sampled_from([1.0, 1.3, 0.8]))
@settings(max_examples=60, deadline=None)
def test_lines_that_will_do_are_as_likely_to_each_other_as_before(lines, pattern, order, power):
    vocabulary, model = ngram_of(lines, order)
    found = conditioned(pattern, vocabulary, model, power)
    fits = np.array([bool(re.fullmatch(pattern, line)) for line in EVERY_LINE])
    before, after = (log_chances(one, vocabulary, EVERY_LINE) for one in (found.model, found))
    assert np.isneginf(after[~fits]).all()
    apart = (after - before)[fits]  # minus the logarithm of what all lines that will do have together
    assert apart == pytest.approx(np.full(len(apart), apart[0]), abs=1e-8)
    assert apart[0] > -1e-9


@given(lists, st.sampled_from([".{2,4}", "[ab]{3}|c", "aa", ".{3}", "a?b?c?.{,2}"]), st.sampled_from([1.0, 1.3]))
@settings(max_examples=40, deadline=None)
def test_where_all_lines_that_will_do_can_be_listed_their_chances_are_1_together(lines, pattern, power):
    vocabulary, model = ngram_of(lines)
    found = conditioned(pattern, vocabulary, model, power)
    fits = [line for line in EVERY_LINE if re.fullmatch(pattern, line)]
    before, after = (np.exp(log_chances(one, vocabulary, fits)) for one in (found.model, found))
    assert after == pytest.approx(before / before.sum(), rel=1e-9)
    assert after.sum() == pytest.approx(1.0)


class Shaped:
    """An n-gram times factors on the classes of tokens, by how many tokens there were: at most three differ."""

    def __init__(self, model, factors):
        self.model, self.vocabulary_size = model, model.vocabulary_size
        self.context, self.parameters = None, 0
        self.classes = np.array([0, 1, 1, 2], np.uint8)
        self.following = np.array([[0, 1, 1], [0, 2, 1], [0, 2, 2]], np.int32)
        self.factors = factors

    def log_probabilities(self, tokens):
        states = np.zeros(tokens.shape, np.int64)
        for place in range(1, tokens.shape[1]):
            states[:, place] = self.following[states[:, place - 1], self.classes[tokens[:, place]]]
        rows = np.exp(self.model.log_probabilities(tokens)) * self.factors[states][..., self.classes]
        return np.log(rows / rows.sum(axis=-1, keepdims=True))

    def score(self, tokens, targets):
        return np.take_along_axis(self.log_probabilities(tokens), targets[..., None].astype(np.int64), axis=-1)[
            ..., 0
        ]

    def reader(self, lines):
        return Rereading(self)


class Rereading:
    """Reads every line from its beginning again."""

    def __init__(self, model):
        self.model, self.read_so_far = model, None

    def read(self, tokens):
        column = tokens[:, None]
        self.read_so_far = column if self.read_so_far is None else np.hstack([self.read_so_far, column])
        return self.model.log_probabilities(self.read_so_far)[:, -1]

    def keep(self, rows):
        self.read_so_far = self.read_so_far[rows]


@given(lists, patterns, st.sampled_from([1.0, 1.3]), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_the_shape_of_a_line_is_one_more_automaton(lines, pattern, power, seed):
    vocabulary, model = ngram_of(lines)
    shape = Shaped(model, np.random.default_rng(seed).uniform(0.2, 3.0, (3, 3)))
    automaton, gains = with_shape(automaton_of(pattern, vocabulary), shape, power)
    free = sharper(shape, power)
    found = Conditioned(free, Backward.of(States(model, power), automaton, gains))
    fits = np.array([bool(re.fullmatch(pattern, line)) for line in EVERY_LINE])
    before, after = (log_chances(one, vocabulary, EVERY_LINE) for one in (free, found))
    assert np.isneginf(after[~fits]).all()
    apart = (after - before)[fits]
    assert apart == pytest.approx(np.full(len(apart), apart[0]), abs=1e-8)
    assert apart[0] > -1e-9
