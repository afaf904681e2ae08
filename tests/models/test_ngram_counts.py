from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.data.vocabulary.building import build_vocabulary
from spellout.models.ngram.counts import Counts, context_columns, count_rows, numbered_rows
from spellout.models.ngram.discounts import _Objective, closed_form, fit
from spellout.models.ngram.levels import build_levels
from spellout.models.ngram.training import NgramCounter
from strategies import letter_lines


def table_of(counts):
    return dict(zip(zip(*(c.tolist() for c in counts.columns), strict=True), counts.counts.tolist(), strict=True))


@given(
    st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=40), st.sampled_from([4, 2000, 2**21, 2**30])
)
def test_equal_rows_are_counted_however_wide_they_are(rows, size):
    columns = [np.array(column, np.uint32) for column in zip(*rows, strict=True)]
    counted = count_rows(columns, size)
    found = list(zip(*(column.tolist() for column in counted.columns), strict=True))
    assert table_of(counted) == Counter(rows)
    assert found == sorted(found)
    weights = np.arange(1, len(rows) + 1)
    sums = count_rows(columns, size, weights).counts
    expected = Counter()
    for row, weight in zip(rows, weights.tolist(), strict=True):
        expected[row] += weight
    assert dict(zip(found, sums.tolist(), strict=True)) == expected


def test_contexts_stop_at_the_start_of_the_line():
    tokens = np.array([0, 1, 2, 0, 3, 4, 5])
    newest, older, oldest = context_columns(tokens, 3)
    assert newest.tolist() == [0, 1, 2, 0, 3, 4, 5]
    assert older.tolist() == [0, 0, 1, 0, 0, 3, 4]
    assert oldest.tolist() == [0, 0, 0, 0, 0, 0, 3]


@given(st.lists(letter_lines, min_size=1, max_size=5), st.integers(1, 5), st.booleans())
def test_blocks_counted_apart_are_counted_together(blocks, order, hold_out):
    vocabulary = build_vocabulary([line for block in blocks for line in block])
    counter = NgramCounter(order, hold_out)
    for block in blocks:
        counter.add(vocabulary.encode(block), vocabulary.size)
    whole = Counts.of(vocabulary.encode([line for block in blocks for line in block]), order, vocabulary.size)
    together = Counts.merged([part for part in counter.parts() if part is not None])
    assert table_of(together) == table_of(whole)
    if hold_out:
        lines = [len(block) for block in blocks]
        assert (counter.parts()[1] is None) == (max(lines) < 5)


@given(letter_lines, st.integers(2, 4), st.permutations([1, 2, 3]))
def test_renumbered_counts_are_the_counts_of_renumbered_tokens(lines, order, new):
    stream = build_vocabulary(["abc"]).encode(lines)
    new_ids = np.array([0, *new], np.uint8)
    assert table_of(Counts.of(stream, order, 4).renumbered(new_ids)) == table_of(
        Counts.of(new_ids[stream], order, 4)
    )


def test_closed_form_discounts_are_chen_and_goodmans():
    counts = np.array([1] * 40 + [2] * 12 + [3] * 6 + [4] * 4 + [9])
    tokens = np.arange(1, len(counts) + 1, dtype=np.uint8)
    levels = build_levels(Counts([tokens], counts, 70))
    y = 40 / (40 + 2 * 12)
    expected = [0, 1 - 2 * y * 12 / 40, 2 - 3 * y * 6 / 12, 3 - 4 * y * 4 / 6]
    np.testing.assert_allclose(closed_form(levels).amounts[0], expected, rtol=1e-15)


@pytest.fixture
def objective(prepared):
    ends = np.flatnonzero(prepared.stream == 0)
    kept = Counts.of(prepared.stream[: ends[2000] + 1], 4, prepared.vocabulary.size)
    held_out = Counts.of(prepared.stream[ends[2000] :], 4, prepared.vocabulary.size)
    return _Objective(build_levels(kept), held_out)


def slopes_by_differences(function, free):
    h = 1e-5
    steps = np.eye(len(free)) * h
    return np.array([(function(free + step)[0] - function(free - step)[0]) / (2 * h) for step in steps])


def test_the_gradient_of_the_fit_is_right_and_a_wrong_one_is_caught(objective):
    free = np.random.default_rng(0).normal(0, 1, 16)
    gradient = objective(free)[1]
    numeric = slopes_by_differences(objective, free)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-3)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(gradient * 1.001, numeric, rtol=1e-5, atol=1e-3)


def test_the_fit_ends_where_no_discount_can_be_changed_for_the_better(prepared, objective):
    ends = np.flatnonzero(prepared.stream == 0)
    levels = build_levels(Counts.of(prepared.stream[: ends[2000] + 1], 4, prepared.vocabulary.size))
    held_out = Counts.of(prepared.stream[ends[2000] :], 4, prepared.vocabulary.size)
    from spellout.models.ngram.discounts import _to_free

    best = _to_free(fit(levels, held_out))
    value = objective(best)[0]
    assert value < objective(_to_free(closed_form(levels)))[0]
    for step in np.eye(len(best)) * 0.5:
        assert objective(best + step)[0] > value - 1.0
        assert objective(best - step)[0] > value - 1.0


def test_where_the_closed_form_would_discount_nothing_typical_discounts_stand_in():
    counts = np.array([1] * 5 + [2] * 2 + [3] * 60)  # 2 - 3 y n3 / n2 is far below zero
    levels = build_levels(Counts([np.arange(1, len(counts) + 1, dtype=np.uint8)], counts, 70))
    assert closed_form(levels).amounts[0].tolist() == [0.0, 0.5, 1.0, 1.5]


@pytest.mark.parametrize("kind", [np.uint8, np.int64])
@pytest.mark.parametrize("size", [5, 1 << 30])  # small enough to be packed into one number, and not
def test_rows_are_numbered_in_their_order(size, kind):
    columns = list(np.random.default_rng(3).integers(0, 5, (3, 200)).astype(kind))
    numbers, where = numbered_rows(columns, size)
    distinct, inverse = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
    assert np.array_equal(numbers, inverse)
    assert np.array_equal(np.stack(columns, axis=1)[where], distinct)


def test_the_curvature_is_the_sum_of_the_squared_slopes_of_every_row(prepared):
    ends = np.flatnonzero(prepared.stream == 0)
    levels = build_levels(Counts.of(prepared.stream[: ends[2000] + 1], 4, prepared.vocabulary.size))
    held_out = Counts.of(prepared.stream[ends[2000] : ends[2012] + 1], 4, prepared.vocabulary.size)
    free = np.random.default_rng(1).normal(0, 1, 16)
    expected = np.zeros((4, 4, 4))
    for row, count in enumerate(held_out.counts):
        columns = [column[row : row + 1] for column in held_out.columns]
        slopes = _Objective(levels, Counts(columns, np.ones(1, np.int64), 27))(free)[1].reshape(4, 4)
        expected += count * slopes[:, :, None] * slopes[:, None, :]
    np.testing.assert_allclose(_Objective(levels, held_out).curvature(free), expected, rtol=1e-9, atol=1e-12)
