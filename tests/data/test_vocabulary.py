import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.data.growing import GrowingAlphabet
from spellout.data.lines import Lines
from spellout.data.vocabulary.building import build_vocabulary
from spellout.data.vocabulary.characters import Characters
from spellout.data.vocabulary.codes import could_be_read, smallest_dtype
from spellout.data.vocabulary.pieces import Pieces
from spellout.data.vocabulary.stored import vocabulary_from_json
from spellout.data.vocabulary.words import WhiteSpace
from spellout.errors import DataError, UsageError
from strategies import clean_lines


@given(clean_lines, st.integers(0, 6))
def test_read_encode_decode_is_the_identity(tmp_path_factory, texts, most):
    path = tmp_path_factory.mktemp("identity") / "lines.txt"
    path.write_text("\n".join(texts), encoding="utf-8", newline="")
    lines = Lines.read(path)
    assert lines.in_file_order() == texts
    vocabularies = [
        build_vocabulary(lines.distinct),
        build_vocabulary(lines.distinct, "byte"),
        Characters.of(lines.distinct, most),
    ]
    for vocabulary in vocabularies:
        stream = vocabulary.encode(texts)
        assert stream.dtype == smallest_dtype(vocabulary.size)
        assert stream[0] == stream[-1] == 0
        assert int((stream == 0).sum()) == len(texts) + 1
        assert vocabulary.decode(stream) == texts
        assert vocabulary.decode(stream[1:]) == texts
        again = vocabulary_from_json(vocabulary.to_json())
        assert np.array_equal(again.encode(texts), stream)


@given(st.lists(st.lists(st.sampled_from(["new", "york", "old"]), min_size=1, max_size=4), min_size=1))
def test_words_come_back_joined_by_one_space(lines):
    texts = [" ".join(words) for words in lines]
    vocabulary = Pieces.of(WhiteSpace(), texts)
    assert vocabulary.decode(vocabulary.encode(texts)) == texts
    assert np.array_equal(vocabulary_from_json(vocabulary.to_json()).encode(texts), vocabulary.encode(texts))


def test_rare_words_share_one_token_that_is_never_sampled():
    vocabulary = build_vocabulary(["a b", "a c"], "word", min_count=2)
    assert vocabulary.size == 3
    assert vocabulary.never_sampled == (1,)
    assert vocabulary.encode(["a b zebra"]).tolist() == [0, 2, 1, 1, 0]
    assert vocabulary.symbol(1) == "<unknown>"


def test_words_that_are_all_rare_are_refused():
    with pytest.raises(DataError, match="lower --min-count"):
        build_vocabulary(["a b"], "word", min_count=2)


def test_ids_are_sorted_characters_after_the_boundary():
    vocabulary = build_vocabulary(["ba", "éa"])
    assert [vocabulary.symbol(token) for token in range(vocabulary.size)] == ["¶", "a", "b", "é"]
    assert vocabulary.encode(["ab", "é"]).tolist() == [0, 1, 2, 0, 3, 0]


def test_ten_thousand_characters_do_not_make_ten_thousand_tokens():
    lines = [chr(0x4E00 + i) for i in range(10_000)] + ["abc"] * 3
    vocabulary = build_vocabulary(lines)
    assert vocabulary.size < 2048 + 257
    assert vocabulary.decode(vocabulary.encode(lines)) == lines
    assert "<0x" in vocabulary.symbol(vocabulary.size - 1)


@pytest.mark.parametrize(("size", "dtype"), [(1, "u1"), (256, "u1"), (257, "u2"), (65536, "u2"), (65537, "u4")])
def test_tokens_have_the_smallest_unsigned_type(size, dtype):
    assert smallest_dtype(size) == np.dtype(dtype)


def test_an_unknown_character_is_named_with_its_line():
    vocabulary = build_vocabulary(["abc"])
    with pytest.raises(DataError, match=r"character 'z' in line 2 \('az'\)"):
        vocabulary.encode(["ab", "az"])
    with pytest.raises(DataError, match="character 'ß'"):
        build_vocabulary(["abc"], "byte").encode(["ß"])
    with pytest.raises(DataError, match="word 'dog' in 'a dog'"):
        build_vocabulary(["a cat"], "word").encode(["a dog"])
    with pytest.raises(DataError, match="word 'dog' in line 2"):
        build_vocabulary(["a cat"], "word").encode(["a cat", "a dog"])


def test_bytes_that_are_no_text_are_no_line():
    vocabulary = build_vocabulary(["é"], "byte")
    whole = vocabulary.encode(["é"])
    assert vocabulary.decode(whole[[0, 1, 3]]) == [None]


@pytest.mark.parametrize("line", ["", " a", "a ", "e\u0301", "\u3000a"])
def test_a_line_no_file_could_give_is_not_one(line):
    assert not could_be_read(line)


def test_units_and_their_options():
    with pytest.raises(UsageError, match="--min-count goes with --unit word"):
        build_vocabulary(["a"], "char", min_count=2)
    with pytest.raises(UsageError, match="no such unit"):
        build_vocabulary(["a"], "syllable")


@given(st.lists(clean_lines, min_size=1, max_size=4))
def test_a_growing_alphabet_ends_as_the_ordinary_vocabulary(blocks):
    alphabet = GrowingAlphabet()
    streams = [alphabet.encode("".join(line + "\n" for line in block)) for block in blocks]
    vocabulary, new_ids = alphabet.vocabulary()
    ordinary = build_vocabulary([line for block in blocks for line in block])
    assert vocabulary.to_json() == ordinary.to_json()
    for stream, block in zip(streams, blocks, strict=True):
        assert np.array_equal(new_ids[stream], ordinary.encode(block))


def test_vocabularies_of_earlier_versions_are_read():
    """As 0.1 wrote them, without what tells how likely something new is."""
    characters = vocabulary_from_json({"unit": "char", "characters": ["a", "é"], "bytes": []})
    assert characters.encode(["éa"]).tolist() == [0, 2, 1, 0]
    assert vocabulary_from_json({"unit": "byte", "characters": [], "bytes": [97]}).noun == "byte"
    words = vocabulary_from_json({"unit": "word", "words": ["new", "york"], "unknown": True})
    assert words.encode(["york old"]).tolist() == [0, 3, 1, 0]
    assert words.never_sampled == (1,)
