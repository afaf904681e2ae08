"""Sizes, losses and parity of exported models: every model of the table, stored in each way.

    python bench/exports.py [--seconds 5] [--models mlp+counts,gru]

Each model is trained on the bundled names. For each way of storing: the bytes of the packed model, the numbers in
it, the dev loss of the run's model and of what is exported, in nats per character, what `spellout export` says of
the difference, and the largest difference of log-probabilities between the model and its step before anything is
rounded. The last line is all of it as JSON.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from spellout import DataConfig, Lines, Prepared, train
from spellout.export.exporting import portable
from spellout.export.lowering.table import lowered
from spellout.export.packing.whole import pack
from spellout.export.reference import Reference
from spellout.export.targets import WEIGHTS
from spellout.generation.evaluation import evaluate
from spellout.models.table import MODELS
from spellout.training.config import TrainingConfig
from spellout.training.runs.run import Run

MODELS_TRIED = [name for name in MODELS if name != "ensemble"] + ["mlp+counts", "mlp+ngram & gru-numpy+ngram"]


def parity(run: Run, step: Reference) -> float:
    """Find the largest difference on lines of random tokens."""
    size = run.model.vocabulary_size
    tokens = np.random.default_rng(0).integers(1, size, (20, 14))
    tokens[:, 0] = 0
    difference = np.abs(run.model.log_probabilities(tokens) - step.log_probabilities(tokens))
    return float(difference.max())


def measured(run: Run, dev: list[str], weights: str) -> dict[str, float | str]:
    """Export a run, and judge what was exported by lines that it has not seen."""
    made = portable(
        *(run.model, run.vocabulary),
        name="names",
        max_length=run.length_limit,
        longest=int(run.facts["longest"]),
        lines=run.lines,
        weights=weights,
    )
    return {
        "weights": weights,
        "bytes": len(pack(made)),
        "filter": 0 if made.known is None else len(made.known.bits),
        "numbers": made.about["parameters_here"],
        "dev": evaluate(Reference(made.step), run.vocabulary, dev).nats_per_char,
        "told": made.about["change"],
    }


def main() -> None:
    """Train, export and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--models", default=",".join(MODELS_TRIED))
    asked = options.parse_args()
    prepared = Prepared.of(Lines.bundled(), DataConfig())
    results = []
    for model in asked.models.split(","):
        run = train(prepared, model, training=TrainingConfig(seconds=asked.seconds)).run
        before = evaluate(run.model, run.vocabulary, prepared.split.dev).nats_per_char
        exact = parity(run, Reference(lowered(run.model)))
        rows = [measured(run, prepared.split.dev, weights) for weights in WEIGHTS]
        results.append(
            {"model": model, "parameters": run.model.parameters, "dev": before, "parity": exact, "as": rows}
        )
        print(f"{model}: {run.model.parameters:,} numbers, dev {before:.4f} nats, parity {exact:.1e}")
        for row in rows:
            print(
                f"  {row['weights']:8} {row['bytes']:>10,} bytes, {row['numbers']:>9,} numbers, dev "
                f"{row['dev'] - before:+.5f}, told {row['told']:+.5f}",
                flush=True,
            )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
