"""How far lines travel from a file to the printed samples: `python bench/call_path.py FILE`.

It makes lines like those of FILE and lists the way by stretches, parts of it that stay in one file. Counted is the
first call of each function that is handed the lines or what was made of them. Not counted are properties, lambdas,
and calls inside the rooms data, models and generation: there the door is enough to find one's way. A stretch climbs
if it stands on a higher floor than the one before it. The last line is one JSON object.
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import spellout
from spellout.app.cli import run_command

SOURCE = f"{Path(spellout.__file__).parent}/"
FLOORS = ("data", "models", "generation", "training", "app")
HELD = ("Lines", "Split", "Prepared", "Job", "Run", "Trained", "Sample", "NgramModel", "Evaluation", "ndarray")


def holds_lines(value: Any, file: str) -> bool:
    """Whether an argument is the file, its lines, or something made of them."""
    lines = isinstance(value, list) and len(value) > 2 and all(isinstance(one, str) for one in value)
    return lines or value is file or type(value).__name__ in HELD


def way_of(file: str) -> list[tuple[str, str]]:
    """The path and the name of every function on the way, in the order of their first calls."""
    way: list[tuple[str, str]] = []
    known = set()

    def listen(frame: FrameType, event: str, argument: object) -> None:
        code, caller = frame.f_code, frame.f_back
        while caller and not caller.f_code.co_filename.startswith(SOURCE):
            caller = caller.f_back
        if event != "call" or code in known or not caller or not code.co_filename.startswith(SOURCE):
            return
        path = code.co_filename.removeprefix(SOURCE)
        room, before = path.split("/")[0], caller.f_code.co_filename.removeprefix(SOURCE).split("/")[0]
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        counted = room in FLOORS and (room in ("training", "app") or room != before)
        counted &= names != ("self",) and code.co_name != "<lambda>"
        if counted and any(holds_lines(frame.f_locals.get(name), file) for name in names):
            known.add(code)
            way.append((path, code.co_qualname))

    sys.setprofile(listen)
    run_command(["make", file, "--model", "ngram", "-n", "3"])
    sys.setprofile(None)
    return way


def main(file: str) -> None:
    """Print the way and its figures."""
    stretches: list[tuple[str, list[str]]] = []
    for path, name in way_of(file):
        if not stretches or stretches[-1][0] != path:
            stretches.append((path, []))
        stretches[-1][1].append(name)
    for path, functions in stretches:
        print(f"{path:30}{', '.join(functions)}")
    floors = [FLOORS.index(path.split("/")[0]) for path, _ in stretches]
    climbing = sum(one < next_one for one, next_one in pairwise(floors))
    files = len({path for path, _ in stretches})
    print(json.dumps({"bench": "call_path", "files": files, "stretches": len(stretches), "climbing": climbing}))


if __name__ == "__main__":
    main(sys.argv[1])
