"""Recipes judged by new lines: dev losses as they are and given that a line is new, of models and their products.

    python bench/new_recipes.py LINES.txt MODEL... [--steps 4000] [--points 0.5,1] [--seed 0] [--held-out 0.05]

For each model and each point of its training: the loss of the dev lines in nats per character as it is, the mass
(the part of its probability that the model gives to its distinct training lines), and the loss of the dev lines
given that they are none of these: P(line) / (1 - mass). The split is by distinct lines, so no dev line is one.
The rate falls to zero at the last point only. Milliseconds are processor time of one thread.

At the end the same of products of the models, p(w) ∝ Π p_i(w)^power_i: with equal powers that sum to 1 (the
geometric mean), and with powers that are fitted to the loss of new lines on `--held-out`, a part of the training
lines that no model has seen; for each model alone and for all. The fitted powers need not sum to 1: what a model
knows by heart is excluded, so more of it costs nothing, and a sharper model may be a better one of what is left.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from machine import machine
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.data.vocabulary.protocol import Vocabulary
from spellout.generation.scoring import batches
from spellout.models.contract import LanguageModel
from spellout.models.softmax import log_softmax, picked
from spellout.models.table import parse_specification
from spellout.training.config import TrainingConfig
from spellout.training.schedule import Order, learning_rate
from spellout.training.train import learner_of

FIRST_STEP, LAST_STEP = 0.2, 0.02
"""Of the search for powers."""


@dataclass(frozen=True)
class Said:
    """What models say of lines: log-probabilities (models, N, V), the targets (N,), and where each line begins."""

    logs: np.ndarray
    targets: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, models: Sequence[LanguageModel], vocabulary: Vocabulary, lines: Sequence[str]) -> Said:
        """Ask the models for every position."""
        stream = vocabulary.encode(lines)
        ends = np.flatnonzero(stream == 0)
        logs = np.empty((len(models), len(stream) - 1, vocabulary.size), np.float32)
        for numbers, tokens, targets, lengths in batches(stream):
            inside = np.arange(targets.shape[1]) < lengths[:, None]
            places = (ends[numbers][:, None] + np.arange(targets.shape[1]))[inside]
            for said, model in zip(logs, models, strict=True):
                said[places] = model.log_probabilities(tokens)[inside]
        return cls(logs, stream[1:], ends[:-1])

    def by_line(self, powers: Sequence[float]) -> np.ndarray:
        """Log-probabilities of the lines by the product of the models, each to a power."""
        product = log_softmax(np.tensordot(np.float32(powers), self.logs, 1))
        return np.add.reduceat(picked(product, self.targets), self.starts)


def judged(powers: Sequence[float], training: Said, held: Said) -> dict[str, float]:
    """Nats per character of held-out lines as they are and as new ones, and the mass on training lines."""
    mass = float(np.exp(training.by_line(powers)).sum())
    as_it_is = -float(held.by_line(powers).sum()) / len(held.targets)
    new = as_it_is + len(held.starts) / len(held.targets) * math.log1p(-min(mass, 1 - 1e-9))
    return {"as_it_is": round(as_it_is, 4), "mass": round(mass, 4), "new_lines": round(new, 4)}


def fitted(training: Said, held: Said) -> list[float]:
    """Powers with which held-out lines are likeliest as new ones: one after the other, in ever smaller steps."""
    powers = [1 / len(held.logs)] * len(held.logs)
    best, step = judged(powers, training, held)["new_lines"], FIRST_STEP
    while step >= LAST_STEP:
        gained = False
        for number in range(len(powers)):
            for sign in (step, -step):
                other = [*powers[:number], max(0.0, powers[number] + sign), *powers[number + 1 :]]
                loss = judged(other, training, held)["new_lines"]
                if loss < best:
                    powers, best, gained = other, loss, True
                    break
        step = step if gained else step / 2
    return [round(power, 3) for power in powers]


def trained(
    prepared: Prepared, specification: str, steps: int, points: list[float], seed: int
) -> tuple[LanguageModel, dict[str, object]]:
    """Train a model for so many steps, and judge it at some points."""
    parsed = parse_specification(specification)
    vocabulary, lines = prepared.vocabulary, sorted(set(prepared.split.train))

    def judge(model: LanguageModel) -> dict[str, float]:
        said = [Said.of([model], vocabulary, part) for part in (lines, prepared.split.dev)]
        return judged([1.0], *said)

    begin = time.process_time()
    if parsed.family.count is not None:
        model, _ = parsed.family.count(prepared.stream, vocabulary.size, parsed.config, lambda event: None)
        row: dict[str, object] = {"ms": round((time.process_time() - begin) * 1e3), **judge(model)}
        print(specification, row, flush=True)
        return model, row
    config = TrainingConfig(steps=steps, train_seed=seed, threads=1)
    learner = learner_of(parsed, prepared.stream, vocabulary.size, config)
    order = Order(learner.examples, learner.batch, seed)
    marks = {max(1, round(point * steps)) for point in points} | {steps}
    seconds, found = 0.0, []
    for step in range(steps):
        begin = time.process_time()
        rate = learning_rate(learner.lr, config.warmup, config.decay, (step + 0.5) / steps)
        learner.step(order.at(step), rate)
        seconds += time.process_time() - begin
        if step + 1 in marks:
            found.append({"step": step + 1, **judge(learner.model())})
            print(specification, found[-1], flush=True)
    return learner.model(), {"steps": steps, "ms_a_step": round(seconds / steps * 1e3, 2), "points": found}


def products(
    prepared: Prepared, names: list[str], models: list[LanguageModel], held_out: list[str]
) -> dict[str, object]:
    """Judge the models together, and each alone, with powers that are fitted."""
    parts = (sorted(set(prepared.split.train)), held_out, prepared.split.dev)
    training, held, dev = (Said.of(models, prepared.vocabulary, part) for part in parts)
    equal = [1 / len(models)] * len(models)
    rows: dict[str, object] = {"geometric mean": judged(equal, training, dev)}
    chosen = {name: [number] for number, name in enumerate(names)} | {"all": list(range(len(models)))}
    for name, numbers in chosen.items() if held_out else ():
        some = [replace(said, logs=said.logs[numbers]) for said in (training, held, dev)]
        powers = fitted(*some[:2])
        rows[f"{name}, fitted"] = {"powers": powers, **judged(powers, some[0], some[2])}
        print(name, "fitted", rows[f"{name}, fitted"], flush=True)
    return rows


def main() -> None:
    """Train, judge and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--steps", default="4000", help="one number, or one for each model, with commas")
    parser.add_argument("--points", default="0.5,1")
    parser.add_argument("--seed", type=int, default=0, help="of the first model; each further one has the next")
    parser.add_argument(
        "--held-out", type=float, default=0.0, help="the part of training lines that fit the powers"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    prepared = Prepared.of(Lines.read(arguments.path), DataConfig())
    lines = list(prepared.split.train)
    number = round(arguments.held_out * len(lines))  # the split has shuffled them
    if number:
        kept = replace(prepared.split, train=lines[number:])
        prepared = replace(prepared, split=kept, stream=prepared.vocabulary.encode(kept.train))
    steps = [int(number) for number in arguments.steps.split(",")]
    steps = steps * len(arguments.models) if len(steps) == 1 else steps
    points = [float(point) for point in arguments.points.split(",")]
    names = [f"{number} {name}" for number, name in enumerate(arguments.models, 1)]
    found = [
        trained(prepared, specification, most, points, arguments.seed + index)
        for index, (specification, most) in enumerate(zip(arguments.models, steps, strict=True))
    ]
    result: dict[str, object] = {"bench": "new_recipes", "machine": machine(), "torch": torch.__version__}
    result["held_out"] = arguments.held_out
    result["models"] = dict(zip(names, (row for _, row in found), strict=True))
    result["products"] = products(prepared, names, [model for model, _ in found], lines[:number])
    print(json.dumps(result))


if __name__ == "__main__":
    main()
