"""From letters to tokens: an automaton that reads letters becomes one that reads the tokens of a vocabulary.

Q states · A letters · V tokens
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    """

    letters: list[tuple[str, ...]]
    tokens: list[list[int] | None]
    between: list[int]

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
        return cls(list(places), tokens, between)

    def knows(self, character: str) -> bool:
        """Say whether a character can be written."""
        return any(character in letter for letter in self.letters)

    def over_tokens(self, automaton: Automaton) -> Automaton:
        """Read tokens instead of letters."""
        following: np.ndarray = np.zeros((len(automaton) + self._apart, len(self.tokens)), np.int32)
        everywhere = np.arange(len(automaton))
        for token, letters in enumerate(self.tokens):
            if letters is None:
                continue
            after = everywhere
            for letter in [*self.between, *letters]:
                after = automaton.next[after, letter]
            following[: len(automaton), token] = after
            if self._apart:  # nothing stands before the first token
                following[-1, token] = automaton.walk(letters)
        if not self._apart:
            return Automaton(following, automaton.accepts, automaton.start)
        accepts = np.append(automaton.accepts, automaton.accepts[automaton.start])
        return Automaton(following, accepts, len(automaton) if automaton.start != DEAD else DEAD)

    @property
    def _apart(self) -> bool:
        return bool(self.between)
