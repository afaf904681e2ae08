"""A softmax over a thousand classes: the gradient of a program beside NumPy by hand.

A linear layer of 64 numbers to 1,000 classes and cross-entropy, 256 examples: the mean loss and its gradient for
all 65,000 parameters. On one core, interleaved, in the process's own time. Both must agree on loss and gradient.

    pip install 'spellout[bench,test]'
    OPENBLAS_NUM_THREADS=1 python bench/classes.py

The last line is JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is loaded

import numpy as np

from machine import machine
from spellout import Program, Value, record
from spellout.autograd.functions import dot
from spellout.nn.losses import cross_entropy
from spellout.programs.lanes import Lanes

CLASSES, INPUTS, EXAMPLES = 1000, 64, 256
ROUNDS, CALLS = 31, 5

Step = Callable[[], tuple[float, np.ndarray]]


def the_program(weights: np.ndarray, biases: np.ndarray) -> Program:
    """The loss of one example, recorded."""
    w = [[Value(number) for number in row] for row in weights.tolist()]
    b = [Value(number) for number in biases.tolist()]
    return record(
        lambda x, target: cross_entropy([dot(row, x, bias) for row, bias in zip(w, b, strict=True)], target),
        [0.0] * INPUTS,
        0,
        parameters=[*[value for row in w for value in row], *b],
    )


def by_program(program: Program, dtype: type, x: np.ndarray, targets: np.ndarray) -> Step:
    """Ours, as a Trainer runs it."""
    lanes = Lanes(program, dtype, threads=1)
    lanes.read_values()
    floats, integers = lanes.arrange(x, targets)

    def step() -> tuple[float, np.ndarray]:
        results, gradient = lanes.backward(floats, integers, 1.0 / EXAMPLES)
        return float(results.mean()), gradient

    return step


def by_hand(w: np.ndarray, b: np.ndarray, x: np.ndarray, targets: np.ndarray) -> Step:
    """NumPy, in the type of its arguments; what can be done in place is."""
    rows = np.arange(EXAMPLES)

    def step() -> tuple[float, np.ndarray]:
        logits = x @ w.T
        logits += b
        logits -= logits.max(axis=1, keepdims=True)
        chosen = logits[rows, targets]
        np.exp(logits, out=logits)
        totals = logits.sum(axis=1, keepdims=True)
        loss = float((np.log(totals[:, 0]) - chosen).mean())
        logits /= totals
        logits[rows, targets] -= 1.0
        logits /= EXAMPLES
        return loss, np.concatenate([(logits.T @ x).ravel(), logits.sum(axis=0)])

    return step


def main() -> None:
    """Check, measure, print."""
    rng = np.random.default_rng(0)
    w, b = rng.normal(0.0, 0.1, (CLASSES, INPUTS)), rng.normal(0.0, 0.1, CLASSES)
    x, targets = rng.normal(size=(EXAMPLES, INPUTS)), rng.integers(0, CLASSES, EXAMPLES)
    program = the_program(w, b)
    steps: dict[str, Step] = {}
    for dtype in (np.float64, np.float32):
        ours = by_program(program, dtype, x, targets)
        theirs = by_hand(*[array.astype(dtype) for array in (w, b, x)], targets)
        (loss, gradient), (wanted, wanted_gradient) = ours(), theirs()
        tolerance = 1e-12 if dtype == np.float64 else 1e-5
        if abs(loss - wanted) > tolerance * wanted or np.abs(gradient - wanted_gradient).max() > tolerance:
            raise SystemExit(f"{dtype.__name__}: the program says {loss!r}, NumPy {wanted!r}")
        steps[f"program, {dtype.__name__}"], steps[f"by hand, {dtype.__name__}"] = ours, theirs
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            begin = time.process_time()
            for _ in range(CALLS):
                step()
            times[name].append(1000.0 * (time.process_time() - begin) / CALLS)
    result: dict[str, object] = {"bench": "classes", "machine": machine(), "rounds": ROUNDS}
    for kind in ("float64", "float32"):
        ours, theirs = times[f"program, {kind}"], times[f"by hand, {kind}"]
        ratio = statistics.median([a / b for a, b in zip(ours, theirs, strict=True)])
        result[kind] = {
            "program_ms": round(statistics.median(ours), 2),
            "by_hand_ms": round(statistics.median(theirs), 2),
            "times_by_hand": round(ratio, 2),
        }
        print(f"{kind}: {result[kind]}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
