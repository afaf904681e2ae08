"""The bounded search for an order against the full one, and against what it says about the text."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.data.config import DataConfig
from spellout.data.markov import MarkovSource
from spellout.data.prepared import Prepared
from spellout.data.vocabulary.building import build_vocabulary
from spellout.models.ngram import search as ngram_search
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.counts import Counts
from spellout.models.ngram.discounts import fit
from spellout.models.ngram.levels import build_levels, one_order_more
from spellout.models.ngram.model import NgramModel
from spellout.models.ngram.quick import quick_ngram
from spellout.models.ngram.search import Excerpt, search
from spellout.models.ngram.streams import hold_out, some_lines
from spellout.models.ngram.training import train_ngram
from strategies import letter_lines

FEW, SOME = 20_000, 640_000


@pytest.fixture
def little(monkeypatch):
    """As if texts were long from 20,000 positions on, with as many positions to a context as in long ones."""
    monkeypatch.setattr(ngram_search, "CONTEXTS_A_SHARE", 4)
    monkeypatch.setattr(ngram_search, "SEARCHED", FEW)
    monkeypatch.setattr(ngram_search, "CONSIDERED", SOME)


def nothing(event):
    pass


def full_search(stream, size, highest=12):
    """Every order from 1 upwards on all the text, each counted and fitted from the beginning."""
    cut = hold_out(stream)
    best, order, start = math.inf, 0, None
    gain = max(1e-4, 1.0 / (len(stream) - 1 - cut))
    for n in range(1, highest + 1):
        levels = build_levels(Counts.of(stream[: cut + 1], n, size))
        held_out = Counts.of(stream[cut:], n, size)
        start = fit(levels, held_out, start)
        nats = NgramModel(levels, start).nats_per_token(held_out)
        if nats < best - gain:
            best, order = nats, n
        elif n - order == 2:
            break
    return order, best


@given(st.lists(st.text("abc", min_size=1, max_size=6), min_size=5, max_size=40))
def test_short_lists_are_searched_whole(lines):
    vocabulary = build_vocabulary(lines)
    stream = vocabulary.encode(lines)
    found = search(stream, vocabulary.size, NgramConfig(), nothing)
    order, nats = full_search(stream, vocabulary.size)
    assert found.whole
    assert found.order == order
    assert found.nats == pytest.approx(nats, rel=1e-9)


def test_the_bundled_names_have_the_order_and_loss_of_the_full_search(names):
    prepared = Prepared.of(names, DataConfig())
    model, nats = train_ngram(prepared.stream, prepared.vocabulary.size, NgramConfig(), nothing)
    order, best = full_search(prepared.stream, prepared.vocabulary.size)
    assert model.order == order
    assert nats == pytest.approx(best, rel=1e-9)


@pytest.mark.parametrize(("order", "seed"), [(1, 0), (2, 1), (3, 2)])
def test_a_long_text_gets_an_order_that_is_as_good_as_the_best(little, order, seed):
    source = MarkovSource(order=order, letters="abcdef", seed=seed)
    vocabulary = build_vocabulary(["abcdef"])
    stream = vocabulary.encode(source.sample(100_000, seed=seed))
    fresh = vocabulary.encode(source.sample(100_000, seed=seed + 10))
    events = []
    model, nats = train_ngram(stream, vocabulary.size, NgramConfig(), events.append)
    assert nats is None  # what some contexts say of the loss is not what the text does
    best, _ = full_search(stream, vocabulary.size)
    reference, _ = train_ngram(stream, vocabulary.size, NgramConfig(order=best), nothing)
    loss = model.nats_per_token(Counts.of(fresh, model.order, vocabulary.size))
    assert loss <= 1.003 * reference.nats_per_token(Counts.of(fresh, best, vocabulary.size))
    again = []
    assert train_ngram(stream, vocabulary.size, NgramConfig(), again.append)[0].order == model.order
    assert again == events


def test_work_does_not_grow_with_the_text(little, monkeypatch):
    counted = []
    count_rows = ngram_search.count_rows

    def counting(columns, size):
        counted[-1] += len(columns[0])
        return count_rows(columns, size)

    monkeypatch.setattr(ngram_search, "count_rows", counting)
    source = MarkovSource(order=2, letters="abcdef", seed=3)
    vocabulary = build_vocabulary(["abcdef"])
    for characters in (10_000, 100_000, 900_000):
        counted.append(0)
        search(vocabulary.encode(source.sample(characters, seed=1)), vocabulary.size, NgramConfig(), nothing)
    assert max(counted) <= FEW * ngram_search.HIGHEST_ORDER_TRIED
    assert counted[0] > 10_000


@pytest.mark.parametrize(("letters", "more"), [("ab", 0), ("abcdef", 1), ("abcdefghijkl", 3)])
def test_below_the_contexts_looked_at_counts_are_those_of_the_whole_text(little, letters, more):
    vocabulary = build_vocabulary([letters])
    stream = vocabulary.encode(MarkovSource(order=2, letters=letters, seed=1).sample(150_000, seed=2))
    excerpt = Excerpt(stream, vocabulary.size, 12)
    assert excerpt.lowest > 1
    cut, length = hold_out(stream), excerpt.lowest - 1
    parts = excerpt.counts(excerpt.lowest + more)
    assert sum(int(part.counts.sum()) for part in parts) <= FEW
    for part, text in zip(parts, (stream[: cut + 1], stream[cut:]), strict=True):
        whole, found = table_of(Counts.of(text, excerpt.lowest + more, vocabulary.size)), table_of(part)
        contexts = {row[:length] for row in found}
        assert found == {row: count for row, count in whole.items() if row[:length] in contexts}


def table_of(counts):
    return dict(zip(zip(*(c.tolist() for c in counts.columns), strict=True), counts.counts.tolist(), strict=True))


@given(letter_lines, st.integers(1, 7))
def test_one_order_more_is_the_levels_made_from_nothing(lines, highest):
    vocabulary = build_vocabulary(["abc"])
    stream = vocabulary.encode(lines)
    levels = []
    for order in range(1, highest + 1):
        levels = one_order_more(levels, Counts.of(stream, order, vocabulary.size))
    for one, other in zip(levels, build_levels(Counts.of(stream, highest, vocabulary.size)), strict=True):
        for name in ("keys", "offsets", "tokens", "counts", "entry_keys", "totals", "kinds"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@given(letter_lines, st.integers(2, 6), st.sampled_from([4, 2**12, 2**40]))
def test_continuations_count_different_predecessors(lines, order, size):
    stream = build_vocabulary(["abc"]).encode(lines)
    table = Counts.of(stream, order, size)
    expected = Counter()
    for (*context, token), count in table_of(table).items():
        begins_line = len(context) > 1 and context[-2] == 0
        expected[*context[:-1], token] += count if begins_line else 1
    assert table_of(table.continuations()) == expected


def test_lines_nearly_all_alike_are_sampled_by_line(little):
    lines = ["hello world"] * 30_000 + ["abc"]
    vocabulary = build_vocabulary(lines)
    excerpt = Excerpt(vocabulary.encode(lines), vocabulary.size, 12)
    assert excerpt.lowest == 1
    assert not excerpt.whole
    assert FEW // 2 < sum(int(part.counts.sum()) for part in excerpt.counts(12)) <= FEW + 1_000


@pytest.mark.parametrize("text", [["ab" * 50_000] * 20, ["ab" * 100_000], ["abc"] * 40_000])
def test_a_sample_of_lines_is_as_large_as_asked_for(text):
    stream = build_vocabulary(text).encode(text)
    some = some_lines(stream, 10_000)
    assert 4_000 <= len(some) <= 11_001
    assert some[0] == some[-1] == 0


def test_short_orders_of_a_long_text_are_fitted_too(little):
    source = MarkovSource(order=2, letters="abcdef", seed=5)
    vocabulary = build_vocabulary(["abcdef"])
    stream, fresh = (vocabulary.encode(source.sample(100_000, seed=seed)) for seed in (6, 7))
    losses = [
        train_ngram(stream, vocabulary.size, NgramConfig(order=order), nothing)[0].nats_per_token(
            Counts.of(fresh, order, vocabulary.size)
        )
        for order in (1, 2, 3)
    ]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == pytest.approx(source.entropy, abs=0.02)


def test_a_quick_model_is_of_bounded_size(names):
    vocabulary = build_vocabulary(names.distinct)
    stream = vocabulary.encode(names.distinct)
    model = quick_ngram(np.concatenate([stream, *[stream[1:]] * 5]), vocabulary.size)
    assert sum(level.counts.sum() for level in model.levels[:1]) < 2 * 200_000
    assert model.levels[-1].counts.sum() < 200_000
    assert model.nats_per_token(Counts.of(stream, 6, vocabulary.size)) < 2.0
