"""`spellout lectures FILE`: the course's results beside ours."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from ...errors import UsageError
from ...lectures.results import RESULTS
from ...optional import require
from ...training.config import TrainingConfig
from .. import terminal
from ..options import Encoding, File, Json, Training, listed
from ..progress import training_progress
from ..visible import visible
from ..workflows import read

if TYPE_CHECKING:
    from ...lectures.reproduction import LectureResult

REMARK_BESIDE = 120
"""A terminal so wide has room for the remarks in a column; others get them below the table."""


def lectures(
    *files: File,
    only: str = ",".join(RESULTS),
    timed: int = 300,
    brown: Path | None = None,
    training: Training = TrainingConfig(),
    encoding: Encoding = None,
    json: Json = False,
) -> None:
    """Reproduce the results of the course on FILE (the course's names.txt; default: the bundled names).

    The losses the lectures recorded, the time their loops take here, and how soon the models here are as good.

    Parameters
    ----------
    only
        Which results, separated by commas.
    timed
        How many steps of each lecture's loop are timed.
    brown
        A folder with train.txt and valid.txt, the Brown corpus cut as in Bengio et al. 2003: for the paper's row.
    """
    if timed < 1:
        raise UsageError(f"--timed {timed}: must be at least 1")
    require("torch", "spellout lectures")
    from ...lectures.reproduction import check_results, reproduce

    wanted = listed(only)
    check_results(wanted)
    lines = read(files, encoding)
    rows: list[LectureResult] = []
    with training_progress(None) as watch:
        for row in reproduce(lines, wanted, timed, training, watch, brown):
            watch.finish()
            if json:
                terminal.print_json(row.to_json())
            rows.append(row)
    if not json:
        print_rows(rows)


def print_rows(rows: Sequence[LectureResult]) -> None:
    """Print the course's results beside ours as a table."""

    def number(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    columns = ["lecture", "result", "recorded", "its seconds", "model here", "loss", "seconds", "times"]
    below = sys.stdout.isatty() and terminal.stdout().width < REMARK_BESIDE
    terminal.print_table(
        columns if below else [*columns, "remark"],
        (
            [
                str(row.lecture),
                row.result,
                number(row.recorded, ".4g"),
                number(row.lecture_seconds, ".2f"),
                row.model,
                number(row.loss, ".4f"),
                number(row.seconds, ".3f"),
                number(row.times, ".0f"),
                *([] if below else [row.remark]),
            ]
            for row in rows
        ),
        left=["result", "model here", "remark"],
        spare=["its seconds", "seconds", "times"],
    )
    if below:
        for row in rows:
            if row.remark:
                terminal.stdout().print(Text(visible(f"{row.result}: {row.remark}"), style="dim"))
