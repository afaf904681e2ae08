"""Whether a step can run: nothing in a file from elsewhere may crash what reads it.

`checked` goes through the instructions once, as running them would, with the lengths of vectors in place of these.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from ..models.counts.views import FIRST, RECENT
from ..models.ngram.discounts import checked_discounts
from ..models.ngram.level import checked_level
from ..models.shape.automaton import Shape as ShapeOfLines
from .step import OPERATIONS, Instruction, Shape, Step, Table

MOST_TOKENS, MOST_INSTRUCTIONS, LONGEST = 1 << 24, 1 << 16, (1 << 24) - 1
COLUMNS = {"place", *(f"c{back}" for back in range(1, RECENT + 1)), *(f"f{one}" for one in range(1, FIRST + 1))}
"""What tensors can have a row for."""
_OF_CLASSES = {f"k{back}" for back in range(1, RECENT + 1)}


def checked(step: Step) -> Step:
    """Give the step. `ValueError` says in one sentence what of it cannot be."""
    size = step.vocabulary_size
    _sound(0 < size <= MOST_TOKENS, "a vocabulary of so many tokens")
    _sound(0 < len(step.instructions) <= MOST_INSTRUCTIONS, "so many instructions")
    for name, array in step.tensors.items():
        _sound(array.ndim in (1, 2) and array.size > 0 and array.dtype.kind in "fiu", f"the tensor {name[:40]}")
        _sound(bool(np.isfinite(array).all()), f"the tensor {name[:40]}, whose numbers are not finite,")
    for table in step.tables.values():
        _check_table(table, size)
    for shape in step.shapes.values():
        _check_shape(shape, size)
    lengths: list[int] = []
    memories: dict[str, tuple[str, int]] = {}
    recalled: dict[str, int] = {}
    for place, one in enumerate(step.instructions):
        _sound(one.op in OPERATIONS, f"an operation {one.op[:40]!r}")
        _sound(all(0 <= other < place for other in one.inputs), f"{one.op} of a vector that is not there")
        _sound(abs(one.number) < 2.0**53, f"{one.op} with the number {one.number:g}")
        length = _LENGTHS[one.op](step, one, [lengths[other] for other in one.inputs])
        _sound(0 < length <= LONGEST, f"{one.op} of {length} numbers")
        lengths.append(length)
        if one.op in ("remember", "attend", "average"):
            _sound(one.names[0] not in memories, f"two that keep the memory {one.names[0][:40]!r}")
            memories[one.names[0]] = one.op, length
        if one.op == "recall":
            _sound(recalled.setdefault(one.names[0], length) == length, "a memory of two lengths")
    for name, length in recalled.items():
        _sound(memories.get(name, ("remember", length)) == ("remember", length), f"the memory {name[:40]!r}")
    _sound(lengths[-1] == size, f"log-probabilities of {lengths[-1]} tokens, where there are {size},")
    return step


def _sound(yes: bool, what: str) -> None:
    if not yes:
        raise ValueError(f"no step has {what}")


def _check_table(table: Table, size: int) -> None:
    depth = len(table.columns) + 1
    _sound(set(table.columns) <= COLUMNS | _OF_CLASSES, f"a table of {' '.join(table.columns)[:40]!r}")
    parts = table.keys, table.offsets, table.tokens, table.counts
    _sound(all(len(part) == depth for part in parts), "a table whose levels are not those of its columns")
    of_classes = not _OF_CLASSES.isdisjoint(table.columns)
    _sound(table.classes.shape == (size,) or not (of_classes or table.classes.size), "such classes of tokens")
    _sound(bool(((table.classes >= 0) & (table.classes < size)).all()), "such classes of tokens")
    levels = [checked_level(list(arrays), size) for arrays in zip(*parts, strict=True)]
    _sound(levels[0].keys.tolist() == [0], "a table without counts of single tokens")
    for shorter, level in pairwise(levels):
        known = len(shorter.keys) * size
        _sound(not len(level.keys) or int(level.keys[-1]) < known, "a table of contexts without their shorter ones")
    checked_discounts(table.discounts.astype(np.float64), table.concentrations.astype(np.float64), depth)


def _check_shape(shape: Shape, size: int) -> None:
    arrays = {f"shape.{name}": getattr(shape, name) for name in ("classes", "following", "log_factors")}
    _sound(ShapeOfLines.restore(arrays, size) is not None, "such a shape")


Lengths = Callable[[Step, Instruction, list[int]], int]


def _tensors(step: Step, one: Instruction, *axes: int) -> list[tuple[int, ...]]:
    """Give the shapes of the tensors that an instruction names, each of so many axes."""
    _sound(len(one.names) == len(axes), f"{one.op} of {len(one.names)} tensors")
    _sound(all(name in step.tensors for name in one.names), f"{one.op} of a tensor that is not there")
    shapes = [step.tensors[name].shape for name in one.names]
    _sound([len(shape) for shape in shapes] == list(axes), f"{one.op} of tensors of other axes")
    return shapes


def _fits(yes: bool, one: Instruction) -> None:
    _sound(yes, f"{one.op} of vectors and tensors that do not fit each other")


def _row(step: Step, one: Instruction, inputs: list[int]) -> int:
    _fits(not inputs and len(one.names) == 2, one)
    _sound(one.names[1] in COLUMNS, f"a column {one.names[1][:40]!r}")
    return _tensors(step, Instruction(one.op, (), one.names[:1]), 2)[0][1]


def _named(where: str) -> Lengths:
    def length(step: Step, one: Instruction, inputs: list[int]) -> int:
        _fits(not inputs and len(one.names) == 1, one)
        _sound(one.names[0] in getattr(step, where), f"{one.op} {one.names[0][:40]!r} that is not there")
        return step.vocabulary_size

    return length


def _constant(step: Step, one: Instruction, inputs: list[int]) -> int:
    _fits(not inputs, one)
    return _tensors(step, one, 1)[0][0]


def _linear(step: Step, one: Instruction, inputs: list[int]) -> int:
    (rows, width), *bias = _tensors(step, one, *([2, 1][: len(one.names)] or [2]))
    _fits(inputs == [width] and bias in ([], [(rows,)]), one)
    return rows


def _of_vector(step: Step, one: Instruction, inputs: list[int]) -> int:
    """A vector, and two tensors as long as it."""
    shapes = _tensors(step, one, 1, 1)
    _fits(len(inputs) == 1 and shapes == [(inputs[0],)] * 2 and one.number >= 0, one)
    return inputs[0]


def _attend(step: Step, one: Instruction, inputs: list[int]) -> int:
    heads = int(one.number)
    _fits(len(inputs) == 3 and len(set(inputs)) == 1 and len(one.names) == 1, one)
    _sound(heads == one.number and heads >= 1 and inputs[0] % heads == 0, f"attention of {one.number:g} heads")
    return inputs[0]


def _kept(step: Step, one: Instruction, inputs: list[int]) -> int:
    _fits(len(inputs) == 1 and len(one.names) == 1, one)
    return inputs[0]


def _recall(step: Step, one: Instruction, inputs: list[int]) -> int:
    _fits(not inputs and len(one.names) == 1 and one.number == int(one.number), one)
    return int(one.number)


def _two(step: Step, one: Instruction, inputs: list[int]) -> int:
    _fits(len(inputs) == 2 and (len(set(inputs)) == 1 or 1 in inputs), one)
    return max(inputs)


def _one(step: Step, one: Instruction, inputs: list[int]) -> int:
    _fits(len(inputs) == 1 and not one.names, one)
    return inputs[0]


def _join(step: Step, one: Instruction, inputs: list[int]) -> int:
    _fits(len(inputs) > 0, one)
    return sum(inputs)


def _part(step: Step, one: Instruction, inputs: list[int]) -> int:
    _fits(len(inputs) == 1 and one.number >= 0 and one.number == int(one.number), one)
    start, length = one.part
    _fits(start + length <= inputs[0], one)
    return length


_LENGTHS: dict[str, Lengths] = dict.fromkeys(OPERATIONS, _one) | {
    "row": _row,
    "counts": _named("tables"),
    "shape": _named("shapes"),
    "constant": _constant,
    "linear": _linear,
    "norm": _of_vector,
    "attend": _attend,
    "average": _kept,
    "recall": _recall,
    "remember": _kept,
    "add": _two,
    "multiply": _two,
    "affine": _of_vector,
    "join": _join,
    "part": _part,
}
