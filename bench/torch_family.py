"""The networks in PyTorch: speed of a step, speed of sampling, and the best dev loss of a budget of seconds.

    python bench/torch_family.py NAMES.txt [--only parts,steps,sampling,alone,quality] [--seconds 60,600]

Parts: layers of our own against PyTorch's, forward and backward, and the orthogonal updates of Muon against its
author's formula; medians of processor time on one core.
Steps: against the plain eager style of the same model, batch and sizes (bench/plain_models.py), interleaved,
medians of processor time on one core.
Sampling: 10,000 lines against recomputing one line at a time, which is timed over 100.
Alone: networks with counts, by the part of the loss that is the network's own, after a number of steps; dev lines.
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
from torch.nn.utils.rnn import PackedSequence

import plain_models as plain
from machine import machine
from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation.config import SamplingConfig
from spellout.generation.evaluation import evaluate
from spellout.generation.sampling import sample
from spellout.models.pytorch import learner as torch_learner
from spellout.models.pytorch.device import reproducible
from spellout.models.pytorch.layers import FastDropout, PackedGru
from spellout.models.pytorch.optimizers import orthogonal
from spellout.models.pytorch.transformer import causal_self_attention
from spellout.models.table import parse_specification
from spellout.training.config import TrainingConfig
from spellout.training.experiments.comparison import mix, train_each
from spellout.training.schedule import Order
from spellout.training.train import learner_of

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
WITH_COUNTS = {"gru:128+ngram": 4000, "transformer+ngram": 5000}
"""For each network with counts a number of steps."""
PARTS = (0.0, torch_learner.ALONE, 0.5)
AROUND = 6.0
"""Seconds of a budget that starting the processes and taking the models over may take."""


def parts() -> dict[str, object]:
    """Milliseconds of layers, PyTorch's and ours: dropout of a batch, a gru over lines, attention with dropout,
    orthogonal matrices."""
    torch.manual_seed(0)
    sizes = torch.tensor([128] * 4 + [112, 96, 64, 48, 32, 16, 16, 16])
    x = torch.randn(int(sizes.sum()), 128, requires_grad=True)
    fused = partial(nn.functional.scaled_dot_product_attention, is_causal=True, dropout_p=0.1)
    ways = {
        "dropout": [partial(layer, x) for layer in (nn.Dropout(0.1), FastDropout(0.1))],
        "gru": [partial(remembered, layer, x, sizes) for layer in (nn.GRU(128, 128), PackedGru(128, 128))],
    }
    ours = partial(causal_self_attention, dropout=FastDropout(0.1))
    for length in (12, 24, 48):
        qkv = torch.randn(3, 128, 4, length, 16, requires_grad=True).unbind()
        ways[f"attention over {length}"] = [partial(way, *qkv) for way in (fused, ours)]
    for shape in ((1, 192, 576), (1, 256, 768), (6, 96, 384)):
        ways[f"orthogonal {shape}"] = [partial(way, torch.randn(shape)) for way in (newton_schulz, orthogonal)]
    rows = {}
    for name, pair in ways.items():
        times: list[list[float]] = [[], []]
        for _ in range(30):
            for way, taken in zip(pair, times, strict=True):
                begin = time.process_time()
                with reproducible(torch.device("cpu"), 1):
                    result = way()
                    if result.requires_grad:
                        result.sum().backward()
                taken.append((time.process_time() - begin) * 1e3)
        pytorchs, ours = map(statistics.median, times)
        rows[name] = {
            "pytorch_ms": round(pytorchs, 2),
            "ours_ms": round(ours, 2),
            "times": round(pytorchs / ours, 2),
        }
        print(name, rows[name], flush=True)
    return rows


def remembered(layer: nn.GRU, x: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    """What a recurrent layer remembers after each token of packed lines."""
    return layer(PackedSequence(x, sizes))[0].data


def newton_schulz(x: torch.Tensor) -> torch.Tensor:
    """Five rounds as Jordan 2024 writes them, in float32."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = x / x.norm(dim=(-2, -1), keepdim=True)
    for _ in range(5):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return x


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
        learner = learner_of(
            parse_specification(specification), prepared.stream, prepared.vocabulary.size, TrainingConfig(threads=1)
        )
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
        run = train(prepared, specification, training=TrainingConfig(steps=100, evaluate_every=100, threads=1)).run
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


def alone(prepared: Prepared) -> dict[str, object]:
    """Dev losses of networks with counts, by the part of the loss that is the network's own."""
    rows: dict[str, object] = {}
    for specification, number in WITH_COUNTS.items():
        for part in PARTS:
            torch_learner.ALONE = part
            training = TrainingConfig(steps=number, evaluate_every=number, patience=0, threads=1)
            dev = train(prepared, specification, training=training).dev
            rows[f"{specification}, {number} steps, {part:g} alone"] = round(dev.nats_per_char, 4)
            print(rows, flush=True)
    torch_learner.ALONE = PARTS[1]
    return rows


def quality(lines: Lines, budget: int) -> dict[str, object]:
    """Dev and test losses of the best networks after a budget, and of their mixture."""
    result: dict[str, object] = {}
    for split in ("lecture", "distinct"):
        prepared = Prepared.of(lines, DataConfig(split=split))
        begin = time.perf_counter()
        training = TrainingConfig(seconds=budget - AROUND, patience=0)
        trained = list(train_each(prepared, list(map(parse_specification, BEST[budget])), training, at_once=2))
        rows: dict[str, object] = {"seconds": round(time.perf_counter() - begin, 1)}
        first, second = (one.run.model for one in trained)
        for name, one in zip(BEST[budget], trained, strict=True):
            rows[name] = judged(prepared, one.run.model) | {"steps": one.run.facts["results"]["steps"]}
        found = {part: mix(prepared, first, second, part) for part in ("dev", "test")}
        rows["mixture"] = {part: round(result.nats_per_char, 4) for part, (_, result) in found.items()}
        rows["weight of the first"] = round(found["test"][0].weight, 3)
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
    parser.add_argument("--only", default="parts,steps,sampling,alone,quality")
    parser.add_argument("--seconds", default="60,600")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines = Lines.read(arguments.path)
    prepared = Prepared.of(lines, DataConfig(split="lecture"))
    result: dict[str, object] = {
        "bench": "torch_family",
        "machine": machine(),
        "torch": torch.__version__,
    }
    if "parts" in arguments.only:
        result["parts"] = parts()
    if "steps" in arguments.only:
        result["steps"] = steps(prepared)
    if "sampling" in arguments.only:
        result["sampling"] = sampling(prepared)
    if "alone" in arguments.only:
        result["alone"] = alone(prepared)
    if "quality" in arguments.only:
        for budget in map(int, arguments.seconds.split(",")):
            result[f"quality_{budget}"] = quality(lines, budget)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
