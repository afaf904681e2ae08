"""The weighted geometric mean of two models: against its definition, a search on a grid, and in a comparison."""

import numpy as np
import pytest

from spellout.api import compare, train
from spellout.generation.evaluation import evaluate
from spellout.generation.scoring import batches
from spellout.models.mixture import Mixture, fitted_weight
from spellout.models.ngram.model import NgramConfig
from spellout.models.ngram.training import train_ngram
from spellout.training.experiments.comparison import NO_TIE


class Uniform:
    """Knows nothing: every token is as likely as any other."""

    context, parameters = 1, 0

    def __init__(self, vocabulary_size):
        self.vocabulary_size = vocabulary_size

    def log_probabilities(self, tokens):
        return np.full((*tokens.shape, self.vocabulary_size), -np.log(self.vocabulary_size))

    def settings(self):
        return {}


@pytest.fixture(scope="module")
def members(prepared):
    return [train(prepared, f"ngram:{order}").run.model for order in (2, 4)]


def found_in(prepared, lines):
    for _, tokens, targets, sizes in batches(prepared.vocabulary.encode(lines)):
        yield tokens, targets, np.arange(targets.shape[1]) < sizes[:, None]


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.5, 1.0])
def test_it_is_the_renormalised_weighted_product(prepared, members, weight):
    tokens = np.column_stack([np.zeros(30, int), np.random.default_rng(0).integers(1, 20, (30, 6))])
    first, second = (np.exp(model.log_probabilities(tokens)) for model in members)
    product = first**weight * second ** (1 - weight)
    expected = product / product.sum(axis=-1, keepdims=True)
    mixture = Mixture(*members, weight)
    answer = np.exp(mixture.log_probabilities(tokens))
    np.testing.assert_allclose(answer, expected, rtol=1e-12)
    np.testing.assert_allclose(answer.sum(axis=-1), 1.0, rtol=1e-13)
    targets = np.roll(tokens, -1, axis=1)
    picked = np.take_along_axis(np.log(expected), targets[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(mixture.score(tokens, targets), picked, rtol=1e-10)
    reader, rows = mixture.reader(30), np.arange(30)
    for place in range(7):
        np.testing.assert_allclose(np.exp(reader.read(tokens[rows, place])), expected[rows, place], rtol=1e-10)
        keep = np.arange(len(rows)) % 3 != 0
        reader.keep(keep)
        rows = rows[keep]
    assert mixture.context == 3
    assert mixture.parameters == members[0].parameters + members[1].parameters + 1
    assert mixture.settings()["weight"] == weight


def test_the_weight_is_the_best_of_a_grid(prepared):
    vocabulary = prepared.vocabulary
    streams = [vocabulary.encode(prepared.split.train[start:stop]) for start, stop in [(0, 600), (600, None)]]
    two = [train_ngram(stream, vocabulary.size, NgramConfig(order=3), lambda event: None)[0] for stream in streams]
    lines, grid = prepared.split.dev, np.linspace(0, 1, 101)
    losses = [evaluate(Mixture(*two, float(w)), vocabulary, lines).nats for w in grid]
    weight = fitted_weight(*two, found_in(prepared, lines))
    assert 0.05 < weight < 0.45  # the second has learned from more
    assert abs(weight - grid[np.argmin(losses)]) <= grid[1]
    assert evaluate(Mixture(*two, weight), vocabulary, lines).nats <= min(losses)


def test_a_useless_member_has_no_weight(prepared, members):
    nothing, good = Uniform(prepared.vocabulary.size), members[1]
    lines = prepared.split.dev
    grid = np.linspace(0, 0.2, 41)
    losses = [evaluate(Mixture(nothing, good, float(w)), prepared.vocabulary, lines).nats for w in grid]
    weight = fitted_weight(nothing, good, found_in(prepared, lines))
    assert weight == pytest.approx(grid[np.argmin(losses)], abs=0.005)
    assert weight < 0.1
    assert fitted_weight(good, nothing, found_in(prepared, lines)) == pytest.approx(1 - weight, abs=1e-5)
    assert fitted_weight(good, good, found_in(prepared, lines)) in (0.0, 1.0)  # all the same: no more is needed
    assert fitted_weight(nothing, good, []) == 0.5
    # One that has learned something else altogether gets nothing at all.
    wrong = np.random.default_rng(0).permutation(prepared.vocabulary.size)

    class Mistaken(Uniform):
        def log_probabilities(self, tokens):
            return good.log_probabilities(tokens)[..., wrong]

    assert fitted_weight(Mistaken(prepared.vocabulary.size), good, found_in(prepared, lines)) < 0.1


def test_every_row_is_judged_on_the_same_lines_and_none_with_a_weight_it_fitted(prepared, members):
    second, first = members  # the better one is named first
    dev, test = prepared.split.dev, prepared.split.test
    for part, lines in (("dev", dev), ("test", test)):
        rows = list(compare(prepared, ["ngram:2", "ngram:1", "ngram:4"], part, mixture=True))
        assert [row.model for row in rows] == ["ngram:2", "ngram:1", "ngram:4", "ngram:4 × ngram:2"]
        assert rows[-1].settings["weight"] == fitted_weight(first, second, found_in(prepared, dev))
        assert rows[-1].seconds == pytest.approx(rows[0].seconds + rows[2].seconds)
        if part == "test":
            mixture = Mixture(first, second, rows[-1].settings["weight"])
            expected = evaluate(mixture, prepared.vocabulary, lines).nats_per_char
        else:
            weights = [fitted_weight(first, second, found_in(prepared, half)) for half in (dev[1::2], dev[::2])]
            parts = [
                evaluate(Mixture(first, second, weight), prepared.vocabulary, half)
                for weight, half in zip(weights, (dev[::2], dev[1::2]), strict=True)
            ]
            expected = sum(one.nats for one in parts) / sum(len(line) + 1 for line in dev)
        assert rows[-1].nats_per_char == pytest.approx(expected, abs=1e-12)


def test_a_mixture_is_shown_if_it_wins_or_was_asked_for(prepared, members, monkeypatch):
    (one, other, *rest) = list(compare(prepared, ["ngram:2", "ngram:4"]))
    (forced,) = list(compare(prepared, ["ngram:2", "ngram:4"], mixture=True))[2:]
    assert bool(rest) == (forced.loss < min(one.loss, other.loss) - NO_TIE)
    assert len(list(compare(prepared, ["ngram:2", "ngram:4"], mixture=True))) == 3
    assert len(list(compare(prepared, ["ngram:2"], mixture=True))) == 1
    # Two of the same can only tie, which is no win.
    assert len(list(compare(prepared, ["ngram:4", "ngram:4"]))) == 2
