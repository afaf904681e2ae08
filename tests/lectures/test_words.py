"""The paper's row: perplexities, mixtures and their weight, on text made by rule."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.data.lines import Lines
from spellout.errors import DataError
from spellout.lectures import words
from spellout.lectures.words import Perplexity, best_ngram, fitted_weight, mixed, mixture, nats_of, ngrams
from spellout.models.table import parse_specification
from spellout.training.config import TrainingConfig


def text(lines, seed):
    """Sentences whose every word depends on the one before it."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(lines):
        word, line = 0, []
        for _ in range(random.integers(3, 9)):
            word = (3 * word + int(random.integers(0, 4))) % 23
            line.append(f"w{word}")
        made.append(" ".join(line))
    return made


@pytest.fixture(scope="module")
def prepared():
    return words.prepared_words(Lines.of([*text(300, 0), "seldom"]), text(40, 1))


def test_the_vocabulary_is_the_training_lines_and_rare_words_are_one(prepared):
    assert prepared.vocabulary.size == 2 + 23
    assert prepared.vocabulary.encode(["seldom never w1"]).tolist()[1:3] == [1, 1]
    assert prepared.split.train[-1] == "seldom"


def test_surprises_stand_in_their_order_and_perplexities_are_their_means(prepared):
    ngram = best_ngram(ngrams(prepared))[1]
    stream = prepared.vocabulary.encode(prepared.split.dev)
    nats = nats_of(ngram, stream)
    ends = np.flatnonzero(stream == 0)
    for start, end in list(pairwise(ends))[:10]:  # one line at a time
        row = ngram.log_probabilities(stream[None, start:end])[0]
        np.testing.assert_allclose(nats[start:end], -row[np.arange(end - start), stream[start + 1 : end + 1]])
    perplexity = Perplexity.of(nats, stream)
    assert perplexity.every == pytest.approx(np.exp(ngram.nats_of_stream(stream) / (len(stream) - 1)))
    inside = stream[1:] != 0
    assert perplexity.words == pytest.approx(np.exp(nats[inside].mean()))
    assert perplexity.words != pytest.approx(perplexity.every)


def test_the_best_ngram_has_the_lowest_perplexity(prepared):
    found = ngrams(prepared)
    assert [model.order for _, model in found] == list(words.ORDERS)
    assert best_ngram(found)[0].every == min(perplexity.every for perplexity, _ in found)


@given(st.integers(1, 40), st.integers(0, 10_000))
def test_the_weight_is_where_a_mixture_has_the_fewest_nats(count, seed):
    one, other = np.random.default_rng(seed).gamma(2.0, 1.0, (2, count))
    weight = fitted_weight(one, other)
    best = mixed(one, other, weight).mean()
    for near in np.linspace(0.0, 1.0, 21):
        assert best <= mixed(one, other, near).mean() + 1e-9
    assert best <= min(one.mean(), other.mean()) + 1e-9


def test_a_mixture_is_better_than_both(prepared):
    _, ngram = best_ngram(ngrams(prepared))
    both = mixture(
        prepared, ngram, parse_specification("mlp:16:embedding=8"), TrainingConfig(steps=120), lambda event: None
    )
    stream = prepared.vocabulary.encode(prepared.split.dev)
    alone, together = both.nats(stream)
    assert both.facts["steps"] == 120
    assert 0.0 < both.weight < 1.0
    assert together.mean() < min(alone.mean(), nats_of(ngram, stream).mean()) + 0.01
    np.testing.assert_allclose(together, mixed(alone, nats_of(ngram, stream), both.weight))


def test_the_row_of_the_paper(command, tmp_path, names_file, monkeypatch):
    code, out, _ = command("lectures", names_file, "--only", "words", "--json")
    assert code == 0
    assert "--brown FOLDER" in json.loads(out)["remark"]
    (tmp_path / "train.txt").write_text("\n".join(text(200, 0)) + "\n", encoding="utf-8")
    code, _, err = command("lectures", names_file, "--only", "words", "--brown", tmp_path)
    assert code == 1
    assert "valid.txt" in err
    (tmp_path / "valid.txt").write_text("\n".join(text(20, 1)) + "\n", encoding="utf-8")
    monkeypatch.setattr(words, "NETWORK", "mlp:8:embedding=4:tied=yes")
    code, out, _ = command("lectures", names_file, "--only", "words", "--brown", tmp_path, "--steps", 20, "--json")
    counted, network = map(json.loads, out.splitlines())
    assert code == 0
    assert (counted["recorded"], network["recorded"]) == (312, 252)
    assert 4 < counted["loss"] < 23
    assert 4 < network["loss"] < 23
    assert "times the n-gram's" in network["remark"]


def test_a_folder_without_the_corpus_is_a_sentence(tmp_path):
    with pytest.raises(DataError, match=r"train\.txt"):
        words.brown(tmp_path)
