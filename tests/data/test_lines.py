import hashlib
import random
from collections import Counter
from importlib import resources

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.data.lines import Lines
from spellout.data.splits import split_lines
from spellout.data.summary import Summary, bigram_table
from spellout.errors import DataError, UsageError
from strategies import clean_line, clean_lines


@given(clean_lines)
def test_lines_keep_order_and_repetition(texts):
    lines = Lines.of(texts)
    assert lines.in_file_order() == texts
    assert lines.distinct == list(dict.fromkeys(texts))
    assert lines.counts.tolist() == [texts.count(text) for text in lines.distinct]
    assert len(lines) == len(texts)


def test_repeated_lines_are_reported_most_first():
    lines = Lines.of(["a", "b", "a", "c", "c", "a"])
    assert lines.repeated() == [("a", 3), ("c", 2)]
    assert lines.repeated(most=1) == [("a", 3)]


def test_the_fingerprint_is_of_the_clean_text(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_bytes(b"\xef\xbb\xbfanna \r\n\r\nbob")
    assert Lines.read(path).fingerprint == hashlib.sha256(b"anna\nbob\n").hexdigest()


@pytest.mark.parametrize("content", [b"", b"\n\n  \n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(tmp_path, content):
    path = tmp_path / "lines.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match="holds no lines"):
        Lines.read(path)


def test_no_lines_and_one_string_are_refused():
    with pytest.raises(DataError, match="the given lines hold no lines"):
        Lines.of([])
    with pytest.raises(DataError, match="'abc' is one string; give a list of lines"):
        Lines.of("abc")


@pytest.mark.parametrize("text", ["", "a\nb"])
def test_what_is_not_one_line_is_refused(text):
    with pytest.raises(DataError, match="not one line"):
        Lines.of(["a", text])


def test_the_bundled_list_is_the_one_its_provenance_describes():
    folder = resources.files("spellout.data")
    raw = (folder / "names.txt").read_bytes()
    provenance = (folder / "names.md").read_text("utf-8")
    lines = Lines.bundled()
    assert hashlib.sha256(raw).hexdigest() in provenance
    assert f"{len(lines):,} distinct names" in provenance
    assert f"{len(raw):,} bytes" in provenance
    assert len(lines.distinct) == len(lines) == 29_910


@given(st.lists(clean_line, min_size=10, max_size=60).filter(lambda texts: len(set(texts)) > 1))
def test_the_lecture_split_is_the_lectures(texts):
    shuffled = list(texts)
    random.seed(42)
    random.shuffle(shuffled)
    n1, n2 = int(0.8 * len(shuffled)), int(0.9 * len(shuffled))
    split = split_lines(Lines.of(texts), "lecture")
    assert (split.train, split.dev, split.test) == (shuffled[:n1], shuffled[n1:n2], shuffled[n2:])


@given(st.lists(clean_line, min_size=10, max_size=60, unique=True), st.integers(0, 5))
def test_no_line_is_in_two_parts_of_the_distinct_split(texts, seed):
    split = split_lines(Lines.of(texts * 2), "distinct", seed)
    assert sorted(split.known) == sorted(texts)
    assert len(split.train) == int(0.8 * len(texts))
    assert split == split_lines(Lines.of(texts), "distinct", seed)


def test_another_seed_is_another_split(names):
    assert split_lines(names, seed=1).dev != split_lines(names, seed=2).dev


def test_none_keeps_every_line_as_it_stands():
    split = split_lines(Lines.of(["a", "b", "a"]), "none")
    assert (split.train, split.dev, split.test) == (["a", "b", "a"], [], [])


def test_few_lines_train_and_judge():
    split = split_lines(Lines.of(["a", "b", "c"]))
    assert split.train == split.dev == split.test == ["a", "b", "c"]


def test_splits_that_cannot_be_are_refused():
    with pytest.raises(DataError, match="only one line"):
        split_lines(Lines.of(["a", "a"]))
    with pytest.raises(UsageError, match="always uses seed 42"):
        split_lines(Lines.of(["a", "b"]), "lecture", seed=1)
    with pytest.raises(UsageError, match="no such split"):
        split_lines(Lines.of(["a", "b"]), "even")


def test_a_summary_counts_repeated_lines_as_often_as_they_stand():
    summary = Summary.of(Lines.of(["ab", "b", "ab", "abcd"]))
    assert (summary.lines, summary.distinct, summary.characters) == (4, 3, 9)
    assert (summary.shortest, summary.median_length, summary.longest) == ("b", 2, "abcd")
    assert summary.letters == [("b", 4), ("a", 3), ("c", 1), ("d", 1)]
    assert summary.repeated == [("ab", 2)]


def test_the_bigram_table_counts_pairs_with_boundaries():
    table = bigram_table(Lines.of(["ab", "ab", "ba"]), ["a", "b"])
    assert table.tolist() == [[0, 2, 1], [1, 0, 2], [2, 1, 0]]
    assert np.array_equal(bigram_table(Lines.of(["ab", "ab", "ba"]), ["a"]), [[0, 2], [1, 0]])


@given(clean_lines)
def test_a_summary_and_its_table_count_as_a_loop_does(texts):
    lines = Lines.of(texts)
    letters = Counter("".join(texts))
    assert Summary.of(lines).letters == sorted(letters.items(), key=lambda item: (-item[1], item[0]))
    shown = sorted(letters)[:5]
    pairs = Counter(pair for text in texts for pair in zip("\n" + text, text + "\n", strict=True))
    expected = [[pairs[first, second] for second in ["\n", *shown]] for first in ["\n", *shown]]
    assert bigram_table(lines, shown).tolist() == expected
