"""A trie of lines: every beginning of some line once, as arrays.

Nodes are numbered level by level, so the root is 0, the children of a node stand beside each other, and those of a
level are in the order of the lines. The end of a line is an edge like any other, with token 0; it leads to a leaf.
With at most 256 tokens the arrays take 5 bytes a node, and 16 a line.

    L different lines · N nodes · V vocabulary · B rows · T tokens
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from ..ngram.counts import starts_of_runs

NOWHERE = -1
"""Where a row is that has left the trie."""


class Trie:
    """The beginnings of the lines of a stream `0 line 0 line 0`.

    Attributes:
        vocabulary_size: V.
        tokens: (N,), the token that leads to each node; 0 for the root.
        first: (N + 1,): node n has the children first[n] to first[n + 1] - 1, in the order of their tokens.
        levels: where each level begins, and N.
        alone: from this level on no node has two children.
        leaves: (L,) int64, the nodes in which lines end, ascending.
        times: (L,) int64, how often each of these lines stands in the stream.
    """

    def __init__(self, stream: np.ndarray, vocabulary_size: int) -> None:
        self.vocabulary_size = vocabulary_size
        # All occurrences of lines that go on, in the order of their beginnings: where each is in the stream, and
        # which node of the level above it has come to.
        positions = np.flatnonzero(stream == 0)[:-1] + 1
        nodes = np.zeros(len(positions), np.int64)
        self.levels = [0, 1]
        nothing = np.zeros(0, np.int64)
        tokens, children, leaves, times = [np.zeros(1, stream.dtype)], [nothing], [nothing], [nothing]
        while len(positions) and not np.diff(nodes).all():
            keys, order = _sorted(nodes * vocabulary_size + stream[positions])
            positions = positions[order]
            starts = starts_of_runs(keys)
            above, here = np.divmod(keys[starts], vocabulary_size)
            ended, counts = here == 0, np.diff(starts, append=len(keys))
            tokens.append(here.astype(stream.dtype))
            children.append(np.bincount(above, minlength=self.levels[-1] - self.levels[-2]))
            leaves.append(self.levels[-1] + np.flatnonzero(ended))
            times.append(counts[ended])
            self.levels.append(self.levels[-1] + len(starts))
            going_on = np.repeat(~ended, counts)
            nodes = np.repeat(np.arange(len(starts)), counts)[going_on]
            positions = positions[going_on] + 1
        self.alone = len(self.levels) - 2
        children.append(np.bincount(nodes, minlength=self.levels[-1] - self.levels[-2]))
        if len(positions):  # each line is alone from here on: what is left of them needs no order
            rest, sizes = _tails(stream, positions)
            tokens.append(rest)
            children.append((rest != 0).astype(np.int64))
            leaves.append(self.levels[-1] + np.flatnonzero(rest == 0))
            times.append(np.ones(len(positions), np.int64))
            self.levels += (self.levels[-1] + np.cumsum(sizes)).tolist()
        self.tokens, self.leaves, self.times = (np.concatenate(parts) for parts in (tokens, leaves, times))
        size = np.int32 if self.levels[-1] < 2**31 else np.int64
        self.first: np.ndarray = np.empty(self.levels[-1] + 1, size)
        self.first[0] = 1
        self.first[1:] = 1 + np.cumsum(np.concatenate(children))

    def __len__(self) -> int:
        """Count the nodes."""
        return len(self.tokens)

    def below(self) -> list[slice]:
        """Give every level but the root's, as a slice of the nodes, from the highest down."""
        return [slice(*pair) for pair in pairwise(self.levels[1:])]

    def families(self, upwards: bool = False) -> Iterator[tuple[np.ndarray, slice, np.ndarray]]:
        """Give of each level its inner nodes, all their children, and where among these those of each begin."""
        pairs = list(zip(pairwise(self.levels), self.below(), strict=False))
        for (start, stop), below in pairs[::-1] if upwards else pairs:
            firsts: np.ndarray = self.first[start : stop + 1]
            inner = np.flatnonzero(firsts[1:] > firsts[:-1])
            yield start + inner, below, firsts[inner].astype(np.int64) - below.start

    def along_lines(self, numbers: np.ndarray) -> np.ndarray:
        """Add up the numbers (..., N) of all nodes on the way to the end of every line, (..., L)."""
        total = numbers.copy()
        for above, below, starts in self.families():
            sizes = np.diff(starts, append=below.stop - below.start)
            total[..., below] += np.repeat(total[..., above], sizes, axis=-1)
        ends: np.ndarray = total[..., self.leaves]
        return ends

    def child(self, nodes: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Follow an edge from each of some nodes (...); `NOWHERE` where there is none, and from `NOWHERE`."""
        low, end = self.first[nodes].astype(np.int64), self.first[nodes + 1]
        high = end
        while (low < high).any():  # the children are in the order of their tokens: look at the middle one
            middle = (low + high) // 2
            right = (low < high) & (self.tokens[np.minimum(middle, len(self) - 1)] < tokens)
            low, high = np.where(right, middle + 1, low), np.where(right, high, middle)
        there = (nodes != NOWHERE) & (low < end)
        return np.where(there & (self.tokens[np.minimum(low, len(self) - 1)] == tokens), low, NOWHERE)

    def walk(self, tokens: np.ndarray) -> np.ndarray:
        """Give the inner node, or `NOWHERE`, at every token (B, T) of rows that start with the boundary."""
        nodes = np.zeros(tokens.shape, np.int64)
        for place in range(1, tokens.shape[1]):
            there = self.child(nodes[:, place - 1], tokens[:, place].astype(np.int64))
            nodes[:, place] = np.where(tokens[:, place] == 0, NOWHERE, there)
        return nodes

    def find(self, stream: np.ndarray) -> np.ndarray:
        """Say of every line of a stream which of the L lines it is, or `NOWHERE`."""
        positions = np.flatnonzero(stream == 0)[:-1] + 1
        found = np.full(len(positions), NOWHERE, np.int64)
        lines, nodes = np.arange(len(positions)), np.zeros(len(positions), np.int64)
        while len(lines):
            tokens = stream[positions]
            nodes = self.child(nodes, tokens)
            ended = (tokens == 0) & (nodes != NOWHERE)
            found[lines[ended]] = np.searchsorted(self.leaves, nodes[ended])
            on = (tokens != 0) & (nodes != NOWHERE)
            lines, nodes, positions = lines[on], nodes[on], positions[on] + 1
        return found

    def edges_of(self, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """List the edges that leave nodes (B,), some of them `NOWHERE`: the row, token and child of each."""
        starts, stops = self.first[nodes].astype(np.int64), self.first[nodes + 1]
        counts = np.where(nodes != NOWHERE, stops - starts, 0)
        rows = np.repeat(np.arange(len(nodes)), counts)
        children = np.arange(len(rows)) + np.repeat(starts - np.cumsum(counts) + counts, counts)
        return rows, self.tokens[children], children

    def path(self, node: int) -> np.ndarray:
        """Follow the only line through a node, from this to the last node before its end."""
        found = [node]
        while self.tokens[child := int(self.first[found[-1]])] != 0:
            found.append(child)
        return np.array(found)

    def spans(self, lines: int) -> list[np.ndarray]:
        """Divide the lines, in their order, into blocks of so many: of every level below the root, the first and
        the last node of each block, (blocks, 2). A node whose lines are in several blocks is in each of them."""
        if len(self.leaves) <= lines:
            return [np.array([[level.start, level.stop - 1]]) for level in self.below()]
        holds = np.zeros(len(self), self.first.dtype)  # how many lines go through each node
        holds[self.leaves] = 1
        for above, below, starts in self.families(upwards=True):
            holds[above] = np.add.reduceat(holds[below], starts)
        blocks = np.arange(0, max(1, len(self.leaves)), lines)
        begins, found = np.zeros(1, np.int64), []  # how many lines come before those of each node of a level
        top = 0
        for above, below, starts in self.families():
            counts = holds[below].astype(np.int64)
            before = np.cumsum(counts) - counts
            sizes = np.diff(starts, append=len(counts))
            begins = before + np.repeat(begins[above - top] - before[starts], sizes)
            first = np.searchsorted(begins + counts, blocks, side="right")
            last = np.searchsorted(begins, blocks + lines, side="left") - 1
            found.append(below.start + np.stack([first, last], axis=1))
            top = below.start
        return found


def _tails(stream: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the tokens from some positions to the ends of their lines, the first of all, then the second of all, and
    how many there are of each."""
    ends = np.flatnonzero(stream == 0)
    lengths = ends[np.searchsorted(ends, positions)] - positions + 1
    depths = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    tokens = stream[np.repeat(positions, lengths) + depths]
    return tokens[np.argsort(depths, kind="stable")], np.bincount(depths)


def _sorted(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort integers (N,) that are not negative, and say in which order they stood."""
    bits = len(keys).bit_length()
    if int(keys.max()).bit_length() + bits < 64:
        # Both in one number: integers alone are sorted many times as fast as an order of them is found.
        packed = np.sort(keys << bits | np.arange(len(keys)))
        return packed >> bits, packed & ((1 << bits) - 1)
    order = np.argsort(keys, kind="stable")
    return keys[order], order
