"""recorded: a function of one example that records itself, once for every shape of example it meets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..autograd.value import Value
from ..errors import RecordingError
from .program import Program
from .recording import record


class Recorded:
    """Programs of one function, for examples of different lengths. Any number of threads may call it at once.

    Args:
        function, parameters: as for `record`.
        at_most: RecordingError when more recordings than this are needed: an assertion that shapes repeat.

    Attributes:
        programs: one for every shape so far; their number is how often the function was recorded.

    Example:

        loss = Recorded(one_line_loss)
        loss(np.array([[1, 2, 3], [3, 1, 2]]))  # records a program for three tokens, and runs it over two lines
        loss(np.array([[2, 2]]))                # records another, for two tokens
    """

    def __init__(
        self, function: Callable[..., Any], parameters: Iterable[Value] | None = None, at_most: int | None = None
    ) -> None:
        self.function = function
        self.parameters = None if parameters is None else list(parameters)
        self.at_most = at_most
        self.programs: dict[tuple[Any, ...], Program] = {}
        self._recording = threading.RLock()  # a function may call itself for a shorter example

    def __getstate__(self) -> dict[str, Any]:
        return {name: thing for name, thing in vars(self).items() if name != "_recording"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _recording=threading.RLock())

    def program(self, *examples: Any) -> Program:
        """The program for arrays with one example per row, recorded now if it is the first of its shape."""
        arrays = [np.asarray(example) for example in examples]
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
        return record(self.function, *zeros, parameters=self.parameters)

    def __call__(self, *examples: Any) -> np.ndarray:
        """See `Program.__call__`."""
        return self.program(*examples)(*examples)

    def gradient(self, *examples: Any) -> tuple[float, np.ndarray]:
        """See `Program.gradient`."""
        return self.program(*examples).gradient(*examples)
