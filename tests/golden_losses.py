"""Losses of every network after a fixed number of steps, one line each.

`python tests/golden_losses.py` writes `golden_losses.txt` anew; a change of it is reviewed as any other.
"""

from pathlib import Path

import numpy as np

from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.models.table import parse_specification
from spellout.training.config import TrainingConfig
from spellout.training.train import learner_of

PATH = Path(__file__).with_suffix(".txt")
STEPS = 30
TOLERANCE = 1e-4
"""How far a loss may be from what is written down. docs/processors.md says how far they are apart between
instruction sets: each rounds sums of float32 in its own order, and 30 steps carry that on."""
SPECIFICATIONS = [
    "bigram",
    "mlp:16",
    "mlp:8:members=2",
    "gpt:8",
    "bigram+ngram:4",
    "mlp:16+ngram:4",
    "gpt:8+ngram:4",
    "mlp-bn:32",
    "wavenet:32",
    "rnn:32",
    "gru:32",
    "gru:32:optimizer=adamw:dropout=0",
    "lstm:32",
    "bow:32",
    "transformer:32:layers=2",
    "transformer:32:layers=2:optimizer=adamw:dropout=0",
    "gru:32+ngram:4",
    "gru-numpy:32",
    "gru-numpy:32+ngram:4",
]


def loss_of(specification: str) -> float:
    """The training loss on the last batch."""
    prepared = Prepared.of(Lines.of(Lines.bundled().distinct[:1000]), DataConfig())
    training = TrainingConfig(device="cpu")
    learner = learner_of(parse_specification(specification), prepared.stream, prepared.vocabulary.size, training)
    batches = np.random.default_rng(5).integers(0, learner.examples, (STEPS, 64))
    return [learner.step(batch, learner.lr) for batch in batches][-1]


if __name__ == "__main__":
    PATH.write_text("".join(f"{name} {loss_of(name):.4f}\n" for name in SPECIFICATIONS), encoding="utf-8")
