"""Graphemes: where Unicode cuts, and lines that are made of whole ones."""

import subprocess
import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.data.expressions.longest import LONGEST_TOKEN
from spellout.data.vocabulary.building import build_vocabulary
from spellout.data.vocabulary.graphemes import Graphemes, clusters, joins
from spellout.data.vocabulary.pieces import Pieces
from spellout.data.vocabulary.stored import vocabulary_from_json
from strategies import clean, clean_lines

WAVE, DARK, FAMILY = "👋🏽", "\U0001f3ff", "👨\u200d👩\u200d👧\u200d👦"
EMOJI = ["👋", "\U0001f3fd", "👩", "\u200d", "👧", "❤", "\ufe0f", "🇩", "🇪"]
JOINED = [*EMOJI, "क", "्", "ष", "ि", "न", " ", "ที่", "a", "\u0301"]
"""What joins with what stands beside it, and what does not."""


@pytest.mark.parametrize(
    "parts",
    [
        ["a", "b"],
        ["a\u0308", "b"],  # an accent belongs to the letter before it
        ["\u0308", "a"],  # and stands alone where there is none
        [" \u0308", " "],
        [WAVE, WAVE],  # a hand and its tone
        ["a" + DARK, "👋"],  # a tone is a mark of whatever stands before it
        [FAMILY],
        ["a\u200d", "👧"],  # a joiner joins emoji only
        ["❤\ufe0f\u200d🔥"],
        ["🇩🇪", "🇫🇷"],  # pairs, from the left
        ["🇩🇪", "🇫"],
        ["a", "🇩🇪", "🇫🇷", "🇮", "b"],
        ["🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"],  # England, in tags
        ["1\ufe0f\u20e3"],
        ["\u1100\u1161\u11a8", "\u1100"],  # Hangul, letter by letter
        ["\uac00\u11a8", "\uac01"],
        ["\u0e17\u0e35\u0e48", "\u0e19\u0e35\u0e48"],  # Thai: marks above, two of them
        ["\u0e40", "\u0e01", "\u0e32"],  # vowels beside are letters of their own
        ["\u0e01\u0e33"],  # but SARA AM is a mark
        ["\u0915\u094d\u0924"],  # GB9c: a conjunct of Hindi
        ["\u0915\u094d\u0924\u094d\u092f"],
        ["\u0915\u094d\u200d\u0924"],  # also with a joiner in it
        ["\u0915\u093c\u094d\u0924"],
        ["\u0915\u094d", "a"],  # and nothing but a consonant joins
        ["\u0915", "\u0924"],
        ["\u0928\u093f", "\u0928\u0940"],
        ["\u0600\u0661"],  # a sign before Arabic digits
    ],
)
def test_clusters_end_where_unicode_says(parts):
    """Cases of Unicode's own kind, by the rules of its Annex 29 (GB3 to GB13)."""
    assert clusters("".join(parts)) == parts


def emoji_lines(size):
    text = st.lists(st.sampled_from(JOINED), min_size=1, max_size=size).map("".join).map(clean).filter(bool)
    return st.lists(text, min_size=1, max_size=8)


@given(emoji_lines(8) | clean_lines)
def test_read_encode_decode_is_the_identity(lines):
    vocabulary = build_vocabulary(lines, "grapheme")
    stream = vocabulary.encode(lines)
    assert vocabulary.decode(stream) == lines
    assert [vocabulary.symbol(token) for token in stream if token] == [
        one for line in lines for one in clusters(line)
    ]
    again = vocabulary_from_json(vocabulary.to_json())
    assert np.array_equal(again.encode(lines), stream)
    assert again.to_json() == vocabulary.to_json()


@given(emoji_lines(5), emoji_lines(5))
def test_other_lines_are_read_with_what_is_new_named_as_a_whole(lines, others):
    vocabulary = build_vocabulary(lines, "grapheme")
    for line in others:
        pieces = vocabulary.pieces(line)
        assert "".join(pieces) == line
        reading = vocabulary.read([line])
        assert reading.pieces == [one for one in pieces if one not in vocabulary.known]
        if reading.pieces:
            assert pieces == clusters(line)


@given(emoji_lines(6), st.lists(st.integers(0, 1000), min_size=1, max_size=8))
def test_what_is_made_reads_back_as_it_was_made_or_is_no_line(lines, numbers):
    """Of any sequence of tokens: a text has one reading, so no known line is made anew in other tokens."""
    vocabulary = build_vocabulary(lines, "grapheme")
    made = np.array([0, *(1 + number % (vocabulary.size - 1) for number in numbers), 0])
    (text,) = vocabulary.decode(made)
    if text is not None:
        assert np.array_equal(vocabulary.encode([text]), made)
        assert "".join(vocabulary.symbol(token) for token in made[1:-1]) == text


def test_two_tokens_that_are_another_one_side_by_side_are_no_line():
    vocabulary = Pieces(Graphemes(), ["👋", "\U0001f3fd", WAVE])
    assert vocabulary.decode(np.array([0, 1, 2, 0])) == [None]
    assert vocabulary.decode(np.array([0, 3, 0, 2, 1, 0])) == [WAVE, "\U0001f3fd👋"]


def test_a_letter_under_a_hundred_accents_is_cut():
    line = "x" + "\u0301" * 250
    assert list(map(len, clusters(line))) == [LONGEST_TOKEN, LONGEST_TOKEN, 51]
    vocabulary = build_vocabulary([line, "e"], "grapheme")
    assert vocabulary.decode(vocabulary.encode([line])) == [line]
    with pytest.raises(ValueError, match="different ones"):
        vocabulary_from_json(vocabulary.to_json() | {"pieces": [line]})


def test_no_part_of_a_grapheme_comes_after_another_one():
    """Lines may begin with a mark, which is a token then; beside a syllable that has one it would make none."""
    vocabulary = Pieces(Graphemes(), ["नी", "ि", "न", "🇩", "🇪🇫", "\t"])
    for tokens, line in (
        ([2, 3], "िन"),
        ([1, 2], None),
        ([3, 2], None),
        ([3, 6, 2, 3], "न\tिन"),
        ([4, 3, 4], "🇩न🇩"),
        ([4, 4], None),
        ([5, 4], "🇪🇫🇩"),
        ([4, 5], None),
    ):
        assert vocabulary.decode(np.array([0, *tokens, 0])) == [line]


def test_what_joins_does_so_in_unicodes_tables():
    """A part that were none would be refused in the middle of a line."""
    every = (
        chr(code)
        for start, stop in ((0x20, 0x3400), (0xA000, 0xD800), (0xE000, 0x12000), (0x1E000, 0x20000))
        for code in range(start, stop)
    )
    parts = [one for one in every if joins(one)]
    assert len(parts) > 1500
    assert [one for one in parts if unicodedata.category(one) != "Cn" and clusters(f"é{one}") != [f"é{one}"]] == []


def test_a_run_reads_its_lines_for_ever_whatever_unicode_joins_later():
    """Before Unicode 15.1 a conjunct was two clusters. A vocabulary of those still reads them as two."""
    vocabulary = Pieces(Graphemes(), ["क्", "ष", "य"])
    assert clusters("क्षय") == ["क्ष", "य"]
    assert vocabulary.encode(["क्षय"]).tolist() == [0, 1, 2, 3, 0]
    assert vocabulary.decode(np.array([0, 1, 2, 3, 0])) == ["क्षय"]


def test_a_run_needs_no_tables_and_a_training_says_what_to_install():
    code = """
import sys
sys.modules["regex"] = None
from spellout.data.vocabulary.stored import vocabulary_from_json
stored = {"unit": "grapheme", "pieces": ["न", "नि"], "unknown": False, "seen": {"tokens": 9, "once": 1}, "rare": []}
vocabulary = vocabulary_from_json(stored)
assert vocabulary.decode(vocabulary.encode(["निन", "ननि"])) == ["निन", "ननि"]
from spellout.app.cli import run_command
sys.exit(run_command(["train", "-", "-o", "unwritten", "--unit", "grapheme"]))
"""
    done = subprocess.run([sys.executable, "-c", code], input="anna\nbob\n", capture_output=True, text=True)
    assert done.returncode == 2
    assert "--unit grapheme needs regex, which is not installed: pip install 'spellout[graphemes]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "damage",
    [{"pieces": ["a", "a"]}, {"pieces": ["a\nb"]}, {"pieces": [""]}, {"rare": "ab"}, {"seen": {"tokens": 1}}],
)
def test_a_damaged_vocabulary_is_refused(damage):
    stored = build_vocabulary(["ab", "b"], "grapheme").to_json()
    with pytest.raises((ValueError, KeyError)):
        vocabulary_from_json(stored | damage)
