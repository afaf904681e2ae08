"""Tokens that a pattern matches: those of SMILES, and lines that are read back."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.data.expressions.longest import Longest
from spellout.data.vocabulary.building import build_vocabulary
from spellout.data.vocabulary.patterns import NAMED, pattern_of
from spellout.data.vocabulary.pieces import Pieces
from spellout.data.vocabulary.stored import vocabulary_from_json
from spellout.errors import UsageError
from strategies import expressions


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
    assert (text == joined) == (Longest(expression).cut(joined) == [vocabulary.symbol(one) for one in made[1:-1]])


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
