"""`spellout doctor TARGET`: examine a PyTorch training program, or print the page of one check."""

from __future__ import annotations

import contextlib
import difflib
import sys

from ...errors import UnhealthyError, UsageError
from .. import terminal
from ..options import Flag, Json


def doctor(
    target: str | None = None,
    /,
    *,
    explain: str | None = None,
    ignore: tuple[str, ...] = (),
    json: Json = False,
    github: Flag = False,
    fix_hint: Flag = False,
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
    github
        Print annotations for a workflow of GitHub's.
    fix_hint
        Print the cures that are one line and certain, as a diff for `git apply` or `patch -p1`.
    """
    if explain is not None:
        terminal.print_report(_page(explain))
        return
    if target is None:
        raise UsageError("name what to examine, as in: spellout doctor train.py:case")
    from ...doctor.programs import examine_target
    from ...models.table import MODELS

    with contextlib.redirect_stdout(sys.stderr):  # what the user's step prints is not the report
        report = examine_target(target, list(ignore), MODELS)
    if json:
        terminal.print_json(report.to_json())
    elif github or fix_hint:
        terminal.print_text(report.annotations() if github else report.fixes())
    else:
        terminal.print_styled([line.parts for line in report.lines(terminal.width())])
    if report.errors:
        count = len(report.errors)
        raise UnhealthyError(f"{target}: {count} error{'s' * (count != 1)} found")


def _page(name: str) -> str:
    """Return the page of one check of the doctor, or the table of all."""
    from ...doctor import PAGES

    if name == "all":
        return "\n".join(f"{page.id:32} {page.severity:8} {page.title}" for page in PAGES.values())
    if name not in PAGES:
        near = difflib.get_close_matches(name, PAGES, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"there is no check {name!r}{hint} (--explain all lists them)")
    return str(PAGES[name])
