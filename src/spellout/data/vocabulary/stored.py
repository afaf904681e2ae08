"""The vocabulary of a run folder: anyone may have written it, so it is checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..escape import Escape
from ..expressions.longest import LONGEST_TOKEN
from ..labels import Labelled
from ..sources.config import TAB
from .characters import Characters
from .graphemes import Graphemes
from .patterns import Pattern
from .pieces import Pieces
from .protocol import Vocabulary
from .words import WhiteSpace


def vocabulary_from_json(stored: dict[str, Any]) -> Vocabulary:
    """Invert `to_json`. KeyError, TypeError or ValueError if `stored` is not such a thing."""
    found, times = _without_labels(stored), stored.get("labels")
    if times is None:
        return found
    sound = isinstance(times, dict) and times and all(type(n) is int and n > 0 for n in times.values())
    if not sound or any(TAB in label or "\n" in label or not label for label in times):
        raise ValueError("the labels are not those of lines")
    return Labelled(found, times)


def _without_labels(stored: dict[str, Any]) -> Vocabulary:
    seen = stored.get("seen")  # the runs of earlier versions do not say
    escape = seen and Escape(*(_whole(seen[name]) for name in ("tokens", "once")))
    if stored["unit"] == "word":
        words, rare = (_all_different(stored.get(name, []), _is_word) for name in ("words", "rare"))
        return Pieces(WhiteSpace(), words, bool(stored["unknown"]), escape, rare)
    if stored["unit"] in ("grapheme", "token"):
        rule = Graphemes() if stored["unit"] == "grapheme" else Pattern(stored["pattern"])
        pieces, rare = (_all_different(stored[name], _is_piece) for name in ("pieces", "rare"))
        return Pieces(rule, pieces, bool(stored["unknown"]), escape, rare)
    characters = _all_different(stored["characters"], lambda one: isinstance(one, str) and len(one) == 1)
    encoded = _all_different(stored["bytes"], lambda one: type(one) is int and 0 <= one < 256)
    if "\n" in characters or 10 in encoded:
        raise ValueError("the end of a line is a token")
    return Characters(characters, encoded, escape)


def _is_word(word: Any) -> bool:
    return isinstance(word, str) and word.split() == [word]


def _is_piece(piece: Any) -> bool:
    return isinstance(piece, str) and 0 < len(piece) <= LONGEST_TOKEN and "\n" not in piece


def _whole(number: Any) -> int:
    if type(number) is not int:
        raise ValueError(f"{str(number)[:40]} is no whole number")
    return number


def _all_different(tokens: Any, sound: Callable[[Any], bool]) -> list[Any]:
    if not isinstance(tokens, list) or not all(map(sound, tokens)) or len(set(tokens)) < len(tokens):
        raise ValueError("the tokens are not a list of different ones")
    "".join(map(str, tokens)).encode()  # half a surrogate pair is no character: ValueError
    return tokens
