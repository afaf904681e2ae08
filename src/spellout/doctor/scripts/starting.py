"""`spellout doctor SCRIPT`: run it under the doctor, stop it, and say how it ended."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import SpelloutError
from ..report.report import Report
from . import running
from .notebook import run_notebook
from .session import Session, Stopped


@dataclass(frozen=True)
class Outcome:
    """What was seen, and how the script ended."""

    report: Report
    code: int = 0
    """The script's own exit code; 0 if the doctor stopped it."""
    stopped: bool = False
    written: tuple[str, ...] = ()
    """Files that it wrote before it was stopped."""


def examine_script(script: str, arguments: Sequence[str], session: Session, module: bool = False) -> Outcome:
    """Run a script (its path, or `module`: its dotted name) in a session until the session stops it, or it ends.

    What the script raises is printed as Python prints it, without frames of ours.
    """
    run = _runner(script, arguments, module)
    _LISTENING[:] = [session]
    if not _AUDITED:
        _AUDITED.append(True)
        sys.addaudithook(_audit)  # which cannot be taken off again, and is told nothing once the session is over
    code, stopped = 0, False
    try:
        with session:
            run()
    except Stopped:
        stopped = True
    except SystemExit as leaving:
        code = _code(leaving)
    except SpelloutError:
        raise
    except Exception as error:
        code = 1
        _show(error)
    finally:
        _LISTENING.clear()
        session.hooks.__exit__()
    assert session.report is not None
    return Outcome(session.report, code, stopped, tuple(session.written))


_LISTENING: list[Session] = []
_AUDITED: list[bool] = []


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and _LISTENING:
        _LISTENING[0].audit(event, args)


def _runner(script: str, arguments: Sequence[str], module: bool) -> Callable[[], None]:
    if module:
        return lambda: running.run_module(script, arguments)
    path = Path(script)
    return lambda: (run_notebook if path.suffix == ".ipynb" else running.run_script)(path, arguments)


def _code(leaving: SystemExit) -> int:
    """The exit code that Python makes of it."""
    if leaving.code is None or isinstance(leaving.code, int):
        return leaving.code or 0
    print(leaving.code, file=sys.stderr)
    return 1


def _show(error: BaseException) -> None:
    """Print a traceback that begins in the script."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code is not running.execute.__code__:
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace.tb_next if trace is not None else None)
