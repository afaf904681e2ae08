"""Trainings judged by new lines: dev losses as they are and given that a line is new, at several points.

    python bench/new_recipes.py LINES.txt MODEL... [--steps 4000] [--points 0.25,0.5,1] [--seed 0]

For each model and each point of its training: the loss of the dev lines in nats per character as it is, the mass
(the part of its probability that the model gives to its distinct training lines), and the loss of the dev lines
given that they are none of these: P(line) / (1 - mass). The split is by distinct lines, so no dev line is one.
At the end the same for the geometric mean of all models, each with the same weight, where there are several.
The rate falls to zero at the last point only. Milliseconds are processor time of one thread.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import time

import numpy as np
import torch

from machine import machine
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation.scoring import batches
from spellout.models.contract import LanguageModel
from spellout.models.neural import log_softmax, picked
from spellout.models.table import parse_specification
from spellout.training.config import TrainingConfig
from spellout.training.schedule import Order, learning_rate
from spellout.training.train import learner_of


def judged(models: list[LanguageModel], prepared: Prepared) -> dict[str, float]:
    """The loss of dev lines, the mass on training lines, and the loss of dev lines given that they are new."""
    lines = -nats_of(models, prepared.vocabulary.encode(sorted(set(prepared.split.train))))
    mass = float(np.exp(lines).sum())
    dev = prepared.split.dev
    nats = nats_of(models, prepared.vocabulary.encode(dev))
    characters = sum(map(len, dev)) + len(dev)
    as_it_is = float(nats.sum()) / characters
    new = as_it_is + len(dev) / characters * math.log1p(-mass)
    return {"as_it_is": round(as_it_is, 4), "mass": round(mass, 4), "new_lines": round(new, 4)}


def nats_of(models: list[LanguageModel], stream: np.ndarray) -> np.ndarray:
    """Minus the log-probability of each line of a stream, of the geometric mean of the models."""
    nats = np.zeros(int((stream == 0).sum()) - 1)
    for numbers, tokens, targets, lengths in batches(stream):
        logs = log_softmax(np.mean([model.log_probabilities(tokens) for model in models], axis=0))
        inside = np.arange(targets.shape[1]) < lengths[:, None]
        nats[numbers] = -np.where(inside, picked(logs, targets), 0.0).sum(axis=1)
    return nats


def trained(
    prepared: Prepared, specification: str, steps: int, points: list[float], seed: int
) -> tuple[LanguageModel, dict[str, object]]:
    """Train a model for so many steps, and judge it at some points."""
    parsed = parse_specification(specification)
    config = TrainingConfig(steps=steps, train_seed=seed, threads=1)
    learner = learner_of(parsed, prepared.stream, prepared.vocabulary.size, config)
    order = Order(learner.examples, learner.batch, seed)
    marks = {max(1, round(point * steps)) for point in points} | {steps}
    seconds, found = 0.0, []
    for step in range(steps):
        begin = time.process_time()
        rate = learning_rate(learner.lr, config.warmup, config.decay, (step + 0.5) / steps)
        learner.step(order.at(step), rate)
        seconds += time.process_time() - begin
        if step + 1 in marks:
            found.append({"step": step + 1, **judged([learner.model()], prepared)})
            print(specification, found[-1], flush=True)
    return learner.model(), {"steps": steps, "ms_a_step": round(seconds / steps * 1e3, 2), "points": found}


def main() -> None:
    """Train, judge and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--steps", default="4000", help="one number, or one for each model, with commas")
    parser.add_argument("--points", default="0.5,1")
    parser.add_argument("--seed", type=int, default=0, help="of the first model; each further one has the next")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    prepared = Prepared.of(Lines.read(arguments.path), DataConfig())
    steps = [int(number) for number in arguments.steps.split(",")]
    steps = steps * len(arguments.models) if len(steps) == 1 else steps
    points = [float(point) for point in arguments.points.split(",")]
    models, rows = [], {}
    for number, (specification, most) in enumerate(zip(arguments.models, steps, strict=True)):
        model, row = trained(prepared, specification, most, points, arguments.seed + number)
        models.append(model)
        rows[f"{number + 1} {specification}"] = row
    result: dict[str, object] = {"bench": "new_recipes", "machine": machine(), "torch": torch.__version__}
    result["models"] = rows
    if len(models) > 1:
        result["geometric_mean"] = judged(models, prepared)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
