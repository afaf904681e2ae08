"""How long a person waits: cold processes of `spellout make` and `spellout --help`, `python bench/startup.py`.

Medians of whole processes; the baselines in the same run are Python doing nothing, and Python importing NumPy. The
last line is one JSON object.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

from machine import machine, timed

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import numpy'": [sys.executable, "-c", "import numpy"],
    "spellout --help": [sys.executable, "-m", "spellout", "--help"],
    "spellout make": [sys.executable, "-m", "spellout", "make"],
}


def main(rounds: int = 9) -> None:
    """Measure and print."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    result: dict[str, object] = {"bench": "startup", "machine": machine()}
    for name, command in COMMANDS.items():
        runs = [timed(command, **quiet) for _ in range(rounds)]
        result[name] = {
            "seconds": round(statistics.median(run[0] for run in runs), 3),
            "peak_mb": round(max(run[1] for run in runs)),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
