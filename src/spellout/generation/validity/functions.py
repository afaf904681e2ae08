"""A function of Python that judges a line: whatever it returns is true or not, and an exception says no.

So parsers judge as they are: `json:loads`, `datetime:date.fromisoformat`, `rdkit.Chem:MolFromSmiles`. A text is the
line's canonical form. The module is the user's own, in the working directory, or an installed one; naming it on the
command line runs it, as `python -m` would, and nothing else does.

A line with which a function is not done in a minute stops the work where there is an alarm clock for it: not on
Windows, nor outside the main thread, nor within one long call of compiled code.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from difflib import get_close_matches
from importlib import import_module
from types import FrameType, ModuleType
from typing import Any

from ...errors import UsageError

PATIENCE = 60.0
"""Seconds in which a function must have judged a line."""


class _OutOfTime(BaseException):
    """What a function that catches every `Exception` does not catch."""


class FunctionValidator:
    """Judges lines by a function that is named as `module:function`; it may be an attribute of one of the module's.

    `UsageError` if there is no such function.
    """

    def __init__(self, asked: str) -> None:
        self.name = asked
        module, path = asked.split(":")
        found: Any = _module(module, asked)
        for attribute in path.split("."):
            if not hasattr(found, attribute):
                near = get_close_matches(
                    attribute, [name for name in dir(found) if name[0] != "_"], n=3, cutoff=0.4
                )
                more = f"; there is {', '.join(near)}" if near else ""
                raise UsageError(f"--valid {asked}: {module} has no {attribute!r}{more}")
            found = getattr(found, attribute)
        if not callable(found):
            raise UsageError(f"--valid {asked}: {path} is no function, but {type(found).__name__}; name a function")
        self._function = found
        self._raised = 0
        self._first: tuple[str, Exception] | None = None

    def judge(self, lines: Sequence[str]) -> list[str | None]:
        """Call the function for each line. What it prints goes to stderr: stdout is for lines."""
        with redirect_stdout(sys.stderr), _alarm() as wind:
            verdicts = []
            for line in lines:
                wind()
                verdicts.append(self._verdict(line))
            return verdicts

    def remark(self) -> str | None:
        """Say how many lines made the function raise anything but `ValueError`, which is how parsers say no."""
        if self._first is None:
            return None
        line, error = self._first
        said = str(error).partition("\n")[0]
        return (
            f"{self.name} raised an exception for {self._raised:,} line{'s' * (self._raised > 1)}, which counts as "
            f"not valid; for {line!r}, {type(error).__name__}: {said}"
        )

    def _verdict(self, line: str) -> str | None:
        try:
            found = self._function(line)
            valid = bool(found)  # what has no truth value, an array for one, is refused like an exception
        except ValueError:
            return None
        except SystemExit as ended:
            raise UsageError(
                f"--valid {self.name}: for {line!r} the function ends the program, SystemExit: {ended}; return "
                "what is false, or raise ValueError, where a line is not valid"
            ) from None
        except _OutOfTime:
            raise UsageError(
                f"--valid {self.name}: the function was not done with {line!r} in {PATIENCE:g} seconds; mend it, "
                "or have it give up sooner"
            ) from None
        except Exception as error:
            self._raised += 1
            self._first = self._first or (line, error)
            return None
        if not valid:
            return None
        return found if isinstance(found, str) else line


@contextmanager
def _alarm() -> Iterator[Callable[[], object]]:
    """Give what winds up an alarm clock, which raises `_OutOfTime` when it was not wound for too long."""
    own = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not own or signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL:  # someone else's clock
        yield lambda: None
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise _OutOfTime

    signal.signal(signal.SIGALRM, ring)
    try:
        yield lambda: signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _module(name: str, asked: str) -> ModuleType:
    """Import a module as a program in the working directory would: what lies there comes first."""
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if not (name == missing or name.startswith(f"{missing}.")):
            raise UsageError(f"--valid {asked}: {name} needs {missing!r}, which is not installed") from None
        raise UsageError(
            f"--valid {asked}: there is no module {missing!r} in this folder, and none is installed"
        ) from None
    except (Exception, SystemExit) as error:
        raise UsageError(f"--valid {asked}: {name} cannot be imported, {type(error).__name__}: {error}") from None
    finally:
        sys.path.remove(here)
        sys.path.append(here)  # for what the function imports when it is called
