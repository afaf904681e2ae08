"""Code generation: the gradient of one program as straight-line vector instructions, for LLVM.

A program becomes one loop over vectors of lanes, whose body is the whole program: numbers stay in registers, and
what is read and written is the parameters and their gradients.

    compute what all lanes share
    gradients := 0, for each shared number one in every lane of a vector
    for each vector of lanes: forward, backward, adding to these gradients
    sum them over the lanes, and go back through what is shared

The first vector holds the lanes 0, 1, ...; the others end at the last lane, so that all are full. What the first
has of lanes that come again is cleared before they do.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ...autograd.ops import TABLE
from ..program import CONSTANT, INPUT, OWN, PARAMETER, PICK, SELECT, Program
from .code_writer import LONG, Writer, long
from .rows import OF_MANY, gradient_of, log_total, result_of, shares_of_largest, total
from .vector_math import Condition, Number, exp, lane_of, shuffle, splat, vector_of

POINTERS = ("weights", "shared", "sums", "by_lane", "floats", "integers", "results")


def gradient_code(program: Program, bits: int, width: int) -> tuple[str, int, int]:
    """A function `gradient(pointers, lanes, columns, seed)` in LLVM's language, its number of slots, and `outside`.

    `pointers` (POINTERS) hold the parameters, three arrays that it works in, of `slots`, `slots`, `slots * width`
    floats of 64 or 32 bits, and examples and results of `columns` per row, at least `width`. It returns the sum of
    all results; the gradient of that times `seed` is then in `sums`, and in `sums[outside]` how many integers were
    outside the rows they pick from, and taken as 0.
    """
    generator = _Generator(program, bits, width)
    return str(generator.module), generator.slots, generator.outside


class _Generator(Writer):
    """Writes it. Slots are for what lanes share: parameters, what is computed of them, two sums over lanes."""

    def __init__(self, program: Program, bits: int, width: int) -> None:
        self.program = program
        self.width = width
        self.real: Any = ir.DoubleType() if bits == 64 else ir.FloatType()
        self.vector: Any = vector_of(self.real, width)
        self.varies = program.varies
        self.learns: list[bool] = []
        self.slot_of: dict[int, int] = {}
        self.bounds: dict[int, int] = {}  # of integers
        self._look()
        self.numbers: dict[int, Number] = {}  # in lanes
        self.gradients: dict[int, Number] = {}  # in lanes
        self.parts: dict[int, tuple[Number, Number]] = {}  # of a logarithm of a sum
        self.chosen: dict[int, Any] = {}
        self.inside = False  # the loop over lanes
        self.module = ir.Module()
        self._write()

    def _look(self) -> None:
        slots = self.parameters = len(self.program.parameters)
        for place, (op, args, data, _) in enumerate(self.program.instructions):
            self.learns.append(op in (PARAMETER, PICK) or any(self.learns[arg] for arg in args))
            if op == PARAMETER:
                self.slot_of[place] = data
            elif op != CONSTANT and not self.varies[place]:
                self.slot_of[place] = slots
                slots += 1
            if op in (PICK, SELECT):
                number, rows = (data[2], len(self.program.tables[data[0]])) if op == PICK else (data, len(args))
                self.bounds[number] = min(rows, self.bounds.get(number, rows))
        self.total, self.outside = slots, slots + 1
        self.slots = ((slots + 1) // self.width + 1) * self.width

    # The function, from its first line to its last.

    def _write(self) -> None:
        double, real = ir.DoubleType(), self.real.as_pointer()
        kind = ir.FunctionType(double, [LONG.as_pointer(), LONG, LONG, double])
        function = ir.Function(self.module, kind, "gradient")
        pointers, self.lanes, self.columns, seed = function.args
        self.builder = builder = ir.IRBuilder(function.append_basic_block())
        addresses = [builder.load(self._at(pointers, place)) for place in range(len(POINTERS))]
        kinds = [LONG.as_pointer() if name == "integers" else real for name in POINTERS]
        arrays = [builder.inttoptr(address, kind) for address, kind in zip(addresses, kinds, strict=True)]
        self.weights, self.shared, self.sums, self.by_lane, self.floats, self.integers, self.results = arrays
        self.seed = seed if self.real == double else builder.fptrunc(seed, self.real)
        self.never = builder.icmp_signed("<", self.lanes, long(0))
        self.end = builder.append_basic_block("end")
        instructions = self.program.instructions
        shared = [place for place in self.slot_of if instructions[place].op != PARAMETER]
        for place in shared:
            builder.store(self._compute(place).value, self._at(self.shared, self.slot_of[place]))
        zeros = ir.Constant(self.vector, None)
        self._loop(self.slots * self.width, self.width, lambda i: self._store(zeros, self.by_lane, i))
        self._write_lanes()
        self._loop(self.slots, self.width, self._write_sum)
        for place in reversed(shared):  # after the sum over lanes, so that it is done once
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
        once = builder.add(builder.urem(builder.sub(self.lanes, long(1)), long(width)), long(1))
        before = builder.block
        block, clear, go_on, after = [builder.append_basic_block(n) for n in ("lanes", "clear", "on", "after")]
        builder.branch(block)
        builder.position_at_end(block)
        self.start = builder.phi(LONG)
        self.inside = True
        self._write_example()
        self.inside = False
        first = builder.icmp_signed("==", self.start, long(0))
        builder.cbranch(builder.and_(first, builder.icmp_signed("<", once, long(width))), clear, go_on)
        builder.position_at_end(clear)
        self._clear_from(once)
        builder.branch(go_on)
        builder.position_at_end(go_on)
        following = builder.select(first, once, builder.add(self.start, long(width)))
        self.start.add_incoming(long(0), before)
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
            result, offset = self._number(output), builder.mul(long(row), self.columns)
            self._store(result.value, self.results, builder.add(offset, self.start))
            self._add_shared(self.total, result)
            self._add(output, Number(builder, splat(builder, self.seed, self.vector)))
        for place in reversed(lanes):
            if place in self.gradients:
                self._propagate(place, self.gradients[place])

    def _clear_from(self, once: Any) -> None:
        """Clear the gradients of lanes that will come again, from lane `once` of the vector."""
        builder, lanes = self.builder, vector_of(LONG, self.width)
        numbers = ir.Constant(lanes, list(range(self.width)) if self.width > 1 else 0)
        keep, zeros = builder.icmp_signed("<", numbers, splat(builder, once, lanes)), ir.Constant(self.vector, None)

        def body(i: Any) -> None:
            self._store(builder.select(keep, self._load(self.by_lane, i), zeros), self.by_lane, i)

        self._loop(self.slots * self.width, self.width, body)

    def _write_sum(self, i: Any) -> None:
        """Sum `width` numbers' gradients over lanes, in a tree: pairs of lanes, pairs of pairs, ..."""
        builder, width = self.builder, self.width
        rows = [builder.mul(builder.add(i, long(row)), long(width)) for row in range(width)]
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
            offset = self.builder.mul(long(data), self.columns)
            return Number(self.builder, self._load(self.floats, self.builder.add(offset, self.start)))
        if op == "dot":
            return self._dot(args)
        if op == OWN:
            return self._number(args[0])
        if op == PICK:
            return self._pick(*data)
        if op == SELECT:
            return self._select(data, args)
        if op in ("logsumexp", "log_softmax"):
            # in two parts for the gradient, too: next to a large maximum the rest would be rounded away
            top, rest = self.parts[place] = log_total([self._number(arg) for arg in args[op == "log_softmax" :]])
            return top + rest if op == "logsumexp" else self._number(args[0]) - top - rest + (top - top)
        numbers = [self._number(arg) for arg in args]
        return OF_MANY[op](*numbers) if op in OF_MANY else result_of(TABLE[op], numbers)

    def _dot(self, args: tuple[int, ...]) -> Number:
        """Products, each added to those before; many products in several such chains."""
        half = len(args) // 2
        slots = [] if self.inside else self._runs(args)
        runs, chains = [], [self._number(args[-1])] if len(args) % 2 else []
        for a, b in slots:
            self._cut()
            runs.append(self._parameters(a) * self._parameters(b))
        if runs:
            run = total(*runs)
            chains += [Number(run.builder, lane_of(run.builder, run.value, lane)) for lane in range(self.width)]
        for i in range(len(slots) * self.width, half):
            self._cut()
            product = self._number(args[i]) * self._number(args[half + i])
            # a chain of additions waits four cycles for each; more chains would need more registers
            if len(chains) <= half // 32:
                chains.append(product)
            else:
                chains[i % len(chains)] += product
        return total(*chains)

    def _runs(self, args: tuple[int, ...]) -> list[tuple[int, int]]:
        """Where vectors of parameters start whose products a dot sums, if it begins with such.

        A penalty on all weights is such a dot; lanes of a vector then hold neighbours instead of examples.
        """
        half, runs = len(args) // 2, list[tuple[int, int]]()
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
            self._propagate_dot(args, g)
        elif op in ("sum", "mean"):
            share = g * (1.0 / len(args)) if op == "mean" else g
            for arg in args:
                self._add(arg, share)
        elif op in ("logsumexp", "log_softmax"):
            if op == "log_softmax":
                self._add(args[0], g)
                args, g = args[1:], -g
            top, rest = self.parts[place]
            for arg in args:
                if self.learns[arg]:
                    self._cut()
                    self._add(arg, g * exp(self._number(arg) - top - rest))
        elif op == "largest":
            numbers = [self._number(arg) for arg in args]
            for arg, share in zip(args, shares_of_largest(g, self._number(place), numbers), strict=True):
                self._add(arg, share)
        elif op == OWN:
            count = len(args) // 2
            for arg, partial_of in zip(args[1 : 1 + count], args[1 + count :], strict=True):
                self._add(arg, g * self._number(partial_of))
        elif op == PICK:
            table, column, number = data
            self._pick(table, column, number, g)
        elif op == SELECT:
            for row, arg in enumerate(args):
                self._add(arg, self._is(data, row, g).choose(g, 0.0))
        elif args:
            numbers = [self._number(arg) for arg in args]
            # what does not learn is not asked for
            for which, arg in enumerate(args):
                share = gradient_of(TABLE[op], which, g, self._number(place), numbers) if self.learns[arg] else None
                if share is not None:
                    self._add(arg, share)

    def _propagate_dot(self, args: tuple[int, ...], g: Number) -> None:
        half, runs = len(args) // 2, [] if self.inside else self._runs(args)
        wide = Number(self.builder, splat(self.builder, g.value, self.vector)) if runs else g
        for i, j in runs:
            self._cut()
            self._add_shared(i, wide * self._parameters(j))
            self._add_shared(j, wide * self._parameters(i))
        first = len(runs) * self.width
        for a, b in zip(args[first:half], args[half + first : 2 * half], strict=True):
            self._cut()
            if self.learns[a]:
                self._add(a, g * self._number(b))
            if self.learns[b]:
                self._add(b, g * self._number(a))
        if len(args) % 2:
            self._add(args[-1], g)

    def _add(self, place: int, contribution: Number) -> None:
        """Add to the gradient of a number, if it learns."""
        if place in self.slot_of:
            if self.learns[place]:
                self._add_shared(self.slot_of[place], contribution)
        elif self.learns[place]:
            known = self.gradients.get(place)
            self.gradients[place] = contribution if known is None else known + contribution

    def _add_shared(self, slot: int, contribution: Number) -> None:
        builder = self.builder
        # inside the loop each lane adds to a sum of its own: sums over lanes would wait for each other
        array, offset = (self.by_lane, slot * self.width) if self.inside else (self.sums, slot)
        known = Number(builder, self._load(array, offset, contribution.value.type))
        self._store((known + contribution).value, array, offset)

    def _integer(self, number: int) -> Any:
        """An integer in each lane; one that is outside its rows is counted, and made 0."""
        if number not in self.chosen:
            builder, kind = self.builder, vector_of(LONG, self.width)
            offset = builder.add(builder.mul(long(number), self.columns), self.start)
            given = self._load(self.integers, offset, kind)
            wrong = builder.icmp_unsigned(">=", given, splat(builder, long(self.bounds[number]), kind))
            self._add_shared(self.outside, Number(builder, builder.uitofp(wrong, self.vector)))
            self.chosen[number] = builder.select(wrong, ir.Constant(kind, None), given)
        return self.chosen[number]

    def _is(self, number: int, row: int, about: Number) -> Condition:
        chosen = self._integer(number)
        equal = self.builder.icmp_signed("==", chosen, splat(self.builder, long(row), chosen.type))
        return Condition(about, equal)

    def _select(self, number: int, args: tuple[int, ...]) -> Number:
        result = self._number(args[0])
        for row, arg in enumerate(args[1:], 1):
            result = self._is(number, row, result).choose(self._number(arg), result)
        return result

    def _pick(self, table: int, column: int, number: int, gradient: Number | None = None) -> Number:
        """An entry of a table in each lane, or what to add to its gradient; one lane at a time."""
        builder, rows = self.builder, self.program.tables[table]
        chosen = self._integer(number)
        entries = builder.mul(chosen, splat(builder, long(len(rows[0])), chosen.type))
        result = ir.Constant(self.vector, ir.Undefined)
        for lane in range(self.width):
            entry = builder.add(lane_of(builder, entries, lane), long(column))
            slot = builder.load(builder.gep(self._table(table), [long(0), entry]))
            if gradient is None:
                number_there = builder.load(self._at(self.weights, slot))
                result = lane_of(builder, result, lane, number_there)
            else:
                at = self._at(self.by_lane, builder.add(builder.mul(slot, long(self.width)), long(lane)))
                share = lane_of(builder, gradient.value, lane)
                builder.store(builder.fadd(builder.load(at), share), at)
        return Number(builder, result)

    def _table(self, number: int) -> Any:
        """Which parameters a table is made of."""
        name = f"table{number}"
        if name not in self.module.globals:
            entries = [parameter for row in self.program.tables[number] for parameter in row]
            kind = ir.ArrayType(LONG, len(entries))
            variable = ir.GlobalVariable(self.module, kind, name)
            variable.initializer, variable.global_constant = ir.Constant(kind, entries), True
        return self.module.globals[name]
