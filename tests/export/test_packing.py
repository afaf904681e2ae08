"""What is packed comes back: tables, tensors, whole models; damage is told, and room is little."""

import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.errors import DataError
from spellout.export.exporting import portable
from spellout.export.html import read_html, written
from spellout.export.html.seven import bytes_of, text_of
from spellout.export.packing import tables, values
from spellout.export.packing.whole import pack, unpack
from spellout.export.reference import Reference
from spellout.export.step import Table
from spellout.models.ngram.counts import Counts, count_rows
from spellout.models.ngram.levels import build_levels
from spellout.training.config import TrainingConfig

LEVELS = ("keys", "offsets", "tokens", "counts")


def table_of(levels, columns):
    arrays = {name: tuple(getattr(level, name) for level in levels) for name in LEVELS}
    nothing = np.zeros(0)
    return Table(columns, nothing, **arrays, discounts=nothing, concentrations=nothing)


def same(one, other):
    assert one.columns == other.columns
    for name in LEVELS:
        for a, b in zip(getattr(one, name), getattr(other, name), strict=True):
            np.testing.assert_array_equal(a, b)


def counted(size, order, length, seed):
    """A table of random lines, whose tokens are unequally frequent."""
    random = np.random.default_rng(seed)
    stream = np.minimum(random.geometric(min(1.0, 4 / size), length), size) - 1
    stream[[0, -1]], stream[1] = 0, 1
    stream = stream[np.concatenate([[True], (stream[1:] != 0) | (stream[:-1] != 0)])]
    columns = tuple(f"c{back}" for back in range(1, order))
    return table_of(build_levels(Counts.of(stream.astype(np.uint16), order, size)), columns)


@settings(max_examples=25)
@given(st.integers(4, 900), st.integers(1, 5), st.integers(10, 3000), st.integers(0, 99))
def test_tables_come_back(size, order, length, seed):
    several = [counted(size, order, length, seed), counted(size, max(order - 1, 1), length, seed)]
    data, heads = tables.packed(several, size)
    for one, other in zip(several, tables.unpacked(data, heads, size), strict=True):
        same(one, other)


def test_a_table_whose_longer_contexts_lack_what_the_shorter_have_comes_back():
    """As pruning leaves it: contexts without entries, others gone, counts that do not sum up."""
    table = counted(30, 4, 4000, 1)
    keys, offsets, tokens, counts = (list(getattr(table, name)) for name in LEVELS)
    kept = np.arange(len(tokens[3])) % 3 > 0
    offsets[3] = np.concatenate([[0], np.cumsum(kept)])[offsets[3]]
    tokens[3], counts[3] = tokens[3][kept], counts[3][kept] + 7
    thin = replace(table, keys=tuple(keys), offsets=tuple(offsets), tokens=tuple(tokens), counts=tuple(counts))
    data, heads = tables.packed([thin], 30)
    same(thin, tables.unpacked(data, heads, 30)[0])


def test_names_take_a_third_less_than_deflate_needs(names):
    stream = Prepared.of(names, DataConfig()).stream
    table = table_of(build_levels(Counts.of(stream, 5, int(stream.max()) + 1)), ("c1", "c2", "c3", "c4"))
    data, _ = tables.packed([table], int(stream.max()) + 1)
    plain = b"".join(
        np.minimum(array, 255).astype(np.uint8).tobytes()
        for array in (
            *table.tokens,
            *table.counts,
            *map(np.diff, table.offsets),
            *(keys % 53 for keys in table.keys),
        )
    )
    assert 3 * len(data) < 2 * len(zlib.compress(plain, 9))


def test_counts_of_any_size_come_back():
    columns = [np.array([0, 1, 1, 2], np.uint8), np.array([1, 0, 2, 1], np.uint8)]
    rows = count_rows(columns, 3, np.array([1, 2**40, 3, 2**33 + 1]))
    table = table_of(build_levels(rows), ("c1",))
    same(table, tables.unpacked(*tables.packed([table], 3), 3)[0])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "uint8", "int32"])
@pytest.mark.parametrize("shape", [(7,), (5, 3), (0,), (1, 1)])
def test_arrays_come_back_in_their_type(dtype, shape):
    array = (np.random.default_rng(2).normal(size=shape) * 50).astype(dtype)
    data, head = values.packed(array)
    found, used = values.unpacked(memoryview(data + b"more"), head)
    assert (found.dtype, found.shape, used) == (array.dtype, array.shape, len(data))
    np.testing.assert_array_equal(found, array)


def test_a_matrix_rounded_to_int8_takes_a_byte_a_number():
    whole = np.random.default_rng(3).integers(-127, 128, (20, 40))
    whole[:, 0] = 127
    matrix = (whole * np.float32(0.015625 * 3)).astype(np.float32)
    data, head = values.packed(matrix)
    assert len(data) == 20 * 40 + 20 * 4
    np.testing.assert_array_equal(values.unpacked(memoryview(data), head)[0], matrix)


@given(st.binary(max_size=300))
def test_bytes_come_back_from_text_that_a_page_can_hold(data):
    text = text_of(data)
    assert not set(text) & set("\0\r<")
    assert bytes_of(text.encode().decode()) == data


@pytest.fixture(scope="module")
def made(names):
    data = Prepared.of(Lines.of(names.distinct[:300]), DataConfig())
    run = train(data, "counts:5:steps=10:first=yes", training=TrainingConfig(steps=10)).run
    return portable(
        run.model, run.vocabulary, name="a <b>", max_length=15, lines=run.lines, weights="int8", with_lines=True
    )


def test_a_whole_model_comes_back(made):
    found = unpack(pack(made))
    for name in ("name", "texts", "between", "labels", "shares", "never", "max_length", "about"):
        assert getattr(found, name) == getattr(made, name)
    assert found.lines == tuple(sorted(made.lines))
    assert (found.known.size, found.known.hashes, found.known.error) == (
        made.known.size,
        made.known.hashes,
        made.known.error,
    )
    np.testing.assert_array_equal(found.known.bits, made.known.bits)
    assert found.step.instructions == made.step.instructions
    tokens = np.random.default_rng(4).integers(0, len(made.texts), (3, 12))
    tokens[:, 0] = 0
    wanted, again = (Reference(one.step).log_probabilities(tokens) for one in (made, found))
    np.testing.assert_array_equal(again, wanted)


def test_packing_is_the_same_every_time(made):
    assert pack(made) == pack(made)


def test_damaged_bytes_are_told_in_one_sentence(made):
    data = pack(made)
    random = np.random.default_rng(6)
    for _ in range(40):
        broken = bytearray(data)
        broken[random.integers(len(data))] ^= 1 << int(random.integers(8))
        with pytest.raises(DataError, match=r"damaged \(.*\); export it again"):
            unpack(bytes(broken))
    for end in (0, 1, 50, len(data) - 1):
        with pytest.raises(DataError, match="damaged"):
            unpack(data[:end])


def test_bytes_that_someone_wrote_by_hand_do_no_harm(made):
    """The sum at the end fits, and what is in it does not: errors, and nothing written beside its arrays."""
    content = zlib.decompress(pack(made))
    random, told = np.random.default_rng(7), 0
    for _ in range(60):
        broken = bytearray(content)
        for place in random.integers(4, len(content), 3):
            broken[place] = int(random.integers(256))
        try:
            Reference(unpack(zlib.compress(bytes(broken))).step)
        except DataError:
            told += 1
    assert told > 5


def test_a_later_format_is_told(made):
    content = zlib.decompress(pack(made)).replace(b'{"format":1', b'{"format":2')
    with pytest.raises(DataError, match="format 2, and this version reads format 1; update spellout"):
        unpack(zlib.compress(content))


def test_the_page_gives_the_model_back(made, tmp_path):
    path = tmp_path / "names.html"
    path.write_bytes(written(made))
    assert read_html(path).texts == made.texts
    path.write_bytes(written(made)[: len(written(made)) // 3])
    with pytest.raises(DataError, match="only part of one"):
        read_html(path)
    path.write_text("<p>hello", "utf-8")
    with pytest.raises(DataError, match="no page that spellout wrote"):
        read_html(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_html(tmp_path / "none.html")
