"""Regular expressions that whole lines are to match, as automata over letters."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

import numpy as np

from ...data.expressions.positions import Positions
from ...data.expressions.reading import read
from ...errors import UsageError
from .automaton import DEAD, MOST_STATES, Automaton


def positions_of(pattern: str, said: str) -> Positions:
    """Read a regular expression. `UsageError`, which begins with what was `said`, where that cannot be."""
    try:
        positions = Positions(read(pattern, lines=True))
        compiled(pattern)  # which knows rules that need no automaton, as that groups have different names
    except (ValueError, re.error) as error:
        raise UsageError(f"{said}: not a regular expression of lines: {error}") from None
    return positions


def compiled(pattern: str) -> re.Pattern[str]:
    """Let Python read an expression, without its warnings of what may change one day."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.compile(pattern)


def deterministic(positions: Positions, letters: Sequence[tuple[str, ...]], said: str) -> Automaton:
    """Make one automaton of the positions of an expression, by sets of them. A letter is taken for any of the
    characters that it may be written as. `UsageError` if there are too many sets."""
    fitting = {one: positions.fitting(one) for one in {one for letter in letters for one in letter}}
    fits = [0] * len(letters)
    for at, letter in enumerate(letters):
        for one in letter:
            fits[at] |= fitting[one]
    kinds = {fit: number for number, fit in enumerate(dict.fromkeys(fits))}
    states = {(0, False): DEAD}
    start = states.setdefault(positions.start(), 1)
    waiting, table = list(states), []
    known: dict[int, int] = {0: DEAD}
    for following, _ in waiting:
        for here in (following & kind for kind in kinds):
            if here in known:
                continue
            reached = positions.reached(here)
            if reached not in states:
                if len(states) >= MOST_STATES:
                    raise UsageError(
                        f"{said}: takes an automaton of more than {MOST_STATES:,} states; ask for less"
                    )
                states[reached] = len(states)
                waiting.append(reached)
            known[here] = states[reached]
        table.append([known[following & kind] for kind in kinds])
    narrow = np.array(table, np.int32).reshape(len(waiting), len(kinds))
    return Automaton(narrow[:, [kinds[fit] for fit in fits]], np.array([matched for _, matched in waiting]), start)
