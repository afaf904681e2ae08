"""Machine code for one program: its forward and backward pass as straight-line vector instructions.

The interpreter (`kernels.py`) runs any program, an instruction at a time over many lanes, through memory. Here a
small program becomes one loop over vectors of lanes, whose body is the whole program: numbers stay in registers,
and only the parameters and their gradients are read and written. LLVM, which comes with Numba, compiles it.

    what is shared by all lanes is computed
    gradients := 0, one for each lane of a vector and each shared number
    for each vector of lanes: forward, backward, adding to these gradients
    gradients are summed over lanes, and go back through what is shared

The first vector holds lanes 0 to WIDTH - 1, and the next starts wherever the rest of the lanes is a multiple of the
width: lanes that come twice are cleared from the gradients after the first vector. So the last vector is full, and
no lane needs a mask.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from llvmlite import binding, ir

from . import vector_math
from .program import CONSTANT, INPUT, OWN, PARAMETER, PICK, SELECT, Program
from .vector_math import FORWARD, PARTIALS, Number, select, total

_INDEX = ir.IntType(64)
_SUPPORTED = frozenset(FORWARD) | {PARAMETER, CONSTANT, INPUT, PICK, SELECT, OWN, "dot"}
MOST_WORK = 20_000
"""The work (`work_of`) that compiles in about two seconds."""


def work_of(program: Program) -> int:
    """About how many instructions of a machine the program becomes; each takes some 0.1 ms to compile."""
    work = 0
    for op, args, _, _ in program.instructions:
        if op == "dot":
            work += 3 * len(args)
        elif op in ("logsumexp", "log_softmax"):
            work += 30 * len(args)
        elif op == PICK:
            work += 4
        else:
            work += 4 * len(args)
    return work


def width_of(dtype: Any) -> int:
    """Lanes of a vector: 64 bytes. Machines with narrower registers take several for one."""
    return 64 // np.dtype(dtype).itemsize


def eligible(program: Program) -> bool:
    """Whether machine code can be made of the program, and in a short time."""
    known = all(instruction.op in _SUPPORTED for instruction in program.instructions)
    return known and work_of(program) <= MOST_WORK and binding.llvm_version_info[0] >= 15 and vector_math.available()


class MachineCode:
    """The compiled gradient of a program.

    Args:
        program: an `eligible` one.
        dtype: float64 or float32.
        width: lanes of a vector.
    """

    def __init__(self, program: Program, dtype: Any = np.float64, width: int | None = None) -> None:
        self.dtype = np.dtype(dtype)
        self.width = width_of(dtype) if width is None else width
        self.program = program
        generator = _Generator(program, self.dtype.itemsize * 8, self.width)
        self.assembly = str(generator.module)
        self._engine = _engine(self.assembly)
        kinds = [ctypes.c_int64, ctypes.c_int64, *[ctypes.c_void_p] * 6, ctypes.c_double]
        self._function = ctypes.CFUNCTYPE(ctypes.c_double, *kinds)(self._engine.get_function_address("gradient"))
        self._shared = np.zeros(generator.slots, self.dtype)
        self.sums = np.zeros(generator.slots, self.dtype)
        sums = np.zeros((generator.slots + 1) * self.width, self.dtype)
        self._by_lane = sums

    def __call__(
        self, weights: np.ndarray, floats: np.ndarray, integers: np.ndarray, seed: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `Lanes.backward`."""
        lanes = floats.shape[1] if len(floats) else integers.shape[1]
        results = np.empty((len(self.program.outputs), max(lanes, self.width)), self.dtype)
        if lanes < self.width:
            floats, integers = _widened(floats, self.width), _widened(integers, self.width)
        self._shared[: len(weights)] = weights
        self._function(
            lanes,
            results.shape[1],
            self._shared.ctypes.data,
            self.sums.ctypes.data,
            self._by_lane.ctypes.data,
            floats.ctypes.data,
            integers.ctypes.data,
            results.ctypes.data,
            seed,
        )
        return results[:, :lanes], self.sums[: len(weights)]


def _widened(rows: np.ndarray, width: int) -> np.ndarray:
    wide = np.zeros((len(rows), width), rows.dtype)
    wide[:, : rows.shape[1]] = rows
    return wide


def _engine(assembly: str) -> Any:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=binding.get_host_cpu_features().flatten(), opt=2
    )
    module = binding.parse_assembly(assembly)
    module.verify()
    engine = binding.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine


class _Generator:
    """Writes the module; one per program."""

    def __init__(self, program: Program, bits: int, width: int) -> None:
        self.program = program
        self.width = width
        self.real: Any = ir.DoubleType() if bits == 64 else ir.FloatType()
        self.vector: Any = ir.VectorType(self.real, width) if width > 1 else self.real
        self.varies: list[bool] = []
        self.learns: list[bool] = []
        self.slot_of: dict[int, int] = {}
        self.slots = len(program.parameters)
        for place, (op, args, data, _) in enumerate(program.instructions):
            self.varies.append(op in (INPUT, PICK, SELECT) or any(self.varies[arg] for arg in args))
            self.learns.append(op in (PARAMETER, PICK) or any(self.learns[arg] for arg in args))
            if op == PARAMETER:
                self.slot_of[place] = data
            elif op != CONSTANT and not self.varies[place]:
                self.slot_of[place] = self.slots
                self.slots += 1
        self.slots = -(-self.slots // width) * width
        self.module = ir.Module()
        pointer, integers = self.real.as_pointer(), _INDEX.as_pointer()
        arguments = [_INDEX, _INDEX, pointer, pointer, pointer, pointer, integers, pointer, ir.DoubleType()]
        kind = ir.FunctionType(ir.DoubleType(), arguments)
        function = ir.Function(self.module, kind, "gradient")
        self.lanes, self.columns, self.shared, self.sums, self.by_lane = function.args[:5]
        self.floats, self.integers, self.results, self.seed = function.args[5:]
        self.builder = ir.IRBuilder(function.append_basic_block())
        if bits == 32:
            self.seed = self.builder.fptrunc(self.seed, self.real)
        self.numbers: dict[int, Number] = {}
        self.gradients: dict[int, Number] = {}
        self.start: Any = None
        self.generate()

    # Pieces of code.

    def at(self, array: Any, index: Any, kind: Any = None) -> Any:
        """The address of an entry, as that of a `kind`."""
        index = ir.Constant(_INDEX, index) if isinstance(index, int) else index
        address = self.builder.gep(array, [index])
        return address if kind is None else self.builder.bitcast(address, kind.as_pointer())

    def load(self, array: Any, index: Any, kind: Any) -> Any:
        """A vector, wherever it starts."""
        return self.builder.load(self.at(array, index, kind), align=self.real_bytes)

    def store(self, value: Any, array: Any, index: Any) -> None:
        """Store a vector."""
        self.builder.store(value, self.at(array, index, value.type), align=self.real_bytes)

    @property
    def real_bytes(self) -> int:
        """Bytes of a float."""
        return 8 if self.real == ir.DoubleType() else 4

    def splat(self, value: Any) -> Any:
        """The same number in every lane."""
        if self.width == 1:
            return value
        zero = ir.Constant(ir.IntType(32), 0)
        single = self.builder.insert_element(ir.Constant(self.vector, ir.Undefined), value, zero)
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.width), [0] * self.width)
        return self.builder.shuffle_vector(single, ir.Constant(self.vector, ir.Undefined), mask)

    def loop(self, name: str, count: Any, step: int, body: Any) -> None:
        """for (i = 0; i < count; i += step) body(i), at least once."""
        builder = self.builder
        before = builder.block
        block = builder.append_basic_block(name)
        builder.branch(block)
        builder.position_at_end(block)
        index = builder.phi(_INDEX)
        body(index)
        following = builder.add(index, ir.Constant(_INDEX, step))
        index.add_incoming(ir.Constant(_INDEX, 0), before)
        index.add_incoming(following, builder.block)
        after = builder.append_basic_block()
        builder.cbranch(builder.icmp_signed("<", following, count), block, after)
        builder.position_at_end(after)

    # The whole.

    def generate(self) -> None:
        """Write the function `gradient`."""
        builder, width = self.builder, self.width
        shared = [place for place in self.slot_of if self.program.instructions[place].op != PARAMETER]
        for place in shared:
            builder.store(self.compute(place).value, self.at(self.shared, self.slot_of[place]))
        rows = ir.Constant(_INDEX, self.slots * width)
        zero = ir.Constant(self.vector, [0.0] * width if width > 1 else 0.0)
        if self.slots:
            self.loop("clear", rows, width, lambda i: self.store(zero, self.by_lane, i))
        self.write_lanes()
        if self.slots:
            self.loop("sum", rows, width, self.write_sum)
        for place in reversed(shared):
            if self.learns[place]:
                gradient = Number(builder, builder.load(self.at(self.sums, self.slot_of[place])))
                self.propagate(place, gradient)
        builder.ret(ir.Constant(ir.DoubleType(), 0.0))

    def write_sum(self, i: Any) -> None:
        """Sum one number's gradients over the lanes."""
        row = self.load(self.by_lane, i, self.vector)
        if self.width > 1:
            name = f"llvm.vector.reduce.fadd.v{self.width}{self.real.intrinsic_name}"
            function = self.module.globals.get(name) or ir.Function(
                self.module, ir.FunctionType(self.real, [self.real, self.vector]), name
            )
            row = self.builder.call(function, [ir.Constant(self.real, -0.0), row], fastmath=("reassoc",))
        slot = self.builder.udiv(i, ir.Constant(_INDEX, self.width))
        self.builder.store(row, self.at(self.sums, slot))

    def write_lanes(self) -> None:
        """The loop over vectors of lanes."""
        builder, width = self.builder, self.width
        one, zero, wide = [ir.Constant(_INDEX, number) for number in (1, 0, width)]
        first = builder.add(builder.urem(builder.sub(self.lanes, one), wide), one)  # lanes that come once
        before = builder.block
        block, again, after = [builder.append_basic_block(name) for name in ("lanes", "again", "done")]
        builder.branch(block)
        builder.position_at_end(block)
        self.start = builder.phi(_INDEX)
        self.write_example()
        at_first = builder.icmp_signed("==", self.start, zero)
        twice = builder.and_(at_first, builder.icmp_signed("<", first, wide))
        clear, on = builder.append_basic_block("clear"), builder.append_basic_block("on")
        builder.cbranch(twice, clear, on)
        builder.position_at_end(clear)
        if self.slots and width > 1:
            self.write_clear(first)
        builder.branch(on)
        builder.position_at_end(on)
        following = builder.select(at_first, first, builder.add(self.start, wide))
        builder.cbranch(builder.icmp_signed("<", following, self.lanes), again, after)
        builder.position_at_end(again)
        builder.branch(block)
        self.start.add_incoming(zero, before)
        self.start.add_incoming(following, again)
        builder.position_at_end(after)
        self.start = None

    def write_clear(self, first: Any) -> None:
        """Clear the gradients of lanes that will come again."""
        builder, width = self.builder, self.width
        lanes = ir.VectorType(_INDEX, width)
        mask = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
        limit = builder.insert_element(ir.Constant(lanes, ir.Undefined), first, ir.Constant(ir.IntType(32), 0))
        limit = builder.shuffle_vector(limit, ir.Constant(lanes, ir.Undefined), mask)
        keep = builder.icmp_signed("<", ir.Constant(lanes, list(range(width))), limit)
        zeros = ir.Constant(self.vector, [0.0] * width)

        def body(i: Any) -> None:
            kept = builder.select(keep, self.load(self.by_lane, i, self.vector), zeros)
            self.store(kept, self.by_lane, i)

        self.loop("erase", ir.Constant(_INDEX, self.slots * width), width, body)

    def write_example(self) -> None:
        """Forward and backward for one vector of lanes."""
        builder, program = self.builder, self.program
        instructions = program.instructions
        lanes = [place for place in range(len(instructions)) if self.varies[place]]
        for place in lanes:
            self.numbers[place] = self.compute(place)
        for row, output in enumerate(program.outputs):
            offset = builder.add(builder.mul(ir.Constant(_INDEX, row), self.columns), self.start)
            self.store(self.number(output).value, self.results, offset)
            if self.learns[output]:
                self.add_gradient(output, Number(builder, self.splat(self.seed)))
        for place in reversed(lanes):
            if place in self.gradients:
                self.propagate(place, self.gradients[place])

    # One instruction.

    def number(self, place: int) -> Number:
        """An instruction's result, wherever it is."""
        inside = self.start is not None
        op, _, data, _ = self.program.instructions[place]
        if op == CONSTANT:
            constant = ir.Constant(self.real, data)
            return Number(self.builder, self.splat(constant) if inside else constant)
        if place in self.slot_of:
            shared = self.builder.load(self.at(self.shared, self.slot_of[place]))
            return Number(self.builder, self.splat(shared) if inside else shared)
        return self.numbers[place]

    def compute(self, place: int) -> Number:
        """Write one instruction."""
        op, args, data, _ = self.program.instructions[place]
        if op == INPUT:
            row = self.builder.mul(ir.Constant(_INDEX, data), self.columns)
            return Number(self.builder, self.load(self.floats, self.builder.add(row, self.start), self.vector))
        if op == "dot":
            return self.dot(args)
        if op == OWN:
            return self.number(args[0])
        if op in (PICK, SELECT):
            raise NotImplementedError
        return FORWARD[op](*[self.number(arg) for arg in args])

    def dot(self, args: tuple[int, ...]) -> Number:
        """Products, each added to the sum of those before; long ones in several such chains."""
        half = len(args) // 2
        chains = [self.number(args[-1])] if len(args) % 2 else []
        for i in range(half):
            product = self.number(args[i]) * self.number(args[half + i])
            if len(chains) < 1 + half // 32:
                chains.append(product)
            else:
                chains[i % len(chains)] += product
        return total(chains)

    def propagate(self, place: int, g: Number) -> None:
        """Add to the arguments' gradients what the result's gives."""
        op, args, data, _ = self.program.instructions[place]
        if op == "dot":
            half = len(args) // 2
            for a, b in [*zip(args[:half], args[half : 2 * half], strict=True)]:
                if self.learns[a]:
                    self.add_gradient(a, g * self.number(b))
                if self.learns[b]:
                    self.add_gradient(b, g * self.number(a))
            if len(args) % 2:
                self.add_gradient(args[-1], g)
        elif op in ("sum", "mean"):
            share = g * (1.0 / len(args)) if op == "mean" else g
            for arg in args:
                self.add_gradient(arg, share)
        elif op in PARTIALS:
            numbers = [self.number(arg) for arg in args]
            y = self.number(place)
            for arg, partial in zip(args, PARTIALS[op], strict=True):
                if partial is not None and self.learns[arg]:
                    self.add_gradient(arg, partial(g, y, *numbers))
        elif op not in (INPUT, CONSTANT, PARAMETER):
            raise NotImplementedError

    def add_gradient(self, place: int, contribution: Number) -> None:
        """Add to the gradient of one number."""
        if not self.learns[place]:
            return
        inside = self.start is not None
        if place not in self.slot_of:
            known = self.gradients.get(place)
            self.gradients[place] = contribution if known is None else known + contribution
        elif inside:
            offset = self.slot_of[place] * self.width
            before = Number(self.builder, self.load(self.by_lane, offset, self.vector))
            self.store((before + contribution).value, self.by_lane, offset)
        else:
            address = self.at(self.sums, self.slot_of[place])
            before = Number(self.builder, self.builder.load(address))
            self.builder.store((before + contribution).value, address)
