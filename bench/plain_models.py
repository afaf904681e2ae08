"""The plain eager style that the networks are measured against: lines padded to one length, loops over time.

Written from the formulas in the style of the lectures and of makemore: every gate a layer of its own, attention as
a masked softmax, cross-entropy that ignores the padding.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class Recurrent(nn.Module):
    """A cell applied to one letter after the other."""

    def __init__(self, kind: str, vocabulary_size: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.kind, self.hidden = kind, hidden
        self.embedding = nn.Embedding(vocabulary_size, embedding)
        gates = {"rnn": 1, "gru": 3, "lstm": 4}[kind]
        self.layers = nn.ModuleList(nn.Linear(embedding + hidden, hidden) for _ in range(gates))
        self.head = nn.Linear(hidden, vocabulary_size)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) to (B, T, V)."""
        read = self.embedding(tokens)
        h = c = read.new_zeros(len(tokens), self.hidden)
        shown = []
        for t in range(tokens.shape[1]):
            h, c = self._cell(read[:, t], h, c)
            shown.append(h)
        return self.head(torch.stack(shown, 1))

    def _cell(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        xh = torch.cat([x, h], 1)
        if self.kind == "rnn":
            return torch.tanh(self.layers[0](xh)), c
        if self.kind == "gru":
            r, z = torch.sigmoid(self.layers[0](xh)), torch.sigmoid(self.layers[1](xh))
            candidate = torch.tanh(self.layers[2](torch.cat([x, r * h], 1)))
            return (1 - z) * h + z * candidate, c
        i, f, o = (torch.sigmoid(layer(xh)) for layer in list(self.layers)[:3])
        c = f * c + i * torch.tanh(self.layers[3](xh))
        return o * torch.tanh(c), c


class Transformer(nn.Module):
    """GPT-2 with attention spelled out."""

    def __init__(self, vocabulary_size: int, width: int, layers: int, heads: int, places: int) -> None:
        super().__init__()
        self.heads = heads
        self.embedding, self.place = nn.Embedding(vocabulary_size, width), nn.Embedding(places, width)
        self.qkv = nn.ModuleList(nn.Linear(width, 3 * width) for _ in range(layers))
        self.out = nn.ModuleList(nn.Linear(width, width) for _ in range(layers))
        self.wide = nn.ModuleList(nn.Linear(width, 4 * width) for _ in range(layers))
        self.back = nn.ModuleList(nn.Linear(4 * width, width) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * layers + 1))
        self.head = nn.Linear(width, vocabulary_size)
        self.register_buffer("mask", torch.ones(places, places).tril().bool())

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) to (B, T, V)."""
        batch, length = tokens.shape
        x = self.embedding(tokens) + self.place(torch.arange(length))
        for n, (qkv, out, wide, back) in enumerate(zip(self.qkv, self.out, self.wide, self.back, strict=True)):
            q, k, v = (
                part.view(batch, length, self.heads, -1).transpose(1, 2)
                for part in qkv(self.norms[2 * n](x)).chunk(3, -1)
            )
            scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
            chances = scores.masked_fill(~self.mask[:length, :length], -torch.inf).softmax(-1)
            x = x + out((chances @ v).transpose(1, 2).reshape(batch, length, -1))
            wider = wide(self.norms[2 * n + 1](x))
            gelu = 0.5 * wider * (1.0 + torch.tanh((2 / torch.pi) ** 0.5 * (wider + 0.044715 * wider**3)))
            x = x + back(gelu)
        return self.head(self.norms[-1](x))


class Bow(nn.Module):
    """The average of what has been read, by a masked softmax of zeros."""

    def __init__(self, vocabulary_size: int, embedding: int, hidden: int, places: int) -> None:
        super().__init__()
        self.embedding, self.place = nn.Embedding(vocabulary_size, embedding), nn.Embedding(places, embedding)
        self.hidden, self.back = nn.Linear(embedding, hidden), nn.Linear(hidden, embedding)
        self.head = nn.Linear(embedding, vocabulary_size)
        self.register_buffer("mask", torch.ones(places, places).tril().bool())

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) to (B, T, V)."""
        batch, length = tokens.shape
        x = self.embedding(tokens) + self.place(torch.arange(length))
        scores = torch.zeros(batch, length, length).masked_fill(~self.mask[:length, :length], -torch.inf)
        x = x + scores.softmax(-1) @ x
        return self.head(x + self.back(torch.tanh(self.hidden(x))))


class Tree(nn.Module):
    """An mlp (no levels) or a wavenet over windows, with a BatchNorm spelled out."""

    def __init__(self, vocabulary_size: int, embedding: int, hidden: int, context: int, levels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding)
        self.group = 2 if levels else context
        widths = [embedding] + [hidden] * max(1, levels)
        self.layers = nn.ModuleList(nn.Linear(self.group * a, b, bias=False) for a, b in pairwise(widths))
        self.gains = nn.ParameterList(torch.ones(hidden) for _ in self.layers)
        self.biases = nn.ParameterList(torch.zeros(hidden) for _ in self.layers)
        self.head = nn.Linear(hidden, vocabulary_size)
        self.running = [torch.zeros(2, hidden) for _ in self.layers]

    def forward(self, windows: Tensor) -> Tensor:
        """(N, C) to (N, V)."""
        x = self.embedding(windows)
        for n, layer in enumerate(self.layers):
            x = layer(x.view(len(x), -1, self.group * x.shape[-1]))
            mean, variance = x.mean((0, 1), keepdim=True), x.var((0, 1), keepdim=True)
            with torch.no_grad():
                self.running[n] = 0.9 * self.running[n] + 0.1 * torch.cat([mean[0], variance[0]])
            x = torch.tanh(self.gains[n] * (x - mean) / torch.sqrt(variance + 1e-5) + self.biases[n])
        return self.head(x[:, 0])
