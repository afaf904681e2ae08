"""One training step of micrograd's own demo: the micrograd package and spellout's eager engine, in one run.

Two moons, MLP(2, [16, 16, 1]), 100 samples, hinge loss + L2 penalty; forward, backward, update, with each
engine's default settings (garbage collector on). Both start from the same weights and must reach the same
loss.

    pip install 'spellout[bench]'
    taskset -c 1 python bench/eager_engine.py

"plain" is spellout running the arithmetic of micrograd's own `nn.py`, one node per product and sum, to show what
the engine gains without the neuron's dot product; "micrograd_gc_off" shows how much of micrograd's time is the
garbage collector. Each engine has a process of its own; their rounds are interleaved. The last line is JSON, in
milliseconds.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from multiprocessing.connection import Connection

import numpy as np
from micrograd import nn as micrograd_nn
from micrograd.engine import Value as MicrogradValue

from machine import machine
from spellout import MLP, Value

ENGINES = ("micrograd", "micrograd_gc_off", "plain", "spellout")
WARM_UP = 3
ROUNDS = 15


def two_moons(count: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points (count, 2) on two interleaved half circles and their labels -1 and 1."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, np.pi, count)
    label = np.where(np.arange(count) % 2, 1, -1)
    outer = np.stack([np.cos(angle), np.sin(angle)], 1)
    inner = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], 1)
    points = np.where(label[:, None] == 1, inner, outer)
    return points + rng.normal(0, noise, points.shape), label


def plain_forward(model: MLP, x: list[Value]) -> Value:
    """Compute `model(x)` as micrograd's nn.py does: a product and a sum at a time."""
    for layer in model.layers:
        sums = [sum((w * v for w, v in zip(n.w, x, strict=True)), n.b) for n in layer.neurons]
        x = [total.relu() if n.nonlin else total for total, n in zip(sums, layer.neurons, strict=True)]
    return x[0]


def training_step(value: type, model: object, forward: Callable, data: tuple) -> Callable[[], float]:
    """Return the demo's step, written as its notebook writes it."""
    points, labels = data
    parameters = model.parameters()

    def step() -> float:
        inputs = [list(map(value, row)) for row in points]
        scores = [forward(x) for x in inputs]
        losses = [(1 + -y * score).relu() for y, score in zip(labels, scores, strict=True)]
        total = sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in parameters)
        model.zero_grad()
        total.backward()
        for p in parameters:
            p.data -= 0.05 * p.grad
        return total.data

    return step


def serve(name: str, connection: Connection) -> None:
    """Run one step per request, in a process of its own: nobody's garbage is collected on another's time."""
    value, mlp = (MicrogradValue, micrograd_nn.MLP) if name.startswith("micrograd") else (Value, MLP)
    if name.endswith("gc_off"):
        gc.disable()
    random.seed(1337)
    model = mlp(2, [16, 16, 1])
    forward = partial(plain_forward, model) if name == "plain" else model
    step = training_step(value, model, forward, two_moons(100, 0.1, 1))
    while connection.recv():
        start = time.process_time()  # on a busy machine, the others' time is not counted
        loss = step()
        connection.send((1000 * (time.process_time() - start), loss))


def measure() -> tuple[dict[str, list[float]], dict[str, float]]:
    """Return every engine's milliseconds per step, warm-up left out, and its last loss."""
    context = multiprocessing.get_context("spawn")
    connections = {}
    for name in ENGINES:
        connections[name], theirs = context.Pipe()
        context.Process(target=serve, args=(name, theirs), daemon=True).start()
    times: dict[str, list[float]] = {name: [] for name in ENGINES}
    losses = {}
    for _ in range(WARM_UP + ROUNDS):
        for name, connection in connections.items():
            connection.send(True)
            milliseconds, losses[name] = connection.recv()
            times[name].append(milliseconds)
    for connection in connections.values():
        connection.send(False)
    return {name: measured[WARM_UP:] for name, measured in times.items()}, losses


def main() -> None:
    """Time the three, interleaved, and print the medians and the ratios."""
    times, losses = measure()
    if max(losses.values()) - min(losses.values()) > 1e-9:
        raise SystemExit(f"the engines disagree after {WARM_UP + ROUNDS} steps: {losses}")
    result = {
        "bench": "eager_engine",
        "machine": machine(),
        "micrograd_version": version("micrograd"),
        "rounds": ROUNDS,
        "loss": losses["spellout"],
        **{f"{name}_ms": round(statistics.median(t), 2) for name, t in times.items()},
        **{f"{name}_range_ms": [round(min(t), 2), round(max(t), 2)] for name, t in times.items()},
    }
    for name in ENGINES:
        ratios = sorted(m / t for m, t in zip(times["micrograd"], times[name], strict=True))
        result[f"{name}_times_faster"] = round(statistics.median(ratios), 1)
        result[f"{name}_times_faster_range"] = [round(ratios[0], 1), round(ratios[-1], 1)]
        print(
            f"{name:16} {result[f'{name}_ms']:9.2f} ms a step, {result[f'{name}_times_faster']:6.1f} times as fast"
        )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
