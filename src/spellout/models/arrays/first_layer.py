"""The first layer of an mlp and its gradients: what a hidden unit is given, W · (the C vectors of a window) + b.

There are two ways with the same result. Either the vectors of the tokens are looked up and laid side by side, and
multiplied by W. Or, as what a token adds at a place of the window is always the same, that is worked out once for
each token and place, and looked up; with few tokens this takes half the time, since a batch has many windows.

    N windows · C context · E embedding · H hidden · V vocabulary
"""

from __future__ import annotations

import numpy as np

from ..weights import Weights

FEW_TOKENS = 64
"""Up to so many the second way is faster (contexts of 6, batches of 1,024)."""


def first_layer(weights: Weights, gradients: Weights, windows: int) -> VectorLayer | TableLayer:
    """The faster way for weights of this size, and N windows."""
    way = TableLayer if len(weights["embedding"]) <= FEW_TOKENS else VectorLayer
    return way(weights, gradients, windows)


class VectorLayer:
    """The vectors side by side, times W."""

    def __init__(self, weights: Weights, gradients: Weights, windows: int) -> None:
        self._w, self._d = weights, gradients
        inputs = weights["hidden.weight"].shape[1]
        self._vectors, self._d_vectors = np.empty((2, windows, inputs), weights["embedding"].dtype)

    def forward(self, windows: np.ndarray, before: np.ndarray) -> None:
        """Windows (N, C) to what tanh is given, written into `before` (N, H)."""
        embedding = self._w["embedding"]
        self._tokens = windows.ravel()  # (N * C,)
        np.take(embedding, self._tokens, axis=0, out=self._vectors.reshape(-1, embedding.shape[1]), mode="clip")
        np.matmul(self._vectors, self._w["hidden.weight"].T, out=before)  # (N, C * E) to (N, H)
        before += self._w["hidden.bias"]

    def backward(self, d_before: np.ndarray) -> None:
        """The gradient of `before` (N, H) to those of embedding, W and b, written into `gradients`."""
        np.sum(d_before, axis=0, out=self._d["hidden.bias"])
        np.matmul(d_before.T, self._vectors, out=self._d["hidden.weight"])  # (H, C * E)
        np.matmul(d_before, self._w["hidden.weight"], out=self._d_vectors)  # (N, C * E)
        # A token's vector has the sum of the gradients at all places where the token stood.
        d_embedding = self._d["embedding"]
        order = np.argsort(self._tokens, kind="stable")
        sorted_, d_sorted = self._tokens[order], self._d_vectors.reshape(-1, d_embedding.shape[1])[order]
        starts = np.flatnonzero(np.concatenate([[True], sorted_[1:] != sorted_[:-1]]))
        d_embedding.fill(0.0)
        d_embedding[sorted_[starts]] = np.add.reduceat(d_sorted, starts, axis=0)


class TableLayer:
    """What each token adds at each place, (C, V, H): embedding times the part of W that stands for the place."""

    def __init__(self, weights: Weights, gradients: Weights, windows: int) -> None:
        self._w, self._d = weights, gradients
        vocabulary, embedding = weights["embedding"].shape
        hidden, inputs = weights["hidden.weight"].shape
        context, real = inputs // embedding, weights["embedding"].dtype
        self._parts = weights["hidden.weight"].reshape(hidden, context, embedding).transpose(1, 2, 0)  # (C, E, H)
        self._table, self._d_table = np.empty((2, context, vocabulary, hidden), real)
        self._added = np.empty((windows, hidden), real)
        self._one_hot = np.zeros((windows, context * vocabulary), real)
        self._starts = np.arange(windows)[:, None] * context * vocabulary + np.arange(context) * vocabulary
        self._ones = np.zeros((windows, context), np.int64)  # where they stand

    def forward(self, windows: np.ndarray, before: np.ndarray) -> None:
        """Windows (N, C) to what tanh is given, written into `before` (N, H)."""
        np.matmul(self._w["embedding"], self._parts, out=self._table)
        self._table[0] += self._w["hidden.bias"]  # every window has one token there
        np.take(self._table[0], windows[:, 0], axis=0, out=before, mode="clip")
        for place in range(1, windows.shape[1]):
            np.take(self._table[place], windows[:, place], axis=0, out=self._added, mode="clip")
            before += self._added
        one_hot = self._one_hot.reshape(-1)
        one_hot[self._ones] = 0.0
        np.add(self._starts, windows, out=self._ones)
        one_hot[self._ones] = 1.0

    def backward(self, d_before: np.ndarray) -> None:
        """The gradient of `before` (N, H) to those of embedding, W and b, written into `gradients`."""
        # An entry of the table has the sum of the gradients of all windows where the token stood at the place. To
        # look it up was a product with a row of zeros and C ones, and a product is the fastest way to add up.
        flat = self._d_table.reshape(self._one_hot.shape[1], -1)
        np.matmul(self._one_hot.T, d_before, out=flat)  # (C * V, H)
        np.sum(self._d_table[0], axis=0, out=self._d["hidden.bias"])
        np.matmul(self._d_table, self._parts.transpose(0, 2, 1)).sum(axis=0, out=self._d["embedding"])
        d_parts = self._d["hidden.weight"].reshape(len(d_before.T), *self._parts.shape[:2])  # (H, C, E)
        d_parts[:] = np.matmul(self._w["embedding"].T, self._d_table).transpose(2, 0, 1)
