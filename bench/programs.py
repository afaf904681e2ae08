"""One training step of micrograd's own demo as a recorded program, beside NumPy by hand, PyTorch and micrograd.

Two moons, MLP(2, [16, 16, 1]), 100 samples, hinge loss + L2 penalty, float64; forward, backward, update, on one
core. NumPy's step is written by hand twice: as one writes it, and tuned, with flat arrays that are allocated once.
All start from the same weights, and must reach the eager engine's loss. Then: what each pass is worth, how long the
first call of a new program takes, and how long the kernels compile in an empty cache. All times are the process's
own, so that on a busy machine the others' are not counted.

    pip install 'spellout[bench,test]'
    taskset -c 1 python bench/programs.py

Fast engines are interleaved in rounds of many steps, micrograd has a process of its own and one step per round. The
last line is JSON.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch

from eager_engine import plain_forward, serve, training_step, two_moons
from machine import machine
from spellout import MLP, Program, Trainer, Value, record
from spellout.nn.losses import l2_penalty
from spellout.programs.lanes import Lanes
from spellout.programs.optimizers import SGD, AdamW
from spellout.programs.passes import PASSES

LR, L2, SAMPLES = 0.05, 1e-4, 100
ROUNDS, STEPS = 31, 200
MICROGRAD_ROUNDS = 5
CHECKED = 20
"""Steps after which every engine's loss is compared with the eager engine's."""

Step = Callable[[], float]


def demo() -> MLP:
    """The demo's network, the same weights each time."""
    random.seed(1337)
    return MLP(2, [16, 16, 1])


def demo_program(model: MLP, **settings: object) -> Program:
    """The loss of one point, recorded."""
    parameters = model.parameters()
    return record(
        lambda x, y: (1 - y * model(x)).relu() + l2_penalty(parameters, L2),
        [0.0, 0.0],
        0.0,
        parameters=parameters,
        **settings,
    )


def spellout_step(
    optimizer: object, dtype: type, data: tuple[np.ndarray, np.ndarray], compiled: bool = False
) -> Step:
    """Ours: one call of Trainer.step."""
    trainer = Trainer(demo_program(demo()), optimizer, dtype=dtype, threads=1, compiled=compiled)
    points, labels = data
    return lambda: trainer.step(points, labels)


def numpy_step(data: tuple[np.ndarray, np.ndarray]) -> Step:
    """By hand, as one writes it."""
    x, y = data[0], data[1][:, None]
    p = []
    for layer in demo().layers:
        p.append(np.array([[w.data for w in n.w] for n in layer.neurons]).T)
        p.append(np.zeros(len(layer.neurons)))

    def step() -> float:
        W1, b1, W2, b2, W3, b3 = p
        h1 = np.maximum(x @ W1 + b1, 0.0)
        h2 = np.maximum(h1 @ W2 + b2, 0.0)
        margin = 1.0 - y * (h2 @ W3 + b3)
        loss = np.maximum(margin, 0.0).mean() + L2 * sum([(a * a).sum() for a in p])
        ds = -y * (margin > 0.0) / SAMPLES
        d2 = (ds @ W3.T) * (h2 > 0.0)
        d1 = (d2 @ W2.T) * (h1 > 0.0)
        gradients = (x.T @ d1, d1.sum(0), h1.T @ d2, d2.sum(0), h2.T @ ds, ds.sum(0))
        for a, g in zip(p, gradients, strict=True):
            a -= LR * (g + 2.0 * L2 * a)
        return float(loss)

    return step


def tuned_numpy_step(data: tuple[np.ndarray, np.ndarray]) -> Step:
    """By hand: flat parameters and gradients, arrays allocated once, every product into its place."""
    x, y = data[0], data[1].astype(float)
    layers = demo().layers
    matrices = [np.array([[w.data for w in n.w] for n in layer.neurons]).T for layer in layers]
    p = np.concatenate([part for W in matrices for part in (W.ravel(), np.zeros(W.shape[1]))])
    g = np.zeros_like(p)

    def views(flat: np.ndarray) -> list[np.ndarray]:
        found, at = [], 0
        for W in matrices:
            found.append(flat[at : at + W.size].reshape(W.shape))
            found.append(flat[at + W.size : at + W.size + W.shape[1]])
            at += W.size + W.shape[1]
        return found

    W1, b1, W2, b2, W3, b3 = views(p)
    gW1, gb1, gW2, gb2, gW3, gb3 = views(g)
    h1, d1, h2, d2 = [np.empty((SAMPLES, 16)) for _ in range(4)]
    score, margin, ds = [np.empty((SAMPLES, 1)) for _ in range(3)]
    target = y.reshape(-1, 1)
    by_score = -target / SAMPLES
    ones = np.ones(SAMPLES)

    def step() -> float:
        np.matmul(x, W1, out=h1)
        np.add(h1, b1, out=h1)
        np.maximum(h1, 0.0, out=h1)
        np.matmul(h1, W2, out=h2)
        np.add(h2, b2, out=h2)
        np.maximum(h2, 0.0, out=h2)
        np.matmul(h2, W3, out=score)
        np.add(score, b3, out=score)
        np.multiply(score, target, out=margin)
        np.subtract(1.0, margin, out=margin)
        np.maximum(margin, 0.0, out=margin)
        loss = margin.sum() / SAMPLES + L2 * p.dot(p)
        np.multiply(by_score, margin > 0.0, out=ds)
        np.matmul(h2.T, ds, out=gW3)
        gb3[0] = ds.sum()
        np.multiply(ds, W3.T, out=d2)
        np.multiply(d2, h2 > 0.0, out=d2)
        np.matmul(h1.T, d2, out=gW2)
        np.matmul(ones, d2, out=gb2)
        np.matmul(d2, W2.T, out=d1)
        np.multiply(d1, h1 > 0.0, out=d1)
        np.matmul(x.T, d1, out=gW1)
        np.matmul(ones, d1, out=gb1)
        np.multiply(g, LR, out=g)
        np.multiply(p, 1.0 - 2.0 * L2 * LR, out=p)
        np.subtract(p, g, out=p)
        return float(loss)

    return step


def torch_step(data: tuple[np.ndarray, np.ndarray], penalty: bool) -> Step:
    """PyTorch eager, one thread, its own SGD; the penalty's value may be left out, which only a report needs."""
    torch.set_num_threads(1)
    x, y = torch.tensor(data[0]), torch.tensor(data[1], dtype=torch.float64)[:, None]
    modules: list[torch.nn.Module] = []
    for layer in demo().layers:
        linear = torch.nn.Linear(len(layer.neurons[0].w), len(layer.neurons), dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor([[w.data for w in n.w] for n in layer.neurons], dtype=torch.float64))
            linear.bias.zero_()
        modules += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*modules[:-1])
    # the penalty L2 Σp² has the gradient 2 L2 p, which SGD adds by itself
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, weight_decay=2.0 * L2)
    parameters = list(model.parameters())

    def step() -> float:
        loss = (1.0 - y * model(x)).relu().mean()
        shown = loss.detach()
        if penalty:
            with torch.no_grad():
                shown = loss + sum([p.square().sum() for p in parameters]) * L2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return shown.item()

    return step


def eager_loss(data: tuple[np.ndarray, np.ndarray]) -> float:
    """The eager engine's loss after `CHECKED` steps."""
    model = demo()
    step = training_step(Value, model, model, data)
    return [step() for _ in range(CHECKED)][-1]


def rounds(steps: dict[str, Step], count: int, inner: int) -> dict[str, list[float]]:
    """Microseconds per step of each engine in each round."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(count):
        for name, step in steps.items():
            begin = time.process_time()
            for _ in range(inner):
                step()
            times[name].append(1e6 * (time.process_time() - begin) / inner)
    return times


def micrograd_times() -> list[float]:
    """Microseconds per step of micrograd with its default settings, in a process of its own."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=("micrograd", theirs), daemon=True)
    process.start()
    times = []
    for _ in range(1 + MICROGRAD_ROUNDS):
        ours.send(True)
        times.append(1000.0 * ours.recv()[0])
    ours.send(False)
    return times[1:]


def by_passes(data: tuple[np.ndarray, np.ndarray]) -> dict[str, dict[str, object]]:
    """Forward and backward of two functions written the long way, without each of the passes."""
    model, classes = demo(), MLP(2, [16, 4], activation="tanh")

    def hinge(x: list[Value], y: Value) -> Value:
        return (1 - y * plain_forward(model, x)).relu() + sum([p * p for p in model.parameters()]) * L2

    def softmax(x: list[Value], y: Value) -> Value:
        logits = [logit + y for logit in classes(x)]
        probabilities = [logit.exp() / sum([other.exp() for other in logits]) for logit in logits]
        return -probabilities[0].log() + sum([(p - 0.25) ** 2 for p in probabilities]) * 1.0

    names = list(dict.fromkeys([rewrite.__name__ for rewrite in PASSES]))
    choices = {"all": PASSES, "none": ()}
    choices |= {f"without {name}": [p for p in PASSES if p.__name__ != name] for name in names}
    steps, sizes = {}, {}
    for function in (hinge, softmax):
        for name, passes in choices.items():
            program = record(function, [0.0, 0.0], 0.0, passes=passes)
            lanes = Lanes(program, threads=1)
            lanes.read_values()
            examples = lanes.arrange(*data)
            key = f"{function.__name__}, {name}"
            steps[key] = lambda lanes=lanes, examples=examples: lanes.backward(*examples, 1.0 / SAMPLES)
            sizes[key] = program.computed
    times = rounds(steps, ROUNDS, 50)
    return {key: {"instructions": sizes[key], "us": round(statistics.median(times[key]), 1)} for key in steps}


def first_calls(data: tuple[np.ndarray, np.ndarray]) -> dict[str, dict[str, float]]:
    """Milliseconds from a function to its first gradient: recording, passes, lowering, memory, one run."""
    model, w = demo(), [Value(0.1), Value(0.2)]

    def demo_loss(x: list[Value], y: Value) -> Value:
        return (1 - y * plain_forward(model, x)).relu()

    def chain(x: list[Value], y: Value) -> Value:
        for i in range(333):
            y = (y * w[i % 2]).tanh() - x[i % 2]
        return y

    found = {}
    for name, function in (("demo, a product at a time", demo_loss), ("a chain", chain)):
        times = []
        for _ in range(11):
            begin = time.process_time()
            record(function, [0.0, 0.0], 0.0).gradient(*data)
            times.append(1000.0 * (time.process_time() - begin))
        program = record(function, [0.0, 0.0], 0.0, passes=())
        found[name] = {
            "recorded": program.computed,
            "kept": record(function, [0.0, 0.0], 0.0).computed,
            "ms": round(statistics.median(times), 1),
        }
    return found


_COMPILE = """
import time, numpy, numba
from spellout import Value, record
from spellout.programs.lanes import Lanes
begin = time.process_time()
w = Value(2.0)
program = record(lambda x: w * x, 1.0)
import spellout.programs.kernels.interpreter
for dtype in (numpy.float64, numpy.float32):
    begin = time.process_time()
    lanes = Lanes(program, dtype)
    lanes.backward(*lanes.arrange([1.0]), 1.0)
    print(time.process_time() - begin)
"""


def compile_seconds() -> dict[str, float]:
    """Seconds of the first gradient in a new process, per type: in an empty cache, and in a full one."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        found = {}
        for cache in ("empty", "full"):
            done = subprocess.run(
                [sys.executable, "-c", _COMPILE], env=environment, check=True, capture_output=True, text=True
            )
            for kind, seconds in zip(("float64", "float32"), done.stdout.split(), strict=True):
                found[f"{kind}, {cache} cache"] = round(float(seconds), 2)
    return found


def check(steps: dict[str, Step], data: tuple[np.ndarray, np.ndarray]) -> float:
    """Stop unless every engine with plain SGD has the eager engine's loss after some steps."""
    expected = eager_loss(data)
    for name, step in steps.items():
        loss = [step() for _ in range(CHECKED)][-1]
        tolerance = 1e-5 if "float32" in name else 1e-12
        if "AdamW" not in name and "without" not in name and abs(loss - expected) > tolerance * expected:
            raise SystemExit(f"{name} has the loss {loss!r} after {CHECKED} steps, the eager engine {expected!r}")
    return expected


def main() -> None:
    """Measure everything and print it."""
    data = two_moons(SAMPLES, 0.1, 1)
    data = data[0], data[1].astype(float)
    steps = {
        "spellout, SGD": spellout_step(SGD(lr=LR), np.float64, data),
        "spellout, SGD, compiled": spellout_step(SGD(lr=LR), np.float64, data, compiled=True),
        "spellout, AdamW": spellout_step(AdamW(lr=1e-3), np.float64, data),
        "spellout, SGD, float32": spellout_step(SGD(lr=LR), np.float32, data),
        "NumPy by hand": numpy_step(data),
        "NumPy by hand, tuned": tuned_numpy_step(data),
        "PyTorch eager": torch_step(data, penalty=True),
        "PyTorch eager, without the penalty's value": torch_step(data, penalty=False),
    }
    loss = check(steps, data)
    times = rounds(steps, ROUNDS, STEPS)
    times["micrograd"] = micrograd_times()
    ours = times["spellout, SGD"]
    result: dict[str, object] = {
        "bench": "programs",
        "machine": machine(),
        "torch": torch.__version__,
        "micrograd": version("micrograd"),
        "rounds": ROUNDS,
        f"loss after {CHECKED} steps": loss,
    }
    engines = {}
    for name, measured in times.items():
        if len(measured) == len(ours):  # side by side, round by round
            slower = statistics.median([theirs / mine for theirs, mine in zip(measured, ours, strict=True)])
        else:
            slower = statistics.median(measured) / statistics.median(ours)
        engines[name] = {
            "us": round(statistics.median(measured), 1),
            "range_us": [round(min(measured), 1), round(max(measured), 1)],
            "times_ours": round(slower, 2),
        }
        print(f"{name:45} {engines[name]['us']:12,.1f} µs a step, {slower:9,.2f} times ours")
    result |= {
        "engines": engines,
        "passes": by_passes(data),
        "first_call": first_calls(data),
        "compile_seconds": compile_seconds(),
    }
    for what in ("passes", "first_call", "compile_seconds"):
        for name, numbers in result[what].items():  # type: ignore[attr-defined]
            print(f"{what:16} {name:32} {numbers}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
