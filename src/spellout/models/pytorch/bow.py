"""bow: a bag of words. What follows depends on the average of everything read so far, and on the last letter.

The causal bag of words of Karpathy's makemore (2022): the average is attention that looks at all positions equally.

    N tokens of a batch · T tokens of the longest line · B lines · E embedding · H hidden · V vocabulary
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..ranges import Embedding, Hidden
from .model import LineModel, NetworkConfig, State

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class BowConfig(NetworkConfig):
    """The average of what has been read, and a hidden layer."""

    rates: ClassVar[dict[str, float]] = {"adamw": 5e-3, "muon": 2e-2}

    batch: int = 128
    """Lines a step learns from, unless the training is told otherwise."""
    hidden: Hidden = 128
    """How many hidden units."""
    embedding: Embedding = 64
    """How many numbers stand for a token at its place."""
    places: int | None = None
    """How many places of a line are told apart; by default as many as the longest training line has."""


class BowModel(LineModel):
    """x + average of all x so far, then x + a hidden layer of it, then logits."""

    Config = BowConfig

    @staticmethod
    def parts(config: BowConfig, vocabulary_size: int) -> dict[str, nn.Module]:
        """The layers, with random weights."""
        from .layers import TANH_GAIN, FastDropout, embeddings, linear, small_linear

        assert config.places is not None, "the learner counts the positions"
        return {
            **embeddings(vocabulary_size, config.places, config.embedding, 0.5),
            "hidden": linear(config.embedding, config.hidden, TANH_GAIN),
            "back": linear(config.hidden, config.embedding, 0.5**0.5),
            "dropout": FastDropout(config.dropout),
            "head": small_linear(config.embedding, vocabulary_size),
        }

    @staticmethod
    def forward(net: Any, tokens: Tensor, sizes: Tensor) -> Tensor:
        """Tokens (N,) of lines side by side, of which `sizes` (T,) go on at each step, to logits (N, V)."""
        from .layers import Table, embed

        table = Table(sizes, tokens.device)
        x = embed(net, tokens, table.steps)  # (N, E)
        sums = table.gather(table.lay(x).cumsum(0))  # (T, B, E), then (N, E)
        return _logits(net, x + sums / (table.steps + 1)[:, None])

    @staticmethod
    def read(net: Any, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        """One more token of every line, (B,), and the state so far to logits (B, V) and the state after.

        The state is the sum of all x, (1, B, E), and how many there are, (1, B).
        """
        from .layers import embed

        position = tokens * 0 if state is None else state[1][0]  # (B,)
        x = embed(net, tokens, position)  # (B, E)
        total = x if state is None else state[0][0] + x
        return _logits(net, x + total / (position + 1)[:, None]), (total[None], (position + 1)[None])


def _logits(net: Any, x: Tensor) -> Tensor:
    x = x + net.back(net.hidden(x).tanh())  # (N, H) on the way, (N, E)
    return net.head(net.dropout(x))  # (N, V)
