"""The instructions of a step as calls of C's functions, and where in memory their vectors stand.

A vector stands in `x`, the work of one token, until nothing needs it any more; then another takes its place. What
an instruction only passes on, or takes a part of, is not copied.
"""

from __future__ import annotations

from typing import NamedTuple

from ..step import Instruction, Step
from .arrays import column_of


class Vector(NamedTuple):
    """Where a vector stands: the instruction whose memory it is in, from which number on, and its length."""

    root: int
    start: int
    length: int


class Calls:
    """What C does for one token.

    Attributes:
        lines: the calls.
        work, memories: how many numbers they need, of which those in `memories` stay for the next token.
        result: where in `work` the log-probabilities stand.
    """

    def __init__(self, step: Step, places: int) -> None:
        self.step, self._places = step, places
        self._tensors = {name: f"&spell_w{place}" for place, name in enumerate(step.tensors)}
        self._tables = {name: f"&spell_t{place}" for place, name in enumerate(step.tables)}
        self._shapes = {name: place for place, name in enumerate(step.shapes)}
        self.lines: list[str] = []
        self._last: list[str] = []
        self.work = self.memories = 0
        self._kept: dict[str, int] = {}
        self.vectors: list[Vector] = []
        self._at: dict[int, tuple[int, int]] = {}
        needed = self._lay_out()
        for place, one in enumerate(step.instructions):
            self._write(place, one)
            for root in [root for root in self._at if needed[root] <= place]:
                self._free(root)
        last = self.vectors[-1]
        self.result = self._results[last.root] + last.start
        self.lines += self._last

    # Where things stand.

    def _lay_out(self) -> list[int]:
        """Give the length of every vector, and by when nothing needs the memory of each instruction any more."""
        instructions = self.step.instructions
        needed = list(range(len(instructions)))
        self._results: dict[int, int] = {}
        for place, one in enumerate(instructions):
            inputs = [self.vectors[other] for other in one.inputs]
            for vector in inputs:
                needed[vector.root] = max(needed[vector.root], place)
            if one.op in ("remember", "part"):
                start, length = one.part if one.op == "part" else (0, inputs[0].length)
                self.vectors.append(Vector(inputs[0].root, inputs[0].start + start, length))
            else:
                self.vectors.append(Vector(place, 0, self._length(one, inputs)))
            if one.op == "remember":  # kept when all has been computed
                needed[self.vectors[-1].root] = len(instructions)
        needed[self.vectors[-1].root] = len(instructions)
        return needed

    def _length(self, one: Instruction, inputs: list[Vector]) -> int:
        if one.op in ("counts", "shape"):
            return self.step.vocabulary_size
        if one.op == "recall":
            return int(one.number)
        if one.op == "join":
            return sum(vector.length for vector in inputs)
        if one.op in ("row", "constant"):
            return int(self.step.tensors[one.names[0]].shape[-1])
        if one.op == "linear":
            return len(self.step.tensors[one.names[0]])
        return max(vector.length for vector in inputs)

    def _room(self, root: int, length: int) -> int:
        """Give the first place in `work` where a vector fits between those that are there."""
        start = 0
        for begin, end in sorted(self._at.values()):
            if begin - start >= length:
                break
            start = max(start, end)
        self._at[root] = start, start + length
        self.work = max(self.work, start + length)
        return start

    def _free(self, root: int) -> None:
        del self._at[root]

    def _memory(self, name: str, length: int) -> str:
        if name not in self._kept:
            self._kept[name] = self.memories
            self.memories += length
        return f"m + {self._kept[name]}"

    def _where(self, place: int) -> str:
        vector = self.vectors[place]
        return f"x + {self._results[vector.root] + vector.start}"

    # What is called.

    def _write(self, place: int, one: Instruction) -> None:
        inputs = [self._where(other) for other in one.inputs]
        length = self.vectors[place].length
        if one.op == "part":
            return
        if one.op == "remember":
            self._last.append(_call("copy", length, inputs[0], self._memory(one.names[0], length)))
            return
        self._results[place] = self._room(place, length)
        here = self._where(place)
        if one.op == "join":
            self._join(one, inputs, self._results[place])
            return
        if one.op == "recall":
            self.lines.append(_call("copy", length, self._memory(one.names[0], length), here))
            return
        self.lines.append(_call(one.op, *self._reads(one, inputs, length), here))

    def _join(self, one: Instruction, inputs: list[str], start: int) -> None:
        for other, read in zip(one.inputs, inputs, strict=True):
            length = self.vectors[other].length
            self.lines.append(_call("copy", length, read, f"x + {start}"))
            start += length

    def _reads(self, one: Instruction, inputs: list[str], length: int) -> list[object]:
        """What a function is given before the place of its result."""
        if one.op == "row":
            return [self._tensors[one.names[0]], f"spell_past(state, {column_of(one.names[1])})"]
        if one.op == "counts":
            return [self._tables[one.names[0]], "state"]
        if one.op == "shape":
            place = self._shapes[one.names[0]]
            return [f"&spell_s{place}", f"state->shapes[{place}]"]
        if one.op == "attend":
            return self._attend(one, inputs, length)
        if one.op == "average":
            return ["state->place", length, *inputs, self._memory(one.names[0], length)]
        if one.op in ("add", "multiply"):
            lengths = [self.vectors[other].length for other in one.inputs]
            each = [int(other == length) for other in lengths]
            return [length, inputs[0], each[0], inputs[1], each[1]]
        tensors = [self._tensors[name] for name in one.names]
        if one.op == "constant":
            return list(tensors)
        if one.op == "linear":
            return [tensors[0], tensors[1] if tensors[1:] else "NULL", *inputs]
        if one.op == "norm":
            return [*tensors, repr(float(one.number)), length, *inputs]
        if one.op == "affine":
            return [*tensors, length, *inputs]
        if one.op == "scale":
            return [repr(float(one.number)), length, *inputs]
        return [length, *inputs]  # element by element

    def _attend(self, one: Instruction, inputs: list[str], length: int) -> list[object]:
        size = self._places * length
        memories = [self._memory(f"{one.names[0]} {part}", size) for part in ("keys", "values")]
        scratch = self._room(-1, self._places)
        self._free(-1)  # only this call uses it
        return ["state->place", int(one.number), length, *inputs, *memories, f"x + {scratch}"]


def _call(name: str, *arguments: object) -> str:
    return f"  spell_{name}({', '.join(map(str, arguments))});\n"
