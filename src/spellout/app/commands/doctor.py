"""`spellout doctor SCRIPT`: examine a PyTorch training program, or print the page of one check."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

from cyclopts import Parameter
from cyclopts.validators import Number

from ...errors import ScriptEnded, UnhealthyError, UsageError
from .. import streams, terminal
from ..options import Flag, Json, Operand

if TYPE_CHECKING:
    from ...doctor.report.report import Report

_VALUED = frozenset(("--explain", "--ignore", "--steps", "--seconds", "--model", "--loss"))
"""The options that take the word after them."""
_EXIT = os._exit  # which is wrapped while a script is heard
_WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt")
"""How the names of checkpoints end; `doctor` itself is imported only when it is needed."""


def words_of(arguments: Sequence[str]) -> list[str]:
    """The words of a command line: from the script on they are values, also where they look like options."""
    words = list(arguments)
    place = 0
    while place < len(words):
        word = words[place]
        if word == "-m":
            return [*words[: place + 2], *map(Operand, words[place + 2 :])]
        if not word.startswith("-") or word == "-":
            return [*words[: place + 1], *map(Operand, words[place + 1 :])] if _is_script(word) else words
        place += 2 if word in _VALUED else 1
    return words


def doctor(
    target: str | None = None,
    /,
    *arguments: str,
    module: Annotated[str | None, Parameter(name="-m")] = None,
    steps: Annotated[int, Parameter(validator=Number(gte=1))] = 20,
    seconds: Annotated[float, Parameter(validator=Number(gte=0))] = 60.0,
    keep_running: Flag = False,
    thorough: Flag = False,
    model: str | None = None,
    loss: str | None = None,
    explain: str | None = None,
    ignore: tuple[str, ...] = (),
    json: Json = False,
    github: Flag = False,
    fix_hint: Flag = False,
) -> None:
    """Run a PyTorch training script as it is and name its mistakes; exit code 1 if there is one.

    Options of the doctor stand before SCRIPT; everything after it is the script's.

    Parameters
    ----------
    target
        SCRIPT.py, a notebook, a run folder, FILE.py:FUNCTION, which returns a dictionary (model, loss, ...), or a
        checkpoint (.pt, .pth, .ckpt, .safetensors).
    arguments
        The script's own arguments.
    module
        Run a module instead of a script, as `python -m` does.
    steps
        So many steps of the optimizer are watched.
    seconds
        So long an evaluation is waited for after them.
    keep_running
        Let the script run to its end, without the doctor once it has seen enough.
    thorough
        Ask large models everything, and whether what should come to the same does: saved and loaded, in parts, in
        two processes, in bfloat16, compiled.
    model
        The variable that holds the model, if it is not found.
    loss
        The variable that holds the loss, or the function that computes it, if it is not found.
    explain
        Print the page of one check by its id; `all` lists them.
    ignore
        The id of a check to leave out; may be given again.
    github
        Print annotations for a workflow of GitHub's.
    fix_hint
        Print the cures that are one line and certain, as a diff for `git apply` or `patch -p1`.
    """
    if explain is not None:
        terminal.print_report(_page(explain))
        return
    if module is not None:
        target, arguments = module, (*([target] if target is not None else []), *arguments)
    if target is None:
        raise UsageError("name what to examine, as in: spellout doctor train.py")
    tell = partial(_tell, json=json, github=github, fix_hint=fix_hint)
    watched = {"steps": steps, "seconds": seconds, "stops": not keep_running, "model": model, "loss": loss,
               "thorough": thorough}  # fmt: skip
    if module is None and not _is_script(target):
        _conclude(target, tell, _of_case(target, arguments, ignore, thorough))
    else:
        _conclude(target, tell, *_of_script(target, arguments, module is not None, ignore, watched, tell))


def _conclude(target: str, tell: Callable[[Report], None], report: Report, ended: int = 0) -> None:
    """Print the report; the exit code is the script's own, or 1 if an error was found."""
    tell(report)
    if ended:
        raise ScriptEnded(f"{target} ended with exit code {ended}", ended)
    if report.errors:
        count = len(report.errors)
        raise UnhealthyError(f"{target}: {count} error{'s' * (count != 1)} found")


def _of_case(target: str, arguments: tuple[str, ...], ignore: tuple[str, ...], thorough: bool) -> Report:
    """Examine a case that a function makes, a run folder, or a checkpoint."""
    from ...doctor.programs import examine_target
    from ...models.table import MODELS

    if arguments:
        raise UsageError(f"{target} takes no arguments, got {arguments[0]!r}; a script does: train.py ARGUMENTS")
    with contextlib.redirect_stdout(sys.stderr):  # what the user's step prints is not the report
        return examine_target(target, list(ignore), MODELS, thorough)


def _of_script(
    target: str,
    arguments: tuple[str, ...],
    is_module: bool,
    ignore: tuple[str, ...],
    watched: dict[str, Any],
    tell: partial[None],
) -> tuple[Report, int]:
    """Run a script under the doctor's eyes: the report, and the exit code that the script ended with."""
    from ...doctor.scripts.session import Session
    from ...doctor.scripts.starting import examine_script

    _known(ignore)
    session = Session(ignore=ignore, **watched)
    session.at_last = partial(_end, target, tell, (sys.stdout, sys.stderr))
    alone = any(tell.keywords.values())  # what the script prints would be mixed with what programs read
    with streams.lent(as_messages=alone):
        outcome = examine_script(target, arguments, session, is_module, passing=(streams.ReaderLeft,))
    if outcome.interrupt is not None:
        if outcome.report.examined or outcome.report.findings:
            tell(outcome.report)
        raise outcome.interrupt
    if outcome.stopped and outcome.written:
        terminal.note(f"before it was stopped, {target} wrote {', '.join(outcome.written)}")
    return outcome.report, outcome.code


def _tell(report: Report, json: bool, github: bool, fix_hint: bool) -> None:
    if json:
        terminal.print_json(report.to_json())
    elif github:
        terminal.print_text(report.annotations())
    elif fix_hint:
        changes = report.fixes()
        terminal.print_text(changes)
        if report.findings and not changes:
            terminal.note("no cure here is one certain line; without --fix-hint the report says what to do")
    else:
        terminal.print_styled([line.parts for line in report.lines(terminal.width())])


def _end(
    target: str,
    tell: Callable[[Report], None],
    ours: tuple[TextIO, TextIO],
    report: Report,
    code: int | None,
) -> NoReturn:
    """End the process of a script that catches whatever is raised, or that leaves at once, with that exit code."""
    sys.stdout, sys.stderr = ours
    tell(report)
    sys.stdout.flush()
    if code is None:
        terminal.complain(f"{target} catches everything that is raised, so its process was ended")
    elif code:
        terminal.complain(f"{target} ended with exit code {code}")
    sys.stderr.flush()
    _EXIT(code or (1 if report.errors else 0))


def _is_script(target: str) -> bool:
    if target.endswith((".py", ".ipynb")):
        return True
    try:
        return Path(target).is_file() and not target.endswith((".json", *_WEIGHTS))
    except (OSError, ValueError):  # it can be no file's name, which is told as of a run's
        return False


def _known(ignore: tuple[str, ...]) -> None:
    from ...doctor.checks.catalog import PAGES

    for name in ignore:
        if name not in PAGES:
            raise UsageError(f"--ignore: there is no check {name!r}; `spellout doctor --explain all` lists them")


def _page(name: str) -> str:
    """Return the page of one check of the doctor, or the table of all."""
    from ...doctor.checks.catalog import PAGES

    if name == "all":
        return "\n".join(f"{page.id:32} {page.severity:8} {page.title}" for page in PAGES.values())
    if name not in PAGES:
        near = difflib.get_close_matches(name, PAGES, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"there is no check {name!r}{hint} (--explain all lists them)")
    return str(PAGES[name])
