"""What n-gram tables hold, bit by bit: which contexts there are, what followed them, and how often.

Contexts of one column less come first, and say most of those of one more: only what followed the shorter one can
follow the longer one, and no oftener. Other tables that have the same columns, or some of them, say more still: so
contexts of bits are sets of columns with their values, whatever their order and whichever table has them.
"""

from __future__ import annotations

import numpy as np

from ...programs.kernels.compiling import entry, part
from .coder import Coder, bucket, coded, mixed

MORE, SYMBOL, PRESENT, MAGNITUDE, REST, LAST, ALL = range(7)
"""What bits say: whether there is any, which, whether it followed, how often (three), whether it is the last."""
WIDE = 256
"""So many tokens that follow a shorter context are asked for one by one after a longer one; more are listed."""
_WHOLE, _BUT_LAST, _BUT_FIRST, _RELATION, _RELATIONS, _NEWEST, _OLDER, _COLUMN, _DEPTH, _SUMS = range(10)
"""Places in what is known of a context: three hashes of sets, two of kinds of columns, two values, and so on."""


@part
def _valued(column: int, value: int) -> int:
    return mixed(column * 7919 + 1, value + 12345)


@part
def _relation(column: int, other: int) -> int:
    """How two columns stand to each other: of recent tokens, it is their distance."""
    return column - other + 16 if column <= 12 and other <= 12 else column * 64 + other + 64


@part
def _look(at: np.ndarray, columns: np.ndarray, values: np.ndarray, column: int, depth: int) -> None:
    """Say what is known where a value of `column` is wanted after the first `depth` values."""
    whole = 0
    for place in range(depth):
        whole = (whole + _valued(columns[place], values[place])) & 0xFFFFFFFF
    at[0] = at[1] = at[2] = whole
    at[3] = at[4] = column
    at[5] = at[6] = 0
    if depth > 0:
        newest = columns[depth - 1]
        at[1] = (whole - _valued(newest, values[depth - 1])) & 0xFFFFFFFF
        at[2] = (whole - _valued(columns[0], values[0])) & 0xFFFFFFFF
        at[3] = at[4] = _relation(column, newest)
        at[5] = values[depth - 1]
    if depth > 1:
        at[4] = at[3] * 1024 + _relation(column, columns[depth - 2])
        at[6] = values[depth - 2]
    at[7], at[8] = column, depth


@part
def _flag(made: Coder, phase: int, at: np.ndarray, left: int, number: int, before: int, bit: int) -> int:
    """Whether there is anything, or whether this is the last one; so much is left, so many were before."""
    hashes = made.hashes
    known = mixed(at[7] + phase * 64, bucket(left) * 16 + min(number, 3) * 2 + at[9])
    hashes[0] = mixed(at[0], at[7] * 1000 + 777 + before)
    hashes[1] = known
    hashes[2] = mixed(known, at[8])
    hashes[3] = mixed(known, at[3] + 99)
    hashes[4] = mixed(known, at[5])
    hashes[5] = mixed(known, before + 7)
    return coded(made, phase, bit)


@part
def _symbol(made: Coder, at: np.ndarray, before: int, likely: int, width: int, symbol: int) -> int:
    """A number of `width` bits, the highest first, that comes after `before` in a list."""
    hashes = made.hashes
    node = 1
    for place in range(width - 1, -1, -1):
        hashes[0] = mixed(mixed(at[0], at[7] * 64 + before + 1), node)
        hashes[1] = mixed(mixed(at[1], at[7]), node + 7777)
        hashes[2] = mixed(mixed(at[2], at[7] * 3), node)
        hashes[3] = mixed(mixed(at[3], at[5]), node)
        hashes[4] = mixed(mixed(mixed(at[4], at[5]), at[6]), node)
        hashes[5] = mixed(mixed(mixed(at[3], at[5]), likely), node * 5)
        node = node * 2 + coded(made, 1, (symbol >> place) & 1)
    return node - (1 << width)


@part
def _present(
    made: Coder, at: np.ndarray, token: int, left: int, total: int, times: int, others: int, bit: int
) -> int:
    """Whether a token that followed the shorter context, `left` times of `times` still to come, did so here."""
    hashes = made.hashes
    known = (bucket(left) * 32 + bucket(total - left)) * 64 + others
    hashes[0] = mixed(at[0], token * 9 + 3)
    hashes[1] = mixed(at[1], token * 11 + 5)
    hashes[2] = mixed(at[2], token * 13 + 1)
    hashes[3] = mixed(known * 2 + at[9], at[8])
    hashes[4] = mixed(known, mixed(mixed(at[3], at[5]), token))
    hashes[5] = mixed(mixed(bucket(left), bucket(times)), others)
    return coded(made, 2, bit)


@part
def _number(
    made: Coder, at: np.ndarray, token: int, left: int, times: int, others: int, sums: int, count: int
) -> int:
    """How often a token came, at least once: all that is left, or a number by its magnitude and the rest."""
    hashes = made.hashes
    known = bucket(left) * 64 + others
    if sums and left > 0:
        hashes[0] = mixed(at[0], token * 9 + 8)
        hashes[1] = mixed(at[1], token * 11 + 8)
        hashes[2] = known + 3
        hashes[3] = mixed(known, bucket(times))
        hashes[4] = mixed(known, at[8] * 64 + at[7])
        hashes[5] = mixed(known, at[5])
        if coded(made, 6, int(count == left)):
            return left
    size = 0
    while size < 40:
        hashes[0] = mixed(at[0], token * 9 + 4 + size * 1000)
        hashes[1] = mixed(at[1], token * 11 + 6 + size * 1000)
        hashes[2] = mixed(known * 2 + sums, size)
        hashes[3] = mixed(mixed(known, bucket(times)), size)
        hashes[4] = mixed(mixed(bucket(left), at[8] * 64 + at[7]), size)
        hashes[5] = mixed(mixed(bucket(left), bucket(times)), size)
        if not coded(made, 3, int(count >> (size + 1) > 0)):
            break
        size += 1
    number = 1
    for place in range(size - 1, -1, -1):
        hashes[0] = mixed(at[0], token * 9 + 5 + number * 1000 + size)
        hashes[1] = mixed(at[1], token * 11 + 7 + number * 1000)
        hashes[2] = mixed(mixed(size, number), bucket(left))
        hashes[3] = mixed(mixed(size, number), at[8] + 900)
        hashes[4] = mixed(size, number)
        hashes[5] = mixed(mixed(size, number), min(left, 50) + 99)
        number = number * 2 + coded(made, 4, (count >> place) & 1)
    return number


@part
def _following(
    made: Coder,
    at: np.ndarray,
    shorter: tuple[np.ndarray, np.ndarray],
    left: np.ndarray,
    last: int,
    width: int,
    entries: tuple[np.ndarray, np.ndarray],
    first: int,
    end: int,
) -> int:
    """The entries of one context from `first` on, up to `end` if they are written; where they end, or -1."""
    tokens, counts = entries
    known_tokens, known_counts = shorter
    writes, sums, place = made.numbers[0], at[9], first
    listed = len(known_tokens) == 0 or len(known_tokens) > 256
    total = 0
    waiting = 0
    for token in known_tokens:
        total += left[token]
        waiting += left[token] > 0
    candidate, before = 0, -1
    if listed and not _flag(made, 0, at, total, 0, -1, int(end > first)):
        return place
    while listed or candidate < len(known_tokens):
        wanted = tokens[place] if writes and place < end else -1
        times, final = 0, 0
        if listed:
            final = _flag(made, 5, at, total, place - first, before, int(place + 1 == end))
            token = _symbol(made, at, before, 0, width, wanted)
            before = token
        else:
            token, times = known_tokens[candidate], known_counts[candidate]
            candidate += 1
        if token >= len(left):
            return -1
        others = (min(waiting, 7) * 4 + min(place - first, 3)) * 2 + last
        remaining = left[token]
        waiting -= remaining > 0
        if not listed and not _present(made, at, token, remaining, total, times, others, int(token == wanted)):
            continue
        if place >= len(tokens):
            return -1
        count = _number(made, at, token, remaining, times, others, sums, counts[place])
        tokens[place], counts[place] = token, count
        taken = min(count if sums else 1, remaining)
        left[token] -= taken
        total -= taken
        place += 1
        if final:
            break
    return place


@entry
def level(
    made: Coder,
    columns: np.ndarray,
    values: np.ndarray,
    shorter: tuple[np.ndarray, np.ndarray, np.ndarray],
    arrays: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    size: int,
    sums: int,
) -> int:
    """Write the contexts of a level, or read them; the number of them, or -1 if they cannot be read.

    `shorter` are the offsets, tokens and counts of the level below, whose contexts have the column `values`
    (C, depth); `arrays` are the keys, offsets, tokens and counts of this one. `sums`: counts of longer contexts
    sum up to those of shorter ones; else a shorter one's count says after how many longer ones a token came.
    """
    keys, offsets, tokens, counts = arrays
    writes, depth, place = made.numbers[0], len(columns) - 1, 0
    at, below = np.zeros(10, np.int64), np.zeros(10, np.int64)
    at[9] = below[9] = sums
    left, path = np.zeros(size, np.int64), np.zeros(depth + 1, np.int64)
    width = 0
    while (1 << width) < size:
        width += 1
    for parent in range(len(shorter[0]) - 1):
        start, stop = shorter[0][parent], shorter[0][parent + 1]
        known = shorter[1][start:stop], shorter[2][start:stop]
        total = 0
        for one in range(stop - start):
            left[known[0][one]] = known[1][one]
            total += known[1][one]
        path[:depth] = values[parent]
        _look(at, columns, path, columns[depth], depth)
        there = writes and place < len(keys) and keys[place] // size == parent
        if _flag(made, 0, at, total, 0, -1, int(there)):
            number, before, last = 0, -1, 0
            while not last:
                if place >= len(keys):
                    return -1
                more = writes and place + 1 < len(keys) and keys[place + 1] // size == parent
                last = _flag(made, 5, at, total, number, before, int(not more))
                likely = 0
                for token in known[0]:
                    if left[token] > 0:
                        likely = token
                        break
                before = _symbol(made, at, before, likely, width, keys[place] % size)
                path[depth] = before
                _look(below, columns, path, 0, depth + 1)
                end = offsets[place + 1]
                end = _following(made, below, known, left, last, width, (tokens, counts), offsets[place], end)
                if end < 0:
                    return -1
                keys[place], offsets[place + 1] = parent * size + before, end
                total = 0
                for token in known[0]:
                    total += left[token]
                place += 1
                number += 1
        for token in known[0]:
            left[token] = 0
    return place


@entry
def nothing_before(made: Coder, tokens: np.ndarray, counts: np.ndarray, size: int) -> int:
    """Write the entries of the context of no columns, or read them; how many, or -1 if they cannot be read."""
    at, left = np.zeros(10, np.int64), np.zeros(size, np.int64)
    width = 0
    while (1 << width) < size:
        width += 1
    nothing = np.zeros(0, np.int64)
    return _following(made, at, (nothing, nothing), left, 0, width, (tokens, counts), 0, len(tokens))
