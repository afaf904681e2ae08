"""`spellout doctor SCRIPT`: run it under the doctor, stop it, and say how it ended."""

from __future__ import annotations

import linecache
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import overrides
from torch.nn.modules import module as modules

from ...errors import SpelloutError
from ..report.report import Report
from . import running
from .notebook import run_notebook
from .session import Session, Stopped

_OURS = os.path.dirname(os.path.dirname(__file__)) + os.sep


@dataclass(frozen=True)
class Outcome:
    """What was seen, and how the script ended."""

    report: Report
    code: int = 0
    """The script's own exit code; 0 if the doctor stopped it."""
    stopped: bool = False
    written: tuple[str, ...] = ()
    """Files that it wrote before it was stopped."""
    interrupt: KeyboardInterrupt | None = None
    """What ended it, if a signal did."""


def examine_script(
    script: str,
    arguments: Sequence[str],
    session: Session,
    module: bool = False,
    passing: tuple[type[Exception], ...] = (),
) -> Outcome:
    """Run a script (its path, or `module`: its dotted name) in a session until the session stops it, or it ends.

    What the script raises is printed as Python prints it, without frames of ours, but for what is `passing`. A
    process that the script forks ends as it would alone, if it comes here.
    """
    run = _runner(script, arguments, module)
    _LISTENING[:] = [session]
    if not _AUDITED:
        _AUDITED.append(True)
        sys.addaudithook(_audit)  # which cannot be taken off again, and is told nothing once the session is over
    code, stopped, process = 0, False, os.getpid()
    interrupt: KeyboardInterrupt | None = None
    told_elsewhere: tuple[type[Exception], ...] = (SpelloutError, *passing)
    try:
        with session:
            run()
    except Stopped:
        stopped = True
    except SystemExit as leaving:
        stopped = session.refused > 0
        code = 0 if stopped else _code(leaving)
    except told_elsewhere:
        raise
    except KeyboardInterrupt as error:
        code, interrupt = 1, error
    except Exception as error:
        stopped = session.refused > 0  # it fails because it was stopped
        code = 0 if stopped else 1
        if not stopped:
            _show(error)
    finally:
        _LISTENING.clear()
        session.hooks.__exit__()
    if os.getpid() != process:
        raise SystemExit(code)
    if session.report is None:  # what is raised now comes from the examination
        raise interrupt or KeyboardInterrupt
    return Outcome(session.report, code, stopped, tuple(session.written), interrupt)


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
    """Print the traceback that Python would print without us: from the script on, and without frames of ours."""
    told = traceback.TracebackException.from_exception(error)
    for one in _chain(told):
        one.stack = _without_ours(one.stack)
    print("".join(told.format()), end="", file=sys.stderr)


def _chain(told: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    """What is told, and what caused it."""
    yield told
    for other in (told.__cause__, told.__context__, *(getattr(told, "exceptions", None) or ())):
        if other is not None:
            yield from _chain(other)


def _without_ours(stack: traceback.StackSummary) -> traceback.StackSummary:
    """Without the frames above the script, of the tape, of the hooks, and of torch where it asks the tape."""
    frames = list(stack)
    begins = [place for place, one in enumerate(frames) if _is_of(one, running.__file__, "execute")]
    kept: list[traceback.FrameSummary] = []
    for one in frames[begins[0] + 1 if begins else 0 :]:
        if one.filename.startswith(_OURS):
            continue
        if one.filename == overrides.__file__:
            continue
        if _is_of(one, modules.__file__, "inner"):  # torch calls a module that nobody hears without it
            kept[-1] = _plain_call(kept[-1])
            continue
        if kept and _is_of(one, kept[-1].filename, kept[-1].name) and _asks(kept[-1]):
            kept.pop()  # the same function, once before the tape answers and once after it
        kept.append(one)
    return traceback.StackSummary.from_list(kept)


def _is_of(frame: traceback.FrameSummary, filename: str | None, name: str) -> bool:
    return frame.filename == filename and frame.name == name


def _asks(frame: traceback.FrameSummary) -> bool:
    return "handle_torch_function" in (frame.line or "")


def _plain_call(frame: traceback.FrameSummary) -> traceback.FrameSummary:
    """The line of the same function by which torch calls a module without hooks."""
    lines = linecache.getlines(frame.filename)
    plain = "return forward_call(*args, **kwargs)"
    for number in range(frame.lineno or 0, 0, -1):
        line = lines[number - 1].rstrip()
        if line.endswith(plain):
            begin = len(line) - len(plain) + len("return ")
            return traceback.FrameSummary(
                frame.filename, number, frame.name, end_lineno=number, colno=begin, end_colno=len(line)
            )
    return frame
