"""The paper's table again: n-grams, its network, and ours, with and without a mixture (Bengio et al. 2003).

    python bench/words.py TRAIN VALID TEST                 # perplexities on VALID; TEST is not read
    python bench/words.py TRAIN VALID TEST --test          # also on TEST, once, at the end
    python bench/words.py TRAIN VALID TEST --only mlp --seconds 60 --threads 2

TRAIN, VALID and TEST hold a sentence a line; words seen at most three times in TRAIN are one unknown word. The
n-gram to compare with has the order that is best on VALID. `--seconds` is for each network (its training alone; the
rest is shown too), `--steps` instead makes it repeatable. The last line is one JSON object.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from machine import machine
from spellout.data.lines import Lines
from spellout.lectures.words import (
    NETWORK,
    ORDERS,
    Perplexity,
    best_ngram,
    mixture,
    nats_of,
    ngrams,
    prepared_words,
)
from spellout.models.table import parse_specification
from spellout.training.config import TrainingConfig

NETWORKS = {
    "paper": ("mlp:100:context=4:embedding=30", None),
    "mlp": (NETWORK, None),
    "gru": ("gru:200:embedding=100:tied=yes:dropout=0.3:optimizer=adamw", (48, 3e-3)),
}
"""Specifications, and batches and rates that are not their own."""


def main() -> None:
    """Train, judge and print."""
    parser = ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("train", type=Path)
    parser.add_argument("valid", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--test", dest="look", action="store_true", help="also read TEST")
    parser.add_argument("--only", default=",".join(NETWORKS), help="which networks, separated by commas; or none")
    parser.add_argument("--seconds", type=float, default=400.0, help="for the training of each network")
    parser.add_argument("--steps", type=int, help="instead of seconds")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch")
    options = parser.parse_args()

    dev = Lines.read(options.valid).in_file_order()
    test = Lines.read(options.test).in_file_order() if options.look else []
    prepared = prepared_words(Lines.read(options.train), dev, test)
    parts = {"valid": dev, "test": test} if options.look else {"valid": dev}
    streams = {name: prepared.vocabulary.encode(lines) for name, lines in parts.items()}
    print(f"{len(prepared.stream) - 1:,} tokens to train on, a vocabulary of {prepared.vocabulary.size:,}")
    print(f"{'model':32}{'part':>7}{'every':>9}{'words':>9}{'ratio':>8}{'seconds':>9}{'of cpu':>8}")

    start, cpu = perf_counter(), process_time()
    found = ngrams(prepared)
    ngram = best_ngram(found)[1]
    floor = {name: Perplexity.of(nats_of(ngram, stream), stream) for name, stream in streams.items()}
    times = {"seconds": (perf_counter() - start) / len(ORDERS), "cpu": (process_time() - cpu) / len(ORDERS)}
    rows: list[dict[str, Any]] = []

    def add(model: str, part: str, perplexity: Perplexity, **facts: Any) -> None:
        ratio = perplexity.every / floor[part].every
        rows.append({"model": model, "part": part, **asdict(perplexity), "ratio": ratio, **facts})
        print(
            f"{model:32}{part:>7}{perplexity.every:9.2f}{perplexity.words:9.2f}{ratio:8.4f}"
            f"{facts['seconds']:9.1f}{facts['cpu']:8.1f}",
            flush=True,
        )

    for order, (perplexity, _) in zip(ORDERS, found, strict=True):
        add(f"ngram:{order}", "valid", perplexity, **times)
    if options.look:
        add(f"ngram:{ngram.order}", "test", floor["test"], **times)

    for name in [name for name in options.only.split(",") if name in NETWORKS]:
        specification, own = NETWORKS[name]
        batch, lr = own or (None, None)
        budget = {"steps": options.steps} if options.steps else {"seconds": options.seconds}
        training = TrainingConfig(**budget, batch=batch, lr=lr, patience=0, threads=options.threads)
        start, cpu = perf_counter(), process_time()
        both = mixture(prepared, ngram, parse_specification(specification), training, lambda event: None)
        facts: dict[str, Any] = {
            "specification": specification,
            "weight": both.weight,
            "steps": both.facts["steps"],
            "seconds": perf_counter() - start,
            "cpu": process_time() - cpu,
        }
        for part, stream in streams.items():
            alone, together = (Perplexity.of(nats, stream) for nats in both.nats(stream))
            add(name, part, alone, **facts)
            add(f"{name} and ngram:{ngram.order}, {both.weight:.2f}", part, together, **facts)
    print(json.dumps({"machine": machine(), "best": ngram.order, "rows": rows}))


if __name__ == "__main__":
    main()
