"""Parts of a stream `0 line 0 line 0` that are streams themselves: some of its lines, and those held out."""

from __future__ import annotations

import numpy as np

HELD_OUT = 0.1


def hold_out(stream: np.ndarray) -> int:
    """Say where the last tenth of a stream's lines begins: the place of the boundary before it."""
    ends = np.flatnonzero(stream == 0)
    return int(ends[-1 - int(HELD_OUT * (len(ends) - 1) + 0.5)])


def some_lines(stream: np.ndarray, most: int) -> np.ndarray:
    """Take every k-th line of a stream, about `most` tokens in all; lines that are long and few are cut."""
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


def every_kth_apart(stream: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide a stream into two: of the other lines, and of every k-th line."""
    ends = np.flatnonzero(stream == 0)
    apart = np.zeros(len(ends) - 1, bool)
    apart[k - 1 :: k] = True
    chosen = np.concatenate([[True], np.repeat(apart, np.diff(ends))])  # each line with the end after it
    return stream[np.concatenate([[True], ~chosen[1:]])], stream[chosen]


def folds(stream: np.ndarray, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Divide a stream into two in `count` ways, in each of which other lines are the second part; each is once."""
    lengths = np.diff(np.flatnonzero(stream == 0))  # each line with the end after it
    number = np.repeat(np.arange(len(lengths)) % count, lengths)
    parts = [number == fold for fold in range(min(count, len(lengths)))]
    return [tuple(np.append(stream[:1], stream[1:][some]) for some in (~part, part)) for part in parts]  # type: ignore[misc]
