"""What lines of a list usually agree on, and how a line that does not is told in a phrase.

Each convention gives every line a value; a value that few lines have is a sign. None of them is right or wrong by
itself: in a list of headers a header is as it should be.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from .patterns import LETTERS, script_of

_CASES = {
    "none": "no letters",
    "small": "no capitals",
    "capitals": "all in capitals",
    "one": "a small letter before a capital",
    "words": "a capital begins each word",
    "first": "a capital begins only the first word",
    "mixed": "capitals inside words",
}
_DIGITS = {
    "": "no digits",
    "0": "nothing but digits",
    "0a": "digits before letters",
    "a0": "digits after letters",
    "0a0": "letters between digits",
    "a0a": "digits among letters",
}


@dataclass(frozen=True)
class Convention:
    """Something that lines agree on.

    Attributes:
        name: how it is called in data.
        value: what a line has, from the line and its pattern.
        phrase: the sentence for a value that is rare, from the value and the usual one; empty for a value that is
            no sign.
    """

    name: str
    value: Callable[[str, str], Hashable]
    phrase: Callable[[Hashable, Hashable], str]


def values_of(convention: Convention, lines: Sequence[str], patterns: Sequence[str]) -> list[Hashable]:
    """Give the value of each line."""
    return [convention.value(line, pattern) for line, pattern in zip(lines, patterns, strict=True)]


def usual(values: Sequence[Hashable]) -> Hashable:
    """Give the value that most lines have."""
    return Counter(values).most_common(1)[0][0]


def _case(line: str, pattern: str) -> str:
    small = "a" in pattern or "α" in pattern
    capital = "A" in pattern or "Ω" in pattern
    if not (small or capital):
        return "none" if "l" not in pattern else "no case"
    if not capital:
        return "small"
    if not small:
        return "capitals"
    words = re.findall(r"[aAαΩ]+", pattern.replace("m", ""))
    if any(re.search("[AΩ]", word[1:]) for word in words):
        return "mixed"
    begun = [word[0] in "AΩ" for word in words]
    if all(begun):
        return "words"
    return "first" if begun[0] and not any(begun[1:]) else "mixed" if not begun[0] else "some"


def _scripts(line: str, pattern: str) -> Hashable:
    if line.isascii():
        return ("Latin",) if any(letter in pattern for letter in "aAl") else ()
    return tuple(sorted({script_of(one) for one, kind in zip(line, pattern, strict=True) if kind in LETTERS}))


def _digits(line: str, pattern: str) -> str:
    return re.sub(r"(.)\1+", r"\1", "".join("0" if one == "0" else "a" for one in pattern if one in LETTERS + "0"))[
        :4
    ]


def _end(kind: str) -> str:
    """Of the first or last character: itself if it is no letter, mark or digit."""
    return "letter" if kind in LETTERS + "m" else "digit" if kind == "0" else kind


def _rest(line: str, pattern: str) -> Hashable:
    return tuple(sorted(set(pattern) - set(LETTERS + "0m ")))


def _markup(line: str, pattern: str) -> str:
    if "&" in line and (found := re.search(r"&(#\d+|#x[\da-fA-F]+|\w+);", line)) and html.unescape(line) != line:
        return f"{found[0]} as in HTML"
    if "<" in line and (found := re.search(r"</?[A-Za-z][^<>]*>", line)):
        return f"{found[0]} as in HTML"
    if "%" in line and (found := re.search(r"(%[0-9A-Fa-f]{2})+", line)):
        return f"{found[0]} as in addresses of the web"
    return ""


def _decoded(line: str, pattern: str) -> str:
    """Say what a text is that was read with a wrong encoding; nothing of one that was not."""
    if line.isascii():
        return ""
    for encoding in ("cp1252", "latin-1"):
        try:
            return line.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
    return "\ufffd" if "\ufffd" in line else ""


def _scripts_phrase(value: Hashable, common: Hashable) -> str:
    assert isinstance(value, tuple)
    assert isinstance(common, tuple)
    if not value:
        return "no letters"
    new = [script for script in value if script not in common]
    if len(value) > 1:
        return f"letters of {' and '.join(value)} together"
    return f"{value[0]} letters" if new else ""


def _case_phrase(value: Hashable, common: Hashable) -> str:
    if value in ("no case", "some"):
        return ""
    if value == "small" and common in ("words", "first"):
        return "begins with a small letter"
    return _CASES[str(value)]


def _end_phrase(verb: str) -> Callable[[Hashable, Hashable], str]:
    def phrase(value: Hashable, common: Hashable) -> str:
        return f"{verb} {f'a {value}' if value in ('letter', 'digit') else repr(value)}"

    return phrase


def _rest_phrase(value: Hashable, common: Hashable) -> str:
    assert isinstance(value, tuple)
    assert isinstance(common, tuple)
    more = [one for one in value if one not in common] or [one for one in common if one not in value]
    verb = "has" if any(one not in common for one in value) else "lacks"
    return f"{verb} {' '.join(map(repr, more[:3]))}"


def _words_phrase(value: Hashable, common: Hashable) -> str:
    return f"{value} word{'s' * (value != 1)}, most have {common}"


def _digits_phrase(value: Hashable, common: Hashable) -> str:
    return _DIGITS.get(str(value), "no digits" if value == "a" else "digits and letters by turns")


def _decoded_phrase(value: Hashable, common: Hashable) -> str:
    return (
        f"read in a wrong encoding, it may be {value}" if value != "\ufffd" else "holds a character that was lost"
    )


CONVENTIONS = (
    Convention("case", _case, _case_phrase),
    Convention("script", _scripts, _scripts_phrase),
    Convention("beginning", lambda line, pattern: _end(pattern[0]), _end_phrase("begins with")),
    Convention("ending", lambda line, pattern: _end(pattern[-1]), _end_phrase("ends with")),
    Convention("digits", _digits, _digits_phrase),
    Convention("marks", _rest, _rest_phrase),
    Convention("words", lambda line, pattern: pattern.count(" ") + 1, _words_phrase),
    Convention("markup", _markup, lambda value, common: str(value)),
    Convention("encoding", _decoded, _decoded_phrase),
)
