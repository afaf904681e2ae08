"""A model as one step: what is computed when one more token of a line has been read.

Every model of the table becomes such a step (`lowering/`), and every target is derived from it: the reference in
NumPy (`reference.py`), JavaScript, C, Python and ONNX. A step is a flat list of instructions in the order in which
they run. An instruction makes one vector of float64 from the vectors of earlier ones, named by their places in the
list; the last instruction's vector is the row of log-probabilities (V,) of the next token.

    past    what was read of the line so far, the token read last included (as `models/counts/past.py` says):
            columns `c1` (the last token) to `c12`, `f1` and `f2` (the line's first tokens), `place` (how many
            tokens were read, the boundary not counted, so 0 after it), `k1` to `k12` (the class of a recent token:
            of a table's or a shape's own classes); 0 where there is nothing. A boundary (token 0) begins a line:
            all of the past before it, and all memories, are forgotten.
    memory  vectors by name that an instruction keeps for the next token; zeros at the beginning of a line.

Everything is float64, whatever the type in which the weights are stored: a stored weight is first turned into a
float64 (exactly), and sums go from the first to the last element, one at a time. Then all targets give the same
numbers, but for the last bits of exp, log and tanh.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

PART = 1 << 24
"""`part` has one number for two: where it starts, times this, and its length."""


@dataclass(frozen=True)
class Instruction:
    """One vector made of others.

    Attributes:
        op: one of `OPERATIONS`.
        inputs: the places of the vectors that it reads, all before its own.
        names: the tensors, tables, memories or columns that it reads, by name, as the operation says.
        number: the number that some operations take.
    """

    op: str
    inputs: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    number: float = 0.0

    @property
    def part(self) -> tuple[int, int]:
        """Where the part of a vector starts, and its length."""
        return divmod(int(self.number), PART)


OPERATIONS = {
    # What is read of the past and of tables.
    "row": "names: tensor (R, N), column. The tensor's row of that number, the last one if there are fewer rows.",
    "counts": "names: table. The row (V,) of log-probabilities that an n-gram table gives after its columns.",
    "shape": "names: shape. The row (V,) of logarithms of factors of the state that the line's shape has reached.",
    "constant": "names: tensor (N,).",
    # Layers.
    "linear": "one vector (N,); names: tensor (M, N), or that and a bias (M,). W x + b, (M,).",
    "norm": "one vector; names: gain, bias (N,); number: ε. (x - mean) / sqrt(variance + ε) · gain + bias.",
    "attend": "query, key, value (N,); names: memory; number: heads H. Keys and values of the line are kept, "
    "this one included; in each of H parts of N / H numbers: Σ softmax(query · key / sqrt(N / H)) value, (N,).",
    "average": "one vector; names: memory. The mean over the line so far, this one included (a sum is kept).",
    # Memories.
    "recall": "names: memory; number: N. What it was when the token before had been read, (N,).",
    "remember": "one vector; names: memory. Gives the vector, and keeps it for the next token.",
    # Element by element; where two vectors are read, one of them may have length 1.
    "add": "two vectors.",
    "multiply": "two vectors.",
    "affine": "one vector; names: factor, addend (N,). x · factor + addend (a normalisation that is fixed).",
    "scale": "one vector; number: the factor.",
    "complement": "one vector. 1 - x.",
    "tanh": "one vector.",
    "sigmoid": "one vector. 1 / (1 + exp(-x)).",
    "relu": "one vector.",
    "gelu": "one vector. x (1 + erf(x / sqrt 2)) / 2.",
    "exp": "one vector.",
    "log": "one vector.",
    "log_softmax": "one vector. x - max - log Σ exp(x - max).",
    # Lengths.
    "join": "several vectors, one after the other.",
    "part": "one vector; number: start · 2²⁴ + length.",
}
"""What each operation reads and gives."""


@dataclass(frozen=True)
class Table:
    """An n-gram table (`models/ngram/model.py`): sorted contexts of every length, and what followed them.

    Attributes:
        columns: what its contexts are made of, the most important first; level m has contexts of m columns. Once
            one of a context's columns is 0 those after it are 0, too. `place` is at most V - 1 here.
        classes: (V,) the class of every token, for columns `k...`; empty if there are none.
        keys: level m: (C,) ascending, suffix · V + column, where `suffix` is the place of the context of one column
            less in level m - 1; level 0 has one context, of no columns, whose key is 0.
        offsets: level m: (C + 1,), the entries of context i are `offsets[i]` to `offsets[i + 1]`.
        tokens: level m: (E,), ascending in each context.
        counts: level m: (E,), at least 1.
        discounts: level m: what is taken from a count of 0 (nothing), 1, 2, 3 and more, (4,).
        concentrations: level m: θ.
        interpolated: False: only the longest context that the line is long enough for counts, over 1 / V (add-k).

    The row of a context: p₋₁ = 1 / V; level by level, as far as the context was seen there,
    p = (count - D[count] + (θ + Σⱼ D[j] N_j) · p_shorter) / (total + θ).
    """

    columns: tuple[str, ...]
    classes: np.ndarray
    keys: tuple[np.ndarray, ...]
    offsets: tuple[np.ndarray, ...]
    tokens: tuple[np.ndarray, ...]
    counts: tuple[np.ndarray, ...]
    discounts: np.ndarray
    concentrations: np.ndarray
    interpolated: bool = True


@dataclass(frozen=True)
class Shape:
    """The automaton of a line's shape (`models/shape/automaton.py`): `classes` (V,), `following` (S, K) the state
    after a token of each class, from state 0 after the boundary, `log_factors` (S, K)."""

    classes: np.ndarray
    following: np.ndarray
    log_factors: np.ndarray


@dataclass(frozen=True)
class Step:
    """A model's step.

    Attributes:
        vocabulary_size: V, the boundary (token 0) among them.
        instructions: in the order in which they run; the last one gives the log-probabilities.
        tensors: by name, of one or two axes, of any type of number.
        tables: by name.
        shapes: by name.
    """

    vocabulary_size: int
    instructions: tuple[Instruction, ...]
    tensors: Mapping[str, np.ndarray] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    shapes: Mapping[str, Shape] = field(default_factory=dict)
