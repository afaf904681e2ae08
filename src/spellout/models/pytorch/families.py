"""The families of networks in PyTorch: the settings of each, and how it stands behind the contract.

Nothing here imports PyTorch, so that models can be named, configured and listed without it. Each network is in
the file that its `network` names, and is imported when such a model is trained or used.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar, Literal

from ...errors import UsageError
from ..ranges import Context, Dropout, Embedding, Heads, Hidden, Layers, Levels, Optimizer, Tied, WeightDecay, Width
from .model import LineModel, WindowModel


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """What all networks have: how much of them is left out at random, and how fast weights decay."""

    batch: ClassVar[int]
    """How many examples a step learns from, unless the training is told otherwise."""
    rates: ClassVar[dict[str, float]]
    """For each optimizer the highest learning rate, unless the training is told otherwise."""

    dropout: Dropout = 0.0
    """The part of the hidden units that is left out in each step (Srivastava 2014)."""
    weight_decay: WeightDecay = 0.05
    """How much a matrix shrinks in a step at learning rate 1; biases, gains and embeddings do not."""
    optimizer: Optimizer = "adamw"
    """muon moves the hidden matrices by orthogonal updates (Jordan 2024), and the rest as adamw does."""

    @property
    def lr(self) -> float:
        """The highest learning rate, unless the training is told otherwise."""
        return self.rates[self.optimizer]

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int) and value < 1:
                raise UsageError(f"{field.name}={value}: must be at least 1")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout={self.dropout:g}: must be at least 0 and below 1")
        if not 0 <= self.weight_decay < 1:
            raise UsageError(f"weight_decay={self.weight_decay:g}: must be at least 0 and below 1")


@dataclass(frozen=True, kw_only=True)
class MlpBnConfig(NetworkConfig):
    """An mlp whose hidden units are normalised over the batch."""

    batch: ClassVar[int] = 1024
    rates: ClassVar[dict[str, float]] = {"adamw": 6e-3, "muon": 2e-2}

    hidden: Hidden = 256
    """How many hidden units."""
    context: Context = 8
    """How many last tokens it sees."""
    embedding: Embedding = 16
    """How many numbers stand for a token."""
    statistics: Literal["running", "calibrated"] = "running"
    """The means and deviations that a trained model uses: averaged while training, or measured at the end."""


class MlpBnModel(WindowModel):
    """See `mlp_bn`."""

    Config = MlpBnConfig
    network = "mlp_bn.MlpBn"


@dataclass(frozen=True, kw_only=True)
class WavenetConfig(NetworkConfig):
    """A tree that fuses pairs: of tokens, then of pairs, and so on."""

    batch: ClassVar[int] = 512
    rates: ClassVar[dict[str, float]] = {"adamw": 6e-3, "muon": 2e-2}

    hidden: Hidden = 128
    """How many channels."""
    levels: Levels = 3
    """How many times pairs are fused: the context is 2 to that power."""
    embedding: Embedding = 24
    """How many numbers stand for a token."""
    statistics: Literal["running", "calibrated"] = "running"
    """The means and deviations that a trained model uses: averaged while training, or measured at the end."""

    @property
    def context(self) -> int:
        """How many last tokens it sees."""
        return 2**self.levels


class WavenetModel(WindowModel):
    """See `wavenet`."""

    Config = WavenetConfig
    network = "wavenet.Wavenet"


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig(NetworkConfig):
    """One layer that reads a line from left to right."""

    batch: ClassVar[int] = 128
    rates: ClassVar[dict[str, float]] = {"adamw": 1e-2, "muon": 3e-2}

    hidden: Hidden = 192
    """How many numbers it remembers a line by."""
    embedding: Embedding = 32
    """How many numbers stand for a token."""
    dropout: Dropout = 0.15
    """The part of the hidden units that is left out in each step (Srivastava 2014)."""
    optimizer: Optimizer = "muon"
    """muon moves the hidden matrices by orthogonal updates (Jordan 2024), and the rest as adamw does."""


class RnnModel(LineModel):
    """See `recurrent`."""

    Config = RecurrentConfig
    network = "recurrent.Rnn"


class GruModel(LineModel):
    """See `recurrent`."""

    Config = RecurrentConfig
    network = "recurrent.Gru"


class LstmModel(LineModel):
    """See `recurrent`."""

    Config = RecurrentConfig
    network = "recurrent.Lstm"


@dataclass(frozen=True, kw_only=True)
class BowConfig(NetworkConfig):
    """The average of what has been read, and a hidden layer."""

    batch: ClassVar[int] = 128
    rates: ClassVar[dict[str, float]] = {"adamw": 5e-3, "muon": 2e-2}

    hidden: Hidden = 128
    """How many hidden units."""
    embedding: Embedding = 64
    """How many numbers stand for a token at its place."""
    places: int | None = None
    """How many places of a line are told apart; by default as many as the longest training line has."""


class BowModel(LineModel):
    """See `bow`."""

    Config = BowConfig
    network = "bow.Bow"


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(NetworkConfig):
    """Blocks of attention and of a wide layer, each added to what came before."""

    batch: ClassVar[int] = 128
    rates: ClassVar[dict[str, float]] = {"adamw": 5e-3, "muon": 2e-2}

    width: Width = 64
    """How many numbers stand for a token in every block."""
    layers: Layers = 3
    """How many blocks."""
    heads: Heads = 4
    """In how many ways each block attends; divides the width."""
    places: int | None = None
    """How many places of a line are told apart; by default as many as the longest training line has."""
    tied: Tied = "no"
    """yes: the vectors of the tokens are also what the last layer compares with (Press & Wolf 2017)."""
    dropout: Dropout = 0.1
    """The part of the hidden units that is left out in each step (Srivastava 2014)."""
    optimizer: Optimizer = "muon"
    """muon moves the hidden matrices by orthogonal updates (Jordan 2024), and the rest as adamw does."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads:
            raise UsageError(f"width={self.width}: must be a multiple of heads={self.heads}")


class TransformerModel(LineModel):
    """See `transformer`."""

    Config = TransformerConfig
    network = "transformer.Transformer"
