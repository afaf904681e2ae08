"""How well tiny lists are continued: the n-gram alone, the best network of ten seconds, and the n-gram pooled.

    python bench/tiny.py FOLDER [SECONDS]

Every FILE.txt of the folder is learned from and judged on the lines of FILE.heldout, of which nothing is known:
nats per character, line ends and new characters counted. `make` is what it trains with --model best in so many
seconds (10), as it did of every list before it pooled tiny ones; 0 leaves that out. The last line is the mean over
the lists, as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import machine
from spellout.api import load_run
from spellout.data.lines import Lines
from spellout.generation.evaluation import evaluate

WAYS = {"ngram": ["--model", "ngram", "--split", "none"], "make": ["--model", "best"], "pooled": []}


def loss_of(file: Path, way: str, seconds: float) -> float:
    """Let `make` train on a file, and judge what it trained on the file's held-out lines."""
    with tempfile.TemporaryDirectory() as place:
        run = Path(place, "run")
        command = [sys.executable, "-m", "spellout", "make", str(file), "-n", "1", "-o", str(run)]
        done = subprocess.run([*command, *WAYS[way], "--seconds", str(seconds)], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        trained = load_run(run)
    held = Lines.read(str(file.with_suffix(".heldout"))).in_file_order()
    return evaluate(trained.model, trained.vocabulary, held).nats_per_char


def main() -> None:
    """Print a row for every list, and the means."""
    folder, seconds = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
    ways = [way for way in WAYS if seconds or way != "make"]
    files = sorted(file for file in folder.glob("*.txt") if file.with_suffix(".heldout").exists())
    rows = []
    for file in files:
        rows.append([loss_of(file, way, seconds) for way in ways])
        print(
            f"{file.stem:28}", *(f"{way} {nats:.4f} " for way, nats in zip(ways, rows[-1], strict=True)), flush=True
        )
    means = {way: sum(row[place] for row in rows) / len(rows) for place, way in enumerate(ways)}
    better = sum(row[-1] < min(row[:-1]) for row in rows)
    print(json.dumps({"lists": len(files), "nats_per_char": means, "pooled_is_best": better, **machine()}))


if __name__ == "__main__":
    main()
