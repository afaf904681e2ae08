"""A program in groups: instructions of one kind that need nothing of each other become one loop.

All numbers of an example stand in one list: the parameters, the inputs, the constants, then the results, group by
group. Where the numbers that a loop reads stand, a formula of its counters says if there is one, else a table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...autograd.ops import TABLE
from ..program import CONSTANT, INPUT, OWN, PARAMETER, PICK, SOURCES, Program

_IN_PARTS = frozenset(["logsumexp", "log_softmax"])
"""Their largest argument and the rest are kept beside the result, for the gradient."""


@dataclass
class Group:
    """Instructions of one kind.

    Attributes:
        op: what they do.
        args: (N, n) where the arguments of each stand.
        data: of each, what else it needs.
        learns: of each argument, whether a gradient is asked for; of operations of any number, one for all.
        start: where the result of the first stands.
    """

    op: str
    places: list[int] = field(default_factory=list)
    args: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    data: list[Any] = field(default_factory=list)
    learns: tuple[bool, ...] = ()
    start: int = 0

    @property
    def count(self) -> int:
        """How many instructions."""
        return len(self.places)


class Layout:
    """Where every number of a program stands, and its groups in the order in which they run.

    Attributes:
        inputs, constants, end: where the inputs and the constants begin, and how many numbers there are.
        numbers: the constants; `reads_numbers` says whether a formula is not enough for them.
        outputs: where the results stand.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.inputs = len(program.parameters)
        self.constants = self.inputs + program.inputs("float")
        self.numbers: list[float] = []
        self._at: dict[int, int] = {}
        self.learns = learning(program)
        for place, (op, _, data, _) in enumerate(program.instructions):
            if op == CONSTANT:
                self._at[place] = self.constants + len(self.numbers)
                self.numbers.append(data)
            elif op in SOURCES:
                self._at[place] = data + (self.inputs if op == INPUT else 0)
        self.groups = self._grouped()
        self.end = self.constants + len(self.numbers)
        for group in self.groups:
            group.start = self.end
            self._at |= {place: group.start + number for number, place in enumerate(group.places)}
            self.end += group.count * (3 if group.op in _IN_PARTS else 1)
        for group in self.groups:
            rows = [[self._at[arg] for arg in program.instructions[place].args] for place in group.places]
            group.args = np.array(rows, np.int64).reshape(group.count, -1)
        self.reads_numbers = bool(self.numbers) and self._reads_numbers(program)
        self.outputs = np.array([[self._at[place] for place in program.outputs]], np.int64).T

    def literal(self, group: Group, which: int) -> float | None:
        """Give the number that an argument of all instructions of a group is, if it is a constant."""
        places = group.args[:, which]
        number = int(places[0]) - self.constants
        return self.numbers[number] if 0 <= number < len(self.numbers) and (places == places[0]).all() else None

    def _reads_numbers(self, program: Program) -> bool:
        """Whether a constant is needed other than as itself in a formula."""
        constants = {place for place, one in enumerate(program.instructions) if one.op == CONSTANT}
        for group in self.groups:
            fixed = group.op in TABLE and TABLE[group.op].arity is not None
            for which in range(group.args.shape[1]):
                read = {program.instructions[place].args[which] for place in group.places}
                if read & constants and not (fixed and self.literal(group, which) is not None):
                    return True
        return not constants.isdisjoint(program.outputs)

    def _grouped(self) -> list[Group]:
        """Put instructions of one depth, kind and number of arguments together."""
        depths: list[int] = []
        groups: dict[Any, Group] = {}
        for place, (op, args, data, _) in enumerate(self.program.instructions):
            depths.append(0 if op in SOURCES else 1 + max([depths[arg] for arg in args], default=0))
            if op in SOURCES:
                continue
            learns = self._learns(op, args)
            kind = depths[-1], op, len(args), learns, data[0] if op == PICK else data if op == OWN else None
            group = groups.setdefault(kind, Group(op, learns=learns))
            group.places.append(place)
            group.data.append(data)
        return sorted(groups.values(), key=lambda group: depths[group.places[0]])

    def _learns(self, op: str, args: tuple[int, ...]) -> tuple[bool, ...]:
        learns = tuple([self.learns[arg] for arg in args])
        if op == OWN:
            return learns[1 : 1 + len(args) // 2]
        if op == "dot":
            half = len(args) // 2
            return any(learns[:half]), any(learns[half : 2 * half]), *learns[2 * half :]
        if op in TABLE and TABLE[op].arity is not None:
            return learns
        return (op == PICK or any(learns),)


def learning(program: Program) -> list[bool]:
    """Say of every instruction whether its result depends on a parameter in a way that a gradient follows."""
    learns: list[bool] = []
    for op, args, _, _ in program.instructions:
        followed = args[1 : 1 + len(args) // 2] if op == OWN else args
        learns.append(op in (PARAMETER, PICK) or any(learns[arg] for arg in followed))
    return learns


class Indices:
    """Where numbers stand as an expression of the counters `i` and `j`, with tables where there is no formula.

    Attributes:
        tables: what was written into tables, by name.
    """

    def __init__(self) -> None:
        self.tables: dict[str, list[int]] = {}
        self._known: dict[tuple[int, ...], str] = {}

    def of(self, places: np.ndarray, i: str = "i", j: str = "j") -> str:
        """Write the expression that gives `places[i, j]` of (N, n)."""
        rows, columns = places.shape
        step_i = int(places[1, 0] - places[0, 0]) if rows > 1 else 0
        step_j = int(places[0, 1] - places[0, 0]) if columns > 1 else 0
        by_i, by_j = np.arange(rows)[:, None] * step_i, np.arange(columns)[None] * step_j
        if (places == places[0, 0] + by_i + by_j).all():
            return _sum(int(places[0, 0]), (step_i, i), (step_j, j))
        if (places == places[:, :1] + by_j).all():
            return _sum(f"{self._table(places[:, 0])}[{i}]", (step_j, j))
        if (places == places[:1] + by_i).all():
            return _sum(f"{self._table(places[0])}[{j}]", (step_i, i))
        return f"{self._table(places.ravel())}[{_sum(0, (columns if rows > 1 else 0, i), (1, j))}]"

    def _table(self, numbers: np.ndarray) -> str:
        listed = tuple(numbers.tolist())
        if listed not in self._known:
            name = self._known[listed] = f"at{len(self._known)}"
            self.tables[name] = list(listed)
        return self._known[listed]


def _sum(first: int | str, *steps: tuple[int, str]) -> str:
    """Write first + step · counter + ..., without what is 0 or 1 there."""
    terms = [] if first == 0 else [str(first)]
    written = " + ".join(terms + [name if step == 1 else f"{step} * {name}" for step, name in steps if step > 0])
    for step, name in steps:
        if step < 0:
            written = f"{written or '0'} - {name if step == -1 else f'{-step} * {name}'}"
    return written or "0"
