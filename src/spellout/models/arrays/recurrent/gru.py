"""gru in NumPy: the lines of a batch read side by side, and the backward pass through time written by hand.

Cho et al. 2014, "Learning Phrase Representations using RNN Encoder–Decoder for Statistical Machine Translation";
backpropagation through time: Werbos 1990, "Backpropagation Through Time: What It Does and How to Do It". Of the
token x and what the line was remembered by, h, each step makes

    r = σ(W_r x + U_r h + b_r)              how much of the memory has a say in what is new
    z = σ(W_z x + U_z h + b_z)              how much of the memory is kept
    n = tanh(W_n x + b_n + r (U_n h + c))   what is new
    h = n + z (h - n)

as `torch.nn.GRU` does, with the rows of W, U and b for r, z and n below each other. Only U h has to wait for the
step before. W x + b is the same wherever a token stands, so it is worked out once for each token and looked up.

    N tokens of a batch · B lines of a step · E embedding · H hidden · V vocabulary
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....errors import UsageError
from ...ranges import Dropout, Embedding, Hidden, WeightDecay
from ...weights import Shapes, Weights
from .last_layer import LastLayer
from .memory import Memory
from .packed import Packed


@dataclass(frozen=True, kw_only=True)
class GruConfig:
    """The settings of a gru in NumPy."""

    hidden: Hidden = 128
    """How many numbers it remembers a line by."""
    embedding: Embedding = 24
    """How many numbers stand for a token."""
    batch: int = 64
    """Lines a step learns from."""
    lr: float = 1e-2
    """The highest learning rate."""
    weight_decay: WeightDecay = 0.05
    """How much AdamW shrinks the weights."""
    dropout: Dropout = 0.0
    """The part of what it remembers that is hidden from the last layer in each step (Srivastava 2014)."""

    def __post_init__(self) -> None:
        for name in ("hidden", "embedding", "batch"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: a gru needs at least 1")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout={self.dropout:g}: must be at least 0 and below 1")


def shapes(config: GruConfig, vocabulary_size: int, prior: bool) -> Shapes:
    """The weights; with a prior, also those that weigh it."""
    hidden = config.hidden
    shapes: Shapes = {
        "embedding": (vocabulary_size, config.embedding),
        "input.weight": (3 * hidden, config.embedding),
        "input.bias": (3 * hidden,),
        "memory.weight": (3 * hidden, hidden),
        "memory.bias": (hidden,),
        "out.weight": (vocabulary_size, hidden),
        "out.bias": (vocabulary_size,),
    }
    return shapes | ({"trust.weight": (hidden,), "trust.bias": ()} if prior else {})


def start(config: GruConfig, vocabulary_size: int, random: np.random.Generator, prior: bool) -> Weights:
    """Zeros in the last layer: the first loss is ln V, or the prior's, which counts once.

    The matrices of the memory are orthogonal (Saxe et al. 2014): what is remembered neither fades nor explodes.
    """
    weights = {name: np.zeros(shape) for name, shape in shapes(config, vocabulary_size, prior).items()}
    weights["embedding"] = random.standard_normal(weights["embedding"].shape)
    inputs = random.standard_normal(weights["input.weight"].shape)
    weights["input.weight"] = inputs / np.sqrt(config.embedding)
    gates = [orthogonal(random.standard_normal((config.hidden, config.hidden))) for _ in range(3)]
    weights["memory.weight"] = np.concatenate(gates)
    if prior:
        weights["trust.bias"] = np.ones(())
    return weights


def orthogonal(matrix: np.ndarray) -> np.ndarray:
    """Make the rows of a square matrix orthogonal, each to those before it, and of length 1."""
    # The modified Gram–Schmidt process, twice as rounding wants it, and not LAPACK, whose last bits differ.
    rows = matrix.copy()
    for _ in range(2):
        for number in range(len(rows)):
            rows[number] /= np.sqrt((rows[number] * rows[number]).sum())
            later = rows[number + 1 :]
            later -= (later * rows[number]).sum(axis=1)[:, None] * rows[number]
    return rows


class GruArrays:
    """The network on batches of packed lines.

    Args:
        weights: the arrays by name.
        gradients: arrays of the same names and shapes, in which `backward` writes; all are of one float type.
    """

    def __init__(self, weights: Weights, gradients: Weights) -> None:
        self._w, self._d = weights, gradients
        self.hidden = weights["memory.weight"].shape[1]
        real = weights["memory.weight"].dtype
        self._memory, self._last = Memory(real), LastLayer(weights, gradients)

    def loss(
        self,
        batch: Packed,
        tokens: np.ndarray,
        targets: np.ndarray,
        prior: np.ndarray | None,
        kept: np.ndarray | None = None,
    ) -> float:
        """Mean nats per token of tokens (N,) that are followed by targets: tokens (N,), or distributions (N, V).

        `prior` (N, V) are log-probabilities to start from. `kept` (N, H) is by how much dropout multiplies each
        number that the last layer is given.
        """
        self._batch, self._tokens, self._kept = batch, tokens, kept
        self.remembered = self._read(batch, tokens)
        given = self.remembered
        if kept is not None:
            given = np.multiply(given, kept, out=self._memory.of("given", *given.shape))
        return self._last.loss(given, targets, prior)

    def _read(self, batch: Packed, tokens: np.ndarray) -> np.ndarray:
        """Give what is remembered after each token, (N, H)."""
        w, hidden, number, take = self._w, self.hidden, len(tokens), self._memory.of
        table = w["embedding"] @ w["input.weight"].T + w["input.bias"]  # (V, 3H)
        weight = np.ascontiguousarray(w["memory.weight"].T)  # (H, 3H)
        # σ(x) is (1 + tanh(x / 2)) / 2; the half is in what is multiplied.
        table[:, : 2 * hidden] *= 0.5
        weight[:, : 2 * hidden] *= 0.5
        gates = np.take(table, tokens, axis=0, out=take("gates", number, 3 * hidden), mode="clip")
        recalled = take("recalled", number, hidden)  # U_n h + c
        memory = take("memory", batch.lines + number, hidden)  # before the first step, and after each token
        memory[: batch.lines] = 0.0
        products = take("products", batch.lines, 3 * hidden)
        before = memory[: batch.lines]
        for start, end in batch.steps:
            before = before[: end - start]
            product = np.matmul(before, weight, out=products[: end - start])
            rz, n, u = gates[start:end, : 2 * hidden], gates[start:end, 2 * hidden :], recalled[start:end]
            rz += product[:, : 2 * hidden]
            np.tanh(rz, out=rz)
            rz *= 0.5
            rz += 0.5
            np.add(product[:, 2 * hidden :], w["memory.bias"], out=u)
            n += np.multiply(rz[:, :hidden], u, out=product[:, :hidden])
            np.tanh(n, out=n)
            after = memory[batch.lines + start : batch.lines + end]
            np.subtract(before, n, out=after)
            after *= rz[:, hidden:]
            after += n
            before = after
        self._gates, self._recalled, self._states = gates, recalled, memory
        return memory[batch.lines :]

    def backward(self) -> None:
        """The gradients of that loss, by time from the last step to the first."""
        w, d, hidden, batch = self._w, self._d, self.hidden, self._batch
        number, take = len(self._tokens), self._memory.of
        self._last.backward(d_after := take("d_after", number, hidden))
        if self._kept is not None:
            d_after *= self._kept
        d_gates, d_recalled = take("d_gates", number, 3 * hidden), take("d_recalled", number, hidden)
        before = np.take(self._states, batch.before(), axis=0, out=take("before", number, hidden), mode="clip")
        d_products = take("d_products", batch.lines, 3 * hidden)
        carried = np.zeros((0, hidden), d_after.dtype)
        for start, end in reversed(batch.steps):
            dh = d_after[start:end]
            dh[: len(carried)] += carried
            r, z, n = (self._gates[start:end, gate * hidden : (gate + 1) * hidden] for gate in range(3))
            dr, dz, dn = (d_gates[start:end, gate * hidden : (gate + 1) * hidden] for gate in range(3))
            d_product, u = d_products[: end - start], self._recalled[start:end]
            # h = n + z (before - n)
            np.multiply(dh, z, out=(passed := d_product[:, :hidden]))
            np.subtract(dh, passed, out=dn)
            np.multiply(n, n, out=dr)
            np.subtract(1.0, dr, out=dr)  # tanh' = 1 - tanh²
            dn *= dr
            np.subtract(before[start:end], n, out=dz)
            dz *= passed
            np.subtract(1.0, z, out=dr)  # σ' = σ (1 - σ)
            dz *= dr
            # n = tanh(... + r u)
            d_u = np.multiply(dn, r, out=d_recalled[start:end])
            np.subtract(1.0, r, out=dr)
            dr *= d_u
            dr *= u
            carried = np.multiply(dh, z, out=dh)
            d_product[:, : 2 * hidden] = d_gates[start:end, : 2 * hidden]
            d_product[:, 2 * hidden :] = d_u
            carried = carried + d_product @ w["memory.weight"]
        np.matmul(d_gates[:, : 2 * hidden].T, before, out=d["memory.weight"][: 2 * hidden])
        np.matmul(d_recalled.T, before, out=d["memory.weight"][2 * hidden :])
        np.sum(d_recalled, axis=0, out=d["memory.bias"])
        self._backward_of_table(d_gates)

    def _backward_of_table(self, d_gates: np.ndarray) -> None:
        """What each token adds, (V, 3H), has the sum of the gradients at all places where it stood."""
        w, d = self._w, self._d
        order = np.argsort(self._tokens, kind="stable")
        sorted_ = self._tokens[order]
        starts = np.flatnonzero(np.concatenate([[True], sorted_[1:] != sorted_[:-1]]))
        d_sorted = np.take(d_gates, order, axis=0, out=self._memory.of("d_sorted", *d_gates.shape), mode="clip")
        d_table = np.add.reduceat(d_sorted, starts, axis=0)  # of the tokens that were read
        read = sorted_[starts]
        np.sum(d_table, axis=0, out=d["input.bias"])
        np.matmul(d_table.T, w["embedding"][read], out=d["input.weight"])
        d["embedding"].fill(0.0)
        d["embedding"][read] = d_table @ w["input.weight"]
