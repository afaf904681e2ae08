"""A model that is no automaton makes what was asked with the help of an n-gram: nearly as often as it should."""

from collections import Counter
from itertools import islice, product

import numpy as np
import pytest

from spellout.data.vocabulary.characters import Characters
from spellout.generation.asked.config import Asked
from spellout.generation.asked.making import is_automaton, make_model
from spellout.generation.asked.thinning import drawn, log_weights, plan
from spellout.generation.asked.wish import Wish
from spellout.generation.config import SamplingConfig
from spellout.generation.novelty import only
from spellout.generation.sampling import sample
from spellout.generation.scoring import batches
from spellout.models.new_lines.sharper import Sharper
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.counts import Counts
from spellout.models.ngram.model import NgramModel

LINES = ["abca", "abba", "cab", "bac", "aabbc", "cc", "bca", "acab", "b", "caab"] * 3
KNOWN = sorted(set(LINES))


@pytest.fixture(scope="module")
def vocabulary():
    return Characters.of(LINES)


@pytest.fixture(scope="module")
def network(vocabulary):
    """Something with a power of its own, that is not known to be an n-gram."""
    stream = vocabulary.encode(LINES)
    config = NgramConfig(order=2, smoothing="closed-form")
    return Sharper(NgramModel.estimate(Counts.of(stream, 2, vocabulary.size), config), 0.7)


def made_of(network, vocabulary, known=(), power=1.0, **wishes):
    wish = Wish.of(Asked(**wishes), vocabulary, LINES)
    return make_model(network, vocabulary, vocabulary.encode(LINES), wish, known, power), wish


def chances(model, vocabulary, lines):
    logs = np.empty(len(lines))
    for numbers, tokens, targets, lengths in batches(vocabulary.encode(lines)):
        inside = np.arange(targets.shape[1]) < lengths[:, None]
        logs[numbers] = np.where(inside, model.score(tokens, targets), 0.0).sum(axis=1)
    return np.exp(logs)


@pytest.mark.parametrize(("known", "power"), [((), 1.0), (KNOWN, 1.2)])
def test_lines_of_a_network_come_as_often_as_they_should(network, vocabulary, known, power):
    made, wish = made_of(network, vocabulary, known, power, matches="[ab]{2}c?a|ca*b")
    assert not made.exact
    every = ["".join(line) for size in range(1, 8) for line in product("abc", repeat=size)]
    every = [line for line in every if wish.is_so(line) and line not in known]
    expected = chances(made.free, vocabulary, every)
    config = SamplingConfig(seed=3, max_length=8)
    planned = plan(made, vocabulary, config)
    assert planned.share == pytest.approx(expected.sum(), rel=0.15)
    assert planned.lacking <= 0.05
    accept = lambda line: line not in known  # noqa: E731
    lines = drawn(made, vocabulary, config, planned, accept=accept, cut=lambda one: False, patience=10_000)
    counts = Counter(one.text for one in islice(lines, 2000))
    assert set(counts) <= set(every)
    found = np.array([counts[line] for line in every]) / 2000
    expected /= expected.sum()
    off = np.abs(found - expected).sum() / 2
    assert off < 0.05  # 0.01 by what lacks, and chance


def test_weights_are_of_what_comes_after_the_prefix(network, vocabulary):
    made, _ = made_of(network, vocabulary, KNOWN, ends="a")
    lines = ["aba", "abbbba", "acca"]
    before, after = log_weights(made, vocabulary, lines), log_weights(made, vocabulary, lines, "a")
    first = np.array([vocabulary.encode(["a"])[1]])
    row = [model.reader(1).read(np.zeros(1, np.int64))[0, first[0]] for model in (made.free, made.model)]
    assert before - after == pytest.approx(np.full(3, row[0] - row[1]))


def test_the_same_seed_gives_the_same_lines_and_more_lines_begin_with_the_same(network, vocabulary):
    made, _ = made_of(network, vocabulary, (), contains="cc", length="-6")
    config = SamplingConfig(seed=5, max_length=20)
    planned = plan(made, vocabulary, config)

    def lines(count, seed=5):
        config = SamplingConfig(seed=seed, max_length=20)
        accept = only(unique=True)
        found = drawn(made, vocabulary, config, planned, accept=accept, cut=lambda one: False, patience=1000)
        return [one.text for one in islice(found, count)]

    assert lines(60)[:20] == lines(20)
    assert lines(20) != lines(20, seed=6)


def test_where_few_lines_are_so_drawing_ends(network, vocabulary):
    made, _ = made_of(network, vocabulary, (), matches="cc|cab|bac")
    config = SamplingConfig(max_length=9)
    planned = plan(made, vocabulary, config)
    lines = drawn(made, vocabulary, config, planned, accept=only(unique=True), cut=lambda one: False, patience=100)
    assert {one.text for one in lines} == {"cc", "cab", "bac"}


def test_an_ngram_is_exact_and_known_lines_are_not_made(vocabulary):
    stream = vocabulary.encode(LINES)
    config = NgramConfig(order=3, smoothing="closed-form")
    model = NgramModel.estimate(Counts.of(stream, 3, vocabulary.size), config)
    assert is_automaton(model)
    assert not is_automaton(
        NgramModel.estimate(Counts.of(stream, 3, vocabulary.size), NgramConfig(smoothing="add-k"))
    )
    made, _ = made_of(model, vocabulary, KNOWN, 1.1, length="3-5", contains="b")
    assert made.exact
    every = ["".join(line) for size in range(3, 6) for line in product("abc", repeat=size) if "b" in line]
    new = [line for line in every if line not in KNOWN]
    expected = chances(made.free, vocabulary, new)
    assert chances(made.model, vocabulary, new) == pytest.approx(expected / expected.sum(), rel=1e-8)
    assert chances(made.model, vocabulary, sorted(set(KNOWN) & set(every))) == pytest.approx(0.0)
    nothing = np.zeros(0, np.int64)
    assert made.share(nothing) == pytest.approx(expected.sum(), rel=1e-8)
    begun = vocabulary.encode(["ca"])[1:-1].astype(np.int64)
    some = np.array([line.startswith("ca") for line in new])
    first = made.free.log_probabilities(np.concatenate([[0], begun])[None])[0]
    before = np.exp(first[0, begun[0]] + first[1, begun[1]])
    assert made.share(begun) == pytest.approx(expected[some].sum() / before, rel=1e-8)
    lines = sample(made.model, vocabulary, SamplingConfig(max_length=9), cut=lambda one: False)
    assert {one.text for one in islice(lines, 500)} <= set(new)


def test_where_all_lines_are_known_none_is_left(network, vocabulary):
    stream = vocabulary.encode(LINES)
    model = NgramModel.estimate(
        Counts.of(stream, 3, vocabulary.size), NgramConfig(order=3, smoothing="closed-form")
    )
    for one in (model, network):
        with pytest.raises(ValueError, match="no line"):
            made_of(one, vocabulary, ["cc", "cab", "a"], matches="cc|cab")
        made, _ = made_of(one, vocabulary, ["cc"], matches="cc|cab")
        assert not made.can_begin(vocabulary.encode(["cc"])[1:-1].astype(np.int64))
        assert made.can_begin(vocabulary.encode(["c"])[1:-1].astype(np.int64))
