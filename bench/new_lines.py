"""What lines known by heart cost: `python bench/new_lines.py [FILE] [--split S] [--models M,...] [--steps N]`.

Each model is trained on FILE (by default the bundled names) and judged on its dev lines both ways, as it is and for
new lines (or in two parts), with the mass on its training lines, and the processor seconds of one evaluation as it
is, of the trie of the training lines and of the pass of the model along it. What was fitted on training lines
stands beside what others would have reached on dev lines: the sharpness, and where lines recur, the power of
the probabilities of lines seen once.

`--scale N,...` does the last with the n-gram (order 5, closed form) of so many lines made from the bundled names,
each in a process of its own, whose peak memory is told before and after; with `--different`, of lines of which no
two are the same. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
from collections.abc import Sequence
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from time import process_time

import numpy as np

from machine import machine
from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation.config import SamplingConfig
from spellout.generation.evaluation import evaluate
from spellout.generation.judge import Judge, Judged
from spellout.generation.new_lines import trie_of
from spellout.generation.novelty import only
from spellout.generation.sampling import sample
from spellout.models.new_lines.known import Known
from spellout.models.new_lines.model import Weighted
from spellout.models.new_lines.recurring import Recurrence
from spellout.models.new_lines.sharper import sharper
from spellout.models.new_lines.trie import Trie
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.training import train_ngram
from spellout.training.config import TrainingConfig

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from two_parts import of_two_parts

POWERS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
SHARPNESSES = (1.0, 1.05, 1.1, 1.15, 1.2)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?")
    parser.add_argument("--split", default="distinct", choices=["distinct", "lecture"])
    parser.add_argument("--models", default="ngram,mlp+ngram,gru+ngram")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--scale", default="")
    parser.add_argument("--different", action="store_true")
    arguments = parser.parse_args()
    lines = Lines.read(arguments.file, None) if arguments.file else Lines.bundled()
    prepared = Prepared.of(lines, DataConfig(split=arguments.split))
    result: dict[str, object] = {"bench": "new_lines", "machine": machine(), "split": arguments.split}
    for model in filter(None, arguments.models.split(",")):
        result[model] = both_ways(prepared, model, arguments.steps)
        print(model, result[model], flush=True)
    for count in filter(None, arguments.scale.split(",")):
        with get_context("spawn").Pool(1) as pool:
            result[f"{int(count):,} lines"] = pool.apply(at_scale, (int(count), arguments.different))
        print(count, result[f"{int(count):,} lines"], flush=True)
    print(json.dumps(result))


def both_ways(prepared: Prepared, specification: str, steps: int) -> dict[str, object]:
    """Train a model, and judge it both ways."""
    trained = train(prepared, specification, training=TrainingConfig(steps=steps, patience=0))
    model, judge = trained.run.model, Judge(prepared)
    held = judge.held_out(prepared.split.dev)
    begin = process_time()
    parts = judge.parts(model, held)
    as_it_is = process_time()
    trie = trie_of(prepared.vocabulary, prepared.stream)
    built = process_time()
    known = Known.of(model, trie)
    passed = process_time()
    judged = judge(model, held, Judged(parts))
    assert judged.new is not None
    found: dict[str, object] = {
        "nats_as_it_is": round(judged.as_it_is.nats_per_char, 5),
        "nats_new_lines": round(judged.new.result.nats_per_char, 5),
        "mass": round(judged.new.mass, 5),
        "seconds_of_an_evaluation": round(as_it_is - begin, 3),
        "seconds_of_the_trie": round(built - as_it_is, 3),
        "seconds_of_the_pass": round(passed - built, 3),
    }
    if judge.recurring:
        again = Recurrence.of(trie, prepared.stream)
        seen, dev = set(prepared.split.train), prepared.split.dev
        found |= {"chance_seen": round(again.chance, 4), "power": round(again.power, 3)}
        found |= {"seen_in_truth": round(sum(line in seen for line in dev) / len(dev), 4)}
        for power in POWERS:
            shares = Recurrence(again.chance, power).log_shares(trie.times, known.lines())
            both = of_two_parts(model, known, again.chance, shares)
            nats = evaluate(both, prepared.vocabulary, prepared.split.dev).nats_per_char
            found[f"power {power}"] = round(nats, 5)
        return found
    found["sharpness"] = judged.sharpness
    for sharpness in SHARPNESSES:
        along = Known.of(model, trie, sharpness=sharpness)
        weighted = Weighted.of_new_lines(sharper(model, sharpness), along)
        nats = evaluate(weighted, prepared.vocabulary, prepared.split.dev).nats_per_char
        found[f"sharpness {sharpness}"] = round(nats, 5)
    return found


def at_scale(count: int, different: bool = False) -> dict[str, object]:
    """Make lines, count them, and ask the n-gram along them; seconds of the processor and peak memory."""
    run = train(Prepared.of(Lines.bundled(), DataConfig()), "ngram:6").run
    config = SamplingConfig(seed=1)
    made = sample(run.model, run.vocabulary, config, accept=only(unique=different))
    parts: list[np.ndarray] = []
    for start in range(0, count, 100_000):
        lines = [one.text for one in islice(made, min(100_000, count - start))]
        parts.append(run.vocabulary.encode(lines)[1 if parts else 0 :])
    stream, size = np.concatenate(parts), run.vocabulary.size
    dev = [one.text for one in islice(made, 20_000)]
    parts.clear()
    ngram = NgramConfig(order=5, smoothing="closed-form")
    model = train_ngram(stream, size, ngram, lambda event: None)[0]
    before, begin = _peak(), process_time()
    trie = Trie(stream, size)
    built = process_time()
    known = Known.of(model, trie)
    passed = process_time()
    weighted = Weighted.of_new_lines(model, known)
    conditioned = process_time()
    after = _peak()
    new = _not_in(trie, run.vocabulary.encode(dev), dev)
    return {
        "distinct": len(trie.leaves),
        "nodes": len(trie),
        "seconds_of_the_trie": round(built - begin, 2),
        "seconds_of_the_pass": round(passed - built, 2),
        "seconds_of_the_ratios": round(conditioned - passed, 2),
        "peak_mb_before": before,
        "peak_mb_after": after,
        "mass": round(1.0 - weighted.new_share, 5),
        "new_among_made": round(len(new) / len(dev), 5),
        "nats_of_new_lines_as_it_is": round(evaluate(model, run.vocabulary, new).nats_per_char, 5),
        "nats_of_new_lines": round(evaluate(weighted, run.vocabulary, new).nats_per_char, 5),
    }


def _not_in(trie: Trie, stream: np.ndarray, lines: Sequence[str]) -> list[str]:
    return [line for line, found in zip(lines, trie.find(stream).tolist(), strict=True) if found < 0]


def _peak() -> int:
    """The most memory that this process has had, in MB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    main()
