"""What `spellout make` reaches, and in what time, reading the file and starting Python included.

    python bench/make_quality.py NAMES.txt                 # 10 and 60 seconds on both splits, and the single models
    python bench/make_quality.py NAMES.txt --quick         # 10 seconds only

Runs `spellout make NAMES.txt -o RUN --seconds S` as a process of its own and reads the dev loss from the run; the
n-gram is the baseline. Then each network of the base install on the lecture split for 30 seconds (kernels of the
programs compiled before), with and without the n-gram's log-probabilities, so that nobody mistakes what did the
work. Test lines are not touched. The last line is JSON; losses are nats per character.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import machine, timed

NETWORKS = ["bigram", "mlp", "mlp+ngram", "gpt", "gpt+ngram"]


def run(arguments: list[str], folder: str) -> tuple[float, float]:
    """Seconds of a command that writes a run, and the dev loss in it."""
    command = [sys.executable, "-m", "spellout", *arguments, "-o", folder]
    seconds, _ = timed(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    results = json.loads((Path(folder) / "config.json").read_text("utf-8"))["results"]
    return seconds, results["dev"]["nats_per_char"]


def main() -> None:
    """Measure, print a table and one JSON object."""
    file, quick = sys.argv[1], "--quick" in sys.argv
    rows = []
    with tempfile.TemporaryDirectory() as place:
        jobs = [
            (
                f"make --seconds {s} --split {split}",
                ["make", file, "--seconds", str(s), "--split", split],
            )
            for split in ("lecture", "distinct")
            for s in ([0, 10] if quick else [0, 10, 60])
        ]
        if not quick:
            run(["train", file, "--model", "bigram", "--steps", "1"], f"{place}/warm")  # kernels of the programs
            jobs += [
                (f"train --model {name} --seconds 30", ["train", file, "--model", name, "--seconds", "30"])
                for name in NETWORKS
            ]
            jobs = [(n, [*a, "--split", "lecture"] if a[0] == "train" else a) for n, a in jobs]
        for number, (name, arguments) in enumerate(jobs):
            seconds, loss = run(arguments, f"{place}/{number}")
            rows.append({"command": name, "seconds": round(seconds, 2), "dev": round(loss, 4)})
            print(f"{name:<42} {seconds:6.1f} s   dev {loss:.4f}", flush=True)
    print(json.dumps({"machine": machine(), "rows": rows}))


if __name__ == "__main__":
    main()
