"""Lanes: a program bound to memory, so that it runs over many examples.

Lanes are cut into chunks, chunks into blocks. A block is small enough for its registers to stay in the cache. Every
chunk adds to a gradient of its own, and these are added up in their order: the cuts depend on the program and the
number of examples only, so results are the same for any number of threads.
"""

from __future__ import annotations

import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cached_property
from typing import Any

import numpy as np

from ..autograd.listening import look
from ..errors import NotFiniteError, ShapeError
from .examples import numbers_of, real_type, refuse_inexact
from .kernels.interpreter import FINISH, PREPARE, RUN, execute
from .kernels.layers import PAD
from .kernels.lowering import lower
from .nonfinite import explain
from .program import CONSTANT, Argument, Instruction, Program

_CACHE = 1 << 19
"""Bytes that a block's registers and gradients should fit in: half of a usual second-level cache."""
_WORTH_A_CHUNK = 1 << 17
"""Numbers computed (registers times lanes) that make it worth to give a chunk to a thread of its own."""
_MOST_CHUNKS = 8
"""Each has a gradient of its own, and these must be added up."""
_MOST_LANES = 240
_LEAST_ROW = 512
"""Bytes of a row of a layer's matrix, if need be beyond that cache: with 128 products take nearly twice as long."""

Buffers = tuple[np.ndarray, np.ndarray, np.ndarray]


def threads_available() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def warm_up(dtype: Any) -> None:
    """Have the kernels ready: read from disk, or compiled, which takes a quarter of a minute once."""
    constant = Program((Instruction(CONSTANT, (), 0.0),), (0,), (), (Argument("float", (), 0, 1),), (), ())
    Lanes(constant, dtype).forward(np.zeros((1, 1), dtype), np.zeros((0, 1), np.int64))


class Lanes:
    """A program, its memory, and its shared numbers. They belong to one user, such as a Trainer.

    `forward` may be called by several threads at once; they wait for each other. (A `Program` has lanes for each.)

    Args:
        program: what to run.
        dtype: float64 or float32; UsageError for any other.
        threads: how many to use at most; all that this process may use if None. Results do not depend on it.
    """

    def __init__(self, program: Program, dtype: Any = np.float64, threads: int | None = None) -> None:
        self.program = program
        self.dtype = real_type(dtype)
        self.threads = threads or threads_available()
        self.lowered = lowered = lower(program)
        # What all lanes share: parameters, constants, what depends on them only, copies packed as matrices.
        self.shared = np.zeros(lowered.slots + len(lowered.pack), self.dtype)
        for slot, number in lowered.constants:
            self.shared[slot] = number
        self._floats, self._bounds = program.inputs("float"), self._index_bounds()
        # As many lanes a block as keep its registers in the cache, but a layer's rows may not be too short.
        room = _CACHE // (2 * self.dtype.itemsize * max(1, lowered.registers))
        wide = _LEAST_ROW // self.dtype.itemsize
        columns = PAD if lowered.groups == 0 else -(-wide // (lowered.groups * PAD)) * PAD
        self.block = max(columns, min(_MOST_LANES, room // PAD * PAD))
        self._memory: dict[int, list[Buffers]] = {}
        self._code = (*lowered.shared, *lowered.lanes, lowered.pack, lowered.maps)
        self._gradients = np.zeros((1, len(self.shared)), self.dtype)
        self._busy = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        # Memory is made anew where it is unpickled: it is large, and a lock cannot travel.
        return {"program": self.program, "dtype": self.dtype, "threads": self.threads, "weights": self.weights}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Lanes.__init__(self, state["program"], state["dtype"], state["threads"])
        self.weights[:] = state["weights"]

    @property
    def weights(self) -> np.ndarray:
        """The parameters' numbers, (P,): a view, to be changed in place."""
        return self.shared[: len(self.program.parameters)]

    def read_values(self) -> None:
        """Take the parameters' numbers from the Values."""
        if self.program.parameters:
            look("a call of a recorded program", "call the function itself, whose operations are then recorded too")
        self.weights[:] = [value._data for value in self.program.parameters]

    def write_values(self) -> None:
        """Give the parameters' numbers back to the Values, for drawing and explaining."""
        for value, number in zip(self.program.parameters, self.weights.tolist(), strict=True):
            value.data = number

    # Whole calls, with the Values' numbers of now.

    def run(self, *examples: Any) -> np.ndarray:
        """Results (N, *shape), float64; NotFiniteError if one is nan or infinite."""
        self.read_values()
        results = self.forward(*self.arrange(*examples))
        if not np.isfinite(results).all():
            raise NotFiniteError(self.explain(*examples))
        return results.T.astype(np.float64).reshape(-1, *self.program.shape)

    def gradient(self, *examples: Any) -> tuple[float, np.ndarray]:
        """The mean result and its gradient (P,), float64; NotFiniteError if either is nan or infinite."""
        if self.program.shape:
            raise ShapeError(f"a gradient is of one number; this program returns an array of {self.program.shape}")
        self.read_values()
        with np.errstate(over="ignore", invalid="ignore"):  # the error below says more than a warning
            mean, gradient = self.mean(*examples)
        if not math.isfinite(mean) or not np.isfinite(gradient).all():
            raise NotFiniteError(self.explain(*examples))
        return mean, gradient.astype(np.float64)

    # Their parts, for training: arrays in, views of memory out.

    def mean(self, *examples: Any) -> tuple[float, np.ndarray]:
        """The mean result with `weights` as they are, and its gradient (P,): a view, until the next call."""
        floats, integers = self.arrange(*examples)
        count = floats.shape[1]
        results, gradient = self.backward(floats, integers, 1.0 / count)
        return float(results.sum(dtype=np.float64)) / count, gradient  # in float64, whatever the program's type

    def arrange(self, *examples: Any) -> tuple[np.ndarray, np.ndarray]:
        """Floats (inputs, N) and integers (inputs, N) from one array per argument.

        Raises:
            ShapeError: a shape differs from what was recorded, or an integer is outside the rows it picks from.
            ValueTypeError: an array holds no real numbers, or integers that the program's type cannot hold.
        """
        arguments = self.program.arguments
        if len(examples) != len(arguments):
            raise ShapeError(f"this program takes {len(arguments)} arguments, got {len(examples)}")
        arrays = [numbers_of(i + 1, example) for i, example in enumerate(examples)]
        lanes = len(arrays[0]) if arrays and arrays[0].ndim else int(not arrays)  # without arguments, once
        floats = np.empty((self._floats, lanes), self.dtype)
        integers = np.empty((len(self._bounds), lanes), np.int64)
        for i, (argument, array) in enumerate(zip(arguments, arrays, strict=True)):
            if array.ndim == 0 or array.shape[1:] != argument.shape:
                wanted = ", ".join(["N", *map(str, argument.shape)])
                raise ShapeError(f"argument {i + 1} is an array of shape ({wanted}), got {array.shape}")
            if len(array) != lanes:
                raise ShapeError(
                    f"every argument holds as many examples as the first, got {lanes} and {len(array)}"
                )
            if argument.kind == "integer" and array.dtype.kind not in "iu":
                raise ShapeError(f"argument {i + 1} holds integers that pick rows, got {array.dtype}")
            if argument.kind == "float" and array.dtype.kind in "iu":
                refuse_inexact(i + 1, array, self.dtype)
            rows = floats if argument.kind == "float" else integers
            rows[argument.start : argument.start + argument.size] = array.reshape(lanes, -1).T
        if len(integers):  # the kernels would read beyond the end of a table
            wrong = np.flatnonzero((integers.min(axis=1) < 0) | (integers.max(axis=1) >= self._bounds))
            for number in wrong[:1]:
                row, bound = integers[number], self._bounds[number]
                raise ShapeError(
                    f"integer {number} of an example is from 0 to {bound - 1}, got {row.min()} to {row.max()}"
                )
        return floats, integers

    def forward(self, floats: np.ndarray, integers: np.ndarray) -> np.ndarray:
        """Results (outputs, N) with `weights` as they are."""
        with self._busy:
            return self._go(floats, integers, 0.0)

    def backward(self, floats: np.ndarray, integers: np.ndarray, seed: float) -> tuple[np.ndarray, np.ndarray]:
        """Results (outputs, N), and the gradient (P,) of their sum times `seed`: a view, until the next call."""
        with self._busy:
            results = self._go(floats, integers, seed)
            return results, self._gradients[0, : len(self.program.parameters)]

    def _go(self, floats: np.ndarray, integers: np.ndarray, seed: float) -> np.ndarray:
        # Contiguous, all of them: for any other kind of array the kernels would be compiled again.
        floats, integers = np.ascontiguousarray(floats), np.ascontiguousarray(integers)
        lanes = floats.shape[1] if floats.shape[0] else integers.shape[1]
        chunks = self._chunks(lanes)
        threads = min(self.threads, chunks)
        memory = self._memory_for(threads, min(lanes, self.block))
        if len(self._gradients) != chunks:
            self._gradients = np.zeros((chunks, len(self.shared)), self.dtype)
        elif seed:
            self._gradients.fill(0.0)
        results = np.empty((len(self.program.outputs), lanes), self.dtype)
        given = (floats, integers, results), seed
        finish = FINISH if seed else 0
        if chunks == 1:  # a call takes a microsecond, and a small step not many
            self._part(PREPARE | RUN | finish, memory[0], given, 0, 0, lanes)
            return results
        # Whole blocks, so that where a chunk ends depends on the number of lanes alone, and not on the threads.
        size = -(-lanes // chunks // self.block) * self.block

        def work(thread: int) -> None:
            for chunk in range(thread, chunks, threads):
                ends = min(chunk * size, lanes), min((chunk + 1) * size, lanes)
                self._part(RUN, memory[thread], given, chunk, *ends)

        self._part(PREPARE, memory[0], given, 0, 0, 0)
        others = [self._pool.submit(work, thread) for thread in range(1, threads)]
        try:
            work(0)
        finally:  # after Ctrl-C, too: they write where the next call will
            wait(others)
        for other in others:
            other.result()
        self._part(finish, memory[0], given, 0, 0, 0)
        return results

    def _part(self, phases: int, buffers: Buffers, given: tuple[Any, ...], *lanes: int) -> None:
        """Run some phases on the lanes of a chunk: its number, the first of them, and where they end."""
        (R, G, scratch), (arrays, seed), (chunk, first, last) = buffers, given, lanes
        numbers = self.shared, self._gradients, R, G, *arrays
        execute(phases, self._code, self.lowered.slots, *numbers, first, last, chunk, scratch, seed)

    def _chunks(self, lanes: int) -> int:
        worth = self.lowered.registers * lanes // _WORTH_A_CHUNK
        return max(1, min(_MOST_CHUNKS, worth, -(-lanes // self.block)))

    def _memory_for(self, threads: int, lanes: int) -> list[Buffers]:
        """Registers, gradients and scratch for each thread. Few lanes get narrow registers, close to each other."""
        width = lanes if lanes < PAD else -(-lanes // PAD) * PAD
        memory = self._memory.setdefault(width, [])
        while len(memory) < threads:
            columns = [rows * (-(-groups * width // PAD) * PAD) for rows, groups in self.lowered.scratch]
            R, G = np.zeros((2, max(1, self.lowered.registers), width), self.dtype)
            memory.append((R, G, np.zeros((2, max([width, *columns])), self.dtype)))
        return memory

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.threads)

    def _index_bounds(self) -> np.ndarray:
        """For each integer of an example, from how many rows it picks at most."""
        bounds = np.full(self.program.inputs("integer"), np.iinfo(np.int64).max)
        for op, args, data, _ in self.program.instructions:
            if op == "pick":
                bounds[data[2]] = min(bounds[data[2]], len(self.program.tables[data[0]]))
            elif op == "select":
                bounds[data] = min(bounds[data], len(args))
        return bounds

    def explain(self, *examples: Any) -> str:
        """Say which instruction made a nan or an infinity of these examples, and in which line it stands."""
        floats, integers = self.arrange(*examples)
        each = range(floats.shape[1])
        return explain(self.program, (self._single(floats[:, [one]], integers[:, [one]]) for one in each))

    def _single(self, floats: np.ndarray, integers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The number of every instruction for a single example, and the result's gradient for it: (n,) each."""
        with self._busy:
            self._go(floats, integers, 1.0)
            R, G, _ = self._memory[1][0]  # registers of one column, which belongs to this example
            register_of, slot_of = self.lowered.locations
            lane = register_of >= 0
            values = np.where(lane, R[register_of, 0], self.shared[slot_of])
            return values, np.where(lane, G[register_of, 0], self._gradients[0, slot_of])
