"""What labels are worth: losses with and without them, and whether what is made with a label has it.

    python bench/labels.py FILE.tsv [--label 2] [--column 1] [--models ngram,counts,mlp+counts] [--steps 400]

For each model, on the same split (lines that differ by their labels only are in one part): nats per character on
dev lines given their labels, and without labels. Then 300 new lines are made with each label, and each is judged by
plain n-grams of the training lines of one label: the share that is likeliest under the n-gram of its own, beside
the same share of held-out lines, which says what these n-grams can tell.

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from machine import machine
from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.labels import Labelled, parted, without_label
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.data.splits import Split
from spellout.data.vocabulary.building import build_vocabulary
from spellout.generation.config import SamplingConfig
from spellout.generation.novelty import only
from spellout.generation.sampling import sample
from spellout.generation.scoring import score_lines
from spellout.training.config import TrainingConfig
from spellout.training.runs.run import Run, Trained

MADE = 300
LEARNING = TrainingConfig(lr=2e-3)


def without_labels(prepared: Prepared) -> Prepared:
    """The same split of the same lines, without their labels."""
    split = prepared.split
    parts = [[without_label(line) for line in part] for part in (split.train, split.dev, split.test)]
    vocabulary = build_vocabulary(parts[0])
    config = replace(prepared.config, label=None)
    split = Split(*parts, split.name)
    return replace(prepared, split=split, config=config, vocabulary=vocabulary, stream=vocabulary.encode(parts[0]))


def losses(trained: Trained) -> dict[str, float | None]:
    """Nats per character on dev lines, as it is and of new lines."""
    assert trained.dev is not None
    new = None if trained.new is None else trained.new.result.nats_per_char
    return {"as_it_is": trained.dev.nats_per_char, "new_lines": new}


class OfTheirOwn:
    """Plain n-grams of the training lines of each label, which judge other lines."""

    def __init__(self, prepared: Prepared) -> None:
        vocabulary, train_lines = prepared.vocabulary, prepared.split.train
        assert isinstance(vocabulary, Labelled)
        self.labels = vocabulary.labels
        texts = [[text for one, text in map(parted, train_lines) if one == label] for label in self.labels]
        self.runs = [train(Prepared.of(Lines.of(some), DataConfig(split="none")), "ngram").run for some in texts]

    def share(self, lines: list[str], label: str) -> float:
        """Find the share of lines that the n-gram of this label finds likelier than the others do."""
        logs = [[one.log_probability for one in score_lines(r.model, r.vocabulary, lines)] for r in self.runs]
        return float((np.array(logs).argmax(axis=0) == self.labels.index(label)).mean())


def made(run: Run, prepared: Prepared, label: str) -> list[str]:
    """Make new lines with a label."""
    assert isinstance(run.vocabulary, Labelled)
    known = [without_label(line) for line in prepared.split.known]
    found = sample(
        run.new_lines() or run.model,
        run.vocabulary.given(label),
        SamplingConfig(max_length=run.length_limit),
        accept=only(unlike=known, unique=True),
        cut=lambda one: False,
        patience=2000,
    )
    return [one.text for one in islice(found, MADE)]


def main() -> None:
    """Train, judge, and print a row a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--label", default="2")
    parser.add_argument("--column", default="1")
    parser.add_argument("--models", default="ngram,counts,mlp+counts")
    parser.add_argument("--steps", type=int, default=400)
    asked = parser.parse_args()
    config = DataConfig(column=asked.column, label=asked.label)
    prepared = Prepared.of(Lines.read(asked.file, config=config), config)
    plain, judges, rows = without_labels(prepared), OfTheirOwn(prepared), []
    for model in asked.models.split(","):
        training = replace(LEARNING, steps=asked.steps)
        trained = train(prepared, model, training=training)
        row: dict[str, Any] = {"model": model, "with": losses(trained)}
        row["without"] = losses(train(plain, model, training=training))
        row["right"] = {one: judges.share(made(trained.run, prepared, one), one) for one in judges.labels}
        print(row, flush=True)
        rows.append(row)
    held = [parted(line) for line in (*prepared.split.dev, *prepared.split.test)]
    right = {one: judges.share([text for label, text in held if label == one], one) for one in judges.labels}
    print(json.dumps({"machine": machine(), "file": asked.file, "rows": rows, "held_out_right": right}))


if __name__ == "__main__":
    main()
