"""recorded: a function of one example that records itself, once for every shape of example it meets."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..autograd.functions import distinct_leaves
from ..autograd.value import Value
from ..errors import RecordingError, ShapeError
from .examples import numbers_of
from .program import PARAMETER, Program
from .recording import record


class Recorded:
    """Programs of one function, for examples of different lengths. Any number of threads may call it at once.

    Args:
        function, parameters: as for `record`.
        at_most: RecordingError when more recordings than this are needed: an assertion that shapes repeat.

    Attributes:
        programs: one for every shape so far; their number is how often the function was recorded.

    A deep copy or a pickle takes along what the function carries: the model of a method or `functools.partial`.
    Python copies and pickles a plain function by its name, and so its Values stay those of its module.

    Example:

        loss = Recorded(one_line_loss)
        loss(np.array([[1, 2, 3], [3, 1, 2]]))  # records a program for three tokens, and runs it over two lines
        loss(np.array([[2, 2]]))                # records another, for two tokens
    """

    def __init__(
        self, function: Callable[..., Any], parameters: Iterable[Value] | None = None, at_most: int | None = None
    ) -> None:
        self.function = function
        self.parameters = None if parameters is None else distinct_leaves(parameters)
        self.at_most = at_most
        self.programs: dict[tuple[Any, ...], Program] = {}
        self._unpickled = False
        self._recording = threading.RLock()  # a function may call itself for a shorter example

    def program(self, *examples: Any) -> Program:
        """The program for arrays with one example per row, recorded now if it is the first of its shape."""
        arrays = [numbers_of(i + 1, example) for i, example in enumerate(examples)]
        for i, array in enumerate(arrays):
            if not array.ndim:
                raise ShapeError(f"argument {i + 1} is a single number; the examples are the rows of an array")
        shape = tuple([(a.dtype.kind in "iu", a.shape[1:]) for a in arrays])
        if shape not in self.programs:
            with self._recording:  # one thread records, another that needs the same shape waits for it
                if shape not in self.programs:
                    self.programs[shape] = self._record(arrays, shape)
        return self.programs[shape]

    def _record(self, arrays: list[np.ndarray], shape: tuple[Any, ...]) -> Program:
        if self.at_most is not None and len(self.programs) >= self.at_most:
            known = ", ".join([str([s for _, s in shapes]) for shapes in self.programs])
            raise RecordingError(
                f"examples of shape {[s for _, s in shape]} need another recording, but at most "
                f"{self.at_most} were allowed; there are {known}"
            )
        zeros = [
            np.zeros(a.shape[1:], a.dtype if integer else float).tolist()
            for a, (integer, _) in zip(arrays, shape, strict=True)
        ]
        program = record(self.function, *zeros, parameters=self.parameters)
        if self._unpickled:
            self._refuse_other_values(program)
        return program

    def _refuse_other_values(self, program: Program) -> None:
        """Refuse a recording that learns none of the Values that came with the pickle: it is of another model."""
        known = {value for other in self.programs.values() for value in other.parameters}.union(
            self.parameters or ()
        )
        used = {program.parameters[data] for op, _, data, _ in program.instructions if op == PARAMETER}
        used.update([program.parameters[p] for table in program.tables for row in table for p in row])
        if known and not known & used:
            raise RecordingError(
                "the function uses other Values than the programs that were pickled with it, as Python pickles a "
                "function by its name; give Recorded what carries its Values, such as a Module, its method or "
                "functools.partial(function, model)"
            )

    def __call__(self, *examples: Any) -> np.ndarray:
        """See `Program.__call__`."""
        return self.program(*examples)(*examples)

    def __deepcopy__(self, memo: dict[int, Any]) -> Recorded:
        function = copy.deepcopy(self.function, memo)
        twin = Recorded(function, self.parameters, self.at_most)
        twin.programs, twin._unpickled = dict(self.programs), self._unpickled
        if function is not self.function:  # it carries Values; otherwise it shares them, and so must all the rest
            twin.parameters, twin.programs = copy.deepcopy((self.parameters, self.programs), memo)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        return {name: thing for name, thing in vars(self).items() if name != "_recording"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _unpickled=True, _recording=threading.RLock())

    def gradient(self, *examples: Any) -> tuple[float, np.ndarray]:
        """See `Program.gradient`."""
        return self.program(*examples).gradient(*examples)
