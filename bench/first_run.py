"""How long somebody waits who runs `spellout make` on a list: `python bench/first_run.py`.

For every list (the bundled names, and those of `lists.py`, or files given as `NAME=PATH`), cold and warm, alone and
beside four processes that never rest: the time until lines are shown on the terminal, the time of the whole
command, the steps of the network and the loss on dev lines. The command runs in a pseudo-terminal, as for a person.

Cold is the first run in a new virtual environment, with empty caches of compiled kernels and with the environment's
files out of the system's memory; warm is the median of the runs after it. Everything is wall time. The last line is
one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pty
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lists import LISTS
from machine import machine

ROOT = Path(__file__).resolve().parent.parent
BUSY = 4
LINES = re.compile(r"lines like ")  # what stands before the first lines that are shown
SIGNALS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # colours and movements
STEPS = re.compile(r"([\d,]+) steps")
DEV = re.compile(r"dev(?: \([^)]*\))?: ([\d.]+) nats")


def environment(place: Path) -> Path:
    """A new virtual environment with the base install; gives its `spellout`."""
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    install = ["-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", ROOT]
    subprocess.run([place / "bin/python", *install], check=True, stderr=subprocess.DEVNULL)
    return place / "bin/spellout"


def forget(place: Path) -> None:
    """Take an environment's files out of the system's memory, and the kernels that were compiled in it away."""
    for path in list(place.rglob("*")):
        if path.suffix in (".nbi", ".nbc"):
            path.unlink()
        elif path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@contextlib.contextmanager
def load(processes: int) -> Iterator[None]:
    """So many processes that never rest."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def watch(command: list[str]) -> dict[str, object]:
    """Run a command with its notes on a pseudo-terminal, and its lines into a pipe that is read at the end."""
    ours, theirs = pty.openpty()
    start = time.perf_counter()
    with tempfile.TemporaryFile() as lines:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=lines, stderr=theirs)
        os.close(theirs)
        said, first = "", None
        while True:
            try:
                piece = os.read(ours, 1 << 16)
            except OSError:  # how Linux says that the other side was closed
                piece = b""
            if not piece:
                break
            said += piece.decode(errors="replace")
            if first is None and LINES.search(said):
                first = time.perf_counter() - start
        code = process.wait()
        whole = time.perf_counter() - start
        lines.seek(0)
        made = len(lines.read().splitlines())
    os.close(ours)
    if code:
        raise SystemExit(f"{command} failed: {said}")
    said = " ".join(SIGNALS.sub("", said).split())  # the terminal has wrapped it
    steps, dev = STEPS.findall(said), DEV.findall(said)
    return {
        "first": None if first is None else round(first, 2),
        "whole": round(whole, 2),
        "lines": made,
        "steps": int(steps[-1].replace(",", "")) if steps else 0,
        "dev": float(dev[-1]) if dev else None,
    }


def main() -> None:
    """Measure, print a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", help="NAME=PATH of a list instead of those that are made here")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warm", type=int, default=3, help="runs after the cold one")
    parser.add_argument("--only", default="", help="only lists whose name holds this")
    parser.add_argument("--here", action="store_true", help="use this environment instead of a new one")
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        program = Path(sys.executable).parent / "spellout" if asked.here else environment(place / "venv")
        files: dict[str, list[str]] = {"bundled names": []}
        if asked.files:
            files |= {name: [path] for name, _, path in (given.partition("=") for given in asked.files)}
        else:
            for number, (name, make) in enumerate(LISTS.items()):
                if asked.only in name:
                    path = place / f"{number}.txt"
                    path.write_text("\n".join(make()) + "\n", encoding="utf-8")
                    files[name] = [str(path)]
        for name, arguments in files.items():
            if asked.only not in name:
                continue
            command = [str(program), "make", *arguments, "--seconds", str(asked.seconds), "--seed", "1"]
            for busy in (0, BUSY):
                if not asked.here:
                    forget(place / "venv")
                with load(busy):
                    runs = [watch(command) for _ in range(1 + asked.warm)]
                for kind, some in (("cold", runs[:1]), ("warm", runs[1:])):
                    row = {"list": name, "start": kind, "beside": busy}
                    row |= {key: statistics.median([one[key] or 0 for one in some]) for key in some[0]}  # type: ignore[type-var]
                    row["longest"] = max(one["whole"] for one in some)  # type: ignore[type-var]
                    rows.append(row)
                    print(*(f"{value!s:>12}" for value in row.values()), flush=True)
    late = [row for row in rows if row["longest"] > asked.seconds + 1]
    print(json.dumps({"machine": machine(), "seconds": asked.seconds, "rows": rows, "over_budget": len(late)}))


if __name__ == "__main__":
    main()
