import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.escape import CODE_POINTS
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.errors import NotFiniteError
from spellout.generation.config import SamplingConfig
from spellout.generation.evaluation import evaluate
from spellout.generation.novelty import Novelty, unique_and_novel
from spellout.generation.sampling import sample
from spellout.generation.scoring import batches, explain_line, score_lines


@pytest.fixture(scope="module")
def run(names):
    return train(Prepared.of(names, DataConfig()), "ngram:4").run


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=9), min_size=1, max_size=20), st.integers(1, 60))
def test_batches_hold_every_line_once_and_little_padding(lines, tokens_at_once):
    stream = np.array([0, *(token for line in lines for token in [*line, 0])], np.uint8)
    seen = {}
    for numbers, tokens, targets, lengths in batches(stream, tokens_at_once):
        assert tokens.size <= tokens_at_once or len(numbers) == 1
        for number, row, target, length in zip(numbers, tokens, targets, lengths, strict=True):
            assert row[0] == 0
            assert row[1:length].tolist() == target[: length - 1].tolist()
            seen[int(number)] = target[:length].tolist()
    assert [seen[number] for number in range(len(lines))] == [[*line, 0] for line in lines]


def test_scores_come_in_the_order_of_the_lines_and_add_up(run):
    lines = ["Emma", "Jo", "Maximilian", "Emma"]
    scores = list(score_lines(run.model, run.vocabulary, lines))
    assert [score.line for score in scores] == lines
    for score in scores:
        stream = run.vocabulary.encode([score.line])
        logs = run.model.log_probabilities(stream[None, :-1])[0]
        # what is kept for something new, every token pays
        picked = logs[np.arange(len(stream) - 1), stream[1:].astype(int)] - run.vocabulary.escape.known_nats
        np.testing.assert_allclose(-score.nats, picked, atol=1e-12)
        assert score.log_probability == pytest.approx(picked.sum())
        assert score.bits_per_char == pytest.approx(-picked.sum() / np.log(2) / (len(score.line) + 1))
    stored = scores[0].to_json(run.vocabulary)
    assert stored["symbols"] == ["E", "m", "m", "a", "¶"]
    assert len(stored["bits"]) == 5
    whole = evaluate(run.model, run.vocabulary, lines)
    assert whole.bits_per_char * whole.characters == pytest.approx(sum(sum(s.bits) for s in scores))


def test_a_wrong_looking_line_is_the_most_surprising(run):
    scores = score_lines(run.model, run.vocabulary, ["Emma", "Anna", "Xqzjk", "Olivia"])
    assert max(scores, key=lambda score: score.bits_per_char).line == "Xqzjk"


def test_what_no_training_line_held_has_a_price_and_the_rest_is_scored_without_it(run):
    """It is finite, so that losses compare, and the same wherever it stands, as the model never sees it."""
    lines = ["Emma", "M4ri7a", "7", "Marïa4", "Anna"]
    scores = list(score_lines(run.model, run.vocabulary, lines))
    assert [score.line for score in scores] == lines
    assert [score.unknown for score in scores] == [(), ("4", "7"), ("7",), ("ï", "4"), ()]
    escape, others = run.vocabulary.escape, CODE_POINTS - len(run.vocabulary.characters)
    price = np.log2((escape.tokens + 1) / (escape.once + 0.5)) + np.log2(others)
    for score in scores:
        symbols = score.symbols(run.vocabulary)
        assert symbols == [*score.line, "¶"]
        missing = np.array([symbol in score.unknown for symbol in symbols])
        np.testing.assert_allclose(score.bits[missing], price)
        assert (score.tokens == -1).tolist() == missing[:-1].tolist()
        without = "".join(symbol for symbol in score.line if symbol not in score.unknown)
        if without:
            (plain,) = score_lines(run.model, run.vocabulary, [without])
            np.testing.assert_array_equal(score.bits[~missing], plain.bits)
        row = json.loads(json.dumps(score.to_json(run.vocabulary), allow_nan=False))
        assert row["bits"] == score.bits.tolist()
        assert row["unknown"] == list(score.unknown)
        assert evaluate(run.model, run.vocabulary, [score.line]).nats == pytest.approx(score.nats.sum())
    assert max(scores, key=lambda score: score.bits_per_char).unknown


def test_a_line_with_something_new_is_explained_as_it_is_scored(run):
    for line in ("M4ri7a", "7", "Anna4"):
        steps = explain_line(run.model, run.vocabulary, line)
        (score,) = score_lines(run.model, run.vocabulary, [line])
        assert [step.symbol for step in steps] == [*line, "¶"]
        assert [step.new for step in steps] == [step.symbol.isdigit() for step in steps]
        np.testing.assert_allclose([step.bits for step in steps], score.bits, atol=1e-12)
        for before, after in pairwise(steps):
            if before.new:  # the model read nothing in between
                assert before.expected == after.expected
                assert before.rank > after.rank or before.probability == after.probability
            json.dumps(before.to_json(), allow_nan=False)


def test_words_without_a_token_are_named_and_priced():
    lines = Lines.of(
        [f"{one} {other}" for one in ("New", "Old", "Big") for other in ("York", "Delhi", "Ely", "Bow")]
    )
    trained = train(Prepared.of(lines, DataConfig(unit="word", split="none")), "ngram:2").run
    (score,) = score_lines(trained.model, trained.vocabulary, ["New Bern York"])
    assert score.unknown == ("Bern",)
    assert score.symbols(trained.vocabulary) == ["New", "Bern", "York", "¶"]
    assert score.nats.argmax() == 1
    assert np.isfinite(score.nats).all()


def test_weights_that_give_no_probabilities_are_said_so(run):
    class Overflown:
        vocabulary_size, context = run.model.vocabulary_size, 1

        def log_probabilities(self, tokens):
            return np.full((*tokens.shape, self.vocabulary_size), np.nan)

        def score(self, tokens, targets):
            return np.full(targets.shape, np.nan)

        def reader(self, lines):
            return self

        def read(self, tokens):
            return np.full((len(tokens), self.vocabulary_size), np.nan)

    model = Overflown()
    for ask in (
        lambda: list(score_lines(model, run.vocabulary, ["Emma"])),
        lambda: explain_line(model, run.vocabulary, "Emma"),
        lambda: next(sample(model, run.vocabulary, SamplingConfig())),
        lambda: next(sample(model, run.vocabulary, SamplingConfig(greedy=True))),
    ):
        with pytest.raises(NotFiniteError, match="nan instead of probabilities"):
            ask()


def test_a_line_is_explained_letter_by_letter(run):
    steps = explain_line(run.model, run.vocabulary, "Emma", top=3)
    assert [step.symbol for step in steps] == ["E", "m", "m", "a", "¶"]
    (score,) = score_lines(run.model, run.vocabulary, ["Emma"])
    np.testing.assert_allclose([step.bits for step in steps], score.bits, atol=1e-12)
    for step in steps:
        chances = [chance for _, chance in step.expected]
        assert chances == sorted(chances, reverse=True)
        assert len(chances) == 3
        if step.rank <= 3:
            assert step.expected[step.rank - 1] == (step.symbol, step.probability)


def test_bytes_and_characters_are_judged_by_the_same_measure():
    lines = Lines.of(["zoé", "åsa", "éva", "åke", "zoë", "ása", "ev", "oskar", "noé", "noë", "åsne"] * 2)
    for unit in ("char", "byte"):
        run = train(Prepared.of(lines, DataConfig(unit=unit, split="none")), "ngram:3").run
        result = evaluate(run.model, run.vocabulary, ["zoé"])
        assert result.characters == 4
        assert result.tokens == (5 if unit == "byte" else 4)
        assert result.perplexity == pytest.approx(np.exp(result.nats / result.tokens))


def test_unique_and_novel_are_fractions_of_the_lines_made(run, names):
    unique, novel = unique_and_novel(run.model, run.vocabulary, names.distinct, k=500)
    assert 0.5 < unique < 1
    assert 0.3 < novel < 1
    copying = train(Prepared.of(Lines.of(["ab", "cd"]), DataConfig()), "ngram:3:smoothing=add-k:k=1e-9").run
    unique, novel = unique_and_novel(copying.model, copying.vocabulary, ["ab", "cd"], k=100)
    assert (unique, novel) == (0.02, 0.0)


def test_a_line_among_new_lines_only_is_scored_by_what_the_known_ones_leave(run, names):
    model = run.new_lines()
    new, known = "Zenobrin", run.lines[0]
    assert new not in run.lines
    plain, of_known = score_lines(run.model, run.vocabulary, [new, known])
    (among_new,) = score_lines(model, run.vocabulary, [new])
    novelty = Novelty(set(run.lines), {new: among_new.log_probability})
    assert novelty.of_new_lines(plain) == among_new.log_probability
    assert novelty.bits_per_char(plain) == pytest.approx(among_new.bits_per_char, rel=1e-9)
    assert novelty.of_new_lines(of_known) is None
    assert novelty.to_json(of_known) == {"known": True, "new_log_probability": None, "new_bits_per_char": None}
    assert novelty.to_json(plain)["known"] is False
    assert novelty.to_json(plain)["new_log_probability"] == among_new.log_probability
