"""Which model suits a list in so many seconds: each candidate in the place of the one that `make` chooses.

    python bench/plans.py LIST.txt --seconds 10
    python bench/plans.py LIST.txt --seconds 60 --models "mlp+counts,gru+counts & gru:160:wide=256+ngram"
    python bench/plans.py SMILES.txt --valid "python valid.py"    # which prints the valid ones of its lines
    python bench/plans.py LIST.txt --clock process    # on a machine with other work: seconds of the processor

Every row is a process of its own that runs `spellout make LIST.txt --seconds N`, in which the rules are replaced by
the candidate; `best` is what the rules choose, which is the row to beat, and `ngram` the baseline. Losses are those
that the run keeps, nats per character on dev lines as it is and of new lines; `processor` are the seconds of the
processor that `make` took in this process; 1,000 lines are made as it is, for `--valid`. With
`--clock process`, whatever asks what time it is is told the seconds of the processor: on one core that is the same,
with members side by side it is not. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

MADE = 1000
WITHOUT = (
    "best",
    "mlp+ngram",
    "mlp+counts",
    "gru-numpy:128:batch={batch}+ngram",
    "gru-numpy:128:batch={batch}+counts",
)
WITH_TORCH = "best", "mlp:128:members=4+counts", "gru+counts", "gru+counts & gru:160:wide=256+ngram"
LONG = 25.0
"""With so many seconds, the candidates with PyTorch are the usual ones."""


def main() -> None:
    """Measure, print a table and one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--models")
    parser.add_argument("--valid")
    parser.add_argument("--clock", choices=["wall", "process"], default="wall")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one is not None:
        one(asked.file, asked.seconds, asked.one, asked.clock)
        return
    from machine import machine

    models = asked.models.split(",") if asked.models else WITH_TORCH if asked.seconds >= LONG else WITHOUT
    rows = []
    for model in ("ngram", *models):
        rows.append(row_of(asked, model))
        print(json.dumps(rows[-1]), flush=True)
    result = {"file": Path(asked.file).name, "seconds": asked.seconds, "clock": asked.clock, "rows": rows}
    print(json.dumps(result | {"machine": machine()}))


def row_of(asked: argparse.Namespace, model: str) -> dict[str, Any]:
    """Train one candidate, and judge it and what it makes."""
    command = [sys.executable, __file__, asked.file, "--seconds", str(asked.seconds), "--clock", asked.clock]
    begun = time.perf_counter()
    done = subprocess.run([*command, "--one", model], capture_output=True, text=True)
    taken = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"{model}: {done.stderr}")
    *made, said = done.stdout.splitlines()
    row = {"model": model, **json.loads(said), "wall": round(taken, 1)}
    if asked.valid:
        text = "".join(f"{line}\n" for line in made)
        valid = subprocess.run(shlex.split(asked.valid), input=text, capture_output=True, text=True, check=True)
        row["valid"] = round(len(valid.stdout.splitlines()) / len(made), 3)
    return row


def one(file: str, seconds: float, model: str, clock: str) -> None:
    """Run `make` with a candidate in the place of the rules; print lines, and one JSON object."""
    if clock == "process":
        time.perf_counter = time.process_time
    from spellout.app.cli import run_command
    from spellout.training import best
    from spellout.training.plans.choice import Choice
    from spellout.training.plans.machine import Machine
    from spellout.training.plans.traits import Traits

    rules = best.chosen

    def chosen(traits: Traits, machine: Machine, seconds: float) -> Choice:
        choice = rules(traits, machine, seconds)
        if model in ("best", "ngram"):
            return choice
        text = model.format(batch=max(4, round(600 / traits.length)))
        return replace(choice, specification=text, at_once=1 + (" & " in text and len(os.sched_getaffinity(0)) > 1))

    best.chosen = chosen
    more = ["--model", "ngram"] if model == "ngram" else []
    with tempfile.TemporaryDirectory() as place, open(os.devnull, "w") as nowhere:
        run, out = f"{place}/run", os.dup(1)
        os.dup2(nowhere.fileno(), 1)
        code = run_command(["make", file, "--seconds", str(seconds), "-n", "1", "-o", run, *more])
        sys.stdout.flush()
        os.dup2(out, 1)
        processor = time.process_time()
        if code:
            raise SystemExit(code)
        run_command(["sample", run, "-n", str(MADE), "--as-it-is"])
        facts = json.loads((Path(run) / "config.json").read_text("utf-8"))
    results = facts["results"]
    told = {
        "made_by": facts["specification"],
        "steps": results.get("steps"),
        "as_it_is": round(results["dev"]["nats_per_char"], 4),
        "new": round(results["new_lines"]["nats_per_char"], 4),
        "processor": round(processor, 1),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
