"""Machine code: a small program compiled as a whole, and the memory that it works in.

The interpreter (`kernels/interpreter.py`) runs any program at once. Compiling one (`codegen.py`) takes about 0.1 ms
for each of its instructions (`work_of`), a quarter of a second for micrograd's demo, whose steps then take less
than a third of the time: it pays for small programs that run very often (`python bench/codegen.py`), on one thread.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numba
import numpy as np
from llvmlite import binding

from ..program import PARAMETER, PICK, Program
from .codegen import POINTERS, gradient_code
from .rows import available

# the most of `work_of` that is compiled, in one to two seconds; larger programs gain little, as their code and
# gradients leave the first-level caches, which the interpreter uses better
MOST_WORK = 12_000
# each takes 64 bytes of first-level or second-level cache
MOST_PARAMETERS = 4096


def work_of(program: Program) -> int:
    """About how many vector instructions the program becomes."""
    work = 0
    for op, args, _, _ in program.instructions:
        if op == "dot":
            of_parameters = all(program.instructions[arg].op == PARAMETER for arg in args)
            work += 3 * len(args) // (8 if of_parameters else 1)
        elif op in ("logsumexp", "log_softmax"):
            work += 20 * len(args)
        elif op == PICK:
            work += 10
        else:
            work += 5 * len(args)
    return work


def obstacle(program: Program) -> str:
    """Why machine code cannot be made of the program, or not in a short time, with the numbers; empty if it can."""
    work, parameters = work_of(program), len(program.parameters)
    if work > MOST_WORK:
        return f"it would be about {work:,} vector instructions, and at most {MOST_WORK:,} are compiled"
    if parameters > MOST_PARAMETERS:
        return f"it has {parameters:,} parameters, and machine code is made for at most {MOST_PARAMETERS:,}"
    return "" if available() else "functions of the C library that it needs were not found on this machine"


def eligible(program: Program) -> bool:
    """Whether machine code can be made of the program, and in a short time."""
    return not obstacle(program)


class MachineCode:
    """The compiled gradient of a program, with the memory that it works in.

    Args:
        program: an `eligible` one.
        weights: the parameters' numbers (P,), contiguous; they are read where they are at every call.
        width: lanes of a vector. By default as many as 64 bytes hold; where registers are narrower, LLVM takes
            several for one.

    Attributes:
        lanes: how many examples were loaded.
    """

    def __init__(self, program: Program, weights: np.ndarray, width: int | None = None) -> None:
        self.program = program
        self.weights = weights
        self.dtype = weights.dtype
        self.width = width or 64 // weights.dtype.itemsize
        assembly, rows, self._outside = gradient_code(program, 8 * weights.dtype.itemsize, self.width)
        self._engine = _compile(assembly)
        kind = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_double)
        self._function = kind(self._engine.get_function_address("gradient"))
        self._shared = np.zeros(rows, self.dtype)
        self._sums = np.zeros(rows, self.dtype)
        self._by_lane = _aligned(rows * self.width, self.dtype)
        # made once: a view costs as much as a small program takes to run
        self._gradient = self._sums[: len(program.parameters)]
        self._pointers = np.zeros(len(POINTERS), np.uintp)
        self._context = self._pointers.ctypes.data
        self._views: list[tuple[np.ndarray, str]] = []  # of examples in memory, and of which types they may be
        self.lanes = 0

    def load(self, floats: np.ndarray, integers: np.ndarray) -> None:
        """Take examples as `Lanes.arrange` gives them: (inputs, N) each."""
        lanes = max(floats.shape[1], integers.shape[1])
        if lanes != self.lanes:
            self._allocate(lanes)
        self._floats[:, : self.lanes] = floats
        self._integers[:, : self.lanes] = integers

    def load_alike(self, *examples: Any) -> bool:
        """Take examples, one array per argument, if their shapes are those of the last ones; else return False.

        This is `Lanes.arrange` and `load` for what need not be checked again. It makes a step short.
        """
        if len(examples) != len(self._views):
            return False
        for (view, kinds), example in zip(self._views, examples, strict=False):
            if type(example) is not np.ndarray or example.shape != view.shape or example.dtype.kind not in kinds:
                return False
            view[...] = example
        return bool(self._views)

    def run(self, seed: float) -> tuple[float, np.ndarray]:
        """The sum of all results, and the gradient (P,) of it times `seed`: a view, until the next run."""
        return self._function(self._context, self.lanes, self._columns, seed), self._gradient

    def __reduce__(self) -> tuple[Any, ...]:
        return MachineCode, (self.program, self.weights, self.width)  # compiled again

    @property
    def outside(self) -> int:
        """How many integers of the last run were outside the rows they pick from; they count as 0."""
        return int(self._sums[self._outside])

    @property
    def results(self) -> np.ndarray:
        """The results of the last run, (outputs, N)."""
        return self._results[:, : self.lanes]

    def _allocate(self, lanes: int) -> None:
        columns = max(lanes, self.width)  # the code runs whole vectors only
        arguments = self.program.arguments
        sizes = [sum([a.size for a in arguments if a.kind == kind]) for kind in ("float", "integer")]
        self._floats = np.zeros((sizes[0], columns), self.dtype)
        self._integers = np.zeros((sizes[1], columns), np.int64)
        self._results = np.zeros((len(self.program.outputs), columns), self.dtype)
        arrays = [self.weights, self._shared, self._sums, self._by_lane]
        arrays += [self._floats, self._integers, self._results]
        self._pointers[:] = [array.ctypes.data for array in arrays]
        self.lanes, self._columns = lanes, columns
        self._views = []
        for a in arguments:
            # integers as floats are looked at every time: they may be too large
            rows, kinds = (self._floats, "f") if a.kind == "float" else (self._integers, "iu")
            self._views.append((rows[a.start : a.start + a.size, :lanes].T.reshape(lanes, *a.shape), kinds))


def _aligned(size: int, dtype: np.dtype) -> np.ndarray:
    """Zeros that start at a multiple of 64 bytes: a vector that straddles two cache lines takes twice as long."""
    extra = 64 // dtype.itemsize
    zeros = np.zeros(size + extra, dtype)
    start = -zeros.ctypes.data % 64 // dtype.itemsize
    return zeros[start : start + size]


def _processor() -> tuple[str, str]:
    """The processor to compile for and its features: this one, unless the variables that hold Numba down name
    another, so that the suite can be run as on an older machine (NUMBA_CPU_NAME, NUMBA_CPU_FEATURES)."""
    held: Any = numba.config
    name, features = held.CPU_NAME, held.CPU_FEATURES
    return (
        binding.get_host_cpu_name() if name is None else name,
        binding.get_host_cpu_features().flatten() if features is None else features,
    )


def _compile(assembly: str) -> Any:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    cpu, features = _processor()
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=cpu,
        features=features,
        opt=1,  # 2 takes three times as long, to make the same code
    )
    module = binding.parse_assembly(assembly)
    module.verify()
    engine = binding.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine
