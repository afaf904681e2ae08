"""Characters, and UTF-8 bytes.

A file may hold 10,000 different characters; beyond `MOST_CHARACTERS` the rarest are spelled in UTF-8 bytes (byte
fallback, Kudo & Richardson 2018, "SentencePiece"), so that the vocabulary stays small and encoding still loses
nothing. Bytes are the same with no characters at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ...errors import DataError
from ..escape import Escape, Reading
from .codes import HALVES, LINES_AT_ONCE, code_points, could_be_read, smallest_dtype, times_of_codes
from .protocol import not_one_line

MOST_CHARACTERS = 2048


class Characters:
    """Characters, and UTF-8 bytes for those that have no token of their own.

    Ids: 0 the boundary, then the characters in the given order, then the bytes in the given order.
    """

    never_sampled: tuple[int, ...] = ()
    between = ""
    rare: list[str] | None = None

    def __init__(
        self, characters: Iterable[str], fallback_bytes: Iterable[int] = (), escape: Escape | None = None
    ) -> None:
        self.characters = list(characters)
        self.bytes = list(fallback_bytes)
        self.noun = "character" if self.characters else "byte"
        self.flag = "--unit char" if self.characters else "--unit byte"
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

    @property
    def known(self) -> list[str]:
        """The characters."""
        return self.characters

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
            tokens = self._token_of_byte[np.frombuffer(text.encode(errors=HALVES), np.uint8)]
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
            spelled = self._token_of_byte[list(text[place].encode(errors=HALVES))]
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
        return {"unit": "char" if self.characters else "byte", **tokens, "seen": asdict(self.escape)}


def _in_blocks(lines: Sequence[str]) -> Iterator[str]:
    for start in range(0, len(lines), LINES_AT_ONCE):
        # many lines in one text: a call of NumPy for each line would take longer than the work
        some = lines[start : start + LINES_AT_ONCE]
        block = "\n".join(some) + "\n"
        if block.count("\n") != len(some):
            raise not_one_line(some)
        yield block


def _strict(raw: bytes) -> str | None:
    try:
        line = raw.decode()
    except UnicodeDecodeError:
        return None
    return line if could_be_read(line) else None
