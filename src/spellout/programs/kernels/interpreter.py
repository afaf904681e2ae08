"""The compiled interpreter: runs bytecode over blocks of lanes, forwards and backwards.

A register is a row of lanes, one lane an example; every instruction is a loop over lanes, which the compiler turns
into SIMD. It is compiled by Numba at first use and kept on disk; nothing here knows a particular program.

Letters: R registers, G their gradients, both (registers, lanes); S what all lanes share (parameters, constants,
what depends only on them, and copies of weights packed as matrices); D its gradient. `code` and `pool` are the
bytecode, as `lowering.py` describes it.
"""

from __future__ import annotations

from typing import Any

from .compiling import entry, part, pasted, sources_of
from .elementwise import ELEMENTWISE, SOURCE, elementwise_backward, elementwise_forward
from .instructions import (
    COUNT,
    DOT,
    LARGEST,
    LAYER,
    LOG_SOFTMAX,
    LOGSUMEXP,
    MEAN,
    OP,
    OWN,
    PICK,
    POOL,
    SELECT,
    SUM,
    A,
    B,
    C,
)
from .layers import layer_backward, layer_forward, total
from .reductions import (
    dots_backward,
    dots_forward,
    largest_backward,
    largest_forward,
    log_totals_backward,
    log_totals_forward,
    sums_backward,
    sums_forward,
)

# What integer inputs choose, and operations of the user's --------------------------------------------------------


@part
def selects(R: Any, G: Any, pool: Any, at: int, count: int, lanes: int, integers: Any, backward: bool) -> None:
    """The value that an integer chooses: for each its result, which integer, n, and n candidates."""
    for _ in range(count):
        result, chosen, n = pool[at], integers[pool[at + 1]], pool[at + 2]
        for l in range(lanes):
            candidate = pool[at + 3 + chosen[l]]  # another for each lane: no SIMD here
            if backward:
                G[candidate, l] += G[result, l]
            else:
                R[result, l] = R[candidate, l]
        at += 3 + n


@part
def picks(code: Any, pool: Any, S: Any, D: Any, R: Any, G: Any, lanes: int, integers: Any, backward: bool) -> None:
    """Columns of one row of a table: for each its result and the column."""
    count, at, offset, width, chosen = code[COUNT], code[POOL], code[A], code[B], integers[code[C]]
    for r in range(count):
        # a table is stored row by row, after the slots
        result, column = pool[at + 2 * r], offset + pool[at + 2 * r + 1]
        for l in range(lanes):
            if backward:
                D[column + chosen[l] * width] += G[result, l]
            else:
                R[result, l] = S[column + chosen[l] * width]


@pasted
def owns_forward(R: Any, pool: Any, at: int, count: int, lanes: int) -> None:
    """A user's operation, computed by instructions before: its result, n, the computed one, n + n arguments."""
    for _ in range(count):
        y, x = pool[at], pool[at + 2]
        for l in range(lanes):
            R[y, l] = R[x, l]
        at += 3 + 2 * pool[at + 1]


@pasted
def owns_backward(R: Any, G: Any, pool: Any, at: int, count: int, lanes: int) -> None:
    """Its arguments' gradients, by the partials that the user's derivative gave."""
    for _ in range(count):
        y, n = pool[at], pool[at + 1]
        for i in range(n):
            d, partial = pool[at + 3 + i], pool[at + 3 + n + i]
            for l in range(lanes):
                G[d, l] += G[y, l] * R[partial, l]
        at += 3 + 2 * n


# The bytecode --------------------------------------------------------------------------------------------------


@part
def forward(code: Any, pool: Any, S: Any, R: Any, lanes: int, integers: Any, scratch: Any) -> None:
    """Run every instruction on the first `lanes` lanes of the registers."""
    for k in range(code.shape[0]):
        line = code[k]
        op, count, at = line[OP], line[COUNT], line[POOL]
        if op < len(ELEMENTWISE):
            elementwise_forward(op, R, pool, at, count, line[A], lanes)
        elif op == LAYER:
            layer_forward(line, pool, S, R, lanes, scratch)
        elif op == DOT:
            dots_forward(R, pool, at, count, lanes)
        elif op in (SUM, MEAN):
            sums_forward(R, pool, at, count, lanes, op == MEAN)
        elif op in (LOGSUMEXP, LOG_SOFTMAX):
            log_totals_forward(R, pool, at, count, lanes, op == LOG_SOFTMAX)
        elif op == LARGEST:
            largest_forward(R, pool, at, count, lanes)
        elif op == SELECT:
            selects(R, R, pool, at, count, lanes, integers, False)
        elif op == PICK:
            picks(line, pool, S, S, R, R, lanes, integers, False)
        elif op == OWN:
            owns_forward(R, pool, at, count, lanes)


@part
def backward(code: Any, pool: Any, S: Any, D: Any, R: Any, G: Any, lanes: int, integers: Any, scratch: Any) -> None:
    """Add the gradients of everything below to G and D, in reverse."""
    for k in range(code.shape[0] - 1, -1, -1):
        line = code[k]
        op, count, at = line[OP], line[COUNT], line[POOL]
        if op < len(ELEMENTWISE):
            for which in range(line[A]):
                if line[B] >> which & 1:  # this argument learns
                    elementwise_backward(op, which, R, G, pool, at, count, line[A], lanes)
        elif op == LAYER:
            layer_backward(line, pool, S, D, R, G, lanes, scratch)
        elif line[A] == 0 and op != PICK:
            continue  # nothing below learns
        elif op == DOT:
            dots_backward(R, G, pool, at, count, lanes)
        elif op in (SUM, MEAN):
            sums_backward(G, pool, at, count, lanes, op == MEAN)
        elif op in (LOGSUMEXP, LOG_SOFTMAX):
            log_totals_backward(R, G, pool, at, count, lanes, op == LOG_SOFTMAX)
        elif op == LARGEST:
            largest_backward(R, G, pool, at, count, lanes, scratch[0])  # which is free between layers
        elif op == SELECT:
            selects(R, G, pool, at, count, lanes, integers, True)
        elif op == PICK:
            picks(line, pool, S, D, R, G, lanes, integers, True)
        elif op == OWN:
            owns_backward(R, G, pool, at, count, lanes)


@part
def fill(M: Any, row: int, number: float, lanes: int) -> None:
    """The same number in every lane."""
    for l in range(lanes):
        M[row, l] = number


@pasted
def prepare(code: Any, pool: Any, pack: Any, S: Any, slots: int, integers: Any, scratch: Any) -> None:
    """Compute what depends on parameters and constants only, in S itself, and copy weights into matrices."""
    one = min(slots, 1)  # not 1: a literal's own type would be compiled again
    forward(code, pool, S, S[:slots].reshape(slots, 1), one, integers, scratch)
    for i in range(pack.shape[0]):
        S[slots + i] = S[pack[i]]


@pasted
def finish(code: Any, pool: Any, pack: Any, S: Any, Ds: Any, slots: int, integers: Any, scratch: Any) -> None:
    """Add up the gradients of all chunks in their order, into the first, and go back to the parameters."""
    D = Ds[0]
    # in this order for any number of threads, so that the sums are the same to the last bit
    for chunk in range(1, Ds.shape[0]):
        for i in range(D.shape[0]):
            D[i] += Ds[chunk, i]
    for i in range(pack.shape[0]):
        D[pack[i]] += D[slots + i]
    R, G = S[:slots].reshape(slots, 1), D[:slots].reshape(slots, 1)
    backward(code, pool, S, D, R, G, min(slots, 1), integers, scratch)


@pasted
def run_blocks(tape: Any, S: Any, D: Any, memory: Any, examples: Any, first: int, last: int, seed: float) -> None:
    """Run a range of lanes, block by block; with a seed (not 0) also backwards, adding to D."""
    (code, pool, maps), (R, G, scratch), (floats, integers, results) = tape, memory, examples
    block = R.shape[1]
    copied = 0
    while maps[1, copied] >= 0:  # what all lanes share is read as if each had its own, and copied once
        fill(R, maps[1, copied], S[maps[2, copied]], block)
        copied += 1
    for start in range(first, last, block):
        lanes = min(block, last - start)
        for i in range(floats.shape[0]):
            x = maps[0, i]
            for l in range(lanes):
                R[x, l] = floats[i, start + l]
        chosen = integers[:, start : start + lanes]
        forward(code, pool, S, R, lanes, chosen, scratch)
        for i in range(results.shape[0]):
            y = maps[3, i]
            for l in range(lanes):
                results[i, start + l] = R[y, l]
        if seed != 0:
            for r in range(G.shape[0]):  # gradients of a block only: they stay in the cache
                fill(G, r, 0, lanes)
            for i in range(results.shape[0]):
                y = maps[3, i]
                for l in range(lanes):
                    G[y, l] += R.dtype.type(seed)
            backward(code, pool, S, D, R, G, lanes, chosen, scratch)
            for i in range(copied):  # and what all lanes share gets the sum over lanes
                D[maps[2, i]] += total(G, maps[1, i], lanes)


PREPARE, RUN, FINISH = 1, 2, 4


def _entry_of(sources: str) -> Any:
    """The one entry. Numba compiles again when this file changes; `sources` stands for the files it is made of."""

    @entry
    def execute(
        phases: int,
        tapes: Any,
        slots: int,
        S: Any,
        Ds: Any,
        R: Any,
        G: Any,
        floats: Any,
        integers: Any,
        results: Any,
        first: int,
        last: int,
        chunk: int,
        scratch: Any,
        seed: float,
    ) -> None:
        """The one entry: what is shared is prepared, a range of lanes is run, gradients are finished.

        One entry, as every entry is compiled with all of the above inside.

        Args:
            phases: which of the three, as bits.
            tapes: (shared code, shared pool, lanes' code, lanes' pool, pack, maps); maps (4, n) holds registers of
                the floats, of what is copied from S, from where there, and of the results, each ended by -1.
            slots: how many of S are not packed copies.
            S, Ds: shared numbers (n,), and the gradient of each chunk (chunks, n).
            R, G: (registers, block).
            floats, integers, results: (inputs, lanes), (inputs, lanes), (outputs, lanes); results are written.
            first, last, chunk: the range of lanes, and whose gradient it adds to.
            scratch: (2, n), for the matrices of layers.
            seed: the gradient of each result; 0 for forwards only.
        """
        sources  # noqa: B018
        shared_code, shared_pool, code, pool, pack, maps = tapes
        none = integers[:, :0]  # as a slice, like those of a block: another type would be compiled again
        if phases & 1:
            prepare(shared_code, shared_pool, pack, S, slots, none, scratch)
        if phases & 2:
            tape, memory, examples = (code, pool, maps), (R, G, scratch), (floats, integers, results)
            run_blocks(tape, S, Ds[chunk], memory, examples, first, last, seed)
        if phases & 4:
            finish(shared_code, shared_pool, pack, S, Ds, slots, none, scratch)

    return execute


execute = _entry_of(
    sources_of("arithmetic", "compiling", "instructions", "interpreter", "layers", "reductions")
    + sources_of("../machine/vector_math")
    + SOURCE
)
