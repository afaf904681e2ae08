"""Ten million lines: `python bench/scale.py [--lines N] [--lmplz PATH]`.

Makes a file of lines with spellout's own n-gram of the bundled names (the sampling speed is measured there), trains
order 5 on it in one pass with `spellout train --stream`, and, if KenLM's `lmplz` is found, estimates the same order
on the same letters with it. Each runs as a process of its own, pinned with this one to the same core; seconds and
peak memory are of the whole process, medians over `--rounds`. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

from machine import machine, timed
from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.generation.config import SamplingConfig
from spellout.generation.sampling import sample


def make_file(path: Path, lines: int) -> float:
    """Write so many lines made from the bundled names; names per second."""
    run = train(Prepared.of(Lines.bundled(), DataConfig()), "ngram:6").run
    made = sample(run.model, run.vocabulary, SamplingConfig(seed=1))
    begin = time.perf_counter()
    with open(path, "w", encoding="utf-8") as file:
        while block := list(islice(made, min(lines, 100_000))):
            file.writelines(one.text + "\n" for one in block)
            lines -= len(block)
            if not lines:
                break
    return time.perf_counter() - begin


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--order", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lmplz", default=shutil.which("lmplz"))
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="spellout-scale-"))
    text, spaced = folder / "lines.txt", folder / "spaced.txt"
    try:
        seconds = make_file(text, arguments.lines)
        letters = text.stat().st_size
        result: dict[str, object] = {
            "bench": "scale",
            "machine": machine(),
            "lines": arguments.lines,
            "bytes": letters,
            "order": arguments.order,
            "sampling_names_per_second": round(arguments.lines / seconds),
        }
        for smoothing in ("closed-form", "fitted"):
            command = [sys.executable, "-m", "spellout", "train", str(text), "--stream", "--overwrite"]
            command += ["-o", str(folder / "run"), "--model", f"ngram:{arguments.order}:smoothing={smoothing}"]
            result[f"spellout {smoothing}"] = measure(command, letters, arguments.rounds)
        if arguments.lmplz:
            with open(spaced, "w") as out:  # lmplz splits at spaces: one letter a word, an underscore for a space
                subprocess.run(["sed", "-e", "s/ /_/g", "-e", "s/./& /g", str(text)], stdout=out, check=True)
            command = [arguments.lmplz, "-o", str(arguments.order), "--discount_fallback", "-T", str(folder)]
            command += ["--text", str(spaced), "--arpa", "/dev/null", "-S", "4G"]
            result["lmplz"] = measure(command, letters, arguments.rounds)
        print(json.dumps(result))
    finally:
        shutil.rmtree(folder)


def measure(command: list[str], letters: int, rounds: int) -> dict[str, float]:
    """Median seconds and peak memory of a command over some rounds."""
    runs = [timed(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(rounds)]
    seconds = statistics.median(run[0] for run in runs)
    return {
        "seconds": round(seconds, 2),
        "letters_per_second": round(letters / seconds),
        "peak_mb": round(max(run[1] for run in runs)),
    }


if __name__ == "__main__":
    main()
