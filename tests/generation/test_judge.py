"""Models judged both ways: against models of new lines and of two parts that read the held-out lines themselves."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation import judge as module
from spellout.generation.evaluation import evaluate
from spellout.generation.judge import Judge
from spellout.generation.new_lines import trie_of, without_known
from spellout.generation.price import Price
from spellout.generation.scoring import score_lines
from spellout.models.new_lines.known import Known
from spellout.models.new_lines.model import Weighted
from spellout.models.new_lines.recurring import USUAL_POWER, Recurrence
from spellout.models.new_lines.sharper import Sharper, sharper
from spellout.models.new_lines.sharpness import POWERS, fitted_sharpness
from spellout.models.new_lines.trie import Trie
from spellout.models.ngram.quick import quick_ngram
from spellout.training.config import TrainingConfig
from two_parts import of_two_parts

BRIEFLY = TrainingConfig(steps=5)


@pytest.fixture(scope="module")
def repeated(names):
    """Two thousand lines drawn from eight hundred, the first ones more often: on a split in which lines recur."""
    draw = random.Random(0)
    lines = [names.distinct[int(800 * draw.random() ** 2)] for _ in range(2000)]
    return Prepared.of(lines_of(lines), DataConfig(split="lecture"))


def lines_of(lines):
    return Lines.of(lines, name="lines")


def judged(prepared, model, lines=None):
    judge = Judge(prepared)
    return judge(model, judge.held_out(prepared.split.dev if lines is None else lines))


@pytest.mark.parametrize("specification", ["ngram:4", "mlp:8+ngram:3"])
def test_new_lines_cost_what_their_model_says(prepared, specification):
    model = train(prepared, specification, training=BRIEFLY).run.model
    found = judged(prepared, model)
    sharpness = fitted_sharpness(prepared.stream, prepared.vocabulary.size)
    conditioned = without_known(model, prepared.vocabulary, prepared.stream, sharpness)
    expected = evaluate(conditioned, prepared.vocabulary, prepared.split.dev)
    assert found.new.result.nats == pytest.approx(expected.nats, rel=1e-9)
    assert (found.new.error, found.new.chance) == (0.0, None)
    known = Known.of(model, conditioned.trie)
    assert found.new.mass == pytest.approx(1.0 - Weighted.of_new_lines(model, known).new_share, rel=1e-9)
    assert found.new.to_json()["sharpness"] == found.sharpness
    assert found.sharpness == fitted_sharpness(prepared.stream, prepared.vocabulary.size) > 1.0
    assert found.as_it_is == evaluate(model, prepared.vocabulary, prepared.split.dev)
    assert found.loss == found.new.result.nats_per_char < found.as_it_is.nats_per_char


@pytest.mark.parametrize("specification", ["ngram:3", "mlp:8+ngram:3"])
def test_lines_that_recur_cost_what_the_model_of_two_parts_says(repeated, specification):
    model = train(repeated, specification, training=BRIEFLY).run.model
    found = judged(repeated, model)
    trie = trie_of(repeated.vocabulary, repeated.stream)
    sharpness = fitted_sharpness(repeated.stream, repeated.vocabulary.size)
    bold = sharper(model, sharpness)
    known, again = Known.of(bold, trie), Recurrence.of(trie, repeated.stream)
    shares = again.log_shares(trie.times, Known.of(model, trie).lines())
    both = of_two_parts(bold, known, again.chance, shares)
    expected = evaluate(both, repeated.vocabulary, repeated.split.dev)
    # A line that was seen before holds nothing new, and pays nothing for the chance of that.
    seen = [line for line in repeated.split.dev if line in set(repeated.split.train)]
    free = (len(repeated.vocabulary.encode(seen)) - 1) * Price(repeated.vocabulary).known
    assert found.new.result.nats == pytest.approx(expected.nats - free, rel=1e-9)
    plain = evaluate(model, repeated.vocabulary, repeated.split.dev)
    assert found.as_it_is.nats == pytest.approx(plain.nats, rel=1e-9)
    assert found.loss < plain.nats_per_char
    # of Good and Turing, and of what happened
    train_lines, dev = repeated.split.train, repeated.split.dev
    once = sum(train_lines.count(line) == 1 for line in train_lines)
    assert found.new.chance == pytest.approx(1.0 - once / len(train_lines), abs=1e-3)
    assert found.new.chance == pytest.approx(sum(line in set(train_lines) for line in dev) / len(dev), abs=0.1)


def test_where_training_lines_judge_nothing_is_new(names):
    prepared = Prepared.of(lines_of(names.distinct[:6]), DataConfig())
    trained = train(prepared, "ngram:2")
    assert (trained.new, trained.run.facts["results"]["new_lines"]) == (None, None)
    assert trained.loss == trained.dev.nats_per_char


def test_a_pass_that_is_too_much_work_is_an_estimate_with_its_error(prepared, monkeypatch):
    model = train(prepared, "ngram:4").run.model
    exact = judged(prepared, model)
    monkeypatch.setattr(module, "COUNTED", 0)
    drawn = judged(prepared, model)
    assert drawn.ratios is None
    assert drawn.new.error == pytest.approx(np.sqrt(drawn.new.mass * (1 - drawn.new.mass) / 10_001), rel=1e-6)
    assert abs(drawn.new.mass - exact.new.mass) < 5 * drawn.new.error
    assert drawn.loss == pytest.approx(exact.loss, abs=0.01)


def test_meanwhile_some_lines_stand_for_all(prepared, repeated, monkeypatch):
    for data in (prepared, repeated):
        model = train(data, "ngram:3").run.model
        judge = Judge(data)
        held = judge.held_out(data.split.dev)
        exact = judge(model, held)
        assert judge.meanwhile(model, held).loss == pytest.approx(exact.loss, abs=1e-8)
        monkeypatch.setattr(module, "MEANWHILE", len(data.stream) * (data.vocabulary.size + 128) // 3)
        some = Judge(data).meanwhile(model, held)
        assert abs(some.loss - exact.loss) > 1e-6
        assert some.loss == pytest.approx(exact.loss, abs=0.03)
        assert some.as_it_is.nats == pytest.approx(exact.as_it_is.nats, abs=1e-4)
        monkeypatch.undo()


def test_lines_that_a_model_cannot_tell_apart_are_still_different():
    lines = [f"{verb} the {noun}" for verb in ("see", "call", "ask") for noun in ("cat", "dog", "man", "sun")]
    lines += [f"rare{number} the cat" for number in range(6)] + ["see  the cat", "call  the dog"]
    prepared = Prepared.of(lines_of(lines), DataConfig(unit="word", min_count=2))
    found = judged(prepared, train(prepared, "ngram:2").run.model)
    assert np.isfinite(found.loss)
    trie = trie_of(prepared.vocabulary, prepared.stream)
    clear = {line for line in prepared.split.train if "rare" not in line}
    assert len(trie.leaves) <= len({tuple(line.split()) for line in clear})


def test_a_model_that_knows_all_it_makes_is_judged_as_it_is(prepared):
    class Only:
        """Makes one line, which it has learned."""

        vocabulary_size, context, parameters = prepared.vocabulary.size, None, 0
        line = prepared.vocabulary.encode(prepared.split.train[:1])

        def log_probabilities(self, tokens):
            rows = np.full((*tokens.shape, self.vocabulary_size), -np.inf)
            for place in range(tokens.shape[1]):
                rows[:, place, self.line[min(place + 1, len(self.line) - 1)]] = 0.0
            return rows

        def score(self, tokens, targets):
            return np.take_along_axis(self.log_probabilities(tokens), targets[..., None].astype(int), -1)[..., 0]

        def reader(self, lines):
            return Steps(self)

    class Steps:
        def __init__(self, model):
            self.model, self.place = model, 0

        def read(self, tokens):
            self.place += 1
            rows = self.model.log_probabilities(np.zeros((len(tokens), self.place), int))
            return rows[:, -1]

        def keep(self, rows):
            pass

    found = judged(prepared, Only(), prepared.split.train[:1])
    assert found.new is None
    # The first line of those to train on costs its model nothing but the chance of something new.
    tokens = len(prepared.vocabulary.encode(prepared.split.train[:1])) - 1
    assert found.as_it_is.nats == pytest.approx(tokens * Price(prepared.vocabulary).known, rel=1e-6)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=30), st.booleans())
def test_shares_of_known_lines_are_shares(times, asked):
    times = np.array(times)
    logs = np.linspace(-20.0, -1.0, len(times)) if asked else None
    shares = np.exp(Recurrence(0.1, 0.5).log_shares(times, logs))
    assert shares.sum() == pytest.approx(1.0, rel=1e-9)
    assert (shares > 0).all()


def test_lines_of_a_group_share_what_comes_again_of_it():
    # Leave each occurrence out: of the four lines seen twice, eight stand once in the rest; of the one seen thrice,
    # three stand twice.
    times = np.array([1] * 10 + [2] * 4 + [3])
    shares = np.exp(Recurrence(0.1, 0.5).log_shares(times, np.log(np.arange(1.0, 16.0))))
    assert shares[:10].sum() == pytest.approx(8.5 / 12)
    assert shares[10:].sum() == pytest.approx(3.5 / 12)
    assert shares[9] / shares[0] == pytest.approx(10**0.5)
    assert shares[14] / shares[10] == pytest.approx(1.5)


def test_the_power_says_how_much_the_models_probability_counts():
    """Lines come again with a chance that is their probability to a power, which is found."""
    draw = np.random.default_rng(0)
    # Of three hundred lines in two letters, the first letter is the likelier one.
    lines = np.array([[1 + (number >> bit & 1) for bit in range(10)] for number in range(1024)])
    plain = 0.7 ** (lines == 1).sum(1) * 0.3 ** (lines == 2).sum(1)
    drawn = draw.choice(1024, size=6000, p=plain / plain.sum())
    stream = np.concatenate([np.zeros((6000, 1), np.int64), lines[drawn]], axis=1).ravel()
    stream = np.append(stream, 0).astype(np.uint8)
    found = Recurrence.of(Trie(stream, 3), stream)
    assert found.chance > 0.9
    assert 0.6 < found.power < 1.4  # independent draws: the probability itself, but for what counting it misses
    few = stream[: 11 * 30 + 1]
    assert Recurrence.of(Trie(few, 3), few).power == USUAL_POWER


def test_a_sharper_model_is_its_model_to_a_power(prepared):
    model = train(prepared, "ngram:3").run.model
    bold, tokens = Sharper(model, 1.3), prepared.stream[None, :40].astype(np.int64)
    rows = bold.log_probabilities(tokens)
    powers = np.exp(model.log_probabilities(tokens)) ** 1.3
    np.testing.assert_allclose(np.exp(rows), powers / powers.sum(axis=-1, keepdims=True), rtol=1e-12)
    targets = np.roll(tokens, -1, axis=1)
    expected = np.take_along_axis(rows, targets[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(bold.score(tokens, targets), expected, rtol=1e-12)
    first, second = bold.reader(2), bold.log_probabilities(np.array([[0, 3], [0, 4]]))
    first.read(np.zeros(2, int))
    np.testing.assert_allclose(first.read(np.array([3, 4])), second[:, 1], rtol=1e-12)
    assert sharper(model, 1.0) is model


def test_the_sharpness_is_where_held_out_new_lines_cost_least(prepared):
    """Against an n-gram of nine tenths that is asked for the new lines of the last tenth, with every sharpness."""
    lines = prepared.split.train
    held, rest = lines[9::10], [line for number, line in enumerate(lines) if number % 10 != 9]
    model = quick_ngram(prepared.vocabulary.encode(rest), prepared.vocabulary.size)
    plain, new = {}, {}
    for power in POWERS.tolist():
        weighted = without_known(model, prepared.vocabulary, prepared.vocabulary.encode(rest), power)
        new[power] = evaluate(weighted, prepared.vocabulary, held).nats
        plain[power] = evaluate(sharper(model, power), prepared.vocabulary, held).nats
    best = min(new, key=new.__getitem__) / min(plain, key=plain.__getitem__)
    found = fitted_sharpness(prepared.stream, prepared.vocabulary.size)
    assert abs(found - best) <= POWERS[1] - POWERS[0] + 1e-3
    assert fitted_sharpness(prepared.stream[:200], prepared.vocabulary.size) == 1.0  # too few to say


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize(
    "specification",
    [
        "bigram",
        "mlp:4",
        "gru:4:embedding=3",
        "mlp:4+ngram:2",
        "counts",
        "ngram:2 & mlp:4",
        "ngram:3",
        "gpt:4:heads=1",
    ],
)
def test_the_ends_of_lines_of_words_are_those_of_the_model_that_is_judged(specification, given):
    if specification.startswith("gru"):
        pytest.importorskip("torch")
    draw = random.Random(1)
    lines = [" ".join(draw.choices(["the", "cat", "sat", "dog", "ran"], k=draw.randint(1, 5))) for _ in range(300)]
    dev = Lines.of([*lines[:20], "the owl sat", "cat dog cat dog", "ran ran ran ran"]) if given else None
    prepared = Prepared.of(lines_of(lines), DataConfig(unit="word"), dev=dev)
    training = TrainingConfig(steps=20, evaluate_every=5, patience=0, threads=1)
    trained = train(prepared, specification, training=training)
    scores = list(score_lines(trained.run.model, prepared.vocabulary, prepared.split.dev))
    found = trained.dev
    assert found.nats == pytest.approx(sum(one.nats.sum() for one in scores), rel=1e-5)
    assert found.ends == pytest.approx(sum(one.nats[-1] for one in scores), rel=1e-5)
    words = sum(one.nats[:-1].sum() for one in scores) - found.spelling
    assert found.perplexity_without_ends == pytest.approx(np.exp(words / (found.tokens - found.lines)), rel=1e-5)
    # A model of new lines ends its lines elsewhere than the one it was made of, and that is not worked out.
    assert trained.new.result.perplexity_without_ends is None
