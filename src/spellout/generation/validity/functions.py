"""A function of Python that judges a line: whatever it returns is true or not, and an exception says no.

So parsers judge as they are: `json:loads`, `datetime:date.fromisoformat`, `rdkit.Chem:MolFromSmiles`. A text is the
line's canonical form. The module is the user's own, in the working directory, or an installed one; naming it on the
command line runs it, as `python -m` would, and nothing else does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType
from typing import Any

from ...errors import UsageError


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
        with redirect_stdout(sys.stderr):
            return [self._verdict(line) for line in lines]

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
        except Exception as error:
            self._raised += 1
            self._first = self._first or (line, error)
            return None
        if not valid:
            return None
        return found if isinstance(found, str) else line


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
