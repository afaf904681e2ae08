"""The command line: every failure a user can cause becomes a sentence and an exit code.

Samples and data go to stdout, everything else to stderr. Exit codes: 0 done, 1 the data or the run is wrong,
2 wrong command line, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from cyclopts import CycloptsError

from . import terminal
from .commands import lines, showing, training  # noqa: F401, each registers its commands with the application
from .commands.app import app
from .errors import SpelloutError
from .options import (
    STDIN,
)


def main() -> NoReturn:
    """Run one command line and leave with its exit code."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command line; every failure a user can cause becomes a sentence on stderr and an exit code."""
    arguments = [STDIN if argument == "-" else argument for argument in arguments]
    try:
        app(arguments or ["--help"], exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        terminal.complain(str(error).replace(STDIN, "-"))
        return 2
    except SpelloutError as error:
        sys.stdout.flush()
        terminal.complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        terminal.complain("interrupted")
        return 130
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
