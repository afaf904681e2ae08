"""Program: a function of one example, written down. Immutable data with a printer and a verifier.

A program is a list of instructions, each one number of one example: an operation of the table and the places of
its arguments, which stand before it. Parameters are shared by all examples, inputs differ. `record` makes it,
`passes` rewrite it, `lowering` turns it into what the kernels read.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal, NamedTuple

from ..autograd.ops import TABLE

# What is not an operation of the table.
PARAMETER, CONSTANT, INPUT, PICK, SELECT, OWN = "parameter", "constant", "input", "pick", "select", "own"
SOURCES = frozenset([PARAMETER, CONSTANT, INPUT])
_SHOWN = 4
"""So many terms of a long sum are printed."""


class Instruction(NamedTuple):
    """One number. `data` is what the operation needs besides its arguments:

        parameter   which of the program's parameters
        constant    the number
        input       which of the example's floats
        pick        (table, column, index): the entry of a table of parameters in the row of an integer input
        select      index: the argument that an integer input chooses
        own         the name of an operation of the user's; the arguments are the result, what it was computed
                    from, and the partial derivative by each of these

    `line` is the line of the user's that made it, as `file:number`.
    """

    op: str
    args: tuple[int, ...] = ()
    data: Any = None
    line: str = ""


@dataclass(frozen=True)
class Argument:
    """One argument of the recorded function: floats or integers, in a shape; the first is the `start`-th."""

    kind: Literal["float", "integer"]
    shape: tuple[int, ...]
    start: int
    size: int


@dataclass(frozen=True, eq=False)
class Program:
    """A recorded function as plain data. Two programs are the same only if they are one.

    Attributes:
        instructions: what is computed; the arguments of each stand before it (see `Instruction`).
        outputs: the places of the results.
        shape: of the results of one example; () for a single number.
        arguments: what the function takes.
        parameters: the Values that are shared by all examples; gradients come in this order.
        tables: each a tuple of rows, each a tuple of numbers of parameters.
    """

    instructions: tuple[Instruction, ...]
    outputs: tuple[int, ...]
    shape: tuple[int, ...]
    arguments: tuple[Argument, ...]
    parameters: tuple[Any, ...]  # Values; but nothing here asks more of them than a label
    tables: tuple[tuple[tuple[int, ...], ...], ...]

    def __getstate__(self) -> dict[str, Any]:
        # What is worked out of the fields when it is first asked for stays behind: it is larger than they are.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def inputs(self, kind: Literal["float", "integer"]) -> int:
        """How many floats, or integers, an example has."""
        return sum([argument.size for argument in self.arguments if argument.kind == kind])

    @cached_property
    def varies(self) -> list[bool]:
        """Which instructions differ between examples; the others need parameters and constants only."""
        varies: list[bool] = []
        # A loop and no recursion, here and wherever programs are read: a chain may be deeper than Python's stack.
        for op, args, _, _ in self.instructions:
            varies.append(op in (INPUT, PICK, SELECT) or any(varies[arg] for arg in args))
        return varies

    @property
    def computed(self) -> int:
        """How many instructions compute something: all but parameters, constants and inputs."""
        return sum([instruction.op not in SOURCES for instruction in self.instructions])

    def __str__(self) -> str:
        ops = Counter([i.op for i in self.instructions if i.op not in SOURCES])
        title = (
            f"program: {self.inputs('float')} floats and {self.inputs('integer')} integers per example, "
            f"{len(self.parameters)} parameters, "
            f"{self.computed} instructions ({', '.join([f'{count} {op}' for op, count in ops.most_common()])})"
        )
        names = self.names
        lines = [
            f"{names[place]:>6} = {self.formula(place)}"
            for place, instruction in enumerate(self.instructions)
            if instruction.op not in SOURCES
        ]
        return "\n".join([title, *lines, f"return {', '.join([names[place] for place in self.outputs])}"])

    @cached_property
    def names(self) -> list[str]:
        """What the listing calls each instruction: x0 an input, p0 a parameter (or its label), r0 a result."""
        names: list[str] = []
        registers = 0
        for op, _, data, _ in self.instructions:
            if op == PARAMETER:
                names.append(self.parameters[data].label or f"p{data}")
            elif op == CONSTANT:
                names.append(f"{data:g}")
            elif op == INPUT:
                names.append(f"x{data}")
            else:  # numbered by themselves, so that the listing has no gaps
                names.append(f"r{registers}")
                registers += 1
        return names

    def formula(self, place: int) -> str:
        """How the listing writes one instruction."""
        op, args, data, _ = self.instructions[place]
        names = self.names
        if op in SOURCES:
            return names[place]
        if op == PICK:
            table, column, index = data
            return f"table{table}[i{index}][{column}]"
        shown = [names[place] for place in args]
        if op == SELECT:
            return f"[{_cut(shown, ', ')}][i{data}]"
        if op == "dot":
            half = len(shown) // 2
            terms = [f"{a}·{b}" for a, b in zip(shown[:half], shown[half : 2 * half], strict=True)]
            return _cut(terms + shown[2 * half :], " + ")
        if op == OWN:
            # Neither the result, which has been computed, nor the derivatives.
            return f"{data}({', '.join(shown[1 : 1 + len(shown) // 2])})"
        symbol = TABLE[op].symbol
        if len(shown) == 2 and not symbol.isalnum():
            return f"{shown[0]} {symbol} {shown[1]}"
        return f"{op}({_cut(shown, ', ')})"


def _cut(terms: list[str], between: str) -> str:
    if len(terms) <= _SHOWN + 2:
        return between.join(terms)
    return between.join([*terms[:_SHOWN], f"… {len(terms) - _SHOWN} more"])


def verify(program: Program) -> Program:
    """Return the program if it keeps every promise of its kind; AssertionError names the first that is broken."""
    floats, integers = program.inputs("float"), program.inputs("integer")
    for place, instruction in enumerate(program.instructions):
        op, args, data, _ = instruction
        # What stands before can be computed in one pass, and there is no circle.
        for arg in args:
            if not 0 <= arg < place:
                raise AssertionError(f"{place}: {op} uses {arg}, which does not stand before it")
        if op == PARAMETER:
            good = not args and 0 <= data < len(program.parameters)
        elif op == CONSTANT:
            good = not args and type(data) is float  # nan and infinities too: they are what Values would give
        elif op == INPUT:
            good = not args and 0 <= data < floats
        elif op == PICK:
            table, column, index = data
            good = not args and 0 <= table < len(program.tables) and 0 <= index < integers
            good = good and 0 <= column < len(program.tables[table][0])
        elif op == SELECT:
            good = len(args) > 0 and 0 <= data < integers
        elif op == OWN:
            good = len(args) % 2 == 1 and type(data) is str  # the result, then n arguments and n derivatives
        else:
            arity = TABLE[op].arity if op in TABLE else -1
            good = data is None and (len(args) > 0 if arity is None else len(args) == arity)
        if not good:
            raise AssertionError(f"{place}: {instruction} is no instruction")
    for output in program.outputs:
        if not 0 <= output < len(program.instructions):
            raise AssertionError(f"the output {output} is no instruction's place")
    for table in program.tables:
        for row in table:
            if len(row) != len(table[0]) or not all(0 <= p < len(program.parameters) for p in row):
                raise AssertionError("a table's row is not made of parameters, or of another length")
    return program
