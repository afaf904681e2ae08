"""What lowerings write into: instructions, and what they read, each kept once.

Whatever is written twice is one instruction: what the members of an ensemble have in common, as the counts that
they start from, is computed once, and stored once.

    V vocabulary · N numbers of a vector
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from ...models.counts.views import RECENT
from ..step import PART, Instruction, Shape, Step, Table

T = TypeVar("T")
_KEEPING = {"remember", "attend", "average"}


class Builder:
    """A step that is being made. Methods give the place of the vector that they write."""

    def __init__(self, vocabulary_size: int) -> None:
        self.vocabulary_size = vocabulary_size
        self._instructions: list[Instruction] = []
        self._places: dict[Instruction, int] = {}
        self._tensors: dict[str, np.ndarray] = {}
        self._tables: dict[str, Table] = {}
        self._shapes: dict[str, Shape] = {}
        self._names: dict[Any, str] = {}
        self._memories = 0

    def step(self) -> Step:
        """Give what was written; the last instruction gives the log-probabilities."""
        return Step(self.vocabulary_size, tuple(self._instructions), self._tensors, self._tables, self._shapes)

    def put(self, op: str, *inputs: int, names: Iterable[str] = (), number: float = 0.0) -> int:
        """Write an instruction, or find it."""
        instruction = Instruction(op, inputs, tuple(names), float(number))
        if op not in _KEEPING and instruction in self._places:
            return self._places[instruction]
        self._instructions.append(instruction)
        return self._places.setdefault(instruction, len(self._instructions) - 1)

    def last(self, place: int) -> None:
        """Have this vector stand last."""
        if place != len(self._instructions) - 1:
            self._instructions.append(Instruction("scale", (place,), (), 1.0))

    # What instructions read.

    def tensor(self, array: np.ndarray) -> str:
        """Keep numbers of one or two axes, and give their name."""
        array = np.ascontiguousarray(array)
        return self._kept(self._tensors, "w", array, (array,))

    def table(self, table: Table) -> str:
        """Keep a table, and give its name."""
        arrays = (table.classes, *table.keys, *table.offsets, *table.tokens, *table.counts)
        numbers = table.discounts, table.concentrations
        return self._kept(self._tables, "t", table, (*arrays, *numbers), (table.columns, table.interpolated))

    def shape(self, shape: Shape) -> str:
        """Keep the automaton of a line's shape, and give its name."""
        return self._kept(self._shapes, "s", shape, (shape.classes, shape.following, shape.log_factors))

    def memory(self) -> str:
        """Give the name of a new memory."""
        self._memories += 1
        return f"m{self._memories}"

    def _kept(
        self, where: dict[str, T], letter: str, one: T, arrays: Iterable[np.ndarray], more: Any = None
    ) -> str:
        same = letter, more, tuple((array.shape, array.dtype.str, array.tobytes()) for array in arrays)
        name = self._names.setdefault(same, f"{letter}{len(where) + 1}")
        where.setdefault(name, one)
        return name

    # Instructions of several parts.

    def linear(self, x: int, weight: np.ndarray, bias: np.ndarray | None = None) -> int:
        """W x + b, of (M, N) and (M,)."""
        names = [self.tensor(weight)] if bias is None else [self.tensor(weight), self.tensor(bias)]
        return self.put("linear", x, names=names)

    def row(self, tensor: np.ndarray, column: str) -> int:
        """The row (N,) of a tensor (R, N) that a column of the past says."""
        return self.put("row", names=(self.tensor(tensor), column))

    def part(self, x: int, start: int, length: int) -> int:
        """Give some numbers of a vector."""
        return self.put("part", x, number=start * PART + length)

    def parts(self, x: int, length: int, number: int) -> list[int]:
        """Cut a vector into parts of one length."""
        return [self.part(x, place * length, length) for place in range(number)]

    def sum(self, vectors: Sequence[int]) -> int:
        """Add up vectors, the first one first."""
        total, *others = vectors
        for one in others:
            total = self.put("add", total, one)
        return total

    def join(self, vectors: Sequence[int]) -> int:
        """Put vectors one after the other."""
        return vectors[0] if len(vectors) == 1 else self.put("join", *vectors)

    def log_softmax(self, logits: int) -> int:
        """Turn logits into log-probabilities."""
        return self.put("log_softmax", logits)

    def recent(self, vectors: np.ndarray, number: int) -> list[int]:
        """The vectors (V, N) of the last tokens, the newest first; beyond the line's beginning, the boundary's.

        The past has columns for some of them. Older ones come from memories, which hold by how much each differs
        from the boundary's: at the beginning of a line, nothing.
        """
        found = [self.row(vectors, f"c{back}") for back in range(1, min(number, RECENT) + 1)]
        if number <= RECENT:
            return found
        boundary = self.put("constant", names=[self.tensor(vectors[0])])
        given = self.put("add", found[-1], self.put("constant", names=[self.tensor(-vectors[0])]))
        for _ in range(RECENT, number):
            memory = self.memory()
            before = self.put("recall", names=[memory], number=vectors.shape[1])
            self.put("remember", given, names=[memory])
            found.append(self.put("add", before, boundary))
            given = before
        return found
