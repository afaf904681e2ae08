"""Mixed counts beside the n-gram, and networks that start from either: dev nats per character, both ways.

    python bench/counts.py FILE [--split lecture] [--steps 600]

"new" is conditional on lines that are not among the training lines (distinct split); with `--split lecture` lines
may recur, and it is in two parts: a known line with Good and Turing's chance, weighed by p^0.7, else a new one.
"seconds" are the processor's, of the thread, all of the training (the n-gram's included), and "ratio" is to the
n-gram's own: on a busy machine only ratios compare.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import thread_time

import numpy as np

from machine import machine
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation.evaluation import evaluate
from spellout.models.arrays.learner import MlpLearner
from spellout.models.arrays.mlp import MlpConfig
from spellout.models.contract import LanguageModel
from spellout.models.counts.config import CountsConfig
from spellout.models.counts.priors import Prior
from spellout.models.counts.training import train_counts
from spellout.models.new_lines.known import Known
from spellout.models.new_lines.model import Weighted
from spellout.models.new_lines.trie import Trie
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.training import train_ngram
from spellout.training.schedule import Order, learning_rate

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from two_parts import of_two_parts

MIXED = (4, 100), (8, 200), (16, 800)
"""Views, and steps of their mixer."""


def losses(model: LanguageModel, prepared: Prepared, trie: Trie, may_recur: bool) -> dict[str, float]:
    """Nats per character of dev lines as the model is and as a model of new lines; and the mass of known lines."""
    known = Known.of(model, trie)
    new = Weighted.of_new_lines(model, known)
    mass = 1.0 - new.new_share
    if may_recur:
        chance = 1.0 - float((trie.times == 1).sum() / trie.times.sum())
        shares = np.exp(0.7 * known.lines())
        new = of_two_parts(model, known, chance, shares / shares.sum())
    plain, other = (evaluate(one, prepared.vocabulary, prepared.split.dev).nats_per_char for one in (model, new))
    return {"plain": plain, "new": other, "mass": mass}


def network(prepared: Prepared, prior: Prior, config: MlpConfig, steps: int) -> LanguageModel:
    """An mlp after so many steps."""
    learner = MlpLearner(prepared.stream, prepared.vocabulary.size, config, prior, 0)
    order = Order(learner.examples, learner.batch, 0)
    for step in range(steps):
        learner.step(order.at(step), learning_rate(learner.lr, 0.05, "linear", (step + 0.5) / steps))
    return learner.model()


def main() -> None:
    """Print a row a model, and all of them as JSON."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("file")
    arguments.add_argument("--split", choices=["distinct", "lecture"], default="distinct")
    arguments.add_argument("--steps", type=int, default=600, help="of the network that starts from counts")
    asked = arguments.parse_args()
    prepared = Prepared.of(Lines.read(asked.file, None), DataConfig(split=asked.split))
    stream, size = prepared.stream, prepared.vocabulary.size
    trie, rows = Trie(stream, size), {}

    def row(name: str, train: Callable[[], LanguageModel], before: float = 0.0) -> tuple[LanguageModel, float]:
        start = thread_time()
        model = train()
        seconds = before + thread_time() - start
        ratio = seconds / rows["ngram"]["seconds"] if rows else 1.0
        facts = losses(model, prepared, trie, asked.split == "lecture")
        rows[name] = {**facts, "seconds": seconds, "ratio": ratio}
        print(f"{name:28}", *(f"{key} {value:.4f}" for key, value in rows[name].items()), flush=True)
        return model, seconds

    ngram, first = row("ngram", lambda: train_ngram(stream, size, NgramConfig(), lambda event: None)[0])
    for views, steps in MIXED:
        config = CountsConfig(views=views, steps=steps)
        counts, mixed = row(
            f"counts:{views}:steps={steps}",
            lambda: train_counts(stream, size, config, lambda event: None, ngram)[0],  # noqa: B023
            first,
        )
    start = thread_time()
    network(prepared, ngram, MlpConfig(), 20)
    each = (thread_time() - start) / 20
    _, whole = row("mlp+counts", lambda: network(prepared, counts, MlpConfig(lr=3e-3), asked.steps), mixed)
    longer = max(asked.steps, int((whole - first) / each))  # the same processor time, about
    row(f"mlp+ngram, {longer} steps", lambda: network(prepared, ngram, MlpConfig(), longer), first)
    print(json.dumps({"machine": machine(), "split": asked.split, "rows": rows}))


if __name__ == "__main__":
    main()
