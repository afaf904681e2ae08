"""The levels of an n-gram model (see `level.py`) from a table of counts."""

from __future__ import annotations

import numpy as np

from .counts import Counts, count_rows
from .level import Level


def build_levels(table: Counts) -> list[Level]:
    """The levels of all orders from the n-grams of the highest one, with Kneser–Ney counts below it."""
    levels = [longest_level(table)]
    while table.order > 1:
        table = table.continuations()
        levels.append(longest_level(table))
    return levels[::-1]


def build_levels_of_occurrences(table: Counts) -> list[Level]:
    """Give the same, with counts of occurrences at every level."""
    *columns, tokens = table.columns
    size = table.vocabulary_size
    shorter = [count_rows([*columns[:length], tokens], size, table.counts) for length in range(len(columns))]
    return [longest_level(one) for one in (*shorter, table)]


def one_order_more(levels: list[Level], table: Counts) -> list[Level]:
    """`build_levels(table)` from the levels of one order less: only the two longest levels are made anew.

    Whatever the order of a model, its lower levels are the same; and the second longest level differs from what
    was the longest one by its counts alone.
    """
    if table.order == 1:
        return [longest_level(table)]
    return [*levels[:-1], longest_level(table.continuations()), longest_level(table)]


def longest_level(table: Counts) -> Level:
    """The level of the longest contexts of a table."""
    length = table.order - 1
    *columns, tokens = table.columns
    counts = table.counts
    if length == 0:  # one context, the empty one
        return Level(np.zeros(1, np.uint64), np.array([0, len(counts)]), tokens, counts, table.vocabulary_size)
    # The contexts one shorter are numbered in the order in which they stand in the table, so counting where a new
    # one begins gives each row the id of its suffix; no search is needed.
    begins = table.begins(length - 1) & table.reaches(length - 1)
    suffixes = np.cumsum(begins) - 1
    reaches = table.reaches(length)  # rows with a shorter history than this level's belong below
    starts = np.flatnonzero(table.begins(length)[reaches])
    keys = suffixes[reaches][starts].astype(np.uint64) * np.uint64(table.vocabulary_size)
    keys += columns[-1][reaches][starts]
    counts = counts[reaches]
    offsets = np.append(starts, len(counts))
    return Level(keys, offsets, tokens[reaches], counts, table.vocabulary_size)
