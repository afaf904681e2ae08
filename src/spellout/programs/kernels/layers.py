"""Layers: dots that share their inputs, as products of matrices in tiles of four by four.

Most of a network's work is here. Four rows of results times four of inputs stay in SIMD registers while the lanes
go by, so that a tile makes sixteen products of every eight numbers it reads. Weights come packed, as matrices
padded with zeros to multiples of four. Letters as in `interpreter.py`.
"""

from __future__ import annotations

from typing import Any

from .compiling import part, pasted, summing
from .instructions import COUNT, POOL, A, B, C

# bits of the second entry in the pool; in place: the results' registers follow each other, and so are a matrix
INPUTS_LEARN, IN_PLACE = 1, 2
# columns of the matrices come in multiples of the widest SIMD register of float32
PAD = 16


@summing
def add_product(Y: Any, W: Any, X: Any) -> None:
    """Y += W X for Y (m, C), W (m, n), X (n, C); m and n are multiples of 4."""
    m, n = W.shape
    for j in range(0, m, 4):
        for i in range(0, n, 4):
            # as names and not as an array, so that they stay in SIMD registers
            a0, a1, a2, a3 = W[j, i], W[j, i + 1], W[j, i + 2], W[j, i + 3]
            b0, b1, b2, b3 = W[j + 1, i], W[j + 1, i + 1], W[j + 1, i + 2], W[j + 1, i + 3]
            c0, c1, c2, c3 = W[j + 2, i], W[j + 2, i + 1], W[j + 2, i + 2], W[j + 2, i + 3]
            d0, d1, d2, d3 = W[j + 3, i], W[j + 3, i + 1], W[j + 3, i + 2], W[j + 3, i + 3]
            for l in range(X.shape[1]):
                u0, u1, u2, u3 = X[i, l], X[i + 1, l], X[i + 2, l], X[i + 3, l]
                Y[j, l] += a0 * u0 + a1 * u1 + a2 * u2 + a3 * u3
                Y[j + 1, l] += b0 * u0 + b1 * u1 + b2 * u2 + b3 * u3
                Y[j + 2, l] += c0 * u0 + c1 * u1 + c2 * u2 + c3 * u3
                Y[j + 3, l] += d0 * u0 + d1 * u1 + d2 * u2 + d3 * u3


@summing
def add_outer(W: Any, Y: Any, X: Any) -> None:
    """W += Y Xᵀ for W (m, n), Y (m, C), X (n, C); m and n are multiples of 4."""
    m, n = W.shape
    for j in range(0, m, 4):
        for i in range(0, n, 4):
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = W.dtype.type(0)
            c0 = c1 = c2 = c3 = d0 = d1 = d2 = d3 = W.dtype.type(0)
            for l in range(X.shape[1]):
                u0, u1, u2, u3 = X[i, l], X[i + 1, l], X[i + 2, l], X[i + 3, l]
                v0, v1, v2, v3 = Y[j, l], Y[j + 1, l], Y[j + 2, l], Y[j + 3, l]
                a0, a1, a2, a3 = a0 + v0 * u0, a1 + v0 * u1, a2 + v0 * u2, a3 + v0 * u3
                b0, b1, b2, b3 = b0 + v1 * u0, b1 + v1 * u1, b2 + v1 * u2, b3 + v1 * u3
                c0, c1, c2, c3 = c0 + v2 * u0, c1 + v2 * u1, c2 + v2 * u2, c3 + v2 * u3
                d0, d1, d2, d3 = d0 + v3 * u0, d1 + v3 * u1, d2 + v3 * u2, d3 + v3 * u3
            # to memory once for each tile, not once for each lane
            for k, s0, s1, s2, s3 in (
                (j, a0, a1, a2, a3),
                (j + 1, b0, b1, b2, b3),
                (j + 2, c0, c1, c2, c3),
                (j + 3, d0, d1, d2, d3),
            ):
                W[k, i] += s0
                W[k, i + 1] += s1
                W[k, i + 2] += s2
                W[k, i + 3] += s3


@summing
def total(M: Any, row: int, lanes: int) -> Any:
    """The sum of a row's first lanes."""
    result = M.dtype.type(0)
    for l in range(lanes):
        result += M[row, l]
    return result


@part
def gather(M: Any, rows: int, columns: int, R: Any, pool: Any, at: int, lanes: int) -> None:
    """Copy registers into the matrix M, group by group of lanes; the padding is zero.

    `pool[at + t * rows + i]` is the register of row i in group t, of `columns // lanes` groups.
    """
    for i in range(rows):
        for t in range(columns // lanes):
            source = pool[at + t * rows + i]
            for l in range(lanes):
                M[i, t * lanes + l] = R[source, l]
        for l in range(columns, M.shape[1]):
            M[i, l] = 0
    for i in range(rows, M.shape[0]):
        for l in range(M.shape[1]):
            M[i, l] = 0


@pasted
def layer_forward(code: Any, pool: Any, S: Any, R: Any, lanes: int, scratch: Any) -> None:
    """Dots of the same inputs, for one or more groups of inputs with the same weights."""
    m, at, offset, n, groups = code[COUNT], code[POOL], code[A], code[B], code[C]
    m4, n4 = (m + 3) // 4 * 4, (n + 3) // 4 * 4
    columns = groups * lanes
    width = (columns + PAD - 1) // PAD * PAD
    X = scratch[0, : n4 * width].reshape(n4, width)
    gather(X, n, columns, R, pool, at + 2, lanes)
    bias, results = pool[at], at + 2 + groups * n
    # without the padding that a narrow block has, the registers are the matrix, and nothing is copied
    in_place = pool[at + 1] & IN_PLACE != 0 and columns == width == R.shape[1]
    Y = R[pool[results] : pool[results] + m4] if in_place else scratch[1, : m4 * width].reshape(m4, width)
    for j in range(m4):  # the bias is where the sum begins
        for l in range(width):
            Y[j, l] = S[bias + j]
    add_product(Y, S[offset : offset + m4 * n4].reshape(m4, n4), X)
    if in_place:
        return
    for j in range(m):
        for t in range(groups):
            result = pool[results + t * m + j]
            for l in range(lanes):
                R[result, l] = Y[j, t * lanes + l]


@pasted
def layer_backward(code: Any, pool: Any, S: Any, D: Any, R: Any, G: Any, lanes: int, scratch: Any) -> None:
    """Gradients of a layer's weights, biases and (if anything below learns) inputs."""
    m, at, offset, n, groups = code[COUNT], code[POOL], code[A], code[B], code[C]
    m4, n4 = (m + 3) // 4 * 4, (n + 3) // 4 * 4
    columns = groups * lanes
    width = (columns + PAD - 1) // PAD * PAD
    X = scratch[0, : n4 * width].reshape(n4, width)
    gather(X, n, columns, R, pool, at + 2, lanes)
    bias, results = pool[at], at + 2 + groups * n
    inputs_learn = pool[at + 1] & INPUTS_LEARN != 0
    if pool[at + 1] & IN_PLACE != 0 and columns == width == G.shape[1]:
        Y = G[pool[results] : pool[results] + m4]
    else:
        Y = scratch[1, : m4 * width].reshape(m4, width)
        gather(Y, m, columns, G, pool, results, lanes)
    add_outer(D[offset : offset + m4 * n4].reshape(m4, n4), Y, X)
    for j in range(m):
        D[bias + j] += total(Y, j, columns)
    if inputs_learn:
        for i in range(n4):  # the inputs are not needed any more, and their place takes their gradients
            for l in range(width):
                X[i, l] = 0
        add_product(X, S[offset : offset + m4 * n4].reshape(m4, n4).T, Y)
        for i in range(n):
            for t in range(groups):
                source = pool[at + 2 + t * n + i]
                for l in range(lanes):
                    G[source, l] += X[i, t * lanes + l]
