"""A step that runs in NumPy, on many lines at once, behind the contract of language models.

So evaluation, scoring and sampling work on what leaves as on any other model, and what a target computes is
compared with it. Everything is float64.

    B lines · N numbers of a vector · V vocabulary
"""

from __future__ import annotations

from collections.abc import Callable
from math import erf, sqrt
from typing import Any, Self

import numpy as np

from ..models.counts.past import Past
from ..models.ngram.discounts import Discounts
from ..models.ngram.level import Level
from ..models.ngram.model import NgramModel
from ..models.shape.automaton import Shape as ShapeOfLines
from ..models.softmax import log_softmax, score_in_pieces
from .step import Instruction, Step, Table

Vectors = list[np.ndarray]


class Reference:
    """A step as a model. Obeys `contract.LanguageModel`, but that it is kept by nobody."""

    def __init__(self, step: Step) -> None:
        self.step, self.vocabulary_size = step, step.vocabulary_size
        self.context: int | None = None
        self.tensors = {name: array.astype(np.float64) for name, array in step.tensors.items()}
        self.tables = {name: ngram_of(table, step.vocabulary_size) for name, table in step.tables.items()}
        self.shapes = {
            name: ShapeOfLines(one.classes, one.following, one.log_factors.astype(np.float64))
            for name, one in step.shapes.items()
        }
        self.parameters = parameters_of(step)

    def log_probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """Turn (B, T) token ids into (B, T, V) log-probabilities, float64, nats."""
        reader = self.reader(len(tokens))
        return np.stack([reader.read(column) for column in tokens.T], axis=1)

    def score(self, tokens: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Give the log-probability (B, T) of each target after its tokens."""
        return score_in_pieces(self, tokens, targets)

    def reader(self, lines: int) -> StepReader:
        """Give a reader of so many lines."""
        return StepReader(self, lines)

    def settings(self) -> dict[str, Any]:
        """Give nothing: a step is kept by its targets."""
        return {}

    def arrays(self) -> dict[str, np.ndarray]:
        """Give the tensors."""
        return dict(self.step.tensors)

    @classmethod
    def restore(cls, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Always raises ValueError: a step is no run."""
        raise ValueError("an exported step is not restored")


class StepReader:
    """What was read of many lines, and what the step remembers of them (see `contract.Reader`)."""

    def __init__(self, model: Reference, lines: int) -> None:
        self.model, self.lines, self.past = model, lines, Past.nothing(lines)
        self.states: dict[str, np.ndarray | None] = dict.fromkeys(model.shapes)
        self.memories: dict[str, np.ndarray] = {}
        self.kept: dict[str, np.ndarray] = {}
        """The memories that the token which is being read leaves."""

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Take the next token of every line, (B,); give log-probabilities of the one after, (B, V)."""
        tokens = np.asarray(tokens, np.int64)
        if not tokens.all():
            self._forget(tokens == 0)
        self.past = self.past.read(tokens)
        for name, shape in self.model.shapes.items():
            self.states[name] = shape.next_states(self.states[name], tokens)
        vectors: Vectors = []
        self.kept = {}
        for instruction in self.model.step.instructions:
            vectors.append(RUN[instruction.op](self, instruction, [vectors[place] for place in instruction.inputs]))
        self.memories |= self.kept
        return np.broadcast_to(vectors[-1], (self.lines, self.model.vocabulary_size))

    def keep(self, rows: np.ndarray) -> None:
        """Go on with these lines only."""
        self.lines = len(np.arange(self.lines)[rows])
        self.past = self.past[rows]
        self.memories = {name: array[rows] for name, array in self.memories.items()}
        self.states = {name: None if array is None else array[rows] for name, array in self.states.items()}

    def _forget(self, begins: np.ndarray) -> None:
        """Lines (B,) begin here: of those nothing is remembered."""
        for name, array in self.memories.items():
            self.memories[name] = np.where(begins.reshape(-1, *[1] * (array.ndim - 1)), 0.0, array)

    def column(self, name: str) -> np.ndarray:
        """Give a column (B,) of the past."""
        if name == "place":
            return self.past.place
        columns = self.past.first if name[0] == "f" else self.past.recent
        return columns[int(name[1:]) - 1]


def ngram_of(table: Table, vocabulary_size: int) -> NgramModel:
    """Give the n-gram model of a table."""
    levels = [
        Level(
            keys.astype(np.uint64),
            offsets.astype(np.int64),
            tokens.astype(np.uint32),
            counts.astype(np.int64),
            vocabulary_size,
        )
        for keys, offsets, tokens, counts in zip(table.keys, table.offsets, table.tokens, table.counts, strict=True)
    ]
    discounts = Discounts(table.discounts.astype(np.float64), table.concentrations.astype(np.float64))
    return NgramModel(levels, discounts, interpolated=table.interpolated)


def parameters_of(step: Step) -> int:
    """Count the numbers of a step: those of tensors, counts and factors."""
    counted = sum(len(level) for table in step.tables.values() for level in table.counts)
    factors = sum(shape.log_factors.size for shape in step.shapes.values())
    return sum(array.size for array in step.tensors.values()) + counted + factors


Operation = Callable[[StepReader, Instruction, Vectors], np.ndarray]


def _row(reader: StepReader, one: Instruction, _: Vectors) -> np.ndarray:
    tensor, column = reader.model.tensors[one.names[0]], reader.column(one.names[1])
    return tensor[np.minimum(column, len(tensor) - 1)]


def _counts(reader: StepReader, one: Instruction, _: Vectors) -> np.ndarray:
    name = one.names[0]
    table, model = reader.model.step.tables[name], reader.model.tables[name]
    classes = table.classes if len(table.classes) else np.zeros(model.vocabulary_size, np.int64)
    # At least one column says how many rows there are.
    return model.rows(reader.past.columns(table.columns or ("c1",), classes))


def _shape(reader: StepReader, one: Instruction, _: Vectors) -> np.ndarray:
    states = reader.states[one.names[0]]
    assert states is not None
    return reader.model.shapes[one.names[0]].of_tokens(states, logarithms=True)


def _constant(reader: StepReader, one: Instruction, _: Vectors) -> np.ndarray:
    tensor = reader.model.tensors[one.names[0]]
    return np.broadcast_to(tensor, (reader.lines, len(tensor)))


def _linear(reader: StepReader, one: Instruction, inputs: Vectors) -> np.ndarray:
    weight, *bias = (reader.model.tensors[name] for name in one.names)
    product: np.ndarray = inputs[0] @ weight.T
    return product + bias[0] if bias else product


def _norm(reader: StepReader, one: Instruction, inputs: Vectors) -> np.ndarray:
    gain, bias = (reader.model.tensors[name] for name in one.names)
    centred = inputs[0] - inputs[0].mean(axis=1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=1, keepdims=True) + one.number)
    found: np.ndarray = centred / deviation * gain + bias
    return found


def _attend(reader: StepReader, one: Instruction, inputs: Vectors) -> np.ndarray:
    """Keys and values of a line stand in one memory, (B, T, 3, N): each beside whether it is there (0 or 1)."""
    query, key, value = inputs
    (lines, width), heads, name = query.shape, int(one.number), one.names[0]
    here = np.stack([key, value, np.ones_like(key)], axis=1)[:, None]  # (B, 1, 3, N)
    before = reader.memories.get(name)
    cache = here if before is None else np.concatenate([before, here], axis=1)
    reader.kept[name] = cache
    keys, values = (cache[:, :, part].reshape(lines, -1, heads, width // heads) for part in (0, 1))
    scores = np.einsum("bhd,bthd->bth", query.reshape(lines, heads, -1), keys) / sqrt(width // heads)
    scores = np.where(cache[:, :, 2, :1] > 0, scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return np.einsum("bth,bthd->bhd", weights, values).reshape(lines, width)


def _average(reader: StepReader, one: Instruction, inputs: Vectors) -> np.ndarray:
    """The sum is kept, and beside it how many there were."""
    here = np.column_stack([inputs[0], np.ones(len(inputs[0]))])
    before = reader.memories.get(one.names[0])
    total = reader.kept[one.names[0]] = here if before is None else before + here
    found: np.ndarray = total[:, :-1] / total[:, -1:]
    return found


def _recall(reader: StepReader, one: Instruction, _: Vectors) -> np.ndarray:
    nothing = np.zeros((reader.lines, int(one.number)))
    return reader.memories.get(one.names[0], nothing)


def _remember(reader: StepReader, one: Instruction, inputs: Vectors) -> np.ndarray:
    reader.kept[one.names[0]] = inputs[0]
    return inputs[0]


def _affine(reader: StepReader, one: Instruction, inputs: Vectors) -> np.ndarray:
    factor, addend = (reader.model.tensors[name] for name in one.names)
    return inputs[0] * factor + addend


def _part(reader: StepReader, one: Instruction, inputs: Vectors) -> np.ndarray:
    start, length = one.part
    return inputs[0][:, start : start + length]


_erf = np.frompyfunc(erf, 1, 1)


def _gelu(x: np.ndarray) -> np.ndarray:
    found: np.ndarray = x * (1.0 + np.asarray(_erf(x / sqrt(2.0)), np.float64)) / 2.0
    return found


def _log(x: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        found: np.ndarray = np.log(x)
    return found


def _of(function: Callable[..., np.ndarray]) -> Operation:
    """An operation that needs its vectors only."""
    return lambda reader, one, inputs: function(*inputs)


RUN: dict[str, Operation] = {
    "row": _row,
    "counts": _counts,
    "shape": _shape,
    "constant": _constant,
    "linear": _linear,
    "norm": _norm,
    "attend": _attend,
    "average": _average,
    "recall": _recall,
    "remember": _remember,
    "add": _of(np.add),
    "multiply": _of(np.multiply),
    "affine": _affine,
    "scale": lambda reader, one, inputs: inputs[0] * one.number,
    "complement": _of(lambda x: 1.0 - x),
    "tanh": _of(np.tanh),
    "sigmoid": _of(lambda x: (1.0 + np.tanh(x / 2.0)) / 2.0),
    "relu": _of(lambda x: np.maximum(x, 0.0)),
    "gelu": _of(_gelu),
    "exp": _of(np.exp),
    "log": _of(_log),
    "log_softmax": _of(log_softmax),
    "join": lambda reader, one, inputs: np.concatenate(inputs, axis=1),
    "part": _part,
}
"""How each operation of a step runs: from vectors (B, N) to one (B, N)."""
