"""How well the counting models do, and how fast: `python bench/counting.py NAMES.txt`.

On the lecture split and on the distinct split of a list: the add-one bigram, closed-form modified Kneser–Ney, and
fitted discounts; seconds are medians of training and evaluation together on one core, imports excluded. Then a
Markov source whose entropy is known. The baseline in the same run is the first lecture's own way of counting
(a dictionary of bigrams in a Python loop). The last line is one JSON object.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

from machine import machine
from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.markov import MarkovSource
from spellout.data.prepared import Prepared
from spellout.generation.evaluation import evaluate
from spellout.lectures.counted import counted_in_python

MODELS = (
    "ngram:2:smoothing=add-k",
    "ngram:5:smoothing=closed-form",
    "ngram:6:smoothing=closed-form",
    "ngram:5:shape=no",
    "ngram:6:shape=no",
    "ngram",
)


def median_seconds(function: Callable[[], object], rounds: int = 5) -> float:
    """Median wall seconds of a function."""
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def main(path: str) -> None:
    """Measure and print."""
    result: dict[str, object] = {"bench": "counting", "machine": machine()}
    lines = Lines.read(path)
    for split in ("lecture", "distinct"):
        prepared = Prepared.of(lines, DataConfig(split=split))
        rows = {}
        for model in MODELS:
            trained = train(prepared, model)
            assert trained.dev is not None
            rows[model] = {
                "order": trained.run.model.settings()["order"],
                "dev_nats_per_char": round(trained.dev.nats_per_char, 4),
                "parameters": trained.run.model.parameters,
                "seconds": round(median_seconds(partial(train, prepared, model)), 4),
            }
        begin = time.perf_counter()
        baseline = counted_in_python(prepared.split.train, prepared.split.dev)
        rows["the lecture's bigram in plain Python"] = {
            "dev_nats_per_char": round(baseline, 4),
            "seconds": round(time.perf_counter() - begin, 4),
        }
        result[split] = rows
    source = MarkovSource(order=2, seed=1)
    learned = train(Prepared.of(Lines.of(source.sample(1_000_000, seed=2)), DataConfig(split="none")), "ngram:3")
    fresh = source.sample(1_000_000, seed=3)
    nats = evaluate(learned.run.model, learned.run.vocabulary, fresh).nats_per_char
    result["markov"] = {
        "entropy": round(source.entropy, 4),
        "nats_per_char": round(nats, 4),
        "seconds": round(learned.seconds, 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1])
