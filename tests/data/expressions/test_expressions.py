"""Expressions that are read, and a sentence for those that are not."""

import re
from itertools import product

import pytest

from spellout.data.expressions.positions import Positions
from spellout.data.expressions.reading import read
from spellout.data.vocabulary.patterns import pattern_of
from spellout.errors import UsageError


def matches(positions, text):
    """Whether a whole text is matched, by the positions after each character."""
    following, matched = positions.start()
    for one in text:
        following, matched = positions.reached(following & positions.fitting(one))
    return matched


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "a(?#b)*B",
        "a*(?#b)",
        "(?#a)(?i)(?s)b",
        "(?i:a(?-i:B))*",
        r"(?a:\w)|(?u:\w)a",
        r"(?P<x>a)\x42|\N{LATIN SMALL LETTER E WITH ACUTE}",
        r"\141?[^\]\141]",
        "a{,}é",
        "a{}|{,|a{1,é",
        "a{0}B",
        "(?:^|a)(?:$)?B",
        "^$|(?:a|$)(?:^a|B)",
        "(?m)^a+?$",
    ],
)
def test_lines_are_matched_as_re_matches_them(expression):
    expected, positions = re.compile(expression), Positions(read(expression, lines=True))
    for text in ("".join(text) for size in range(5) for text in product("aBé{}", repeat=size)):
        assert matches(positions, text) == bool(expected.fullmatch(text)), text


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("", "it is empty"),
        ("(a", "a ( that no ) closes, at character 1"),
        ("a)", "a ) that no ( opens, at character 2"),
        ("[a", "a [ that no ] closes, at character 1"),
        ("*a", "nothing stands before * to be repeated"),
        ("a**", "a repetition of a repetition"),
        ("a+?", "no repetition is lazy"),
        ("a{2}+", "no repetition is lazy or possessive"),
        ("a{3,2}", "whose most is less than its least"),
        ("a{99999999999999}", "a repetition of more than"),
        ("(a{400}){400}", "written out, are longer"),
        ("^a", "stands for a place"),
        ("a$", "stands for a place"),
        (r"\bа", r"\b is not known"),
        (r"(a)\1", r"\1 is not known"),
        ("a\\", "is not known"),
        ("(?i)a", "of groups only"),
        ("(?=a)", "of groups only"),
        ("[z-a]", "a range that goes from nothing to nothing"),
        (r"[a-\d]", "a range that goes from nothing to nothing"),
        (r"\u12", "a code that stands for no character"),
        (r"\U00110000", "a code that stands for no character"),
        ("(" * 1000 + ")" * 1000, "longer than 1,000 characters"),
        ("(" * 400 + ")" * 400, "groups in each other"),
        ("a\nb", "must be one line"),
    ],
)
def test_what_is_no_expression_is_one_sentence(expression, sentence):
    with pytest.raises(UsageError) as caught:
        pattern_of(expression)
    assert sentence in str(caught.value)
    assert "--tokens" in str(caught.value)
    assert len(str(caught.value)) < 250
