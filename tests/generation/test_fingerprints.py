"""Sets of fingerprints know the lines that were added to them, as sets of lines do."""

from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.generation.drawing import fingerprints
from spellout.generation.drawing.fingerprints import Fingerprints
from spellout.generation.novelty import only

lines = st.lists(st.text("ab", max_size=5), max_size=60)


@given(lines, lines, st.sampled_from([2, 4, 12]))
def test_it_is_a_set(first, then, smallest):
    with patch.object(fingerprints, "_SMALLEST_BITS", smallest):
        found, reference = Fingerprints(first), set(first)
        for line in then:
            assert (line in found) == (line in reference)
            assert found.add(line) == (line not in reference)
            reference.add(line)
        assert len(found) == len(reference)
        assert all(line in found for line in reference)


class Crowded(str):
    """Many of them want the same few places, at the end of the table."""

    def __hash__(self):
        return -1 - len(self) % 3 - 8 * len(self)


@pytest.mark.parametrize("count", [3, 40, 300])
def test_lines_that_want_the_same_place_are_told_apart(count):
    crowd = [Crowded("a" * length) for length in range(1, 2 * count)]
    with patch.object(fingerprints, "_SMALLEST_BITS", 4):
        found = Fingerprints(crowd[::2])
        assert [line in found for line in crowd] == [number % 2 == 0 for number in range(len(crowd))]
        assert [found.add(line) for line in crowd] == [number % 2 == 1 for number in range(len(crowd))]
        assert all(line in found for line in crowd)


def test_it_takes_few_bytes_of_many_lines():
    found = Fingerprints(str(number) for number in range(50_000))
    for number in range(50_000, 100_000):
        assert found.add(str(number))
    assert found.nbytes <= 23 * 100_000
    assert not any(str(number) in found for number in range(100_000, 101_000))


@given(lines, lines, st.booleans(), st.booleans())
def test_only_accepts_what_a_set_of_lines_would(known, made, novel, unique):
    accept, refused = only(unlike=known if novel else None, unique=unique), set(known if novel else [])
    for line in made:
        assert accept(line) == (line not in refused)
        if unique:
            refused.add(line)
