"""A step of the mlp that `make` trains, and the lines it makes: in NumPy, as a program, and as one writes it.

    python bench/mlp_step.py [NAMES.txt]

Step: batches of 1,024, one thread, all from the same weights on the same batches, ten at a time in turn; medians of
processor time, the counts' rows known before. All must have the same losses.
First: the first 300 steps of a training with counts, whose rows must be worked out on the way; the baseline is the
program with rows worked out for every position by itself, as before.
Running: 10,000 lines made, and the dev lines evaluated, by the trained mlp and by the program with its weights.
Without NAMES.txt, the bundled names. The last line is one JSON object.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from itertools import islice

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

from machine import machine
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation.config import SamplingConfig
from spellout.generation.evaluation import evaluate
from spellout.generation.sampling import sample
from spellout.models.arrays.learner import MlpLearner
from spellout.models.arrays.mlp import MlpConfig
from spellout.models.ngram import model as ngram_module
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.leave_one_out import LeaveOneOut
from spellout.models.ngram.model import NgramModel
from spellout.models.ngram.training import train_ngram
from spellout.models.scalars.mlp import MlpProgram
from spellout.models.scalars.network import ScalarLearner
from spellout.training.schedule import Order

LR = 6e-3
ROUNDS, STEPS_A_ROUND = 16, 10
FIRST = 300


def plain(learner: MlpLearner) -> Callable[[np.ndarray], float]:
    """The same step as one writes it, from the same weights, for one member; every line makes new arrays."""
    w = {name.removeprefix("0."): array.copy() for name, array in learner.model().weights.items()}
    windows, targets, left_out = learner._windows, learner._targets, learner._left_out
    mean = {name: np.zeros_like(array) for name, array in w.items()}
    square = {name: np.zeros_like(array) for name, array in w.items()}
    steps = 0

    def step(chosen: np.ndarray) -> float:
        nonlocal steps
        context, target, n = windows[chosen], targets[chosen], np.arange(len(chosen))
        x = w["embedding"][context].reshape(len(chosen), -1)
        h = np.tanh(x @ w["hidden.weight"].T + w["hidden.bias"])
        logits = h @ w["out.weight"].T + w["out.bias"]
        if left_out is not None:
            prior = left_out.at(chosen)
            logits = logits + (h @ w["prior.weight"] + w["prior.bias"])[:, None] * prior
        logits = logits - logits.max(1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        loss = -logs[n, target].mean()
        d_logits = np.exp(logs)
        d_logits[n, target] -= 1
        d_logits /= np.float32(len(chosen))
        d = {"out.weight": d_logits.T @ h, "out.bias": d_logits.sum(0)}
        d_h = d_logits @ w["out.weight"]
        if left_out is not None:
            d_scale = (d_logits * prior).sum(1)
            d |= {"prior.weight": d_scale @ h, "prior.bias": d_scale.sum()}
            d_h = d_h + d_scale[:, None] * w["prior.weight"]
        d_a = d_h * (1 - h**2)
        d |= {"hidden.weight": d_a.T @ x, "hidden.bias": d_a.sum(0), "embedding": np.zeros_like(w["embedding"])}
        np.add.at(d["embedding"], context, (d_a @ w["hidden.weight"]).reshape(*context.shape, -1))
        norm = np.sqrt(sum((g**2).sum() for g in d.values()))
        steps += 1
        for name, g in d.items():
            g = g / max(norm, np.float32(1))
            mean[name] += np.float32(0.1) * (g - mean[name])
            square[name] += np.float32(0.01) * (g**2 - square[name])
            change = mean[name] / np.float32(1 - 0.9**steps)
            change = change / (np.sqrt(square[name] / np.float32(1 - 0.99**steps)) + np.float32(1e-8))
            w[name] = w[name] * np.float32(1 - LR * learner._config.weight_decay) - np.float32(LR) * change
        return float(loss)

    return step


class EveryPosition:
    """The rows that counts give, worked out for every position by itself when it is first asked for."""

    def __init__(self, prior: NgramModel, stream: np.ndarray) -> None:
        self._rows = LeaveOneOut(prior, stream)._rows
        self._kept = np.empty((len(stream) - 1, prior.vocabulary_size), np.float32)
        self._known = np.zeros(len(stream) - 1, bool)

    def at(self, places: np.ndarray) -> np.ndarray:
        """See `LeaveOneOut`."""
        new = places[~self._known[places]]
        if new.size:
            self._kept[new] = self._rows(new)
            self._known[new] = True
        return self._kept[places]


def program_learner(prepared: Prepared, config: MlpConfig, prior: NgramModel | None) -> ScalarLearner:
    """The recorded program in training, on one thread."""
    learner = ScalarLearner(MlpProgram, prepared.stream, prepared.vocabulary.size, config, prior, 0)
    learner._lanes_of(1).threads = 1
    return learner


def steps(prepared: Prepared, config: MlpConfig, prior: NgramModel | None) -> dict[str, float]:
    """Milliseconds of a step."""
    ours = MlpLearner(prepared.stream, prepared.vocabulary.size, config, prior, 0)
    program = program_learner(prepared, config, prior)
    ways: dict[str, Callable[[np.ndarray], float]] = {
        "numpy": lambda chosen: ours.step(chosen, LR),
        "program": lambda chosen: program.step(chosen, LR),
    }
    if config.members == 1:
        ways["plain numpy"] = plain(ours)
    for learner in (ours, program):
        if learner._left_out is not None:
            learner._left_out.at(np.arange(learner.examples))
    order = Order(ours.examples, ours.batch, 0)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS):
        batches = [order.at(number * STEPS_A_ROUND + index) for index in range(STEPS_A_ROUND)]
        losses = {}
        for name, way in ways.items():
            begin = time.process_time()
            losses[name] = [way(chosen) for chosen in batches]
            times[name].append((time.process_time() - begin) / STEPS_A_ROUND * 1e3)
        if number < 2 and np.ptp(list(losses.values()), axis=0).max() > 1e-4:
            raise SystemExit(f"round {number}: the losses differ: {losses}")
    found = {name: round(statistics.median(taken[2:]), 3) for name, taken in times.items()}
    return found | {"times as fast": round(found["program"] / found["numpy"], 2)}


def first(prepared: Prepared, prior: NgramModel) -> dict[str, float]:
    """Seconds of the first steps, making the learner included."""
    many, found = ngram_module._MANY, {}
    order = Order(len(prepared.stream) - 1, MlpConfig().batch, 0)
    for name in ("numpy", "program", "program, every position by itself"):
        prior = NgramModel.restore(prior.settings(), prior.arrays())  # without what it remembers
        begin = time.process_time()
        if name == "numpy":
            learner = MlpLearner(prepared.stream, prepared.vocabulary.size, MlpConfig(), prior, 0)
        else:
            learner = program_learner(prepared, MlpConfig(), prior)
        if name.endswith("itself"):
            ngram_module._MANY = 1 << 62  # and without tables
            learner._left_out = EveryPosition(prior, prepared.stream)
        for number in range(FIRST):
            learner.step(order.at(number), LR)
        found[name] = round(time.process_time() - begin, 3)
        ngram_module._MANY = many
    return found


def running(prepared: Prepared, prior: NgramModel | None) -> dict[str, dict[str, float]]:
    """Lines a second, and evaluated tokens a second."""
    learner = MlpLearner(prepared.stream, prepared.vocabulary.size, MlpConfig(), prior, 0)
    order = Order(learner.examples, learner.batch, 0)
    for number in range(FIRST):
        learner.step(order.at(number), LR)
    model = learner.model()
    models = {"numpy": model, "program": MlpProgram(model.config, model.vocabulary_size, model.weights, prior)}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    tokens = 0
    for _ in range(5):
        for name, one in models.items():
            begin = time.process_time()
            for _ in islice(sample(one, prepared.vocabulary, SamplingConfig()), 10_000):
                pass
            between = time.process_time()
            tokens = evaluate(one, prepared.vocabulary, prepared.split.dev).tokens
            times[name].append((between - begin, time.process_time() - between))
    return {
        name: {
            "lines a second": round(10_000 / statistics.median(made for made, _ in taken)),
            "tokens a second": round(tokens / statistics.median(judged for _, judged in taken)),
        }
        for name, taken in times.items()
    }


def main() -> None:
    """Measure, print a table and one JSON object."""
    lines = Lines.read(sys.argv[1]) if len(sys.argv) > 1 else Lines.bundled()
    prepared = Prepared.of(lines, DataConfig())
    prior = train_ngram(prepared.stream, prepared.vocabulary.size, NgramConfig(order=5), lambda event: None)[0]
    result: dict[str, object] = {"bench": "mlp_step", "machine": machine(), "tokens": prepared.vocabulary.size}
    for name, config, start in [
        ("mlp", MlpConfig(), None),
        ("mlp+ngram:5", MlpConfig(), prior),
        ("mlp:128:members=4+ngram:5", MlpConfig(members=4), prior),
    ]:
        result[f"ms a step, {name}"] = steps(prepared, config, start)
    result[f"seconds of the first {FIRST} steps, mlp+ngram:5"] = first(prepared, prior)
    result["running mlp"] = running(prepared, None)
    result["running mlp+ngram:5"] = running(prepared, prior)
    for name, found in result.items():
        print(f"{name:<50} {found}", flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
