"""What a token is, on the same lines with the same models: `python bench/tokens.py --hindi FILE --smiles FILE`.

Emoji (made here by rule: hands with skin tones, people with professions, families, flags, plain ones), a list of
Hindi names and a list of SMILES, each by character and by the unit that fits it: nats per character of dev lines,
in which what is new is spelled, the share of malformed lines among those made, and of those with a grapheme that
no line of the list has. A line is malformed if one of its graphemes is, and is not in the list: of emoji, if it is
not a whole one that the rule knows; of Hindi, if it is not a syllable: consonants, joined by viramas, with one
vowel sign at most, or a vowel, and then signs of sound. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections.abc import Callable
from itertools import islice, product
from pathlib import Path

from machine import machine
from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.data.vocabulary.graphemes import clusters
from spellout.generation.config import SamplingConfig
from spellout.generation.sampling import sample
from spellout.training.config import TrainingConfig

TONES = [chr(code) for code in range(0x1F3FB, 0x1F400)]
JOIN = "\u200d"
CONSONANT = "[\u0915-\u0939\u0958-\u095f]\u093c?"
SYLLABLE = (
    f"(?:{CONSONANT}(?:\u094d[\u200c\u200d]?{CONSONANT})*(?:\u094d|[\u093a\u093b\u093e-\u094c\u094e\u094f])?"
    "|[\u0904-\u0914\u0960\u0961\u0972])[\u0900-\u0903]*"
)
WELL_FORMED = re.compile(f"{SYLLABLE}|[^\u0900-\u0965\u0970-\u097f\u200c\u200d]+")


def emoji() -> list[list[str]]:
    """Whole emoji by kind."""
    hands = [hand + tone for hand, tone in product("👋✋👌👍👏🙏💪👊", ["", *TONES])]
    tools = ["⚕️", "🌾", "🍳", "🎓", "🎤", "🏫", "💻", "🔧", "🚀", "🚒"]
    people = [f"{one}{tone}{JOIN}{tool}" for one, tone, tool in product("👩👨", ["", *TONES], tools)]
    children = ["👧", "👦", f"👧{JOIN}👦", f"👦{JOIN}👦", f"👧{JOIN}👧"]
    families = [JOIN.join(both) for both in product(["👩", "👨", f"👨{JOIN}👩", f"👩{JOIN}👩"], children)]
    countries = "DEFRITESPTGBIENLBEDKSENOFIPLCZATCHGRTRUAUSCAMXBRARJPKRCNINTH"
    letters = [chr(0x1F1E6 + ord(letter) - ord("A")) for letter in countries]
    flags = [first + second for first, second in zip(letters[::2], letters[1::2], strict=True)]
    plain = ["❤️", "☀️", "✈️", f"❤️{JOIN}🔥", f"🏳️{JOIN}🌈", "1️⃣", "2️⃣", *"😀😂🥰😎😭🎉🔥🌈🍕🍺⚽🎂🎁🐶🐱🌍"]
    return [hands, people, families, flags, plain]


def lines_of_emoji(count: int, seed: int) -> list[str]:
    """Lines of two to six emoji, mostly of a kind; of each kind some are far more frequent than others."""
    source = random.Random(seed)
    kinds = [source.sample(kind, len(kind)) for kind in emoji()]
    made: dict[str, None] = {}  # in the order they came, not in that of a set
    while len(made) < count:
        kind, line = source.choice(kinds), ""
        for _ in range(source.randint(2, 6)):
            here = kind if source.random() < 0.8 else source.choice(kinds)
            line += here[min(int(source.expovariate(0.05)), len(here) - 1)]
        made[line] = None
    return list(made)


def whole_emoji(grapheme: str) -> bool:
    """Whether a grapheme is one of the emoji that are made by the rule."""
    return grapheme in {one for kind in emoji() for one in kind}


def syllable(grapheme: str) -> bool:
    """Whether a grapheme is a syllable of Hindi, or of no Indian script."""
    return WELL_FORMED.fullmatch(grapheme) is not None


def measured(
    lines: Lines, model: str, seconds: float, made: int, sound: Callable[[str], bool], **data: str
) -> dict[str, object]:
    """One model of one list: its losses, what was new, and how many of its lines are malformed."""
    begin = time.process_time()
    prepared = Prepared.of(lines, DataConfig(**data))
    training = TrainingConfig(seconds=seconds) if "mlp" in model else TrainingConfig()
    trained = train(prepared, model, training=training)
    run, dev = trained.run, trained.dev
    config = SamplingConfig(max_length=run.length_limit)
    begun = time.process_time()
    texts = [one.text for one in islice(sample(run.model, run.vocabulary, config, cut=lambda one: False), made)]
    sampling = time.process_time() - begun
    known = {one for line in lines.distinct for one in clusters(line)}
    new = [set(clusters(text)) - known for text in texts]
    row = {"list": Path(lines.name).name, "tokens": run.vocabulary.flag, "model": model}
    row |= {"vocabulary": run.vocabulary.size, "nats_per_char": round(dev.nats_per_char, 4)}
    row |= {"new_in_dev": dev.new, "dev_tokens": dev.tokens}
    row |= {
        "malformed": sum(not all(map(sound, one)) for one in new) / made,
        "with_new": sum(map(bool, new)) / made,
    }
    return row | {"seconds": round(begun - begin, 2), "sampling": round(sampling, 2)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hindi", type=Path)
    parser.add_argument("--smiles", type=Path)
    parser.add_argument("--emoji", type=int, default=5000, help="so many lines")
    parser.add_argument("--models", nargs="+", default=["ngram", "counts"])
    parser.add_argument("--seconds", type=float, default=10.0, help="of networks")
    parser.add_argument("--made", type=int, default=1000)
    arguments = parser.parse_args()
    lists = [(Lines.of(lines_of_emoji(arguments.emoji, 14), "emoji"), whole_emoji, {"unit": "grapheme"})]
    if arguments.hindi:
        lists.append((Lines.read(arguments.hindi), syllable, {"unit": "grapheme"}))
    if arguments.smiles:
        lists.append((Lines.read(arguments.smiles), lambda grapheme: True, {"tokens": "smiles"}))
    rows = []
    for lines, sound, data in lists:
        for model in arguments.models:
            for settings in ({}, data):
                row = measured(lines, model, arguments.seconds, arguments.made, sound, **settings)
                print(*row.values(), sep="\t", flush=True)
                rows.append(row)
    print(json.dumps({"machine": machine(), "rows": rows}))


if __name__ == "__main__":
    main()
