"""The bounded search for an n-gram's order against the full one: `python bench/orders.py [LIST.txt ...]`.

Lists that the script makes, and those named: the bundled names, short lines (spellout's own n-gram of the names,
half with digits), the same with Zipf's repetitions, and different whole numbers. For each: processor seconds
of the training with the bounded search, and with the full one (every order from 1 upwards counted anew on all the
text and fitted), the orders, and the losses on dev lines; and the seconds of the whole path from the file to that
loss. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np

from machine import machine
from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation.config import SamplingConfig
from spellout.generation.evaluation import evaluate
from spellout.generation.sampling import sample
from spellout.models.contract import Event
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.counts import Counts
from spellout.models.ngram.discounts import Discounts, fit
from spellout.models.ngram.levels import build_levels
from spellout.models.ngram.model import NgramModel
from spellout.models.ngram.search import HIGHEST_ORDER_TRIED, WORSE_IN_A_ROW
from spellout.models.ngram.streams import hold_out
from spellout.models.ngram.training import train_ngram


def lists(count: int) -> dict[str, list[str]]:
    """The lists made, by name."""
    names = Lines.bundled()
    run = train(Prepared.of(names, DataConfig()), "ngram:6").run
    chance = random.Random(1)
    made = islice(sample(run.model, run.vocabulary, SamplingConfig(seed=1)), count)
    short = [one.text + (str(chance.randrange(100)) if chance.random() < 0.5 else "") for one in made]
    different = list(dict.fromkeys(short))
    ranks = np.random.default_rng(1).zipf(1.15, count) % len(different)
    return {
        "names": names.distinct,
        "short lines": short,
        "repeated lines": [different[rank] for rank in ranks.tolist()],
        "whole numbers": [str(number) for number in chance.sample(range(10 * count), count)],
    }


def full_search(stream: np.ndarray, size: int) -> NgramModel:
    """Every order counted anew and fitted on all the text, until two in a row bring nothing."""
    cut = hold_out(stream)
    best, order, start = math.inf, 0, None
    chosen: Discounts | None = None
    for n in range(1, HIGHEST_ORDER_TRIED + 1):
        levels = build_levels(Counts.of(stream[: cut + 1], n, size))
        held_out = Counts.of(stream[cut:], n, size)
        start = fit(levels, held_out, start)
        nats = NgramModel(levels, start).nats_per_token(held_out)
        if nats < best - 1e-4:
            best, order, chosen = nats, n, start
        elif n - order == WORSE_IN_A_ROW:
            break
    return NgramModel.estimate(Counts.of(stream, order, size), NgramConfig(), chosen)


def measured(train_model: Callable[[], NgramModel], prepared: Prepared) -> dict[str, float]:
    """Processor seconds of a training, the order, and the dev loss."""
    begin = time.process_time()
    model = train_model()
    seconds = time.process_time() - begin
    loss = evaluate(model, prepared.vocabulary, prepared.split.dev).nats_per_char
    return {"order": model.order, "dev_nats_per_char": round(loss, 4), "seconds": round(seconds, 3)}


def compared(path: Path, full: bool) -> dict[str, object]:
    """One list, from its file on."""
    begin = time.process_time()
    prepared = Prepared.of(Lines.read(path), DataConfig())
    size = prepared.vocabulary.size

    def bounded() -> NgramModel:
        return train_ngram(prepared.stream, size, NgramConfig(), ignore)[0]

    row: dict[str, object] = {"lines": len(prepared.lines), "tokens": len(prepared.stream)}
    row["bounded"] = measured(bounded, prepared)
    row["file_to_loss_seconds"] = round(time.process_time() - begin, 3)
    if full:
        row["full"] = measured(lambda: full_search(prepared.stream, size), prepared)
    return row


def ignore(event: Event) -> None:
    """Hear nothing."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=300_000)
    parser.add_argument("--bounded-only", action="store_true", help="leave out the full search, which takes long")
    parser.add_argument("files", nargs="*", type=Path)
    arguments = parser.parse_args()
    result: dict[str, object] = {"bench": "orders", "machine": machine()}
    with tempfile.TemporaryDirectory(prefix="spellout-orders-") as folder:
        paths = {path.stem: path for path in arguments.files}
        for name, texts in lists(arguments.lines).items() if arguments.lines else ():
            paths[name] = Path(folder) / f"{name}.txt"
            paths[name].write_text("\n".join(texts) + "\n", encoding="utf-8")
        for name, path in paths.items():
            result[name] = compared(path, not arguments.bounded_only)
            print(name, json.dumps(result[name]), flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
