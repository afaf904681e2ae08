"""Weights as they are stored, and the filter of training lines."""

import numpy as np
import pytest

from spellout.export.bloom import bloom_of, fnv1a, holds
from spellout.export.step import Instruction, Shape, Step, Table
from spellout.export.storing import as_int8, stored

MATRIX = np.random.default_rng(0).normal(size=(7, 33)) * np.geomspace(1e-6, 1e3, 7)[:, None]
STEP = Step(33, (Instruction("constant", (), ("b",)),), {"w": MATRIX, "b": MATRIX[0]})


def test_int8_rounds_to_a_255th_of_the_largest_of_a_row():
    whole, scales = as_int8(MATRIX)
    assert whole.dtype == np.int8
    assert np.abs(whole).max(axis=1).tolist() == [127] * 7
    largest = np.abs(MATRIX).max(axis=1, keepdims=True)
    assert (np.abs(whole * scales[:, None].astype(float) - MATRIX) <= largest / 253).all()


def test_what_was_stored_as_int8_gives_back_its_integers_and_scales():
    matrix = stored(STEP, "int8").tensors["w"]
    assert matrix.dtype == np.float32
    for once, again in zip(as_int8(MATRIX), as_int8(matrix), strict=True):
        np.testing.assert_array_equal(once, again)
    whole, scales = as_int8(matrix)
    np.testing.assert_array_equal(whole.astype(np.float64) * scales[:, None], matrix.astype(np.float64))


def test_a_row_of_zeros_stays_one():
    np.testing.assert_array_equal(stored(Step(2, (), {"w": np.zeros((2, 3))}), "int8").tensors["w"], 0.0)


@pytest.mark.parametrize(("weights", "kind"), [("float32", np.float32), ("float16", np.float16)])
def test_other_types_round_each_element(weights, kind):
    tensors = stored(STEP, weights).tensors
    np.testing.assert_array_equal(tensors["w"], MATRIX.astype(kind))
    assert tensors["w"].dtype == kind
    assert tensors["b"].dtype == np.float32


def test_what_is_too_large_for_a_half_stays_single():
    step = Step(2, (), {"w": np.array([[1.0, 7e4], [0.1, 0.0]])})
    np.testing.assert_array_equal(stored(step, "float16").tensors["w"], step.tensors["w"].astype(np.float32))


def test_tables_and_shapes_keep_their_counts_and_round_what_is_a_number():
    one = np.zeros(1, np.int64)
    table = Table((), one, (one,), (np.array([0, 1]),), (one,), (one + 300,), np.full((1, 4), 0.1), np.full(1, 0.3))
    step = stored(Step(1, (), {}, {"t": table}, {"s": Shape(one, one[None], np.full((1, 1), 0.1))}), "int8")
    assert step.tables["t"].counts[0].tolist() == [300]
    assert step.tables["t"].concentrations[0] == np.float32(0.3)
    assert step.shapes["s"].log_factors[0, 0] == np.float32(0.1)


def test_the_hash_is_that_of_its_authors():
    """Values of Noll's tables of FNV-1a, 64 bits."""
    assert fnv1a(["", "a", "foobar"]).tolist() == [0xCBF29CE484222325, 0xAF63DC4C8601EC8C, 0x85944171F73967E8]


def test_the_filter_holds_every_line_and_one_in_a_hundred_of_others():
    lines = [f"line {number} é" for number in range(20_000)]
    bloom = bloom_of(lines)
    assert holds(bloom, lines).all()
    assert len(bloom.bits) == bloom.size // 8 == 25_000
    wrong = holds(bloom, [f"other {number}" for number in range(50_000)]).mean()
    assert 0.005 < bloom.error < 0.01
    assert abs(wrong - bloom.error) < 0.002


def test_a_bit_of_the_filter_is_where_its_description_says():
    bloom = bloom_of(["anna"])
    found = 0xCBF29CE484222325
    for byte in b"anna":
        found = (found ^ byte) * 0x100000001B3 % 2**64
    first, second = found % 2**32, found >> 32 | 1
    places = {(first + i * second) % bloom.size for i in range(bloom.hashes)}
    there = {b for b in range(bloom.size) if bloom.bits[b >> 3] >> (b & 7) & 1}
    assert there == places
