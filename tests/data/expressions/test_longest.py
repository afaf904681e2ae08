"""The longest matches of an expression, against Python's own `re`, in a time that no expression makes long."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.data.expressions.longest import LONGEST_TOKEN, Longest
from strategies import expressions

texts = st.text(st.sampled_from("abc1 .é\t"), max_size=7)


def cut_by_re(expression, text):
    """At each place the longest match, by trying every end."""
    pieces, start = [], 0
    while start < len(text):
        ends = range(len(text), start + 1, -1)
        end = next((end for end in ends if re.compile(expression).fullmatch(text, start, end)), start + 1)
        pieces.append(text[start:end])
        start = end
    return pieces


@given(expressions, texts)
def test_the_automaton_finds_what_re_finds(expression, text):
    assert Longest(expression).cut(text) == cut_by_re(expression, text)


@given(
    st.sampled_from(["", "]", "^", "^]", "]-"]),
    st.lists(st.sampled_from(["a", "-", "^", "b", "z", "1", r"\]", r"\d"]), min_size=1, max_size=5),
    texts,
)
def test_classes_are_read_as_re_reads_them(begin, inside, text):
    inside = re.sub("-+", "-", begin + "".join(inside))  # of two, `re` warns that they may mean something one day
    expression = f"[{inside}]+"
    try:
        theirs = re.compile(expression)
    except re.error:
        with pytest.raises(ValueError, match="at character"):
            Longest(expression)
        return
    assert theirs
    assert Longest(expression).cut(text + "a-]^bz1") == cut_by_re(expression, text + "a-]^bz1")


def test_the_longest_match_is_taken_whatever_is_written_first():
    assert Longest("a|ab|abc").cut("abcab") == ["abc", "ab"]
    assert Longest("abcd|ab").cut("abcx") == ["ab", "c", "x"]


def test_a_token_has_an_end():
    pieces = Longest("a*").cut("a" * (2 * LONGEST_TOKEN + 1))
    assert list(map(len, pieces)) == [LONGEST_TOKEN, LONGEST_TOKEN, 1]


@pytest.mark.parametrize("expression", ["(a|a)*b", "(a*)*b", "(a+a+)+b", "((a?){50}a{50})+b", "(.*)*(.*)*x"])
def test_patterns_that_keep_others_busy_for_years_are_matched_at_once(expression):
    assert len(Longest(expression).cut("a" * 3000)) == 3000


def test_what_is_forgotten_is_found_again(monkeypatch):
    monkeypatch.setattr("spellout.data.expressions.longest.MOST_STEPS", 2)
    text = "abcabcab" * 3
    assert Longest("abc|ab|ca").cut(text) == cut_by_re("abc|ab|ca", text)
