"""Layers: dots that share their inputs, as products of matrices in tiles of four by four.

Most of a network's work is here. Four rows of results times four of inputs stay in SIMD registers while the lanes
go by, so that a tile makes sixteen products of every eight numbers it reads. Weights come packed, as matrices
padded with zeros to multiples of four. Letters as in `kernels.py`.
"""

from __future__ import annotations

from typing import Any

from .compiling import part, pasted, summing

COUNT, POOL, A, B, C = 1, 2, 3, 4, 5
"""Columns of a tape's code (see `lowering.py`): outputs m, place in the pool, weights, inputs n, groups."""
PAD = 16
"""Columns of the matrices come in multiples of this, the widest SIMD register of float32."""


@summing
def add_product(Y: Any, W: Any, X: Any) -> None:
    """Y += W X for Y (m, C), W (m, n), X (n, C); m and n are multiples of 4."""
    m, n = W.shape
    for j in range(0, m, 4):
        y0, y1, y2, y3 = Y[j], Y[j + 1], Y[j + 2], Y[j + 3]
        for i in range(0, n, 4):
            x0, x1, x2, x3 = X[i], X[i + 1], X[i + 2], X[i + 3]
            a0, a1, a2, a3 = W[j, i], W[j, i + 1], W[j, i + 2], W[j, i + 3]
            b0, b1, b2, b3 = W[j + 1, i], W[j + 1, i + 1], W[j + 1, i + 2], W[j + 1, i + 3]
            c0, c1, c2, c3 = W[j + 2, i], W[j + 2, i + 1], W[j + 2, i + 2], W[j + 2, i + 3]
            d0, d1, d2, d3 = W[j + 3, i], W[j + 3, i + 1], W[j + 3, i + 2], W[j + 3, i + 3]
            for l in range(X.shape[1]):
                u0, u1, u2, u3 = x0[l], x1[l], x2[l], x3[l]
                y0[l] += a0 * u0 + a1 * u1 + a2 * u2 + a3 * u3
                y1[l] += b0 * u0 + b1 * u1 + b2 * u2 + b3 * u3
                y2[l] += c0 * u0 + c1 * u1 + c2 * u2 + c3 * u3
                y3[l] += d0 * u0 + d1 * u1 + d2 * u2 + d3 * u3


@summing
def add_outer(W: Any, Y: Any, X: Any) -> None:
    """W += Y Xᵀ for W (m, n), Y (m, C), X (n, C); m and n are multiples of 4."""
    m, n = W.shape
    for j in range(0, m, 4):
        y0, y1, y2, y3 = Y[j], Y[j + 1], Y[j + 2], Y[j + 3]
        for i in range(0, n, 4):
            x0, x1, x2, x3 = X[i], X[i + 1], X[i + 2], X[i + 3]
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = W.dtype.type(0)
            c0 = c1 = c2 = c3 = d0 = d1 = d2 = d3 = W.dtype.type(0)
            for l in range(X.shape[1]):
                u0, u1, u2, u3 = x0[l], x1[l], x2[l], x3[l]
                v0, v1, v2, v3 = y0[l], y1[l], y2[l], y3[l]
                a0, a1, a2, a3 = a0 + v0 * u0, a1 + v0 * u1, a2 + v0 * u2, a3 + v0 * u3
                b0, b1, b2, b3 = b0 + v1 * u0, b1 + v1 * u1, b2 + v1 * u2, b3 + v1 * u3
                c0, c1, c2, c3 = c0 + v2 * u0, c1 + v2 * u1, c2 + v2 * u2, c3 + v2 * u3
                d0, d1, d2, d3 = d0 + v3 * u0, d1 + v3 * u1, d2 + v3 * u2, d3 + v3 * u3
            w0, w1, w2, w3 = W[j], W[j + 1], W[j + 2], W[j + 3]
            for w, s0, s1, s2, s3 in (
                (w0, a0, a1, a2, a3),
                (w1, b0, b1, b2, b3),
                (w2, c0, c1, c2, c3),
                (w3, d0, d1, d2, d3),
            ):
                w[i] += s0
                w[i + 1] += s1
                w[i + 2] += s2
                w[i + 3] += s3


@summing
def total(row: Any, lanes: int) -> Any:
    """The sum of a row's first lanes."""
    result = row.dtype.type(0)
    for l in range(lanes):
        result += row[l]
    return result


@part
def gather(M: Any, rows: int, columns: int, R: Any, pool: Any, at: int, lanes: int) -> None:
    """Copy registers into the matrix M, group by group of lanes; the padding is zero.

    `pool[at + t * rows + i]` is the register of row i in group t, of `columns // lanes` groups.
    """
    for i in range(M.shape[0]):
        row = M[i]
        if i < rows:
            for t in range(columns // lanes):
                source = R[pool[at + t * rows + i]]
                for l in range(lanes):
                    row[t * lanes + l] = source[l]
            for l in range(columns, M.shape[1]):
                row[l] = 0
        else:
            for l in range(M.shape[1]):
                row[l] = 0


@pasted
def layer_forward(code: Any, pool: Any, S: Any, R: Any, lanes: int, scratch: Any) -> None:
    """Dots of the same inputs, for one or more groups of inputs with the same weights."""
    m, at, offset, n, groups = code[COUNT], code[POOL], code[A], code[B], code[C]
    m4, n4 = (m + 3) // 4 * 4, (n + 3) // 4 * 4
    columns = groups * lanes
    width = (columns + PAD - 1) // PAD * PAD
    X = scratch[0, : n4 * width].reshape(n4, width)
    Y = scratch[1, : m4 * width].reshape(m4, width)
    gather(X, n, columns, R, pool, at + 2, lanes)
    bias = pool[at]
    for j in range(m4):
        y = Y[j]
        for l in range(width):
            y[l] = S[bias + j]
    add_product(Y, S[offset : offset + m4 * n4].reshape(m4, n4), X)
    results = at + 2 + groups * n
    for j in range(m):
        for t in range(groups):
            y = R[pool[results + t * m + j]]
            for l in range(lanes):
                y[l] = Y[j, t * lanes + l]


@pasted
def layer_backward(code: Any, pool: Any, S: Any, D: Any, R: Any, G: Any, lanes: int, scratch: Any) -> None:
    """Gradients of a layer's weights, biases and (if anything below learns) inputs."""
    m, at, offset, n, groups = code[COUNT], code[POOL], code[A], code[B], code[C]
    m4, n4 = (m + 3) // 4 * 4, (n + 3) // 4 * 4
    columns = groups * lanes
    width = (columns + PAD - 1) // PAD * PAD
    X = scratch[0, : n4 * width].reshape(n4, width)
    Y = scratch[1, : m4 * width].reshape(m4, width)
    bias, inputs_learn = pool[at], pool[at + 1]
    gather(X, n, columns, R, pool, at + 2, lanes)
    gather(Y, m, columns, G, pool, at + 2 + groups * n, lanes)
    add_outer(D[offset : offset + m4 * n4].reshape(m4, n4), Y, X)
    for j in range(m):
        D[bias + j] += total(Y[j], columns)
    if inputs_learn:
        for i in range(n4):
            x = X[i]
            for l in range(width):
                x[l] = 0
        add_product(X, S[offset : offset + m4 * n4].reshape(m4, n4).T, Y)
        for i in range(n):
            for t in range(groups):
                g = G[pool[at + 2 + t * n + i]]
                for l in range(lanes):
                    g[l] += X[i, t * lanes + l]
