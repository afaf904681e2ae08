"""From letters to tokens: an automaton that reads letters becomes one that reads the tokens of a vocabulary.

Q states · A letters · V tokens
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...data.sources.config import LINE_END
from ...data.vocabulary.protocol import Vocabulary
from .automaton import DEAD, Automaton
from .config import Case
from .writing import variants


@dataclass(frozen=True)
class Spelling:
    """The letters that lines are written in.

    Attributes:
        letters: which characters each letter may be written as, where it is not clear before.
        tokens: the letters of each token; None for those that no line is made of.
        between: the letters between two tokens.
        line_ends: the tokens that are the end of a line of a thing, beside which there is nothing between.
    """

    letters: list[tuple[str, ...]]
    tokens: list[list[int] | None]
    between: list[int]
    line_ends: list[int]

    @classmethod
    def of(cls, vocabulary: Vocabulary, case: Case | None) -> Spelling | None:
        """Spell the tokens of a vocabulary. None if some of them, such as bytes, are no text by themselves."""
        symbols = [vocabulary.symbol(token) for token in range(vocabulary.size)]
        nothing = {0, *vocabulary.never_sampled}
        some = [token for token in range(vocabulary.size) if token not in nothing]
        alone = vocabulary.decode(np.column_stack([some, np.zeros(len(some), np.int64)]).ravel())
        # What white space is around, no line is by itself; but a byte is shown as what it does not stand for.
        pairs = [(symbols[token], text) for token, text in zip(some, alone, strict=True)]
        if any(text != symbol and symbol == symbol.strip() for symbol, text in pairs):
            return None
        places: dict[tuple[str, ...], int] = {}

        def spelled(text: str) -> list[int]:
            letters: list[tuple[str, ...]] = []
            for character in text:
                ways = variants(character, case)
                letters += [(one,) for one in ways[0]] if len(ways) == 1 else [ways]
            return [places.setdefault(letter, len(places)) for letter in letters]

        tokens = [None if token in nothing else spelled(symbols[token]) for token in range(vocabulary.size)]
        between = spelled(vocabulary.between)
        line_ends = [token for token in some if between and symbols[token] == LINE_END]
        return cls(list(places), tokens, between, line_ends)

    def knows(self, character: str) -> bool:
        """Say whether a character can be written."""
        return any(character in letter for letter in self.letters)

    def over_tokens(self, automaton: Automaton) -> Automaton:
        """Read tokens instead of letters."""
        everywhere = np.arange(len(automaton))
        table = self._table(automaton, everywhere, self.between)
        if not self.between:
            return Automaton(table, automaton.accepts, automaton.start)
        # Where a line begins, nothing stands before a token, nor after a line end: such states are added.
        begins = everywhere if self.line_ends else np.array([automaton.start])
        fresh = self._table(automaton, begins, [])
        if self.line_ends:
            after = fresh[:, self.line_ends]
            fresh[:, self.line_ends] = table[:, self.line_ends] = np.where(after == DEAD, DEAD, after + len(table))
        accepts = np.append(automaton.accepts, automaton.accepts[begins])
        start = len(table) + (automaton.start if self.line_ends else 0)
        return Automaton(np.concatenate([table, fresh]), accepts, DEAD if automaton.start == DEAD else start)

    def _table(self, automaton: Automaton, states: np.ndarray, before: list[int]) -> np.ndarray:
        """Give the states (Q, V) that follow some states (Q,) after each token and the letters before it."""
        following: np.ndarray = np.zeros((len(states), len(self.tokens)), np.int32)
        for token, letters in enumerate(self.tokens):
            if letters is None:
                continue
            after = states
            for letter in [*before, *letters]:
                after = automaton.next[after, letter]
            following[:, token] = after
        return following
