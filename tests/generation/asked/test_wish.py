"""What was asked is understood before anything is made: the letters, all wishes together, and what cannot be."""

import re
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.data.vocabulary.building import build_vocabulary
from spellout.errors import DataError, SpelloutError, UsageError
from spellout.generation.asked.config import Asked
from spellout.generation.asked.wish import Wish
from spellout.generation.asked.writing import writing_of

NAMES = ["Anna", "Hannah", "Nan", "Ann Lee", "Bo"]
WORDS = ["the cat sat", "a cat", "the end"]


@pytest.mark.parametrize(
    ("length", "lengths"), [("5-8", (5, 8)), ("5", (5, 5)), ("5-", (5, None)), ("-8", (1, 8)), (None, (1, None))]
)
def test_lengths_are_understood(length, lengths):
    assert Asked(length=length).lengths == lengths


@pytest.mark.parametrize("length", ["8-5", "0", "x", "-", "", "5--8", "3000", "1-3000", "٣"])
def test_lengths_that_cannot_be_are_a_sentence(length):
    with pytest.raises(UsageError, match="--length"):
        Asked(length=length)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "length": st.sampled_from(["1", "2-3", "3-", "-4"]),
            "ends": st.sampled_from(["n", "na", "N", " l"]),
            "contains": st.sampled_from(["a", "nn", "An"]),
            "matches": st.sampled_from(["[A-Z].*", "(?i)(an)+", r"\w+ \w+", ".*", "n*"]),
            "case": st.sampled_from(["lower", "upper", "title", "as-in-list"]),
        },
    )
)
def test_an_automaton_takes_no_line_away_that_is_as_was_asked(wishes):
    """Without a case that depends on what stands before it also takes all others away."""
    vocabulary = build_vocabulary(NAMES)
    try:
        wish = Wish.of(Asked(**wishes), vocabulary, NAMES)
    except SpelloutError:
        wish = None
    lines = ["".join(line) for size in range(1, 5) for line in product("An aL", repeat=size)]
    lines = [line for line in {*lines, *NAMES} if line == line.strip()]
    if wish is None:
        some = {name: value for name, value in wishes.items() if name in ("ends", "contains", "matches", "length")}
        return _check_none(lines, wishes, some)
    loose = wishes.get("case") in ("title", "as-in-list")
    for line in lines:
        written = wish.written(line)
        if wish.automaton is not None:
            accepted = bool(wish.automaton.accepts[wish.automaton.walk(vocabulary.encode([line])[1:-1].tolist())])
            assert accepted or not wish.is_so(written)
            assert loose or accepted == wish.is_so(written)
        assert wish.is_so(written) == _is_so(written, wishes)


def _check_none(lines, wishes, some):
    write = writing_of(wishes.get("case"), NAMES) or str
    assert some
    assert not any(_is_so(write(line), some) for line in lines)


def _is_so(line, wishes):
    low, high = Asked(length=wishes.get("length")).lengths
    return (
        low <= len(line) <= (high or len(line))
        and line.endswith(wishes.get("ends", ""))
        and wishes.get("contains", "") in line
        and re.fullmatch(wishes.get("matches", ".*"), line) is not None
    )


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"ends": "x"}, r"--ends x: 'x' is in none of the lines"),
        ({"contains": "EA"}, r"--contains EA: no line is written so; these lines know --contains ea"),
        ({"matches": "[xyz]+"}, r"--matches \[xyz\]\+: no line of the letters that the model knows matches"),
        ({"matches": "a "}, "never begin or end with white space"),
        ({"matches": ""}, "--matches"),
        ({"length": "3", "ends": "anna"}, "--length 3 --ends anna: no line is all of that"),
        ({"length": "2", "contains": "B", "ends": "Bo", "matches": "b.*"}, "no line"),
        ({"length": "40-"}, "the longest line has 7 characters"),
        ({"length": "5", "matches": "(?:a|n)*a(?:a|n){30}"}, "ask for less"),
    ],
)
def test_what_cannot_be_is_a_sentence(wishes, sentence):
    with pytest.raises((UsageError, DataError), match=sentence):
        Wish.of(Asked(**wishes), build_vocabulary(NAMES), NAMES)


def test_a_prefix_that_leads_nowhere_is_a_sentence():
    with pytest.raises(UsageError, match=r"--prefix Bo --length 2 --ends n: .*leave one out"):
        Wish.of(Asked(ends="n", length="2"), build_vocabulary(NAMES), NAMES, prefix="Bo")
    Wish.of(Asked(ends="n", length="3"), build_vocabulary(NAMES), NAMES, prefix="Bo")


def test_words_are_spelled():
    vocabulary = build_vocabulary(WORDS, "word")
    wish = Wish.of(Asked(length="7-", ends="at", contains="t c"), vocabulary, WORDS)
    words = vocabulary.known
    for size in (1, 2, 3):
        for line in product(words, repeat=size):
            accepted = wish.automaton.accepts[
                wish.automaton.walk(vocabulary.encode([" ".join(line)])[1:-1].tolist())
            ]
            assert accepted == wish.is_so(" ".join(line))
    with pytest.raises(UsageError, match="--length 2"):
        Wish.of(Asked(length="2"), vocabulary, WORDS)
    rare = build_vocabulary(WORDS, "word", min_count=2)
    wish = Wish.of(Asked(contains="t"), rare, WORDS)
    assert not wish.automaton.accepts[wish.automaton.next[:, 1]].any()  # the unknown word is in no line


def test_bytes_are_no_letters():
    wish = Wish.of(Asked(length="3"), build_vocabulary(NAMES, "byte"), NAMES)
    assert wish.automaton is None
    assert wish.is_so("Nan")
    assert not wish.is_so("Anna")


def test_lines_to_avoid_are_compared_as_people_would(tmp_path):
    file = tmp_path / "avoid.txt"
    file.write_text("  Anna \n\nAme\u0301lie\n", encoding="utf-8")
    wish = Wish.of(Asked(avoid=str(file)), build_vocabulary(NAMES), NAMES)
    assert wish.automaton is None
    assert not wish.will_do("Anna")
    assert not wish.will_do("Amélie")
    assert wish.will_do("anna")
    file.write_text("the  end\n", encoding="utf-8")
    wish = Wish.of(Asked(avoid=str(file)), build_vocabulary(WORDS, "word"), WORDS)
    assert not wish.will_do("the end")
    with pytest.raises(DataError, match="no such file"):
        Wish.of(Asked(avoid=str(tmp_path / "none")), build_vocabulary(NAMES), NAMES)


@pytest.mark.parametrize(
    ("case", "line", "written"),
    [
        ("lower", "Ann LEE", "ann lee"),
        ("upper", "straße", "STRASSE"),
        ("title", "ann-marie o'NEIL don't", "Ann-Marie O'Neil Don't"),
        ("title", "éMILE", "Émile"),
        ("as-in-list", "SUctiaRe", "Suctiare"),
        ("as-in-list", "McDonald", "McDonald"),
        ("as-in-list", "Bach von Thal", "Bach von Thal"),
        ("as-in-list", "bach vON thal", "Bach von thal"),
        ("as-in-list", "12 ab", "12 Ab"),
    ],
)
def test_lines_are_written_as_was_asked(case, line, written):
    known = ["Emma", "McDonald", "Otto von Gut", "Ida von Tal", "Ed am Rhein"]
    assert writing_of(case, known)(line) == written


def test_what_is_asked_is_asked_of_the_line_as_it_is_written():
    vocabulary = build_vocabulary(NAMES)
    wish = Wish.of(Asked(case="upper", ends="ANNA"), vocabulary, NAMES)
    assert wish.is_so(wish.written("Anna"))
    assert wish.automaton.accepts[wish.automaton.walk(vocabulary.encode(["Anna"])[1:-1].tolist())]
    assert np.array_equal(
        wish.automaton.next[:, vocabulary.encode(["a"])[1]], wish.automaton.next[:, vocabulary.encode(["A"])[1]]
    )
    with pytest.raises(DataError, match="these lines know --ends ANNA"):
        Wish.of(Asked(case="upper", ends="anna"), vocabulary, NAMES)
