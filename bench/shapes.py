"""How many made lines have a length and a pattern of character classes that occur in the list, by model.

    python bench/shapes.py FILE ... [--models ngram counts mlp+ngram mlp+counts] [--steps 400] [--count 2000]

A pattern is the line with each digit, lower-case letter, upper-case letter and white space replaced by a sign for
its class, and all else as it is; in a coarse one, digits and letters are one class, as in hexadecimal numbers.
Lines are new ones, as `spellout make` prints them. The first row of a file is what its own held-out lines have of
the training lines, which no model of these can be asked to exceed by much. "variation" is the total variation
distance of the lengths of made lines to those of held-out lines; between so few of these and the training lines it
is not 0, either. Losses are nats per character of dev lines: as the model is, and as a model of new lines.
"seconds" are the thread's, of the training.
"""

import argparse
import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from time import thread_time

from machine import machine
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation.config import SamplingConfig
from spellout.generation.novelty import only
from spellout.generation.sampling import sample
from spellout.models.contract import LanguageModel
from spellout.models.new_lines.sharper import sharper
from spellout.models.new_lines.sharpness import fitted_sharpness
from spellout.models.table import parse_specification
from spellout.training.config import TrainingConfig
from spellout.training.job import Job
from spellout.training.runs.run import Trained
from spellout.training.train import train

FINE = {"Nd": "0", "Lu": "A", "Lt": "A", "Ll": "a", "Lo": "x", "Lm": "x", "Mn": "m", "Mc": "m", "Zs": " "}
COARSE = FINE | {"Nd": "x", "Lu": "x", "Lt": "x", "Ll": "x"}


def pattern(line: str, signs: dict[str, str] = FINE) -> str:
    """Replace every character by a sign for its class."""
    return "".join(signs.get(unicodedata.category(one), one) for one in line)


def coarse(line: str) -> str:
    """Give the pattern that does not tell digits and letters apart."""
    return pattern(line, COARSE)


def shares(made: Sequence[str], known: Sequence[str], held_out: Sequence[str]) -> dict[str, float]:
    """Say how many of the made lines have a length, and patterns, that known ones have, and how lengths differ."""
    kinds: dict[str, Callable[[str], object]] = {"length": len, "pattern": pattern, "coarse": coarse}
    found = {}
    for name, kind in kinds.items():
        there = set(map(kind, known))
        found[name] = sum(kind(line) in there for line in made) / max(1, len(made))
    return {**found, "variation": variation(made, held_out)}


def variation(one: Sequence[str], other: Sequence[str]) -> float:
    """Give the total variation distance between two lists' lengths."""
    first, second = (Counter(map(len, lines)) for lines in (one, other))
    return 0.5 * sum(abs(first[n] / len(one) - second[n] / len(other)) for n in first | second)


def made_lines(trained: Trained, count: int) -> list[str]:
    """Make new lines as `make` does; with more lines than can be asked about, known ones are refused instead."""
    run = trained.run
    lines, vocabulary = run.lines or [], run.vocabulary
    model: LanguageModel
    if run.ratios is None:
        model = sharper(run.model, fitted_sharpness(vocabulary.encode(lines), vocabulary.size))
    else:
        model = run.new_lines()
    config = SamplingConfig(max_length=run.length_limit)
    accept = only(unlike=lines, unique=True)
    made = sample(model, vocabulary, config, accept=accept, cut=lambda one: False)
    return [one.text for one in islice(made, count)]


def main() -> None:
    """Print a row a model and file, and all of them as JSON."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("files", nargs="+")
    arguments.add_argument("--models", nargs="+", default=["ngram", "counts", "mlp+ngram", "mlp+counts"])
    arguments.add_argument("--steps", type=int, default=400, help="of a network")
    arguments.add_argument("--count", type=int, default=2000, help="lines to make")
    asked = arguments.parse_args()
    rows = []
    for file in asked.files:
        prepared = Prepared.of(Lines.read(file, None), DataConfig())
        split = prepared.split
        facts = shares(split.dev, split.train, split.test)
        rows.append({"file": Path(file).stem, "model": "held-out lines", **facts})
        print(*rows[-1].values(), flush=True)
        for text in asked.models:
            training = TrainingConfig(steps=asked.steps, evaluate_every=asked.steps)
            start = thread_time()
            trained = train(Job(prepared, parse_specification(text), training))
            seconds = thread_time() - start
            facts = shares(made_lines(trained, asked.count), prepared.lines.distinct, [*split.dev, *split.test])
            losses = {"plain": trained.dev and trained.dev.nats_per_char, "new": trained.loss}
            rows.append({"file": Path(file).stem, "model": text, **facts, **losses, "seconds": seconds})
            print(*(f"{k} {v:.4f}" if isinstance(v, float) else v for k, v in rows[-1].items()), flush=True)
    print(json.dumps({"machine": machine(), "rows": rows}))


if __name__ == "__main__":
    main()
