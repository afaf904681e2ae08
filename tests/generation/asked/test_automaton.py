"""An automaton accepts the lines that Python's `re` matches as a whole, whatever is put together."""

import re
import string
from functools import reduce
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spellout.errors import UsageError
from spellout.generation.asked.automaton import DEAD, of_lengths
from spellout.generation.asked.expression import deterministic, positions_of

LETTERS = "aB1 é"
LINES = ["".join(line) for size in range(5) for line in product(LETTERS, repeat=size)]
ATOMS = ["a", "B", "b", "é", "É", "1", " ", ".", r"\d", r"\w", r"\s", r"\W", "[a-z]", "[^aB]", "[]a]", r"[^\]1]",
         r"\x61", r"\u00e9", r"\.", "^", "$", r"\A", r"\Z", r"\141", "[^]a]", "{", "]"]  # fmt: skip


def letters_of(text):
    return [(letter,) for letter in text]


def automaton_of(pattern, letters=LETTERS):
    return deterministic(positions_of(pattern, "it"), letters_of(letters), "it").minimal()


def accepted(automaton, lines):
    """Which of some lines an automaton accepts, by walking letter by letter along its table."""
    table, accepts = automaton.next.tolist(), automaton.accepts.tolist()

    def end(line):
        return reduce(lambda state, letter: table[state][LETTERS.index(letter)], line, automaton.start)

    return [accepts[end(line)] for line in lines]


def patterns():
    atoms = st.sampled_from(ATOMS)
    times = st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{,2}", "{1,3}", "*?", "+?", "??", "{2,3}?"])

    def larger(inner):
        row = st.lists(inner, min_size=1, max_size=3).map("".join)
        opened = st.sampled_from(["(", "(?:", "(?i:", "(?a:", "(?-i:"])
        group = st.tuples(opened, row).map(lambda pair: f"{pair[0]}{pair[1]})")
        return st.one_of(
            row,
            group,
            st.lists(row, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
            st.tuples(st.one_of(group, atoms.filter(lambda one: one not in "^$\\A\\Z{")), times).map("".join),
        )

    flags = st.sampled_from(["", "(?i)", "(?s)", "(?a)"])
    return st.tuples(flags, st.recursive(atoms, larger, max_leaves=6)).map("".join)


@given(patterns())
@settings(max_examples=100, deadline=None)
@example("^a|B$|")
@example("(?:^|a)B")
@example("(?:a$)?B?")
@example("(^a)*B")
@example("(?:|^)+1")
def test_it_accepts_what_python_matches_as_a_whole(pattern):
    try:
        expected = re.compile(pattern)
    except re.error:
        return
    automaton = automaton_of(pattern)
    assert automaton.next[DEAD].max() == DEAD
    assert accepted(automaton, LINES) == [bool(expected.fullmatch(line)) for line in LINES]


@given(patterns(), patterns())
@settings(max_examples=50, deadline=None)
def test_of_two_it_accepts_what_both_accept_and_needs_no_two_states_that_are_alike(one, other):
    try:
        expected = re.compile(one), re.compile(other)
    except re.error:
        return
    both = automaton_of(one).both(automaton_of(other)).minimal()
    assert accepted(both, LINES) == [all(pattern.fullmatch(line) for pattern in expected) for line in LINES]
    # A line of so many letters tells any two states apart: with each letter, one class of states more is two.
    told = both.accepts[:, None]
    for _ in range(len(both)):
        told = np.unique(np.column_stack([both.accepts, told[both.next].reshape(len(both), -1)]), axis=1)
    assert len(np.unique(told, axis=0)) == len(both)


@given(st.integers(1, 4), st.one_of(st.none(), st.integers(0, 3)))
def test_lengths_are_counted(least, more):
    most = None if more is None else least + more
    automaton = of_lengths(least, most, len(LETTERS))
    assert accepted(automaton, LINES) == [least <= len(line) <= (most or len(line)) for line in LINES]
    assert automaton.minimal().shortest() == least


def test_minimal_automata_are_as_small_as_can_be_known():
    assert len(automaton_of(".*aB1.*")) == 5  # the dead state, and how much of it was seen
    assert len(automaton_of(".*aB1")) == 5
    assert len(automaton_of("(a|B)*|(B|a)*|[aB]{0,}")) == 2
    assert automaton_of("xyz").is_empty
    assert automaton_of("x|(?:B|y)z").shortest() is None


@given(patterns())
@settings(max_examples=50, deadline=None)
def test_states_that_lead_to_each_other_are_together_and_come_after_what_they_lead_to(pattern):
    try:
        re.compile(pattern)
    except re.error:
        return
    automaton = automaton_of(pattern)
    reach = np.eye(len(automaton), dtype=bool)
    for _ in automaton.next:
        reach |= reach[automaton.next].any(axis=1)
    groups = automaton.tied()
    assert sorted(np.concatenate([[0], *groups])) == list(range(len(automaton)))
    done = {DEAD}
    for group in groups:
        assert reach[np.ix_(group, group)].all()
        done |= set(group.tolist())
        assert set(np.flatnonzero(reach[group].any(axis=0)).tolist()) <= done
        assert (reach[np.ix_(sorted(done - set(group.tolist())), group)] == 0).all()


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        (r"(a)\1", "has a group come again"),
        (r"(?P<x>a)(?P=x)", "has a group come again"),
        (r"a(?=B)", "looks ahead or back"),
        (r"(?<!a)B", "looks ahead or back"),
        (r"a++", "what it does not give back"),
        (r"(?>a)", "keeps what it took"),
        (r"(a)?(?(1)B|c)", "asks whether"),
        (r"\bab", "border of a word"),
        (r"(?x) a b", "white space"),
        (r"(a", "not a regular expression"),
        (r"(?:(?:a{99}){99}){99}", "written out"),
        (r"(a|b)*a(a|b){20}", "states"),
        ("(" * 3000 + "a" + ")" * 3000, "groups in each other"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(pattern, reason):
    with pytest.raises(UsageError, match=rf"^--matches: .*{reason}"):
        deterministic(positions_of(pattern, "--matches"), letters_of(string.ascii_lowercase), "--matches")
