"""rnn, gru, lstm: one layer that reads a line from left to right, with one of three cells.

Mikolov 2010, "Recurrent neural network based language model"; Cho 2014, "Learning Phrase Representations using RNN
Encoder–Decoder" (GRU); Graves 2014, "Generating Sequences With Recurrent Neural Networks" (LSTM). The lines of a
batch are packed: at every step only those that have not ended are computed, by PyTorch's own loop over time or, for
the gru on a CPU, by ours (`torch_gru`).

    N tokens in a batch · T longest line · B lines · E embedding · H hidden · V vocabulary
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from .families import RecurrentConfig
from .gru import PackedGru
from .layers import Dropout, small_linear


class _Recurrent(nn.Module):
    """Embedding, one recurrent layer, and logits from what it remembers."""

    cell: ClassVar[type[nn.RNN | nn.GRU | nn.LSTM]]
    gates: ClassVar[int]

    def __init__(self, config: RecurrentConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, config.embedding)
        self.layer = self.cell(config.embedding, config.hidden)
        self.dropout = Dropout(config.dropout)
        self.head = small_linear(config.hidden, vocabulary_size)
        for name, parameter in self.layer.named_parameters():
            if name.startswith("weight_hh"):  # a memory that neither fades nor explodes at first
                for block in parameter.data.chunk(self.gates):
                    nn.init.orthogonal_(block)
            elif name.startswith("weight_ih"):
                nn.init.normal_(parameter, std=config.embedding**-0.5)
            else:
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor, sizes: Tensor) -> Tensor:
        """Tokens (N,) of lines side by side, of which `sizes` (T,) go on at each step, to logits (N, V)."""
        read = self.dropout(self.embedding(tokens))  # (N, E)
        remembered, _ = self.layer(PackedSequence(read, sizes))
        return self.head(self.dropout(remembered.data))  # (N, H) to (N, V)

    def read(self, tokens: Tensor, state: tuple[Tensor, ...] | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One more token of every line, (B,), and the state so far to logits (B, V) and the state after."""
        before = state if state is None or len(state) > 1 else state[0]
        remembered, after = self.layer(self.embedding(tokens)[None], before)  # (1, B, H)
        return self.head(remembered[0]), after if isinstance(after, tuple) else (after,)


class Rnn(_Recurrent):
    """h = tanh(W x + U h)."""

    cell, gates = nn.RNN, 1


class Gru(_Recurrent):
    """Gates choose how much of the memory is renewed."""

    cell, gates = PackedGru, 3


class Lstm(_Recurrent):
    """Gates choose what is written to, kept in, and shown of a second memory."""

    cell, gates = nn.LSTM, 4
