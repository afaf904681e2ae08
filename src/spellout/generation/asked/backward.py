"""How likely a line is to become one that will do, from each state of an n-gram and of an automaton.

    b(s, q) = P(end | s) · [q accepts] + Σ over tokens c of P(c | s) · b(s·c, q·c)

which is solved from the end: states of the automaton that do not lead back to each other need one look, and where
they do, as in `.*a`, sums are repeated until they stay as they are (Nederhof & Satta 2003, "Probabilistic parsing
as intersection"; backward probabilities as in Baum et al. 1970). Each state of the automaton has a scale of its
own, so that lines of many letters are not too unlikely for a number.

    S states of the n-gram · Q states of the automaton
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .automaton import DEAD, Automaton
from .states import States

PRECISION = 1e-10
"""Sums are repeated until nothing changes by more than this part of it."""
_VALUES_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Backward:
    """What becomes of lines.

    Attributes:
        states, automaton: those of the n-gram, and those of the lines that will do.
        sums: (S, Q) float64, b(s, q) without its scale; 0 where nothing that will do can come.
        scales: (Q,) logarithms.
        exact: whether the sums were repeated until they stayed as they are.
    """

    states: States
    automaton: Automaton
    sums: np.ndarray
    scales: np.ndarray
    exact: bool

    @classmethod
    def of(
        cls,
        states: States,
        automaton: Automaton,
        gains: np.ndarray | None = None,
        rounds: int = 10_000,
        tick: Callable[[], None] = lambda: None,
    ) -> Backward:
        """Work them out, in so many rounds at most where sums are repeated.

        If the states of the automaton have `gains` (Q, V), a token's chance is multiplied by that, over the sum of
        all: as the shape of a line so far says (see `states`). `tick` is called now and then, and may raise.
        """
        size, everything = len(automaton), automaton.everything()
        # The end of a line leads to a state of its own, in which it stands what was accepted.
        sums = np.zeros((len(states) + 1, size))
        sums[-1] = automaton.accepts
        after = automaton.next.T.astype(np.int64).copy()  # (V, Q)
        after[0] = np.arange(size)
        scales, exact = np.zeros(size), True
        for group in automaton.tied():
            loops = len(group) > 1 or bool((automaton.next[group[0]] == group[0]).any())
            if everything[group].all():
                sums[:-1, group] = 1.0  # sooner or later each line ends
                continue
            outside = np.setdiff1d(automaton.next[group], [*group, DEAD])
            scale = max([*scales[outside], *([0.0] if automaton.accepts[group].any() else [])])
            factors = np.exp(np.where(np.isin(np.arange(size), outside), scales - scale, 0.0))
            some = max(1, _VALUES_AT_ONCE // len(states.edges[-1][0])) if loops else 1
            parts = [group[start : start + some] for start in range(0, len(group), some)]
            solve = [
                _Round(
                    states,
                    after[:, part],
                    sums,
                    factors,
                    float(np.exp(-scale)),
                    None if gains is None else gains[part],
                )
                for part in parts
            ]
            exact &= _repeat(solve, sums, group, rounds if loops else 1, tick)
            most = float(sums[:-1, group].max())
            sums[:-1, group] /= most
            scales[group] = scale + np.log(most)
        return cls(states, automaton, sums[:-1], scales, exact)

    def logs(self, states: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Give log b of states of both kinds, (...) each."""
        with np.errstate(divide="ignore"):
            return np.log(self.sums[states, nodes]) + self.scales[nodes]


def _repeat(
    solve: list[_Round], sums: np.ndarray, group: np.ndarray, rounds: int, tick: Callable[[], None]
) -> bool:
    """Renew the sums of a group until they stay as they are; say whether they did."""
    for number in range(rounds):
        tick()
        before = sums[:-1, group]
        sums[:-1, group] = found = np.concatenate([part.once() for part in solve], axis=1)
        if number and (np.abs(found - before) <= PRECISION * found).all():
            return True
    return rounds == 1


class _Round:
    """One round of sums for some states of the automaton.

    Where the tokens lead that leave them is looked up once: `after` (V, G), the end to the state itself. `sums`
    (S + 1, Q) are renewed; `factors` (Q,) are what those of each state are to be multiplied by here, and `end` is
    that of ends. `gains` (G, V) are of tokens.
    """

    def __init__(
        self,
        states: States,
        after: np.ndarray,
        sums: np.ndarray,
        factors: np.ndarray,
        end: float,
        gains: np.ndarray | None,
    ) -> None:
        self._states, self._sums = states, sums
        self._totals = states.totals[:, None]
        if gains is not None:
            self._totals = states.sums([gains.T[tokens] for tokens, _ in states.edges])
        self._places: list[tuple[np.ndarray, np.ndarray]] = []
        for tokens, to in states.edges:
            nodes, ends = after[tokens], (tokens == 0)[:, None]
            places = np.where(ends, len(states), to[:, None]) * sums.shape[1] + nodes
            weights = np.where(ends, end, factors[nodes])
            self._places.append((places, weights if gains is None else weights * gains.T[tokens]))

    def once(self) -> np.ndarray:
        """Give the sums (S, G) that come of those that there are."""
        flat = self._sums.reshape(-1)
        values = [flat.take(places) * factors for places, factors in self._places]
        return self._states.sums(values) / self._totals
