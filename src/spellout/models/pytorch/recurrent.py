"""rnn, gru, lstm: one layer that reads a line from left to right, with one of three cells.

Mikolov 2010, "Recurrent neural network based language model"; Cho 2014, "Learning Phrase Representations using RNN
Encoder–Decoder" (GRU); Graves 2014, "Generating Sequences With Recurrent Neural Networks" (LSTM). The lines of a
batch are packed: at every step only those that have not ended are computed.

    N tokens of a batch · T tokens of the longest line · B lines · E embedding · H hidden · V vocabulary
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..ranges import Dropout, Embedding, Hidden, Optimizer, Tied, Wide
from .model import LineModel, NetworkConfig, State

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig(NetworkConfig):
    """One layer that reads a line from left to right."""

    rates: ClassVar[dict[str, float]] = {"adamw": 1e-2, "muon": 3e-2}

    batch: int = 128
    """Lines a step learns from, unless the training is told otherwise."""
    hidden: Hidden = 192
    """How many numbers it remembers a line by."""
    embedding: Embedding = 32
    """How many numbers stand for a token."""
    wide: Wide = 0
    """How many GELU units stand between what it remembers and the logits; 0: it is asked at once."""
    dropout: Dropout = 0.15
    """The part of the hidden units that is left out in each step (Srivastava 2014)."""
    optimizer: Optimizer = "muon"
    """muon moves the hidden matrices by orthogonal updates (Jordan 2024), and the rest as adamw does."""
    tied: Tied = "no"
    """yes: the vectors of the tokens also give their logits (Press & Wolf 2017); for large vocabularies."""


class RecurrentModel(LineModel):
    """Embedding, one recurrent layer, and logits from what it remembers, at once or through a wide layer."""

    Config = RecurrentConfig

    @classmethod
    def parts(cls, config: RecurrentConfig, vocabulary_size: int) -> dict[str, nn.Module | None]:
        """The layers, with random weights."""
        from torch import nn

        from .layers import FastDropout, PackedGru, TiedHead, linear, small_linear

        cell = {RnnModel: nn.RNN, GruModel: PackedGru, LstmModel: nn.LSTM}[cls]
        parts = {
            "embedding": nn.Embedding(vocabulary_size, config.embedding),
            "layer": cell(config.embedding, config.hidden),
            "dropout": FastDropout(config.dropout),
            "head": small_linear(config.wide or config.hidden, vocabulary_size),
            "wide": linear(config.hidden, config.wide, 2**0.5) if config.wide else None,
        }
        if config.tied == "yes":
            nn.init.normal_(parts["embedding"].weight, std=config.embedding**-0.5)  # logits are sums of products
            parts["head"] = TiedHead(config.wide or config.hidden, config.embedding, vocabulary_size)
        for name, parameter in parts["layer"].named_parameters():
            if name.startswith("weight_hh"):  # a memory that neither fades nor explodes at first
                for gate in parameter.data.split(config.hidden):
                    nn.init.orthogonal_(gate)  # (H, H)
            elif name.startswith("weight_ih"):
                nn.init.normal_(parameter, std=config.embedding**-0.5)
            else:
                nn.init.zeros_(parameter)
        return parts

    @staticmethod
    def forward(net: Any, tokens: Tensor, sizes: Tensor) -> Tensor:
        """Tokens (N,) of lines side by side, of which `sizes` (T,) go on at each step, to logits (N, V)."""
        from torch.nn.utils.rnn import PackedSequence

        x = net.dropout(_vectors(net, tokens))  # (N, E)
        remembered, _ = net.layer(PackedSequence(x, sizes))  # (N, H), packed
        return _logits(net, remembered.data)  # (N, V)

    @staticmethod
    def read(net: Any, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        """One more token of every line, (B,), and the state so far to logits (B, V) and the state after.

        The state is what the cell remembers, (1, B, H); the lstm has two of them.
        """
        before = state if state is None or len(state) > 1 else state[0]
        remembered, after = net.layer(_vectors(net, tokens)[None], before)  # (1, B, H)
        return _logits(net, remembered[0]), after if isinstance(after, tuple) else (after,)


def _vectors(net: Any, tokens: Tensor) -> Tensor:
    """Tokens (N,) to vectors (N, E) of a deviation of 1 at first."""
    vectors: Tensor = net.embedding(tokens)
    return vectors * vectors.shape[-1] ** 0.5 if net.config.tied == "yes" else vectors


class RnnModel(RecurrentModel):
    """h = tanh(W x + U h)."""


class GruModel(RecurrentModel):
    """Gates choose how much of the memory is renewed."""


class LstmModel(RecurrentModel):
    """Gates choose what is written to, kept in, and shown of a second memory."""


def _logits(net: Any, remembered: Tensor) -> Tensor:
    """Turn what a cell remembers, (..., H), into logits (..., V)."""
    from torch.nn.functional import gelu

    x = net.dropout(remembered)
    if net.wide is not None:
        x = net.dropout(gelu(net.wide(x)))  # (..., wide)
    logits: Tensor = net.head(x, net.embedding.weight) if net.config.tied == "yes" else net.head(x)
    return logits
