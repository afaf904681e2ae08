"""What a budget of seconds reaches, everything included, as the model is and as a model of new lines.

    python bench/budgets.py NAMES.txt                        # 1, 10 and 60 seconds, both splits
    python bench/budgets.py NAMES.txt --seconds 600          # only these
    python bench/budgets.py NAMES.txt --seconds 3600 --splits distinct   # an hour: an ensemble, and its student
    python bench/budgets.py NAMES.txt --test                 # test lines as well: once, at the end

Every row is a command that people type, run as a process of its own, and its wall-clock seconds; losses are those
that the run keeps, in nats per character on dev lines: as it is; of new lines (distinct split), or in two parts
where lines recur (lecture split); and the mass on training lines. The first row of each split is the n-gram alone,
which is the baseline. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from machine import machine, timed
from spellout.api import load_run
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation.judge import Judge

MODELS: dict[int, list[list[str]]] = {
    1: [["make", "--seconds", "1"]],
    10: [["make", "--seconds", "10"]],
    60: [["train", "--model", "gru+counts & gru:160:wide=256+ngram", "--seconds", "45"]],
    600: [
        [
            "train",
            "--model",
            "gru:256:dropout=0.2:wide=384+counts & transformer:96:heads=6:dropout=0.1 & "
            "ngram:8:smoothing=closed-form",
            "--seconds",
            "565",
        ]
    ],
    3600: [
        [
            "train",
            "--model",
            "2*gru:256:dropout=0.25:wide=384+counts & 2*transformer:96:heads=6:dropout=0.1 & "
            "ngram:8:smoothing=closed-form",
            "--seconds",
            "2400",
        ],
        [
            *["train", "--model", "transformer:88:heads=4:dropout=0.05", "--teacher", "{0}"],
            *["--made", "2", "--threads", "2", "--seconds", "1050"],
        ],
    ],
}
"""By seconds, the commands that spend them; {0} is the run of the first of them."""
AT_ONCE = {60: ["--at-once", "2"], 600: ["--at-once", "2"], 3600: ["--at-once", "2"]}


def main() -> None:
    """Measure, print a table and one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--seconds", default="1,10,60")
    parser.add_argument("--splits", default="distinct,lecture")
    parser.add_argument("--test", action="store_true")
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for split in asked.splits.split(","):
            jobs = [(0, [["train", "--model", "ngram"]])]
            jobs += [(seconds, MODELS[seconds]) for seconds in map(int, asked.seconds.split(","))]
            for seconds, commands in jobs:
                taken, runs = 0.0, []
                for number, command in enumerate(commands):
                    runs.append(f"{place}/{split}-{seconds}-{number}")
                    taken += run(asked.file, command, split, seconds, runs)
                for command, folder in zip(commands, runs, strict=True):
                    row = {
                        "budget": seconds,
                        "split": split,
                        "command": " ".join(command),
                        "seconds": round(taken, 1),
                    }
                    rows.append(row | figures(folder, asked.file, split, asked.test))
                    print(json.dumps(rows[-1]), flush=True)
    print(json.dumps({"machine": machine(), "rows": rows}))


def run(file: str, command: list[str], split: str, seconds: int, runs: list[str]) -> float:
    """Run one command into the last of the folders; its seconds."""
    name, *rest = [part.format(*runs) for part in command]
    more = AT_ONCE.get(seconds, []) if name == "train" and "--teacher" not in rest else []
    whole = [sys.executable, "-m", "spellout", name, file, *rest, *more, "--split", split, "-o", runs[-1]]
    return timed(whole, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)[0]


def figures(folder: str, file: str, split: str, test: bool) -> dict[str, Any]:
    """The losses of a run on dev lines, and on test lines if asked for."""
    results = json.loads((Path(folder) / "config.json").read_text("utf-8"))["results"]
    new = results["new_lines"]
    found = {"as_it_is": results["dev"]["nats_per_char"], "new": new["nats_per_char"], "mass": new["mass"]}
    kept = load_run(folder)
    found["parameters"] = kept.model.parameters
    if test:
        prepared = Prepared.of(Lines.read(file, None), DataConfig(split=split))
        judge = Judge(prepared)
        judged = judge(kept.model, judge.held_out(prepared.split.test))
        assert judged.new is not None
        found |= {"test": judged.as_it_is.nats_per_char, "test_new": judged.new.result.nats_per_char}
    return {name: round(number, 4) for name, number in found.items()}


if __name__ == "__main__":
    main()
