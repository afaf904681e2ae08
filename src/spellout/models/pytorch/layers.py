"""What networks in PyTorch are made of: a module for all of them, layers of our own, and how weights begin.

He et al. 2015, "Delving Deep into Rectifiers": a layer keeps the variance of its input if its weights have the
deviation gain / sqrt(inputs), with gain 5/3 for tanh and sqrt(2) for relu.

    N tokens of a batch · T tokens of the longest line · B lines · C width · H hidden · V vocabulary
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

TANH_GAIN = 5 / 3
SMALL = 0.1


class Network(nn.Module):
    """The parts of a network by name, as its weights are named on disk. What they compute stands in the network's
    own file, beside what they are: `forward` of the class `model`."""

    def __init__(self, model: Any, config: Any, vocabulary_size: int, prior: bool) -> None:
        super().__init__()
        self.model, self.config = model, config
        for name, part in model.parts(config, vocabulary_size).items():
            self.add_module(name, part)
        if prior:
            self.blend = Blend(vocabulary_size)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Windows (N, C), or tokens (N,) of lines side by side and how many of them go on at each step, (T,), to
        logits (N, V)."""
        logits: Tensor = self.model.forward(self, *inputs)
        return logits

    def load(self, weights: dict[str, np.ndarray]) -> None:
        """Take over weights by name. `ValueError` if they are not those of such a network."""
        try:
            self.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
        except RuntimeError as error:
            raise ValueError(f"the weights do not fit the network: {error}") from None


def linear(inputs: int, outputs: int, gain: float = 1.0, bias: bool = True) -> nn.Linear:
    """A layer with weights of deviation gain / sqrt(inputs), and biases of zero."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    nn.init.normal_(layer.weight, std=gain * inputs**-0.5)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class Head(nn.Linear):
    """A last layer that may be asked for the logits of some tokens only: of `chosen` (T,), unless it is None."""

    chosen: Tensor | None = None

    def forward(self, input: Tensor) -> Tensor:
        """Turn (N, H) into (N, V), or into (N, T)."""
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if self.chosen is not None:
            weight, bias = weight[self.chosen], bias[self.chosen]
        return nn.functional.linear(input, weight, bias)


class TiedHead(nn.Module):
    """The same with the vectors of the tokens for its weights (Press & Wolf 2017, "Using the Output Embedding to
    Improve Language Models"): what the network says is projected to their width first."""

    chosen: Tensor | None = None

    def __init__(self, inputs: int, width: int, vocabulary_size: int) -> None:
        super().__init__()
        self.project = linear(inputs, width, SMALL)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))

    def forward(self, x: Tensor, vectors: Tensor) -> Tensor:
        """Turn (N, H) and the vectors (V, E) into (N, V), or into (N, T)."""
        bias: Tensor = self.bias
        if self.chosen is not None:
            vectors, bias = vectors[self.chosen], bias[self.chosen]
        return nn.functional.linear(self.project(x), vectors, bias)


def small_linear(inputs: int, outputs: int) -> Head:
    """A last layer: its logits are small, so that at first all tokens are about equally likely."""
    layer = Head(inputs, outputs)
    nn.init.normal_(layer.weight, std=SMALL * inputs**-0.5)
    nn.init.zeros_(layer.bias)
    return layer


def embeddings(vocabulary_size: int, positions: int, width: int, std: float) -> dict[str, nn.Module]:
    """The vectors of tokens and those of positions, which `embed` adds, of a deviation."""
    token, position = nn.Embedding(vocabulary_size, width), nn.Embedding(positions, width)
    for table in (token, position):
        nn.init.normal_(table.weight, std=std)
    return {"embedding": token, "place_embedding": position}


def embed(net: Any, tokens: Tensor, positions: Tensor) -> Tensor:
    """Tokens (N,) and their positions (N,) to vectors (N, C). Positions beyond the last one learned share its
    vector, so lines may have any length."""
    last = net.place_embedding.num_embeddings - 1
    x: Tensor = net.embedding(tokens) + net.place_embedding(positions.clamp(max=last))
    return x


class FastDropout(nn.Dropout):
    """On a CPU one random word decides over four units, to one part in 65,536. PyTorch's takes twice as
    long or more (bench/torch_family.py), a tenth of a step of a small network."""

    def forward(self, x: Tensor) -> Tensor:
        """Zeros at random places, the rest larger, so that the mean stays."""
        if not self.training or not self.p or x.device.type != "cpu":
            return super().forward(x)
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        dropped = min(round(self.p * 2**16), 2**16 - 1)
        kept = words.view(torch.int16)[: x.numel()].view(x.shape) >= dropped - 2**15
        return x * kept.to(x.dtype).mul_(2**16 / (2**16 - dropped))


class PackedGru(nn.GRU):
    """A `torch.nn.GRU` that on a CPU reads packed lines with one call of its cell for each step.

    PyTorch's own loop computes the same, but the derivative of each of its steps is an array as large as the whole
    batch, nearly all of it zeros: a step of training takes 14 % longer at H = 192, 20 % at 128
    (bench/torch_family.py). A derivative of all steps by hand was tried too, and is no faster than this.
    """

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        """A packed batch, the longest line first, to what is remembered after each token, packed, and at the end
        of each line, (1, B, H); all else that `torch.nn.GRU` reads, in its way."""
        packed = isinstance(input, PackedSequence) and input.sorted_indices is None and hx is None
        plain = self.num_layers == 1 and self.bias and not self.bidirectional
        if not (packed and plain and input.data.device.type == "cpu"):
            return super().forward(input, hx)
        sizes = input.batch_sizes.tolist()
        h = input.data.new_zeros(sizes[0], self.hidden_size)
        remembered, ended = [], []
        for x, go_on in zip(input.data.split(sizes), [*sizes[1:], 0], strict=True):
            h = torch.gru_cell(x, h, *self.all_weights[0])  # (lines at this step, H)
            remembered.append(h)
            ended.append(h[go_on:])
            h = h[:go_on]
        return PackedSequence(torch.cat(remembered), input.batch_sizes), torch.cat(ended[::-1])[None]


class Blend(nn.Module):
    """Weighs what a network says with what an n-gram says: a product of both, each to a power. How much the n-gram
    is trusted depends on what the network says. At first both count once.

    Hinton 2002, "Training Products of Experts by Minimizing Contrastive Divergence".
    """

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.powers = nn.Parameter(torch.ones(2))
        self.trust = nn.Parameter(torch.zeros(vocabulary_size))

    def forward(self, logits: Tensor, counted: Tensor) -> Tensor:
        """Logits (..., V) and log-probabilities (..., V) to logits (..., V)."""
        # Divided by sqrt(V), so that a step moves the power as far with many tokens as with few.
        power = self.powers[1] + logits @ self.trust * len(self.trust) ** -0.5  # (...)
        return self.powers[0] * logits + power[..., None] * counted


class Table:
    """Lays tokens side by side, of which `sizes` (T,) go on at each step, out as a table of steps and lines, and
    back. The table is flat, (T · B, ...), so that neither way needs more than one index."""

    def __init__(self, sizes: Tensor, device: torch.device) -> None:
        self.length, self.lines = len(sizes), int(sizes[0])
        cells = (torch.arange(self.lines) < sizes[:, None]).flatten().nonzero()[:, 0]  # (N,)
        self.steps = (cells // self.lines).to(device)  # (N,): the position of each token in its line
        self._cells = cells.to(device)
        self._full = len(cells) == self.length * self.lines

    def lay(self, x: Tensor) -> Tensor:
        """(N, C) to (T, B, C), with zeros where lines have ended."""
        if not self._full:
            x = x.new_zeros(self.length * self.lines, x.shape[-1]).index_copy(0, self._cells, x)
        return x.view(self.length, self.lines, -1)

    def gather(self, table: Tensor) -> Tensor:
        """(T, B, C) to (N, C)."""
        flat = table.reshape(self.length * self.lines, -1)
        return flat if self._full else flat.index_select(0, self._cells)
