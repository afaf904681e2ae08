"""Tokens that a pattern matches: the automaton against Python's own `re`, and lines that are read back."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.data.vocabulary.automaton import LONGEST_TOKEN, Automaton
from spellout.data.vocabulary.building import build_vocabulary
from spellout.data.vocabulary.patterns import NAMED, pattern_of
from spellout.data.vocabulary.pieces import Pieces
from spellout.data.vocabulary.stored import vocabulary_from_json
from spellout.errors import UsageError

atoms = st.sampled_from(
    [
        "a",
        "b",
        "c",
        ".",
        "[ab]",
        "[^a]",
        "[a-b1]",
        "[^\\d]",
        r"\d",
        r"\D",
        r"\w",
        r"\W",
        r"\s",
        r"\S",
        r"\.",
        r"\x61",
    ]
)
counts = st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{,2}", "{0,1}", "{1,3}", "{0}"])
expressions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda choices: f"(?:{'|'.join(choices)})"),
        st.tuples(inner, counts).map(lambda both: f"(?:{both[0]}){both[1]}"),
        inner.map(lambda one: f"({one}|)"),
    ),
    max_leaves=6,
)
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
    assert Automaton(expression).cut(text) == cut_by_re(expression, text)


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
            Automaton(expression)
        return
    assert theirs
    assert Automaton(expression).cut(text + "a-]^bz1") == cut_by_re(expression, text + "a-]^bz1")


def test_the_longest_match_is_taken_whatever_is_written_first():
    assert Automaton("a|ab|abc").cut("abcab") == ["abc", "ab"]
    assert Automaton("abcd|ab").cut("abcx") == ["ab", "c", "x"]


def test_a_token_has_an_end():
    pieces = Automaton("a*").cut("a" * (2 * LONGEST_TOKEN + 1))
    assert list(map(len, pieces)) == [LONGEST_TOKEN, LONGEST_TOKEN, 1]


@pytest.mark.parametrize("expression", ["(a|a)*b", "(a*)*b", "(a+a+)+b", "((a?){50}a{50})+b", "(.*)*(.*)*x"])
def test_patterns_that_keep_others_busy_for_years_are_matched_at_once(expression):
    assert len(Automaton(expression).cut("a" * 3000)) == 3000


def test_what_is_forgotten_is_found_again(monkeypatch):
    monkeypatch.setattr("spellout.data.vocabulary.automaton.MOST_STEPS", 2)
    text = "abcabcab" * 3
    assert Automaton("abc|ab|ca").cut(text) == cut_by_re("abc|ab|ca", text)


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


def test_smiles_are_cut_as_their_authors_cut_them():
    """As the expression of Schwaller et al. 2018 does, which names the atoms of one letter too."""
    theirs = r"\[[^\]]+]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|/|:|~|@|\?|>|\*|\$|%[0-9]{2}|[0-9]"
    ours = pattern_of("smiles")
    for line in (
        "CC(=O)Oc1ccccc1C(=O)O",
        "C[C@@H](N)C(=O)O.[Na+].[Cl-]",
        "ClCCBr",
        "C1CC%12CC%12C1",
        r"F/C=C\F",
        "B(O)(O)c1ccc(Br)cc1[N+](=O)[O-]",
    ):
        assert ours.cut(line) == re.findall(theirs, line)
    assert ours.cut("C%(123)[C") == ["C", "%(123)", "[", "C"]
    assert ours.flag == "--tokens smiles"
    assert pattern_of(NAMED["smiles"]).flag == "--tokens smiles"


lines_of_tokens = st.lists(st.text("abc1", min_size=1, max_size=8), min_size=1, max_size=6)


@given(lines_of_tokens, expressions)
def test_read_encode_decode_is_the_identity(lines, expression):
    vocabulary = build_vocabulary(lines, tokens=expression)
    stream = vocabulary.encode(lines)
    assert vocabulary.decode(stream) == lines
    assert vocabulary.decode(stream[1:]) == lines
    again = vocabulary_from_json(vocabulary.to_json())
    assert np.array_equal(again.encode(lines), stream)
    assert again.to_json() == vocabulary.to_json()


@given(lines_of_tokens, expressions, st.lists(st.integers(0, 1000), min_size=1, max_size=6))
def test_what_is_made_reads_back_as_it_was_made_or_is_no_line(lines, expression, numbers):
    vocabulary = build_vocabulary(lines, tokens=expression)
    made = np.array([0, *(1 + number % (vocabulary.size - 1) for number in numbers), 0])
    (text,) = vocabulary.decode(made)
    joined = "".join(vocabulary.symbol(token) for token in made[1:-1])
    assert (text == joined) == (Automaton(expression).cut(joined) == [vocabulary.symbol(one) for one in made[1:-1]])


def test_what_would_be_read_as_other_tokens_is_no_line():
    vocabulary = Pieces(pattern_of("Cl"), ["C", "Cl", "l"])
    assert vocabulary.decode(np.array([0, 1, 3, 0, 2, 0, 3, 1, 0])) == [None, "Cl", "lC"]


def test_a_strangers_pattern_is_checked_before_it_is_used():
    stored = build_vocabulary(["abc"], tokens="ab").to_json()
    for pattern in ("(a", "(a{400}){400}", None, 3):
        with pytest.raises((ValueError, TypeError)):
            vocabulary_from_json(stored | {"pattern": pattern})


def test_a_pattern_and_a_unit_do_not_go_together():
    with pytest.raises(UsageError, match="both say what a token is"):
        build_vocabulary(["a"], "word", tokens="smiles")
