"""Models exported as C: the lines of three seeds against Python's, the largest difference of probabilities, times.

    python bench/exports_c.py [--seconds 5] [--lines 10000] [--models mlp+counts,gru] [--weights int8]

Each model is trained on the bundled names, written as a header, and compiled with `cc -O2`. What it prints is
compared with what sampling gives in Python on the same stored weights (`export/reference.py`); times are those of
the processor for each line: of the C program, of this reference, and of the model as it is in Python. The last line
is all of it as JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np

from spellout import DataConfig, Lines, Prepared, SamplingConfig, sample, train
from spellout.export.clang import written
from spellout.export.exporting import portable
from spellout.export.reference import Reference
from spellout.models.contract import LanguageModel
from spellout.training.config import TrainingConfig
from spellout.training.runs.run import Run

MODELS_TRIED = "ngram,mlp+counts,gru-numpy+counts,gru,lstm,bow,transformer,mlp+ngram & gru-numpy+ngram"
SEEDS = (1, 2, 3)
_ROWS = """
#include <stdio.h>
int main(void)
{
  static names_state state;
  static double row[NAMES_VOCABULARY];
  int token, i;
  while (scanf("%d", &token) == 1 && names_next(&state, token, row))
    for (i = 0; i < NAMES_VOCABULARY; i++) printf("%.17g\\n", row[i]);
  return 0;
}
"""


def drawn(model: LanguageModel, run: Run, seed: int, count: int, longest: int) -> list[str]:
    """Make lines in Python."""
    config = SamplingConfig(seed=seed, max_length=longest)
    return [one.text for one in islice(sample(model, run.vocabulary, config, cut=lambda _: False), count)]


def built(source: bytes, folder: Path) -> tuple[Path, Path]:
    """Compile the program of a header, and one that prints probabilities."""
    (folder / "names.h").write_bytes(source)
    (folder / "lines.c").write_text('#include "names.h"\n')
    (folder / "rows.c").write_text('#define NAMES_IMPLEMENTATION\n#include "names.h"\n' + _ROWS)
    for name, flags in (("lines", ["-DNAMES_MAIN"]), ("rows", [])):
        command = ["cc", "-O2", *flags, str(folder / f"{name}.c"), "-o", str(folder / name), "-lm"]
        subprocess.run(command, check=True)
    return folder / "lines", folder / "rows"


def made_by(program: Path, seed: int, count: int) -> tuple[list[str], float]:
    """Make lines with the program; give them and the seconds of the processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [str(program), "-a", "-n", str(count), "-s", str(seed)]
    printed = subprocess.run(command, capture_output=True, check=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return printed.decode().split("\n")[:-1], after.ru_utime - before.ru_utime


def difference(program: Path, reference: Reference) -> float:
    """Find the largest difference of probabilities on lines of random tokens."""
    tokens = np.random.default_rng(0).integers(1, reference.vocabulary_size, (20, 14))
    tokens[:, 0] = 0
    asked = " ".join(map(str, tokens.ravel().tolist()))
    printed = subprocess.run([str(program)], input=asked, capture_output=True, check=True, text=True).stdout
    rows = np.array(printed.split(), np.float64).reshape(*tokens.shape, -1)
    return float(np.abs(np.exp(rows) - np.exp(reference.log_probabilities(tokens))).max())


def measured(run: Run, weights: str, count: int, folder: Path) -> dict[str, float | int]:
    """Compare one model."""
    made = portable(
        *(run.model, run.vocabulary),
        name="names",
        max_length=run.length_limit,
        longest=int(run.facts["longest"]),
        lines=run.lines,
        weights=weights,
        about={"called": "names"},
    )
    source, reference = written(made), Reference(made.step)
    lines, rows = built(source, folder)
    same, seconds = 0, {"c": 0.0, "reference": 0.0, "model": 0.0}
    for seed in SEEDS:
        found, spent = made_by(lines, seed, count)
        seconds["c"] += spent
        begun = process_time()
        wanted = drawn(reference, run, seed, count, made.max_length)
        seconds["reference"] += process_time() - begun
        begun = process_time()
        drawn(run.model, run, seed, count, made.max_length)
        seconds["model"] += process_time() - begun
        same += sum(one == other for one, other in zip(found, wanted, strict=True))
    return {
        "bytes": len(source),
        "program": lines.stat().st_size,
        "lines": count * len(SEEDS),
        "same": same,
        "difference": difference(rows, reference),
        **{f"µs {name}": 1e6 * spent / (count * len(SEEDS)) for name, spent in seconds.items()},
    }


def main() -> None:
    """Train, export, compile and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--lines", type=int, default=10_000)
    options.add_argument("--models", default=MODELS_TRIED)
    options.add_argument("--weights", default="int8")
    asked = options.parse_args()
    prepared = Prepared.of(Lines.bundled(), DataConfig())
    results = []
    for model in asked.models.split(","):
        run = train(prepared, model, training=TrainingConfig(seconds=asked.seconds)).run
        with TemporaryDirectory() as folder:
            found = measured(run, asked.weights, asked.lines, Path(folder))
        results.append({"model": model, **found})
        print(
            f"{model}: {found['same']:,} of {found['lines']:,} lines the same, probabilities "
            f"{found['difference']:.1e}, {found['bytes']:,} bytes; µs a line: C {found['µs c']:.1f}, "
            f"reference {found['µs reference']:.1f}, model {found['µs model']:.1f}",
            flush=True,
        )
    print(json.dumps(results))


if __name__ == "__main__":
    main()
