"""Sums that no order of adding up can change: against Python's whole numbers, and in other orders and shapes."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.models.arrays.exact import MOST, ExactLinear


def layer_of(seed, outputs, inputs, scale=1.0, bound=3.0):
    random = np.random.default_rng(seed)
    weight = (scale * random.standard_normal((outputs, inputs))).astype(np.float32)
    bias = (scale * random.standard_normal(outputs)).astype(np.float32)
    x = random.uniform(-bound, bound, (17, inputs)).astype(np.float32)
    x[0], x[1] = bound, -bound  # as large as may be
    return ExactLinear(weight, bias, bound), weight, bias, x


def exactly(layer, row):
    """The outputs of one row, added up in fractions."""
    sums = [
        sum(int(a) * int(w) for a, w in zip(row, column, strict=True)) + int(b)
        for column, b in zip(layer._weight.T, layer._bias, strict=True)
    ]
    return [Fraction(total) * Fraction(unit) for total, unit in zip(sums, layer._units.tolist(), strict=True)]


SIZES = st.integers(1, 200)
SCALES = st.sampled_from([1e-45, 1e-30, 1e-3, 1.0, 37.0, 1e30])


@given(SIZES, SIZES, SCALES, SCALES, st.integers(0, 9))
def test_no_sum_is_rounded(outputs, inputs, scale, bound, seed):
    layer, _, _, x = layer_of(seed, min(outputs, 5), inputs, scale, np.float32(bound))
    whole = layer.whole(x)
    made = layer(whole)
    for row, numbers in zip(whole[:4], made, strict=False):
        assert [Fraction(number) for number in numbers.tolist()] == exactly(layer, row.tolist())
    largest = np.abs(whole) @ np.abs(layer._weight) + np.abs(layer._bias)
    assert largest.max() <= MOST
    if inputs > 20 and scale > 1e-40:
        assert largest.max() > MOST / 64  # and nearly all of the bits are used


@given(SIZES, SIZES, st.integers(0, 9))
def test_neither_order_nor_shape_changes_a_bit(outputs, inputs, seed):
    layer, _, _, x = layer_of(seed, outputs, inputs)
    whole = layer.whole(x)
    together = layer(whole)
    random = np.random.default_rng(seed)
    assert np.array_equal(np.concatenate([layer(row[None]) for row in whole]), together)
    rows = random.permutation(len(whole))
    assert np.array_equal(layer(np.asfortranarray(whole[rows])), together[rows])
    columns = random.permutation(inputs)
    products = whole[:, columns][:, None, :] * layer._weight.T[:, columns]
    assert np.array_equal(np.cumsum(products, axis=2)[:, :, -1] + layer._bias, together / layer._units)


@given(SIZES, SIZES, SCALES, st.integers(0, 9))
def test_the_result_is_as_good_as_float32(outputs, inputs, scale, seed):
    layer, weight, bias, x = layer_of(seed, outputs, inputs, scale)
    expected = x.astype(np.float64) @ weight.T.astype(np.float64) + bias
    size = np.abs(weight).sum(axis=1, dtype=np.float64) * 3.0 + np.abs(bias)
    assert (np.abs(layer(layer.whole(x)) - expected) <= 2e-7 * size + 1e-60).all()


def test_last_bits_that_processors_differ_by_are_rounded_away():
    layer = layer_of(0, 3, 128, bound=1.0)[0]
    hidden = np.tanh(np.random.default_rng(0).standard_normal((300, 128)))
    for other in (np.nextafter(hidden, 2.0), np.nextafter(hidden, -2.0)):
        assert not np.array_equal(other, hidden)
        assert np.array_equal(layer.whole(other), layer.whole(hidden))


@pytest.mark.parametrize("bound", [0.0, 1.0, 1e-45])
def test_zeros_are_zeros(bound):
    layer = ExactLinear(np.zeros((3, 4)), np.zeros(3), bound)
    assert not layer(layer.whole(np.full((2, 4), bound))).any()


def test_a_bias_far_larger_than_the_products_is_kept():
    layer = ExactLinear(np.full((1, 4), 1e-20), np.array([1e20]), 1.0)
    assert layer(layer.whole(np.ones((1, 4))))[0, 0] == pytest.approx(1e20, rel=1e-15)
