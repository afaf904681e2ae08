"""`spellout doctor SCRIPT`: run it under the doctor, stop it, and say how it ended."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import SpelloutError
from ..report import Report
from . import running
from .session import Session, Stopped


@dataclass(frozen=True)
class Outcome:
    """What was seen, and how the script ended."""

    report: Report
    code: int = 0
    """The script's own exit code; 0 if the doctor stopped it."""


def examine_script(script: str, arguments: Sequence[str], session: Session, module: bool = False) -> Outcome:
    """Run a script (its path, or `module`: its dotted name) in a session until the session stops it, or it ends.

    What the script raises is printed as Python prints it, without frames of ours.
    """
    run = _runner(script, arguments, module)
    code = 0
    try:
        with session:
            run()
    except Stopped:
        pass
    except SystemExit as leaving:
        code = _code(leaving)
    except SpelloutError:
        raise
    except Exception as error:
        code = 1
        _show(error)
    finally:
        session.hooks.__exit__()
    assert session.report is not None
    return Outcome(session.report, code)


def _runner(script: str, arguments: Sequence[str], module: bool) -> Callable[[], None]:
    if module:
        return lambda: running.run_module(script, arguments)
    return lambda: running.run_script(Path(script), arguments)


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
