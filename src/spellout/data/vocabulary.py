"""Between lines of text and token ids.

Token 0 is the boundary: it starts and ends every line. Lines are encoded into one flat stream,
`0 line 0 line 0 ... 0`, in the smallest unsigned type that holds every id: never one-hot, never padded.

`Characters` has one token a character. A file may hold 10,000 different characters; beyond `MOST_CHARACTERS`
the rarest are spelled in UTF-8 bytes (byte fallback, Kudo & Richardson 2018, "SentencePiece"), so that the
vocabulary stays small and encoding still loses nothing. Bytes are the same with no characters at all. `Words`
has one token for each word, and one for all words rarer than `min_count`, which is never sampled.

A vocabulary is made of the training lines, and other lines may hold what has no token: `read` says where it stands,
and `escape` how likely that is.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import numpy as np

from ..errors import DataError
from .config import Unit, check_unit
from .escape import Escape, Reading

MOST_CHARACTERS = 2048
UNKNOWN_WORD = "<unknown>"
LINES_AT_ONCE = 1 << 16
_HALVES = "surrogatepass"  # a byte of a command line that is not UTF-8 becomes a character, though never known


class Vocabulary(Protocol):
    """What every vocabulary does."""

    unit: Unit
    size: int
    """Number of tokens, the boundary included."""
    never_sampled: tuple[int, ...]
    """Tokens that stand for nothing in particular."""
    escape: Escape
    """How likely it is to meet what has no token."""

    def read(self, lines: Sequence[str]) -> Reading:
        """Give the stream of what is known of some lines, and what is not known of them."""

    def encode(self, lines: Sequence[str]) -> np.ndarray:
        """The stream `0 line 0 line 0`, shape (1 + tokens + lines,). `DataError` names what is not known."""

    def pieces(self, line: str) -> list[str]:
        """The characters or words of a line: each is known or not, whatever stands beside it."""

    def decode(self, tokens: np.ndarray) -> list[str | None]:
        """The lines of a stream; None for one that reading a file could never give."""

    def symbol(self, token: int) -> str:
        """How a token is shown to people."""

    def counted(self, lines: Sequence[str]) -> Vocabulary:
        """Give the same tokens, with what the training lines, which they all are, tell of what is new."""

    def to_json(self) -> dict[str, Any]:
        """Everything needed to build the vocabulary again, by `vocabulary_from_json`."""


def smallest_dtype(size: int) -> np.dtype[Any]:
    """The smallest unsigned integer type that holds the ids 0 to size - 1."""
    return np.min_scalar_type(max(size - 1, 0))


def code_points(text: str) -> np.ndarray:
    """The code of every character, uint8 for ASCII text, else uint32."""
    if text.isascii():
        # a byte a character is a quarter of the memory, and the faster lookup
        return np.frombuffer(text.encode("ascii"), np.uint8)
    return np.frombuffer(text.encode("utf-32-le", _HALVES), np.uint32)


def times_of_codes(parts: Iterable[tuple[np.ndarray, np.ndarray | None]]) -> np.ndarray:
    """How often each code stands in some parts, by code; each place counts as its weight, if there are weights.

    Line ends, code 10, are not counted.
    """
    times: np.ndarray = np.zeros(128, np.int64)
    for codes, weights in parts:
        here: np.ndarray = np.bincount(codes, weights, minlength=len(times))
        # bincount gives at least as many as asked for, and more where a higher code stands
        here[: len(times)] += times
        times = here
    times[10] = 0
    return times


def could_be_read(line: str) -> bool:
    """Whether reading a file could give this line: not blank, trimmed, one line, composed characters."""
    return bool(line) and line == line.strip() and unicodedata.is_normalized("NFC", line)


class Characters:
    """Characters, and UTF-8 bytes for those that have no token of their own.

    Ids: 0 the boundary, then the characters in the given order, then the bytes in the given order.
    """

    never_sampled: tuple[int, ...] = ()

    def __init__(
        self, characters: Iterable[str], fallback_bytes: Iterable[int] = (), escape: Escape | None = None
    ) -> None:
        self.characters = list(characters)
        self.bytes = list(fallback_bytes)
        self.unit: Unit = "char" if self.characters else "byte"
        self._symbols = ["¶", *self.characters, *(f"<0x{byte:02X}>" for byte in self.bytes)]
        self.size = len(self._symbols)
        self.escape = escape or Escape(self.size, 0)
        self.dtype = smallest_dtype(self.size)
        highest = max(map(ord, ["\n", *self.characters]))
        self._token_of_code = np.full(max(highest + 2, 256), -1, np.int32)  # the last is nobody's
        self._token_of_code[[10, *map(ord, self.characters)]] = np.arange(1 + len(self.characters))
        self._token_of_byte = np.full(256, -1, np.int32)
        self._token_of_byte[[10, *self.bytes]] = [0, *range(1 + len(self.characters), self.size)]
        self._spelling = [b"\n", *(c.encode() for c in self.characters), *(bytes([b]) for b in self.bytes)]

    @classmethod
    def of(cls, lines: Iterable[str], most: int = MOST_CHARACTERS) -> Characters:
        """The characters of some lines, sorted; beyond `most` different ones, the rarest as bytes."""
        lines = list(lines)
        counts = times_of_codes((code_points(block), None) for block in _in_blocks(lines))
        used = np.flatnonzero(counts)
        # stable: of equally frequent characters those with the lower code come first, whatever the NumPy
        used = used[np.argsort(-counts[used], kind="stable")]
        by_count = list(map(chr, used))
        rare: Counter[int] = Counter()
        for character in by_count[most:]:
            for byte in character.encode():
                rare[byte] += int(counts[ord(character)])
        escape = Escape.of_counts(np.array([len(lines), *counts[used[:most]], *rare.values()]))
        return cls(sorted(by_count[:most]), sorted(rare), escape)

    def counted(self, lines: Sequence[str]) -> Characters:
        """Give the same tokens, with what some lines tell of what is new."""
        counts = np.bincount(self.read(lines).stream[1:], minlength=self.size)
        return Characters(self.characters, self.bytes, Escape.of_counts(counts))

    def read(self, lines: Sequence[str]) -> Reading:
        """Give the stream of the characters that are known, and those that are not."""
        letters = set().union(*lines)
        sizes = {one: -1 if (tokens := self._encode_text(one)) is None else len(tokens) for one in letters}
        strange = {one for one, size in sizes.items() if size < 0}
        if not strange:
            return Reading.of(self.encode(lines), [])
        known, found = list(lines), []
        for number, line in enumerate(lines):
            if not strange.isdisjoint(line):  # seldom, so only such a line is taken to pieces
                known[number], before = "".join(one for one in line if one not in strange), 0
                for one in line:
                    if one in strange:
                        found.append((one, number, before))
                    else:
                        before += sizes[one]
        return Reading.of(self.encode(known), found)

    def encode(self, lines: Sequence[str]) -> np.ndarray:
        """The stream `0 line 0 line 0`; `DataError` names a character that is not known."""
        parts = [np.zeros(1, self.dtype)]
        for number, block in enumerate(_in_blocks(lines)):
            tokens = self._encode_text(block)
            if tokens is None:
                raise self._unknown(lines, number * LINES_AT_ONCE)
            parts.append(tokens)
        return np.concatenate(parts)

    def pieces(self, line: str) -> list[str]:
        """The line's characters."""
        return list(line)

    def _encode_text(self, text: str) -> np.ndarray | None:
        """Tokens of a text whose lines end with newlines; None if it holds something unknown."""
        if not self.characters:
            tokens = self._token_of_byte[np.frombuffer(text.encode(errors=_HALVES), np.uint8)]
            return None if (tokens < 0).any() else tokens.astype(self.dtype)
        codes = code_points(text)
        if codes.itemsize > 1:
            codes = np.minimum(codes, len(self._token_of_code) - 1)
        tokens = self._token_of_code[codes]
        without = np.flatnonzero(tokens < 0)
        if not len(without):
            return tokens.astype(self.dtype)
        pieces: list[np.ndarray] = []
        done = 0
        for place in without:
            spelled = self._token_of_byte[list(text[place].encode(errors=_HALVES))]
            pieces += [tokens[done:place], spelled]
            done = int(place) + 1
        tokens = np.concatenate([*pieces, tokens[done:]])
        return None if (tokens < 0).any() else tokens.astype(self.dtype)

    def _unknown(self, lines: Sequence[str], first: int) -> DataError:
        for number, line in enumerate(lines[first:], first + 1):
            for character in line:
                if self._encode_text(character) is None:
                    where = f"line {number} ({line[:40]!r})" if len(lines) > 1 else repr(line[:40])
                    return DataError(
                        f"the character {character!r} in {where} is not in any of the lines the model was "
                        "trained on; take it out, or train on lines that have it"
                    )
        raise AssertionError("encode failed, but every character is known")

    def decode(self, tokens: np.ndarray) -> list[str | None]:
        """The lines of a stream, which may or may not start with a boundary; None for what no file could give."""
        raw = b"".join(map(self._spelling.__getitem__, tokens.tolist()))
        raw = raw.removeprefix(b"\n").removesuffix(b"\n")
        return [_strict(line) for line in raw.split(b"\n")]

    def symbol(self, token: int) -> str:
        """The character, `¶` for the boundary, `<0xE9>` for a byte."""
        return self._symbols[token]

    def to_json(self) -> dict[str, Any]:
        """Give the unit, the characters and the bytes in the order of their tokens, and how likely others are."""
        tokens = {"characters": self.characters, "bytes": self.bytes}
        return {"unit": self.unit, **tokens, "seen": asdict(self.escape)}


class Words:
    """White-space separated words. Ids: 0 the boundary, 1 the unknown word if there is one, then the words."""

    unit: Unit = "word"

    def __init__(
        self, words: Iterable[str], unknown: bool, escape: Escape | None = None, rare: Iterable[str] = ()
    ) -> None:
        self.words = list(words)
        self.unknown = unknown
        self.never_sampled: tuple[int, ...] = (1,) if unknown else ()
        self._symbols = ["¶", *([UNKNOWN_WORD] if unknown else []), *self.words]
        self.size = len(self._symbols)
        self.escape = escape or Escape(self.size, 0)
        self.rare = list(rare)
        """What new words may look like: those that have no token, or were seen once, in the training lines."""
        self.dtype = smallest_dtype(self.size)
        self._token_of_word = dict(zip(self.words, range(1 + unknown, self.size), strict=True))

    @classmethod
    def of(cls, lines: Iterable[str], min_count: int = 1) -> Words:
        """The words of some lines, sorted; those seen fewer than `min_count` times become one unknown word."""
        lines = list(lines)
        counts = Counter(word for line in lines for word in line.split())
        words = sorted(word for word, count in counts.items() if count >= min_count)
        if not words:
            raise DataError(f"no word stands {min_count} times or more in these lines; use a lower --min-count")
        return cls(words, len(words) < len(counts))._counted(counts, len(lines))

    def counted(self, lines: Sequence[str]) -> Words:
        """Give the same tokens, with what some lines tell of what is new."""
        return self._counted(Counter(word for line in lines for word in line.split()), len(lines))

    def _counted(self, counts: Counter[str], lines: int) -> Words:
        escape = Escape.of_counts(np.array([lines, *counts.values()]))
        most = max((count for word, count in counts.items() if word not in self._token_of_word), default=1)
        rare = sorted(word for word, count in counts.items() if count <= most)
        return Words(self.words, self.unknown, escape, rare)

    def read(self, lines: Sequence[str]) -> Reading:
        """Give the stream of the words that are known, or of the unknown word, and those that are not known."""
        tokens = [0]
        found: list[tuple[str, int, int]] = []
        for number, line in enumerate(lines):
            if "\n" in line:
                raise _not_one_line([line])
            start = len(tokens)
            for word in line.split():
                token = self._token_of_word.get(word)
                if token is None:
                    found.append((word, number, len(tokens) - start))
                    if self.unknown:
                        tokens.append(1)
                else:
                    tokens.append(token)
            tokens.append(0)
        return Reading.of(np.array(tokens, self.dtype), found)

    def encode(self, lines: Sequence[str]) -> np.ndarray:
        """Give the stream `0 line 0 line 0`; a new word is the unknown word if there is one, else a `DataError`."""
        reading = self.read(lines)
        if reading.pieces and not self.unknown:
            line = int(reading.lines[0])
            where = f"line {line + 1}" if len(lines) > 1 else repr(lines[0][:40])
            raise DataError(
                f"the word {reading.pieces[0][:40]!r} in {where} is not in any of the lines "
                "the model was trained on; take it out, or train with --min-count 2, so that rare words share one"
            )
        return reading.stream

    def pieces(self, line: str) -> list[str]:
        """The line's words."""
        return line.split()

    def decode(self, tokens: np.ndarray) -> list[str | None]:
        """The lines of a stream, their words joined by one space; None for what no file could give."""
        lines: list[str | None] = []
        ends = np.flatnonzero(tokens == 0)
        for start, end in zip([0, *(ends[:-1] + 1)], ends, strict=True):
            # nothing before the first boundary is the start of the stream, and no blank line
            if end > start or start > 0:
                text = " ".join(self._symbols[token] for token in tokens[start:end])
                lines.append(text if could_be_read(text) else None)
        return lines

    def symbol(self, token: int) -> str:
        """The word, `¶` for the boundary, `<unknown>` for the unknown word."""
        return self._symbols[token]

    def to_json(self) -> dict[str, Any]:
        """Give the unit, the words in the order of their tokens, whether there is an unknown word, and of new ones
        what tells how likely they are and what they may look like."""
        tokens = {"words": self.words, "unknown": self.unknown}
        return {"unit": self.unit, **tokens, "seen": asdict(self.escape), "rare": self.rare}


def build_vocabulary(lines: Iterable[str], unit: Unit = "char", min_count: int = 1) -> Vocabulary:
    """The vocabulary of some lines by unit; `min_count` is for words."""
    check_unit(unit, min_count)
    if unit == "word":
        return Words.of(lines, min_count)
    return Characters.of(lines, most=0 if unit == "byte" else MOST_CHARACTERS)


def vocabulary_from_json(stored: dict[str, Any]) -> Vocabulary:
    """The inverse of `to_json`. Raises KeyError, TypeError or ValueError if `stored` is not such a thing."""
    seen = stored.get("seen")  # the runs of earlier versions do not say
    escape = seen and Escape(*(_whole(seen[name]) for name in ("tokens", "once")))
    if stored["unit"] == "word":
        words, rare = (_all_different(stored.get(name, []), _is_word) for name in ("words", "rare"))
        return Words(words, bool(stored["unknown"]), escape, rare)
    characters = _all_different(stored["characters"], lambda one: isinstance(one, str) and len(one) == 1)
    encoded = _all_different(stored["bytes"], lambda one: type(one) is int and 0 <= one < 256)
    if "\n" in characters or 10 in encoded:
        raise ValueError("the end of a line is a token")
    return Characters(characters, encoded, escape)


def _is_word(word: Any) -> bool:
    return isinstance(word, str) and word.split() == [word]


def _whole(number: Any) -> int:
    if type(number) is not int:
        raise ValueError(f"{str(number)[:40]} is no whole number")
    return number


def _all_different(tokens: Any, sound: Callable[[Any], bool]) -> list[Any]:
    if not isinstance(tokens, list) or not all(map(sound, tokens)) or len(set(tokens)) < len(tokens):
        raise ValueError("the tokens are not a list of different ones")
    "".join(map(str, tokens)).encode()  # half a surrogate pair is no character: ValueError
    return tokens


def _in_blocks(lines: Sequence[str]) -> Iterator[str]:
    for start in range(0, len(lines), LINES_AT_ONCE):
        # many lines in one text: a call of NumPy for each line would take longer than the work
        some = lines[start : start + LINES_AT_ONCE]
        block = "\n".join(some) + "\n"
        if block.count("\n") != len(some):
            raise _not_one_line(some)
        yield block


def _not_one_line(lines: Sequence[str]) -> DataError:
    """The error for lines of which one has an end inside: it would become two without a word."""
    line = next(line for line in lines if "\n" in line)
    return DataError(f"{line[:40]!r} is not one line; take the line end out")


def _strict(raw: bytes) -> str | None:
    try:
        line = raw.decode()
    except UnicodeDecodeError:
        return None
    return line if could_be_read(line) else None
