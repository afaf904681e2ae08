"""Mixed counts: against brute force, and what the views look at."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spellout.errors import UsageError
from spellout.models.counts.config import CountsConfig
from spellout.models.counts.gates import gates, scales
from spellout.models.counts.left_out import LeftOutMixture, LeftOutRows
from spellout.models.counts.letters import two_classes
from spellout.models.counts.mixing import Mixer
from spellout.models.counts.model import CountsModel
from spellout.models.counts.past import Past
from spellout.models.counts.training import prior_counted_anew, train_counts, train_prior
from spellout.models.counts.views import MOST_VIEWS, RECENT, View, views
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.counts import count_rows
from spellout.models.ngram.discounts import closed_form
from spellout.models.ngram.levels import build_levels, build_levels_of_occurrences
from spellout.models.ngram.model import NgramModel
from spellout.models.ngram.training import train_ngram

VOCABULARY = 5
LINES = st.lists(st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=6), min_size=2, max_size=12)


def stream_of(lines: list[list[int]]) -> np.ndarray:
    return np.array([0, *(token for line in lines for token in (*line, 0))], np.uint8)


def counted(view: View, stream: np.ndarray) -> tuple[NgramModel, list[np.ndarray]]:
    columns = Past.of(stream)[:-1].columns(view.columns, two_classes(stream, VOCABULARY))
    counts = count_rows([*columns, stream[1:]], VOCABULARY)
    levels = (build_levels if view.continuation else build_levels_of_occurrences)(counts)
    return NgramModel(levels, closed_form(levels), continuation=view.continuation), columns


def column_by_hand(name: str, line: list[int], classes: np.ndarray) -> int:
    """What a column holds after `line`, a boundary and the tokens after it."""
    if name == "place":
        return min(len(line) - 1, len(classes) - 1)
    kind, number = name[0], int(name[1:])
    if kind == "f":
        return line[number] if len(line) > number else 0
    token = line[-number] if len(line) >= number else 0
    return classes[token] if kind == "k" else token


@given(LINES)
@settings(max_examples=25, deadline=None)
def test_columns_are_what_they_are_called_and_end_at_the_first_that_is_0(lines):
    stream = stream_of(lines)
    classes = two_classes(stream, VOCABULARY)
    past = Past.of(stream)[:-1]
    for view in views(MOST_VIEWS, 4):
        found = np.stack(past.columns(view.columns, classes))
        for position, column in enumerate(found.T):
            begin = max(np.flatnonzero(stream[: position + 1] == 0))
            line = [int(token) for token in stream[begin : position + 1]]
            wanted = [column_by_hand(name, line, classes) for name in view.columns]
            if 0 in wanted:
                wanted = [*wanted[: wanted.index(0)], *[0] * (len(wanted) - wanted.index(0))]
            assert column.tolist() == wanted


@given(LINES)
@settings(max_examples=10, deadline=None)
def test_reading_token_by_token_sees_what_is_seen_at_once(lines):
    longest = max(map(len, lines))
    rows = np.array([[0, *line, *[1] * (longest - len(line))] for line in lines])
    at_once, past = Past.of(rows), Past.nothing(len(rows))
    for place in range(rows.shape[1]):
        past = past.read(rows[:, place])
        here = at_once[np.arange(len(rows)) * rows.shape[1] + place]
        assert np.array_equal(past.place, here.place)
        for mine, other in zip([*past.recent, *past.first], [*here.recent, *here.first], strict=True):
            assert np.array_equal(mine, other)


@given(LINES, st.integers(0, MOST_VIEWS - 1))
@settings(max_examples=40, deadline=None)
def test_left_out_is_what_the_rest_of_the_text_says(lines, number):
    """Every row against a model of all other positions, counted anew with the same discounts."""
    stream = stream_of(lines)
    view = views(MOST_VIEWS, 4)[number]
    model, columns = counted(view, stream)
    rows = LeftOutRows(model, columns, stream[1:]).at(np.arange(len(stream) - 1))
    for position in range(min(len(stream) - 1, 8)):
        others = np.arange(len(stream) - 1) != position
        counts = count_rows([*(c[others] for c in columns), stream[1:][others]], VOCABULARY)
        levels = (build_levels if view.continuation else build_levels_of_occurrences)(counts)
        rest = NgramModel(levels, model.discounts, continuation=view.continuation)
        wanted = rest.rows([c[position : position + 1] for c in columns])[0]
        assert np.allclose(rows[position], wanted, atol=1e-5)


@given(LINES, st.integers(0, MOST_VIEWS - 1))
@settings(max_examples=20, deadline=None)
def test_left_out_of_all_positions_is_that_of_some(lines, number):
    stream = stream_of(lines)
    model, columns = counted(views(MOST_VIEWS, 4)[number], stream)
    rows = LeftOutRows(model, columns, stream[1:]).at(np.arange(len(stream) - 1))
    assert np.allclose(rows, model.leave_one_out_rows(columns, stream[1:].astype(np.int64)), atol=1e-5)


def test_counts_of_occurrences_count_every_position():
    stream = stream_of([[1, 2], [1, 2], [3, 2]])
    model, _ = counted(View(("c1", "c2")), stream)
    lowest = model.levels[0]
    assert dict(zip(lowest.tokens.tolist(), lowest.counts.tolist(), strict=True)) == {0: 3, 1: 2, 2: 3, 3: 1}


def test_the_gradient_of_the_mixer_is_that_of_its_loss():
    random = np.random.default_rng(0)
    past = Past.of(random.integers(0, VOCABULARY, 30).astype(np.uint8))
    chosen, targets = gates(past, VOCABULARY), random.integers(0, VOCABULARY, 30)
    rows = [np.log(random.dirichlet(np.ones(VOCABULARY), 30)).astype(np.float32) for _ in range(3)]
    mixer = Mixer(3, VOCABULARY)
    before = mixer.weights()
    first = mixer.step(rows, chosen, targets, 1e-4)
    assert first == pytest.approx(loss_of(before, rows, chosen, targets), abs=1e-5)
    after = mixer.weights()
    for name, array in before.items():  # Adam's first step goes by the sign of each number of the gradient
        for place in np.ndindex(array.shape):
            moved = {key: value.astype(np.float64) for key, value in before.items()}
            moved[name][place] += 1e-3
            slope = loss_of(moved, rows, chosen, targets) - first
            if abs(slope) > 1e-5:
                assert np.sign(after[name][place] - array[place]) == -np.sign(slope)


def loss_of(weights, rows, chosen, targets) -> float:
    scale = scales(weights, chosen).astype(np.float64)
    logits = weights["bias"] + sum(scale[:, k, None] * row.astype(np.float64) for k, row in enumerate(rows))
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -float(logs[np.arange(len(targets)), targets].mean())


@pytest.fixture(scope="module")
def trained() -> tuple[CountsModel, np.ndarray]:
    random = np.random.default_rng(1)
    stream = stream_of([random.integers(1, VOCABULARY, random.integers(1, 8)).tolist() for _ in range(60)])
    return train_counts(stream, VOCABULARY, CountsConfig(steps=30), lambda event: None)[0], stream


def test_what_is_left_out_of_the_mixture_is_mixed_from_what_is_left_out_of_the_views(trained):
    model, stream = trained
    left_out, places = LeftOutMixture(model, stream), np.arange(len(stream) - 1)
    rows, chosen = left_out.views_at(places)
    targets = np.arange(len(places)) % VOCABULARY
    got = left_out.at(places)
    assert np.allclose(np.exp(got).sum(axis=1), 1.0, atol=1e-5)
    wanted = loss_of(model.weights, rows, chosen, targets)
    assert -got[np.arange(len(places)), targets].mean() == pytest.approx(wanted, abs=1e-5)


def test_a_restored_model_says_the_same(trained):
    model, _ = trained
    again = CountsModel.restore(model.settings(), model.arrays())
    tokens = np.array([[0, 1, 2, 3, 4, 1, 2, 3]])
    assert np.array_equal(again.log_probabilities(tokens), model.log_probabilities(tokens))


@pytest.mark.parametrize("name", ["classes", "mixing.place", "view2.level1.counts"])
def test_damaged_arrays_are_refused(trained, name):
    model, _ = trained
    arrays = model.arrays()
    with pytest.raises((ValueError, KeyError)):
        CountsModel.restore(model.settings(), arrays | {name: arrays[name][1:]})


def test_vowels_and_consonants_take_turns():
    stream = stream_of([[1, 3, 2, 4], [2, 3, 1, 4], [3, 1, 4, 2], [4, 2, 3, 1], [1, 4], [3, 2]])
    classes = two_classes(stream, VOCABULARY)
    assert classes[0] == 0
    assert classes[1] == classes[2] != classes[3]
    assert classes[3] == classes[4]


@pytest.mark.parametrize("setting", [{"views": 0}, {"views": MOST_VIEWS + 1}, {"order": RECENT + 1}, {"steps": 0}])
def test_settings_that_cannot_be_are_refused(setting):
    with pytest.raises(UsageError):
        CountsConfig(**setting)


def test_an_ngram_that_is_there_is_not_counted_again(trained):
    _, stream = trained
    config = CountsConfig(steps=30, order=3)
    model = train_counts(stream, VOCABULARY, config, lambda event: None)[0]
    ngram = train_ngram(stream, VOCABULARY, NgramConfig(order=3), lambda event: None)[0]
    again = train_counts(stream, VOCABULARY, config, lambda event: None, ngram)[0]
    assert again.models[0] is ngram
    tokens = np.array([[0, 1, 2, 3]])
    assert np.array_equal(again.log_probabilities(tokens), model.log_probabilities(tokens))
    assert train_prior(stream, VOCABULARY, CountsConfig(), lambda event: None, again) is again


def test_what_is_too_large_to_keep_is_worked_out_when_it_is_asked_for(trained, monkeypatch):
    model, stream = trained
    kept, places = LeftOutMixture(model, stream), np.arange(0, len(stream) - 1, 3)
    monkeypatch.setattr("spellout.models.counts.left_out._MOST_KEPT", 0)
    asked = LeftOutMixture(model, stream)
    assert kept.all
    assert not asked.all
    assert np.allclose(asked.at(places), kept.at(places), atol=1e-5)
    assert np.allclose(asked.only(places).at(np.arange(len(places))), kept.at(places), atol=1e-5)
    again = train_counts(stream, VOCABULARY, CountsConfig(steps=5), lambda event: None)[0]
    assert np.isfinite(again.log_probabilities(np.array([[0, 1, 2]]))).all()


def test_a_view_that_someone_else_wrote_has_columns_that_there_are(trained):
    model, _ = trained
    settings = model.settings()
    settings["views"][1]["columns"] = "c1 c99"
    with pytest.raises(ValueError, match="c99"):
        CountsModel.restore(settings, model.arrays())


def test_counted_anew_the_same_text_gives_the_same_and_another_only_other_counts(trained):
    model, stream = trained
    tokens = stream[None, :40]
    before = model.log_probabilities(tokens)
    np.testing.assert_array_equal(prior_counted_anew(model, stream).log_probabilities(tokens), before)
    ends = np.flatnonzero(stream == 0)
    fewer = prior_counted_anew(model, stream[: ends[len(ends) // 2] + 1])
    assert fewer.parameters < model.parameters
    rows = np.exp(fewer.log_probabilities(tokens))
    np.testing.assert_allclose(rows.sum(axis=-1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(prior_counted_anew(fewer, stream).log_probabilities(tokens), before)
