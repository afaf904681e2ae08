"""Commands that show: a formula's graph, pictures of a run, what is wrong with a program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ...errors import UsageError
from ...files import told
from ...plots.kinds import OF_LINES, Kind
from ...training.runs.places import check_file
from .. import terminal
from .. import workflows as steps
from ..options import (
    Json,
    Line,
    Out,
    RunFolder,
    newest,
)
from .application import app


@app.command
def draw(
    expression: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *numbers: str,
    out: Out | None = None,
) -> None:
    """Spell out a formula: every value, every gradient, and the chain rule along every path.

    spellout draw "tanh(a*b + c)" a=2 b=-3 c=10

    Parameters
    ----------
    expression
        A formula of numbers, names, + - * / ** and functions; steps may be named: "n = a*b + c; tanh(n)".
    numbers
        What the names stand for, as in a=2.
    out
        Draw it instead: FILE.svg is a picture, FILE.html plays backpropagation, FILE.dot is for Graphviz.
    """
    from ...pictures.drawing import check_format
    from ...pictures.drawing import draw as draw_graph
    from ...pictures.expression import evaluate, read_numbers, report

    if out is not None:
        check_format(out.suffix.removeprefix("."))
        check_file(out)
    root = evaluate(expression, read_numbers(numbers))
    root.backward()
    if out is None:
        terminal.print_report(report(root))
        return
    picture = draw_graph(root).render(out.suffix.removeprefix("."))
    with told(out, "written", remedy="choose another -o"):
        out.write_text(picture, encoding="utf-8")
    terminal.note(f"wrote {out}")


@app.command
def plot(
    run: RunFolder | None = None,
    /,
    *,
    what: Kind,
    line: Line | None = None,
    out: Out | None = None,
) -> None:
    """Draw a picture of the model of a run folder (default: the newest under ./runs), or of how it was trained.

    Parameters
    ----------
    what
        Losses over steps, which letter follows which, the letters' vectors, histograms by layer of activations and
        gradients, saturated units, how much the steps moved the weights, who looks at whom, or where a line
        surprises.
    line
        The line whose attention or surprise is shown; by default the first training line.
    out
        FILE.png, FILE.svg or FILE.pdf; by default WHAT.png.
    """
    if line is not None and what not in OF_LINES:
        raise UsageError(f"--line goes with --what {' and '.join(OF_LINES)}; --what {what} shows no line")
    out = out or Path(f"{what}.png")
    steps.check_picture(out)
    steps.plot(run or newest(), what, line, out)


@app.command
def doctor(
    target: str | None = None,
    /,
    *,
    explain: str | None = None,
    ignore: tuple[str, ...] = (),
    json: Json = False,
) -> None:
    """Examine a PyTorch training program and name its mistakes; exit code 1 if there is one.

    Parameters
    ----------
    target
        FILE.py:FUNCTION that returns a dictionary (model, loss, batch, optimizer, step, evaluate), or a run folder.
    explain
        Print the page of one check by its id; `all` lists them.
    ignore
        The id of a check to leave out; may be given again.
    """
    steps.doctor(target, explain, list(ignore), json)
