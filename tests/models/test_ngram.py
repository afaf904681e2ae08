"""The n-gram model against definitions written with dictionaries, and against itself recounted."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from left_out import leave_one_out, leave_one_out_score
from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.markov import MarkovSource
from spellout.data.prepared import Prepared
from spellout.data.vocabulary.building import build_vocabulary
from spellout.generation.evaluation import evaluate
from spellout.generation.scoring import score_lines
from spellout.models.ngram import model as ngram
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.counts import Counts
from spellout.models.ngram.discounts import Discounts
from spellout.models.ngram.model import NgramModel
from spellout.models.ngram.training import train_ngram
from strategies import letter_lines

orders = st.integers(1, 5)


def events_of(streams, order):
    """Every token with its context, a tuple that starts with one boundary and has at most order - 1 tokens."""
    return [
        (tuple(line[max(0, place - order + 1) : place]), line[place])
        for line in streams
        for place in range(1, len(line))
    ]


class DictionaryKneserNey:
    """Chen & Goodman's formulas (with concentrations), word for word, with dictionaries."""

    def __init__(self, events, order, size, discounts):
        self.size, self.discounts, self.order = size, discounts, order
        self.counts = [defaultdict(Counter) for _ in range(order)]
        full = Counter(events)
        for length in reversed(range(order)):
            if length == order - 1:
                for (context, token), count in full.items():
                    self.counts[len(context)][context][token] += count
            else:
                for context, followers in self.counts[length + 1].items():
                    for token in followers:
                        self.counts[length][context[1:]][token] += 1

    def __call__(self, context, token):
        lower = 1.0 / self.size
        for length in range(self.order):
            shorter = context[len(context) - length :]
            if length > len(context) or shorter not in self.counts[length]:
                break
            followers = self.counts[length][shorter]
            amounts, theta = self.discounts.amounts[length], self.discounts.concentrations[length]
            total = sum(followers.values())
            if total + theta == 0:
                continue
            count = followers.get(token, 0)
            mass = theta + sum(amounts[min(c, 3)] for c in followers.values())
            lower = (count - amounts[min(count, 3)] + mass * lower) / (total + theta)
        return lower


def random_discounts(order, seed):
    random = np.random.default_rng(seed)
    amounts = np.column_stack([np.zeros(order), *(random.uniform(0.05, j, order) for j in (1.0, 2.0, 3.0))])
    return Discounts(amounts, random.uniform(0.0, 2.0, order) * random.integers(0, 2, order))


def encoded(lines):
    vocabulary = build_vocabulary(lines)
    streams = [vocabulary.encode([line]).tolist() for line in lines]
    return vocabulary, vocabulary.encode(lines), streams


@given(letter_lines, orders, st.integers(0, 99))
def test_probabilities_equal_the_formulas_written_with_dictionaries(lines, order, seed):
    vocabulary, stream, streams = encoded(lines)
    discounts = random_discounts(order, seed)
    counts = Counts.of(stream, order, vocabulary.size)
    model = NgramModel.estimate(counts, NgramConfig(order=order), discounts)
    reference = DictionaryKneserNey(events_of(streams, order), order, vocabulary.size, discounts)
    rows = np.exp(model.log_probabilities(stream[None]))[0]
    for place in range(len(stream) - 1):
        start = max(i for i in range(place + 1) if stream[i] == 0)
        context = tuple(stream[max(start, place - order + 2) : place + 1].tolist()) if order > 1 else ()
        expected = [reference(context, token) for token in range(vocabulary.size)]
        np.testing.assert_allclose(rows[place], expected, rtol=1e-10, atol=1e-12)


@given(letter_lines, orders, st.floats(0.01, 5))
def test_add_k_is_counts_plus_k(lines, order, k):
    vocabulary, stream, streams = encoded(lines)
    counts = Counts.of(stream, order, vocabulary.size)
    model = NgramModel.estimate(counts, NgramConfig(order=order, smoothing="add-k", k=k))
    followers = defaultdict(Counter)
    for context, token in events_of(streams, order):
        followers[context][token] += 1
    random = np.random.default_rng(0)
    line = [0, *random.integers(1, vocabulary.size, 6).tolist()]
    rows = np.exp(model.log_probabilities(np.array([line])))[0]
    for place in range(len(line)):
        context = tuple(line[max(0, place - order + 2) : place + 1]) if order > 1 else ()
        seen = followers[context]
        expected = [(seen[t] + k) / (sum(seen.values()) + k * vocabulary.size) for t in range(vocabulary.size)]
        np.testing.assert_allclose(rows[place], expected, rtol=1e-10)


@given(letter_lines, orders, st.integers(0, 99), st.sampled_from(["fitted", "add-k"]))
def test_leave_one_out_is_counting_again_without_that_one(lines, order, seed, smoothing):
    vocabulary, stream, streams = encoded(lines)
    config = NgramConfig(order=order, smoothing=smoothing)
    discounts = random_discounts(order, seed) if smoothing == "fitted" else None
    model = NgramModel.estimate(Counts.of(stream, order, vocabulary.size), config, discounts)
    rows = np.exp(leave_one_out(model, stream[None, :-1], stream[None, 1:]))[0]
    scores = leave_one_out_score(model, stream[None, :-1], stream[None, 1:])[0]
    picked = rows[np.arange(len(stream) - 1), stream[1:].astype(int)]
    np.testing.assert_allclose(np.exp(scores), picked, rtol=1e-12)
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, rtol=1e-10)
    events = events_of(streams, order)
    for place, (context, token) in enumerate(events):
        rest = events[:place] + events[place + 1 :]
        if smoothing == "add-k":
            seen = Counter(t for c, t in rest if c == context)
            chance = [(seen[t] + 1) / (sum(seen.values()) + vocabulary.size) for t in range(vocabulary.size)]
        else:
            reference = DictionaryKneserNey(rest, order, vocabulary.size, discounts)
            chance = [reference(context, t) for t in range(vocabulary.size)]
        np.testing.assert_allclose(rows[place], chance, rtol=1e-9, atol=1e-12, err_msg=f"{context} {token}")


def test_the_textbook_model_of_a_list_that_can_be_worked_out_by_hand():
    # "ab" twice and "b" once, order 2, absolute discounts of 0.5, 1 and 1.5.
    vocabulary, stream, _ = encoded(["ab", "ab", "b"])
    amounts = np.array([[0, 0.5, 1.0, 1.5]] * 2)
    counts = Counts.of(stream, 2, vocabulary.size)
    model = NgramModel.estimate(counts, NgramConfig(order=2), Discounts(amounts, np.zeros(2)))
    # Continuations: a follows the boundary; b follows a and the boundary; the end follows b. N = 1, 2, 1 of 4.
    unigram_a = (1 - 0.5) / 4 + (0.5 + 1.0 + 0.5) / 4 / 3
    # After the boundary: a twice (discount 1), b once (discount 0.5) of 3.
    expected = (2 - 1.0) / 3 + (1.0 + 0.5) / 3 * unigram_a
    assert np.exp(model.log_probabilities(np.array([[0]])))[0, 0, 1] == pytest.approx(expected, abs=1e-15)


def test_fitted_discounts_are_better_on_lines_not_used_to_fit_them(prepared):
    for order in (3, 5):
        fitted = train(prepared, f"ngram:{order}").dev.nats_per_char
        assert fitted < train(prepared, f"ngram:{order}:smoothing=closed-form").dev.nats_per_char


def test_the_order_is_chosen_by_held_out_lines(prepared):
    chosen = train(prepared, "ngram")
    order = chosen.run.model.settings()["order"]
    assert order in (4, 5, 6)
    nats = {n: train(prepared, f"ngram:{n}").dev.nats_per_char for n in (1, 2, 3, order)}
    assert nats[order] == min(nats.values())


def test_a_markov_source_is_learned_to_its_entropy():
    source = MarkovSource(order=2, seed=1)
    prepared = Prepared.of(Lines.of(source.sample(300_000, seed=2)), DataConfig(split="none"))
    run = train(prepared, "ngram:3").run
    nats = evaluate(run.model, run.vocabulary, source.sample(300_000, seed=3)).nats_per_char
    assert nats == pytest.approx(source.entropy, abs=0.01)
    shorter = train(prepared, "ngram:2").run
    assert evaluate(shorter.model, shorter.vocabulary, source.sample(50_000, seed=3)).nats_per_char > nats + 0.1


def test_a_large_vocabulary_needs_no_large_tables():
    lines = [f"w{i} w{i * 7 % 5000} w{i * 11 % 5000} w{i * 13 % 5000}" for i in range(5000)]
    prepared = Prepared.of(Lines.of(lines), DataConfig(unit="word"))
    assert prepared.vocabulary.size**5 > 2**60
    run = train(prepared, "ngram:6").run  # 6 tokens of 13 bits do not fit into 64
    assert run.model.parameters < 100_000
    rows = run.model.log_probabilities(prepared.stream[None, :4])
    np.testing.assert_allclose(np.exp(rows).sum(axis=-1), 1.0, atol=1e-9)


@pytest.mark.parametrize("smoothing", ["fitted", "closed-form", "add-k"])
def test_tables_of_many_contexts_change_no_bit(names, monkeypatch, smoothing):
    prepared = Prepared.of(names, DataConfig())
    stream, size = prepared.stream[None], prepared.vocabulary.size
    other = np.random.default_rng(0).integers(0, size, (1, 3000))  # mostly contexts that were never seen
    found = []
    for many, largest in ((1 << 62, 0), (1, 0), (1, 50_000), (1, 1 << 22)):
        monkeypatch.setattr(ngram, "_MANY", many)
        monkeypatch.setattr(ngram, "_LARGEST_TABLE", largest)
        model = train_ngram(prepared.stream, size, NgramConfig(order=5, smoothing=smoothing), lambda event: None)[0]
        known = leave_one_out(model, stream[:, :4000], stream[:, 1:4001])
        found.append((model.log_probabilities(other), model.log_probabilities(stream[:, :4000]), known))
    for rows in found[1:]:
        assert all(np.array_equal(one, two) for one, two in zip(rows, found[0], strict=True))


def test_an_order_longer_than_every_line_is_no_trouble():
    for smoothing in ("fitted", "closed-form", "add-k"):
        vocabulary, stream, _ = encoded(["a", "b", "ab", "a", "b", "a"])
        counts = Counts.of(stream, 9, vocabulary.size)
        model = NgramModel.estimate(counts, NgramConfig(order=9, smoothing=smoothing))
        for rows in (
            model.log_probabilities(stream[None]),
            leave_one_out(model, stream[None, :-1], stream[None, 1:]),
        ):
            np.testing.assert_allclose(np.exp(rows).sum(axis=-1), 1.0, atol=1e-12)


@pytest.mark.parametrize(
    "model", ["ngram:1", "ngram:5", "ngram:3:smoothing=add-k", "ngram:6:smoothing=closed-form"]
)
def test_judging_by_counted_ngrams_is_judging_line_by_line(prepared, model):
    run = train(prepared, model).run
    lines = prepared.split.dev[:500]
    nats = sum(float(score.nats.sum()) for score in score_lines(run.model, run.vocabulary, lines))
    assert evaluate(run.model, run.vocabulary, lines).nats == pytest.approx(nats, rel=1e-12)
