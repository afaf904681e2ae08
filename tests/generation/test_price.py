"""What no training line held costs what it costs: all that could come sums to one, by brute force."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.escape import CODE_POINTS, Escape
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.data.vocabulary.characters import Characters
from spellout.data.vocabulary.pieces import Pieces
from spellout.data.vocabulary.stored import vocabulary_from_json
from spellout.data.vocabulary.words import WhiteSpace
from spellout.generation.evaluation import evaluate
from spellout.generation.price import Price, Speller
from spellout.generation.scoring import explain_line, score_lines
from strategies import letter_lines

NEW = "λ"
"""Stands for each character that no training line held: all of them cost the same."""


def run_of(lines, model="ngram:2", **data):
    return train(Prepared.of(Lines.of(lines), DataConfig(split="none", **data)), model).run


def chance_of(run, line):
    """The probability of a line as its score gives it, for one of all new characters at each λ."""
    (score,) = score_lines(run.model, run.vocabulary, [line])
    others = CODE_POINTS - len(run.vocabulary.characters)
    return math.exp(score.log_probability) * others ** line.count(NEW)


@given(letter_lines)
def test_a_line_and_whatever_else_could_stand_there_sum_to_one(lines):
    """Over all lines of two symbols, ended or not, with new characters among the symbols."""
    run = run_of([*lines, "d"])
    alphabet = [*run.vocabulary.characters, NEW]
    ended = sum(
        chance_of(run, "".join(line)) for length in (0, 1) for line in itertools.product(alphabet, repeat=length)
    )
    # Of those that go on after two symbols, the end of the line has not come: its price is taken off again.
    longer = 0.0
    for line in map("".join, itertools.product(alphabet, repeat=2)):
        (score,) = score_lines(run.model, run.vocabulary, [line])
        others = CODE_POINTS - len(run.vocabulary.characters)
        longer += math.exp(-score.nats[:-1].sum()) * others ** line.count(NEW)
    assert ended + longer == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    ("rare", "known"),
    [(["a", "b", "c"], []), (["a", "b", "c", "ab"], ["a", "ba"]), ([], ["a", "b", "c"]), (["a"], ["b", "aa", "c"])],
)
def test_all_words_that_have_no_token_sum_to_one(rare, known):
    """Of short words; those that are longer than what is tried have the tail of a geometric series."""
    speller = Speller(rare, known)
    alphabet = sorted({letter for word in (*rare, *known) for letter in word})
    others = CODE_POINTS - len(alphabet)
    totals = []
    for length in range(1, 8):
        words = map("".join, itertools.product([*alphabet, NEW], repeat=length))
        words = [word for word in words if word not in known]
        weights = [float(others) ** word.count(NEW) for word in words]
        totals.append(float(np.exp(-speller.nats(words)) @ weights))
    ratio = totals[-1] / totals[-2]  # each length has nearly the same part of what the one before has
    assert sum(totals) + totals[-1] * ratio / (1.0 - ratio) == pytest.approx(1.0, abs=0.005)


def test_words_and_unknown_words_sum_to_one_after_every_word():
    """At each place of a line: the tokens, and the words that have none, of which one will be spelled."""
    for min_count, price in ((1, "escape"), (2, "model")):
        run = run_of(["a b", "a c", "b a", "a a"], unit="word", min_count=min_count)
        rows = np.exp(run.model.log_probabilities(np.array([[0, 1]]))[0])
        prices = Price(run.vocabulary)
        assert prices.predicted == (price == "model")
        total = rows.sum(axis=-1) * math.exp(-prices.known)
        total += 0.0 if prices.predicted else math.exp(-prices.new)
        np.testing.assert_allclose(total, 1.0, atol=1e-12)


@given(st.integers(1, 10**9), st.data())
def test_the_chance_of_something_new_is_good_and_turings(tokens, data):
    once = data.draw(st.integers(0, tokens - 1))
    escape = Escape(tokens, once)
    assert 0.0 < escape.chance < 1.0
    assert abs(escape.chance - once / tokens) < 1.0 / tokens
    assert math.exp(-escape.new_nats) + math.exp(-escape.known_nats) == pytest.approx(1.0, abs=1e-12)
    if once + 1 < tokens:
        assert Escape(tokens, once + 1).chance > escape.chance
    assert Escape(tokens + 1, once).chance < escape.chance


def test_of_ever_more_lines_without_anything_rare_nothing_new_is_expected():
    dear = [Price(Characters.of(["ab", "ba"] * times)) for times in (1, 10, 1000, 100_000)]
    assert [one.known for one in dear] == sorted((one.known for one in dear), reverse=True)
    assert [one.new for one in dear] == sorted(one.new for one in dear)
    assert dear[-1].known < 1e-6
    assert dear[-1].new == pytest.approx(math.log(600_000 / 0.5), abs=1e-5)


def test_counts_that_cannot_be_are_refused():
    for tokens, once in ((0, 0), (3, 3), (3, -1), (-1, -2)):
        with pytest.raises(ValueError, match="only once"):
            Escape(tokens, once)


@given(letter_lines, st.sampled_from(["char", "byte", "word"]))
def test_the_vocabulary_counts_its_training_lines(lines, unit):
    prepared = Prepared.of(Lines.of([*lines, "q"]), DataConfig(split="none", unit=unit))
    vocabulary, times = prepared.vocabulary, np.bincount(prepared.stream[1:])
    assert vocabulary.escape == Escape(int(times.sum()), int((times[1:] == 1).sum()))
    again = vocabulary_from_json(vocabulary.to_json())
    assert again.escape == vocabulary.escape
    assert again.to_json() == vocabulary.to_json()
    assert vocabulary.counted(prepared.split.train).to_json() == vocabulary.to_json()


def test_characters_spelled_in_bytes_are_counted_as_these():
    lines = ["aaab", "aéa", "éè", "ŵ"]
    vocabulary = Characters.of(lines, most=2)
    times = np.bincount(vocabulary.encode(lines)[1:], minlength=vocabulary.size)
    assert vocabulary.bytes
    assert vocabulary.escape == Escape.of_counts(times)
    reading = vocabulary.read(["aŵz", "bz", "éa"])
    assert (reading.pieces, reading.lines.tolist(), reading.positions.tolist()) == (["z", "z"], [0, 1], [3, 1])
    assert vocabulary.decode(reading.stream) == ["aŵ", "b", "éa"]


def test_the_words_of_a_list_say_what_new_words_look_like():
    assert Pieces.of(WhiteSpace(), ["a a b", "c"], 1).rare == ["b", "c"]
    assert Pieces.of(WhiteSpace(), ["a a a b b", "c"], 3).rare == ["b", "c"]
    run = run_of(["the cat sat", "the cats sit", "the dogs sat", "the dog sits"], unit="word")
    prices = Price(run.vocabulary)
    likely, unlikely, foreign = prices.of(["dots", "tsdo", "дозы"])
    assert likely < unlikely < foreign
    assert math.isfinite(foreign)


def test_an_unknown_word_is_spelled_across_units_and_one_token_in_the_perplexity():
    lines = ["the cat sat", "the cat ran", "a dog sat", "a dog ran", "the owl sat"]
    for min_count in (1, 2):
        run = run_of(lines, unit="word", min_count=min_count)
        one, other = (evaluate(run.model, run.vocabulary, [f"the {word} sat"]) for word in ("cow", "hippopotamus"))
        assert (one.tokens, one.new) == (4, 1)
        assert one.perplexity == pytest.approx(other.perplexity)
        assert one.perplexity_without_ends == pytest.approx(other.perplexity_without_ends)
        assert one.nats < other.nats
        (score,) = score_lines(run.model, run.vocabulary, ["the cow sat"])
        assert score.nats.sum() == pytest.approx(one.nats)
        assert score.unknown == ("cow",)
        assert score.symbols(run.vocabulary) == ["the", "cow", "sat", "¶"]
        words, end = score.nats[:-1].sum() - one.spelling, score.nats[-1]
        assert one.ends == pytest.approx(end)
        assert one.perplexity_without_ends == pytest.approx(math.exp(words / 3))
        assert one.perplexity == pytest.approx(math.exp((words + end) / 4))
        steps = explain_line(run.model, run.vocabulary, "the cow sat")
        assert [step.new for step in steps] == [False, True, False, False]
        np.testing.assert_allclose([step.bits for step in steps], score.bits)


@pytest.mark.parametrize("model", ["ngram:3", "mlp:4"])
def test_the_ends_of_lines_are_told_apart_whatever_the_model(model):
    from spellout.training.config import TrainingConfig

    lines = Lines.of(["the cat sat", "the cat ran", "a dog sat"])
    prepared = Prepared.of(lines, DataConfig(split="none", unit="word"))
    run = train(prepared, model, training=TrainingConfig(steps=3)).run
    judged = ["the cat", "a dog sat", "a cat sat sat"]
    scores = list(score_lines(run.model, run.vocabulary, judged))
    result = evaluate(run.model, run.vocabulary, judged)
    assert result.ends == pytest.approx(sum(score.nats[-1] for score in scores))
    assert result.nats == pytest.approx(sum(score.nats.sum() for score in scores))
