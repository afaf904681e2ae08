"""Lines drawn from tables of a model's states are those that the model makes when it is asked for every token."""

from itertools import islice
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation import sampling
from spellout.generation.config import SamplingConfig
from spellout.generation.drawing import shaped, tables
from spellout.models.automata.of_models import apart_from_shape, automaton_of
from spellout.models.automata.shaped import ShapedAutomaton
from spellout.models.new_lines.sharper import sharper

MODELS = [
    "ngram:1:smoothing=closed-form",
    "ngram:3:smoothing=closed-form",
    "ngram:6:smoothing=closed-form",
    "ngram:4",
    "ngram:2:smoothing=add-k",
    "ngram:4:smoothing=add-k",
]
CHOICES = [{}, {"temperature": 0.3}, {"temperature": 2.5}, {"top_k": 2}, {"top_p": 0.6}, {"top_k": 3, "top_p": 0.9}]
lines = st.lists(st.text("abé ", min_size=1, max_size=7).map(str.strip).filter(bool), min_size=2, max_size=20)
several = lines.filter(lambda found: len(set(found)) > 1)


def run_of(found, specification, **config):
    return train(Prepared.of(Lines.of(found), DataConfig(split="none", **config)), specification).run


def made(model, vocabulary, config, count=100, **options):
    """What is made with tables and without them, and that there were tables."""
    begun = []
    whole = tables.Tables.start

    def start(self):
        begun.append(self)
        return whole(self)

    def lines_of():
        found = sampling.sample(model, vocabulary, config, patience=100, **options)
        return list(islice(found, count))

    with patch.object(tables.Tables, "start", start), patch.object(sampling, "FEWEST_DRAWN", 0):
        drawn = lines_of()
    assert begun
    with patch.object(sampling, "_drawing", lambda *of_model: None):
        return drawn, lines_of()


@given(several, st.sampled_from(MODELS), st.sampled_from(CHOICES), st.integers(0, 99), st.sampled_from(["", "a"]))
@settings(max_examples=30)
def test_tables_make_the_same_lines_as_the_model(found, specification, choice, seed, prefix):
    run = run_of([*found, "ab"], specification)
    config = SamplingConfig(seed=seed, max_length=12, prefix=prefix, **choice)
    drawn, plain = made(run.model, run.vocabulary, config)
    assert drawn == plain
    assert drawn or choice


@given(several, st.sampled_from(MODELS[:3]), st.sampled_from(CHOICES), st.sampled_from([1.0, 1.2]), st.booleans())
@settings(max_examples=30)
def test_so_they_do_for_new_lines_and_sharper_models(found, specification, choice, sharpness, begun):
    run = run_of([*found, "ab"], specification)
    config = SamplingConfig(seed=len(found), max_length=12, prefix="b" if begun else "", **choice)
    sharp = sharper(run.model, sharpness)
    from spellout.generation.new_lines import without_known

    new = without_known(run.model, run.vocabulary, run.stream, sharpness)
    for model in (sharp, new):
        drawn, plain = made(model, run.vocabulary, config)
        assert drawn == plain
    assert not {one.text for one in drawn if one.complete} & set(found)


@pytest.mark.parametrize("unit", ["byte", "word"])
def test_so_they_do_for_bytes_and_words(unit):
    text = ["über alles", "über den Wolken", "den alten Wolken", "alles ist gut", "gut ist der Tag", "Tag über Tag"]
    run = run_of(text, "ngram:3", unit=unit, **({"min_count": 2} if unit == "word" else {}))
    drawn, plain = made(run.model, run.vocabulary, SamplingConfig(seed=3, max_length=20))
    assert drawn == plain
    assert len(drawn) == 100


def test_every_way_to_fill_the_tables_makes_the_same_lines(names):
    run = train(Prepared.of(names, DataConfig()), "ngram:5:smoothing=closed-form").run
    new = run.new_lines()
    for model in (run.model, new):
        config, size = SamplingConfig(seed=11, max_length=25), model.vocabulary_size
        _, plain = made(model, run.vocabulary, config, 1500)
        for numbers, pays in [
            (tables._NUMBERS, 1 << 30),  # all at once, from the first line on
            (tables._NUMBERS, 1),  # never all
            (1200 * size, 4),  # there is no room for many
        ]:
            with (
                patch.object(tables, "_NUMBERS", numbers),
                patch.object(tables, "_PAYS", pays),
                patch.object(tables, "_FEWEST", 1),
                patch.object(sampling, "LARGEST_DRAWN", 256),
            ):
                assert made(model, run.vocabulary, config, 1500)[0] == plain


@given(several, st.integers(1, 6), st.sampled_from(["closed-form", "add-k"]))
@settings(max_examples=30)
def test_states_lead_on_and_say_what_the_reader_says(found, order, smoothing):
    run = run_of(found, f"ngram:{order}:smoothing={smoothing}")
    automaton, reader = automaton_of(run.model), run.model.reader(1)
    stream = run.vocabulary.encode(found)
    state = np.array([automaton.start()])
    for place, token in enumerate(stream.tolist()):
        rows = reader.read(np.array([token]))
        if token == 0:
            state = np.array([automaton.start()])
        else:
            after = automaton.after(state, np.array([token]))
            assert after == automaton.targets(state)[0, token]
            state = after
        assert np.array_equal(automaton.rows(state), rows), place
        if token == 0:
            reader = run.model.reader(1)
            reader.read(np.array([0]))


class Twice:
    """A shape with two states, which take turns: in the second, tokens of odd number are five times as likely."""

    factors = np.array([[1.0], [5.0]])

    def next_states(self, states, tokens):
        return 1 - states

    def weigh(self, rows, states):
        rows[:, 1::2] *= self.factors[states]
        rows /= rows.sum(axis=1, keepdims=True)


@given(several)
@settings(max_examples=20)
def test_pairs_of_a_context_and_a_shape(found):
    run = run_of(found, "ngram:3:smoothing=closed-form")
    plain, shape = automaton_of(run.model), Twice()
    both = ShapedAutomaton(plain, shape)
    state, pair = np.array([plain.start()]), np.array([both.start()])
    for number, token in enumerate(run.vocabulary.encode(found[:1])[1:-1].tolist(), 1):
        assert both.targets(pair)[0, token] == both.after(pair, np.array([token]))[0]
        state, pair = plain.after(state, np.array([token])), both.after(pair, np.array([token]))
        expected = plain.chances(state)
        shape.weigh(expected, np.array([number % 2]))
        assert np.array_equal(both.rows(pair), np.log(expected))
        assert pair[0] < both.states
    every = both.all_states()
    assert np.array_equal(both.rows(every)[pair], both.rows(pair))


PLATES = [f"{'ABC'[i % 3]}{'XYZ'[i // 3 % 3]}-{i * i % 1000:03d}" + "abé"[i % 4 :] for i in range(150)]


@pytest.mark.parametrize("near", [shaped.NEAR, 0.0019])  # then a good part has the products worked out
@pytest.mark.parametrize("choice", [{}, {"temperature": 0.4}, {"temperature": 3.0}, {"prefix": "AX"}])
def test_contexts_and_shapes_apart_make_the_same_lines_as_the_model(near, choice):
    run = run_of(PLATES, "ngram:5")
    config = SamplingConfig(seed=4, max_length=14, **choice)
    worked_out, whole = [], shaped.ShapedTables._worked_out

    def counted(self, contexts, shapes, numbers):
        worked_out.append(len(contexts))
        return whole(self, contexts, shapes, numbers)

    with patch.object(shaped, "NEAR", near), patch.object(shaped.ShapedTables, "_worked_out", counted):
        for model in (run.model, sharper(run.model, 1.2), run.new_lines()):
            drawn, plain = made(model, run.vocabulary, config, 3000)
            assert drawn == plain
            assert len(drawn) == 3000
    assert sum(worked_out) > 1000 or near == shaped.NEAR


def test_a_state_apart_from_its_shape_times_the_factors_is_the_pair():
    run = run_of(PLATES, "ngram:3")
    apart = apart_from_shape(sharper(run.model, 1.3))
    contexts, shapes = np.arange(apart.states), np.arange(apart.states) % len(apart.shape.factors)
    both = np.exp(apart.rows(contexts)) * apart.shape.of_tokens(shapes) ** 1.3
    expected = apart.pairs.rows(apart.paired(contexts, shapes))
    assert np.allclose(np.log(both / both.sum(axis=1, keepdims=True)), expected, rtol=0, atol=1e-12)
