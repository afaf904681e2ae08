"""A trained gru behind the contract, run so that a line's logits do not depend on those beside it.

Every product is exact (`exact.py`), and what is remembered is rounded to the same whole numbers that the products
are made of. So last bits that processors differ by are not carried along a line, and a reader that goes on from a
state gives the bits of whole lines.

    B lines · T positions of a line · E embedding · H hidden · V vocabulary
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ...softmax import log_softmax
from ...weights import Weights
from ..blas import one_thread
from ..exact import ExactLinear
from ..network import ArrayModel
from . import gru
from .gru import GruConfig
from .memory import Memory

_LINES_AT_ONCE = 256
"""What is worked out for them stays in the fast cache."""


class GruModel(ArrayModel):
    """The trained network."""

    Config = GruConfig
    shapes, start = staticmethod(gru.shapes), staticmethod(gru.start)

    @property
    def own_context(self) -> None:
        """The network sees the whole line."""
        return None

    def logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """Turn (B, T) token ids, and the prior's log-probabilities (B, T, V), into logits (B, T, V)."""
        found, memory = np.empty((*tokens.shape, self.vocabulary_size)), Memory(np.dtype(np.float64))
        for start in range(0, len(tokens), _LINES_AT_ONCE):
            piece = slice(start, start + _LINES_AT_ONCE)
            states = self.cell.nothing(len(tokens[piece]))
            for place, column in enumerate(tokens[piece].T):
                states = self.cell.read(column, states, memory)
                rows = None if prior is None else prior[piece, place]
                found[piece, place] = self.cell.logits(states, rows)
        return found

    def next_logits(self, tokens: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """Give logits (B, V) of what follows the last of the tokens (B, T), with the prior's rows (B, V)."""
        states, memory = self.cell.nothing(len(tokens)), Memory(np.dtype(np.float64))
        for column in tokens.T:
            states = self.cell.read(column, states, memory)
        return self.cell.logits(states, prior)

    def reader(self, lines: int) -> GruReader:
        """Give a reader that goes on from the state of each line."""
        return GruReader(self, lines)

    def token_vectors(self) -> np.ndarray:
        """Give the vectors (V, E) that stand for the tokens."""
        return self.weights["embedding"]

    @cached_property  # made when it is first run: a model in training is often only saved
    def cell(self) -> ExactCell:
        """Give what reads one token and says what follows."""
        return ExactCell(self.weights)


class ExactCell:
    """One step of the network. States (B, H) are whole numbers, as the products want them."""

    def __init__(self, weights: Weights) -> None:
        embedding, self._hidden = weights["embedding"], weights["memory.weight"].shape[1]
        first = ExactLinear(weights["input.weight"], weights["input.bias"], float(np.abs(embedding).max()))
        with one_thread():
            self._table = first(first.whole(embedding))  # (V, 3H)
        bias = np.concatenate([np.zeros(2 * self._hidden), weights["memory.bias"]])
        # What is remembered is between -1 and 1, as tanh is.
        self._memory = ExactLinear(weights["memory.weight"], bias, 1.0)
        out, bias = weights["out.weight"], weights["out.bias"]
        if "trust.weight" in weights:  # how much the prior counts: one output more
            out = np.vstack([out, weights["trust.weight"]])
            bias = np.append(bias, weights["trust.bias"])
        self._last = ExactLinear(out, bias, 1.0)
        self._unit = 1.0 / float(self._memory.whole(np.ones(1))[0])

    def nothing(self, lines: int) -> np.ndarray:
        """Give the states (B, H) of lines before their boundary."""
        return np.zeros((lines, self._hidden))

    def read(self, tokens: np.ndarray, states: np.ndarray, memory: Memory) -> np.ndarray:
        """Read one token of every line, (B,), after the states (B, H); give the states after.

        `memory` is used in between, and may be used again.
        """
        hidden, lines = self._hidden, len(states)
        with one_thread():
            products = self._memory(states, memory.of("products", lines, 3 * hidden))
        gates = memory.of("gates", lines, 3 * hidden)
        np.take(self._table, tokens.astype(np.int64, copy=False), axis=0, out=gates, mode="clip")
        rz, n, recalled = gates[:, : 2 * hidden], gates[:, 2 * hidden :], products[:, 2 * hidden :]
        rz += products[:, : 2 * hidden]
        rz *= 0.5
        np.tanh(rz, out=rz)  # σ(x) = (1 + tanh(x / 2)) / 2
        rz *= 0.5
        rz += 0.5
        recalled *= rz[:, :hidden]
        n += recalled
        np.tanh(n, out=n)
        after = np.multiply(states, self._unit, out=memory.of("after", lines, hidden))
        after -= n
        after *= rz[:, hidden:]
        after += n
        return self._memory.whole(after)

    def logits(self, states: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """Turn states (B, H) and the prior's rows (B, V) into logits (B, V)."""
        with one_thread():
            outputs = self._last(self._last.whole(states * self._unit))
        if prior is None:
            return outputs
        logits: np.ndarray = outputs[:, :-1] + outputs[:, -1:] * prior
        return logits


class GruReader:
    """Reads many lines, one token of each at a time, by their states (see `contract.Reader`)."""

    def __init__(self, model: GruModel, lines: int) -> None:
        self._cell, self._states = model.cell, model.cell.nothing(lines)
        self._memory = Memory(np.dtype(np.float64))
        self._prior = None if model.prior is None else model.prior.reader(lines)

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Give log-probabilities (B, V) of what follows."""
        self._states = self._cell.read(tokens, self._states, self._memory)
        prior = None if self._prior is None else self._prior.read(tokens)
        return log_softmax(self._cell.logits(self._states, prior))

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these lines only."""
        self._states = self._states[rows]
        if self._prior is not None:
            self._prior.keep(rows)
