"""What it costs to ask for lines: `python bench/asked.py [FILE] [--models M,...] [--orders N,...] [--steps N]`.

Each model is trained on FILE (by default the bundled names) and asked for new lines of several kinds. Told are
which share of its lines is so, whether they come exactly, else which share of guided lines is kept and what those
lack that should come more often, for each order of the n-gram that guides; and processor seconds: until the model
of what was asked is there, and then for a line. Beside it stands what throwing others away would take for a line.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from itertools import islice
from time import process_time
from typing import Any

import numpy as np

from machine import machine
from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation.asked import making
from spellout.generation.asked.config import Asked
from spellout.generation.asked.thinning import drawn, plan
from spellout.generation.asked.wish import Wish
from spellout.generation.config import SamplingConfig
from spellout.generation.sampling import sample
from spellout.models.new_lines.sharpness import fitted_sharpness
from spellout.training.config import TrainingConfig
from spellout.training.runs.run import Run

WISHES = (
    Asked(length="5-8"),
    Asked(ends="a"),
    Asked(length="6-9", ends="ette"),
    Asked(contains="zz"),
    Asked(matches="(?:[^aeiou]*[aeiou]){5,}"),
    Asked(matches="J.*n.*x.*"),
)
LINES = 200


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?")
    parser.add_argument("--models", default="ngram,counts:8:steps=200,mlp+ngram")
    parser.add_argument("--orders", default="2,3,4,6")
    parser.add_argument("--steps", type=int, default=1000)
    arguments = parser.parse_args()
    lines = Lines.read(arguments.file) if arguments.file else Lines.bundled()
    prepared = Prepared.of(lines, DataConfig())
    orders = [int(order) for order in arguments.orders.split(",")]
    rows = []
    for name in arguments.models.split(","):
        run = train(prepared, name, training=TrainingConfig(steps=arguments.steps)).run
        power = fitted_sharpness(prepared.stream, prepared.vocabulary.size)
        begin, config = process_time(), SamplingConfig(max_length=run.length_limit)
        made = list(islice(sample(run.model, run.vocabulary, config), 5 * LINES))
        free = (process_time() - begin) / len(made)
        for asked in WISHES:
            for order in orders if name != "ngram" else [0]:
                rows.append({"model": name, "asked": asked.said, **measured(run, prepared, asked, power, order)})
                rows[-1]["seconds_thrown_away"] = free / max(rows[-1]["share"], 1e-12)
                print(json.dumps(rows[-1]), flush=True)
    print(json.dumps({"machine": machine(), "lines": prepared.lines.name, "rows": rows}))


def measured(run: Run, prepared: Prepared, asked: Asked, power: float, order: int) -> dict[str, Any]:
    """Ask for lines of one kind."""
    making.GUIDING_ORDER = order or making.GUIDING_ORDER
    begin, vocabulary = process_time(), run.vocabulary
    wish = Wish.of(asked, vocabulary, prepared.split.train)
    made = making.make_model(run.model, vocabulary, prepared.stream, wish, prepared.split.train, power)
    config = SamplingConfig(max_length=run.length_limit)
    if made.exact:
        found: dict[str, Any] = {"exact": True, "share": made.share(np.zeros(0, np.int64))}
        ready = process_time()
        lines = list(islice(sample(made.model, vocabulary, config, cut=lambda one: False), LINES))
    else:
        planned = plan(made, vocabulary, config)
        found = {"exact": False, "order": order, "share": planned.share}
        found |= {"kept": planned.kept, "lacking": planned.lacking}
        ready = process_time()
        accept, cut = lambda line: True, lambda one: False
        some = drawn(made, vocabulary, config, planned, accept=accept, cut=cut, patience=10_000)
        lines = list(islice(some, LINES))
    assert all(wish.is_so(one.text) for one in lines)
    return found | {"seconds_ready": ready - begin, "seconds_a_line": (process_time() - ready) / len(lines)}


if __name__ == "__main__":
    main()
