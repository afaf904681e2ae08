"""How each operation of a step is written in ONNX: from vectors (B, N) to one (B, N), all float32.

B lines · T tokens of a line so far · N numbers of a vector · H heads · V vocabulary
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
from onnx import TensorProto

from ..step import Instruction, Step
from ..storing import as_int8
from .graph import Graph
from .past import Past
from .tables import row_of


class Writer:
    """Writes the instructions of a step one after the other.

    Attributes:
        graph: where they are written.
        step: the step.
        weights: how its matrices are stored: `float32`, `float16` or `int8`.
        vectors: the names and lengths of the vectors so far.
    """

    def __init__(self, step: Step, weights: str) -> None:
        self.graph, self.step, self.weights = Graph(), step, weights
        self.past = Past(self.graph)
        self.vectors: list[tuple[str, int]] = []

    def write(self) -> str:
        """Write all of them; give the name of the last one's row."""
        for one in self.step.instructions:
            inputs = [self.vectors[place] for place in one.inputs]
            self.vectors.append(WRITE[one.op](self, one, inputs))
        return self.vectors[-1][0]

    def tensor(self, name: str) -> str:
        """Give the name of a tensor as float32; it is kept as it is stored."""
        array, graph = self.step.tensors[name], self.graph
        if array.ndim == 2 and array.dtype == np.float16:
            return graph.node("Cast", graph.constant(name, array), to=TensorProto.FLOAT)
        if array.ndim == 2 and self.weights == "int8":
            whole, scales = as_int8(array)
            given = graph.constant(name, whole), graph.constant(f"{name}.scale", scales)
            zero = graph.constant(f"{name}.zero", np.zeros(len(scales), np.int8))
            return graph.node("DequantizeLinear", *given, zero, axis=0)
        return graph.constant(name, array.astype(np.float32))

    def memory(self, name: str, *sizes: int | str) -> str:
        """Ask for a memory, (B, sizes...)."""
        return self.graph.state(f"memory_{name}", "float", *sizes)


Inputs = list[tuple[str, int]]
Written = tuple[str, int]


def _row(writer: Writer, one: Instruction, _: Inputs) -> Written:
    graph, array = writer.graph, writer.step.tensors[one.names[0]]
    column = writer.past.column(one.names[1])
    if one.names[1] == "place" or len(array) < writer.step.vocabulary_size:
        column = graph.node("Min", column, graph.whole(len(array) - 1))
    return graph.node("Gather", writer.tensor(one.names[0]), column), array.shape[1]


def _counts(writer: Writer, one: Instruction, _: Inputs) -> Written:
    name, size = one.names[0], writer.step.vocabulary_size
    return row_of(writer.graph, name, writer.step.tables[name], writer.past, size), size


def _shape(writer: Writer, one: Instruction, _: Inputs) -> Written:
    name, graph = one.names[0], writer.graph
    shape = writer.step.shapes[name]
    classes = graph.constant(f"{name}.classes", shape.classes.astype(np.int64))
    # Row and column of the next state as one place.
    state, kinds = graph.state(f"shape_{name}", "int"), shape.following.shape[1]
    here = graph.node("Mul", state, graph.whole(kinds))
    place = graph.node("Add", here, graph.node("Gather", classes, "token"))
    following = graph.constant(f"{name}.following", shape.following.astype(np.int64).ravel())
    after = graph.node("Gather", following, place)
    graph.renew(state, after)
    factors = graph.constant(f"{name}.factors", shape.log_factors.astype(np.float32))
    row = graph.node("Gather", factors, after)  # of classes (B, K)
    return graph.node("Gather", row, classes, axis=1), len(shape.classes)


def _constant(writer: Writer, one: Instruction, _: Inputs) -> Written:
    array = writer.step.tensors[one.names[0]].astype(np.float32)
    return writer.graph.constant(f"{one.names[0]}.row", array[None]), len(array)


def _linear(writer: Writer, one: Instruction, inputs: Inputs) -> Written:
    weight = writer.tensor(one.names[0])
    more = [writer.tensor(name) for name in one.names[1:]]
    size = len(writer.step.tensors[one.names[0]])
    return writer.graph.node("Gemm", inputs[0][0], weight, *more, transB=1), size


def _norm(writer: Writer, one: Instruction, inputs: Inputs) -> Written:
    gain, bias = (writer.tensor(name) for name in one.names)
    x, size = inputs[0]
    return writer.graph.node("LayerNormalization", x, gain, bias, axis=-1, epsilon=one.number), size


def _attend(writer: Writer, one: Instruction, inputs: Inputs) -> Written:
    graph, (name,), heads = writer.graph, one.names, int(one.number)
    (query, width), (key, _), (value, _) = inputs
    parted = graph.whole([0, -1, heads, width // heads])
    caches = []
    for part, new in (("keys", key), ("values", value)):
        cache = writer.memory(f"{name}_{part}", "read", width)
        after = graph.node("Concat", cache, graph.node("Unsqueeze", new, graph.whole([1])), axis=1)  # (B, T, N)
        graph.renew(cache, after)
        caches.append(graph.node("Reshape", after, parted))  # (B, T, H, D)
    query = graph.node("Reshape", query, graph.whole([0, heads, 1, width // heads]))
    keys = graph.node("Transpose", caches[0], perm=[0, 2, 3, 1])  # (B, H, D, T)
    scores = graph.node("MatMul", query, keys)
    scores = graph.node("Mul", scores, graph.number(1 / sqrt(width // heads)))
    weights = graph.node("Softmax", scores, axis=-1)  # (B, H, 1, T)
    values = graph.node("Transpose", caches[1], perm=[0, 2, 1, 3])  # (B, H, T, D)
    found = graph.node("MatMul", weights, values)
    return graph.node("Reshape", found, graph.whole([0, width])), width


def _average(writer: Writer, one: Instruction, inputs: Inputs) -> Written:
    graph, (x, size) = writer.graph, inputs[0]
    memory = writer.memory(one.names[0], size)
    total = graph.node("Add", memory, x)
    graph.renew(memory, total)
    read = graph.node("Add", writer.past.column("place"), graph.whole(1))
    number = graph.node("Unsqueeze", graph.node("Cast", read, to=TensorProto.FLOAT), graph.whole([1]))
    return graph.node("Div", total, number), size


def _recall(writer: Writer, one: Instruction, _: Inputs) -> Written:
    return writer.memory(one.names[0], int(one.number)), int(one.number)


def _remember(writer: Writer, one: Instruction, inputs: Inputs) -> Written:
    x, size = inputs[0]
    writer.graph.renew(writer.memory(one.names[0], size), x)
    return x, size


def _affine(writer: Writer, one: Instruction, inputs: Inputs) -> Written:
    factor, addend = (writer.tensor(name) for name in one.names)
    graph, (x, size) = writer.graph, inputs[0]
    return graph.node("Add", graph.node("Mul", x, factor), addend), size


def _scale(writer: Writer, one: Instruction, inputs: Inputs) -> Written:
    x, size = inputs[0]
    return writer.graph.node("Mul", x, writer.graph.number(one.number)), size


def _complement(writer: Writer, one: Instruction, inputs: Inputs) -> Written:
    x, size = inputs[0]
    return writer.graph.node("Sub", writer.graph.number(1.0), x), size


def _gelu(writer: Writer, one: Instruction, inputs: Inputs) -> Written:
    graph, (x, size) = writer.graph, inputs[0]
    erf = graph.node("Erf", graph.node("Mul", x, graph.number(1 / sqrt(2))))
    half = graph.node("Mul", x, graph.number(0.5))
    return graph.node("Mul", half, graph.node("Add", erf, graph.number(1.0))), size


def _join(writer: Writer, one: Instruction, inputs: Inputs) -> Written:
    lines = writer.graph.node("Shape", "token")
    # A constant is written once for all lines; beside other vectors it needs as many rows as they have.
    parts = [
        writer.graph.node("Expand", x, writer.graph.node("Concat", lines, writer.graph.whole([size]), axis=0))
        for x, size in inputs
    ]
    return writer.graph.node("Concat", *parts, axis=1), sum(size for _, size in inputs)


def _part(writer: Writer, one: Instruction, inputs: Inputs) -> Written:
    start, length = one.part
    graph = writer.graph
    ends = graph.whole([start]), graph.whole([start + length]), graph.whole([1])
    return graph.node("Slice", inputs[0][0], *ends), length


Operation = Callable[[Writer, Instruction, Inputs], Written]


def _of(kind: str, **attributes: int) -> Operation:
    """An operation that ONNX has."""

    def write(writer: Writer, one: Instruction, inputs: Inputs) -> Written:
        name = writer.graph.node(kind, *(x for x, _ in inputs), **attributes)
        return name, max(size for _, size in inputs)

    return write


WRITE: dict[str, Operation] = {
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
    "add": _of("Add"),
    "multiply": _of("Mul"),
    "affine": _affine,
    "scale": _scale,
    "complement": _complement,
    "tanh": _of("Tanh"),
    "sigmoid": _of("Sigmoid"),
    "relu": _of("Relu"),
    "gelu": _gelu,
    "exp": _of("Exp"),
    "log": _of("Log"),
    "log_softmax": _of("LogSoftmax", axis=-1),
    "join": _join,
    "part": _part,
}
"""How each operation is written."""
