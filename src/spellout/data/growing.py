"""The alphabet of a text that is read once, block by block: it grows as characters are met."""

from __future__ import annotations

import numpy as np

from .escape import Escape
from .vocabulary.characters import Characters
from .vocabulary.codes import code_points, smallest_dtype


class GrowingAlphabet:
    """Encodes clean text that is read once: its alphabet is not known beforehand and grows as characters are met.

    Ids are given in order of appearance, so tokens of earlier blocks stay valid; at the end `vocabulary` gives the
    ordinary vocabulary and the new id of every old one. Every character gets a token: a stream cannot know yet
    which ones are rare.
    """

    def __init__(self) -> None:
        self._characters = ["\n"]
        self._token_of_code = np.full(128, -1, np.int32)
        self._token_of_code[10] = 0
        self._times: np.ndarray = np.zeros(1, np.int64)

    @property
    def size(self) -> int:
        """Number of tokens so far, the boundary included."""
        return len(self._characters)

    def encode(self, block: str) -> np.ndarray:
        """Give the stream `0 line 0 line 0` of a block of whole lines, in the smallest type for the ids so far."""
        codes = code_points("\n" + block)
        times = np.bincount(codes)
        used = np.flatnonzero(times)
        beyond = int(used[-1]) + 1 - len(self._token_of_code)
        if beyond > 0:
            self._token_of_code = np.pad(self._token_of_code, (0, beyond), constant_values=-1)
        for code in used[self._token_of_code[used] < 0]:
            self._token_of_code[code] = len(self._characters)
            self._characters.append(chr(code))
        self._times = np.pad(self._times, (0, self.size - len(self._times)))
        self._times[self._token_of_code[used]] += times[used]
        self._times[0] -= 1  # the boundary before the first line ends none
        table = self._token_of_code[: int(used[-1]) + 1].astype(smallest_dtype(self.size))
        if codes.itemsize == table.itemsize == 1:  # the fastest of all lookups
            padded = table.tobytes().ljust(256, b"\0")
            return np.frombuffer(codes.tobytes().translate(padded), np.uint8)
        return table[codes]

    def vocabulary(self) -> tuple[Characters, np.ndarray]:
        """Give the vocabulary with its characters sorted, and the new id of every id given so far."""
        letters = sorted(self._characters[1:])
        place = {character: i for i, character in enumerate(["\n", *letters])}
        new_ids = np.array([place[character] for character in self._characters])
        return Characters(letters, escape=Escape.of_counts(self._times)), new_ids.astype(smallest_dtype(self.size))
