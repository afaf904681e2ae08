"""Index: an integer input of a recorded program. Each example has its own, so it can only pick.

As plain Python numbers would be frozen into the recording without a word, everything but picking is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, NoReturn

from ..errors import RecordingError, ShapeError
from .arrays import is_array
from .ops import Op
from .taping import Tape, tape
from .value import Value, lift

_ELSEWHERE = (
    "an integer input of a recording was used after it, in another recording, or in another thread; it can only "
    "pick while it is recorded"
)
PICK = Op("pick", "pick", 1, lambda x: x, lambda out, x: (1.0,))


class Index:
    """Stands for one integer of every example.

    Attributes:
        example: the integer of the example that is recorded.
        number: which of the program's integers it is.
        tape: of the recording that it belongs to; it means nothing to any other.
    """

    __slots__ = ("example", "number", "tape")

    def __init__(self, example: int, number: int, tape: Tape) -> None:
        self.example = example
        self.number = number
        self.tape = tape

    def of(self, rows: Sequence[Any]) -> Any:
        """Return the row of each example: a Value, or a list of them if the rows are lists, or rows of an array."""
        if is_array(rows):
            rows = rows.tolist()  # type: ignore[attr-defined]
        if not 0 <= self.example < len(rows):
            raise ShapeError(f"the integer {self.example} of the example is outside 0 to {len(rows) - 1}")
        if not isinstance(rows[0], Sequence):
            return self._one(rows, None)
        return [self._one(rows, column) for column in range(len(rows[0]))]

    def _one(self, rows: Sequence[Any], column: int | None) -> Value:
        if tape() is not self.tape:
            raise RecordingError(_ELSEWHERE)
        row = rows[self.example]
        node = Value._apply(PICK, (lift(row if column is None else row[column]),))
        self.tape.picked(node, rows, column, self.number)
        return node

    def _refuse(self, *_: object) -> NoReturn:
        listener = tape()
        if listener is not None:
            listener.looked("an integer input as a plain number")
        raise RecordingError(_ELSEWHERE)

    __index__ = __int__ = __float__ = __bool__ = _refuse
    __array__ = _refuse  # `array[i]`: NumPy forgets what `__index__` said, and tries this
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __neg__ = __abs__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _refuse
    __hash__ = object.__hash__


Real.register(Index)  # whoever takes real numbers then asks for this one, and is told why there is none
