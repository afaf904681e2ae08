"""Losses on held-out lines: of a model as it is, and as a model of new lines.

Nats and bits are averages over all characters, the end of every line counted as one, whatever the model's
tokens are, and what no training line held is paid for, an unknown word letter by letter (see `price`): so
models of characters, bytes and words compare, of a words model all but where the white space is wider than a
space.

Perplexity is per token, as in the literature: per character for characters, per word for words, where an
unknown word is one token, whichever it is. So it compares between models of one vocabulary only. For words the
literature gives it with the line ends counted as tokens or without them; both are here.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

NATS_PER_BIT = float(np.log(2.0))


@dataclass(frozen=True)
class Evaluation:
    """Losses on so many `lines`. `characters` and `tokens` count the line ends too.

    Of the `nats`, `spelling` say which unknown word it is, and `ends` are those of the line ends, which are
    told for words only. `new` tokens are characters or words without a token of their own.
    """

    nats: float
    characters: int
    tokens: int
    lines: int
    spelling: float = 0.0
    ends: float = 0.0
    new: int = 0

    def __add__(self, other: Evaluation) -> Evaluation:
        """The losses on both, if no line is in both."""
        return Evaluation(*[mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)])

    @property
    def nats_per_char(self) -> float:
        """Mean surprise of a character in nats."""
        return self.nats / self.characters

    @property
    def bits_per_char(self) -> float:
        """The same in bits."""
        return self.nats_per_char / NATS_PER_BIT

    @property
    def perplexity(self) -> float:
        """exp(nats per token): among how many equally likely tokens the model hesitates."""
        return float(np.exp((self.nats - self.spelling) / self.tokens))

    @property
    def perplexity_without_ends(self) -> float | None:
        """Give the same of the words alone, without the ends of lines; None for characters and bytes."""
        if not self.ends:
            return None
        return float(np.exp((self.nats - self.spelling - self.ends) / (self.tokens - self.lines)))

    def to_json(self) -> dict[str, float | None]:
        """Give the losses, and on how many lines, as JSON holds them."""
        names = (
            "nats_per_char",
            "bits_per_char",
            "perplexity",
            "perplexity_without_ends",
            "lines",
            "tokens",
            "new",
        )
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Conditional:
    """The loss of a model of new lines, or of two parts.

    Attributes:
        result: the loss.
        mass: what the model as it is gives to the training lines together.
        error: the standard error of the mass, if it was estimated; else 0.
        chance: of a line that was seen before; None if lines do not recur.
        sharpness: the power that the model's chances are taken to.
    """

    result: Evaluation
    mass: float
    error: float = 0.0
    chance: float | None = None
    sharpness: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """Give the loss and what it rests on, as JSON holds them."""
        more = {
            "mass": self.mass,
            "mass_error": self.error,
            "chance_seen": self.chance,
            "sharpness": self.sharpness,
        }
        return self.result.to_json() | more
