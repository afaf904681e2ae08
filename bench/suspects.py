"""How many of the wrong lines hidden in a list come first: `python bench/suspects.py [LIST.txt JUNK.txt ...]`.

Lists that the script makes from the bundled names, and pairs of files: a list, and the lines of it that are wrong.
For each, how many of the J wrong lines are among the J lines judged most suspicious, and among the first 50: by
`spellout suspects`, and by what one would do otherwise: an n-gram trained on the whole list, its mean nats per
character (plain scoring); the same of a model that has not seen the line (line-level leave-one-out); and the total
nats against those of lines of the same length, in standard deviations. Processor seconds are of one core. The last
line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import time
import unicodedata
from pathlib import Path

import numpy as np

from machine import machine
from spellout.data.lines import Lines
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.training import train_ngram
from spellout.training.suspects.search import search
from spellout.training.suspects.unseen import encoded, unseen


def swapped(chance: random.Random, name: str) -> str:
    """Swap two letters of a name that differ."""
    place = chance.choice([i for i in range(len(name) - 1) if name[i] != name[i + 1]])
    return name[:place] + name[place + 1] + name[place] + name[place + 2 :]


def doubled(chance: random.Random, name: str) -> str:
    """Write one letter of a name three times."""
    place = chance.randrange(len(name))
    return name[:place] + 3 * name[place] + name[place + 1 :]


def made(seed: int) -> dict[str, tuple[list[str], list[str]]]:
    """Lists with wrong lines in them, and the wrong lines."""
    chance = random.Random(seed)
    names = Lines.bundled().distinct
    some = chance.sample(names, 4_000)
    others = [name for name in names if name not in set(some) and len(name) > 6]
    consonants = ["".join(chance.choice("bcdfghjklmnpqrstvwxz") for _ in range(7)).capitalize() for _ in range(17)]
    typos = [swapped(chance, name) for name in chance.sample(others, 10)]
    typos += [doubled(chance, name) for name in chance.sample(others, 10)]
    marks = [name + mark for name, mark in zip(chance.sample(others, 8), ",;.?!) -", strict=True)]
    marks = [line.strip() for line in marks] + [
        "Zo\u00c3\u00ab",
        "Ren&eacute;e",
        "ANNABELLE",
        "joseph",
        "Anna Maria-Luise",
    ]
    marks += ["N/A", "test", "xxx", "<b>", "42", "Mary3", "Мария"]
    dates = [
        f"{chance.randrange(1950, 2030)}-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"
        for _ in range(3_000)
    ]
    dates = list(dict.fromkeys(dates))
    odd = ["1999/01/02", "19-01-02", "2001-13-05", "2001-00-05", "2010-05", "20010203", "2004-07-1", "n/a", "date"]
    odd += [
        "3.4.2005",
        "2011-06-07T",
        "l999-08-09",
        "2012-02-42",
        "02-03-2014",
        "2015--01-01",
        "02015-01-01",
        "May 2016",
    ]
    return {
        "names, consonants": (some, [*consonants, "N/a", "---", "Name"]),
        "names, typos": (some, typos),
        "names, marks and words": (some, marks),
        "dates": (dates, odd),
    }


def hidden(lines: list[str], wrong: list[str], seed: int) -> list[str]:
    """Put wrong lines anywhere among the others."""
    chance = random.Random(seed)
    result = [line for line in lines if line not in set(wrong)]
    for line in wrong:
        result.insert(chance.randrange(len(result) + 1), line)
    return result


def rankings(lines: list[str]) -> dict[str, np.ndarray]:
    """For each baseline a number for every line, high where it is suspicious."""
    stream, size = encoded(lines)
    ends = np.flatnonzero(stream == 0)
    lengths = np.diff(ends)
    model, _ = train_ngram(stream, size, NgramConfig(), lambda event: None)
    seen = -model.score(stream[None, :-1].astype(np.int64), stream[None, 1:].astype(np.int64))[0]
    learned = np.add.reduceat(seen, ends[:-1])
    left_out = np.add.reduceat(unseen(stream, size).nats, ends[:-1])
    slope, offset = np.polyfit(lengths, left_out, 1)
    return {
        "plain": learned / lengths,
        "left out": left_out / lengths,
        "by length": (left_out - slope * lengths - offset) / np.sqrt(lengths),
    }


def found(ranked: list[str], wrong: set[str]) -> list[int]:
    """How many wrong lines are among the first so many, and among the first 50."""
    return [sum(line in wrong for line in ranked[:first]) for first in (len(wrong), 50)]


def judged(lines: list[str], wrong: list[str]) -> dict[str, object]:
    """All rankings of one list."""
    row: dict[str, object] = {"lines": len(lines), "wrong": len(wrong)}
    list_of = Lines.of(dict.fromkeys(lines))
    for name, numbers in rankings(list_of.distinct).items():
        row[name] = found([list_of.distinct[i] for i in np.argsort(-numbers, kind="stable")], set(wrong))
    begin = time.process_time()
    ranked = search(list_of, 50 + len(wrong)).suspects
    row["seconds"] = round(time.process_time() - begin, 2)
    row["suspects"] = found([one.line for one in ranked], set(wrong))
    return row


def read(path: Path) -> list[str]:
    """The lines of a file as spellout reads them."""
    lines = unicodedata.normalize("NFC", path.read_text("utf-8")).splitlines()
    return [line.strip() for line in lines if line.strip()]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "files", nargs="*", type=Path, help="a list and its wrong lines, a list and its wrong lines"
    )
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    result: dict[str, object] = {"bench": "suspects", "machine": machine()}
    lists = {name: (hidden(lines, wrong, 2), wrong) for name, (lines, wrong) in made(arguments.seed).items()}
    for path, wrong in zip(arguments.files[::2], arguments.files[1::2], strict=True):
        lists[path.stem] = read(path), read(wrong)
    for name, (lines, wrong) in lists.items():
        result[name] = judged(lines, wrong)
        print(name, json.dumps(result[name]), flush=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
