"""`spellout doctor TARGET` examines what a factory in a Python file makes, or a run folder.

A factory is a function without arguments, named as in `train.py:healthy_case`. It returns a `Case`, a
dictionary with a `Case`'s fields (`model`, `loss`, `batch`, `optimizer`, `step`, `evaluate`, …), or a tuple of
the first three.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import ExaminationError, UsageError
from ..models.family import Family
from .case import Case, case_of
from .checks.equivalences import channels
from .examination import examine
from .language_models import cases_of_run
from .report import Facts, Report

WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt")
"""How the names of files of weights end."""


def examine_target(target: str, ignore: list[str], models: Mapping[str, Family], thorough: bool = False) -> Report:
    """Examine `path/to/file.py:factory`, a run folder, or a file of weights; `models` is the table of families."""
    if target.endswith(WEIGHTS):
        return _weights(target)
    path, _, factory = target.rpartition(":")
    made = {"": _call(Path(path), factory)} if path.endswith(".py") else cases_of_run(Path(target), models)
    try:
        reports = {name: examine(_case(case, thorough), ignore=ignore) for name, case in made.items()}
    except ValueError as error:
        if "there is no check" in str(error):
            raise UsageError(f"--ignore: {error}") from None
        raise
    return reports[""] if "" in reports else Report.together(reports)


def _case(made: Any, thorough: bool) -> Case:
    names = ("model", "loss", "batch")
    case = case_of(dict(zip(names, made, strict=False)) if isinstance(made, tuple) else made)
    return replace(case, thorough=True) if thorough else case


def _weights(path: str) -> Report:
    """What the numbers of a checkpoint say by themselves."""
    try:
        weights = channels.read(path)
    except OSError as error:
        raise ExaminationError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise ExaminationError(f"{path} cannot be examined: {error}") from None
    facts: Facts = {"tensors": len(weights), "numbers": sum(one.numel() for one in weights.values())}
    return Report.of(list(channels.look(weights)), [], facts)


def _call(path: Path, name: str) -> Any:
    if not path.is_file():
        raise ExaminationError(f"{path} is not a file; name it as in train.py:case")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ExaminationError(f"{path} cannot be read as Python")
    module = importlib.util.module_from_spec(spec)
    # While it runs, it finds its neighbours, and classes of its own by the name of its module.
    sys.path.insert(0, str(path.parent.resolve()))
    sys.modules[path.stem], before = module, sys.modules.get(path.stem)
    try:
        spec.loader.exec_module(module)
        factory = getattr(module, name, None)
        if not callable(factory):
            raise ExaminationError(f"{path} has no function {name!r} that makes the case")
        return factory()
    except ExaminationError:
        raise
    except Exception as error:
        raise ExaminationError(f"{path}:{name} raised {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent.resolve()))
        del sys.modules[path.stem]
        if before is not None:
            sys.modules[path.stem] = before
