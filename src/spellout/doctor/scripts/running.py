"""A script is run as Python runs it: as `__main__`, with its own arguments and its own folder on the path."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any

from ...errors import ExaminationError


@contextmanager
def as_main(
    path: str, arguments: Sequence[str], first: str, package: str | None = None
) -> Iterator[dict[str, Any]]:
    """Give the variables of a new `__main__`; everything of the interpreter is put back at the end."""
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=path, __builtins__=__builtins__, __cached__=None)
    if package is not None:
        main.__package__ = package
    before = sys.modules.get("__main__"), sys.argv, sys.path[:]
    sys.modules["__main__"], sys.argv = main, [path, *arguments]
    # The folder of the script stands where Python puts it: first, in the place of ours.
    sys.path.insert(0, first)
    try:
        yield main.__dict__
    finally:
        old, sys.argv, sys.path[:] = before
        if old is not None:
            sys.modules["__main__"] = old


def script_code(path: Path) -> CodeType:
    """The compiled script. `ExaminationError` if it cannot be read; a SyntaxError of its own is raised as it is."""
    try:
        source = path.read_bytes()
    except OSError as error:
        raise ExaminationError(f"{path} cannot be read: {error.strerror}") from None
    return compile(source, str(path), "exec", dont_inherit=True)


def run_script(path: Path, arguments: Sequence[str]) -> None:
    """Do what `python path arguments` does."""
    code = script_code(path)
    with as_main(str(path), arguments, str(path.resolve().parent)) as variables:
        execute(code, variables)


def run_module(name: str, arguments: Sequence[str]) -> None:
    """Do what `python -m name arguments` does."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            name = f"{name}.__main__"
            spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        spec = None
    finally:
        sys.path.remove(here)
    loader: Any = spec.loader if spec is not None else None
    if spec is None or spec.origin is None or not hasattr(loader, "get_code"):
        raise ExaminationError(f"there is no module {name} to run")
    with as_main(spec.origin, arguments, here, name.rpartition(".")[0]) as variables:
        variables["__spec__"] = spec
        execute(loader.get_code(name), variables)


def execute(code: CodeType, variables: dict[str, Any]) -> None:
    """Run it; the frames of a traceback begin below this one."""
    exec(code, variables)
