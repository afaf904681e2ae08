"""Products and mixtures of several models: against their definitions, searches on grids, and in a comparison."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spellout.api import compare, train
from spellout.errors import UsageError
from spellout.generation.evaluation import evaluate
from spellout.generation.scoring import batches
from spellout.models.ensembles.ensemble import Ensemble
from spellout.models.ensembles.fitting import even, fit, mixture_weights, product_weights
from spellout.models.ensembles.mixture import Mixture
from spellout.models.ensembles.product import Product
from spellout.models.table import MODELS, parse_specification
from spellout.training.config import TrainingConfig
from spellout.training.experiments.comparison import NO_TIE

TOKENS = 4
"""Of the vocabulary of models that are a table."""


class Table:
    """Says something of its own after every token, whatever stands before: (V, V) log-probabilities."""

    context, parameters = 1, TOKENS * TOKENS

    def __init__(self, rows):
        self.rows, self.vocabulary_size = rows, len(rows)

    def log_probabilities(self, tokens):
        return self.rows[tokens]

    def score(self, tokens, targets):
        return self.rows[tokens, targets]


def table_of(seed, size=TOKENS, sure=1.5):
    logits = sure * np.random.default_rng(seed).normal(size=(size, size))
    return Table(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))


def text_of(models, chances, places, seed=0):
    """Tokens, and after each what one of the models would say, which one by its chance; as batches."""
    random = np.random.default_rng(seed)
    tokens = random.integers(0, models[0].vocabulary_size, (1, places))
    rows = np.exp(np.stack([model.rows for model in models]))[random.choice(len(models), places, p=chances), tokens]
    drawn = (random.random((places, 1)) < rows[0].cumsum(axis=1)).argmax(axis=1)[None]
    return [(tokens, drawn, np.ones(tokens.shape, bool))]


def loss(model, text):
    return -float(np.mean([model.score(tokens, targets)[inside].mean() for tokens, targets, inside in text]))


members_of_three = st.lists(st.integers(0, 1000), min_size=3, max_size=3, unique=True)
weights_of_three = arrays(float, 3, elements=st.floats(0.05, 2.0))


@given(members_of_three, weights_of_three, st.permutations(range(3)))
def test_both_are_what_their_definitions_say_in_any_order(seeds, weights, order):
    tables, tokens = [table_of(seed) for seed in seeds], np.array([[0, 1, 2, 3], [3, 3, 0, 1]])
    targets = np.roll(tokens, 1, axis=1)
    chances = [np.exp(table.log_probabilities(tokens)) for table in tables]
    product = np.prod([chance**weight for chance, weight in zip(chances, weights, strict=True)], axis=0)
    shares = weights / weights.sum()
    for kind, given_weights, expected in [
        (Product, weights, product / product.sum(axis=-1, keepdims=True)),
        (Mixture, shares, sum(share * chance for share, chance in zip(shares, chances, strict=True))),
    ]:
        model = kind([tables[one] for one in order], given_weights[list(order)])
        answer = np.exp(model.log_probabilities(tokens))
        np.testing.assert_allclose(answer, expected, rtol=1e-10)
        np.testing.assert_allclose(answer.sum(axis=-1), 1.0, rtol=1e-12)
        picked = np.take_along_axis(expected, targets[..., None], axis=-1)[..., 0]
        np.testing.assert_allclose(np.exp(model.score(tokens, targets)), picked, rtol=1e-10)


@settings(max_examples=10)
@given(members_of_three, st.integers(0, 1000))
def test_fitted_weights_are_the_best_of_a_fine_grid(seeds, seed):
    """Brute force: no point of a grid around the optimum, nor of a coarse one over everything, is better."""
    tables = [table_of(one) for one in seeds]
    text = text_of(tables, [0.5, 0.3, 0.2], 300, seed)
    logs, chosen = np.stack([table.rows[text[0][0][0]] for table in tables]), text[0][1][0]
    own = logs[:, np.arange(len(chosen)), chosen]
    product, shares = product_weights(logs, chosen, 0.0), mixture_weights(own, 0.0)
    assert (product >= 0).all()
    assert (shares >= 0).all()
    assert shares.sum() == pytest.approx(1.0, abs=1e-12)
    best = loss(Product(tables, product), text), loss(Mixture(tables, shares), text)
    coarse = itertools.product(np.linspace(0, 1.5, 6), repeat=3)
    near = (np.maximum(product + np.array(step), 0) for step in itertools.product((-0.02, 0, 0.02), repeat=3))
    for weights in map(np.array, itertools.chain(coarse, near)):
        if weights.any():
            assert loss(Product(tables, weights), text) >= best[0] - 1e-7
    for first, second in itertools.product(np.linspace(0, 1, 21), repeat=2):
        if first + second <= 1:
            weights = [first, second, max(0.0, 1 - first - second)]
            assert loss(Mixture(tables, weights), text) >= best[1] - 1e-7


def test_it_finds_what_the_text_was_made_by():
    """A text drawn from a mixture has its shares as weights; one drawn from a product, its powers."""
    tables = [table_of(seed) for seed in (1, 2, 3)]
    found = fit(tables, text_of(tables, [0.6, 0.4, 0.0], 40_000))
    assert found.ensemble.kind == "mixture"
    np.testing.assert_allclose(found.ensemble.weights, [0.6, 0.4, 0.0], atol=0.02)
    powers = [0.9, 0.0, 0.5]
    product = Table(Product(tables, powers).log_probabilities(np.arange(TOKENS)))
    found = fit(tables, text_of([product], [1.0], 40_000))
    assert found.ensemble.kind == "product"
    np.testing.assert_allclose(found.ensemble.weights, powers, atol=0.05)
    assert found.nats["product"] < min(found.nats["mixture"], *found.members)
    assert found.places == 40_000


def test_few_lines_make_weights_more_equal_and_many_leave_them():
    tables = [table_of(1), table_of(2)]
    for places, most in ((20, 1.0), (20_000, 0.01)):
        logs = np.stack([table.rows[(text := text_of(tables, [0.9, 0.1], places))[0][0][0]] for table in tables])
        own = logs[:, np.arange(places), text[0][1][0]]
        free, careful = mixture_weights(own, 0.0), mixture_weights(own)
        assert abs(careful[0] - 0.5) < abs(free[0] - 0.5)
        assert abs(careful[0] - free[0]) < most
        powers, calmed = product_weights(logs, text[0][1][0], 0.0), product_weights(logs, text[0][1][0])
        assert np.square(calmed).sum() < np.square(powers).sum()


def test_the_order_of_the_members_does_not_matter():
    tables = [table_of(seed) for seed in (1, 2, 3)]
    text = text_of(tables, [0.6, 0.3, 0.1], 1000)
    one, other = fit(tables, text).ensemble, fit(tables[::-1], text).ensemble
    np.testing.assert_allclose(one.weights, other.weights[::-1], atol=1e-5)
    assert one.kind == other.kind


def test_one_member_and_members_that_are_the_same():
    table = table_of(0)
    text, tokens = text_of([table], [1.0], 500), np.arange(TOKENS)[None]
    alone = mixture_weights(table.score(*text[0][:2]))
    assert alone.tolist() == [1.0]
    np.testing.assert_allclose(Mixture([table], alone).log_probabilities(tokens), table.rows[tokens], atol=1e-12)
    logs, chosen = table.rows[text[0][0][0]][None], text[0][1][0]
    (power,) = product_weights(logs, chosen, 0.0)
    three = product_weights(np.repeat(logs, 3, axis=0), chosen, 0.0)
    np.testing.assert_allclose(three, [power / 3] * 3, rtol=1e-5)
    shares = mixture_weights(np.repeat(table.score(*text[0][:2]), 3, axis=0))
    np.testing.assert_allclose(shares, [1 / 3] * 3, rtol=1e-9)


def test_a_useless_member_has_no_weight():
    good, wrong = table_of(0), Table(-table_of(0).rows)  # likely is unlikely
    wrong.rows -= np.log(np.exp(wrong.rows).sum(axis=1, keepdims=True))
    text = text_of([table_of(0, sure=2.5)], [1.0], 2000)  # surer than the good one is
    for members, place in (([good, wrong], 1), ([wrong, good], 0)):
        assert mixture_weights(np.concatenate([m.score(*text[0][:2]) for m in members]))[place] == 0.0
        logs = np.stack([m.rows[text[0][0][0]] for m in members])
        assert product_weights(logs, text[0][1][0])[1 - place] > 0.0
    uniform = Table(np.full((TOKENS, TOKENS), -np.log(TOKENS)))
    assert fit([uniform, good], text).ensemble.weights[0] < 0.05
    # Only members that are worse than knowing nothing: no product of them is any good.
    assert not product_weights(wrong.rows[text[0][0][0]][None], text[0][1][0]).any()
    assert fit([wrong], text).ensemble.kind == "mixture"


def test_a_member_that_thinks_impossible_what_came_gets_nothing_in_a_product_but_can_in_a_mixture():
    never = np.full((TOKENS, TOKENS), -np.inf)
    never[:, 1] = 0.0  # always the same
    never, good = Table(never), table_of(0)
    text = text_of([never, good], [0.5, 0.5], 2000)
    logs = np.stack([model.rows[text[0][0][0]] for model in (never, good)])
    weights = product_weights(logs, text[0][1][0])
    assert weights[0] == 0.0
    assert weights[1] > 0.0
    found = fit([never, good], text)
    assert found.ensemble.kind == "mixture"
    np.testing.assert_allclose(found.ensemble.weights, [0.5, 0.5], atol=0.05)
    assert np.isfinite(found.ensemble.log_probabilities(text[0][0])).all()
    product = Product([never, good], weights)
    assert np.isfinite(product.log_probabilities(text[0][0])).all()
    # What all members exclude stays impossible.
    assert np.exp(Mixture([never, never], [0.5, 0.5]).log_probabilities(np.zeros((1, 1), int))).tolist() == [
        [[0.0, 1.0, 0.0, 0.0]]
    ]


def test_one_that_rightly_excludes_tokens_may_do_so_in_a_product():
    rows = np.log(np.array([[0.5, 0.5, 0.0, 0.0]] * TOKENS) + 0.0, where=[[True, True, False, False]] * TOKENS,
                  out=np.full((TOKENS, TOKENS), -np.inf))  # fmt: skip
    half, good = Table(rows), table_of(0)
    tokens = np.random.default_rng(0).integers(0, TOKENS, (1, 2000))
    text = [(tokens, tokens // 2, np.ones(tokens.shape, bool))]
    found = fit([half, good], text)
    assert found.nats["product"] < found.members[0]
    chances = np.exp(Product([half, good], [0.5, 0.5]).log_probabilities(tokens))
    assert (chances[..., 2:] == 0.0).all()
    np.testing.assert_allclose(chances.sum(axis=-1), 1.0, rtol=1e-12)


def test_without_lines_all_count_the_same():
    tables = [table_of(0), table_of(1)]
    found = fit(tables, [])
    assert (found.ensemble.kind, found.ensemble.weights) == ("mixture", (0.5, 0.5))
    assert found.places == 0
    assert even(tables).weights == (0.5, 0.5)


def test_what_cannot_be_an_ensemble_is_refused():
    two = [table_of(0), table_of(1)]
    for kind, weights in [
        (Product, [1.0]),
        (Product, [0.0, 0.0]),
        (Product, [-0.1, 1.0]),
        (Product, [np.nan, 1.0]),
        (Product, [np.inf, 1.0]),
        (Mixture, [0.5, 0.4]),
        (Mixture, [1.5, -0.5]),
    ]:
        with pytest.raises(ValueError, match="weight"):
            kind(two, weights)
    with pytest.raises(ValueError, match="members"):
        Product([], [])
    with pytest.raises(ValueError, match="differ in vocabulary"):
        Product([table_of(0), table_of(0, size=5)], [0.5, 0.5])


def test_it_is_as_far_sighted_as_the_members_that_are_asked():
    short, long, whole = table_of(0), table_of(1), table_of(2)
    long.context, whole.context = 5, None
    assert Product([short, long], [0.5, 0.5]).context == 5
    assert Product([short, long], [0.5, 0.0]).context == 1
    assert Mixture([short, whole], [0.5, 0.5]).context is None


@pytest.fixture(scope="module")
def members(prepared):
    return [train(prepared, f"ngram:{order}").run.model for order in (2, 4)]


def found_in(prepared, lines):
    for _, tokens, targets, sizes in batches(prepared.vocabulary.encode(lines)):
        yield tokens, targets, np.arange(targets.shape[1]) < sizes[:, None]


@pytest.mark.parametrize("kind", [Product, Mixture])
def test_it_is_kept_and_comes_back_whatever_kind_is_asked(members, kind):
    tokens = np.column_stack([np.zeros(30, int), np.random.default_rng(0).integers(1, 20, (30, 6))])
    model = kind(members, [0.25, 0.75])
    stored = json.loads(json.dumps(model.settings()))
    for asked in (Ensemble, Product, Mixture):
        again = asked.restore(stored, model.arrays())
        assert type(again) is kind
        assert np.array_equal(again.log_probabilities(tokens), model.log_probabilities(tokens))
    for damage in (
        {"kind": "sum"},
        {"weights": [1.0]},
        {"weights": ["a", "b"]},
        {"vocabulary_size": 1},
        {"members": [{"model": "ensemble", "settings": stored}] * 2},
        {"members": []},
    ):
        with pytest.raises((ValueError, KeyError)):
            Ensemble.restore(stored | damage, model.arrays())


def test_the_same_n_gram_of_two_members_is_kept_once(prepared):
    model = train(prepared, "2*mlp:4+ngram:3 & mlp:4+ngram:2", training=TrainingConfig(steps=2)).run.model
    kept = [name for name in model.arrays() if name.endswith("prior.level0.keys")]
    assert kept == ["1.prior.level0.keys", "3.prior.level0.keys"]
    assert model.settings()["shared"] == {"2": 1}
    first, second, _ = (member.weights for member in model.members)
    assert any(not np.array_equal(first[name], second[name]) for name in first)  # other seeds


def test_every_row_is_judged_on_the_same_lines_and_none_with_weights_it_fitted(prepared, members):
    best = members[::-1]  # the better one is named first
    dev, test = prepared.split.dev, prepared.split.test
    for part, lines in (("dev", dev), ("test", test)):
        rows = list(compare(prepared, ["ngram:2", "ngram:1", "ngram:4"], part, mixture=True))
        assert [row.model for row in rows] == ["ngram:2", "ngram:1", "ngram:4", "ngram:4 & ngram:2"]
        whole = fit(best, found_in(prepared, dev)).ensemble
        assert rows[-1].settings["weights"] == pytest.approx(whole.weights, abs=1e-9)
        assert rows[-1].settings["kind"] == whole.kind
        assert rows[-1].seconds == pytest.approx(rows[0].seconds + rows[2].seconds)
        if part == "test":
            expected = evaluate(whole, prepared.vocabulary, lines).nats_per_char
        else:
            halves = [(dev[1::2], dev[::2]), (dev[::2], dev[1::2])]
            parts = [
                evaluate(fit(best, found_in(prepared, others)).ensemble, prepared.vocabulary, half)
                for others, half in halves
            ]
            expected = sum(one.nats for one in parts) / sum(len(line) + 1 for line in dev)
        assert rows[-1].nats_per_char == pytest.approx(expected, abs=1e-12)


def test_an_ensemble_is_shown_if_it_wins_or_was_asked_for(prepared, members):
    (one, other, *rest) = list(compare(prepared, ["ngram:2", "ngram:4"]))
    (forced,) = list(compare(prepared, ["ngram:2", "ngram:4"], mixture=True))[2:]
    assert bool(rest) == (forced.loss < min(one.loss, other.loss) - NO_TIE)
    assert len(list(compare(prepared, ["ngram:2", "ngram:4"], mixture=True))) == 3
    assert len(list(compare(prepared, ["ngram:2"], mixture=True))) == 1


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("ensemble", "a model on each side of &"),
        ("mlp &", "a model on each side of &"),
        ("2*ensemble", "a model on each side of &"),
        ("mlp & (mlp & ngram)", "the members of an ensemble are models, not ensembles"),
        ("2*3*mlp", r"before the \* stands how many, as in 4\*mlp"),
        ("two*mlp", r"before the \* stands how many, as in 4\*mlp"),
        ("0*mlp", "from 1 to 64 members"),
        ("40*mlp & 25*ngram", "from 1 to 64 members"),
        ("mlp & gruu", "did you mean gru"),
    ],
)
def test_an_ensemble_that_is_not_understood_is_explained(text, fragment):
    with pytest.raises(UsageError, match=fragment):
        parse_specification(text)


def test_what_an_ensemble_is_asked_as():
    asked = parse_specification("2*mlp:8+ngram:3 & ngram", prior="ngram:5")
    assert [member.text for member in asked.members] == ["mlp:8+ngram:3", "mlp:8+ngram:3", "ngram"]
    assert asked.family is MODELS["ensemble"]
    assert [one.family.name for one in asked.alone] == ["mlp", "mlp", "ngram"]
    assert parse_specification("1*mlp:8").members == ()
    assert parse_specification("mlp & gru", prior="ngram:5").members[1].prior.order == 5
