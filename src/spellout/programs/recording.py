"""Recording: run a function of one example once, on Values, and write down what it does.

What depends on the example's numbers other than through Values would be frozen into the program. So while a
function is recorded, looking at the number inside a Value (a branch, `float`, `.data`) is an error that names the
line and the remedy. What Python itself decides (lengths of lists, random numbers) is frozen: see the tests in
`tests/programs/test_footguns.py`, which are the list.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from numbers import Integral
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from ..autograd.conversion import is_array
from ..autograd.functions import PICK as PICKED
from ..autograd.functions import Index, distinct_leaves
from ..autograd.listening import current_listener, heard_by
from ..autograd.ops import BUILT_IN
from ..autograd.value import CONSTANT as CONSTANT_LEAF
from ..autograd.value import LEAF, Value, lift
from ..errors import RecordingError, ShapeError, ValueTypeError
from .passes import PASSES, Pass
from .program import CONSTANT, INPUT, OWN, PARAMETER, PICK, SELECT, Argument, Instruction, Program, verify

_PACKAGE = Path(__file__).parent.parent
_OURS = tuple([str(_PACKAGE / room) for room in ("autograd", "nn", "programs")])
_INSTEAD = (
    "choose with where(x, a, b), maximum, minimum or pick instead, or declare with freeze(value) that it is meant "
    "to be decided once"
)
_PYTHONS = os.path.dirname(os.__file__) + os.sep


def trace(
    function: Callable[..., Any],
    *example: Any,
    parameters: Iterable[Value] | None = None,
    passes: Sequence[Pass] = PASSES,
) -> Program:
    """Return what a function of one example does as plain data; `record` makes it callable."""
    recorder = _Recorder(None if parameters is None else distinct_leaves(parameters))
    arguments = [recorder.argument(argument) for argument in example]
    with heard_by(recorder):
        result = function(*arguments)
    if recorder.refused is not None:  # the function caught it, and went on with something else
        raise recorder.refused
    program = verify(recorder.program(result))
    for rewrite in passes:
        program = verify(rewrite(program))
    return program


class _Recorder:
    """Hears of every node that is made, and writes it down as an instruction."""

    def __init__(self, parameters: list[Value] | None) -> None:
        self.open = parameters is None
        self.parameters: dict[Value, int] = {value: i for i, value in enumerate(parameters or [])}
        self.instructions: list[Instruction] = []
        self.places: dict[Value, int] = {}
        self.arguments: list[Argument] = []
        self.tables: dict[int, int | None] = {}
        self.rows: list[tuple[tuple[int, ...], ...]] = []
        self.inside: set[Value] = set()  # leaves that the function made
        # What each was picked from. Tables are known by identity, and none is freed meanwhile: it stands here.
        self.picks: dict[Value, tuple[Sequence[Any], int | None, int]] = {}
        self.refused: RecordingError | None = None
        self.around = current_listener()  # the recording that this one is part of, if there is one
        self.expanding = False  # an operation of the user's

    # Before the recording: what the function is given.

    def argument(self, example: Any) -> Any:
        """What stands for one argument of the function while it is recorded."""
        number = len(self.arguments) + 1
        if hasattr(example, "filled"):
            raise ValueTypeError(f"argument {number} is a masked array, and programs know no masks; give numbers")
        if hasattr(example, "tolist"):
            example = example.tolist()
        leaves: list[Any] = []
        shape = _shape(example, leaves)
        if any(isinstance(leaf, bool) for leaf in leaves):
            raise RecordingError(f"an example is made of floats or integers, got {example!r}")
        # One float makes all of them floats, as it would in an array.
        kind: Any = "integer" if leaves and all(isinstance(leaf, Integral) for leaf in leaves) else "float"
        start = sum([before.size for before in self.arguments if before.kind == kind])
        self.arguments.append(Argument(kind, shape, start, len(leaves)))
        try:
            symbols = [self._symbol(leaf, kind, start + i) for i, leaf in enumerate(leaves)]
        except ValueTypeError as error:
            raise ValueTypeError(f"argument {number} of the example: {error}") from None
        return _nested(iter(symbols), shape)

    def _symbol(self, number: Any, kind: str, which: int) -> Any:
        if kind == "integer":
            return Index(number, which, self)
        value = Value(number)
        self.places[value] = self._write(INPUT, (), which)
        return value

    # During the recording.

    def made(self, node: Value) -> None:
        """Write down a node that an operation made; leaves are written when they are used."""
        if node.op is LEAF:
            self.inside.add(node)  # and not by its serial: another thread's assignment gives an old leaf a new one
        if node.op in (LEAF, CONSTANT_LEAF):
            return
        args = tuple([self.place(parent) for parent in node.parents])
        if node.op is PICKED:  # `picked` follows and says from what
            self.places[node] = args[0]
        elif node.op.name in BUILT_IN:
            self.places[node] = self._write(node.op.name, args, None, self.line())
        else:
            self.places[node] = self._own(node, args)

    def picked(self, node: Value, rows: Sequence[Any], column: int | None, index: int) -> None:
        """Write down what an integer picks: an entry of a table of parameters, or a choice among values."""
        self.picks[node] = rows, column, index
        if id(rows) not in self.tables:
            self.tables[id(rows)] = self._table(rows)
        table = self.tables[id(rows)]
        if table is not None:
            self.places[node] = self._write(PICK, (), (table, column or 0, index), self.line())
            return
        args = tuple([self.place(lift(candidate)) for candidate in self.candidates(node)])
        self.places[node] = self._write(SELECT, args, index, self.line())

    def looked(self, how: str, instead: str = "") -> NoReturn:
        """Refuse to freeze the number inside a Value, and name the line."""
        self.refused = RecordingError(  # kept: the function may catch it, and record something else
            f"{self.line() or 'the recorded function'} uses {how}, which the recording would freeze at what it is "
            f"for this one example; {instead or _INSTEAD}"
        )
        raise self.refused

    def compared(self, symbol: str, compare: Callable[[Any, Any], Any], a: Any, b: Any) -> bool:
        """Refuse to freeze how two numbers compare."""
        self.looked(f"`{symbol}`")

    def candidates(self, node: Value) -> Sequence[Any]:
        """What an integer picked `node` from: one entry of each row."""
        rows, column, _ = self.picks[node]
        return [row if column is None else row[column] for row in rows]

    def position(self, node: Value) -> Value:
        """Which of the candidates each example picks, as a number from 0."""
        rows, _, index = self.picks[node]
        position: Value = Index(0, index, self).of([float(row) for row in range(len(rows))])
        return position

    def is_input(self, value: Value) -> bool:
        """Whether a Value stands for a number that each example has its own of."""
        return value in self.places and self.instructions[self.places[value]].op == INPUT

    def place(self, value: Value) -> int:
        """Where a Value stands in the program; a leaf is written down when it is first used."""
        if value not in self.places:
            self.places[value] = self._leaf(value)
        return self.places[value]

    def _leaf(self, value: Value) -> int:
        if value.parents:
            raise RecordingError(
                f"{self.line() or 'the recorded function'} uses a Value that was computed before the recording "
                f"({value.op.symbol!r}, {value._data:g}); compute it inside the function"
            )
        if isinstance(self.around, _Recorder) and self.around.is_input(value):
            self.looked("an input of the recording around it", "give it to the inner function as an argument")
        made_inside = value.op is CONSTANT_LEAF or value in self.inside
        if value not in self.parameters and self.open and not made_inside:
            self.parameters[value] = len(self.parameters)
        if value in self.parameters:
            return self._write(PARAMETER, (), self.parameters[value])
        return self._write(CONSTANT, (), value._data)

    def _own(self, node: Value, args: tuple[int, ...]) -> int:
        """An operation of the user's: its function and its derivative are recorded as they are.

        Nobody differentiates what is inside, so there the function alone is enough; and a derivative may use its
        own operation, as that of exp does.
        """
        with heard_by(None):
            inside = [lift(0.0) for _ in node.parents]
        for stand_in, parent, place in zip(inside, node.parents, args, strict=True):
            stand_in._data = parent._data
            self.places[stand_in] = place
        line, inner = self.line(), self.expanding
        self.expanding = True
        try:
            forward, derivative = node.op.written or (node.op.forward, node.op.partials)
            result, partials = forward(*inside), () if inner else derivative(*inside)
        except (TypeError, AttributeError) as error:
            if isinstance(error, RecordingError):
                raise
            raise RecordingError(
                f"operation {node.op.name} cannot be recorded, its functions do not take Values ({error}); write "
                "them with operators and spellout's functions instead of math's"
            ) from None
        finally:
            self.expanding = inner
        if inner:
            return self.place(lift(result))
        partials = partials if isinstance(partials, tuple) else (partials,)
        places = [self.place(lift(0.0 if partial is None else partial)) for partial in partials]
        return self._write(OWN, (self.place(lift(result)), *args, *places), node.op.name, line)

    def _table(self, rows: Sequence[Any]) -> int | None:
        """The number of a table whose entries are all parameters; None if it is not one."""
        entries = [row if isinstance(row, Sequence) else [row] for row in rows]
        for value in [value for row in entries for value in row]:
            if not isinstance(value, Value) or value.parents:
                return None
            if self.instructions[self.place(value)].op != PARAMETER:
                return None
        self.rows.append(tuple([tuple([self.parameters[value] for value in row]) for row in entries]))
        return len(self.rows) - 1

    def line(self) -> str:
        """The innermost line that is neither of the engine nor of Python's library: `file:number`."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if not _is_internal(frame.f_code.co_filename):
                return f"{frame.f_code.co_filename}:{frame.f_lineno}"
            frame = frame.f_back
        return ""

    def _write(self, op: str, args: tuple[int, ...], data: Any = None, line: str = "") -> int:
        self.instructions.append(Instruction(op, args, data, line))
        return len(self.instructions) - 1

    # After the recording.

    def program(self, result: Any) -> Program:
        """What was written down, up to what the function returned."""
        leaves: list[Any] = []
        shape = _shape(result, leaves)
        for leaf in leaves:
            if not isinstance(leaf, Value):
                raise RecordingError(
                    f"a recorded function returns a Value or lists of Values, got {leaf!r} ({type(leaf).__name__})"
                )
        outputs = tuple([self.place(value) for value in leaves])  # it may have returned what it did not compute
        instructions, arguments = tuple(self.instructions), tuple(self.arguments)
        return Program(instructions, outputs, shape, arguments, tuple(self.parameters), tuple(self.rows))


@cache  # asked for every frame of every instruction
def _is_internal(file: str) -> bool:
    pythons = file.startswith((_PYTHONS, "<frozen")) and "site-packages" not in file
    return pythons or file.startswith(_OURS)


def _shape(example: Any, leaves: list[Any]) -> tuple[int, ...]:
    """The shape of nested lists, or arrays; their numbers are appended to `leaves`."""
    if is_array(example):
        example = example.tolist()
    if not isinstance(example, list | tuple):
        leaves.append(example)
        return ()
    shapes = {_shape(item, leaves) for item in example}
    if len(shapes) > 1:
        raise ShapeError(f"the lists of an example must be of one length at each depth, got {sorted(shapes)}")
    return (len(example), *shapes.pop()) if shapes else (0,)


def _nested(leaves: Iterator[Any], shape: tuple[int, ...]) -> Any:
    """The inverse of `_shape`, with lists."""
    return [_nested(leaves, shape[1:]) for _ in range(shape[0])] if shape else next(leaves)
