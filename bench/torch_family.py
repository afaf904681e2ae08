"""The networks in PyTorch: speed of a step, speed of sampling, and the best dev loss of a budget of seconds.

    python bench/torch_family.py NAMES.txt [--only steps,sampling,quality] [--seconds 60,600]

Steps: against the plain eager style of the same model, batch and sizes (bench/plain_models.py), interleaved,
medians of processor time on one core.
Sampling: 10,000 lines against recomputing one line at a time, which is timed over 100.
Quality: two networks side by side, each on a core, and their mixture, on dev lines of both splits. The budget runs
from the start of the processes until the models are back; the test loss is told once beside it.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from functools import partial
from itertools import islice, pairwise

import numpy as np
import torch
from torch import nn

import plain_models as plain
from machine import machine
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.generation.config import SamplingConfig
from spellout.generation.evaluation import evaluate
from spellout.generation.sampling import sample
from spellout.models.mixture import Mixture
from spellout.training.at_once import train_each
from spellout.training.config import TrainingConfig
from spellout.training.prepared import Prepared
from spellout.training.prior import learner_of, parse
from spellout.training.schedule import Order
from spellout.training.train import train

ROUNDS, STEPS_A_ROUND = 7, 10
SPECIFICATIONS = {
    "mlp-bn": "mlp-bn:256:context=8:embedding=16",
    "wavenet": "wavenet:128:levels=3:embedding=24",
    "rnn": "rnn:128:dropout=0:optimizer=adamw",
    "gru": "gru:128:dropout=0:optimizer=adamw",
    "lstm": "lstm:128:dropout=0:optimizer=adamw",
    "bow": "bow:128",
    "transformer": "transformer:64:layers=3:heads=4:dropout=0:optimizer=adamw",
}
BEST = {
    60: ["gru:192:dropout=0.1", "gru+ngram"],
    600: ["transformer:96:heads=6:dropout=0.15", "gru:256:dropout=0.45+ngram"],
}
"""For each budget of seconds a network alone and one with counts."""
AROUND = 6.0
"""Seconds of a budget that starting the processes and taking the models over may take."""


def plain_step(name: str, prepared: Prepared, batch: int):
    """A step in the plain style: the same model, batch and sizes; lines padded to the longest of all."""
    size, lines = prepared.vocabulary.size, prepared.split.train
    longest = max(map(len, lines)) + 1
    stream = prepared.stream.astype(np.int64)
    if name in ("mlp-bn", "wavenet"):
        model = plain.Tree(size, 16, 256, 8, 0) if name == "mlp-bn" else plain.Tree(size, 24, 128, 8, 3)
        from spellout.lectures.loops import examples_of

        x, y = examples_of(prepared.stream, 8)
    else:
        models = {
            "bow": lambda: plain.Bow(size, 64, 128, longest),
            "transformer": lambda: plain.Transformer(size, 64, 3, 4, longest),
        }
        model = models[name]() if name in models else plain.Recurrent(name, size, 32, 128)
        starts = np.flatnonzero(stream == 0)
        x, y = torch.zeros(len(lines), longest, dtype=torch.long), torch.full((len(lines), longest), -1)
        for row, (start, end) in enumerate(pairwise(starts)):
            x[row, : end - start] = torch.tensor(stream[start:end])
            y[row, : end - start] = torch.tensor(stream[start + 1 : end + 1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.05)

    def step(chosen: np.ndarray) -> None:
        index = torch.as_tensor(chosen)
        logits = model(x[index])
        loss = nn.functional.cross_entropy(logits.flatten(0, -2), y[index].flatten(), ignore_index=-1)
        model.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def steps(prepared: Prepared) -> dict[str, object]:
    """Milliseconds of a step, plain and ours, and how many times as fast."""
    rows = {}
    for name, specification in SPECIFICATIONS.items():
        learner = learner_of(parse(specification), prepared.stream, prepared.vocabulary.size, TrainingConfig())
        order = Order(learner.examples, learner.batch, 0)
        ways = {
            "plain": plain_step(name, prepared, learner.batch),
            "ours": partial(learner.step, lr=1e-3),
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(ROUNDS + 1):
            for way, step in ways.items():
                begin = time.process_time()
                for index in range(STEPS_A_ROUND):
                    step(order.at(number * STEPS_A_ROUND + index))
                if number:
                    times[way].append((time.process_time() - begin) / STEPS_A_ROUND * 1e3)
        row = {f"{way}_ms": round(statistics.median(taken), 2) for way, taken in times.items()}
        rows[name] = {"batch": learner.batch, **row, "times": round(row["plain_ms"] / row["ours_ms"], 2)}
        print(name, rows[name], flush=True)
    return rows


def sampling(prepared: Prepared) -> dict[str, object]:
    """Seconds for 10,000 lines, and with one line at a time, recomputed from its start at every letter."""
    rows = {}
    for name, specification in SPECIFICATIONS.items():
        run = train(prepared, specification, training=TrainingConfig(steps=100, evaluate_every=100)).run
        list(islice(sample(run.model, run.vocabulary, SamplingConfig()), 100))
        begin = time.perf_counter()
        list(islice(sample(run.model, run.vocabulary, SamplingConfig()), 10_000))
        ours = time.perf_counter() - begin
        random, begin = np.random.default_rng(0), time.perf_counter()
        for _ in range(100):
            tokens = np.zeros((1, 1), np.int64)
            while tokens.shape[1] < 40:
                chances = np.exp(run.model.log_probabilities(tokens)[0, -1])
                token = int(random.choice(len(chances), p=chances / chances.sum()))
                if token == 0:
                    break
                tokens = np.column_stack([tokens, [[token]]])
        alone = (time.perf_counter() - begin) * 100
        rows[name] = {"seconds": round(ours, 2), "recomputing": round(alone, 1), "times": round(alone / ours, 1)}
        print(name, rows[name], flush=True)
    return rows


def quality(lines: Lines, budget: int) -> dict[str, object]:
    """Dev and test losses of the best networks after a budget, and of their mixture."""
    result: dict[str, object] = {}
    for split in ("lecture", "distinct"):
        prepared = Prepared.of(lines, DataConfig(split=split))
        begin = time.perf_counter()
        training = TrainingConfig(seconds=budget - AROUND, patience=0)
        trained = list(train_each(prepared, BEST[budget], training, at_once=2))
        rows: dict[str, object] = {"seconds": round(time.perf_counter() - begin, 1)}
        models = [one.run.model for one in trained]
        for name, one in zip(BEST[budget], trained, strict=True):
            rows[name] = judged(prepared, one.run.model) | {"steps": one.run.facts["results"]["steps"]}
        rows["mixture"] = judged(prepared, Mixture(models))
        print(budget, split, rows, flush=True)
        result[split] = rows
    return result


def judged(prepared: Prepared, model: object) -> dict[str, object]:
    """Nats per character on dev and test lines."""
    parts = {"dev": prepared.split.dev, "test": prepared.split.test}
    return {
        part: round(evaluate(model, prepared.vocabulary, held).nats_per_char, 4) for part, held in parts.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("--only", default="steps,sampling,quality")
    parser.add_argument("--seconds", default="60,600")
    arguments = parser.parse_args()
    lines = Lines.read(arguments.path)
    prepared = Prepared.of(lines, DataConfig(split="lecture"))
    result: dict[str, object] = {
        "bench": "torch_family",
        "machine": machine(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    if "steps" in arguments.only:
        result["steps"] = steps(prepared)
    if "sampling" in arguments.only:
        result["sampling"] = sampling(prepared)
    if "quality" in arguments.only:
        for budget in map(int, arguments.seconds.split(",")):
            result[f"quality_{budget}"] = quality(lines, budget)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
