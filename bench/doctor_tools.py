"""Existing checkers of PyTorch programs and this one on the same pairs, in one table.

    python -m pip install --no-deps --target TOOLS torchtest2 torch-audit \
        torch-preflight preflight-ml click libcst pyyaml
    PYTHONPATH=TOOLS:tests python bench/doctor_tools.py

Each tool is given all that it can take: `torchtest2` model, batch, loss and optimizer; `torch-audit` the same
and two runs of the program's own step; `torch-preflight`, which reads source, the program's text; `preflight-ml`
the batches. A mistake counts as named if a tool says something (a warning or worse) that it says of no
healthy program of the same check; a healthy program of which it says anything at all counts as a false alarm.
Ours must give the right id.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import json
import sys
import textwrap
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from machine import machine
from spellout.doctor import PAGES, examine

Says = Callable[[Callable[[], dict[str, Any]]], set[str]]
PARTS = ("steps", "losses", "structure", "parameters", "numbers", "data")


def _first(batch: Any) -> tuple[Any, Any]:
    if isinstance(batch, torch.utils.data.DataLoader):
        batch = next(iter(batch))
    return batch[0], batch[1]


def _one_optimizer(case: dict[str, Any]) -> Any:
    optimizer = case.get("optimizer")
    return optimizer[0] if isinstance(optimizer, list) else optimizer


def ours(program: Callable[[], dict[str, Any]]) -> set[str]:
    """The ids of our errors and warnings, and of notes where the page itself is a note."""
    report = examine(**program())
    said = (*report.errors, *report.warnings, *report.symptoms)
    return {finding.id for finding in said} | {f.id for f in report.findings if PAGES[f.id].severity == "note"}


def torchtest2(program: Callable[[], dict[str, Any]]) -> set[str]:
    """The checks that failed or warned."""
    from torchtest2 import check_model

    case = program()
    inputs, targets = _first(case["batch"])
    report = check_model(case["model"], inputs, targets, loss_fn=case["loss"], optimizer=_one_optimizer(case))
    return {result.name for result in report if str(result.status) in ("WARN", "FAIL")}


def torch_audit(program: Callable[[], dict[str, Any]]) -> set[str]:
    """The rules broken: static, initialisation, data, and two of the user's own steps."""
    from torch_audit import autopatch

    case = program()
    auditor = autopatch(case["model"], optimizer=_one_optimizer(case), every_n_steps=1)
    auditor.audit_data(_first(case["batch"]))
    if case.get("step") is not None:
        case["step"]()
        case["step"]()
    auditor.unpatch()
    return {finding.rule_id for finding in auditor.findings if str(finding.severity.value).upper() != "INFO"}


def torch_preflight(program: Callable[[], dict[str, Any]]) -> set[str]:
    """The rules broken by the program's own text, under the imports of its file."""
    from torch_preflight import check_source

    imports = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n"
    diagnostics, _ = check_source("program.py", imports + textwrap.dedent(inspect.getsource(program)))
    return {one.code for one in diagnostics if str(getattr(one.severity, "value", one.severity)).lower() != "info"}


def preflight_ml(program: Callable[[], dict[str, Any]]) -> set[str]:
    """The checks of the data (and model) that did not pass."""
    from preflight import run_checks

    case = program()
    results = run_checks([_first(case["batch"])], model=case["model"], loss_fn=case["loss"])
    return {one.name for one in results if not one.passed and one.severity.value != "info"}


TOOLS: dict[str, Says] = {
    "spellout": ours, "torchtest2": torchtest2, "torch-audit": torch_audit, "torch-preflight": torch_preflight,
    "preflight-ml": preflight_ml,
}  # fmt: skip


def say(tool: Says, program: Callable[[], dict[str, Any]]) -> set[str]:
    """What a tool says, or that it failed, which names nothing."""
    torch.manual_seed(0)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return tool(program)
    except Exception:
        return set()


def judge(tool: str, faulty: list[Any], healthy: list[Any]) -> dict[str, Any]:
    """Mistakes named and false alarms, over one list of pairs."""
    says = TOOLS[tool]
    family: dict[int, set[str]] = {}
    alarms = 0
    for name, program in healthy:
        said = say(says, program)
        if tool == "spellout":
            said = {one for one in said if PAGES[one].severity != "note"}
        family.setdefault(PAGES[name].number, set()).update(said)
        alarms += bool(said)
    named = []
    for name, program in faulty:
        said = say(says, program)
        if name in said if tool == "spellout" else said - family.get(PAGES[name].number, set()):
            named.append(program.__name__)
    return {
        "named": len(named),
        "of": len(faulty),
        "false alarms": alarms,
        "healthy": len(healthy),
        "programs": named,
    }


def main() -> None:
    """Print the table, and one JSON object."""
    from doctor.held_out import PAIRS
    from doctor.table import FAULTY, HEALTHY

    for part in PARTS:
        importlib.import_module(f"doctor.pairs_{part}")
    held = [[(name, named(pair, right)) for name, pair in PAIRS] for right in (False, True)]
    result: dict[str, Any] = {}
    for tool in TOOLS:
        try:
            release = version(tool)
        except PackageNotFoundError:
            print(f"{tool}: not installed", file=sys.stderr)
            continue
        result[tool] = {"version": release, "table": judge(tool, FAULTY, HEALTHY), "held out": judge(tool, *held)}
        for name in ("table", "held out"):
            row = result[tool][name]
            counts = (
                f"{row['named']:3} of {row['of']} named, {row['false alarms']:2} of {row['healthy']} false alarms"
            )
            print(f"{tool:16} {name:9} {counts}")
    others = {one for tool in result if tool != "spellout" for one in result[tool]["table"]["programs"]}
    print(f"the others together: {len(others)} of {len(FAULTY)}")
    for tool in result.values():
        for name in ("table", "held out"):
            tool[name].pop("programs")
    print(json.dumps({"tools": result, "others together": len(others), "torch": torch.__version__, **machine()}))


def named(pair: Callable[[bool], dict[str, Any]], right: bool) -> Callable[[], dict[str, Any]]:
    """One side of a held-out pair, under its own name; a reader of source sees both sides."""

    def program() -> dict[str, Any]:
        return pair(right)

    program.__name__ = f"{pair.__name__}:{right}"
    program.__wrapped__ = pair  # type: ignore[attr-defined]
    return program


if __name__ == "__main__":
    main()
