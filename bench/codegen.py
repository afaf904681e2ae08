"""Machine code of small programs beside the interpreter: what a step of training takes, and what compiling.

The first case is micrograd's demo (two moons, MLP(2, [16, 16, 1]), hinge loss + L2 penalty, gradient descent). A
step is everything: examples copied, forward, backward, update. Both trainers take the same steps on the same
examples in the same process, their rounds interleaved; their losses must agree. Times are of the processor, so that
other work on the machine counts for little.

    OMP_NUM_THREADS=1 taskset -c 1 python bench/codegen.py

"run_us" is the machine code alone, without copying and update. "pays_after_steps" is how many steps win back the
time of compiling. The last line is JSON.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from eager_engine import two_moons
from machine import machine
from spellout import MLP, record
from spellout.models.scalars.gpt import GptConfig, GptModel
from spellout.models.scalars.network import loss_program
from spellout.nn.embedding import Embedding
from spellout.nn.losses import cross_entropy, hinge, l2_penalty
from spellout.programs.machine.machine_code import work_of
from spellout.programs.optimizers import SGD
from spellout.programs.program import Program
from spellout.programs.trainer import Trainer

ROUNDS = 25
SECONDS_A_ROUND = 0.02
CEILING_US = 7.4
"""A step of the demo as straight-line SIMD code, measured on another machine: only the order of size compares."""
Case = tuple[str, Program, Any, tuple[np.ndarray, ...]]


def demo(sizes: list[int], activation: str) -> Program:
    """The loss of micrograd's demo, for nets of other sizes too."""
    random.seed(1337)
    model = MLP(sizes[0], sizes[1:], activation=activation)
    parameters = model.parameters()
    return record(lambda x, y: hinge(model(x), y) + l2_penalty(parameters), [0.0] * sizes[0], 0.0)


def letters(context: int, dim: int, hidden: int) -> Program:
    """The next of 27 letters from the last few: embeddings, a tanh layer, softmax (Bengio et al. 2003)."""
    random.seed(1337)
    embedding, model = Embedding(27, dim), MLP(context * dim, [hidden, 27], activation="tanh")
    return record(
        lambda past, target: cross_entropy(model([x for letter in past for x in embedding(letter)]), target),
        [0] * context,
        0,
    )


def cases() -> Iterator[Case]:
    """Name, program, type, and one array per argument."""
    rng = np.random.default_rng(0)
    moons = two_moons(100, 0.1, 1)
    yield "micrograd's demo", demo([2, 16, 16, 1], "relu"), np.float64, moons
    yield "micrograd's demo, float32", demo([2, 16, 16, 1], "relu"), np.float32, moons
    yield "micrograd's demo, tanh", demo([2, 16, 16, 1], "tanh"), np.float64, moons
    for count in (1, 10, 1000, 10_000):
        yield (
            f"micrograd's demo, {count} samples",
            demo([2, 16, 16, 1], "relu"),
            np.float64,
            two_moons(count, 0.1, 1),
        )
    for sizes in ([2, 4, 1], [4, 24, 24, 1], [8, 32, 32, 1]):
        points = rng.normal(size=(100, sizes[0])), rng.choice([-1.0, 1.0], 100)
        yield f"mlp {sizes}, 100 samples", demo(sizes, "relu"), np.float64, points
    for count in (1, 32, 256):
        past, target = rng.integers(0, 27, (count, 2)), rng.integers(0, 27, count)
        yield f"letters 2x4-8-27, {count} samples", letters(2, 4, 8), np.float64, (past, target)
    gpt = loss_program(GptModel, GptConfig(width=4, heads=2, context=4), 27, False, 3)
    for value in gpt.parameters:
        value.data = float(rng.normal(0.0, 0.1))
    for count in (1, 32):
        lines = rng.integers(0, 27, (count, 3)), rng.integers(0, 27, (count, 3))
        yield f"gpt 4 wide, 3 letters, {count} lines", gpt, np.float64, lines


def rounds(functions: list[Callable[[], Any]]) -> list[float]:
    """Median microseconds of each function, measured in turns."""
    begin = time.process_time()
    for function in functions:
        function()
    times = max(1, int(len(functions) * SECONDS_A_ROUND / (time.process_time() - begin)))
    taken: list[list[float]] = [[] for _ in functions]
    for _ in range(ROUNDS):
        for function, list_of in zip(functions, taken, strict=True):
            begin = time.process_time()
            for _ in range(times):
                function()
            list_of.append((time.process_time() - begin) / times)
    return [1e6 * statistics.median(list_of) for list_of in taken]


def measure(program: Program, dtype: Any, examples: tuple[np.ndarray, ...]) -> dict[str, Any]:
    """One case."""
    optimizer = SGD(lr=0.01)
    interpreter = Trainer(program, optimizer, dtype, threads=1)
    begin = time.process_time()
    compiled = Trainer(program, optimizer, dtype, threads=1, compiled=True)
    seconds = time.process_time() - begin
    if not compiled.compiled:
        raise SystemExit(f"a program of work {work_of(program)} is not eligible")
    for _ in range(10):
        losses = interpreter.step(*examples), compiled.step(*examples)
    if abs(losses[0] - losses[1]) > (1e-12 if dtype == np.float64 else 1e-5) * max(1.0, abs(losses[0])):
        raise SystemExit(f"losses differ: {losses}")
    code = compiled._code
    assert code is not None
    steps = [lambda: interpreter.step(*examples), lambda: compiled.step(*examples), lambda: code.run(1.0)]
    ours, theirs, run = rounds(steps)
    return {
        "parameters": len(program.parameters),
        "work": work_of(program),
        "compile_s": round(seconds, 3),
        "interpreter_us": round(ours, 2),
        "compiled_us": round(theirs, 2),
        "run_us": round(run, 2),
        "ratio": round(ours / theirs, 2),
        "pays_after_steps": round(1e6 * seconds / (ours - theirs)) if ours > theirs else None,
    }


def main() -> None:
    """Print one line per case, and all as JSON."""
    found: dict[str, dict[str, Any]] = {}
    for name, program, dtype, examples in cases():
        found[name] = measure(program, dtype, examples)
        row = found[name]
        print(
            f"{name:34} {row['interpreter_us']:9.2f} µs -> {row['compiled_us']:9.2f} µs ({row['ratio']:5.2f}x), "
            f"compiled in {row['compile_s']:.2f} s (work {row['work']})",
            flush=True,
        )
    share = found["micrograd's demo"]["compiled_us"] / CEILING_US
    print(json.dumps({"machine": machine(), "demo_to_ceiling": round(share, 2), "cases": found}))


if __name__ == "__main__":
    main()
