"""Tokens of a large text are in a file, and are the same; and the first lines of what is prepared."""

import tempfile
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.data import token_file
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.data.token_file import encoded
from spellout.data.vocabulary.building import build_vocabulary
from strategies import clean_lines


@given(clean_lines, st.sampled_from(["char", "byte", "word"]), st.integers(1, 5))
def test_a_file_holds_the_same_tokens(lines, unit, at_once):
    vocabulary = build_vocabulary(lines, unit)
    expected = vocabulary.encode(lines)
    with patch.object(token_file, "LARGE", 0), patch.object(token_file, "LINES_AT_ONCE", at_once):
        stream = encoded(vocabulary, lines)
    assert isinstance(stream.base, np.memmap)
    assert not stream.flags.writeable
    assert stream.dtype == expected.dtype
    assert np.array_equal(stream, expected)


def test_without_a_place_for_the_file_memory_takes_them(monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    monkeypatch.setattr(token_file, "LARGE", 0)
    vocabulary = build_vocabulary(["anna", "bob"])
    assert np.array_equal(encoded(vocabulary, ["bob"]), vocabulary.encode(["bob"]))


@pytest.mark.parametrize("tokens", [1, 7, 100, 10_000, 10**9])
def test_as_many_of_the_first_lines_as_have_so_many_tokens(prepared, tokens):
    part = prepared.within(tokens)
    lines = part.split.train
    assert lines == prepared.split.train[: len(lines)]
    assert np.array_equal(part.stream, prepared.vocabulary.encode(lines))
    assert (part.split.dev, part.vocabulary) == (prepared.split.dev, prepared.vocabulary)
    assert len(part.stream) <= tokens + 1 or len(lines) == 2
    assert (
        len(lines) == len(prepared.split.train)
        or len(part.stream) + len(prepared.split.train[len(lines)]) >= tokens
    )
    assert (part is prepared) == (tokens >= len(prepared.stream))


def test_a_split_by_files_can_be_taken_in_part(names):
    lines = Prepared.of(names, DataConfig(), dev=Lines.of(["anna", "bob"])).first(7)
    assert len(lines.split.train) == 7
    assert lines.stream[0] == lines.stream[-1] == 0
