"""All pairs, held-out pairs and mutations of the doctor's tests: how many are named, how many accused, how long.

PYTHONPATH=tests python bench/doctor_tables.py                    every table
PYTHONPATH=tests python bench/doctor_tables.py --only padding     programs with that in their id or name
PYTHONPATH=tests python bench/doctor_tables.py --watched          those with a step, as a loop that is only watched

The tests examine a part of each table. Exit code 1 if a mistake is not named or a healthy program is accused.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from machine import machine
from spellout.doctor import examine

Program = Callable[[], dict[str, Any]]


def rows() -> Iterator[tuple[str, tuple[str, ...], str, Program]]:
    """Every program of every table: the table, the ids of which one must be found (none: healthy), and its name."""
    import doctor
    from doctor.held_out import PAIRS
    from doctor.mutations import MUTATIONS
    from doctor.table import FAULTY, HEALTHY
    from doctor.zoo_transformers import TRANSFORMERS

    for path in sorted(Path(next(iter(doctor.__path__))).glob("*.py")):
        if path.stem.startswith(("pairs_", "mutations_", "held_out_")):
            importlib.import_module(f"doctor.{path.stem}")
    for name, program in FAULTY:
        yield "pairs", (name,), f"{name} {program.__name__}", program
    for name, program in HEALTHY:
        yield "pairs", (), f"{name} {program.__name__}", program
    for name, pair in PAIRS:
        yield "held out", (name,), f"{name} {pair.__name__}", partial(pair, False)
        yield "held out", (), f"{name} {pair.__name__}", partial(pair, True)
    for _, ids, _, program in MUTATIONS:
        yield "mutations", ids or (), program.__name__, program
    for program in TRANSFORMERS:
        yield "mutations", (), program.__name__, program


def main() -> None:
    """Print what went wrong, and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--watched", action="store_true")
    options = parser.parse_args()
    watched = importlib.import_module("doctor.loops").watched
    asked = options.only
    warnings.simplefilter("ignore")
    counts: dict[str, dict[str, float]] = {}
    for table, ids, name, program in rows():
        if asked not in name:
            continue
        torch.manual_seed(0)
        case = program()
        if options.watched and case.get("step") is None:
            continue
        count = counts.setdefault(table, dict.fromkeys(("faulty", "named", "healthy", "accused", "seconds"), 0))
        begin = time.process_time()
        report = watched(case) if options.watched else examine(**case)
        count["seconds"] += time.process_time() - begin
        found = {finding.id for finding in (*report.findings, *report.symptoms)}
        if ids:
            count["faulty"] += 1
            count["named"] += bool(found & set(ids))
        else:
            count["healthy"] += 1
            count["accused"] += not report.healthy
        if (ids and not found & set(ids)) or (not ids and not report.healthy):
            print(f"{table}: {name}: {'not named' if ids else 'accused'}; found {sorted(found)}", flush=True)
    for count in counts.values():
        count["seconds"] = round(count["seconds"], 1)
    print(json.dumps({**counts, "torch": torch.__version__, **machine()}))
    sys.exit(any(one["named"] < one["faulty"] or one["accused"] for one in counts.values()))


if __name__ == "__main__":
    main()
