"""Shared hypothesis strategies: lines as a file could hold them."""

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
