"""From a program to tapes: arrays of integers that the kernels read.

Three things happen. What does not depend on the example moves to a tape of its own, which runs once instead of once
per lane. Instructions of the same kind that do not depend on each other become one wide instruction. And dots that
share their inputs become a layer, a product of matrices; layers with the same weights on different inputs (the
positions of a line) become one product with more columns.

A tape is `code` (instructions, 6) and `pool`, where code holds

    operation, count, place in the pool, A, B, C
        fixed arity:   A arity, B bits of the arguments that learn
        layer:         count m, A weights, B inputs n, C groups; pool: bias, two bits, inputs, results
        pick:          A first entry of the table, B its width, C which integer
        others:        A whether anything below learns; pool: see the kernels
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..program import CONSTANT, INPUT, PARAMETER, Instruction, Program
from .elementwise import ELEMENTWISE
from .instructions import DOT, LARGEST, LAYER, LOG_SOFTMAX, LOGSUMEXP, MEAN, OWN, PICK, SELECT, SUM
from .layers import IN_PLACE, INPUTS_LEARN

_CODES = {name: code for code, name in enumerate(ELEMENTWISE)} | {
    "dot": DOT,
    "sum": SUM,
    "mean": MEAN,
    "largest": LARGEST,
    "logsumexp": LOGSUMEXP,
    "log_softmax": LOG_SOFTMAX,
    "select": SELECT,
    "pick": PICK,
    "own": OWN,
}
_PARTS = {"logsumexp": 2, "log_softmax": 2}
"""Registers after the result's, which the gradient reads: the result in parts that rounding has not joined."""
Affine = tuple[tuple[int, ...], tuple[int, ...], int]
"""A dot of varying inputs with shared weights: (inputs, weights, bias or -1), by places in the program."""


@dataclass(frozen=True)
class Tape:
    """What the kernels read."""

    code: np.ndarray
    pool: np.ndarray


@dataclass(frozen=True)
class Lowered:
    """A program as the kernels read it.

    Attributes:
        shared: the tape of what all lanes share, which runs on the slots themselves.
        lanes: the tape of everything else.
        slots: how many shared numbers there are: parameters first, then constants and what is computed of both.
        constants: (slot, number).
        pack: the slot of every number of the packed matrices and tables, which follow the slots.
        maps: see `kernels.run`.
        registers: rows of lanes.
        register_of: the register of each instruction of the program, -1 for shared ones.
        slot_of: the slot of each shared instruction, -1 for the others.
        scratch: (rows, groups): what the layers' matrices need; they have `groups` columns a lane.
        groups: columns a lane of the layers that make the most products; 0 without layers.
    """

    shared: Tape
    lanes: Tape
    slots: int
    constants: tuple[tuple[int, float], ...]
    pack: np.ndarray
    maps: np.ndarray
    registers: int
    register_of: np.ndarray
    slot_of: np.ndarray
    scratch: tuple[tuple[int, int], ...]
    groups: int


def lower(program: Program) -> Lowered:
    """Lower a program."""
    return _Lowering(program).done()


class _Writer:
    """A tape being written."""

    def __init__(self) -> None:
        self.code: list[tuple[int, int, int, int, int, int]] = []
        self.pool: list[int] = []

    def write(self, op: int, count: int, content: Iterable[int], a: int = 0, b: int = 0, c: int = 0) -> None:
        self.code.append((op, count, len(self.pool), a, b, c))
        self.pool += content

    def done(self) -> Tape:
        return Tape(np.array(self.code, np.int64).reshape(-1, 6), np.array([*self.pool, 0], np.int32))


class _Lowering:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.instructions = program.instructions
        self.varies = program.varies
        self.learns: list[bool] = []
        self.slot_of: dict[int, int] = {}
        self.constants: list[tuple[int, float]] = []
        self.register_of: dict[int, int] = {}
        self.registers = 0
        self.copied: list[tuple[int, int]] = []  # (register, slot)
        self.pack: list[int] = []
        self.packed: dict[object, int] = {}
        self.scratch: set[tuple[int, int]] = set()
        self.products: Counter[int] = Counter()  # by groups of their layers
        self._look()

    def _look(self) -> None:
        """Which instructions differ between lanes, which learn, and where the shared ones are kept."""
        slots = len(self.program.parameters)
        for place, (op, args, data, _) in enumerate(self.instructions):
            self.learns.append(op in (PARAMETER, "pick") or any(self.learns[arg] for arg in args))
            if op == PARAMETER:
                self.slot_of[place] = data
            elif not self.varies[place]:
                self.slot_of[place] = slots
                if op == CONSTANT:
                    self.constants.append((slots, data))
                slots += 1 + _PARTS.get(op, 0)
        self.zero = slots  # pads matrices
        self.constants.append((slots, 0.0))
        self.slots = slots + 1

    def done(self) -> Lowered:
        shared, lanes = _Writer(), _Writer()
        computed = [
            place for place, (op, *_) in enumerate(self.instructions) if op not in (PARAMETER, CONSTANT, INPUT)
        ]
        self._write(shared, [place for place in computed if not self.varies[place]], self.slot_of)
        floats = self._input_registers()
        for place in computed:
            if self.varies[place]:
                self.register_of[place] = self._register(1 + _PARTS.get(self.instructions[place].op, 0))
        self._write(lanes, [place for place in computed if self.varies[place]], self.register_of)
        outputs = [self._operand(output) for output in self.program.outputs]
        maps = np.full((4, 1 + max(len(floats), len(self.copied), len(outputs))), -1, np.int64)
        rows = [floats, [r for r, _ in self.copied], [slot for _, slot in self.copied], outputs]
        for row, numbers in zip(maps, rows, strict=True):
            row[: len(numbers)] = numbers
        register_of, slot_of = np.full((2, len(self.instructions)), -1, np.int64)
        for place, varies in enumerate(self.varies):
            if varies:
                register_of[place] = self.register_of[place]
            else:
                slot_of[place] = self.slot_of[place]
        return Lowered(
            shared.done(),
            lanes.done(),
            self.slots,
            tuple(self.constants),
            np.array(self.pack, np.int64),
            maps,
            self.registers,
            register_of,
            slot_of,
            tuple(self.scratch),
            max(self.products, key=lambda groups: self.products[groups], default=0),
        )

    def _input_registers(self) -> list[int]:
        """A register for every float of an example, used or not."""
        count = sum([a.size for a in self.program.arguments if a.kind == "float"])
        for place, (op, _, data, _) in enumerate(self.instructions):
            if op == INPUT:
                self.register_of[place] = data
        self.registers = count
        return list(range(count))

    def _register(self, count: int = 1) -> int:
        """The first of so many new ones."""
        self.registers += count
        return self.registers - count

    def _operand(self, place: int) -> int:
        """The register of a number; a shared one is copied into one, the same in all lanes."""
        if place not in self.register_of:
            self.register_of[place] = self._register()
            self.copied.append((self.register_of[place], self.slot_of[place]))
        return self.register_of[place]

    # Grouping.

    def _write(self, writer: _Writer, places: list[int], where: dict[int, int]) -> None:
        """Write instructions level by level, those of one kind together."""
        level: dict[int, int] = {}
        groups: dict[tuple[int, object], list[int]] = {}
        affine: dict[int, Affine] = {}
        inside = where is self.register_of
        for place in places:
            instruction = self.instructions[place]
            level[place] = 1 + max([level.get(arg, 0) for arg in instruction.args], default=0)
            form = self._affine(instruction) if inside and instruction.op == "dot" else None
            if form:
                affine[place] = form
            groups.setdefault((level[place], "layer" if form else self._kind(instruction)), []).append(place)
        for (_, kind), members in sorted(groups.items(), key=lambda item: item[0][0]):
            if kind == "layer":
                self._write_layers(writer, members, affine)
            elif isinstance(kind, tuple) and kind[0] == "pick":
                self._write_picks(writer, members)
            elif isinstance(kind, tuple):
                self._write_elementwise(writer, members, kind[0], kind[1], where)
            else:
                self._write_varied(writer, members, str(kind), where)

    def _kind(self, instruction: Instruction) -> object:
        """What instructions must share to be written as one."""
        op, args, data, _ = instruction
        if op in ELEMENTWISE:
            return op, sum([1 << i for i, arg in enumerate(args) if self.learns[arg]])
        return (op, data[0], data[2]) if op == "pick" else op

    def _affine(self, instruction: Instruction) -> Affine | None:
        """A dot as inputs that vary and weights that do not, if it is one."""
        args = instruction.args
        half = len(args) // 2
        pairs = []
        for a, b in zip(args[:half], args[half : 2 * half], strict=True):
            if self.varies[a] == self.varies[b]:
                return None
            pairs.append((a, b) if self.varies[a] else (b, a))
        bias = args[-1] if len(args) % 2 else -1
        if bias >= 0 and self.varies[bias]:
            return None
        pairs.sort()  # so that sums in another order still share a layer
        inputs, weights = zip(*pairs, strict=True)
        return inputs, weights, bias

    # Writing one instruction for a group.

    def _operands(self, places: Iterable[int], where: dict[int, int]) -> list[int]:
        return [where[p] if p in where else self._operand(p) for p in places]

    def _write_elementwise(
        self, writer: _Writer, members: list[int], op: str, learns: int, where: dict[int, int]
    ) -> None:
        arity = len(self.instructions[members[0]].args)
        content = [where[place] for place in members]
        for which in range(arity):
            content += self._operands([self.instructions[place].args[which] for place in members], where)
        writer.write(_CODES[op], len(members), content, arity, learns)

    def _write_picks(self, writer: _Writer, members: list[int]) -> None:
        table, _, index = self.instructions[members[0]].data
        rows = self.program.tables[table]
        key = ("table", table)
        if key not in self.packed:
            self.packed[key] = self._packed([parameter for row in rows for parameter in row])
        content = []
        for place in members:
            content += [self.register_of[place], self.instructions[place].data[1]]
        writer.write(PICK, len(members), content, self.packed[key], len(rows[0]), index)

    def _write_varied(self, writer: _Writer, members: list[int], op: str, where: dict[int, int]) -> None:
        """Operations whose instructions may have any number of arguments each."""
        content: list[int] = []
        for place in members:
            _, args, data, _ = self.instructions[place]
            operands, count = self._operands(args, where), len(args)
            content.append(where[place])
            if op == "dot":
                content += [count // 2, count % 2]
            elif op == "select":
                content += [data, count]
            elif op == "log_softmax":
                content.append(count - 1)
            elif op == "own":
                content.append(count // 2)
            else:
                content.append(count)
            content += operands
        learns = any(self.learns[place] for place in members)
        writer.write(_CODES[op], len(members), content, int(learns))

    def _write_layers(self, writer: _Writer, members: list[int], affine: dict[int, Affine]) -> None:
        """Dots of the same inputs are a layer; layers of the same weights are groups of one product."""
        by_inputs: dict[tuple[int, ...], list[int]] = {}
        for place in members:
            by_inputs.setdefault(affine[place][0], []).append(place)
        by_weights: dict[object, list[tuple[int, ...]]] = {}
        for inputs, places in by_inputs.items():
            by_weights.setdefault(tuple([affine[place][1:] for place in places]), []).append(inputs)
        for weights, inputs_of_groups in by_weights.items():
            self._write_layer(writer, weights, inputs_of_groups, by_inputs)

    def _write_layer(
        self,
        writer: _Writer,
        weights: object,
        inputs_of_groups: list[tuple[int, ...]],
        by_inputs: dict[tuple[int, ...], list[int]],
    ) -> None:
        rows: tuple[tuple[tuple[int, ...], int], ...] = weights  # type: ignore[assignment]
        m, n, groups = len(rows), len(inputs_of_groups[0]), len(inputs_of_groups)
        m4, n4 = _fours(m), _fours(n)
        if weights not in self.packed:
            matrix = [[self.slot_of[w] for w in row] + [self.zero] * (n4 - n) for row, _ in rows]
            matrix += [[self.zero] * n4] * (m4 - m)
            biases = [self.slot_of[bias] if bias >= 0 else self.zero for _, bias in rows]
            self.packed[weights] = self._packed([slot for row in matrix for slot in row])
            self._packed(biases + [self.zero] * (m4 - m))
        offset = self.packed[weights]
        inputs = [place for group in inputs_of_groups for place in group]
        results = [place for group in inputs_of_groups for place in by_inputs[group]]
        learn = INPUTS_LEARN if any(self.learns[place] for place in inputs) else 0
        registers = [self.register_of[place] for place in results]
        in_a_row = groups == 1 and m == m4 and registers == list(range(registers[0], registers[0] + m))
        content = [offset + m4 * n4, learn | (IN_PLACE if in_a_row else 0)]
        content += self._operands(inputs, self.register_of) + registers
        writer.write(LAYER, m, content, offset, n, groups)
        self.scratch.add((max(m4, n4), groups))
        self.products[groups] += m * n * groups

    def _packed(self, slots: list[int]) -> int:
        """Where copies of these slots stand, one after the other."""
        start = self.slots + len(self.pack)
        self.pack += slots
        return start


def _fours(count: int) -> int:
    return (count + 3) // 4 * 4
