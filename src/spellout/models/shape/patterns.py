"""The automaton of a list's shapes: which beginnings of patterns of classes are frequent enough to be states.

They are a trie of classes, as far as each beginning was seen in `FEWEST` lines or more. A line that leaves it goes
on in states that know only the place. Of identifiers of one or two formats all lines stay in the trie; of words and
sentences they soon leave it, and keep to their usual lengths.

    L lines · N positions · S states · K classes
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FEWEST = 8
"""A pattern's beginning is a state of its own from so many lines on."""
MOST_STATES = 1 << 14
MOST_PLACES = 1 << 12
"""Later places count as the last of these."""
AT_A_PLACE = 50
"""Places of fewer positions share their factors with those after them."""


@dataclass(frozen=True)
class Automaton:
    """An automaton over classes, and how its states stand to each other.

    Attributes:
        following: (S, K) int32, the state after a token of each class.
        group: (S,) which states share their factors, numbered from 0.
        place: (S,) the group of places to which a state belongs, numbered from 0.
    """

    following: np.ndarray
    group: np.ndarray
    place: np.ndarray


def automaton_of(stream: np.ndarray, classes: np.ndarray) -> Automaton:
    """Build it for a stream `0 line 0 line 0` and the classes (V,) of its tokens."""
    kinds = int(classes.max()) + 1
    ends = np.flatnonzero(stream == 0)
    lengths = np.diff(ends)  # with the line's end, or with its beginning
    places = min(int(lengths.max()), MOST_PLACES)
    tries, depths = _trie(classes[stream], ends[:-1], kinds, places)
    nodes = len(tries)
    following = np.empty((nodes + places, kinds), np.int32)
    # In the trie to the child, where there is one; else to the next place beside it.
    beside = nodes + np.minimum(depths + 1, places - 1)
    following[:nodes] = np.where(tries >= 0, tries, beside[:, None])
    following[nodes:] = nodes + np.minimum(np.arange(places) + 1, places - 1)[:, None]
    following[:, 0] = 0
    # At place t stand all lines of more than t tokens, their ends counted.
    there = np.cumsum(np.bincount(np.minimum(lengths, places), minlength=places + 1)[:0:-1])[::-1]
    shared = _shared(there)
    group = np.concatenate([np.arange(nodes), nodes + shared])
    return Automaton(following, group, shared[np.concatenate([depths, np.arange(places)])])


def _trie(kinds_of: np.ndarray, starts: np.ndarray, kinds: int, places: int) -> tuple[np.ndarray, np.ndarray]:
    """Give the children (nodes, K) of every node, -1 for none, and the depth of each (nodes,)."""
    children, depths = [np.full((1, kinds), -1, np.int32)], [np.zeros(1, np.int64)]
    active, node = starts, np.zeros(len(starts), np.int64)  # where the lines that stay are, and their nodes
    first, total = 0, 1  # of the nodes of the level above, and of all
    for depth in range(1, places):
        active = active + 1
        kind = kinds_of[active].astype(np.int64)
        going_on = kind != 0
        active, keys = active[going_on], (node[going_on] - first) * kinds + kind[going_on]
        counts = np.bincount(keys, minlength=len(children[-1]) * kinds)
        keep = np.flatnonzero(counts >= FEWEST)
        if not len(keep) or total + len(keep) > MOST_STATES:
            break
        numbers = np.full(len(counts), -1, np.int32)
        numbers[keep] = total + np.arange(len(keep))
        children[-1] = numbers.reshape(-1, kinds)
        children.append(np.full((len(keep), kinds), -1, np.int32))
        depths.append(np.full(len(keep), depth))
        node = numbers[keys].astype(np.int64)
        stays = node >= 0
        active, node = active[stays], node[stays]
        first, total = total, total + len(keep)
    return np.concatenate(children), np.concatenate(depths)


def _shared(there: np.ndarray) -> np.ndarray:
    """Put places together, of which each has so many positions, until there are enough: (places,) group numbers."""
    group = np.zeros(len(there), np.int64)
    number = together = 0
    for place, positions in enumerate(there):
        group[place] = number
        together += int(positions)
        if together >= AT_A_PLACE:
            number, together = number + 1, 0
    if together and number:  # the last ones are too few by themselves
        group[group == number] = number - 1
    return group
