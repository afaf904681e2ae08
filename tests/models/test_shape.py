"""Shapes of lines against definitions written with dictionaries, and what they are for: lines of the right form."""

import random
from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from left_out import leave_one_out
from spellout.api import train
from spellout.data.classes import class_of, classes_of
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.data.vocabulary.building import build_vocabulary
from spellout.generation.config import SamplingConfig
from spellout.generation.evaluation import evaluate
from spellout.generation.sampling import sample
from spellout.generation.scoring import score_lines
from spellout.models.counts.left_out import left_out
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.counts import Counts, context_columns
from spellout.models.ngram.model import NgramModel
from spellout.models.ngram.training import train_ngram
from spellout.models.shape import fitting, lengths, patterns
from spellout.models.shape.automaton import Shape, states_along
from spellout.models.shape.patterns import automaton_of
from spellout.training.config import TrainingConfig

lines_of_signs = st.lists(st.text("ab1-", min_size=1, max_size=7), min_size=1, max_size=30)


def encoded(lines):
    vocabulary = build_vocabulary(lines)
    classes = classes_of(map(vocabulary.symbol, range(vocabulary.size)))
    return vocabulary, vocabulary.encode(lines), classes


def random_shape(classes, states, seed):
    draw = np.random.default_rng(seed)
    kinds = int(classes.max()) + 1
    following = draw.integers(0, states, (states, kinds)).astype(np.int32)
    following[:, 0] = 0
    return Shape(classes, following, draw.normal(0.0, 2.0, (states, kinds)))


def shaped_ngram(lines, order, seed):
    vocabulary, stream, classes = encoded(lines)
    plain = NgramModel.estimate(Counts.of(stream, order, vocabulary.size), NgramConfig(order=order))
    return plain, plain.with_shape(random_shape(classes, 7, seed)), stream


def by_hand(plain, shape, tokens):
    """p(w | context) g / Σ p g, one line and one token at a time."""
    rows = np.exp(plain.log_probabilities(tokens))
    for row, line in zip(rows, tokens, strict=True):
        state = 0
        for place, token in enumerate(line):
            if place:
                state = shape.following[state, shape.classes[token]]
            row[place] *= [np.exp(shape.log_factors[state, shape.classes[w]]) for w in range(len(shape.classes))]
            row[place] /= row[place].sum()
    return rows


def test_classes_of_characters_words_and_bytes():
    symbols = ["¶", "a", "Z", "7", "-", "ß", "ж", "Ж", "中", " ", "_", "<0x41>", "<0xE9>", "Word", "<unknown>", "<"]
    names = [class_of(one) for one in symbols[1:]]
    assert names[:5] == ["Ll", "Lu", "Nd", "-", "Ll"]
    assert names[5:] == ["Ll", "Lu", "Lo", " ", "_", "Lu", "byte", "Lu", "<", "<"]
    classes = classes_of(symbols)
    assert classes[0] == 0
    for one, name in zip(classes[1:], names, strict=True):
        assert one == classes[1 + names.index(name)] > 0


@given(lines_of_signs, st.integers(1, 4))
def test_a_state_is_a_frequent_beginning_of_a_pattern_or_a_place(lines, fewest):
    _, stream, classes = encoded(lines)
    before, patterns.FEWEST = patterns.FEWEST, fewest
    try:
        automaton = automaton_of(stream, classes)
    finally:
        patterns.FEWEST = before
    found = states_along(stream, classes, automaton.following)
    kinds = [tuple(classes[tokens]) for tokens in np.split(stream[1:], np.flatnonzero(stream[1:] == 0) + 1)[:-1]]
    beginnings = Counter(kind[:length] for kind in kinds for length in range(len(kind)))
    known = {one for one in beginnings if not one or beginnings[one] >= fewest}
    names, place = {}, 0
    for kind in kinds:
        for length in range(len(kind)):
            on = all(kind[:shorter] in known for shorter in range(length + 1))
            name = kind[:length] if on else length
            assert names.setdefault(name, found[place]) == found[place]
            place += 1
    assert len(set(names.values())) == len(names)
    assert found[place] == 0


@given(lines_of_signs, st.integers(0, 99))
def test_many_lines_together_are_followed_like_one_alone(lines, seed):
    vocabulary, stream, classes = encoded(lines)
    shape = random_shape(classes, 5, seed)
    found, state = shape.states_of(stream), None
    for place, token in enumerate(stream):
        state = shape.next_states(state, np.array([token]))
        assert found[place] == state[0]
    draw = np.random.default_rng(seed)
    tokens = draw.integers(0, vocabulary.size, (6, 9))
    tokens[:, 0] = 0
    np.testing.assert_array_equal(shape.states_of(tokens), [shape.states_of(one) for one in tokens])


@given(lines_of_signs, st.integers(1, 4), st.integers(0, 99))
def test_probabilities_are_those_of_the_ngram_times_factors(lines, order, seed):
    plain, model, stream = shaped_ngram(lines, order, seed)
    draw = np.random.default_rng(seed)
    tokens = draw.integers(1, plain.vocabulary_size, (5, 8))
    tokens[:, 0] = 0
    expected = by_hand(plain, model.shape, tokens)
    np.testing.assert_allclose(np.exp(model.log_probabilities(tokens)), expected, rtol=1e-9)
    np.testing.assert_allclose(expected.sum(axis=-1), 1.0, rtol=1e-12)
    targets = draw.integers(0, plain.vocabulary_size, tokens.shape)
    picked = np.take_along_axis(expected, targets[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(np.exp(model.score(tokens, targets)), picked, rtol=1e-9)
    reader, rows = model.reader(5), np.arange(5)
    for place in range(8):
        np.testing.assert_allclose(np.exp(reader.read(tokens[rows, place])), expected[rows, place], rtol=1e-9)
        kept = draw.integers(0, len(rows), len(rows))
        reader.keep(kept)
        rows = rows[kept]
    nats = 0.0
    for line in np.split(stream[1:], np.flatnonzero(stream[1:] == 0) + 1)[:-1]:
        rows = by_hand(plain, model.shape, np.append(0, line[:-1])[None])[0]
        nats -= float(np.log(rows[np.arange(len(line)), line]).sum())
    assert model.nats_of_stream(stream) == pytest.approx(nats, rel=1e-9)


@given(lines_of_signs, st.integers(1, 4))
def test_chances_of_classes_are_sums_of_those_of_tokens(lines, order):
    vocabulary, stream, classes = encoded(lines)
    model = NgramModel.estimate(Counts.of(stream, order, vocabulary.size), NgramConfig(order=order))
    columns = [column[:-1] for column in context_columns(stream, max(order - 1, 1))]
    targets = stream[1:].astype(np.int64)
    contexts = model.contexts_of(columns)
    of_classes = np.eye(int(classes.max()) + 1)[classes]
    usual = np.exp(model.rows(columns)) @ of_classes
    np.testing.assert_allclose(model.class_chances(contexts, classes), usual, rtol=1e-9)
    without = np.exp(leave_one_out(model, stream[None, :-1], stream[None, 1:]))[0] @ of_classes
    np.testing.assert_allclose(model.class_chances(contexts, classes, targets), without, rtol=1e-9)


@given(st.integers(2, 5), st.integers(1, 6), st.integers(0, 99))
@settings(max_examples=30)
def test_fitted_factors_expect_what_came_but_for_their_pull_to_one(kinds, groups, seed):
    draw = np.random.default_rng(seed)
    number = 400
    states = draw.integers(0, groups, number)
    chances = draw.dirichlet(np.ones(kinds), number)
    targets = draw.integers(0, kinds, number)
    before, fitting.ITERATIONS = fitting.ITERATIONS, 300
    try:
        factors, _ = fitting._fitted(np.arange(groups), states, chances, targets)
    finally:
        fitting.ITERATIONS = before
    for group in range(groups):
        here = chances[states == group] * factors[group]
        expected = (here / here.sum(axis=1, keepdims=True)).sum(axis=0)
        came = np.bincount(targets[states == group], minlength=kinds)
        pull = fitting.STRENGTH * (factors[group] - 1)
        np.testing.assert_allclose((came - expected)[came > 0], pull[came > 0], atol=1e-4)


def test_what_never_came_is_expected_as_often_as_what_came_once():
    expected = np.array([5.0, 80.0, 300.0, 0.01])
    for once in (0, 2, 7):
        kappa = fitting._strength_of_nothing(expected, once + 0.5)
        assert (expected * kappa / (expected + kappa)).sum() == pytest.approx(once + 0.5, rel=1e-3)
    assert fitting._strength_of_nothing(expected, 10_000) == pytest.approx(fitting.STRENGTH, rel=1e-3)


def identifiers(number, seed):
    draw = random.Random(seed)
    return ["DE" + "".join(draw.choices("0123456789", k=12)) for _ in range(number)]


def plates(number, seed):
    """Two formats of one length, so that only a line's beginning says where the space and the digits are."""
    draw = random.Random(seed)

    def some(signs, count):
        return "".join(draw.choices(signs, k=count))

    letters, digits = "ABCDEFGHJK", "0123456789"
    return [
        some(letters, 2) + some(digits, 2) + " " + some(letters, 3)
        if draw.random() < 0.5
        else some(digits, 3) + "-" + some(letters, 4)
        for _ in range(number)
    ]


def test_lines_that_are_made_are_told_by_their_fingerprints():
    prepared = Prepared.of(Lines.of(plates(150, seed=7)), DataConfig(split="none"))
    model, stream = train(prepared, "ngram:5").run.model, prepared.stream
    made, fingerprints = lengths._made(model, 300, 8)
    known = lengths._fingerprints(stream)
    again = []
    for line in np.split(stream[1:], np.flatnonzero(stream[1:] == 0) + 1)[:-1]:
        number = 0
        for token in line[:-1].tolist():
            number = (number + token) * int(lengths._FACTOR) % 2**64
        again.append(number)
    assert known.tolist() == again
    assert len(set(again)) == len(prepared.split.train)
    assert set(made.tolist()) <= set(range(1, 10))
    assert np.isin(fingerprints, known).any()  # of 150 lines and an order of 5, some are made again
    assert not np.isin(fingerprints, known).all()


@given(lines_of_signs, st.integers(1, 4))
def test_the_place_of_a_state_is_how_many_tokens_were_read(lines, fewest):
    _, stream, classes = encoded(lines)
    before, patterns.FEWEST = patterns.FEWEST, fewest
    try:
        following = automaton_of(stream, classes).following
    finally:
        patterns.FEWEST = before
    places, states = lengths.places_of(following), states_along(stream, classes, following)
    begins = np.maximum.accumulate(np.where(stream == 0, np.arange(len(stream)), 0))
    np.testing.assert_array_equal(places[states], np.arange(len(stream)) - begins)


def test_ends_are_moved_as_the_odds_differ_and_only_where_lengths_vary():
    classes = np.array([0, 1], np.uint8)
    following = np.array([[0, one] for one in (1, 2, 3, 3)], np.int32)
    shape = Shape(classes, following, np.zeros((4, 2)))
    of_text = np.repeat([1, 2, 3], [400, 400, 200])
    of_made = np.repeat([1, 2, 3], [200, 400, 400])
    change = lengths._moved(shape, of_text, of_made).log_factors
    # At place 1, 400 of 1000 end in the text and 200 of 1000 as they are made; at place 2 400 of 600, 400 of 800.
    assert change[1, 0] == pytest.approx(np.log(400 / 600) - np.log(200 / 800), abs=0.05)
    assert change[2, 0] == pytest.approx(np.log(400 / 200) - np.log(400 / 400), abs=0.05)
    assert change[3, 0] == 0.0  # all end
    assert not change[:, 1].any()
    assert not lengths._moved(shape, np.full(500, 3), of_made).log_factors.any()  # lines of one length


def test_new_names_are_as_long_as_those_of_the_list(names):
    prepared = Prepared.of(names, DataConfig(split="none"))
    usual, distances = Counter(map(len, names.distinct)), []
    for model in ("ngram:3:shape=no", "ngram:3"):
        run = train(prepared, model).run
        made = islice(sample(run.new_lines(), run.vocabulary, SamplingConfig(max_length=40)), 2000)
        found = Counter(len(one.text) for one in made)
        differences = (found[n] / 2000 - usual[n] / len(names.distinct) for n in found | usual)
        distances.append(sum(map(abs, differences)) / 2)
    assert distances[0] > 0.2
    assert distances[1] < 0.08


def pattern(line):
    return "".join(map(class_of, line))


@pytest.mark.parametrize("make", [identifiers, plates])
def test_made_lines_have_a_length_and_a_pattern_of_the_list(make):
    prepared = Prepared.of(Lines.of(make(800, seed=1)), DataConfig())
    known = set(map(pattern, prepared.split.train))
    shares, losses = [], []
    for model in ("ngram:4:shape=no", "ngram:4"):
        run = train(prepared, model).run
        made = [one.text for one in islice(sample(run.model, run.vocabulary, SamplingConfig(max_length=40)), 500)]
        shares.append(sum(pattern(line) in known for line in made) / len(made))
        losses.append(evaluate(run.model, run.vocabulary, prepared.split.dev).nats_per_char)
    assert shares[0] < 0.3
    assert shares[1] > 0.98
    assert losses[1] < losses[0] - 0.1


def test_lines_of_no_form_have_no_shape():
    draw = random.Random(0)
    # Every character is followed by any other or by the end, with the same chances at every place.
    lines = []
    while len(lines) < 3000:
        line = ""
        while not line or draw.random() < 0.8:
            line += draw.choice("abcdefgh")
        lines.append(line)
    prepared = Prepared.of(Lines.of(lines), DataConfig(split="none"))
    assert train(prepared, "ngram:2").run.model.shape is None


def test_the_settings_can_leave_it_out():
    prepared = Prepared.of(Lines.of(identifiers(200, seed=2)), DataConfig())
    for model in ("ngram:3:shape=no", "ngram:3:smoothing=closed-form", "ngram:3:smoothing=add-k"):
        assert train(prepared, model).run.model.shape is None
    vocabulary = prepared.vocabulary
    assert train_ngram(prepared.stream, vocabulary.size, NgramConfig(), lambda event: None)[0].shape is None


def test_judging_a_stream_is_judging_line_by_line():
    prepared = Prepared.of(Lines.of(plates(400, seed=3)), DataConfig())
    run = train(prepared, "ngram:3").run
    assert run.model.shape is not None
    lines = prepared.split.dev
    nats = sum(float(score.nats.sum()) for score in score_lines(run.model, run.vocabulary, lines))
    assert evaluate(run.model, run.vocabulary, lines).nats == pytest.approx(nats, rel=1e-12)


@pytest.mark.parametrize("model", ["ngram:3", "counts:3:steps=40"])
def test_what_a_network_starts_from_knows_the_shape_too(model):
    prepared = Prepared.of(Lines.of(plates(400, seed=4)), DataConfig())
    run = train(prepared, model).run
    stream, shape = prepared.stream, run.model.shape
    assert shape is not None
    with_shape = left_out(run.model, stream).at(np.arange(len(stream) - 1))
    run.model.shape = None
    without = left_out(run.model, stream).at(np.arange(len(stream) - 1)).astype(np.float64)
    without += shape.log_factors[shape.states_of(stream)[:-1]][:, shape.classes]
    without -= np.log(np.exp(without).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(with_shape, without, atol=1e-4)


@pytest.mark.parametrize("model", ["ngram:3", "counts:3:steps=40"])
def test_it_is_kept_and_checked(model):
    prepared = Prepared.of(Lines.of(plates(300, seed=5)), DataConfig())
    kept = train(prepared, model).run.model
    settings_, arrays = kept.settings(), kept.arrays()
    again = type(kept).restore(settings_, arrays)
    tokens = prepared.stream[None, :60]
    np.testing.assert_array_equal(again.log_probabilities(tokens), kept.log_probabilities(tokens))
    without = {name: array for name, array in arrays.items() if not name.startswith("shape.")}
    assert type(kept).restore(settings_, without).shape is None  # a run of before
    following, logs, classes = (arrays[f"shape.{name}"] for name in ("following", "log_factors", "classes"))
    for damage in (
        {"shape.following": following + len(following)},
        {"shape.following": following[:, :1]},
        {"shape.following": following + 1},
        {"shape.log_factors": logs * np.nan},
        {"shape.log_factors": logs + 1e9},
        {"shape.classes": classes[:-1]},
        {"shape.classes": classes * 0},
        {"shape.classes": classes + 100},
    ):
        with pytest.raises(ValueError, match="shape of lines"):
            type(kept).restore(settings_, arrays | damage)
    del arrays["shape.following"]
    with pytest.raises(KeyError):
        type(kept).restore(settings_, arrays)


@pytest.mark.parametrize("model", ["mlp:8:context=2:embedding=4", "mlp:8:context=2:embedding=4+ngram:3"])
def test_a_network_of_a_short_window_keeps_to_the_form(model):
    prepared = Prepared.of(Lines.of(plates(600, seed=6)), DataConfig())
    known = set(map(pattern, prepared.split.train))
    run = train(prepared, model, training=TrainingConfig(steps=60, evaluate_every=60)).run
    assert run.model.shape is not None
    made = [one.text for one in islice(sample(run.model, run.vocabulary, SamplingConfig(max_length=40)), 500)]
    assert sum(pattern(line) in known for line in made) / len(made) > 0.98
    again = type(run.model).restore(run.model.settings(), run.model.arrays())
    tokens = prepared.stream[None, :60]
    np.testing.assert_array_equal(again.log_probabilities(tokens), run.model.log_probabilities(tokens))
    plain = run.model.with_shape(None)
    logs = plain.log_probabilities(tokens)
    logs += run.model.shape.log_factors[run.model.shape.states_of(tokens)][..., run.model.shape.classes]
    logs -= np.log(np.exp(logs).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(run.model.log_probabilities(tokens), logs, atol=1e-9)
    wanted = np.take_along_axis(logs, prepared.stream[None, 1:61, None].astype(int), axis=-1)[..., 0]
    np.testing.assert_allclose(run.model.score(tokens, prepared.stream[None, 1:61]), wanted, atol=1e-9)
