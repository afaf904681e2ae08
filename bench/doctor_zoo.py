"""Healthy programs of many kinds are examined: how many are accused, and how long each examination takes.

PYTHONPATH=tests python bench/doctor_zoo.py                the whole zoo
PYTHONPATH=tests python bench/doctor_zoo.py --only gan     programs with that in their name
PYTHONPATH=tests python bench/doctor_zoo.py --watched      those with a step, as a loop that is only watched
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch

from machine import machine
from spellout.doctor import Report, examine
from spellout.doctor.snapshot import borrowed

ROOMS = (
    "more_zoo", "animals.vision", "animals.sequences", "animals.generative", "animals.decisions",
    "animals.representations", "animals.structures", "animals.tables", "animals.loops",
)  # fmt: skip
SECOND = ("animals.second",)
"""Written after everything was mended on the others, and run once."""


def own_step(case: dict[str, Any]) -> float:
    """Seconds that one of the program's own steps takes, the least of three; what they do is undone."""
    step = case.get("step")
    if step is None:
        return 0.0
    times = []
    with borrowed(case["model"], case.get("optimizer"), step, case.get("batch")):
        for _ in range(3):
            begin = time.perf_counter()
            step()
            times.append(time.perf_counter() - begin)
    return min(times)


def examined(name: str, program: Any, look: Callable[..., Any]) -> dict[str, Any]:
    """One program: what was said of it, and the seconds against ten of its own steps and two more."""
    torch.manual_seed(0)
    begin = time.perf_counter()
    try:
        case = program()
        begin = time.perf_counter()
        report = look(case)
    except Exception as error:
        traceback.print_exc()
        return {"name": name, "errors": [f"raised {type(error).__name__}"], "warnings": [], "seconds": 0.0}
    seconds = time.perf_counter() - begin
    for finding in report.findings:
        if finding.severity != "note":
            print(f"    {finding.severity} {finding.id}: {finding.evidence} [{finding.where}]")
    failed = [line for line in report.not_examined if "failed on this program" in line]
    for line in failed:
        print(f"    {line}")
    step = own_step(case)
    return {
        "name": name,
        "errors": [one.id for one in report.errors],
        "warnings": [one.id for one in report.warnings],
        "notes": [one.id for one in report.findings if one.severity == "note"],
        "failed": failed,
        "seconds": round(seconds, 2),
        "step": round(step, 5),
        "in time": seconds <= 10 * step + 2,
    }


def main() -> None:
    """Print a line for each program, and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--from", dest="first", type=int, default=0)
    parser.add_argument("--second", action="store_true")
    parser.add_argument("--watched", action="store_true")
    asked = parser.parse_args()
    zoo = importlib.import_module("doctor.zoo").ZOO
    for room in ROOMS:
        importlib.import_module(f"doctor.{room}")
    if asked.second:
        zoo.clear()
        for room in SECOND:
            importlib.import_module(f"doctor.{room}")
    watched = importlib.import_module("doctor.loops").watched

    def look(case: dict[str, Any]) -> Report:
        if not asked.watched:
            return examine(**case)
        return watched(case) if case.get("step") is not None else Report()

    warnings.simplefilter("ignore")
    rows = []
    for program in zoo[asked.first :]:
        if asked.only in program.__name__:
            rows.append(examined(program.__name__, program, look))
            row = rows[-1]
            marks = " ".join(row["errors"] + row["warnings"])
            print(
                f"{row['seconds']:7.2f} s  step {row.get('step', 0) * 1e3:8.2f} ms  {row['name']}  {marks}",
                flush=True,
            )
    counts = Counter(one for row in rows for one in (*row["errors"], *row["warnings"]))
    print(
        json.dumps(
            {
                "examined": len(rows),
                "errors": sum(bool(row["errors"]) for row in rows),
                "warnings": sum(bool(row["warnings"]) for row in rows),
                "said": dict(counts),
                "seconds": round(sum(row["seconds"] for row in rows), 1),
                "longest": max((row["seconds"] for row in rows), default=0.0),
                "over ten steps and 2 s": [row["name"] for row in rows if not row.get("in time", True)],
                "torch": torch.__version__,
                **machine(),
            }
        )
    )


if __name__ == "__main__":
    main()
