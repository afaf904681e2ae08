"""`spellout draw FORMULA`: every value, every gradient and the chain rule, as text or as a picture."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ...training.runs.places import check_file, writing
from .. import terminal
from ..options import Out


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
    with writing(out):
        out.write_text(picture, encoding="utf-8")
    terminal.note(f"wrote {out}")
