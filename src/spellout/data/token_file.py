"""The tokens of many lines, in a file that is mapped into memory.

The system reads of it what is asked for and may drop it again, so that a large text does not take its memory twice.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence

import numpy as np

from .vocabulary.codes import LINES_AT_ONCE
from .vocabulary.protocol import Vocabulary

LARGE = 1 << 24
"""Characters of text whose tokens are kept in a file."""


def encoded(vocabulary: Vocabulary, lines: Sequence[str]) -> np.ndarray:
    """Give the stream `0 line 0 line 0` as `vocabulary.encode` does: of a large text one that cannot be written to.

    The file has no name, and is gone with the array.
    """
    if sum(map(len, lines)) < LARGE:
        return vocabulary.encode(lines)
    try:
        with tempfile.TemporaryFile() as file:
            for start in range(0, len(lines), LINES_AT_ONCE):
                stream = vocabulary.encode(lines[start : start + LINES_AT_ONCE])
                file.write((stream[1:] if start else stream).data)
            file.flush()
            return np.asarray(np.memmap(file, stream.dtype, "r"))
    except OSError:  # there is no room for it, or no folder
        return vocabulary.encode(lines)
