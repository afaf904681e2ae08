from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.errors import DataError, UsageError
from spellout.generation.config import SamplingConfig
from spellout.generation.novelty import nearest, only
from spellout.generation.sampling import _choose, sample


@pytest.fixture(scope="module")
def run(names):
    return train(Prepared.of(names, DataConfig()), "ngram:4").run


def lines_of(run, count, batch=None, accept=lambda line: True, **settings_):
    made = sample(run.model, run.vocabulary, SamplingConfig(**settings_), batch=batch, accept=accept)
    return [one.text for one in islice(made, count)]


def test_the_same_seed_gives_the_same_lines_whatever_the_batch(run):
    lines = lines_of(run, 300, seed=5)
    for batch in (1, 7, 64, 1000):
        assert lines_of(run, 300, batch=batch, seed=5) == lines
    assert lines_of(run, 20, seed=5) == lines[:20]
    assert lines_of(run, 300, seed=6) != lines


def test_lines_that_no_one_may_change(prepared):
    """Golden: the promise that a seed means the same lines in every version and on every machine."""
    run = train(prepared, "ngram:4:smoothing=closed-form").run
    assert lines_of(run, 5, seed=2026) == ["Inayah", "Londryja", "Aya", "Karlowimcilie", "Karetter"]


def test_long_lines_draw_on_and_on(run):
    long = lines_of(run, 3, seed=1, temperature=50.0, max_length=200)
    assert max(map(len, long)) > 64
    assert lines_of(run, 3, seed=1, temperature=50.0, max_length=200, batch=1) == long


def test_frequencies_are_the_models_probabilities(run):
    first = Counter(line[0] for line in lines_of(run, 20_000))
    logs = run.model.log_probabilities(np.zeros((1, 1), int))[0, 0]
    chances = np.exp(logs[1:]) / np.exp(logs[1:]).sum()  # a line is never blank
    expected = {run.vocabulary.symbol(token): p for token, p in enumerate(chances, 1)}
    for letter, chance in expected.items():
        assert first[letter] / 20_000 == pytest.approx(chance, abs=5 * (chance / 20_000) ** 0.5 + 1e-9)


def test_every_line_begins_with_the_prefix(run):
    lines = lines_of(run, 50, prefix="Jo")
    assert all(line.startswith("Jo") for line in lines)
    assert len(set(lines)) > 10


def test_an_unknown_character_in_the_prefix_is_named(run):
    with pytest.raises(DataError, match="'ø'"):
        lines_of(run, 1, prefix="Jø")


def test_greedy_gives_one_line_of_likeliest_letters(run):
    (line,) = lines_of(run, 5, greedy=True, max_length=30)
    stream = run.vocabulary.encode([line])
    logs = run.model.log_probabilities(stream[None, :-1])[0]
    logs[0, 0] = -np.inf
    assert logs.argmax(axis=1).tolist() == stream[1:].tolist()


def test_a_line_is_cut_at_the_maximum_length(run):
    made = list(islice(sample(run.model, run.vocabulary, SamplingConfig(max_length=3)), 100))
    assert max(len(one.text) for one in made) == 3
    assert all(len(one.text) == 3 for one in made if not one.complete)
    assert any(one.complete for one in made)
    assert lines_of(run, 1, prefix="Johanna", max_length=3) == ["Joh"]


def test_low_temperature_and_narrow_choices_play_safe(run):
    def surprise(**config):
        lines = lines_of(run, 300, **config)
        stream = run.vocabulary.encode(lines)
        return -run.model.score(stream[None, :-1], stream[None, 1:]).mean()

    plain = surprise()
    assert surprise(temperature=0.5) < plain < surprise(temperature=1.5)
    assert surprise(top_k=3) < plain
    assert surprise(top_p=0.5) < plain
    assert lines_of(run, 100, top_k=len(run.vocabulary.characters) + 1) == lines_of(run, 100)
    assert lines_of(run, 100, top_p=1.0) == lines_of(run, 100)


rows = st.lists(st.floats(-8, 0), min_size=5, max_size=5)


@given(
    st.lists(rows, min_size=1, max_size=5), st.floats(0, 1, exclude_max=True), st.integers(1, 5), st.floats(0.01, 1)
)
def test_choices_are_inside_the_allowed_set(table, uniform, k, p):
    logs = np.array(table)
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    for config in (
        SamplingConfig(),
        SamplingConfig(top_k=k),
        SamplingConfig(top_p=p),
        SamplingConfig(temperature=0.1),
    ):
        chosen = _choose(logs, [0], config, np.full(len(logs), uniform))
        assert (chosen > 0).all()
        for row, token in zip(logs[:, 1:], chosen - 1, strict=True):
            ranked = np.argsort(-row, kind="stable")
            rank = int(np.flatnonzero(ranked == token)[0])
            if config.top_k:
                assert rank < k
            if config.top_p:
                share = np.exp(row[ranked]) / np.exp(row).sum()
                assert share[:rank].sum() < p + 1e-9


def test_a_uniform_number_next_to_one_still_chooses_a_possible_token():
    logs = np.log(np.array([[0.2, 0.3, 0.5 - 1e-17, 0.0, 0.0]]) + 1e-300)
    logs[0, 3:] = -np.inf
    assert _choose(logs, [], SamplingConfig(), np.array([1 - 2**-53])).tolist() == [2]


def test_novel_and_unique_lines(run, names):
    known = set(names.distinct)
    lines = lines_of(run, 200, accept=only(unlike=known, unique=True))
    assert len(set(lines)) == 200
    assert not known & set(lines)


def test_sampling_stops_when_nothing_new_comes():
    run = train(Prepared.of(Lines.of(["ab", "ba"]), DataConfig()), "ngram:2").run
    made = sample(run.model, run.vocabulary, SamplingConfig(max_length=2), accept=only(unique=True), patience=300)
    assert {"ab", "ba"} <= {one.text for one in made} <= {"a", "b", "ab", "ba", "aa", "bb"}


@given(st.lists(st.sampled_from(["é", "文", "a ", "ß"]), min_size=2, max_size=20))
def test_lines_spelled_in_bytes_or_spaces_are_lines(pieces):
    lines = [("".join(pieces[i:])).strip() for i in range(len(pieces))]
    prepared = Prepared.of(Lines.of([line for line in lines if line] + ["x", "y"]), DataConfig(unit="byte"))
    run = train(prepared, "ngram:2").run
    made = lines_of(run, 30, max_length=12)
    assert len(made) == 30
    for line in made:
        assert line
        assert line == line.strip()
        line.encode()


@pytest.mark.parametrize(
    ("settings_", "fragment"),
    [
        ({"temperature": 0.0}, "use --greedy"),
        ({"temperature": -1.0}, "above 0"),
        ({"temperature": float("nan")}, "above 0"),
        ({"top_k": 0}, "at least 1"),
        ({"top_p": 0.0}, "above 0"),
        ({"top_p": 1.5}, "at most 1"),
        ({"max_length": 0}, "at least 1"),
        ({"seed": -1}, "from 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings_, fragment):
    with pytest.raises(UsageError, match=fragment):
        SamplingConfig(**settings_)


@given(st.text("abc", max_size=6), st.lists(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=8))
def test_the_nearest_line_has_the_smallest_edit_distance(line, training):
    def distance(a, b):
        row = list(range(len(b) + 1))
        for i, x in enumerate(a, 1):
            previous, row[0] = row[0], i
            for j, y in enumerate(b, 1):
                previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
        return row[-1]

    distances = [distance(line, other) for other in training]
    match, found = nearest(line, training)
    assert found == min(distances)
    assert match == training[distances.index(found)]


def test_a_prefix_typed_with_a_combining_accent_is_the_same_prefix():
    run = train(Prepared.of(Lines.of(["zoé", "zoélie", "éva", "évan", "noé"]), DataConfig()), "ngram:2").run
    made = lines_of(run, 5, prefix="e\u0301")
    assert len(made) == 5
    assert all(line.startswith("é") for line in made)
