"""From a program to bytecode: arrays of integers that the kernels read.

Three things happen. What does not depend on the example moves to code of its own, which runs once instead of once
per lane. Instructions of the same kind that do not depend on each other become one wide instruction. And dots that
share their inputs become a layer, a product of matrices; layers with the same weights on different inputs (the
positions of a line) become one product with more columns.

Bytecode is `code` (instructions, 6) and `pool`, where code holds

    operation, count, place in the pool, A, B, C
        fixed arity:   A arity, B bits of the arguments that learn
        layer:         count m, A weights, B inputs n, C groups; pool: bias, two bits, inputs, results
        pick:          A first entry of the table, B its width, C which integer
        others:        A whether anything below learns; pool: see the kernels
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from ..program import CONSTANT, INPUT, PARAMETER, SOURCES, Instruction, Program
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
    "own": OWN,
}
_HEADERS: dict[str, Callable[[int, Any], list[int]]] = {
    "dot": lambda count, data: [count // 2, count % 2],
    "select": lambda count, data: [data, count],
    "log_softmax": lambda count, data: [count - 1],
    "own": lambda count, data: [count // 2],
}
"""What stands in the pool between the result of an operation of any arity and its arguments, if not their count."""
_PARTS = {"logsumexp": 2, "log_softmax": 2}
"""Registers after the result's, which the gradient reads: the result in parts that rounding has not joined."""
Affine = tuple[tuple[int, ...], tuple[tuple[int, ...], int]]
"""A dot of varying inputs with shared weights: (inputs, (weights, bias or -1)), by places in the program."""


class Bytecode(NamedTuple):
    """What the kernels read."""

    code: np.ndarray
    pool: np.ndarray


class Lowered(NamedTuple):
    """A program as the kernels read it.

    Attributes:
        shared: the code of what all lanes share, which runs on the slots themselves.
        lanes: the code of everything else.
        slots: how many shared numbers there are: parameters first, then constants and what is computed of both.
        constants: (slot, number).
        pack: the slot of every number of the packed matrices and tables, which follow the slots.
        maps: registers of the floats, of what is copied from slots, these slots, registers of the results, each
            ended by -1: (4, n).
        registers: rows of lanes.
        locations: the register of each instruction of the program, -1 for shared ones, and the slot of each shared
            one, -1 for the others: (2, n).
        scratch: (rows, groups): what the layers' matrices need; they have `groups` columns a lane.
        groups: columns a lane of the layers that make the most products; 0 without layers.
    """

    shared: Bytecode
    lanes: Bytecode
    slots: int
    constants: list[tuple[int, float]]
    pack: np.ndarray
    maps: np.ndarray
    registers: int
    locations: np.ndarray
    scratch: set[tuple[int, int]]
    groups: int


_KNOWN: WeakKeyDictionary[Program, Lowered] = WeakKeyDictionary()


def lower(program: Program) -> Lowered:
    """Return a program as the kernels read it: worked out once, and shared by all that run it while it lives.

    Two threads that ask at once may both work it out, with one result.
    """
    if program not in _KNOWN:
        _KNOWN[program] = _Lowering(program).done()
    return _KNOWN[program]


class _Lowering:
    """The work of `lower`. Places are those of the program's instructions."""

    def __init__(self, program: Program) -> None:
        self.program, self.instructions, self.varies = program, program.instructions, program.varies
        self.learns: list[bool] = []
        self.slot_of: dict[int, int] = {}  # of what all lanes share
        self.constants: list[tuple[int, float]] = []
        self.register_of: dict[int, int] = {}  # of what varies
        self.copied: dict[int, int] = {}  # shared numbers that have a register, too, the same in all lanes
        self.registers = program.inputs("float")  # the first are the floats of an example, used or not
        self.pack: list[int] = []
        self.packed: dict[object, int] = {}
        self.affine: dict[int, Affine] = {}
        self.scratch: set[tuple[int, int]] = set()
        self.products: Counter[int] = Counter()  # by groups of their layers
        self._look()

    def _look(self) -> None:
        """Find which instructions learn, and give a slot to each that is the same in all lanes."""
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
        self.zero = slots  # pads matrices, and stands where a dot has no bias
        self.constants.append((slots, 0.0))
        self.slots = slots + 1

    def done(self) -> Lowered:
        """Write both codes, and what they need."""
        computed = [place for place, one in enumerate(self.instructions) if one.op not in SOURCES]
        shared = self._bytecode([place for place in computed if not self.varies[place]], False)
        # All results before any copy of a shared number, so that those of a layer follow each other (IN_PLACE).
        for place, (op, _, data, _) in enumerate(self.instructions):
            if op == INPUT:
                self.register_of[place] = data
            elif self.varies[place]:
                self.register_of[place] = self._registers(1 + _PARTS.get(op, 0))
        lanes = self._bytecode([place for place in computed if self.varies[place]], True)
        outputs = [self._register(output) for output in self.program.outputs]
        floats, copied = range(self.program.inputs("float")), self.copied
        rows = [floats, copied.values(), [self.slot_of[place] for place in copied], outputs]
        maps = np.full((4, 1 + max(map(len, rows))), -1, np.int64)
        for row, numbers in zip(maps, rows, strict=True):
            row[: len(numbers)] = list(numbers)
        locations = np.full((2, len(self.instructions)), -1, np.int64)
        for row, known in zip(locations, (self.register_of, self.slot_of), strict=True):
            row[list(known)] = list(known.values())
        pack = np.array(self.pack, np.int64)
        groups = max(self.products, key=lambda groups: self.products[groups], default=0)
        return Lowered(
            shared, lanes, self.slots, self.constants, pack, maps, self.registers, locations, self.scratch, groups
        )

    def _registers(self, count: int) -> int:
        """The first of so many new ones."""
        self.registers += count
        return self.registers - count

    def _register(self, place: int) -> int:
        """The register of a number; a shared one is copied into one, the same in all lanes."""
        if place in self.register_of:
            return self.register_of[place]
        if place not in self.copied:
            self.copied[place] = self._registers(1)
        return self.copied[place]

    # Grouping.

    def _bytecode(self, places: list[int], inside: bool) -> Bytecode:
        """Write instructions level by level, those of one kind together; inside or outside of the lanes."""
        self.inside, self.code, self.pool = inside, list[list[int]](), list[int]()
        level: dict[int, int] = {}
        groups: dict[tuple[int, tuple[Any, ...]], list[int]] = {}
        for place in places:
            instruction = self.instructions[place]
            # One more than the deepest argument's: what stands on one level does not depend on each other.
            level[place] = 1 + max([level.get(arg, 0) for arg in instruction.args], default=0)
            groups.setdefault((level[place], self._kind(place, instruction)), []).append(place)
        for (_, (op, *more)), members in sorted(groups.items(), key=lambda item: item[0][0]):
            if op == "layer":
                self._write_layers(members)
            elif op == "pick":
                self._write_picks(members)
            elif op in ELEMENTWISE:
                self._write_elementwise(op, members, *more)
            else:
                self._write_varied(op, members)
        return Bytecode(np.array(self.code, np.int64).reshape(-1, 6), np.array([*self.pool, 0], np.int32))

    def _kind(self, place: int, instruction: Instruction) -> tuple[Any, ...]:
        """What instructions must share to be written as one."""
        op, args, data, _ = instruction
        if op in ELEMENTWISE:
            return op, sum([1 << i for i, arg in enumerate(args) if self.learns[arg]])
        if op == "pick":
            return op, data[0], data[2]
        if op == "dot" and self.inside and (form := self._affine(args)):
            self.affine[place] = form
            return ("layer",)
        return (op,)

    def _affine(self, args: tuple[int, ...]) -> Affine | None:
        """A dot as inputs that vary and weights that do not, if it is one."""
        half, varies = len(args) // 2, self.varies
        pairs = list(zip(args[:half], args[half : 2 * half], strict=True))
        bias = args[-1] if len(args) % 2 else -1
        if any(varies[a] == varies[b] for a, b in pairs) or (bias >= 0 and varies[bias]):
            return None
        # Sorted, so that sums in another order still share a layer.
        inputs, weights = zip(*sorted([(a, b) if varies[a] else (b, a) for a, b in pairs]), strict=True)
        return inputs, (weights, bias)

    # Writing one instruction for a group.

    def _write(self, op: int, count: int, content: Iterable[int], a: int = 0, b: int = 0, c: int = 0) -> None:
        self.code.append([op, count, len(self.pool), a, b, c])
        self.pool += content

    def _operands(self, places: Iterable[int]) -> list[int]:
        return [self._register(place) if self.inside else self.slot_of[place] for place in places]

    def _write_elementwise(self, op: str, members: list[int], learns: int) -> None:
        columns = list(zip(*[self.instructions[place].args for place in members], strict=True))
        content = self._operands(members)
        for column in columns:
            content += self._operands(column)
        self._write(_CODES[op], len(members), content, len(columns), learns)

    def _write_picks(self, members: list[int]) -> None:
        table, _, index = self.instructions[members[0]].data
        rows = self.program.tables[table]
        first = self._packed(("table", table), [parameter for row in rows for parameter in row])
        content = []
        for place in members:
            content += [self._register(place), self.instructions[place].data[1]]
        self._write(PICK, len(members), content, first, len(rows[0]), index)

    def _write_varied(self, op: str, members: list[int]) -> None:
        """Operations whose instructions may have any number of arguments each."""
        content: list[int] = []
        for place in members:
            _, args, data, _ = self.instructions[place]
            header = _HEADERS[op](len(args), data) if op in _HEADERS else [len(args)]
            operands = self._operands(args)  # may need new registers
            content += [*self._operands([place]), *header, *operands]
        self._write(_CODES[op], len(members), content, int(any(self.learns[place] for place in members)))

    def _write_layers(self, members: list[int]) -> None:
        """Dots of the same inputs are a layer; layers of the same weights are groups of one product."""
        by_inputs: dict[tuple[int, ...], list[int]] = {}
        for place in members:
            by_inputs.setdefault(self.affine[place][0], []).append(place)
        by_weights: dict[tuple[tuple[tuple[int, ...], int], ...], list[tuple[int, ...]]] = {}
        for inputs, places in by_inputs.items():
            by_weights.setdefault(tuple([self.affine[place][1] for place in places]), []).append(inputs)
        for rows, groups in by_weights.items():
            of_groups = [place for group in groups for place in group]
            results = [place for group in groups for place in by_inputs[group]]
            self._write_layer(rows, len(groups), of_groups, results)

    def _write_layer(
        self, rows: tuple[tuple[tuple[int, ...], int], ...], groups: int, inputs: list[int], results: list[int]
    ) -> None:
        """One product of matrices: m rows of n weights and a bias, for each group of n inputs m results."""
        m, n = len(rows), len(inputs) // groups
        m4, n4 = -(-m // 4) * 4, -(-n // 4) * 4  # the kernels work on tiles of four by four
        matrix = [[self.slot_of[w] for w in weights] + [self.zero] * (n4 - n) for weights, _ in rows]
        matrix += [[self.zero] * n4] * (m4 - m)
        biases = [self.slot_of[bias] if bias >= 0 else self.zero for _, bias in rows] + [self.zero] * (m4 - m)
        offset = self._packed(rows, [slot for row in [*matrix, biases] for slot in row])
        learn = INPUTS_LEARN if any(self.learns[place] for place in inputs) else 0
        registers = [self.register_of[place] for place in results]
        in_a_row = groups == 1 and m == m4 and registers == list(range(registers[0], registers[0] + m))
        content = [offset + m4 * n4, learn | (IN_PLACE if in_a_row else 0), *self._operands(inputs), *registers]
        self._write(LAYER, m, content, offset, n, groups)
        self.scratch.add((max(m4, n4), groups))
        self.products[groups] += m * n * groups

    def _packed(self, what: object, slots: list[int]) -> int:
        """Where copies of these slots stand, one after the other; of one thing there is one copy."""
        if what not in self.packed:
            self.packed[what] = self.slots + len(self.pack)
            self.pack += slots
        return self.packed[what]
