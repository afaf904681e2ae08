"""A trie of lines: every beginning of some line once, as arrays.

Nodes are numbered level by level, so the root is 0, the children of a node stand beside each other, and those of a
level are in the order of the lines. The end of a line is an edge like any other, with token 0; it leads to a leaf.

    L different lines · N nodes · V vocabulary · B rows · T tokens
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..ngram.counts import starts_of_runs

NOWHERE = -1
"""Where a row is that has left the trie."""


class Trie:
    """The beginnings of the lines of a stream `0 line 0 line 0`; the arrays take 40 bytes a node.

    Attributes:
        vocabulary_size: V.
        edges: (N - 1,) int64, ascending: parent · V + token, of every node but the root.
        first: (N + 1,) int64: node n has the children first[n] to first[n + 1] - 1.
        levels: where each level begins, and N.
        leaves: (L,) int64, the nodes in which lines end, ascending.
        times: (L,) int64, how often each of these lines stands in the stream.
        begins: (N,) int64, how many of the lines come before all those of a node, in their order.
        holds: (N,) int64, how many lines go through a node.
    """

    def __init__(self, stream: np.ndarray, vocabulary_size: int) -> None:
        self.vocabulary_size = vocabulary_size
        boundaries = np.flatnonzero(stream == 0)
        positions, nodes = boundaries[:-1] + 1, np.zeros(len(boundaries) - 1, np.int64)
        self.levels = [0, 1]
        edges, leaves, times = ([np.zeros(0, np.int64)] for _ in range(3))
        while len(positions):
            keys = nodes * vocabulary_size + stream[positions]
            order = np.argsort(keys, kind="stable")
            keys, positions = keys[order], positions[order]
            starts = starts_of_runs(keys)
            nodes = self.levels[-1] + np.repeat(np.arange(len(starts)), np.diff(starts, append=len(keys)))
            ended = stream[positions[starts]] == 0
            edges.append(keys[starts])
            leaves.append(nodes[starts][ended])
            times.append(np.diff(starts, append=len(keys))[ended])
            self.levels.append(self.levels[-1] + len(starts))
            going_on = stream[positions] != 0
            positions, nodes = positions[going_on] + 1, nodes[going_on]
        self.edges, self.leaves, self.times = (np.concatenate(parts) for parts in (edges, leaves, times))
        children = np.bincount(self.edges // vocabulary_size, minlength=self.levels[-1])
        self.first = 1 + np.concatenate([[0], np.cumsum(children)])
        self.holds, self.begins = np.zeros((2, len(self)), np.int64)
        self.holds[self.leaves] = 1
        for below in self.below()[::-1]:
            np.add.at(self.holds, self.parents(below), self.holds[below])
        for below in self.below():
            parents = self.parents(below)
            before = np.cumsum(self.holds[below]) - self.holds[below]  # in the level, not under one parent
            self.begins[below] = self.begins[parents] + before - before[self.first[parents] - below.start]

    def __len__(self) -> int:
        """Count the nodes."""
        return len(self.first) - 1

    def below(self) -> list[slice]:
        """Give every level but the root's, as a slice of the nodes, from the highest down."""
        return [slice(*pair) for pair in pairwise(self.levels[1:])]

    def parents(self, nodes: slice) -> np.ndarray:
        """Give the parents of some nodes, the root not among them."""
        return self.edges[nodes.start - 1 : nodes.stop - 1] // self.vocabulary_size

    def child(self, nodes: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Follow an edge from each of some nodes (...); `NOWHERE` where there is none, and from `NOWHERE`."""
        edges = nodes * self.vocabulary_size + tokens
        found = np.minimum(np.searchsorted(self.edges, edges), len(self.edges) - 1)
        return np.where((nodes != NOWHERE) & (self.edges[found] == edges), found + 1, NOWHERE)

    def walk(self, tokens: np.ndarray) -> np.ndarray:
        """Give the inner node, or `NOWHERE`, at every token (B, T) of rows that start with the boundary."""
        nodes = np.zeros(tokens.shape, np.int64)
        for place in range(1, tokens.shape[1]):
            there = self.child(nodes[:, place - 1], tokens[:, place].astype(np.int64))
            nodes[:, place] = np.where(tokens[:, place] == 0, NOWHERE, there)
        return nodes

    def edges_of(self, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """List the edges that leave nodes (B,), some of them `NOWHERE`: the row, token and child of each."""
        starts, stops = self.first[nodes], self.first[nodes + 1]
        counts = np.where(nodes != NOWHERE, stops - starts, 0)
        rows = np.repeat(np.arange(len(nodes)), counts)
        children = np.arange(len(rows)) + np.repeat(starts - np.cumsum(counts) + counts, counts)
        return rows, self.edges[children - 1] % self.vocabulary_size, children
