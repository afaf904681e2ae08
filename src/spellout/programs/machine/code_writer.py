"""Loads, stores, loops and blocks of generated code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

LONG = ir.IntType(64)
# instructions of a basic block: the time LLVM takes for one grows with its square
_BLOCK = 400


class Writer:
    """Writes at the end of `builder`, for numbers of type `real` and vectors of them.

    `never` is a bit that LLVM cannot know is 0, and `end` the last block of the function.
    """

    builder: Any
    real: Any
    vector: Any
    never: Any
    end: Any

    def _at(self, array: Any, index: Any) -> Any:
        return self.builder.gep(array, [long(index) if isinstance(index, int) else index])

    def _load(self, array: Any, index: Any, kind: Any = None) -> Any:
        """A vector, wherever it starts."""
        address = self.builder.bitcast(self._at(array, index), (kind or self.vector).as_pointer())
        # aligned as a number, not as a vector: it may start anywhere
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
        index = builder.phi(LONG)
        body(index)
        following = builder.add(index, long(step))
        index.add_incoming(long(0), before)
        index.add_incoming(following, builder.block)
        after = builder.append_basic_block()
        builder.cbranch(builder.icmp_signed("<", following, long(count)), block, after)
        builder.position_at_end(after)


def long(number: int) -> Any:
    """A constant of 64 bits."""
    return ir.Constant(LONG, number)
