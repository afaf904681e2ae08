"""Characters, bytes and words on the same lines: `python bench/units.py TRAIN.txt DEV.txt`.

An n-gram of each unit is trained on all of TRAIN and judged on all of DEV: nats per character, in which unknown
words are spelled, and perplexity per word, in which any unknown word is one token, with and without the line
ends. Words that are seen less often than --min-counts says are unknown: perplexity falls the more there are of
them, and nats per character hardly move. The spelling is tried with closed-form discounts and with fitted ones,
on shuffled words as these would be fitted on the last. Nothing looks at test lines. The last line is one JSON
object.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

from machine import machine
from spellout.api import train
from spellout.data.config import DataConfig, Unit
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.data.vocabulary.characters import Characters
from spellout.data.vocabulary.pieces import Pieces
from spellout.data.vocabulary.words import WhiteSpace
from spellout.generation.evaluation import evaluate
from spellout.generation.price import ORDER_OF_LETTERS
from spellout.models.ngram.config import NgramConfig, Smoothing
from spellout.models.ngram.training import train_ngram


def judged(lines: Lines, dev: Lines, unit: Unit, min_count: int, model: str) -> dict[str, object]:
    """One model: its losses, how much it cannot know, and the processor seconds of it all."""
    begin = time.process_time()
    prepared = Prepared.of(lines, DataConfig(unit=unit, min_count=min_count), dev=dev)
    result = train(prepared, model).dev
    assert result is not None
    chance = prepared.vocabulary.escape.chance if unit != "word" or min_count == 1 else None
    row: dict[str, object] = {"unit": unit, "min_count": min_count, "model": model}
    row |= {"vocabulary": prepared.vocabulary.size, "chance_of_new": chance, **result.to_json()}
    row["spelling_nats_per_new_word"] = result.spelling / result.new if result.spelling else None
    return row | {"seconds": round(time.process_time() - begin, 2)}


def spelled(lines: Lines, dev: Lines, min_count: int) -> dict[str, dict[str, float]]:
    """Nats of a new word by the letters of the others, as if no word were known, and seconds of training."""
    words = Pieces.of(WhiteSpace(), lines.in_file_order(), min_count)
    all_words = sorted({*words.rare, *words.known})
    rare = random.Random(0).sample(all_words, len(all_words))
    new = words.read(dev.in_file_order()).pieces
    letters, rows = Characters.of(rare), {}
    smoothings: tuple[Smoothing, ...] = ("closed-form", "fitted")
    for smoothing in smoothings:
        begin = time.process_time()
        config = NgramConfig(order=ORDER_OF_LETTERS, smoothing=smoothing)
        model = train_ngram(letters.encode(rare), letters.size, config, lambda event: None)[0]
        seconds = time.process_time() - begin
        nats = evaluate(model, letters, new).nats / len(new)
        rows[smoothing] = {"nats_per_word": round(nats, 3), "seconds": round(seconds, 3)}
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("dev", type=Path)
    parser.add_argument("--order", type=int, default=3, help="of the n-grams of words")
    parser.add_argument("--letters", type=int, default=8, help="the order of the n-grams of characters and bytes")
    parser.add_argument("--min-counts", type=int, nargs="+", default=[1, 2, 4, 10])
    arguments = parser.parse_args()
    lines, dev = Lines.read(arguments.train), Lines.read(arguments.dev)
    asked: list[tuple[Unit, int, int]] = [("char", 1, arguments.letters), ("byte", 1, arguments.letters)]
    asked += [("word", least, arguments.order) for least in arguments.min_counts]
    rows = []
    for unit, least, order in asked:
        row = judged(lines, dev, unit, least, f"ngram:{order}:smoothing=closed-form")
        print(
            *(f"{value:.4f}" if isinstance(value, float) else value for value in row.values()), sep="\t", flush=True
        )
        rows.append(row)
    spelling = {least: spelled(lines, dev, least) for least in arguments.min_counts}
    print(json.dumps({"machine": machine(), "units": rows, "spelling": spelling}))


if __name__ == "__main__":
    main()
