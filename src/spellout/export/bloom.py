"""The training lines as bits, from which no line can be read (see `portable.Bloom`)."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log

import numpy as np

from .portable import Bloom

BITS = 10
"""For each line; with the best number of hashes one line in 120 is taken for a training line."""
HASHES = round(BITS * log(2))
_OFFSET, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_LINES_AT_ONCE = 1 << 14


def bloom_of(lines: Sequence[str]) -> Bloom:
    """Make the filter of some lines, the label and a tab before them if they have one."""
    size = 8 * max(8, ceil(BITS * len(lines) / 8))
    bits = np.zeros(size // 8, np.uint8)
    for start in range(0, len(lines), _LINES_AT_ONCE):
        places = _places(lines[start : start + _LINES_AT_ONCE], size, HASHES).ravel()
        np.bitwise_or.at(bits, places >> np.uint64(3), np.uint8(1) << (places & np.uint64(7)).astype(np.uint8))
    share = float(np.bitwise_count(bits).sum()) / size
    return Bloom(bits, size, HASHES, share**HASHES)


def holds(bloom: Bloom, lines: Sequence[str]) -> np.ndarray:
    """Say of each line whether the filter takes it for a training line, (N,) bool."""
    places = _places(lines, bloom.size, bloom.hashes)
    there = bloom.bits[places >> np.uint64(3)] >> (places & np.uint64(7)).astype(np.uint8) & 1
    return np.asarray(there.all(axis=1))


def _places(lines: Sequence[str], size: int, hashes: int) -> np.ndarray:
    """The bits of each line, (N, hashes) uint64."""
    found = fnv1a(lines)
    first, second = found & np.uint64(0xFFFFFFFF), found >> np.uint64(32) | np.uint64(1)
    return (first[:, None] + second[:, None] * np.arange(hashes, dtype=np.uint64)) % np.uint64(size)


def fnv1a(lines: Sequence[str]) -> np.ndarray:
    """Hash lines in UTF-8 by FNV-1a of 64 bits (Fowler, Noll & Vo), a byte of each at a time, (N,) uint64."""
    encoded = [line.encode("utf-8", "surrogateescape") for line in lines]
    lengths = np.array([len(one) for one in encoded], np.int64)
    hashes = np.full(len(lines), _OFFSET)
    order = np.argsort(-lengths, kind="stable")  # those that go on are always the first ones
    text, starts = np.frombuffer(b"".join(encoded), np.uint8), np.cumsum(lengths) - lengths
    longer = np.cumsum(np.bincount(lengths)[:0:-1])[::-1] if len(lines) else ()
    for place, going_on in enumerate(longer):
        some = order[:going_on]
        hashes[some] = (hashes[some] ^ text[starts[some] + place]) * _PRIME
    return hashes
