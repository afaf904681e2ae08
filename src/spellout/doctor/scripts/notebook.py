"""A notebook is run as a script: its code cells one after the other, without the lines that only IPython knows."""

from __future__ import annotations

import json
import linecache
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType

from ...errors import ExaminationError
from .running import as_main, execute

_PYTHON = ("%%time", "%%timeit", "%%capture", "%%doctor")
"""Cell magics whose cell is Python all the same."""


def cells_of(path: Path) -> list[str]:
    """The sources of the code cells. `ExaminationError` if it is no notebook."""
    try:
        cells = json.loads(path.read_text("utf-8"))["cells"]
        code = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
    except OSError as error:
        raise ExaminationError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise ExaminationError(f"{path} is not a notebook in the form that Jupyter writes (nbformat 4)") from None
    return ["".join(source) for source in code]


def python_of(cell: str) -> str:
    """A cell as Python: magics and shell commands do nothing, and every line keeps its number."""
    lines = cell.splitlines()
    first = next((place for place, line in enumerate(lines) if line.strip()), 0)
    if lines and lines[first].startswith("%%"):
        if not lines[first].startswith(_PYTHON):
            return ""
        lines[first] = ""
    return "\n".join(map(_without_magic, lines)) + "\n"


def _without_magic(line: str) -> str:
    bare = line.lstrip()
    if bare.startswith(("!", "?")) or (bare.startswith("%") and bare[1:2].isalpha()):
        return line[: len(line) - len(bare)] + "pass"
    return line


def _compiled(path: Path) -> Iterator[CodeType]:
    for number, cell in enumerate(cells_of(path), 1):
        source, name = python_of(cell), f"{path}[{number}]"
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)  # for tracebacks
        yield compile(source, name, "exec", dont_inherit=True)


def run_notebook(path: Path, arguments: Sequence[str]) -> None:
    """Run its code cells in one `__main__`."""
    codes = list(_compiled(path))
    with as_main(str(path), arguments, str(path.resolve().parent)) as variables:
        variables["display"] = print
        for code in codes:
            execute(code, variables)
