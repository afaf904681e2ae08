"""The commands. Each body is a few lines of calls into the rooms below; heavy imports happen inside them.

Samples and data go to stdout, everything else to stderr. Exit codes: 0 done, 1 the data or the run is wrong,
2 wrong command line, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import App, CycloptsError, Parameter

from .errors import RunError, SpelloutError
from .version import __version__

app = App(
    name="spellout",
    help="Give it a text file with one thing per line; it makes more like it.",
    version=__version__,
    version_flags=["--version"],
    help_flags=["--help", "-h"],
)


@app.command
def draw(
    expression: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *numbers: str,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
) -> None:
    """Spell out a formula: every value, every gradient, and the chain rule along every path.

    spellout draw "tanh(a*b + c)" a=2 b=-3 c=10

    Parameters
    ----------
    expression
        A formula of numbers, names, + - * / ** and functions; steps may be named: "n = a*b + c; tanh(n)".
    numbers
        What the names stand for, as in a=2.
    output
        Draw it instead: FILE.svg is a picture, FILE.html plays backpropagation, FILE.dot is for Graphviz.
    """
    from .autograd.drawing import draw as draw_graph
    from .autograd.expression import evaluate, read_numbers, report

    root = evaluate(expression, read_numbers(numbers))
    root.backward()
    if output is None:
        print(report(root))
        return
    picture = draw_graph(root).render(output.suffix.removeprefix("."))
    try:
        output.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise RunError(f"cannot write {output}: {error.strerror}.") from None
    print(f"wrote {output}", file=sys.stderr)


def main() -> NoReturn:
    """Run one command line and leave with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; every failure a user can cause becomes a sentence on stderr and an exit code."""
    try:
        app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        print(f"spellout: {error}", file=sys.stderr)
        return 2
    except SpelloutError as error:
        print(f"spellout: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("spellout: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
