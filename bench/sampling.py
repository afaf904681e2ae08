"""How fast lines are drawn from counts: `python bench/sampling.py NAMES.txt [--lines N] [--others PYTHON]`.

Models of the list, as they are and of new lines: each draws lines from its tables and, as a baseline in the same
run, asks the model for every token (`plain`); both must give the same lines. `--others` is a Python that has
markovify and namemaker, which make lines of the same list. `--unique` also draws so many different new lines, and
says by how much that raised the peak of the process's memory.

Everything is pinned to one core with this process and has one thread; seconds are of the processor, so that other
work on the machine changes them little. The seconds of lines are also those of the tables, which are made
meanwhile. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
from itertools import islice
from pathlib import Path
from time import process_time
from unittest.mock import patch

from machine import machine
from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.data.vocabulary.protocol import Vocabulary
from spellout.generation import sampling
from spellout.generation.config import SamplingConfig
from spellout.generation.novelty import only
from spellout.models.contract import LanguageModel

OTHERS = """
import contextlib, sys, warnings
from time import process_time
warnings.simplefilter("ignore")
lines, count = open(sys.argv[1], encoding="utf-8").read().split("\\n")[:-1], int(sys.argv[2])
for name in ("markovify", "namemaker"):
    with contextlib.suppress(ImportError):
        if name == "markovify":
            import markovify
            class Letters(markovify.Text):
                def sentence_split(self, text): return text.split("\\n")
                def word_split(self, sentence): return list(sentence)
                def word_join(self, words): return "".join(words)
                def test_sentence_input(self, sentence): return True
            model = Letters("\\n".join(lines), state_size=3, retain_original=False)
            make = lambda: model.make_sentence(test_output=False)
        else:
            import namemaker
            model = namemaker.make_name_set(lines, order=3, clean_up=False)
            make = lambda: model.make_name(add_to_history=False)
        make()
        begin = process_time()
        for _ in range(count): make()
        print(name, process_time() - begin)
"""
MOST_PLAIN = 50_000


def drawn(model: LanguageModel, vocabulary: Vocabulary, count: int, limit: int) -> tuple[float, str]:
    """Draw so many lines: names per second of the processor, and a fingerprint of the first `MOST_PLAIN`."""
    begin = process_time()
    made = sampling.sample(model, vocabulary, SamplingConfig(seed=1, max_length=limit))
    first = [one.text for one in islice(made, min(count, MOST_PLAIN))]
    number = len(first) + sum(1 for _ in islice(made, count - len(first)))
    seconds = process_time() - begin
    return number / seconds, hashlib.sha256("\n".join(first).encode()).hexdigest()


def compared(model: LanguageModel, vocabulary: Vocabulary, count: int, limit: int) -> dict[str, int]:
    """Names per second from tables and without them, and of the first lines, in which the tables are made."""
    fast, lines = drawn(model, vocabulary, count, limit)
    early, _ = drawn(model, vocabulary, 10_000, limit)
    with patch.object(sampling, "_drawing", lambda *of_model: None):
        plain, same = drawn(model, vocabulary, min(count, MOST_PLAIN), limit)
    if lines != same:
        raise SystemExit("the tables make other lines than the model")
    return {"names_per_second": round(fast), "first_10_000": round(early), "plain": round(plain)}


def others(python: str, path: Path, count: int) -> dict[str, int]:
    """Names per second of markovify and namemaker, those that are there."""
    done = subprocess.run([python, "-c", OTHERS, path, str(count)], capture_output=True, text=True, check=True)
    return {name: round(count / float(seconds)) for name, seconds in map(str.split, done.stdout.splitlines())}


def unique(
    model: LanguageModel, vocabulary: Vocabulary, known: list[str], count: int, limit: int
) -> dict[str, float]:
    """Draw different new lines, without keeping them: seconds, and by how many MB the peak of memory grew."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = process_time()
    accept = only(unlike=known, unique=True)
    made = sampling.sample(model, vocabulary, SamplingConfig(seed=1, max_length=limit), accept=accept)
    next(made)
    first = process_time() - begin
    number = 1 + sum(1 for _ in islice(made, count - 1))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    seconds = process_time() - begin
    return {
        "lines": number,
        "seconds": round(seconds, 2),
        "first_line_seconds": round(first, 4),
        "grown_mb": round(grown / 1024, 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--unique", type=int, default=0)
    parser.add_argument("--models", nargs="*", default=["ngram", "counts:4"])
    parser.add_argument("--others")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    prepared = Prepared.of(Lines.read(arguments.path), DataConfig())
    result: dict[str, object] = {"bench": "sampling", "machine": machine(), "lines": arguments.lines}
    for name in arguments.models:
        run = train(prepared, name).run
        new, limit = run.new_lines(), run.length_limit
        assert new is not None
        if arguments.unique and name == "ngram":
            known = prepared.split.known
            result["unique"] = unique(new, run.vocabulary, known, arguments.unique, limit)
        count = arguments.lines if name.startswith("ngram") else arguments.lines // 10
        result[name] = compared(run.model, run.vocabulary, count, limit)
        result[f"{name}, new lines"] = compared(new, run.vocabulary, count, limit)
        print(json.dumps(result), flush=True)
    if arguments.others:
        result |= others(arguments.others, arguments.path, 5_000)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
