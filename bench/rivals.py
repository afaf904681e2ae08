"""Other makers of lines, run in any interpreter that has them; nothing of spellout is imported.

    python bench/rivals.py NAME TRAIN HELD COUNT SEED OUT

NAME is `markovify:ORDER` (0.9), `namemaker` (1.2) or `kenlm:ORDER` (its `lmplz` on the path). Learns from the
lines of TRAIN, makes COUNT lines, and writes them to OUT as JSON: `lines`, and `nats` of all lines of HELD with
their ends where the model has probabilities. `bench/generators.py` calls it and measures its time and memory.

Each is used as its documentation shows, on characters. markovify's check that a line is not too much like a line of
the list is off, so that its novel share is told; namemaker makes new and different names by default, and takes the
one of two whose length is closer to the mean.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import tempfile
from pathlib import Path

NATS = math.log(10)
"""An ARPA file holds logarithms to base 10."""


def read(path: str) -> list[str]:
    """Read the lines of a file; only a line feed ends one."""
    return Path(path).read_text("utf-8").removesuffix("\n").split("\n")


def markovify_lines(train: list[str], order: int, count: int, seed: int) -> list[str]:
    """Make lines with a Markov chain of characters."""
    import markovify

    class Characters(markovify.NewlineText):
        def sentence_split(self, text: str) -> list[str]:
            return text.split("\n")

        def word_split(self, sentence: str) -> list[str]:
            return list(sentence)

        def word_join(self, words: list[str]) -> str:
            return "".join(words)

        def test_sentence_input(self, sentence: str) -> bool:  # by default, brackets that do not match are refused
            return True

    random.seed(seed)
    model = Characters("\n".join(train), state_size=order, retain_original=False)
    return [model.make_sentence(test_output=False) for _ in range(count)]


def namemaker_lines(train: list[str], count: int, seed: int) -> list[str]:
    """Make names with its own settings: three letters of context."""
    import namemaker

    namemaker.set_rng(random.Random(seed))
    names = namemaker.make_name_set(train, clean_up=False)
    made = []
    for _ in range(count):
        name = names.make_name()
        if not name:  # after a thousand tries
            break
        made.append(name)
    return made


def kenlm_nats(train: list[str], held: list[str], order: int) -> float:
    """Estimate modified Kneser–Ney with `lmplz`, and score the held-out lines by what it writes."""
    with tempfile.TemporaryDirectory() as place:
        arpa, text = Path(place, "model.arpa"), "".join(f"{spaced(line)}\n" for line in train)
        command = ["lmplz", "-o", str(order), "--discount_fallback", "-S", "1G", "-T", place, "--arpa", str(arpa)]
        subprocess.run(command, input=text.encode(), check=True, stderr=subprocess.DEVNULL)
        chances, backoffs = read_arpa(arpa.read_text("utf-8"))
    return -sum(log_of(spaced(line).split(), chances, backoffs, order) for line in held)


def spaced(line: str) -> str:
    """Write a line as words, one a character: its number, as a space or `<s>` would be read otherwise."""
    return " ".join(f"u{ord(letter):x}" for letter in line)


Table = dict[tuple[str, ...], float]


def read_arpa(text: str) -> tuple[Table, Table]:
    """Read log-probabilities and back-off weights, in nats, of n-grams."""
    chances: Table = {}
    backoffs: Table = {}
    for line in text.split("\n"):
        fields = line.split("\t")
        if len(fields) < 2 or line.startswith("ngram "):
            continue
        ngram = tuple(fields[1].split(" "))
        chances[ngram] = float(fields[0]) * NATS
        if len(fields) > 2:
            backoffs[ngram] = float(fields[2]) * NATS
    return chances, backoffs


def log_of(words: list[str], chances: Table, backoffs: Table, order: int) -> float:
    """Find the log-probability of a line and its end: the longest n-gram there is, and what backing off costs."""
    seen, total = ("<s>",), 0.0
    for word in [*words, "</s>"]:
        context = seen[-(order - 1) :] if order > 1 else ()
        while (*context, word) not in chances and context:
            total += backoffs.get(context, 0.0)
            context = context[1:]
        total += chances.get((*context, word), chances.get(("<unk>",), -math.inf))
        seen = (*seen, word)
    return total


def main() -> None:
    """Learn, make, score and write."""
    name, train_file, held_file, count, seed, out = sys.argv[1:]
    kind, _, order = name.partition(":")
    train, held = read(train_file), read(held_file)
    found: dict[str, object] = {"lines": [], "nats": None}
    if kind == "markovify":
        found["lines"] = markovify_lines(train, int(order or 2), int(count), int(seed))
    elif kind == "namemaker":
        found["lines"] = namemaker_lines(train, int(count), int(seed))
    elif kind == "kenlm":
        found["nats"] = kenlm_nats(train, held, int(order or 6))
    else:
        raise SystemExit(f"{name}: no such generator")
    Path(out).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
