"""Shared hypothesis strategies: lines as a file could hold them, and regular expressions of tokens."""

import unicodedata

from hypothesis import strategies as st


def clean(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


any_line = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"), max_size=12)
"""What a person might put on a line: any Unicode, also blank or with white space around it."""

clean_line = any_line.map(clean).filter(bool)
clean_lines = st.lists(clean_line, min_size=1, max_size=12)
letters = st.text("abc", min_size=1, max_size=6)
letter_lines = st.lists(letters, min_size=2, max_size=15)

_atoms = st.sampled_from(
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
_counts = st.sampled_from(["*", "+", "?", "{2}", "{1,}", "{,2}", "{0,1}", "{1,3}", "{0}"])
expressions = st.recursive(
    _atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda choices: f"(?:{'|'.join(choices)})"),
        st.tuples(inner, _counts).map(lambda both: f"(?:{both[0]}){both[1]}"),
        inner.map(lambda one: f"({one}|)"),
    ),
    max_leaves=6,
)
