"""Ensembles: product against mixture, fitted weights against equal ones, and how many held-out lines are enough.

    python bench/ensembles.py NAMES.txt [--split distinct] [--steps 300] [--part 0.04]

Members are trained for a few hundred steps on the training lines but for a part, which fits the weights; dev lines
judge. Of a product the weights are also fitted under the condition that they sum to 1. With fewer held-out lines,
every kind is fitted to the first, the next, … so many of them, and the mean dev loss is told. What holding lines
out costs an n-gram and a network that starts from it, and what counting them in the end wins back, is told too. The
last line is one JSON object; losses are nats per character.
"""

from __future__ import annotations

import argparse
import json
import math

import numpy as np

from machine import machine
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation.evaluation import evaluate
from spellout.generation.scoring import batches
from spellout.models.contract import LanguageModel
from spellout.models.ensembles.fitting import mixture_weights, product_weights
from spellout.models.ensembles.mixture import Mixture
from spellout.models.ensembles.product import Product
from spellout.models.softmax import picked
from spellout.models.table import parse_specification
from spellout.training import held_out as holding
from spellout.training.config import TrainingConfig
from spellout.training.job import Job
from spellout.training.train import train

MEMBERS = {
    "ngram": ("ngram", 0),
    "mlp": ("mlp", 0),
    "mlp+ngram": ("mlp+ngram", 0),
    "mlp+ngram, seed 1": ("mlp+ngram", 1),
    "gru+ngram": ("gru:64+ngram", 0),
    "transformer+ngram": ("transformer:32:layers=2+ngram", 0),
}
TIMES = {"mlp": 3}
"""Networks in NumPy take so many times the steps, which are cheaper."""
ENSEMBLES = [
    ["mlp", "ngram"],
    ["mlp+ngram", "mlp+ngram, seed 1"],
    ["mlp+ngram", "gru+ngram"],
    ["gru+ngram", "transformer+ngram"],
    ["ngram", "mlp", "mlp+ngram", "gru+ngram", "transformer+ngram"],
]
COUNTING = ("ngram", "mlp+ngram")
SIZES = (25, 50, 100, 200, 400, 800)
ROUNDS = 2000


def said(model: LanguageModel, prepared: Prepared, lines: list[str]) -> list[tuple[np.ndarray, np.ndarray]]:
    """What a model says at every place of each line, (T, V), and what came there, (T,)."""
    found: list[tuple[np.ndarray, np.ndarray]] = [(np.zeros((0, 0)), np.zeros(0))] * len(lines)
    for numbers, tokens, targets, sizes in batches(prepared.vocabulary.encode(lines)):
        logs = model.log_probabilities(tokens)
        for number, row, target, size in zip(numbers, logs, targets, sizes, strict=True):
            found[number] = row[:size], target[:size].astype(np.int64)
    return found


def powers_of_one(logs: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The best powers of a product among those that sum to 1, by exponentiated gradients."""
    came = picked(logs, np.broadcast_to(chosen, logs.shape[:2])).mean(axis=1)
    weights = np.full(len(logs), 1.0 / len(logs))
    for _ in range(ROUNDS):
        chances = np.exp(Product.mean(logs, weights.tolist()))
        weights *= np.exp(5.0 * (came - np.einsum("npv,pv->n", logs, chances) / len(chosen)))
        weights /= weights.sum()
    return weights


def fits(logs: np.ndarray, chosen: np.ndarray) -> dict[str, np.ndarray]:
    """The weights of every kind."""
    own = picked(logs, np.broadcast_to(chosen, logs.shape[:2]))
    return {"mixture": mixture_weights(own), "product": product_weights(logs, chosen)}


def loss(kind: str, weights: np.ndarray, logs: np.ndarray, chosen: np.ndarray) -> float:
    """Nats per token."""
    if kind == "mixture":
        own = picked(logs, np.broadcast_to(chosen, logs.shape[:2]))
        return -float(Mixture.mean(own[weights > 0], weights[weights > 0].tolist()).mean())
    rows = Product.mean(logs[weights > 0], weights[weights > 0].tolist())
    return -float(picked(rows, chosen).mean())


def joined(places: list[list[tuple[np.ndarray, np.ndarray]]], chosen: range) -> tuple[np.ndarray, np.ndarray]:
    """What members say (N, P, V), and what came (P,), on some of the lines."""
    logs = np.stack([np.concatenate([lines[one][0] for one in chosen]) for lines in places])
    return logs, np.concatenate([places[0][one][1] for one in chosen])


def compared(names: list[str], held: dict, dev: dict, per_char: float) -> dict[str, object]:
    """One ensemble: every kind of weights, and fewer lines to fit them."""
    fitting, judging = [held[name] for name in names], [dev[name] for name in names]
    logs, chosen = joined(fitting, range(len(fitting[0])))
    all_dev = joined(judging, range(len(judging[0])))
    even = np.full(len(names), 1.0 / len(names))
    weights = fits(logs, chosen)
    held_out = {kind: loss(kind, one, logs, chosen) for kind, one in weights.items()}
    alone = (loss("mixture", one, *all_dev) for one in np.eye(len(names)))
    row: dict[str, object] = {"alone": [round(per_char * one, 4) for one in alone]}
    ways = {
        "mixture, equal": ("mixture", even),
        "mixture, fitted": ("mixture", weights["mixture"]),
        "product, equal": ("product", even),
        "product, fitted": ("product", weights["product"]),
        "product, fitted, sum 1": ("product", powers_of_one(logs, chosen)),
    }
    for way, (kind, one) in ways.items():
        row[way] = round(per_char * loss(kind, one, *all_dev), 4)
    row["taken"] = min(held_out, key=held_out.__getitem__)
    row["weights"] = {kind: np.round(one, 3).tolist() for kind, one in weights.items()}
    sizes: dict[str, object] = {}
    for size in (size for size in SIZES if size <= len(fitting[0])):
        losses: dict[str, list[float]] = {"mixture": [], "product": [], "taken": []}
        for start in range(0, min(len(fitting[0]), 8 * size) - size + 1, size):
            some = joined(fitting, range(start, start + size))
            found = fits(*some)
            judged = {kind: per_char * loss(kind, one, *all_dev) for kind, one in found.items()}
            better = min(found, key=lambda kind: loss(kind, found[kind], *some))
            for kind, value in (judged | {"taken": judged[better]}).items():
                losses[kind].append(value)
        sizes[str(size)] = {kind: round(float(np.mean(values)), 4) for kind, values in losses.items()}
    row["by held-out lines"] = sizes
    return row


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("--split", default="distinct")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--part", type=float, default=holding.PART)
    arguments = parser.parse_args()
    whole = Prepared.of(Lines.read(arguments.path), DataConfig(split=arguments.split))
    holding.PART = arguments.part
    prepared, lines = holding.held_out(whole)
    per_char = (len(whole.vocabulary.encode(whole.split.dev)) - 1) / sum(len(line) + 1 for line in whole.split.dev)
    result: dict[str, object] = {
        "bench": "ensembles",
        "machine": machine(),
        "split": arguments.split,
        "lines": len(whole.split.train),
        "held out": len(lines),
    }
    held, dev, counting = {}, {}, {}
    for name, (specification, seed) in MEMBERS.items():
        asked = parse_specification(specification)
        steps = math.ceil(arguments.steps * TIMES.get(asked.family.name, 1))
        training = TrainingConfig(steps=steps, evaluate_every=max(1, steps // 4), patience=0, train_seed=seed)
        model = train(Job(prepared, asked, training)).run.model
        if name in COUNTING:
            everything = train(Job(whole, asked, training)).run.model
            (anew,) = holding.counted_anew([model], whole.stream)
            three = (evaluate(one, whole.vocabulary, whole.split.dev) for one in (everything, model, anew))
            counting[name] = [round(one.nats_per_char, 4) for one in three]
        held[name], dev[name] = said(model, whole, lines), said(model, whole, whole.split.dev)
    result["all lines, some held out, these counted in the end"] = counting
    print(json.dumps(counting), flush=True)
    for names in ENSEMBLES:
        title = " & ".join(names)
        result[title] = compared(names, held, dev, per_char)
        print(title, json.dumps(result[title]), flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
