"""Machine code for one small program: its gradient as straight-line vector instructions.

The interpreter (`kernels.py`) runs any program at once, an instruction at a time over many lanes, through memory.
Here a program becomes one loop over vectors of lanes, whose body is the whole program: numbers stay in registers,
and what is read and written is the parameters and their gradients. LLVM, which comes with Numba, compiles it in
about half a millisecond for every multiplication, so it pays for small programs that run very often.

    compute what all lanes share
    gradients := 0, for each shared number one in every lane of a vector
    for each vector of lanes: forward, backward, adding to these gradients
    sum them over the lanes, and go back through what is shared

The first vector holds the lanes 0, 1, ...; the others end at the last lane, so that all are full. What the first
has of lanes that come again is cleared before they do.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import binding, ir

from . import vector_math
from .program import CONSTANT, INPUT, OWN, PARAMETER, PICK, SELECT, Program
from .vector_math import FORWARD, PARTIALS, Number, exp, lane_of, select, shuffle, splat, total, vector_of

MOST_WORK = 12_000
"""The most of `work_of` that is compiled, in about two seconds."""
MOST_PARAMETERS = 4096
"""Each takes 64 bytes of first-level or second-level cache."""
_LONG = ir.IntType(64)
_BLOCK = 400
"""Instructions of a basic block: the time LLVM takes for one grows with its square."""
_POINTERS = ("weights", "shared", "sums", "by_lane", "floats", "integers", "results")


def work_of(program: Program) -> int:
    """About how many vector instructions the program becomes."""
    work = 0
    for op, args, _, _ in program.instructions:
        if op == "dot":
            of_parameters = all([program.instructions[arg].op == PARAMETER for arg in args])
            work += 3 * len(args) // (8 if of_parameters else 1)
        elif op in ("logsumexp", "log_softmax"):
            work += 20 * len(args)
        elif op == PICK:
            work += 10
        else:
            work += 5 * len(args)
    return work


def eligible(program: Program) -> bool:
    """Whether machine code can be made of the program, and in a short time."""
    return (
        work_of(program) <= MOST_WORK
        and len(program.parameters) <= MOST_PARAMETERS
        and binding.llvm_version_info[0] >= 15
        and vector_math.available()
    )


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
        generator = _Generator(program, 8 * weights.dtype.itemsize, self.width)
        self._engine = _compile(str(generator.module))
        kind = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_double)
        self._function = kind(self._engine.get_function_address("gradient"))
        rows = generator.slots
        self._shared = np.zeros(rows, self.dtype)
        self._sums = np.zeros(rows, self.dtype)
        self._by_lane = _aligned(rows * self.width, self.dtype)
        self._gradient = self._sums[: len(program.parameters)]
        self._pointers = np.zeros(len(_POINTERS), np.uintp)
        self._context = self._pointers.ctypes.data
        self._views: list[np.ndarray] = []
        self.lanes = 0

    def load(self, floats: np.ndarray, integers: np.ndarray) -> None:
        """Take examples as `Lanes.arrange` gives them: (inputs, N), integers within their bounds."""
        lanes = max(floats.shape[1], integers.shape[1])
        if lanes != self.lanes:
            self._allocate(lanes)
        self._floats[:, : self.lanes] = floats
        self._integers[:, : self.lanes] = integers

    def load_alike(self, *examples: Any) -> bool:
        """Take examples, one array per argument, if nothing about them needs a check; else return False.

        That is so for floats in arrays of the last examples' shapes, and what makes a step short.
        """
        if len(examples) != len(self._views):
            return False
        for view, example in zip(self._views, examples, strict=False):
            if type(example) is not np.ndarray or example.shape != view.shape or example.dtype.kind not in "fiu":
                return False
            view[...] = example
        return True

    def run(self, seed: float) -> tuple[float, np.ndarray]:
        """The sum of the results of all lanes, and the gradient (P,) of it times `seed`: a view, until the next call."""
        return self._function(self._context, self.lanes, self._columns, seed), self._gradient

    @property
    def results(self) -> np.ndarray:
        """The results of the last run, (outputs, N)."""
        return self._results[:, : self.lanes]

    def _allocate(self, lanes: int) -> None:
        columns = max(lanes, self.width)
        arguments = self.program.arguments
        sizes = [sum([a.size for a in arguments if a.kind == kind]) for kind in ("float", "integer")]
        self._floats = np.zeros((sizes[0], columns), self.dtype)
        self._integers = np.zeros((sizes[1], columns), np.int64)
        self._results = np.zeros((len(self.program.outputs), columns), self.dtype)
        arrays = [self.weights, self._shared, self._sums, self._by_lane]
        arrays += [self._floats, self._integers, self._results]
        self._pointers[:] = [array.ctypes.data for array in arrays]
        self.lanes, self._columns = lanes, columns
        if not sizes[1]:
            columns_of = [self._floats[a.start : a.start + a.size, :lanes] for a in arguments]
            self._views = [x.T.reshape(lanes, *a.shape) for x, a in zip(columns_of, arguments, strict=True)]


def _aligned(size: int, dtype: np.dtype) -> np.ndarray:
    """Zeros that start at a multiple of 64 bytes: a vector that straddles two cache lines takes twice as long."""
    extra = 64 // dtype.itemsize
    zeros = np.zeros(size + extra, dtype)
    start = -zeros.ctypes.data % 64 // dtype.itemsize
    return zeros[start : start + size]


def _compile(assembly: str) -> Any:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(),
        features=binding.get_host_cpu_features().flatten(),
        opt=1,  # 2 takes three times as long, to make the same code
    )
    module = binding.parse_assembly(assembly)
    module.verify()
    engine = binding.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return engine


class _Generator:
    """Writes the function `gradient(pointers, lanes, columns, seed)`.

    Attributes:
        slots: how many shared numbers, each with a place in `shared`, in `sums` and a vector in `by_lane`: the
            parameters, what is computed of them, and the sum of the results.
    """

    def __init__(self, program: Program, bits: int, width: int) -> None:
        self.program = program
        self.width = width
        self.real: Any = ir.DoubleType() if bits == 64 else ir.FloatType()
        self.vector: Any = vector_of(self.real, width)
        self.varies: list[bool] = []
        self.learns: list[bool] = []
        self.slot_of: dict[int, int] = {}
        self._look()
        self.numbers: dict[int, Number] = {}  # in lanes
        self.gradients: dict[int, Number] = {}  # in lanes
        self.chosen: dict[int, Any] = {}
        self.inside = False  # the loop over lanes
        self.module = ir.Module()
        self._write()

    def _look(self) -> None:
        slots = self.parameters = len(self.program.parameters)
        for place, (op, args, data, _) in enumerate(self.program.instructions):
            self.varies.append(op in (INPUT, PICK, SELECT) or any(self.varies[arg] for arg in args))
            self.learns.append(op in (PARAMETER, PICK) or any(self.learns[arg] for arg in args))
            if op == PARAMETER:
                self.slot_of[place] = data
            elif op != CONSTANT and not self.varies[place]:
                self.slot_of[place] = slots
                slots += 1
        self.total = slots
        self.slots = (slots // self.width + 1) * self.width

    # The function, from its first line to its last.

    def _write(self) -> None:
        double, real = ir.DoubleType(), self.real.as_pointer()
        kind = ir.FunctionType(double, [_LONG.as_pointer(), _LONG, _LONG, double])
        function = ir.Function(self.module, kind, "gradient")
        pointers, self.lanes, self.columns, seed = function.args
        self.builder = builder = ir.IRBuilder(function.append_basic_block())
        addresses = [builder.load(self._at(pointers, place)) for place in range(len(_POINTERS))]
        kinds = [_LONG.as_pointer() if name == "integers" else real for name in _POINTERS]
        arrays = [builder.inttoptr(address, kind) for address, kind in zip(addresses, kinds, strict=True)]
        self.weights, self.shared, self.sums, self.by_lane, self.floats, self.integers, self.results = arrays
        self.seed = seed if self.real == double else builder.fptrunc(seed, self.real)
        self.never = builder.icmp_signed("<", self.lanes, _long(0))
        self.end = builder.append_basic_block("end")
        instructions = self.program.instructions
        shared = [place for place in self.slot_of if instructions[place].op != PARAMETER]
        for place in shared:
            builder.store(self._compute(place).value, self._at(self.shared, self.slot_of[place]))
        zeros = ir.Constant(self.vector, None)
        self._loop(self.slots * self.width, self.width, lambda i: self._store(zeros, self.by_lane, i))
        self._write_lanes()
        self._loop(self.slots, self.width, self._write_sum)
        for place in reversed(shared):
            if self.learns[place]:
                gradient = builder.load(self._at(self.sums, self.slot_of[place]))
                self._propagate(place, Number(builder, gradient))
        builder.branch(self.end)
        builder.position_at_end(self.end)
        result = builder.load(self._at(self.sums, self.total))
        builder.ret(result if self.real == double else builder.fpext(result, double))

    def _write_lanes(self) -> None:
        """The loop over vectors of lanes."""
        builder, width = self.builder, self.width
        once = builder.add(builder.urem(builder.sub(self.lanes, _long(1)), _long(width)), _long(1))
        before = builder.block
        block, clear, go_on, after = [builder.append_basic_block(n) for n in ("lanes", "clear", "on", "after")]
        builder.branch(block)
        builder.position_at_end(block)
        self.start = builder.phi(_LONG)
        self.inside = True
        self._write_example()
        self.inside = False
        first = builder.icmp_signed("==", self.start, _long(0))
        builder.cbranch(builder.and_(first, builder.icmp_signed("<", once, _long(width))), clear, go_on)
        builder.position_at_end(clear)
        self._clear_from(once)
        builder.branch(go_on)
        builder.position_at_end(go_on)
        following = builder.select(first, once, builder.add(self.start, _long(width)))
        self.start.add_incoming(_long(0), before)
        self.start.add_incoming(following, go_on)
        builder.cbranch(builder.icmp_signed("<", following, self.lanes), block, after)
        builder.position_at_end(after)

    def _write_example(self) -> None:
        """Forward and backward."""
        builder, program = self.builder, self.program
        lanes = [place for place, varies in enumerate(self.varies) if varies]
        for place in lanes:
            self.numbers[place] = self._compute(place)
        for row, output in enumerate(program.outputs):
            result, offset = self._number(output), builder.mul(_long(row), self.columns)
            self._store(result.value, self.results, builder.add(offset, self.start))
            self._add_shared(self.total, result)
            self._add(output, Number(builder, splat(builder, self.seed, self.vector)))
        for place in reversed(lanes):
            if place in self.gradients:
                self._propagate(place, self.gradients[place])

    def _clear_from(self, once: Any) -> None:
        """Clear the gradients of lanes that will come again, from lane `once` of the vector."""
        builder, lanes = self.builder, vector_of(_LONG, self.width)
        numbers = ir.Constant(lanes, list(range(self.width)) if self.width > 1 else 0)
        keep = builder.icmp_signed("<", numbers, splat(builder, once, lanes))
        zeros = ir.Constant(self.vector, None)

        def body(i: Any) -> None:
            self._store(builder.select(keep, self._load(self.by_lane, i), zeros), self.by_lane, i)

        self._loop(self.slots * self.width, self.width, body)

    def _write_sum(self, i: Any) -> None:
        """Sum `width` numbers' gradients over lanes, in a tree: pairs of lanes, pairs of pairs, ..."""
        builder, width = self.builder, self.width
        rows = [builder.mul(builder.add(i, _long(row)), _long(width)) for row in range(width)]
        vectors = [Number(builder, self._load(self.by_lane, row)) for row in rows]
        step = 1
        while step < width:
            low = [k // (2 * step) * 2 * step + k % step + k // step % 2 * width for k in range(width)]
            high = [k + step for k in low]
            vectors = [
                shuffle(a, b, low) + shuffle(a, b, high) for a, b in zip(vectors[::2], vectors[1::2], strict=True)
            ]
            step *= 2
        self._store(vectors[0].value, self.sums, i)

    # One instruction.

    def _number(self, place: int) -> Number:
        """The result of an instruction, in lanes where the code is in lanes."""
        op, _, data, _ = self.program.instructions[place]
        if op == CONSTANT:
            number = ir.Constant(self.real, data)
        elif place in self.slot_of:
            array = self.weights if op == PARAMETER else self.shared
            number = self.builder.load(self._at(array, self.slot_of[place]))
        else:
            return self.numbers[place]
        return Number(self.builder, splat(self.builder, number, self.vector) if self.inside else number)

    def _compute(self, place: int) -> Number:
        """Write one instruction."""
        self._cut()
        op, args, data, _ = self.program.instructions[place]
        if op == INPUT:
            offset = self.builder.mul(_long(data), self.columns)
            return Number(self.builder, self._load(self.floats, self.builder.add(offset, self.start)))
        if op == "dot":
            return self._dot(args)
        if op == OWN:
            return self._number(args[0])
        if op == PICK:
            return self._pick(*data)
        if op == SELECT:
            return self._select(data, args)
        return FORWARD[op](*[self._number(arg) for arg in args])

    def _dot(self, args: tuple[int, ...]) -> Number:
        """Products, each added to those before; many products in several such chains."""
        half = len(args) // 2
        slots = [] if self.inside else self._runs(args)
        runs, chains = [], [self._number(args[-1])] if len(args) % 2 else []
        for a, b in slots:
            self._cut()
            runs.append(self._parameters(a) * self._parameters(b))
        if runs:
            run = total(runs)
            chains += [Number(run.builder, lane_of(run.builder, run.value, lane)) for lane in range(self.width)]
        for i in range(len(slots) * self.width, half):
            self._cut()
            product = self._number(args[i]) * self._number(args[half + i])
            if len(chains) <= half // 32:
                chains.append(product)
            else:
                chains[i % len(chains)] += product
        return total(chains)

    def _runs(self, args: tuple[int, ...]) -> list[tuple[int, int]]:
        """How many products of a dot, from the first, are of parameters in their order: where vectors of them start.

        A penalty on all weights is such a dot; lanes of a vector then hold neighbours instead of examples.
        """
        half, runs = len(args) // 2, []
        for i in range(0, half - self.width + 1, self.width):
            starts = []
            for at in (i, half + i):
                slots = [self.slot_of.get(arg, -1) for arg in args[at : at + self.width]]
                start = slots[0]
                if start < 0 or slots != list(range(start, start + self.width)) or slots[-1] >= self.parameters:
                    return runs
                starts.append(start)
            runs.append((starts[0], starts[1]))
        return runs

    def _parameters(self, slot: int) -> Number:
        return Number(self.builder, self._load(self.weights, slot))

    def _propagate(self, place: int, g: Number) -> None:
        """Add to the arguments' gradients what the result's gives."""
        self._cut()
        op, args, data, _ = self.program.instructions[place]
        if op == "dot":
            half, runs = len(args) // 2, [] if self.inside else self._runs(args)
            wide = Number(self.builder, splat(self.builder, g.value, self.vector)) if runs else g
            for a, b in runs:
                self._cut()
                self._add_shared(a, wide * self._parameters(b))
                self._add_shared(b, wide * self._parameters(a))
            first = len(runs) * self.width
            for a, b in zip(args[first:half], args[half + first : 2 * half], strict=True):
                self._cut()
                self._add(a, lambda b=b: g * self._number(b))
                self._add(b, lambda a=a: g * self._number(a))
            if len(args) % 2:
                self._add(args[-1], g)
        elif op in ("sum", "mean"):
            share = g * (1.0 / len(args)) if op == "mean" else g
            for arg in args:
                self._add(arg, share)
        elif op == "logsumexp":
            for arg in args:
                self._add(arg, lambda arg=arg: g * exp(self._number(arg) - self._number(place)))
        elif op == "log_softmax":
            self._add(args[0], g)
            for arg in args[1:]:
                shift = self._number(args[0]) - self._number(place)
                self._add(arg, lambda arg=arg, shift=shift: -(g * exp(self._number(arg) - shift)))
        elif op == OWN:
            count = len(args) // 2
            for arg, partial in zip(args[1 : 1 + count], args[1 + count :], strict=True):
                self._add(arg, lambda partial=partial: g * self._number(partial))
        elif op == PICK:
            self._pick(*data, gradient=g)
        elif op == SELECT:
            for row, arg in enumerate(args):
                self._add(arg, lambda row=row: select(self._is(data, row), g, 0.0))
        elif op in PARTIALS:
            for arg, partial in zip(args, PARTIALS[op], strict=True):
                if partial is not None:
                    self._add(arg, lambda partial=partial: partial(g, *[self._number(p) for p in (place, *args)]))

    def _add(self, place: int, contribution: Number | Callable[[], Number]) -> None:
        """Add to the gradient of a number, if it learns."""
        if not self.learns[place]:
            return
        if not isinstance(contribution, Number):
            contribution = contribution()
        if place not in self.slot_of:
            known = self.gradients.get(place)
            self.gradients[place] = contribution if known is None else known + contribution
        else:
            self._add_shared(self.slot_of[place], contribution)

    def _add_shared(self, slot: int, contribution: Number) -> None:
        builder = self.builder
        array, offset = (self.by_lane, slot * self.width) if self.inside else (self.sums, slot)
        known = Number(builder, self._load(array, offset, contribution.value.type))
        self._store((known + contribution).value, array, offset)

    # What integers choose.

    def _integer(self, number: int) -> Any:
        if number not in self.chosen:
            offset = self.builder.add(self.builder.mul(_long(number), self.columns), self.start)
            self.chosen[number] = self._load(self.integers, offset, vector_of(_LONG, self.width))
        return self.chosen[number]

    def _is(self, number: int, row: int) -> Any:
        chosen = self._integer(number)
        return self.builder.icmp_signed("==", chosen, splat(self.builder, _long(row), chosen.type))

    def _select(self, number: int, args: tuple[int, ...]) -> Number:
        result = self._number(args[0])
        for row, arg in enumerate(args[1:], 1):
            result = select(self._is(number, row), self._number(arg), result)
        return result

    def _pick(self, table: int, column: int, number: int, gradient: Number | None = None) -> Number:
        """An entry of a table in each lane, or what to add to its gradient; one lane at a time."""
        builder, rows = self.builder, self.program.tables[table]
        chosen = self._integer(number)
        entries = builder.mul(chosen, splat(builder, _long(len(rows[0])), chosen.type))
        result = ir.Constant(self.vector, ir.Undefined)
        for lane in range(self.width):
            entry = builder.add(lane_of(builder, entries, lane), _long(column))
            slot = builder.load(builder.gep(self._table(table), [_long(0), entry]))
            if gradient is None:
                number_there = builder.load(self._at(self.weights, slot))
                result = lane_of(builder, result, lane, number_there)
            else:
                at = self._at(self.by_lane, builder.add(builder.mul(slot, _long(self.width)), _long(lane)))
                share = lane_of(builder, gradient.value, lane)
                builder.store(builder.fadd(builder.load(at), share), at)
        return Number(builder, result)

    def _table(self, number: int) -> Any:
        """Which parameters a table is made of."""
        name = f"table{number}"
        if name not in self.module.globals:
            entries = [parameter for row in self.program.tables[number] for parameter in row]
            kind = ir.ArrayType(_LONG, len(entries))
            variable = ir.GlobalVariable(self.module, kind, name)
            variable.initializer, variable.global_constant = ir.Constant(kind, entries), True
        return self.module.globals[name]

    # Pieces of code.

    def _at(self, array: Any, index: Any) -> Any:
        return self.builder.gep(array, [_long(index) if isinstance(index, int) else index])

    def _load(self, array: Any, index: Any, kind: Any = None) -> Any:
        """A vector, wherever it starts."""
        kind = kind or self.vector
        address = self.builder.bitcast(self._at(array, index), kind.as_pointer())
        return self.builder.load(address, align=4 if self.real == ir.FloatType() else 8)

    def _store(self, value: Any, array: Any, index: Any) -> None:
        address = self.builder.bitcast(self._at(array, index), value.type.as_pointer())
        self.builder.store(value, address, align=4 if self.real == ir.FloatType() else 8)

    def _cut(self) -> None:
        """Begin another basic block when this one is long, with a jump that LLVM cannot know is never taken."""
        builder = self.builder
        if len(builder.block.instructions) > _BLOCK:
            following = builder.append_basic_block()
            builder.cbranch(self.never, self.end, following)
            builder.position_at_end(following)

    def _loop(self, count: int, step: int, body: Callable[[Any], None]) -> None:
        """for (i = 0; i < count; i += step) body(i), at least once."""
        builder = self.builder
        before, block = builder.block, builder.append_basic_block("loop")
        builder.branch(block)
        builder.position_at_end(block)
        index = builder.phi(_LONG)
        body(index)
        following = builder.add(index, _long(step))
        index.add_incoming(_long(0), before)
        index.add_incoming(following, builder.block)
        after = builder.append_basic_block()
        builder.cbranch(builder.icmp_signed("<", following, _long(count)), block, after)
        builder.position_at_end(after)


def _long(number: int) -> Any:
    return ir.Constant(_LONG, number)
