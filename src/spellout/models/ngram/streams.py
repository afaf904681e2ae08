"""Parts of a stream `0 line 0 line 0` that are streams themselves: some of its lines, and held-out ones."""

from __future__ import annotations

import numpy as np

HELD_OUT = 0.1


def hold_out(stream: np.ndarray) -> int:
    """Where the last tenth of a stream's lines begins: the place of the boundary before it."""
    ends = np.flatnonzero(stream == 0)
    return int(ends[-1 - int(HELD_OUT * (len(ends) - 1) + 0.5)])


def some_lines(stream: np.ndarray, most: int) -> np.ndarray:
    """Every k-th line of a stream, about `most` tokens in all; lines that are long and few are cut."""
    if len(stream) <= most + 1:
        return stream
    ends = np.flatnonzero(stream == 0)
    longest = max(1000, most // (len(ends) - 1))
    lengths = np.minimum(np.diff(ends), longest)
    every = -(-int(lengths.sum()) // most)
    starts, lengths = ends[:-1][::every], lengths[::every]
    stops = np.cumsum(lengths)
    # All tokens of the lines that are taken, but for the first boundary, in one array of places.
    places = np.arange(1, stops[-1] + 1) + np.repeat(starts - (stops - lengths), lengths)
    lines = stream[places]
    lines[stops - 1] = 0  # where a line was cut
    return np.concatenate([stream[:1], lines])
