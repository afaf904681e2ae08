"""What users record: a program that runs over many examples, and a function that records itself.

`record` makes a program of one shape. `Recorded` makes one for every shape of example it meets.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.functions import distinct_leaves
from ..autograd.value import Value
from ..errors import RecordingError, ShapeError
from .examples import numbers_of
from .passes import PASSES, Pass
from .program import PARAMETER, Program
from .recording import trace

if TYPE_CHECKING:
    from .lanes import Lanes


class RecordedProgram(Program):
    """A program to be called with arrays of one example per row, from any number of threads at once.

    Its data are `Program`'s. It stands above what runs it, so that passes, kernels and machine code know data only.
    """

    parameters: tuple[Value, ...]

    def __call__(self, *examples: Any) -> np.ndarray:
        """Results (N, *shape), float64, of N examples, with the Values' numbers of now.

        Args:
            examples: one array per argument of the function, each with N rows.

        Raises:
            ShapeError: an array does not fit what was recorded.
            ValueTypeError: an array holds something else than real numbers, or integers too large for floats.
            NotFiniteError: a result is nan or infinite; the message names the first instruction that made it so.
        """
        with self._lanes() as lanes:
            return lanes.run(*examples)

    def gradient(self, *examples: Any) -> tuple[float, np.ndarray]:
        """The mean result of N examples, and its gradient for every parameter, (P,) float64.

        Raises:
            ShapeError: the program has several results, or an array does not fit.
            NotFiniteError: the result or a derivative is nan or infinite.
        """
        with self._lanes() as lanes:
            return lanes.gradient(*examples)

    @cached_property
    def _idle(self) -> list[Lanes]:
        return []

    @contextmanager
    def _lanes(self) -> Iterator[Lanes]:
        """Memory for one call, which nobody else uses meanwhile: of an earlier call that has ended, or new."""
        from .lanes import Lanes  # Numba is imported when a program is first run, not when it is recorded

        try:
            lanes = self._idle.pop()  # atomic: two threads never get the same
        except IndexError:
            lanes = Lanes(self)  # as many as threads were ever in here at once
        try:
            yield lanes
        finally:
            self._idle.append(lanes)


def record(
    function: Callable[..., Any],
    *example: Any,
    parameters: Iterable[Value] | None = None,
    passes: Sequence[Pass] = PASSES,
) -> RecordedProgram:
    """Record a function of one example as a program that runs over many.

    Args:
        function: takes what `example` holds and returns a Value, or lists or arrays of Values in a rectangle.
        example: numbers, or lists of numbers of any depth. Floats become inputs; integers become inputs that
            pick rows (`pick`, `Embedding`, `cross_entropy`). Their numbers only matter in that the function must
            be able to run on them.
        parameters: the Values to differentiate by, in this order; other Values are frozen at their numbers of
            now. Without it, all Values that were made before the recording, in order of use.
        passes: rewrites, each a function from Program to Program; every result is verified.

    Raises:
        RecordingError: the function looks at the number inside a Value, uses an integer other than to pick, or
            returns something that is not made of Values.
        UsageError, ValueTypeError: `parameters` hold a Value twice, or something else than Values that were made.

    Example: the loss of micrograd's demo, for one point and then for all of them.

        program = record(lambda x, y: (1 - y * model(x)).relu(), [0.0, 0.0], 0.0)
        loss, gradients = program.gradient(X, y)
    """
    program = trace(function, *example, parameters=parameters, passes=passes)
    return RecordedProgram(*[getattr(program, field.name) for field in fields(Program)])


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
        self.programs: dict[tuple[Any, ...], RecordedProgram] = {}
        self._unpickled = False
        self._recording = threading.RLock()  # a function may call itself for a shorter example

    def program(self, *examples: Any) -> RecordedProgram:
        """The program for arrays with one example per row, recorded now if it is the first of its shape."""
        arrays = [numbers_of(i + 1, example) for i, example in enumerate(examples)]
        for i, array in enumerate(arrays):
            if not array.ndim:
                raise ShapeError(f"argument {i + 1} is a single number; the examples are the rows of an array")
        shape = tuple([(a.dtype.kind in "iu", a.shape[1:]) for a in arrays])
        # Asked twice, so that no thread waits for the lock once the program is there.
        if shape not in self.programs:
            with self._recording:  # one thread records, another that needs the same shape waits for it
                if shape not in self.programs:
                    self.programs[shape] = self._record(arrays, shape)
        return self.programs[shape]

    def _record(self, arrays: list[np.ndarray], shape: tuple[Any, ...]) -> RecordedProgram:
        if self.at_most is not None and len(self.programs) >= self.at_most:
            known = ", ".join([str([s for _, s in shapes]) for shapes in self.programs])
            raise RecordingError(
                f"examples of shape {[s for _, s in shape]} need another recording, but at most "
                f"{self.at_most} were allowed; there are {known}"
            )
        # Not the examples themselves: what the function does may not depend on their numbers.
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
        """Results (N, *shape), float64, of N examples: a call of the program of their shape."""
        return self.program(*examples)(*examples)

    def __deepcopy__(self, memo: dict[int, Any]) -> Recorded:
        # Python copies a method with its object, but a plain function not at all.
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
        """The mean result of N examples and its gradient (P,), of the program of their shape."""
        return self.program(*examples).gradient(*examples)
