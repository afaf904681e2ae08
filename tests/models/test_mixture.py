"""The geometric mean of models: against its definition, and as the last row of a comparison."""

import numpy as np
import pytest

from spellout.generation.evaluation import evaluate
from spellout.models.mixture import Mixture
from spellout.training.comparison import compare
from spellout.training.train import train


@pytest.fixture(scope="module")
def members(prepared):
    return [train(prepared, f"ngram:{order}").run.model for order in (2, 4)]


def test_it_is_the_renormalised_root_of_the_product(prepared, members):
    tokens = np.column_stack([np.zeros(30, int), np.random.default_rng(0).integers(1, 20, (30, 6))])
    product = np.exp(members[0].log_probabilities(tokens)) * np.exp(members[1].log_probabilities(tokens))
    expected = np.sqrt(product) / np.sqrt(product).sum(axis=-1, keepdims=True)
    mixture = Mixture(members)
    np.testing.assert_allclose(np.exp(mixture.log_probabilities(tokens)), expected, rtol=1e-12)
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
    assert mixture.parameters == members[0].parameters + members[1].parameters


def test_a_comparison_ends_with_the_mixture_of_the_two_best_on_dev(prepared, members):
    for part in ("dev", "test"):
        rows = list(compare(prepared, ["ngram:2", "ngram:1", "ngram:4"], part))
        assert [row.model for row in rows] == ["ngram:2", "ngram:1", "ngram:4", "ngram:4 × ngram:2"]
        lines = {"dev": prepared.split.dev, "test": prepared.split.test}[part]
        expected = evaluate(Mixture(members), prepared.vocabulary, lines).nats_per_char
        assert rows[-1].nats_per_char == pytest.approx(expected, abs=1e-12)
        assert rows[-1].seconds == pytest.approx(rows[0].seconds + rows[2].seconds)
    assert len(list(compare(prepared, ["ngram:2"]))) == 1
